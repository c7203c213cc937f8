//! `measure storage`: what holds the records fails, and what the callers and the operators see.
//!
//! The real engine, gateway, journal and SQLite over real sockets and a real disk; only the models are
//! simulated. Each row says what was stated (docs/journal-and-store.md), what the callers got, and where
//! the state showed. Every execution that was answered must have its one record in the end.

mod ground;
mod scenes;

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::children::{block_on, profile};
use crate::report::{Report, line, progress};
use crate::wall;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only rows whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// What came of a failure.
pub(crate) struct Row {
    name: &'static str,
    policy: &'static str,
    got: String,
    shown: String,
    kept: String,
    /// What is wrong; nothing where it passed.
    wrong: Vec<String>,
}

impl Row {
    fn new(name: &'static str, policy: &'static str) -> Self {
        Self { name, policy, got: String::new(), shown: String::new(), kept: String::new(), wrong: Vec::new() }
    }

    fn must(&mut self, holds: bool, wrong: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(wrong());
        }
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let wanted = |name: &str| arguments.only.as_deref().is_none_or(|text| name.contains(text));
    let mut rows = Vec::new();
    if wanted("the store is down") {
        progress("the store is down");
        rows.push(scenes::store_down().await?);
    }
    if wanted("the journal is at its bound") {
        progress("the journal is at its bound");
        rows.push(scenes::journal_full().await?);
    }
    if wanted("the disk is full") {
        progress("the disk is full");
        rows.push(scenes::disk_full().await?);
    }
    if wanted("the clock is stepped back") {
        progress("the clock is stepped back");
        rows.push(clock().await?);
    }
    Ok(report(&rows))
}

/// The wall's own row: a real `baton serve` whose wall clock goes back by an hour in the middle of
/// calls. A library that is loaded before it (LD_PRELOAD) answers `clock_gettime` for it.
async fn clock() -> Result<Row> {
    let mut row = Row::new("the clock is stepped back", "answers go on: deadlines count on the monotonic clock");
    let seen = wall::clock_back().await?;
    (row.got, row.kept, row.shown) = (seen.got, format!("{} records", seen.record), "nothing to show".into());
    row.wrong = seen.wrong;
    Ok(row)
}

fn report(rows: &[Row]) -> Report {
    let mut report = Report::new("storage");
    line("What holds the records fails. The models are simulated; engine, gateway, journal, SQLite and disk are real.");
    line(&format!("built as {}\n", profile()));
    let mut table = crate::report::table(&["what fails", "stated", "callers got", "shown in", "records", ""]);
    for row in rows {
        let verdict = if row.wrong.is_empty() { "PASS" } else { "FAIL" };
        table.add_row([row.name, row.policy, &row.got, &row.shown, &row.kept, verdict]);
    }
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic).set_width(160);
    line(&table.to_string());
    for row in rows {
        row.wrong.iter().for_each(|wrong| line(&format!("FAIL {}: {wrong}", row.name)));
        report.bar(format!("{}: {}", row.name, row.policy), row.wrong.is_empty());
    }
    report.figure("rows", rows.len());
    report.figure("passed", rows.iter().filter(|row| row.wrong.is_empty()).count());
    report.figure("simulated_models", true);
    report
}

/// A small file system of its own, gone with this.
struct Small(tempfile::TempDir);

impl Small {
    /// # Errors
    /// Where mounting is not permitted, and what to do then.
    async fn mount(megabytes: u32) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let size = format!("size={megabytes}m,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path());
        let done = mount.output().await.context("cannot start `mount`")?;
        if !done.status.success() {
            bail!(
                "this row fills a small tmpfs, and mounting one is not permitted here ({}): run it as root, or the \
                 other rows alone with --only",
                String::from_utf8_lossy(&done.stderr).trim()
            );
        }
        Ok(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: what still has a file open there keeps it until it ends.
        let _unmounted = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}
