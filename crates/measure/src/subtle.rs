//! Subtle errors, planted into real answers: what each signal detects, and what the fused gate does with all.
//!
//! Every answer is judged by gates that were directed, fitted and given a threshold on other folds, in which there
//! is nothing of its meeting; what they say of all answers is counted together (cross-fitting).

mod bills;
mod contest;
mod meeting_signals;
mod meetings;
mod words;

use std::collections::HashSet;

use anyhow::ensure;
use baton_eval::Checks;
use baton_stats::SplitMix64;
use serde_json::{Value, json};

use crate::checks::compile;
use crate::parallel::parallel;
use crate::report::{Report, line, progress, table};
use crate::sroie::receipts::{self, Receipt};
use contest::{Behind, Fold, Group, Outcome, Set, contest};
use meetings::Meeting;

const MEETINGS: &str = "QMSum (Zhong et al., NAACL 2021), 358 queries, passages of meetings and summaries";

/// Folds, by stretches of meetings or by receipts, each to the next fold in the order of the file.
const FOLDS: usize = 5;

/// How many errors, and how strict the gates.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Errors of each kind in each answer that has something to be wrong about
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=100))]
    plants: u64,
    /// Share of the true answers that every gate may block
    #[arg(long, default_value_t = 0.05)]
    blocks: f64,
    /// Draws of the paired bootstrap
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    draws: u64,
    /// Of the planted errors, and one more for the bootstrap
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    ensure!(arguments.blocks > 0.0 && arguments.blocks < 0.5, "--blocks lies above 0 and below 0.5");
    let sets =
        [(of_meetings(&arguments)?, meeting_signals::CHECKS.len()), (of_bills(&arguments)?, bills::CHECKS.len())];
    intro(&arguments);
    let mut report = Report::new("subtle");
    report.figure("judges", "none: only signals that need no model");
    report.figure("answers", "written by people; the errors are planted");
    report.figure("false_blocks_wanted", arguments.blocks);
    report.figure("plants_each", arguments.plants);
    report.figure("seed", arguments.seed);
    report.figure("folds", FOLDS);
    for (set, checks) in sets {
        progress(&format!("{}: fits, thresholds and {} bootstrap draws", set.name, arguments.draws));
        let draws = (arguments.draws as usize, arguments.seed + 1);
        let outcomes = contest(&set, checks, arguments.blocks, draws)?;
        show(&set, &outcomes);
        bars(&mut report, &set, &outcomes);
    }
    Ok(report)
}

fn intro(arguments: &Arguments) {
    let Arguments { plants, blocks, seed, .. } = arguments;
    line(&format!("subtle: errors planted into real answers, {plants} of each kind in each; every gate may block"));
    line(&format!(
        "{:.0} % of the true ones. No judge: no model runs here, and none is simulated. Signals are",
        100.0 * blocks
    ));
    line("baton-eval's checks and the measure's own features; the fused gate is a baton_stats::Fusion of how unusual");
    line(&format!(
        "each is. {FOLDS} folds, in each of which there is nothing of another one's meetings: every answer is judged by"
    ));
    line("gates that were directed, fitted and given a threshold on the other four, the fused gate's from parts of");
    line(
        "them that it was not fitted on; the tables count all answers. \"As wanted\" blocks exactly that share of all",
    );
    line("true answers: each fold's threshold is the quantile of the other folds' true answers that does that.");
    line(&format!(
        "seeds: errors {seed}, bootstrap {} over answers with all their errors (in brackets), and over",
        seed + 1
    ));
    line("stretches of meetings where there are such (behind them)");
}

/// The scores of an intent's own checks, in their order.
fn scores(checks: &Checks, output: &Value, input: &Value, count: usize) -> Vec<f64> {
    let results = checks.judge_output(output, input);
    // The kind's own gate stands before them.
    let own = &results[results.len().saturating_sub(count)..];
    own.iter().map(|result| result.score.unwrap_or(f64::from(result.passed))).collect()
}

