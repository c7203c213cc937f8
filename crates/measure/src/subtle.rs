//! Subtle errors, planted into real answers: what each signal detects, and what the fused gate does with all.

mod bills;
mod contest;
mod meeting_signals;
mod meetings;
mod words;

use anyhow::ensure;
use baton_eval::Checks;
use baton_stats::SplitMix64;
use serde_json::{Value, json};

use crate::checks::compile;
use crate::parallel::parallel;
use crate::report::{Report, line, progress, table};
use crate::sroie::receipts::{self, Receipt};
use contest::{Group, Interval, Outcome, Set, contest};
use meetings::Meeting;

const MEETINGS: &str = "QMSum (Zhong et al., NAACL 2021), 358 queries, passages of meetings and summaries";

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
    line(&format!(
        "subtle: errors planted into real answers, {} of each kind in each; every gate may block {:.0} % of the true ones",
        arguments.plants,
        100.0 * arguments.blocks
    ));
    line("no judge: no model runs here, and none is simulated. Signals are baton-eval's checks and the measure's own");
    line(
        "features; the fused gate is a baton_stats::Fusion of how unusual each is. Fits, directions, thresholds on train only,",
    );
    line("the fused gate's threshold from folds that it was not fitted on; the table is the test part");
    line(&format!(
        "seeds: errors {}, bootstrap {} over answers with all their errors",
        arguments.seed,
        arguments.seed + 1
    ));
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
    at: usize,
    kinds: usize,
    arguments: &Arguments,
    plant: impl Fn(usize, &mut SplitMix64) -> Option<T>,
) -> Vec<(usize, T)> {
    let mut random = SplitMix64::new(arguments.seed).fork(at as u64);
    let each = (0..kinds).flat_map(|kind| (0..arguments.plants).map(move |_| kind));
    each.filter_map(|kind| Some((kind, plant(kind, &mut random)?))).collect()
}

fn of_meetings(arguments: &Arguments) -> anyhow::Result<Set> {
    progress("QMSum: errors and signals");
    let parts = meetings::read(&crate::data::file("qmsum", "summaries.jsonl", MEETINGS)?)?;
    let checks = compile(&meeting_signals::CHECKS, None)?;
    let rarity = meeting_signals::Rarity::of(&parts[0]);
    let groups = |pool: &Vec<Meeting>| {
        parallel(pool, |at, meeting| {
            let source = meeting_signals::Source::of(meeting, &rarity);
            let bad = planted(at, meetings::KINDS.len(), arguments, |kind, r| meetings::plant(kind, at, pool, r));
            Group {
                good: source.signals(&checks, &meeting.summary),
                bad: bad.into_iter().map(|(kind, made)| (kind, source.signals(&checks, &made))).collect(),
            }
        })
    };
    Ok(Set {
        name: "QMSum",
        signals: meeting_signals::SIGNALS.to_vec(),
        kinds: meetings::KINDS.to_vec(),
        train: groups(&parts[0]),
        test: groups(&parts[1]),
    })
}

fn of_bills(arguments: &Arguments) -> anyhow::Result<Set> {
    progress("SROIE: errors and signals");
    let mut all = receipts::read(&crate::data::file("sroie", "receipts.jsonl", crate::sroie::SOURCE)?)?;
    let test = all.split_off(all.len() / 2);
    // A text that train has too would be no test.
    let test: Vec<Receipt> = test.into_iter().filter(|one| all.iter().all(|other| other.text != one.text)).collect();
    let schema = json!({
        "type": "object",
        "properties": { "company": {"type": "string"}, "date": {"type": "string"}, "address": {"type": "string"},
            "total": {"type": "string"} },
    });
    let checks = compile(&bills::CHECKS, Some(&schema))?;
    let mut usage = bills::Usage::of(&all);
    let mut groups = |pool: &[Receipt], train: bool| -> Vec<Group> {
        let mut group = |(at, receipt): (usize, &Receipt)| {
            if train {
                usage.turn(receipt, -1.0);
            }
            let bad = planted(at, bills::KINDS.len(), arguments, |kind, r| bills::plant(kind, at, pool, r));
            let signals = |fields| bills::signals(&checks, &usage, receipt, fields);
            let good = signals(&receipt.fields);
            let bad = bad.iter().map(|(kind, made)| (*kind, signals(made))).collect();
            if train {
                usage.turn(receipt, 1.0);
            }
            Group { good, bad }
        };
        pool.iter().enumerate().map(&mut group).collect()
    };
    Ok(Set {
        name: "SROIE",
        signals: bills::SIGNALS.to_vec(),
        kinds: bills::KINDS.to_vec(),
        train: groups(&all, true),
        test: groups(&test, false),
    })
}

fn show(set: &Set, outcomes: &[Outcome]) {
    let errors = |groups: &[Group]| groups.iter().map(|group| group.bad.len()).sum::<usize>();
    line(&format!(
        "\n{}: train {} answers and {} errors, test {} and {}",
        set.name,
        set.train.len(),
        errors(&set.train),
        set.test.len(),
        errors(&set.test)
    ));
    let mut rows = table(&[
        "on test, %",
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
        let count = set.test.iter().flat_map(|group| &group.bad).filter(|bad| bad.0 == kind).count();
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

fn interval(one: Interval) -> String {
    format!("{:+.1} [{:+.1}, {:+.1}]", 100.0 * one.mean, 100.0 * one.low, 100.0 * one.high)
}

fn bars(report: &mut Report, set: &Set, outcomes: &[Outcome]) {
    let ways = ["thresholds from train", "false blocks on test as wanted"];
    for (way, how) in ways.iter().enumerate() {
        let behind = outcomes[2..].iter().filter_map(|one| Some((one.behind?[way], &one.name)));
        let Some((least, name)) = behind.min_by(|a, b| a.0.low.total_cmp(&b.0.low)) else { continue };
        report.bar(
            format!(
                "{}, {how}: the fused gate detects more than each of {} signals; least more than {name}: {} points",
                set.name,
                set.signals.len(),
                interval(least)
            ),
            least.low > 0.0,
        );
    }
    let json = |one: &Outcome| {
        let way = |way: usize| one.behind.map(|behind| [behind[way].mean, behind[way].low, behind[way].high]);
        let kinds: Value =
            set.kinds.iter().zip(&one.by_kind).map(|(kind, share)| ((*kind).to_owned(), *share)).collect();
        json!({
            "name": one.name, "false_blocks": one.false_blocks, "detected": one.detected,
            "detected_at_wanted": one.matched, "by_kind": kinds, "fused_more": way(0), "fused_more_at_wanted": way(1),
        })
    };
    report.figure(set.name, outcomes.iter().map(json).collect::<Vec<_>>());
}
