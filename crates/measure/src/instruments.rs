//! What the machine itself does meanwhile: how busy it is, and how late it wakes a thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// How long the control timer sleeps at a time.
const NAP: Duration = Duration::from_millis(5);

/// The share of the machine that was busy.
pub(crate) struct Busy((u64, u64));

impl Busy {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self(Self::read()?))
    }

    pub(crate) fn stop(self) -> Result<f64> {
        let (idle, all) = Self::read()?;
        let (idle, all) = (idle - self.0.0, all - self.0.1);
        Ok(1.0 - idle as f64 / all.max(1) as f64)
    }

    /// Idle and all ticks of all processors since the start of the machine.
    fn read() -> Result<(u64, u64)> {
        let stat = std::fs::read_to_string("/proc/stat").context("this measure reads /proc/stat")?;
        let ticks: Vec<u64> =
            stat.lines().next().unwrap_or_default().split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let idle = ticks.get(3).copied().unwrap_or_default() + ticks.get(4).copied().unwrap_or_default();
        Ok((idle, ticks.iter().take(8).sum()))
    }
}

/// A thread that sleeps again and again: nobody can be more punctual than that.
pub(crate) struct ControlTimer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<f64>>,
}

impl ControlTimer {
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut lags_ms = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let slept = Instant::now();
                std::thread::sleep(NAP);
                lags_ms.push((slept.elapsed() - NAP).as_secs_f64() * 1000.0);
            }
            lags_ms
        });
        Self { stop, thread }
    }

    /// How late it woke each time, in milliseconds.
    pub(crate) fn stop(self) -> Result<Vec<f64>> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow::anyhow!("the control timer ended in a panic"))
    }
}

/// The value that this share does not exceed: the nearest rank, no interpolation.
pub(crate) fn at(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil().max(1.0) as usize;
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

pub(crate) fn round(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}