/// The planted errors of one answer, each kind some times.
fn planted<T>(
    (fold, at): (usize, usize),
    kinds: usize,
    arguments: &Arguments,
    plant: impl Fn(usize, &mut SplitMix64) -> Option<T>,
) -> Vec<(usize, T)> {
    let mut random = SplitMix64::new(arguments.seed).fork(fold as u64).fork(at as u64);
    let each = (0..kinds).flat_map(|kind| (0..arguments.plants).map(move |_| kind));
    each.filter_map(|kind| Some((kind, plant(kind, &mut random)?))).collect()
}

/// Puts each into the fold of its number.
fn folded<T>(all: impl Iterator<Item = (usize, T)>) -> Vec<Vec<T>> {
    let mut pools: Vec<Vec<T>> = (0..FOLDS).map(|_| Vec::new()).collect();
    all.for_each(|(number, one)| pools[number % FOLDS].push(one));
    pools
}

/// For each fold its groups and those of all others, as they are seen with what the others teach: `groups` is
/// asked for those of a pool beside the fold that is judged.
fn folds(mut groups: impl FnMut(usize, usize) -> Vec<Group>) -> Vec<Fold> {
    let fold = |judged: usize| {
        let train = (0..FOLDS).filter(|pool| *pool != judged).flat_map(|pool| groups(pool, judged)).collect();
        Fold { train, test: groups(judged, judged) }
    };
    (0..FOLDS).map(fold).collect()
}

fn of_meetings(arguments: &Arguments) -> anyhow::Result<Set> {
    progress("QMSum: errors and signals");
    let all = meetings::read(&crate::data::file("qmsum", "summaries.jsonl", MEETINGS)?)?;
    let pools: Vec<Vec<Meeting>> = folded(all.into_iter().map(|meeting| (meeting.stretch, meeting)));
    let checks = compile(&meeting_signals::CHECKS, None)?;
    // Foreign names and sentences come from the same fold, so that no fold has anything of another.
    let errors = |fold: usize, at: usize| {
        planted((fold, at), meetings::KINDS.len(), arguments, |kind, r| meetings::plant(kind, at, &pools[fold], r))
    };
    let folds = folds(|pool, judged| {
        let others = pools.iter().enumerate().filter(|(fold, _)| *fold != judged).flat_map(|(_, pool)| pool);
        let rarity = meeting_signals::Rarity::of(others);
        parallel(&pools[pool], |at, meeting| {
            let source = meeting_signals::Source::of(meeting, &rarity);
            let bad = errors(pool, at).into_iter();
            Group {
                cluster: meeting.stretch,
                good: source.signals(&checks, &meeting.summary),
                bad: bad.map(|(kind, made)| (kind, source.signals(&checks, &made))).collect(),
            }
        })
    });
    let signals = meeting_signals::SIGNALS.to_vec();
    Ok(Set { name: "QMSum", signals, kinds: meetings::KINDS.to_vec(), folds })
}

fn of_bills(arguments: &Arguments) -> anyhow::Result<Set> {
    progress("SROIE: errors and signals");
    let mut all = receipts::read(&crate::data::file("sroie", "receipts.jsonl", crate::sroie::SOURCE)?)?;
    // One text in two folds would be no test.
    let mut texts = HashSet::new();
    all.retain(|receipt| texts.insert(receipt.text.clone()));
    let pools: Vec<Vec<Receipt>> = folded(all.into_iter().enumerate());
    let schema = json!({
        "type": "object",
        "properties": { "company": {"type": "string"}, "date": {"type": "string"}, "address": {"type": "string"},
            "total": {"type": "string"} },
    });
    let checks = compile(&bills::CHECKS, Some(&schema))?;
    let folds = folds(|pool, judged| {
        let others = pools.iter().enumerate().filter(|(fold, _)| *fold != judged).flat_map(|(_, pool)| pool);
        let mut usage = bills::Usage::of(others);
        let train = pool != judged;
        let mut group = |(at, receipt): (usize, &Receipt)| {
            if train {
                usage.turn(receipt, -1.0);
            }
            let bad =
                planted((pool, at), bills::KINDS.len(), arguments, |kind, r| bills::plant(kind, at, &pools[pool], r));
            let signals = |fields| bills::signals(&checks, &usage, receipt, fields);
            let good = signals(&receipt.fields);
            let bad = bad.iter().map(|(kind, made)| (*kind, signals(made))).collect();
            if train {
                usage.turn(receipt, 1.0);
            }
            Group { cluster: at * FOLDS + pool, good, bad }
        };
        pools[pool].iter().enumerate().map(&mut group).collect()
    });
    Ok(Set { name: "SROIE", signals: bills::SIGNALS.to_vec(), kinds: bills::KINDS.to_vec(), folds })
}

