//! `measure hedge`: what asking a second model costs, and what the slowest callers gain by it.
//!
//! The same traffic twice, hedges off and on (the default share of 5 %, at the lane's running 95th
//! percentile), on the paused clock: latencies are exact and the same on every machine. As in Dean and
//! Barroso, "The Tail at Scale" (CACM 56(2), 2013), which found that a hedge after the 95th percentile
//! costs few more calls and takes most of the tail away.

use std::time::Duration;

use anyhow::Result;
use baton_core::AttemptKind;
use baton_sim::{Behaviour, Fault, FaultShare, Latency, Share, Speed};

use crate::paused::{self, House, Took, Traffic, at_ms};
use crate::report::{Report, line, progress};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calls in each of the worlds
    #[arg(long, default_value_t = 20_000)]
    calls: usize,
    /// What traffic and models follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Hedges for each call, at most.
const EXTRA_MAX: f64 = 0.05;
/// Long enough for the tails to be seen.
const DEADLINE: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(100);

/// A model whose tail is to be cut.
struct World {
    name: &'static str,
    slug: &'static str,
    model: Behaviour,
    /// By how much the 99th percentile must fall.
    falls_min: f64,
}

fn worlds() -> Result<[World; 2]> {
    let share = |share| Share::new(share).map_err(anyhow::Error::msg);
    let speed = Speed::new(100.0).map_err(anyhow::Error::msg)?;
    let fast = Behaviour {
        first_token_ms: Latency::Lognormal { p50_ms: 200.0, p99_ms: 400.0 },
        tokens_per_second: Some(speed),
        ..Behaviour::default()
    };
    let stalls = Behaviour { faults: vec![FaultShare { share: share(0.03)?, fault: Fault::Hang }], ..fast.clone() };
    let long = Latency::Lognormal { p50_ms: 300.0, p99_ms: 6000.0 };
    Ok([
        World { name: "stalls in 3 % of calls", slug: "stalls", model: stalls, falls_min: 0.6 },
        World {
            name: "lognormal, p50 300 ms, p99 6 s",
            slug: "lognormal",
            model: Behaviour { first_token_ms: long, ..fast },
            falls_min: 0.4,
        },
    ])
}

/// One world, hedged or not.
struct Ran {
    p50: f64,
    p99: f64,
    hedges: f64,
    upstream: f64,
    answered: usize,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut report = Report::new("hedge");
    line(
        "Hedges off and on, the same traffic. Models and clock are simulated: the engine, its codecs and policies are",
    );
    line(&format!(
        "the real ones. {} calls a world, one each 100 ms; two models alike, deadline 20 s\n",
        arguments.calls
    ));
    let mut table =
        crate::report::table(&["model", "asked for", "hedges", "p50 ms", "p99 ms", "calls upstream", "answered"]);
    for world in worlds()? {
        for (stream, form) in [(false, "an answer"), (true, "a first token")] {
            progress(&format!("{}, {form}", world.name));
            let off = ran(&arguments, &world, stream, "[hedge]\nmax_share = 0.0\n")?;
            let on = ran(&arguments, &world, stream, "")?;
            for (hedged, ran) in [(false, &off), (true, &on)] {
                let hedges = if hedged { format!("{:.2} %", ran.hedges * 100.0) } else { "off".to_owned() };
                let (p50, p99) = (format!("{:.0}", ran.p50), format!("{:.0}", ran.p99));
                let upstream = format!("{:.3} a call", ran.upstream);
                table.add_row([world.name, form, &hedges, &p50, &p99, &upstream, &ran.answered.to_string()]);
            }
            let key = format!("{}_{}", world.slug, if stream { "stream" } else { "unary" });
            judge(&mut report, (&world, form, &key), &off, &on);
        }
    }
    line(&table.to_string());
    report.figure("simulated", true);
    Ok(report)
}

fn judge(report: &mut Report, (world, form, key): (&World, &str, &str), off: &Ran, on: &Ran) {
    let falls = 1.0 - on.p99 / off.p99;
    let extra = on.hedges.max(on.upstream / off.upstream - 1.0);
    report.figure(&format!("{key}_p99_off_ms"), off.p99.round());
    report.figure(&format!("{key}_p99_on_ms"), on.p99.round());
    report.figure(&format!("{key}_falls"), (falls * 1000.0).round() / 1000.0);
    report.figure(&format!("{key}_extra"), (extra * 10_000.0).round() / 10_000.0);
    report.bar(
        format!(
            "{}, {form}: p99 falls by {:.0} % (≥ {:.0} %) for {:.2} % more calls (≤ 5 %)",
            world.name,
            falls * 100.0,
            world.falls_min * 100.0,
            extra * 100.0
        ),
        falls >= world.falls_min && extra <= EXTRA_MAX,
    );
}

fn ran(arguments: &Arguments, world: &World, stream: bool, policy: &str) -> Result<Ran> {
    let traffic = Traffic { calls: arguments.calls, every: EVERY, seed: arguments.seed };
    let all = paused::run(async || {
        let house = House::open(world.model.clone(), world.model.clone(), policy, arguments.seed)?;
        house.send(&traffic, |number| paused::call(number, stream, DEADLINE)).await
    })?;
    let calls = all.len() as f64;
    let hedges = all.iter().flat_map(|took| &took.record.attempts).filter(|a| a.kind == AttemptKind::Hedge).count();
    Ok(Ran {
        p50: at_ms(all.iter().map(|took| took.first), 0.5),
        p99: at_ms(all.iter().map(|took| took.first), 0.99),
        hedges: hedges as f64 / calls,
        upstream: all.iter().map(Took::upstream).sum::<usize>() as f64 / calls,
        answered: all.iter().filter(|took| took.answered()).count(),
    })
}
