//! `measure budgets`: 500 concurrent calls against what is enough for 100.
//!
//! The real server over real sockets, simulated models. Each limit (calls, tokens, money) is met by whole
//! answers and by streams, with models that are well, that fail and that are hedged; on an intent, a
//! team and a key. What was spent is asked of three: the records, the report, and the ledger of the
//! server (its metrics), before and after a restart.

mod cases;
mod house;

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_core::{AttemptOutcome, NanoUsd, Record, Status};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::children::{baton, block_on, profile};
use crate::client::{Client, Ending, Outcome};
use crate::records;
use crate::report::{Report, line, progress};
use cases::{CASES, Case, Limit};
use house::House;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many calls at a time
    #[arg(long, default_value_t = 500)]
    concurrency: usize,
    /// For how many of them the budget is enough
    #[arg(long, default_value_t = 100)]
    enough: u64,
    /// What the models' faults follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Only the cases whose name holds this
    #[arg(long, default_value = "")]
    only: String,
}

/// Calls of the waves that follow, until one is refused as a whole.
const WAVE: usize = 40;
const WAVES_MAX: usize = 8;
const MINUTE_US: i64 = 60_000_000;
/// Between the beginnings of calls that are to be hedged.
const APART: Duration = Duration::from_millis(4);

/// What came of a case.
pub(crate) struct Row {
    case: &'static Case,
    /// What one call uses at least: calls, tokens or nano-dollars.
    one: u64,
    limit: u64,
    outcomes: Vec<Outcome>,
    records: Vec<Record>,
    /// What was spent as the report says, the server, and the server after a restart.
    told: [NanoUsd; 3],
    /// Answers to calls after the restart.
    after: usize,
    seconds: f64,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let baton = baton().await?;
    let sim = crate::house::sim(&baton, folder.path(), cases::SCENARIO, arguments.seed).await?;
    let one = one(&baton, folder.path(), sim.address).await?;
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| case.name.contains(&arguments.only)) {
        progress(case.name);
        let house = House { baton: &baton, folder: folder.path(), sim: sim.address, case };
        rows.push(against(&house, &arguments, &one).await.with_context(|| case.name)?);
    }
    let repeated = repeated(&baton, folder.path(), sim.address, arguments.concurrency).await?;
    sim.stop().await?;
    Ok(report(&rows, &arguments, repeated))
}

/// What one call uses, as its record says.
async fn one(baton: &Path, folder: &Path, sim: SocketAddr) -> Result<Record> {
    let house = House { baton, folder, sim, case: &cases::FREE };
    let open = house.open(u64::MAX).await?;
    let outcome = Client::new().execute(open.server.address, &call(false)).await;
    open.server.stop().await?;
    let records = all_records(&open.place).await?;
    let record = records.into_iter().find(|record| Some(record.execution) == outcome.execution);
    record.with_context(|| format!("the call that is measured by ended as {:?}", outcome.ending))
}

fn call(stream: bool) -> Value {
    json!({ "intent": "sort", "input": { "ticket": "I was charged twice in March." }, "stream": stream })
}

async fn all_records(place: &Path) -> Result<Vec<Record>> {
    Ok(records::read(place).await?.records.into_values().flatten().collect())
}

