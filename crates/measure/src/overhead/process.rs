//! What a process has cost, from `/proc`.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

/// Linux counts processor time in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
/// A process that spends less than a tenth of this time working is at rest.
const REST: Duration = Duration::from_millis(500);
/// Longer than this nobody waits.
const PATIENCE: Duration = Duration::from_secs(120);

/// Processor time of all threads of a process so far, in user and kernel mode.
pub(crate) struct Cpu(Duration);

impl Cpu {
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("a contestant has ended")?;
        // The name is in brackets and may hold anything; utime and stime are fields 14 and 15.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3).and_then(|ticks| ticks.parse::<u32>().ok());
        let ticks = ticks(14).zip(ticks(15)).context("/proc/PID/stat has another shape than expected")?;
        Ok(Self(TICK * (ticks.0 + ticks.1)))
    }

    pub(crate) fn so_far(&self) -> Duration {
        self.0
    }

    pub(super) fn since(&self, before: &Self) -> Duration {
        self.0.saturating_sub(before.0)
    }
}

/// Waits until a process is at rest; how long that took.
pub(super) async fn settle(pid: u32) -> Result<Duration> {
    let started = Instant::now();
    loop {
        let before = Cpu::of(pid)?;
        sleep(REST).await;
        if Cpu::of(pid)?.since(&before) * 10 < REST || started.elapsed() > PATIENCE {
            return Ok(started.elapsed().saturating_sub(REST));
        }
    }
}
