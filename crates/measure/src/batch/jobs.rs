//! Jobs that are killed: a real server over sockets, ended with SIGKILL while it works on a job, started
//! again, and read to the end. One job is asked item by item, one goes through the provider's batches.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::sleep;

use crate::children::{Server, baton, block_on, profile};
use crate::client::Client;
use crate::house::{self, LABELS};
use crate::records;
use crate::report::{Report, line, progress};

/// Items of the job that is asked one by one, and of the one that goes through batches.
const ITEMS: usize = 10_000;
const BATCHED: usize = 1_000;
/// Items of jobs in the air at a time (`crates/engine/src/jobs/work.rs`).
const IN_AIR: u64 = 32;
/// The longest that a job may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Nano-dollars a token, read and written: 30 and 60 dollars a million.
const PRICE: (u64, u64) = (30_000, 60_000);

const SCENARIO: &str = "
[models.sorter]
first_token_ms = { p50 = 40, p99 = 200 }

[models.sorter.batch]
takes_ms = 4000
failed = 0.03
";

/// Where the server and its models are.
struct Ground {
    baton: PathBuf,
    folder: PathBuf,
    house: PathBuf,
    sim: Server,
    client: Client,
}

/// A job that is over.
struct Over {
    view: Value,
    lines: Vec<Value>,
    /// Calls that the models got, those in batches aside.
    calls: u64,
    /// Batches that the provider has, and how many requests are in them.
    batches: Vec<u64>,
    took: Duration,
    peak_mib: u64,
}

/// Adds what becomes of both to the report.
pub(super) fn measure(seed: u64, report: &mut Report) -> Result<()> {
    let (single, recorded) = block_on(killed(seed, (ITEMS, None), &[0.3, 0.65]))?;
    singly(report, &single, &recorded);
    let (batched, recorded) = block_on(killed(seed, (BATCHED, Some("24h")), &[]))?;
    through_batches(report, &batched, &recorded)
}

/// Hands in a job, kills the server at these shares of it (or, of one in batches, once the provider has it),
/// and reads what came of it.
async fn killed(
    seed: u64,
    (items, within): (usize, Option<&str>),
    shares: &[f64],
) -> Result<(Over, records::Recorded)> {
    let folder = tempfile::tempdir()?;
    let ground = Ground::new(folder.path(), seed).await?;
    let started = Instant::now();
    let mut server = house::serve(&ground.baton, &ground.house, &ground.folder).await?;
    let id = ground.submit(items, within).await?;
    progress(&format!("a job of {items} items: {id}"));
    let mut peak_mib = 0;
    let until = |view: &Value, n: usize| match within {
        None => view["succeeded"].as_u64() >= shares.get(n).map(|share| (*share * items as f64) as u64),
        Some(_) => view["batches"][0]["batch"].is_string(),
    };
    let kills = if within.is_some() { 1 } else { shares.len() };
    for n in 0..kills {
        let view = ground.wait(&server, &id, started, |view| until(view, n)).await?;
        peak_mib = peak_mib.max(peak(&server)?);
        server.kill().await?;
        progress(&format!("killed at {} of {items} answered", view["succeeded"]));
        server = house::serve(&ground.baton, &ground.house, &ground.folder).await?;
    }
    let view = ground.wait(&server, &id, started, |view| view["status"] == "done").await?;
    let took = started.elapsed();
    peak_mib = peak_mib.max(peak(&server)?);
    let text = ground.client.get_bytes(server.address, &format!("/v1/jobs/{id}/results"), "none").await?;
    let text = String::from_utf8(text.to_vec())?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let stats = ground.client.get(ground.sim.address, "/__sim/stats", "none").await?;
    let calls = stats["models"].as_object().into_iter().flatten().filter_map(|(_, of)| of["calls"].as_u64()).sum();
    let made = stats["batches"]["made"].as_array().context("the simulator says nothing of batches")?;
    let batches = made.iter().filter_map(|batch| batch["requests"].as_u64()).collect();
    server.stop().await?;
    let recorded = records::read(&ground.house).await?;
    ground.sim.stop().await?;
    Ok((Over { view, lines, calls, batches, took, peak_mib }, recorded))
}

impl Ground {
    async fn new(folder: &Path, seed: u64) -> Result<Self> {
        let (baton, house) = (baton().await?, folder.join("house"));
        let sim = house::sim(&baton, folder, SCENARIO, seed).await?;
        let (read, written) = (PRICE.0 / 1000, PRICE.1 / 1000);
        let files = format!(
            "[providers.vendor]\nkind = \"openai\"\nbase_url = \"http://{}/v1\"\napi_key = {{ file = \"key\" }}\n\n\
             [models.sorter]\nid = \"vendor/sorter\"\n\
             price = {{ input = \"{read} USD/M\", output = \"{written} USD/M\", batch_percent = 50 }}\n",
            sim.address
        );
        house::write(&house.join("baton.toml"), &files)?;
        house::write(&house.join("key"), "simulated")?;
        let intent = house::models(&["sorter".into()]) + "[objective]\nlatency_ms = 20000\n" + LABELS;
        house::write(&house.join("intents/classify/intent.toml"), &intent)?;
        Ok(Self { baton, folder: folder.to_owned(), house, sim, client: Client::new() })
    }

