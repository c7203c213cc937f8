//! `measure overload`: twice the calls that the models hold, from two teams that do not hold back.
//!
//! The real server over real sockets against one simulated model that takes so many calls at a time and
//! answers 429 to more. First as many callers as it has places, each of which calls again when it is
//! answered: what the model gives at its limit. Then an open loop (Poisson arrivals) at twice that
//! rate, most of it from one team. What is looked at begins after a warm-up, in which the server finds
//! the limit: nobody tells it.

mod load;

use std::future::Future;
use std::time::Duration;

use anyhow::Result;
use baton_core::{ErrorCode, Record};
use tokio::process::Command;

use crate::children::{baton, block_on, profile};
use crate::client::{Client, Ending};
use crate::house;
use crate::instruments::{Busy, ControlTimer, at, round};
use crate::records;
use crate::report::{Report, line, progress};
use load::{Called, closed, open};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calls at a time that the model takes
    #[arg(long, default_value_t = 20)]
    places: usize,
    /// How long each of the two is looked at, in seconds
    #[arg(long, default_value_t = 40)]
    seconds: u64,
    /// How long the server may take before that to find the limit, in seconds
    #[arg(long, default_value_t = 15)]
    warm_up: u64,
    /// Calls over what the model gives at its limit
    #[arg(long, default_value_t = 2.0)]
    times: f64,
    /// What arrivals and latencies follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// What the server may be late by, the machine's own lag aside.
const TOLERANCE_MS: f64 = 10.0;
const GOODPUT: f64 = 0.9;
const UNFAIR: f64 = 0.1;
const BUSY: f64 = 0.7;
const DEADLINE: Duration = Duration::from_millis(2000);
/// The teams, and how much of the calls each makes.
const TEAMS: [(&str, f64); 2] = [("north", 0.35), ("south", 0.65)];

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

/// What was seen in one of the two.
struct Seen {
    called: Vec<Called>,
    lags: Vec<f64>,
    busy: f64,
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let baton = baton().await?;
    let scenario =
        format!("[models.m]\nfirst_token_ms = {{ p50 = 200, p99 = 400 }}\nconcurrency = {}\n", arguments.places);
    let sim = house::sim(&baton, folder.path(), &scenario, arguments.seed).await?;
    let place = folder.path().join("house");
    let teams = TEAMS.map(|(team, _)| format!("[teams.{team}]\n")).concat();
    house::write(&place.join("baton.toml"), &(house::provider("sim", sim.address) + &teams))?;
    let intent = format!("{}[objective]\nlatency_ms = {}\n", house::models(&["sim/m".into()]), DEADLINE.as_millis());
    house::write(&place.join("intents/reply/intent.toml"), &intent)?;
    house::write(&place.join("intents/reply/prompt.md"), "Answer this ticket: {{ input }}\n")?;
    let mut clients = Vec::new();
    for (team, _) in TEAMS {
        clients.push(Client::new().with_key(&key(&baton, &place, team).await?));
    }
    let server = house::serve(&baton, &place, folder.path()).await?;

    let (warm_up, lasts) = (Duration::from_secs(arguments.warm_up), Duration::from_secs(arguments.seconds));
    progress(&format!("{} callers, {} s", arguments.places, arguments.seconds));
    let at_limit = watched(closed(&clients, server.address, arguments.places, lasts)).await?;
    let rate = goodput(&at_limit.called, lasts) * arguments.times;
    progress(&format!("{rate:.0} calls a second, {} s and {} s", arguments.warm_up, arguments.seconds));
    let found = open(&clients, server.address, (rate, warm_up), arguments.seed).await?;
    let over = watched(open(&clients, server.address, (rate, lasts), arguments.seed + 1)).await?;
    server.stop().await?;
    sim.stop().await?;

    let mut all = Vec::new();
    for (team, _) in TEAMS {
        all.extend(records::of_team(&place, team).await?.records.into_values());
    }
    let called = at_limit.called.len() + found.len() + over.called.len();
    let mut report = Report::new("overload");
    line("Twice what the model holds, over sockets. The model is simulated; server, sockets and clocks are real.");
    line(&format!("baton built as {}; two teams, {} places\n", profile(), arguments.places));
    goodputs(&mut report, &at_limit, &over, lasts);
    deadlines(&mut report, &over, &all);
    let single = all.iter().filter(|records| records.len() == 1).count();
    report.bar(format!("one record each: {single} of {called}"), single == called && all.len() == called);
    report.figure("simulated_models", true);
    Ok(report)
}

/// Makes a key for a team.
async fn key(baton: &std::path::Path, house: &std::path::Path, team: &str) -> Result<String> {
    let mut command = Command::new(baton);
    let made = command.args(["keys", "create", "--team", team, "--dir"]).arg(house).output().await?;
    let text = String::from_utf8(made.stdout)?.trim().to_owned();
    if text.is_empty() {
        anyhow::bail!("no key for {team}: {}", String::from_utf8_lossy(&made.stderr));
    }
    Ok(text)
}

async fn watched(calls: impl Future<Output = Result<Vec<Called>>>) -> Result<Seen> {
    let (timer, busy) = (ControlTimer::start(), Busy::start()?);
    let called = calls.await?;
    let (busy, lags) = (busy.stop()?, timer.stop()?);
    Ok(Seen { called, lags, busy })
}

