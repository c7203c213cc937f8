//! `cargo xtask simulate`: random traffic and faults on the paused clock, through the real engine and
//! the real codecs over the simulator's in-memory transport. Every invariant of ARCHITECTURE.md is
//! checked after each seed; a seed that breaks one is printed and replays.

mod budgets;
mod cascades;
mod check;
mod dice;
mod intents;
mod journal;
mod judges;
mod models;
mod places;
mod run;
mod tally;
mod tap;
mod traffic;
mod transcript;
mod world;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::overhead::Cpu;
use crate::report::{Report, line, progress};
use check::Violation;
use run::Ran;
use tally::Tally;

/// The first seeds are run twice, and must give the same journal to the byte.
const TWICE: u64 = 8;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many worlds [default: 100; 1 with --seed]
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed: alone it replays one world
    #[arg(long)]
    seed: Option<u64>,
    /// Calls in each world, at least
    #[arg(long, default_value_t = 220)]
    calls: usize,
    /// Broken worlds that are printed in full
    #[arg(long, default_value_t = 3)]
    shown: usize,
}

/// What one seed gave.
struct Outcome {
    seed: u64,
    tally: Tally,
    /// With what a person needs to understand it.
    violations: Vec<(Violation, String)>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    let first = arguments.seed.unwrap_or(1);
    let seeds = arguments.seeds.unwrap_or(if arguments.seed.is_some() { 1 } else { 100 });
    let began = Instant::now();
    let mut all = Tally::default();
    let mut failing = Vec::new();
    for outcome in outcomes(first, seeds, arguments.calls)? {
        let outcome = outcome?;
        if !outcome.violations.is_empty() {
            failing.push(outcome.seed);
        }
        for (violation, transcript) in &outcome.violations {
            if failing.len() <= arguments.shown {
                progress(&format!("seed {}: {violation}\n{transcript}", outcome.seed));
                progress(&format!("replay with: cargo xtask simulate --seed {}\n", outcome.seed));
            }
        }
        all.add(&outcome.tally);
        step(&all, seeds, failing.len(), began.elapsed());
    }
    Ok(report(&all, &failing, seeds, began.elapsed()))
}

/// Runs the seeds on all processors; outcomes come as they are ready.
fn outcomes(first: u64, seeds: u64, calls: usize) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Outcome>>> {
    let (sender, outcomes) = mpsc::channel();
    let next = std::sync::Arc::new(AtomicU64::new(0));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(seeds as usize).max(1);
    for _ in 0..threads {
        let (sender, next) = (sender.clone(), next.clone());
        std::thread::Builder::new().name("simulate".into()).spawn(move || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= seeds || sender.send(one(first + number, calls, number < TWICE)).is_err() {
                    return;
                }
            }
        })?;
    }
    Ok(outcomes.into_iter())
}

/// Runs one seed, and where `twice` once more to compare.
fn one(seed: u64, calls: usize, twice: bool) -> anyhow::Result<Outcome> {
    let ran = run::seed(seed, calls)?;
    let mut violations = check::all(&ran);
    if twice {
        violations.extend(check::same(&ran, &run::seed(seed, calls)?));
    }
    let explain = |violation: Violation| {
        let transcript = violation.execution.map(|id| transcript::of(&ran, id)).unwrap_or_default();
        (violation, transcript)
    };
    let violations = violations.into_iter().map(explain).collect();
    Ok(Outcome { seed, tally: Tally::of(&ran), violations })
}

fn step(all: &Tally, seeds: u64, failing: usize, took: Duration) {
    if all.seeds.is_multiple_of(50) || all.seeds == seeds {
        let rate = all.calls as f64 / took.as_secs_f64();
        progress(&format!("{} of {seeds} seeds, {} calls, {rate:.0}/s, {failing} seeds broken", all.seeds, all.calls));
    }
}

fn report(all: &Tally, failing: &[u64], seeds: u64, took: Duration) -> Report {
    let mut report = Report::new("simulate");
    line("Simulated models, clock, journal and clients; the engine, its cache and its codecs are the real ones.");
    all.table();
    for seed in failing.iter().take(20) {
        line(&format!("broken: seed {seed}; replay with: cargo xtask simulate --seed {seed}"));
    }
    all.figures(&mut report);
    report.figure("seconds", (took.as_secs_f64() * 10.0).round() / 10.0);
    if let Ok(cpu) = Cpu::of(std::process::id()) {
        report.figure("processor_seconds", cpu.so_far().as_secs());
    }
    report.figure("broken_seeds", failing.to_vec());
    report.bar(format!("every invariant holds in all of {seeds} worlds"), failing.is_empty());
    report.bar("at least 200 calls a seed", all.calls >= 200 * seeds);
    if seeds >= 100 {
        report.bar("every kind of fault, way and outcome came up", all.missing().is_empty());
        all.missing().iter().for_each(|missing| line(&format!("never came up: {missing}")));
    }
    if seeds >= 1000 {
        report.bar("3,000 seeds within 8 minutes", took < Duration::from_secs(160) * (seeds / 1000) as u32);
    }
    report
}

impl Ran {
    /// Microseconds of virtual time as a person reads them.
    fn at(us: u64) -> String {
        format!("{}.{:03} ms", us / 1000, us % 1000)
    }
}
