//! What `cargo xtask measure`, `bench` and `simulate` run: every figure of the project, reproducible.
//!
//! Each measure sets up what it needs, shows progress on standard error, prints a readable table,
//! and ends with one line of JSON. The exit status is 0 only where every bar of it holds.

mod banking77;
mod batch;
mod budgets;
mod cache;
mod checks;
mod children;
mod client;
mod crash;
mod data;
mod deadline;
mod drift;
mod floor;
mod frank;
mod gate;
mod ground;
mod hedge;
mod hook;
mod house;
mod instruments;
mod intervals;
mod isolation;
mod judge;
mod lookup;
mod mutations;
mod outage;
mod overhead;
mod overload;
mod pairs;
mod parallel;
mod paused;
mod prices;
mod qqp;
mod records;
mod report;
mod rollout;
mod route;
mod scenario;
mod simulate;
mod sroie;
mod storage;
mod subtle;
mod trace;
mod wall;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::Report;

/// Reproduce the figures of Baton.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure a promise
    Measure {
        #[command(subcommand)]
        name: Measure,
    },
    /// Measure speed, beside peers
    Bench {
        #[command(subcommand)]
        name: Bench,
    },
    /// Random traffic and faults on the paused clock, every invariant checked
    Simulate(simulate::Arguments),
    /// A contestant of `bench overhead`
    #[command(hide = true)]
    Proxy(overhead::proxy::Arguments),
}

#[derive(Subcommand)]
enum Measure {
    /// Real bank queries through `execute` with the built-in model
    Banking77(banking77::Arguments),
    /// Real receipts with a stated share of invented values
    Sroie(sroie::Arguments),
    /// Ten kills under load: no record lost, none double
    Crash(crash::Arguments),
    /// 2,000 executions against models that hang, trickle, refuse and fail
    Deadline(deadline::Arguments),
    /// 500 concurrent calls against budgets and rate limits for 100
    Budgets(budgets::Arguments),
    /// What asking a second model costs, and what the slowest callers gain
    Hedge(hedge::Arguments),
    /// A model is gone for a while: what its callers lose, probes, and its return
    Outage(outage::Arguments),
    /// Store, journal, disk or clock fail: what callers get, and where it shows
    Storage(storage::Arguments),
    /// Twice the calls that the models hold: goodput, deadlines, fairness
    Overload(overload::Arguments),
    /// Every fault of models, network and machine over real sockets
    Wall(wall::Arguments),
    /// A trace with a fallback, a hedge and a check in real OTLP receivers
    Trace(trace::Arguments),
    /// 95 % intervals of quality from real judges and people: coverage and width
    Intervals(intervals::Arguments),
    /// Two teams and two partitions ask the same: does anything cross
    Isolation(isolation::Arguments),
    /// The quality gate on real judges and people: is its promise kept, does it open
    Gate(gate::Arguments),
    /// A judge that is down, slow or answers nonsense: who is accounted for, who waits, who is failed
    Judge(judge::Arguments),
    /// Simulated drift of a real judge and of quality: told apart, how soon
    Drift(drift::Arguments),
    /// What checks cost, and whether promptfoo says the same
    Checks(checks::Arguments),
    /// Embedding a text and finding its neighbours among 1k, 100k and 1M
    Lookup(lookup::Arguments),
    /// Labels arrive, the gate moves, bad answers stop, one command undoes it: a real server
    Scenario(scenario::Arguments),
    /// Rollouts: false promotions in simulated worlds; one up and one down on a real server
    Rollout(rollout::Arguments),
    /// The semantic cache on a stream of real bank queries: hits, and is its promise kept
    Cache(cache::Arguments),
    /// Texts with one fact changed: none may get the other's answer
    Mutations(mutations::Arguments),
    /// Do two real questions ask the same: the pair decision against cosine alone
    Pairs(pairs::Arguments),
    /// Errors planted into real answers: single signals against the fused gate
    Subtle(subtle::Arguments),
    /// RouterBench: learnt quality against shrunk means, beside who knows every outcome
    Route(route::Arguments),
    /// Simulated traffic whose truth is known: does the cheapest route keep its floor as a model turns bad
    Floor(floor::Arguments),
    /// Many inputs in one call: what that saves, and does one input change another's answer
    Batch(batch::Arguments),
    /// Prices worked out by hand, and agreement with LiteLLM's price data
    Prices(prices::Arguments),
}

#[derive(Subcommand)]
enum Bench {
    /// What Baton adds to a call, beside nginx and a trivial proxy
    Overhead(overhead::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.command {
        Command::Proxy(arguments) => overhead::proxy::run(&arguments).map(|()| ExitCode::SUCCESS),
        Command::Measure { name } => measure(name).map(Report::finish),
        Command::Bench { name: Bench::Overhead(arguments) } => overhead::run(arguments).map(Report::finish),
        Command::Simulate(arguments) => simulate::run(arguments).map(Report::finish),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            report::progress(&format!("{error:#}"));
            ExitCode::from(3)
        }
    }
}

fn measure(name: Measure) -> anyhow::Result<Report> {
    match name {
        Measure::Banking77(arguments) => banking77::run(arguments),
        Measure::Sroie(arguments) => sroie::run(arguments),
        Measure::Crash(arguments) => crash::run(arguments),
        Measure::Deadline(arguments) => deadline::run(arguments),
        Measure::Budgets(arguments) => budgets::run(arguments),
        Measure::Hedge(arguments) => hedge::run(arguments),
        Measure::Outage(arguments) => outage::run(arguments),
        Measure::Storage(arguments) => storage::run(arguments),
        Measure::Overload(arguments) => overload::run(arguments),
        Measure::Wall(arguments) => wall::run(arguments),
        Measure::Trace(arguments) => trace::run(arguments),
        Measure::Intervals(arguments) => intervals::run(arguments),
        Measure::Isolation(arguments) => isolation::run(arguments),
        Measure::Gate(arguments) => gate::run(arguments),
        Measure::Judge(arguments) => judge::run(arguments),
        Measure::Drift(arguments) => drift::run(arguments),
        Measure::Checks(arguments) => checks::run(arguments),
        Measure::Lookup(arguments) => lookup::run(arguments),
        Measure::Scenario(arguments) => scenario::run(arguments),
        Measure::Rollout(arguments) => rollout::run(arguments),
        Measure::Cache(arguments) => cache::run(&arguments),
        Measure::Mutations(arguments) => mutations::run(arguments),
        Measure::Pairs(arguments) => pairs::run(arguments),
        Measure::Subtle(arguments) => subtle::run(arguments),
        Measure::Route(arguments) => route::run(arguments),
        Measure::Floor(arguments) => floor::run(arguments),
        Measure::Batch(arguments) => batch::run(arguments),
        Measure::Prices(arguments) => prices::run(arguments),
    }
}
