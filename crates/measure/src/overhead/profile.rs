//! Where the time of a process goes, sampled by `perf` while it is under load.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use super::contestants::Contestant;
use super::wrk::{self, Load};
use crate::report::{line, progress};

/// Samples a second: no round number, so that it does not beat with timers.
const RATE: &str = "997";
/// Rows of a table.
const ROWS: usize = 25;

/// Samples, by one of their properties.
type Counts = HashMap<String, usize>;

/// Puts the load on the contestant, and prints by thread, by part and by function where its time
/// went. `keep` is where perf's own file goes.
pub(super) async fn show(contestant: &Contestant, load: Load, folder: &Path, keep: Option<&Path>) -> Result<()> {
    progress("profile");
    let seconds = load.duration.as_secs().saturating_sub(2).max(1).to_string();
    let data = keep.map_or_else(|| folder.join("perf.data"), Path::to_owned);
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--event", "cpu-clock", "--freq", RATE, "--pid"])
        .arg(contestant.pid()?.to_string());
    perf.arg("--output").arg(&data).args(["--", "sleep", &seconds]).kill_on_drop(true);
    let (loaded, recorded) = tokio::join!(wrk::run(&load), perf.output());
    loaded?;
    let recorded = recorded.context("perf is not there: install it (Debian: linux-perf), or leave --profile out")?;
    if !recorded.status.success() {
        bail!("perf cannot record here: {}", String::from_utf8_lossy(&recorded.stderr));
    }
    let mut script = Command::new("perf");
    let output = script.args(["script", "--fields", "comm,ip,sym,dso", "--input"]).arg(&data).output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let samples: Vec<Sample<'_>> = text.lines().filter_map(Sample::read).collect();
    if samples.is_empty() {
        bail!("perf sampled nothing: {}", String::from_utf8_lossy(&output.stderr));
    }
    line(&format!(
        "\nWhere {}'s time goes at c={}: {} samples, each function by itself",
        contestant.name,
        load.connections,
        samples.len()
    ));
    table("by thread", &samples, |sample| sample.thread.to_owned());
    table("by part", &samples, |sample| sample.part().to_owned());
    table("by function", &samples, |sample| format!("{} ({})", shortened(sample.function), sample.part()));
    Ok(())
}

/// One sample.
struct Sample<'a> {
    thread: &'a str,
    function: &'a str,
    kernel: bool,
}

impl<'a> Sample<'a> {
    /// `thread  address function (object)`.
    fn read(line: &'a str) -> Option<Self> {
        let (thread, rest) = line.trim().split_once(' ')?;
        let (_, rest) = rest.trim_start().split_once(' ')?;
        let (function, object) = rest.rsplit_once(" (")?;
        Some(Self { thread, function, kernel: object.starts_with("[kernel") || object.starts_with("[vdso") })
    }

    /// The crate of a function, or what stands for it.
    fn part(&self) -> &'a str {
        let name = self.function.trim_start_matches(['<', '&', '*', '(', ' ']).trim_start_matches("mut ");
        let name = name.strip_prefix("dyn ").unwrap_or(name);
        match name.split_once("::") {
            _ if self.kernel => "the kernel",
            Some((krate @ ("core" | "alloc" | "std" | "hashbrown"), _)) => inner(name).unwrap_or(krate),
            Some((krate, _)) => krate,
            None if name.starts_with("sqlite3") || name.contains("Btree") || name.contains("pager") => "sqlite",
            None if name.starts_with("_rjem_") || name.starts_with("tcache_") => "jemalloc",
            None if matches!(name, "malloc" | "calloc" | "realloc" | "mallocx" | "sdallocx" | "free") => "jemalloc",
            None if name.starts_with("mem") || name.starts_with("__mem") => "memcpy and the like",
            None => "C and others",
        }
    }
}

/// Whose type a generic function of the standard library is about, where it says so.
fn inner(name: &str) -> Option<&str> {
    let (_, of) = name.split_once('<')?;
    let krate = of.trim_start_matches(['<', '&', '(']).split_once("::")?.0;
    let plain = krate.chars().all(|c| c.is_alphanumeric() || c == '_');
    (plain && !matches!(krate, "core" | "alloc" | "std")).then_some(krate)
}

fn shortened(function: &str) -> String {
    const MAX: usize = 90;
    if function.chars().count() <= MAX {
        function.to_owned()
    } else {
        function.chars().take(MAX).chain(['…']).collect()
    }
}

fn table(title: &str, samples: &[Sample<'_>], by: impl Fn(&Sample<'_>) -> String) {
    let mut counts = Counts::new();
    for sample in samples {
        *counts.entry(by(sample)).or_default() += 1;
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    line(&format!("\n  {title}"));
    for (name, count) in counts.iter().take(ROWS) {
        line(&format!("  {:>6.1} %  {name}", *count as f64 * 100.0 / samples.len() as f64));
    }
}
