//! Does the gate keep its promise? On real judges and people (FRANK): thresholds from labels drawn
//! from the pool, held against the whole pool, beside the threshold that the same labels suggest.

use baton_stats::{GateHistory, Labelled, Promise, SplitMix64, Weighted};
use serde_json::{Value, json};

use crate::frank::{Pool, each, pools};
use crate::report::{Report, line, table};

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calibration sets for each judge, cut and alpha
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=20_000))]
    sets: u64,
    /// Labels in a set
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(20..=10_000))]
    labels: u64,
    /// The seed of all draws
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const ALPHAS: [f64; 3] = [0.05, 0.1, 0.2];
const DELTA: f64 = 0.1;

/// Over all sets of one way to find a threshold.
#[derive(Default)]
struct Tally {
    opened: u64,
    violated: u64,
    /// Sum over opened sets.
    passed: f64,
}

struct Cell {
    judge: String,
    cut: f64,
    alpha: f64,
    sets: u64,
    fixed: Tally,
    naive: Tally,
    /// With refits, at the last label.
    live: Tally,
    /// Sets in which the refitted gate broke its promise at any label.
    ever: u64,
    /// The largest share of sets that broke it at one and the same label.
    worst: f64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    let pools = pools()?;
    let of = |pool: &Pool| ALPHAS.map(|alpha| cell(pool, alpha, &arguments));
    let cells: Vec<Cell> = each(&pools, "gate", of).into_iter().flatten().collect();
    Ok(report(&arguments, &cells))
}

/// For the scores of a pool from high to low: the share that passes down to here, and the bad among
/// those.
struct Curve(Vec<(f64, f64, f64)>);

impl Curve {
    fn of(pool: &Pool) -> Self {
        let mut scored: Vec<(f64, bool)> = pool.scored().collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (all, mut bad) = (scored.len() as f64, 0.0);
        let mut curve = Vec::with_capacity(scored.len());
        for (at, (score, good)) in scored.iter().enumerate() {
            bad += f64::from(!good);
            let passing = at as f64 + 1.0;
            curve.push((*score, passing / all, bad / passing));
        }
        Self(curve)
    }

    /// The share of the pool at or above `threshold`, and the share of bad ones in it.
    fn at(&self, threshold: f64) -> (f64, f64) {
        let passing = self.0.partition_point(|point| point.0 >= threshold);
        passing.checked_sub(1).map_or((0.0, 0.0), |last| (self.0[last].1, self.0[last].2))
    }
}

impl Tally {
    fn see(&mut self, threshold: Option<f64>, curve: &Curve, alpha: f64) {
        if let Some(threshold) = threshold {
            let (share, bad) = curve.at(threshold);
            self.opened += 1;
            self.violated += u64::from(bad > alpha);
            self.passed += share;
        }
    }

    fn json(&self, sets: u64) -> Value {
        let of = |count: u64| count as f64 / sets as f64;
        json!([of(self.opened), of(self.violated), self.passed / self.opened.max(1) as f64])
    }
}

fn cell(pool: &Pool, alpha: f64, arguments: &Arguments) -> Cell {
    let promise = Promise { alpha, delta: DELTA };
    let items: Vec<(f64, bool)> = pool.scored().collect();
    let scores: Vec<f64> = items.iter().map(|item| item.0).collect();
    let curve = Curve::of(pool);
    let thresholds = promise.thresholds(&scores, arguments.labels);
    let mut rng = SplitMix64::new(arguments.seed);
    let mut cell = Cell {
        judge: pool.judge.clone(),
        cut: pool.cut,
        alpha,
        sets: arguments.sets,
        fixed: Tally::default(),
        naive: Tally::default(),
        live: Tally::default(),
        ever: 0,
        worst: 0.0,
    };
    let mut at_label = vec![0_u64; arguments.labels as usize];
    for _ in 0..arguments.sets {
        let draw = |_| {
            let (score, good) = items[rng.below(items.len() as u64) as usize];
            Labelled { score, label: Weighted { good, pi: 1.0 } }
        };
        let labels: Vec<Labelled> = (0..arguments.labels).map(draw).collect();
        cell.fixed.see(promise.gate(&labels, &thresholds).threshold(), &curve, alpha);
        cell.naive.see(naive(&labels, alpha), &curve, alpha);
        let mut history = GateHistory::new(promise);
        let mut broken = false;
        for (label, count) in labels.iter().zip(&mut at_label) {
            let threshold = history.push(*label, &scores).threshold();
            let breaks = threshold.is_some_and(|threshold| curve.at(threshold).1 > alpha);
            *count += u64::from(breaks);
            broken |= breaks;
        }
        cell.ever += u64::from(broken);
        cell.live.see(history.gate().threshold(), &curve, alpha);
    }
    cell.worst = at_label.into_iter().max().unwrap_or_default() as f64 / arguments.sets as f64;
    cell
}