/// Answers a second.
fn goodput(called: &[Called], lasts: Duration) -> f64 {
    called.iter().filter(|one| one.outcome.ending == Ending::Answer).count() as f64 / lasts.as_secs_f64()
}

fn goodputs(report: &mut Report, at_limit: &Seen, over: &Seen, lasts: Duration) {
    let (limit, twice) = (goodput(&at_limit.called, lasts), goodput(&over.called, lasts));
    let mut table = crate::report::table(&["", "calls/s", "answers/s", "refused", "other errors", "machine busy"]);
    for (name, seen) in [("at the limit", at_limit), ("over it", over)] {
        let refused = seen.called.iter().filter(|one| one.refused()).count();
        let answered = seen.called.iter().filter(|one| one.outcome.ending == Ending::Answer).count();
        table.add_row([
            name.to_owned(),
            format!("{:.1}", seen.called.len() as f64 / lasts.as_secs_f64()),
            format!("{:.1}", goodput(&seen.called, lasts)),
            refused.to_string(),
            (seen.called.len() - answered - refused).to_string(),
            format!("{:.0} %", seen.busy * 100.0),
        ]);
    }
    line(&table.to_string());
    let of = |n: usize| {
        let own: Vec<Called> = over.called.iter().filter(|one| one.team == n).cloned().collect();
        (own.len() as f64 / lasts.as_secs_f64(), goodput(&own, lasts))
    };
    let [(asked_a, a), (asked_b, b)] = [of(0), of(1)];
    line(&format!("{}: {a:.1} of {asked_a:.1} calls/s answered, {}: {b:.1} of {asked_b:.1}", TEAMS[0].0, TEAMS[1].0));
    let mut refusals: Vec<f64> =
        over.called.iter().filter(|one| one.refused()).map(|one| one.outcome.took.as_secs_f64() * 1000.0).collect();
    line(&format!(
        "a refusal takes {:.1} ms in the median, {:.1} ms at p99",
        at(&mut refusals, 0.5),
        at(&mut refusals, 0.99)
    ));
    report.figure("goodput_at_limit_per_s", round(limit));
    report.figure("goodput_over_per_s", round(twice));
    report.figure("goodput_share", round(twice / limit));
    report.figure("team_answers_per_s", vec![round(a), round(b)]);
    report.figure("machine_busy", round(over.busy));
    report.bar(format!("the processor is {:.0} % busy, under 70 %", over.busy * 100.0), over.busy < BUSY);
    report.bar(
        format!("goodput {:.1} % of that at the limit, at least 90 %", twice / limit * 100.0),
        twice >= GOODPUT * limit,
    );
    let unfair = (a - b).abs() / ((a + b) / 2.0);
    report.figure("unfair_share", round(unfair));
    report.bar(format!("two teams of one share differ by {:.1} %, at most 10 %", unfair * 100.0), unfair <= UNFAIR);
}

fn deadlines(report: &mut Report, over: &Seen, all: &[Vec<Record>]) {
    let mut lags = over.lags.clone();
    let (lag, lag_worst) = (at(&mut lags, 0.999), at(&mut lags, 1.0));
    let known: std::collections::HashMap<_, &Record> = all.iter().flatten().map(|r| (r.execution, r)).collect();
    let records = over.called.iter().filter_map(|one| known.get(&one.outcome.execution?).copied());
    let mut late: Vec<f64> = records.clone().map(|r| (r.duration_us as f64 - r.deadline_us as f64) / 1000.0).collect();
    let (late_p999, late_worst) = (at(&mut late, 0.999), at(&mut late, 1.0));
    let mut queued: Vec<f64> =
        records.map(|r| r.attempts.iter().map(|a| a.queued_us).sum::<u64>() as f64 / 1000.0).collect();
    line(&format!(
        "waited for a place: {:.0} ms in the median, {:.0} ms at p99",
        at(&mut queued, 0.5),
        at(&mut queued, 0.99)
    ));
    line(&format!("late by, in ms (below zero: in time): {late_p999:.2} at p99.9, {late_worst:.2} at worst"));
    line(&format!("a thread that sleeps is late by {lag:.2} ms at p99.9, {lag_worst:.2} ms at worst"));
    report.figure("late_p999_ms", round(late_p999));
    report.figure("late_worst_ms", round(late_worst));
    report.figure("timer_lag_p999_ms", round(lag));
    report.figure("timer_lag_worst_ms", round(lag_worst));
    report.figure("queued_p99_ms", round(at(&mut queued, 0.99)));
    report.bar(
        format!("p99.9 at the server: {late_p999:.2} ms late ≤ 10 ms + the timer's p99.9 lag of {lag:.2} ms"),
        late_p999 <= TOLERANCE_MS + lag,
    );
    report.bar(
        format!("worst at the server: {late_worst:.2} ms late ≤ 10 ms + the timer's worst lag of {lag_worst:.2} ms"),
        late_worst <= TOLERANCE_MS + lag_worst,
    );
    let proper = |one: &&Called| match &one.outcome.ending {
        Ending::Answer => true,
        Ending::Error(code) => ErrorCode::ALL.iter().any(|known| known.as_str() == code),
        Ending::Cut | Ending::Nothing(_) => false,
    };
    let improper = over.called.len() - over.called.iter().filter(proper).count();
    report.bar(format!("each an answer or a typed error: {improper} are neither"), improper == 0);
}
