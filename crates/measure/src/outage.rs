//! `measure outage`: the primary is gone for a while, and what its callers notice.
//!
//! Twice. On the paused clock, in every way in which a model can be gone, two minutes long: exact
//! counts of probes and calls, and when it is back. Then a real server over real sockets for the
//! milliseconds: what a call loses to a model whose breaker is open.

mod sockets;
mod teams;

use std::time::Duration;

use anyhow::Result;
use baton_core::{AttemptKind, AttemptOutcome, AttemptRecord};
use baton_sim::{Behaviour, Fault, FaultShare, Latency, Phase, Share};

use crate::children::block_on;
use crate::paused::{self, House, MAIN, Took, Traffic, at_ms};
use crate::report::{Report, line, progress};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long the primary is gone on the paused clock, in seconds
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// How long it is gone over real sockets, in seconds; 0 leaves that part out
    #[arg(long, default_value_t = 14)]
    sockets: u64,
    /// What traffic and models follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// How long all is well before it, and how long traffic goes on after it.
const BEFORE: Duration = Duration::from_secs(30);
const AFTER: Duration = Duration::from_secs(130);
/// Twenty calls a second.
const EVERY: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(2);
/// The breaker's first period; each failed probe doubles it, up to the longest.
const PERIOD: Duration = Duration::from_secs(5);
const PERIOD_MAX: Duration = Duration::from_secs(60);
/// What a call may lose to a model whose breaker is open.
const LOST_MAX_MS: f64 = 1.0;
/// Calls of models during the outage, for each call of a caller.
const UPSTREAM_MAX: f64 = 1.2;

const COLUMNS: [&str; 7] =
    ["outage", "open after", "p99 lost, ms", "probes", "calls upstream", "back after", "answered"];

/// The ways in which a model is gone.
fn outages() -> Vec<(&'static str, Fault)> {
    let status = |status| Fault::Status { status, retry_after: None, body: None };
    vec![
        ("connection refused", Fault::Refuse),
        ("503 to every call", status(503)),
        ("accepted, never answers", Fault::Hang),
        ("headers, then silence", Fault::HeadersThenSilence),
        ("401 to every call", Fault::Unauthorized),
    ]
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut report = Report::new("outage");
    line(&format!(
        "The primary is gone for {} s, 20 calls a second. Models and clock are simulated here; the engine is real.\n",
        arguments.seconds
    ));
    let mut table = crate::report::table(&COLUMNS);
    for (name, fault) in outages() {
        for stream in [false, true] {
            let name = format!("{name}, {}", if stream { "streams" } else { "unary" });
            progress(&name);
            let seen = Seen::of(&arguments, fault.clone(), stream)?;
            table.add_row(seen.row(&name));
            seen.judge(&mut report, &name);
        }
    }
    line(&table.to_string());
    teams::measure(&mut report, arguments.seed)?;
    if arguments.sockets > 0 {
        block_on(sockets::measure(&mut report, Duration::from_secs(arguments.sockets)))?;
    }
    report.figure("simulated_models", true);
    Ok(report)
}

/// What was seen of one outage.
struct Seen {
    /// From its beginning to the first call that was kept away from the model.
    opened: Option<Duration>,
    /// Of calls between that and its end.
    lost_ms: f64,
    /// When they began, since the beginning of the outage.
    probes: Vec<Duration>,
    upstream: f64,
    /// From its end to the first answer by the primary after it.
    back: Option<Duration>,
    answered: usize,
    calls: usize,
}

impl Seen {
    fn of(arguments: &Arguments, fault: Fault, stream: bool) -> Result<Self> {
        let lasts = Duration::from_secs(arguments.seconds);
        let share = Share::new(1.0).map_err(anyhow::Error::msg)?;
        let ms = |time: Duration| u64::try_from(time.as_millis()).ok();
        let well =
            Behaviour { first_token_ms: Latency::Lognormal { p50_ms: 100.0, p99_ms: 300.0 }, ..Behaviour::default() };
        let gone = Phase {
            from_ms: ms(BEFORE),
            to_ms: ms(BEFORE + lasts),
            faults: Some(vec![FaultShare { share, fault }]),
            ..Phase::default()
        };
        let main = Behaviour { phases: vec![gone], ..well.clone() };
        let calls = (BEFORE + lasts + AFTER).as_millis() / EVERY.as_millis();
        let traffic = Traffic { calls: usize::try_from(calls)?, every: EVERY, seed: arguments.seed };
        let all = paused::run(async || {
            let house = House::open(main, well, "", arguments.seed)?;
            house.send(&traffic, |number| paused::call(number, stream, DEADLINE)).await
        })?;
        // The simulator's phases count from the first call that it was asked.
        let first = all.first().map_or(Duration::ZERO, |took| took.at);
        Ok(Self::of_window(&all, first + BEFORE, first + BEFORE + lasts))
    }