fn show(set: &Set, outcomes: &[Outcome]) {
    let errors = set.tested().map(|group| group.bad.len()).sum::<usize>();
    let sizes: Vec<String> = set.folds.iter().map(|fold| fold.test.len().to_string()).collect();
    line(&format!(
        "\n{}: {} answers and {errors} errors, folds of {}",
        set.name,
        set.tested().count(),
        sizes.join(", ")
    ));
    let mut rows = table(&[
        "all folds, %",
        "false blocks",
        "detected",
        "fused detects more",
        "detected, false blocks as wanted",
        "fused detects more",
    ]);
    for outcome in outcomes {
        let behind = |way: usize| outcome.behind.map_or_else(String::new, |behind| interval(behind[way]));
        rows.add_row([
            outcome.name.clone(),
            percent(outcome.false_blocks),
            percent(outcome.detected),
            behind(0),
            percent(outcome.matched),
            behind(1),
        ]);
    }
    line(&rows.to_string());
    let mut rows = table(&["detected by kind, %", "errors", "fused gate", "of the checks only", "best single signal"]);
    for (kind, name) in set.kinds.iter().enumerate() {
        let count = set.tested().flat_map(|group| &group.bad).filter(|bad| bad.0 == kind).count();
        let singles = outcomes[2..].iter().map(|one| (one.by_kind[kind], &one.name));
        let best = singles.max_by(|a, b| a.0.total_cmp(&b.0));
        rows.add_row([
            (*name).to_owned(),
            count.to_string(),
            percent(outcomes[0].by_kind[kind]),
            percent(outcomes[1].by_kind[kind]),
            best.map_or_else(String::new, |(share, name)| format!("{} ({name})", percent(share))),
        ]);
    }
    line("");
    line(&rows.to_string());
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

fn interval(one: Behind) -> String {
    let [low, high] = one.answers.map(|end| 100.0 * end);
    let [least, most] = one.clusters.map(|end| 100.0 * end);
    format!("{:+.1} [{low:+.1}, {high:+.1}] {least:+.1}, {most:+.1}", 100.0 * one.mean)
}

fn bars(report: &mut Report, set: &Set, outcomes: &[Outcome]) {
    let ways = ["thresholds from the other folds", "false blocks of all as wanted"];
    for (way, how) in ways.iter().enumerate() {
        let behind = outcomes[2..].iter().filter_map(|one| Some((one.behind?[way], &one.name)));
        let Some((least, name)) = behind.min_by(|a, b| a.0.answers[0].total_cmp(&b.0.answers[0])) else { continue };
        report.bar(
            format!(
                "{}, {how}: the fused gate detects more than each of {} signals; least more than {name}: {} points",
                set.name,
                set.signals.len(),
                interval(least)
            ),
            least.answers[0] > 0.0,
        );
    }
    let json = |one: &Outcome| {
        let way = |way: usize| {
            one.behind.map(|behind| {
                let Behind { mean, answers, clusters } = behind[way];
                json!({ "mean": mean, "over_answers": answers, "over_stretches": clusters })
            })
        };
        let kinds: Value =
            set.kinds.iter().zip(&one.by_kind).map(|(kind, share)| ((*kind).to_owned(), *share)).collect();
        json!({
            "name": one.name, "false_blocks": one.false_blocks, "detected": one.detected,
            "detected_at_wanted": one.matched, "by_kind": kinds, "fused_more": way(0), "fused_more_at_wanted": way(1),
        })
    };
    report.figure(set.name, outcomes.iter().map(json).collect::<Vec<_>>());
}
