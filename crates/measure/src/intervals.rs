//! Do 95 % intervals cover the truth 95 % of the time, and are they worth it? On real judges and real
//! people (FRANK), by drawing windows of traffic from the pool whose truth is known.

use baton_stats::{Isotonic, Observation, SplitMix64, estimate, t_quantile};
use serde_json::json;

use crate::frank::{CUTS, Pool, each, pools};
use crate::report::{Report, line, table};

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Windows for each cell
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=20_000))]
    windows: u64,
    /// The seed of all draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Labels expected in a window.
const LABELS: [u64; 3] = [100, 200, 400];
const DELTA: f64 = 0.05;
/// Share of the review that does not look at the risk.
const FLOOR: f64 = 0.7;
/// Earlier labels that tell what is risky; they count for nothing else.
const EARLIER: usize = 200;
/// A judge of this correlation must pay for itself.
const STRONG: f64 = 0.58;

#[derive(Clone, Copy, PartialEq)]
enum Review {
    Uniform,
    ByRisk,
}

/// One judge, cut, number of labels and way of review, over all windows.
struct Cell {
    judge: String,
    cut: f64,
    labels: u64,
    review: Review,
    correlation: f64,
    /// Share of windows whose interval held the truth: ours, people's alone, the judge's own mean.
    covered: [f64; 3],
    /// Mean width by that of people alone, from the same labels.
    width: f64,
    /// Windows that got no powered interval.
    exact: u64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    let pools = pools()?;
    let cells: Vec<Cell> = each(&pools, "intervals", |pool| cells(pool, &arguments)).into_iter().flatten().collect();
    Ok(report(&arguments, &pools, &cells))
}

fn cells(pool: &Pool, arguments: &Arguments) -> Vec<Cell> {
    let both = [Review::Uniform, Review::ByRisk];
    LABELS.iter().flat_map(|labels| both.map(|review| cell(pool, (*labels, review), arguments))).collect()
}

fn cell(pool: &Pool, (labels, review): (u64, Review), arguments: &Arguments) -> Cell {
    let truth = pool.truth();
    let mut rng = SplitMix64::new(arguments.seed).fork(labels);
    let mut covered = [0_u64; 3];
    let (mut ours, mut people, mut exact) = (0.0, 0.0, 0);
    for _ in 0..arguments.windows {
        let window = window(pool, (labels, review), &mut rng);
        let found = estimate(&window, DELTA).map_or((0.0, 1.0), |found| {
            exact += u64::from(found.method != baton_stats::Method::Powered);
            (found.lower, found.upper)
        });
        let human = human(&window);
        for (count, (lower, upper)) in covered.iter_mut().zip([found, human, naive(&window)]) {
            *count += u64::from(lower <= truth && truth <= upper);
        }
        ours += found.1 - found.0;
        people += human.1 - human.0;
    }
    Cell {
        judge: pool.judge.clone(),
        cut: pool.cut,
        labels,
        review,
        correlation: pool.correlation(),
        covered: covered.map(|count| count as f64 / arguments.windows as f64),
        width: ours / people,
        exact,
    }
}

/// As many calls as the pool has, drawn with replacement, all judged, each reviewed by its own draw.
fn window(pool: &Pool, (labels, review): (u64, Review), rng: &mut SplitMix64) -> Vec<Observation> {
    let mut draw = || pool.items[rng.below(pool.items.len() as u64) as usize];
    let calls: Vec<(Option<f64>, bool)> = (0..pool.items.len()).map(|_| draw()).collect();
    let share = labels as f64 / calls.len() as f64;
    let weights = match review {
        Review::Uniform => vec![1.0; calls.len()],
        Review::ByRisk => {
            let earlier: Vec<(f64, f64)> =
                (0..EARLIER).map(|_| draw()).filter_map(|(score, good)| Some((score?, f64::from(good)))).collect();
            risks(&calls, &Isotonic::fit(&earlier))
        }
    };
    let seen = |((score, good), weight): ((Option<f64>, bool), f64)| {
        let pi = (share * weight).min(1.0);
        let label = (rng.next_f64() < pi).then_some(good);
        Observation { score, judged: true, r: 1.0, label, pi }
    };
    calls.into_iter().zip(weights).map(seen).collect()
}

/// floor + √(g(1 − g)), its mean being 1.
fn risks(calls: &[(Option<f64>, bool)], calibrated: &Isotonic) -> Vec<f64> {
    let risk = |score: &Option<f64>| {
        let g = score.map_or(0.5, |score| calibrated.apply(score));
        (g * (1.0 - g)).sqrt()
    };
    let risks: Vec<f64> = calls.iter().map(|(score, _)| risk(score)).collect();
    let mean = risks.iter().sum::<f64>() / risks.len() as f64;
    risks.iter().map(|risk| FLOOR + (1.0 - FLOOR) * if mean > 0.0 { risk / mean } else { 1.0 }).collect()
}

