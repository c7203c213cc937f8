//! `measure wall`: everything that a model, its network or this machine can do wrong, over real
//! sockets, and what the caller gets.
//!
//! A real `baton serve` stands before `baton sim`, which plays each fault on a model of its own, and
//! before a few servers that answer nobody. A case passes where the caller got the truth or a typed
//! error in time, where exactly one record says what happened, and where the next call is not worse
//! off. What is given is compared with what is true.

mod caller;
mod cases;
mod judge;
mod machine;
mod peer;
mod truth;
mod world;

use std::collections::HashMap;
use std::time::Duration;

use anyhow::Result;
use futures_util::{StreamExt as _, stream};

use crate::children::{block_on, profile};
use crate::report::{Report, line, progress};
use caller::Client;
pub(crate) use judge::Row;
use judge::Trial;
use world::World;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many faults at a time
    #[arg(long, default_value_t = 4)]
    concurrency: usize,
    /// Only faults whose name contains this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Who else stands on the wall
    #[arg(long, value_enum)]
    peer: Option<Peer>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Peer {
    /// LiteLLM's proxy, from PyPI (python3 and its venv are needed)
    Litellm,
}

/// The one row whose fault is the clock's, by itself.
pub(crate) async fn clock_back() -> Result<Row> {
    let world = World::start().await?;
    let row = machine::clock_back(&world).await?;
    world.sim.stop().await?;
    Ok(row)
}

/// A breaker that opened has let a probe pass by then.
const RECOVERY: Duration = Duration::from_secs(7);

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let world = World::start().await?;
    let wanted = |fault: &str| arguments.only.as_deref().is_none_or(|text| fault.contains(text));
    let mut rows = models(&world, &wanted, arguments.concurrency).await?;
    rows.sort_by_key(|row| row.0);
    let mut rows: Vec<Row> = rows.into_iter().map(|(_, row)| row).collect();
    rows.extend(machine::all(&world, &wanted).await?);
    let mut report = report(&rows);
    if arguments.peer.is_some() {
        beside(&world, &wanted, &rows, &mut report).await?;
    }
    world.sim.stop().await?;
    Ok(report)
}

/// Every fault of a model or of the way to it.
async fn models(world: &World, wanted: impl Fn(&str) -> bool, concurrency: usize) -> Result<Vec<(usize, Row)>> {
    let cases: Vec<_> = cases::all().into_iter().filter(|case| wanted(case.fault)).enumerate().collect();
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = cases.iter().map(|(number, case)| world::model(*number, case)).collect();
    let (_, server) = world.serve("models", &names).await?;
    let client = Client::new(server.address)?;
    let trials: Vec<Trial<'_>> = cases
        .iter()
        .zip(&names)
        .map(|((number, case), model)| Trial { world, client: &client, case, model, number: *number })
        .collect();
    progress(&format!("{} faults, {} at a time", trials.len(), concurrency));
    let mut running = stream::iter(trials.iter().enumerate())
        .map(|(number, trial)| async move { trial.run().await.map(|row| (number, row)) })
        .buffer_unordered(concurrency);
    let mut rows = Vec::new();
    while let Some(row) = running.next().await {
        rows.push(row?);
        if rows.len() % 20 == 0 {
            progress(&format!("{} of {}", rows.len(), trials.len()));
        }
    }
    drop(running);
    tokio::time::sleep(RECOVERY).await;
    for (number, row) in &mut rows {
        trials[*number].recovered(row).await;
    }
    one_record_each(&client, &mut rows).await?;
    server.stop().await?;
    Ok(rows)
}

/// Looks every execution up, and finds no other.
async fn one_record_each(client: &Client, rows: &mut [(usize, Row)]) -> Result<()> {
    let mut records: HashMap<String, usize> = HashMap::new();
    // They are listed a moment after they end.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for execution in client.executions().await? {
        *records.entry(execution["executionId"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    for (_, row) in rows.iter_mut() {
        for id in row.executions.clone() {
            let count = records.remove(&id).unwrap_or_default();
            row.must(count == 1, || format!("{count} records of execution {id}"));
        }
    }
    if let (Some((_, row)), false) = (rows.first_mut(), records.is_empty()) {
        row.wrong.push(format!("{} records of executions that nobody called", records.len()));
    }
    Ok(())
}

/// The same faults with LiteLLM in Baton's place.
async fn beside(world: &World, wanted: impl Fn(&str) -> bool, rows: &[Row], report: &mut Report) -> Result<()> {
    let cases: Vec<_> = cases::all().into_iter().filter(|case| wanted(case.fault)).collect();
    // Models of its own names: none has a past.
    let names: Vec<String> = cases.iter().enumerate().map(|(n, case)| world::model(n + 1000, case)).collect();
    let peer = peer::LiteLlm::start(world, &names).await?;
    progress(&format!("LiteLLM: {} faults", cases.len()));
    let mut table = crate::report::table(&["fault", "form", "Baton", "LiteLLM", "ms", "its caller got"]);
    let mut counts: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for ((case, model), row) in cases.iter().zip(&names).zip(rows) {
        let its = peer.run(world, model, case).await?;
        let verdict = format!("{:?}", its.verdict).to_lowercase();
        let ours = if row.wrong.is_empty() { "pass" } else { "FAIL" };
        table.add_row([case.fault, case.form(), ours, &verdict, &its.took.as_millis().to_string(), &its.got]);
        *counts.entry(verdict).or_default() += 1;
    }
    peer.stop().await?;
    line(
        "\nLiteLLM 1.99.4 on the same faults: a fallback for each model, 0.9 s an attempt, its own check of schemas\n",
    );
    line(&table.to_string());
    line(&format!("{counts:?} of {}", cases.len()));
    report.figure("litellm", serde_json::to_value(counts)?);
    Ok(())
}

fn report(rows: &[Row]) -> Report {
    let mut report = Report::new("wall");
    line("The wall of faults. The models are simulated; server, sockets, processes and clocks are real.");
    line(&format!("baton built as {}, deadline {} ms a call\n", profile(), judge::DEADLINE_MS));
    let mut table = crate::report::table(&["fault", "form", "the caller got", "ms", "record", "afterwards", ""]);
    for row in rows {
        let verdict = if row.wrong.is_empty() { "PASS" } else { "FAIL" };
        let ms = row.took.as_millis().to_string();
        table.add_row([&row.fault, row.form, &row.got, &ms, &row.record, &row.after, verdict]);
    }
    line(&table.to_string());
    let failed: Vec<&Row> = rows.iter().filter(|row| !row.wrong.is_empty()).collect();
    for row in &failed {
        line(&format!("FAIL {}, {}: {}", row.fault, row.form, row.wrong.join("; ")));
    }
    let lies = failed.iter().filter(|row| row.wrong.iter().any(|wrong| wrong.starts_with("WRONG"))).count();
    let late = failed.iter().filter(|row| row.wrong.iter().any(|wrong| wrong.starts_with("late"))).count();
    report.figure("rows", rows.len());
    report.figure("passed", rows.len() - failed.len());
    report.figure("wrong_given_as_right", lies);
    report.figure("late", late);
    report.figure("simulated_models", true);
    report.bar(
        format!("every fault of the wall: {} of {} rows pass", rows.len() - failed.len(), rows.len()),
        failed.is_empty(),
    );
    report.bar(format!("nothing wrong is given as right: {lies}"), lies == 0);
    report.bar(format!("none late: {late}"), late == 0);
    report
}