    /// Hands in a job beside the server, with the command line: its id.
    async fn submit(&self, items: usize, within: Option<&str>) -> Result<String> {
        let mut text = String::new();
        for n in 0..items {
            writeln!(text, "{{\"id\":\"t{n}\",\"input\":\"Ticket {n}: something is not as it should be.\"}}")?;
        }
        let file = self.folder.join("items.jsonl");
        house::write(&file, &text)?;
        let mut command = Command::new(&self.baton);
        command.args(["jobs", "submit", "classify", "--json", "--input"]).arg(&file).arg("--dir").arg(&self.house);
        command.args(within.into_iter().flat_map(|within| ["--within", within]));
        let said = command.output().await?;
        let view: Value = serde_json::from_slice(&said.stdout)
            .with_context(|| format!("the job was not taken: {}", String::from_utf8_lossy(&said.stderr)))?;
        view["id"].as_str().map(str::to_owned).with_context(|| format!("a job without an id: {view}"))
    }

    async fn wait(&self, server: &Server, id: &str, since: Instant, until: impl Fn(&Value) -> bool) -> Result<Value> {
        loop {
            let view = self.client.get(server.address, &format!("/v1/jobs/{id}"), "none").await?;
            if until(&view) || view["status"] == "done" {
                return Ok(view);
            }
            if since.elapsed() > PATIENCE {
                bail!("the job is not done after {} s: {view}", PATIENCE.as_secs());
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The most memory that a process had, MiB.
fn peak(server: &Server) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? / 1024)
}

/// Whether the results are those of all items, in their order, each with an execution of its own that has
/// exactly one record.
fn in_order(over: &Over, items: usize) -> (bool, usize) {
    let named = |(n, line): (usize, &Value)| line["place"] == n && line["id"] == format!("t{n}").as_str();
    let ordered = over.lines.len() == items && over.lines.iter().enumerate().all(named);
    let executions: BTreeSet<&str> =
        over.lines.iter().filter_map(|line| line["answer"]["executionId"].as_str()).collect();
    (ordered, executions.len())
}

fn doubles(recorded: &records::Recorded) -> usize {
    recorded.records.values().filter(|records| records.len() > 1).count()
}

fn singly(report: &mut Report, over: &Over, recorded: &records::Recorded) {
    let (ordered, executions) = in_order(over, ITEMS);
    let excess = over.calls.saturating_sub(ITEMS as u64);
    let seconds = over.took.as_secs_f64();
    line(&format!(
        "\nA job of {ITEMS} over sockets, its server killed twice (baton built as {}; models simulated)",
        profile()
    ));
    line(&format!("{executions:>8}  items answered, {} records, {} counted", recorded.records.len(), recorded.counted));
    line(&format!("{:>8}  calls at the provider, {excess} more than items", over.calls));
    line(&format!("{seconds:>8.1}  seconds with both restarts; at most {} MiB of memory", over.peak_mib));
    report.figure("job_items", ITEMS);
    report.figure("job_answered", executions);
    report.figure("job_records", recorded.records.len());
    report.figure("job_calls_upstream", over.calls);
    report.figure("job_calls_in_excess", excess);
    report.figure("job_seconds", seconds);
    report.figure("job_peak_mib", over.peak_mib);
    let answered = ordered && executions == ITEMS && over.view["succeeded"] == ITEMS;
    report.bar(format!("a job of {ITEMS}, killed twice: each item answered once, results in order"), answered);
    let once = recorded.records.len() == ITEMS && recorded.counted == ITEMS as u64 && doubles(recorded) == 0;
    report.bar(
        format!("one record for each item: {} records, {} counted", recorded.records.len(), recorded.counted),
        once,
    );
    let bound = 2 * IN_AIR;
    report.bar(format!("asked twice at most what was in the air at a kill: {excess} ≤ {bound}"), excess <= bound);
}

fn through_batches(report: &mut Report, over: &Over, recorded: &records::Recorded) -> Result<()> {
    let (ordered, executions) = in_order(over, BATCHED);
    let (mut expected, mut in_batch, mut singly) = (0_u64, 0_u64, 0_u64);
    for line in &over.lines {
        let answer = &line["answer"];
        let tokens = |name: &str| answer["usage"][name].as_u64().context("an answer without usage");
        let full = tokens("inputTokens")? * PRICE.0 + tokens("outputTokens")? * PRICE.1;
        let batched = answer["attempts"][0]["kind"] == "batch";
        ensure!(full.is_multiple_of(2), "half of an odd number of nano-dollars");
        expected += if batched { full / 2 } else { full };
        if batched { in_batch += 1 } else { singly += 1 }
    }
    let said = over.view["costUsd"].as_str().unwrap_or_default();
    let said_nano = said.parse::<baton_core::NanoUsd>().map_or(-1, |usd| usd.0);
    line(&format!(
        "\nA job of {BATCHED} through the provider's batches, its server killed between handing in and looking"
    ));
    line(&format!("{:>8}  batches at the provider, of {:?} requests", over.batches.len(), over.batches));
    line(&format!("{in_batch:>8}  items answered in it, {singly} singly, {} calls", over.calls));
    line(&format!("          {said} USD; {expected} nano-dollars by its tokens"));
    report.figure("batch_items", BATCHED);
    report.figure("batch_batches", over.batches.len());
    report.figure("batch_answered_in_it", in_batch);
    report.figure("batch_answered_singly", singly);
    report.figure("batch_cost_nano", said_nano);
    report.figure("batch_expected_nano", expected);
    report.bar(
        format!("through batches, killed in between: one batch at the provider ({})", over.batches.len()),
        over.batches == [BATCHED as u64],
    );
    let once = ordered && executions == BATCHED && recorded.records.len() == BATCHED && doubles(recorded) == 0;
    report.bar("each of its items answered once, with one record, in order", once);
    let asked = in_batch > 0 && singly > 0 && over.calls == singly;
    report.bar(format!("what failed there was asked singly, and nothing else ({singly})"), asked);
    report.bar(
        format!("half the price to the nano-dollar: {said_nano} = {expected}"),
        i64::try_from(expected).is_ok_and(|expected| expected == said_nano),
    );
    Ok(())
}