    fn of_window(all: &[Took], from: Duration, to: Duration) -> Self {
        let during: Vec<&Took> = all.iter().filter(|took| took.at >= from && took.at < to).collect();
        let avoided =
            |took: &&&Took| took.record.attempts.iter().any(|a| is_main(a) && a.outcome == AttemptOutcome::BreakerOpen);
        let opened = during.iter().find(avoided).map(|took| took.at);
        let kept = during.iter().filter(|took| opened.is_some_and(|opened| took.at >= opened));
        let probes = all.iter().flat_map(|took| {
            let probes = took.record.attempts.iter().filter(|a| is_main(a) && a.kind == AttemptKind::Probe);
            probes.map(|probe| took.at + Duration::from_micros(probe.start_us))
        });
        let by_main = |took: &&Took| took.at >= to && took.record.model.as_ref().is_some_and(|m| m.as_str() == MAIN);
        Self {
            opened: opened.map(|opened| opened - from),
            lost_ms: at_ms(kept.filter_map(|took| took.lost()), 0.99),
            probes: probes.filter(|at| *at >= from && *at < to).map(|at| at - from).collect(),
            upstream: during.iter().map(|took| took.upstream()).sum::<usize>() as f64 / during.len() as f64,
            back: all.iter().find(by_main).map(|took| took.at - to),
            answered: during.iter().filter(|took| took.answered()).count(),
            calls: during.len(),
        }
    }

    /// The period that was in force at its end: each failed probe had doubled it.
    fn period(&self) -> Duration {
        PERIOD_MAX.min(PERIOD * 2_u32.saturating_pow(u32::try_from(self.probes.len()).unwrap_or(u32::MAX)))
    }

    /// No second probe within the period that the first one doubled.
    fn one_a_period(&self) -> bool {
        let mut period = PERIOD;
        self.probes.windows(2).all(|pair| {
            period = PERIOD_MAX.min(period * 2);
            pair[1] - pair[0] >= period
        }) && !self.probes.is_empty()
    }

    fn row(&self, name: &str) -> [String; 7] {
        let time =
            |time: Option<Duration>| time.map_or("never".to_owned(), |time| format!("{:.1} s", time.as_secs_f64()));
        [
            name.to_owned(),
            time(self.opened),
            format!("{:.2}", self.lost_ms),
            self.probes.len().to_string(),
            format!("{:.3} a call", self.upstream),
            time(self.back),
            format!("{} of {}", self.answered, self.calls),
        ]
    }

    fn judge(&self, report: &mut Report, name: &str) {
        report.bar(
            format!("{name}: p99 of time lost {:.2} ms (≤ 1 ms) once it is open", self.lost_ms),
            self.lost_ms <= LOST_MAX_MS,
        );
        report.bar(format!("{name}: {} probes, one a period", self.probes.len()), self.one_a_period());
        let (back, bound) = (self.back.unwrap_or(Duration::MAX), self.period() * 2);
        let told = self.back.map_or("never".to_owned(), |back| format!("{:.1} s", back.as_secs_f64()));
        report.bar(
            format!("{name}: back {told} after recovery (≤ two periods of {} s)", self.period().as_secs()),
            back <= bound,
        );
        let upstream = self.upstream;
        report.bar(format!("{name}: {upstream:.3} calls upstream for each call (≤ 1.2)"), upstream <= UPSTREAM_MAX);
        report.bar(format!("{name}: every call is answered"), self.answered == self.calls);
    }
}

fn is_main(attempt: &AttemptRecord) -> bool {
    attempt.model.as_str() == MAIN
}