/// One case: all at once, then waves until nothing fits any more, a restart, and once more.
async fn against(house: &House<'_>, arguments: &Arguments, one: &Record) -> Result<Row> {
    let case = house.case;
    let one = match case.limit {
        Limit::Calls => 1,
        Limit::Tokens => one.usage.input_tokens + one.usage.output_tokens,
        Limit::Money => one.cost.0.unsigned_abs(),
    };
    let enough = arguments.enough * case.times as u64;
    let limit = one * enough;
    let began = Instant::now();
    let open = house.open(limit).await?;
    let (client, to) = (Client::new(), open.server.address);
    let calls = |count: usize, apart: Duration| {
        let (open, client) = (&open, &client);
        let one = move |begins: Duration| async move {
            tokio::time::sleep(begins).await;
            open.execute(client, to, call(case.stream)).await
        };
        join_all((0..count).map(move |n| one(apart * n as u32)))
    };
    let mut outcomes = if case.hedges > 0 {
        calls(enough as usize + arguments.concurrency, APART).await
    } else {
        calls(arguments.concurrency, Duration::ZERO).await
    };
    for _ in 0..WAVES_MAX {
        let wave = calls(WAVE, Duration::ZERO).await;
        let none = wave.iter().all(|outcome| outcome.ending != Ending::Answer);
        outcomes.extend(wave);
        if none {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let ledger = open.spent(&client, to).await?;
    open.server.stop().await?;
    let records = all_records(&open.place).await?;
    let reported = house.reported(&open.place).await?;

    let again = house.serve(&open.place).await?;
    let restored = house::spent(&client, again.address, &open.key, case).await?;
    let to = again.address;
    let after = join_all((0..WAVE).map(|_| house::execute(&client, to, call(case.stream), &open.key))).await;
    again.stop().await?;
    let after = after.iter().filter(|outcome| outcome.ending == Ending::Answer).count();
    Ok(Row { case, one, limit, outcomes, records, told: [reported, ledger, restored], after, seconds })
}

/// So many calls at once under one idempotency key: how many executions and records that makes, and how
/// many got their answer.
async fn repeated(baton: &Path, folder: &Path, sim: SocketAddr, count: usize) -> Result<(usize, usize, usize)> {
    progress("the same Idempotency-Key");
    let house = House { baton, folder, sim, case: &cases::REPEATED };
    let open = house.open(u64::MAX).await?;
    let (client, to) = (Client::new(), open.server.address);
    let headers = [("idempotency-key", "9a0bb5c4-6f3f-4a0e-9d8e-0d3b1d0c7c11")];
    let call = call(false);
    let outcomes = join_all((0..count).map(|_| client.execute_with(to, &call, &headers))).await;
    open.server.stop().await?;
    let again = house.serve(&open.place).await?;
    let late = client.execute_with(again.address, &call, &headers).await;
    again.stop().await?;
    let answered = outcomes.iter().chain([&late]).filter(|outcome| outcome.ending == Ending::Answer).count();
    let mut executions: Vec<_> = outcomes.iter().chain([&late]).filter_map(|outcome| outcome.execution).collect();
    executions.sort_unstable();
    executions.dedup();
    Ok((executions.len(), all_records(&open.place).await?.len(), answered))
}

impl Row {
    fn ended(&self, ending: &Ending) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.ending == *ending).count()
    }

    fn served(&self) -> u64 {
        self.ended(&Ending::Answer) as u64
    }

    /// Calls that were answered by a model that costs something.
    fn paid(&self) -> u64 {
        let paid = self.records.iter().filter(|record| record.status == Status::Succeeded && record.cost.0 > 0);
        paid.count() as u64
    }

    fn refused(&self) -> u64 {
        self.ended(&Ending::Error(self.case.limit.code().to_owned())) as u64
    }

    /// What is neither an answer nor the error of this limit.
    fn other(&self) -> u64 {
        self.outcomes.len() as u64 - self.served() - self.refused()
    }

    fn cost(&self) -> NanoUsd {
        self.records.iter().map(|record| record.cost).sum()
    }

    /// The most that was used in any 60 seconds, or in all for money.
    fn used(&self) -> u64 {
        let uses = self.records.iter().flat_map(|record| {
            let at = |us: u64| record.started_at_us + us.cast_signed();
            let calls = (record.deadline_us > 0).then(|| (at(0), 1));
            let made = record.attempts.iter().filter(|attempt| attempt.outcome.was_made());
            let tokens = made.map(move |a| (at(a.start_us), a.usage.map_or(0, |u| u.input_tokens + u.output_tokens)));
            match self.case.limit {
                Limit::Calls => calls.into_iter().collect::<Vec<_>>(),
                Limit::Tokens => tokens.collect(),
                Limit::Money => vec![(0, record.cost.0.unsigned_abs())],
            }
        });
        let mut uses: Vec<(i64, u64)> = uses.collect();
        uses.sort_unstable();
        let minute = |n: usize| {
            let within = uses[n..].iter().take_while(|(at, _)| *at < uses[n].0 + MINUTE_US);
            within.map(|(_, used)| used).sum::<u64>()
        };
        (0..uses.len()).map(minute).max().unwrap_or(0)
    }

    fn hedges(&self) -> usize {
        let hedge = |a: &&baton_core::AttemptRecord| a.kind == baton_core::AttemptKind::Hedge && a.outcome.was_made();
        self.records.iter().flat_map(|record| &record.attempts).filter(hedge).count()
    }

    fn failed(&self) -> usize {
        use AttemptOutcome::{BadAnswer, Cancelled, Transient};
        let failed = |a: &&baton_core::AttemptRecord| matches!(a.outcome, Transient | Cancelled | BadAnswer);
        self.records.iter().flat_map(|record| &record.attempts).filter(failed).count()
    }
}