/// The same labels without a judge: their weighted mean and Student's interval.
fn human(window: &[Observation]) -> (f64, f64) {
    let labels: Vec<(f64, f64)> =
        window.iter().filter_map(|seen| Some((1.0 / seen.pi, f64::from(seen.label?)))).collect();
    let (n, weights) = (labels.len() as f64, labels.iter().map(|label| label.0).sum::<f64>());
    let mean = labels.iter().map(|(weight, y)| weight * y).sum::<f64>() / weights;
    let squares: f64 = labels.iter().map(|(weight, y)| (weight * (y - mean)).powi(2)).sum();
    let reach = t_quantile(1.0 - DELTA / 2.0, n - 1.0) * (squares * n / (n - 1.0)).sqrt() / weights;
    (mean - reach, mean + reach)
}

/// What is often shown: the mean of the judge's scores, as if they were the truth.
fn naive(window: &[Observation]) -> (f64, f64) {
    let scores: Vec<f64> = window.iter().filter_map(|seen| seen.score).collect();
    let n = scores.len() as f64;
    let mean = scores.iter().sum::<f64>() / n;
    let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let reach = 1.96 * (variance / n).sqrt();
    (mean - reach, mean + reach)
}

fn report(arguments: &Arguments, pools: &[Pool], cells: &[Cell]) -> Report {
    line(&format!(
        "intervals: {} windows for each cell, of {} calls drawn with replacement from FRANK; seed {}",
        arguments.windows,
        pools.first().map_or(0, |pool| pool.items.len()),
        arguments.seed
    ));
    line(&format!("real judges and people; simulated: which calls are drawn and reviewed. People pass at {CUTS:?}"));
    line("coverage of 95 % intervals, lowest and highest over the cuts; width by that of the same labels alone\n");
    let mut report = Report::new("intervals");
    report.figure("windows", arguments.windows);
    report.figure("seed", arguments.seed);
    let each_cell: Vec<_> = cells.iter().map(Cell::json).collect();
    for (review, name) in [(Review::Uniform, "uniform"), (Review::ByRisk, "by_risk")] {
        let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.review == review).collect();
        show(&cells, name);
        judge(&mut report, &cells, name);
    }
    report.figure("cell", "judge, cut, labels, review, covered: ours, people, naive; width");
    report.figure("cells", each_cell);
    report
}

fn range(cells: &[&Cell], of: impl Fn(&Cell) -> f64) -> (f64, f64) {
    cells
        .iter()
        .map(|cell| of(cell))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

fn show(cells: &[&Cell], name: &str) {
    let mut rows =
        table(&["judge", "correlation", "labels", "coverage", "people alone", "naive mean", "width by people's"]);
    let mut judges: Vec<&str> = cells.iter().map(|cell| cell.judge.as_str()).collect();
    judges.dedup();
    judges.sort_unstable();
    judges.dedup();
    for judge in judges {
        for labels in LABELS {
            let cells: Vec<&Cell> =
                cells.iter().copied().filter(|cell| cell.judge == judge && cell.labels == labels).collect();
            let told = |(low, high): (f64, f64)| format!("{low:.3} to {high:.3}");
            rows.add_row([
                judge.to_owned(),
                told(range(&cells, |cell| cell.correlation)),
                labels.to_string(),
                told(range(&cells, |cell| cell.covered[0])),
                told(range(&cells, |cell| cell.covered[1])),
                told(range(&cells, |cell| cell.covered[2])),
                told(range(&cells, |cell| cell.width)),
            ]);
        }
    }
    let review = if name == "uniform" { "every call as likely" } else { "by risk, 70 % floor" };
    line(&format!("review: {review}\n{rows}\n"));
}

fn judge(report: &mut Report, cells: &[&Cell], name: &str) {
    let right = cells.iter().filter(|cell| (0.93..=0.97).contains(&cell.covered[0])).count();
    let share = right as f64 / cells.len() as f64;
    let (lowest, highest) = range(cells, |cell| cell.covered[0]);
    let (_, widest) = range(cells, |cell| cell.width);
    let strong: Vec<&Cell> = cells.iter().copied().filter(|cell| cell.correlation.abs() >= STRONG).collect();
    let (_, strong_widest) = range(&strong, |cell| cell.width);
    report.figure(
        name,
        json!({
            "cells": cells.len(),
            "covered_93_to_97": right,
            "coverage_lowest": lowest,
            "coverage_highest": highest,
            "width_widest": widest,
            "strong_cells": strong.len(),
            "strong_width_widest": strong_widest,
            "naive_coverage_highest": range(cells, |cell| cell.covered[2]).1,
            "not_powered": cells.iter().map(|cell| cell.exact).sum::<u64>(),
        }),
    );
    report.bar(
        format!("{name}: {right} of {} cells covered 93 to 97 % ({:.1} %, bar 95)", cells.len(), share * 100.0),
        share >= 0.95,
    );
    report.bar(format!("{name}: lowest coverage {:.1} % >= 92 %", lowest * 100.0), lowest >= 0.92);
    report.bar(format!("{name}: widest {widest:.3} <= 1.02 of people alone"), widest <= 1.02);
    report.bar(
        format!("{name}: widest {strong_widest:.3} <= .9 in {} cells with |correlation| >= .58", strong.len()),
        !strong.is_empty() && strong_widest <= 0.9,
    );
}

impl Cell {
    fn json(&self) -> serde_json::Value {
        let review = if self.review == Review::Uniform { "uniform" } else { "by_risk" };
        let [ours, people, naive] = self.covered;
        let width = (self.width * 1e3).round() / 1e3;
        json!([self.judge, self.cut, self.labels, review, ours, people, naive, width])
    }
}