/// The laxest threshold whose labels look good enough.
fn naive(labels: &[Labelled], alpha: f64) -> Option<f64> {
    let mut sorted: Vec<&Labelled> = labels.iter().collect();
    sorted.sort_by(|a, b| b.score.total_cmp(&a.score));
    let (mut bad, mut threshold) = (0.0, None);
    for (at, seen) in sorted.iter().enumerate() {
        bad += f64::from(!seen.label.good);
        let last_of_equals = sorted.get(at + 1).is_none_or(|next| next.score < seen.score);
        if last_of_equals && bad <= alpha * (at as f64 + 1.0) {
            threshold = Some(seen.score);
        }
    }
    threshold
}

fn report(arguments: &Arguments, cells: &[Cell]) -> Report {
    line(&format!(
        "gate: {} sets of {} labels for each cell, drawn with replacement from FRANK; delta 10 %, seed {}",
        arguments.sets, arguments.labels, arguments.seed
    ));
    line("real judges and people; simulated: which answers are drawn. Truth: the whole pool. A violation is a");
    line("gate that lets more than alpha of bad answers pass. Cells that nothing opened are left out here\n");
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let mut rows = table(&[
        "judge",
        "cut",
        "alpha",
        "opened",
        "passed",
        "violated",
        "one by one: opened",
        "at worst label",
        "ever",
        "naive: violated",
    ]);
    for cell in cells.iter().filter(|cell| cell.fixed.opened + cell.ever + cell.live.opened > 0) {
        let of = |count: u64| percent(count as f64 / cell.sets as f64);
        rows.add_row([
            cell.judge.clone(),
            cell.cut.to_string(),
            percent(cell.alpha),
            of(cell.fixed.opened),
            percent(cell.fixed.passed / cell.fixed.opened.max(1) as f64),
            of(cell.fixed.violated),
            of(cell.live.opened),
            percent(cell.worst),
            of(cell.ever),
            of(cell.naive.violated),
        ]);
    }
    line(&rows.to_string());
    let mut report = Report::new("gate");
    report.figure("sets", arguments.sets);
    report.figure("labels", arguments.labels);
    report.figure("delta", DELTA);
    report.figure("seed", arguments.seed);
    judge(&mut report, cells);
    report.figure("cells", cells.iter().map(Cell::json).collect::<Vec<_>>());
    report
}

fn judge(report: &mut Report, cells: &[Cell]) {
    let worst = |of: fn(&Cell) -> f64| cells.iter().map(of).fold(0.0, f64::max);
    let figures = [
        ("violations_worst", "fixed sequence", worst(|cell| cell.fixed.violated as f64 / cell.sets as f64)),
        ("live_violations_worst", "labels one by one, at the worst label", worst(|cell| cell.worst)),
        ("live_violations_ever_worst", "labels one by one, ever", worst(|cell| cell.ever as f64 / cell.sets as f64)),
    ];
    for (name, what, share) in figures {
        report.figure(name, share);
        report.bar(
            format!("{what}: violations {:.1} % <= 10 % in all of {} cells", share * 100.0, cells.len()),
            share <= DELTA,
        );
    }
    report.figure("naive_violations_worst", worst(|cell| cell.naive.violated as f64 / cell.sets as f64));
    let open = cells.iter().find(|cell| {
        cell.judge == "bertscore_p_article" && (cell.cut - 0.5).abs() < 1e-9 && (cell.alpha - 0.2).abs() < 1e-9
    });
    if let Some(cell) = open {
        let share = cell.fixed.opened as f64 / cell.sets as f64;
        report.figure("bertscore_p_article_opened", share);
        report.bar(
            format!("bertscore_p_article at .5, alpha 20 %: opens in {:.1} % >= 90 %", share * 100.0),
            share >= 0.9,
        );
    }
}

impl Cell {
    fn json(&self) -> Value {
        let ever = self.ever as f64 / self.sets as f64;
        json!({
            "judge": self.judge, "cut": self.cut, "alpha": self.alpha,
            "opened_violated_passed": self.fixed.json(self.sets),
            "naive": self.naive.json(self.sets),
            "live": self.live.json(self.sets), "live_worst": self.worst, "live_ever": ever,
        })
    }
}
