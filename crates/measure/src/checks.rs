//! `measure checks`: what checks cost, and whether promptfoo's assertions mean here what they mean there.

mod promptfoo;
mod speed;

use std::path::PathBuf;

use anyhow::Result;

use crate::children::{block_on, profile};
use crate::report::{Report, line, progress, table};
pub(crate) use speed::compile;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often ten checks are timed
    #[arg(long, default_value_t = 20_000)]
    rounds: usize,
    /// A folder where promptfoo is installed (`npm install promptfoo node-sql-parser`), instead of installing it
    #[arg(long, value_name = "FOLDER")]
    promptfoo: Option<PathBuf>,
    /// Do not ask promptfoo: its bar is missed then
    #[arg(long)]
    without_promptfoo: bool,
}

/// The bars.
const P99_US: f64 = 100.0;
const AGREE: f64 = 0.98;
const FIXTURES_MIN: usize = 120;

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut report = Report::new("checks");
    time(arguments.rounds.max(100), &mut report)?;
    if arguments.without_promptfoo {
        report.bar("promptfoo was asked", false);
        return Ok(report);
    }
    let rows = block_on(promptfoo::compare(arguments.promptfoo.as_deref()))?;
    agreement(&rows, &mut report);
    Ok(report)
}

fn time(rounds: usize, report: &mut Report) -> Result<()> {
    progress("timing ten checks");
    line(&format!("Ten checks on an answer of 4 KB, parsing and schema included, built as {}\n", profile()));
    let mut rows = table(&["answer", "bytes", "median µs", "p99 µs"]);
    for ten in speed::tens()? {
        let times = ten.times(rounds)?;
        let us = |time: std::time::Duration| time.as_secs_f64() * 1e6;
        let (median, p99) = (us(times.median), us(times.p99));
        rows.add_row([ten.name, &ten.bytes().to_string(), &format!("{median:.1}"), &format!("{p99:.1}")]);
        report.figure(&format!("{}_median_us", ten.name), (median * 10.0).round() / 10.0);
        report.figure(&format!("{}_p99_us", ten.name), (p99 * 10.0).round() / 10.0);
        report.bar(format!("ten checks of {}: p99 {p99:.1} µs, at most {P99_US}", ten.name), p99 <= P99_US);
    }
    line(&rows.to_string());
    line("\nEach kind alone, on a letter of 4 KB with an input of 4 KB (median, the rest subtracted)\n");
    let mut rows = table(&["check", "µs"]);
    for (check, took) in speed::alone((rounds / 20).max(50))? {
        rows.add_row([check, format!("{:.1}", took.as_secs_f64() * 1e6)]);
    }
    line(&rows.to_string());
    Ok(())
}

fn agreement(rows: &[promptfoo::Row], report: &mut Report) {
    let differ: Vec<_> = rows.iter().filter(|row| row.ours != row.theirs).collect();
    let documented = rows.iter().filter(|row| row.fixture["pass"].as_bool() == Some(row.theirs == "pass")).count();
    let mut types: Vec<&str> = rows.iter().map(|row| row.name.strip_prefix("not-").unwrap_or(&row.name)).collect();
    types.sort_unstable();
    types.dedup();
    let agree = rows.len() - differ.len();
    let share = f64::from(u32::try_from(agree).unwrap_or(0)) / f64::from(u32::try_from(rows.len()).unwrap_or(1));
    line(&format!("\n{} fixtures of {} types, asked of {}", rows.len(), types.len(), promptfoo::PACKAGE));
    line(&format!("{agree} verdicts agree ({:.1} %); differences:\n", share * 100.0));
    for row in &differ {
        line(&format!("{}: {} here, {} there ({})\n  {}", row.name, row.ours, row.theirs, row.reason, row.fixture));
    }
    let scores: Vec<_> = rows.iter().filter(|row| row.ours == row.theirs && row.score > 1e-6).collect();
    for row in &scores {
        line(&format!("{}: same verdict, scores differ by {:.4}\n  {}", row.name, row.score, row.fixture));
    }
    report.figure("promptfoo", promptfoo::PACKAGE);
    report.figure("fixtures", rows.len());
    report.figure("types", types.len());
    report.figure("agree", agree);
    report.figure("scores_differ", scores.len());
    report.figure("as_documented_by_hand", documented);
    let known: Vec<&str> = baton_eval::PROMPTFOO_TYPES.to_vec();
    report.bar(format!("fixtures: {}, at least {FIXTURES_MIN}", rows.len()), rows.len() >= FIXTURES_MIN);
    report.bar(format!("every type that is read has fixtures: {} of {}", types.len(), known.len()), types == known);
    report.bar(
        format!("verdicts agree with promptfoo: {:.1} %, at least {:.0} %", share * 100.0, AGREE * 100.0),
        share >= AGREE,
    );
}