fn report(rows: &[Row], arguments: &Arguments, repeated: (usize, usize, usize)) -> Report {
    let mut report = Report::new("budgets");
    line("Budgets over sockets. The models are simulated; server, sockets, store and restart are real.");
    line(&format!(
        "baton built as {}, {} calls at once, enough for {}\n",
        profile(),
        arguments.concurrency,
        arguments.enough
    ));
    line("case                          served  refused  other  hedges  failed      used of limit      spent USD");
    for row in rows {
        let used = format!("{} of {}", row.used(), row.limit);
        line(&format!(
            "{:<29} {:>6} {:>8} {:>6} {:>7} {:>7} {used:>18} {:>14}",
            row.case.name,
            row.served(),
            row.refused(),
            row.other(),
            row.hedges(),
            row.failed(),
            row.cost().to_string(),
        ));
    }
    let mut figures = Vec::new();
    for row in rows {
        let name = row.case.name;
        let (most, what) = if row.case.steers { (row.paid(), "paid") } else { (row.served(), "served") };
        let enough = arguments.enough * row.case.times as u64;
        report.bar(format!("{name}: {most} {what}, at most {enough}"), most <= enough);
        report.bar(format!("{name}: {} of {} used", row.used(), row.limit), row.used() <= row.limit);
        let least = enough * row.case.least_percent / 100;
        report.bar(format!("{name}: {most} {what}, at least {least}"), most >= least);
        let all = row.records.len() == row.outcomes.len();
        report.bar(format!("{name}: {} records of {} calls", row.records.len(), row.outcomes.len()), all);
        let proper = row.case.fails || row.other() == 0;
        report.bar(format!("{name}: {} neither answered nor refused by name", row.other()), proper);
        if row.case.limit == Limit::Money {
            let [reported, ledger, restored] = row.told;
            let same = row.told.iter().all(|told| *told == row.cost());
            let told =
                format!("records {}, report {reported}, ledger {ledger}, after a restart {restored}", row.cost());
            report.bar(format!("{name}: {told} USD"), same);
            let kept = row.case.steers || row.served() + row.after as u64 <= enough;
            report.bar(format!("{name}: {} answered after a restart", row.after), kept);
        }
        let (hedges, least) = (row.hedges(), row.case.hedges);
        if least > 0 {
            report.bar(format!("{name}: {hedges} hedges, at least {least}"), hedges >= least);
        }
        if row.case.fails {
            report.bar(format!("{name}: {} attempts failed", row.failed()), row.failed() > 0);
        }
        figures.push(json!({
            "name": name, "served": row.served(), "paid": row.paid(), "refused": row.refused(), "other": row.other(),
            "hedges": row.hedges(), "failed_attempts": row.failed(), "one": row.one, "limit": row.limit,
            "used": row.used(), "spent_usd": row.cost().to_string(), "seconds": (row.seconds * 10.0).round() / 10.0,
        }));
    }
    let (executions, records, answered) = repeated;
    let once = executions == 1 && records == 1 && answered == arguments.concurrency + 1;
    report.bar(
        format!("one Idempotency-Key, {answered} answers: {executions} execution, {records} record, a restart between"),
        once,
    );
    report.figure("concurrency", arguments.concurrency);
    report.figure("enough_for", arguments.enough);
    report.figure("cases", figures);
    report.figure("simulated_models", true);
    report
}
