//! `measure deadline`: whatever the models do, an execution ends by its deadline.
//!
//! The real server over real sockets against simulated models that hang, trickle, refuse and fail.
//! What is promised is the server's own time (the record's), so a control timer runs beside it: a
//! thread of this process that sleeps 5 ms again and again, and measures how late the machine wakes
//! it. Nobody can be more punctual than that.

mod mix;

use std::net::SocketAddr;

use anyhow::Result;
use baton_core::{ErrorCode, Record};
use futures_util::{StreamExt as _, stream};

use crate::children::{baton, block_on, profile};
use crate::client::{Client, Ending, Outcome};
use crate::house;
use crate::instruments::{Busy, ControlTimer, at, round};
use crate::records;
use crate::report::{Report, line, progress};
use mix::{Case, Mix};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many executions
    #[arg(long, default_value_t = 2000)]
    executions: usize,
    /// How many at a time
    #[arg(long, default_value_t = 100)]
    concurrency: usize,
    /// What the calls and the models' faults follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// What the server may be late by, the machine's own lag aside.
const TOLERANCE_MS: f64 = 10.0;

/// One call, what the client saw, and what the server recorded.
pub(crate) struct Row {
    case: Case,
    outcome: Outcome,
    records: Vec<Record>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let baton = baton().await?;
    let mix = Mix::new(arguments.seed)?;
    let sim = house::sim(&baton, folder.path(), &mix.scenario(), arguments.seed).await?;
    let place = folder.path().join("house");
    mix.write(&place, sim.address)?;
    let server = house::serve(&baton, &place, folder.path()).await?;
    progress(&format!("{} executions, {} at a time", arguments.executions, arguments.concurrency));

    let timer = ControlTimer::start();
    let busy = Busy::start()?;
    let called = call_all(&arguments, &mix, server.address).await;
    let busy = busy.stop()?;
    let lags = timer.stop()?;
    server.stop().await?;
    sim.stop().await?;

    let mut records = records::read(&place).await?.records;
    let total = records.values().map(Vec::len).sum();
    let rows: Vec<Row> = called
        .into_iter()
        .map(|(case, outcome)| {
            let records = outcome.execution.and_then(|id| records.remove(&id)).unwrap_or_default();
            Row { case, outcome, records }
        })
        .collect();
    Ok(report(&rows, total, &lags, busy))
}

/// Makes every call, so many at a time.
async fn call_all(arguments: &Arguments, mix: &Mix, to: SocketAddr) -> Vec<(Case, Outcome)> {
    let client = Client::new();
    let cases = mix.cases(arguments.executions);
    let calls = stream::iter(cases.into_iter().enumerate()).map(|(number, case)| {
        let (client, call) = (client.clone(), case.call(number));
        async move { (case, client.execute(to, &call).await) }
    });
    let mut calls = calls.buffer_unordered(arguments.concurrency);
    let mut called = Vec::with_capacity(arguments.executions);
    while let Some(one) = calls.next().await {
        called.push(one);
        if called.len() % 250 == 0 {
            progress(&format!("{} of {}", called.len(), arguments.executions));
        }
    }
    called
}

impl Row {
    fn record(&self) -> Option<&Record> {
        self.records.first()
    }

    /// Whether its text was released before it was whole: then the deadline bounds the release.
    fn early(&self) -> bool {
        self.case.stream && self.outcome.began.is_some() && self.case.intent == "reply"
    }

    /// How late the server was, in milliseconds; negative where it was in time.
    fn late_ms(&self) -> Option<f64> {
        let record = self.record()?;
        let us = if self.early() { record.first_token_us? } else { record.duration_us };
        Some((us as f64 - record.deadline_us as f64) / 1000.0)
    }

    /// The same as the client saw it, from its request to the last byte, or to the first event.
    fn late_at_client_ms(&self) -> f64 {
        let took = self.outcome.began.filter(|_| self.early()).unwrap_or(self.outcome.took);
        took.as_secs_f64() * 1000.0 - self.case.deadline_ms as f64
    }

    /// An answer, or an error of the table.
    fn proper(&self) -> bool {
        match &self.outcome.ending {
            Ending::Answer => true,
            Ending::Error(code) => ErrorCode::ALL.iter().any(|known| known.as_str() == code),
            Ending::Cut | Ending::Nothing(_) => false,
        }
    }
}

fn report(rows: &[Row], recorded: usize, lags: &[f64], busy: f64) -> Report {
    let mut report = Report::new("deadline");
    let mut lags = lags.to_vec();
    let (lag, lag_worst) = (at(&mut lags, 0.999), at(&mut lags, 1.0));
    let mut late: Vec<f64> = rows.iter().filter_map(Row::late_ms).collect();
    let (late_p999, late_worst) = (at(&mut late, 0.999), at(&mut late, 1.0));
    let mut client: Vec<f64> = rows.iter().map(Row::late_at_client_ms).collect();
    let (client_p999, client_worst) = (at(&mut client, 0.999), at(&mut client, 1.0));
    let improper: Vec<&Row> = rows.iter().filter(|row| !row.proper()).collect();
    let unrecorded = rows.iter().filter(|row| row.records.len() != 1).count();
    let at_deadline = rows.iter().filter(|row| row.late_ms().is_some_and(|late| late > -10.0)).count();

    line("Deadlines over sockets. The models are simulated; server, sockets and clocks are real.");
    line(&format!("baton built as {}, machine {:.0} % busy meanwhile\n", profile(), busy * 100.0));
    mix::table(rows);
    line(&format!("\n{at_deadline} of {} ended within the last 10 ms before their deadline, or later", rows.len()));
    line("late by, in ms (below zero: in time)         p99.9    worst");
    line(&format!("  at the server, by its records           {late_p999:>8.2} {late_worst:>8.2}"));
    line(&format!("  at the client, connection included      {client_p999:>8.2} {client_worst:>8.2}"));
    line(&format!("  control timer: a thread that sleeps     {lag:>8.2} {lag_worst:>8.2}"));
    for row in improper.iter().take(5) {
        line(&format!("  neither answer nor typed error: {:?} of {:?}", row.outcome.ending, row.case));
    }

    for (name, ms) in [
        ("late_p999_ms", late_p999),
        ("late_worst_ms", late_worst),
        ("client_late_p999_ms", client_p999),
        ("client_late_worst_ms", client_worst),
        ("timer_lag_p999_ms", lag),
        ("timer_lag_worst_ms", lag_worst),
    ] {
        report.figure(name, round(ms));
    }
    report.figure("executions", rows.len());
    report.figure("records", recorded);
    report.figure("at_deadline", at_deadline);
    report.figure("machine_busy", round(busy));
    report.figure("simulated_models", true);
    report.bar(
        format!("p99.9 at the server: {late_p999:.2} ms late ≤ 10 ms + the timer's p99.9 lag of {lag:.2} ms"),
        late_p999 <= TOLERANCE_MS + lag,
    );
    report.bar(
        format!("worst at the server: {late_worst:.2} ms late ≤ 10 ms + the timer's worst lag of {lag_worst:.2} ms"),
        late_worst <= TOLERANCE_MS + lag_worst,
    );
    report.bar(format!("each an answer or a typed error: {} are neither", improper.len()), improper.is_empty());
    let exact = recorded == rows.len() && unrecorded == 0;
    report.bar(format!("one record each: {recorded} records, {unrecorded} executions without exactly one"), exact);
    report
}
