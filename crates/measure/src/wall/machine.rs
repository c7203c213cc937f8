//! Faults that are not one model's: everybody down, the store, the clock, the client, the process.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use sqlx::ConnectOptions as _;
use tokio::process::Command;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::caller::{Ask, Client, End, Got};
use super::cases::Does;
use super::judge::{AT_ONCE, DEADLINE_MS, Row, SEEN_LATE, told};
use super::truth::{Question, Task};
use super::world::{FALLBACK, World, healthy};

/// The model of these servers, behind which the usual fallback stands.
const MODEL: &str = "sim/main";
const ALSO: &str = "sim/spare";
/// Longer than anything in the store waits for a lock.
const STORE_DOWN: Duration = Duration::from_secs(6);
/// Within this a model that was cancelled sees it, and a record is there.
pub(super) const SOON: Duration = Duration::from_secs(3);
const TEXT: (Task, bool) = (Task::Reply, true);
const LABEL: (Task, bool) = (Task::Classify, false);

/// One row for each.
pub(crate) async fn all(world: &World, wanted: impl Fn(&str) -> bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if wanted("all candidates down") {
        rows.extend(everybody_down(world).await?);
    }
    if wanted("the store down") {
        rows.push(store_down(world).await?);
    }
    if wanted("clock steps backwards") {
        rows.push(clock_back(world).await?);
    }
    if wanted("client gone in the middle") {
        rows.extend(client_gone(world).await?);
    }
    if wanted("process killed under load") {
        rows.push(killed(world).await?);
    }
    Ok(rows)
}

/// One server, and what is noted of it.
struct Scene<'a> {
    world: &'a World,
    client: Client,
    row: Row,
    asked: usize,
}

impl<'a> Scene<'a> {
    fn new(world: &'a World, at: std::net::SocketAddr, fault: &str, form: &'static str) -> Result<Self> {
        Ok(Self { world, client: Client::new(at)?, row: Row::new(fault, form), asked: 0 })
    }

    async fn behave(&self, model: &str, behaviour: Value) -> Result<()> {
        self.world.spoil(model, &Does::Model(behaviour)).await
    }

    fn question(&mut self, task: Task) -> Question {
        self.asked += 1;
        task.question(self.asked)
    }

    /// Notes one more call that must have gone well enough.
    fn proper(&mut self, question: &Question, got: &Got) {
        self.row.executions.extend(got.execution.clone());
        self.row.must(!matches!(got.end, End::Nothing(_)), || format!("neither answer nor typed error: {}", told(got)));
        self.row.must(got.truthful(&question.truth), || format!("WRONG GIVEN AS RIGHT: {}", told(got)));
        let until = got.first.unwrap_or(got.took);
        let bound = Duration::from_millis(DEADLINE_MS) + SEEN_LATE;
        self.row.must(until <= bound, || format!("late: {} ms", until.as_millis()));
    }

    /// A call whose answer must be true, and come from this model.
    async fn well(&mut self, (task, stream): (Task, bool), by: &str) -> Got {
        let question = self.question(task);
        let got = self.client.ask(&ask(&question, stream, FALLBACK)).await;
        self.proper(&question, &got);
        let answered = matches!(got.end, End::Answer(_)) && got.model.as_deref() == Some(by);
        self.row.must(answered, || format!("a call is answered with {}, and not by {by}", told(&got)));
        got
    }

    /// Every execution has one record, and no record is of anything else. Gives them by id.
    async fn one_record_each(&mut self) -> Result<HashMap<String, Value>> {
        let mut records = HashMap::new();
        // They are listed a moment after they end.
        let known = self.row.executions.len();
        wait_for(SOON, async || Ok(self.client.executions().await?.len() >= known)).await?;
        let listed = self.client.executions().await?;
        let count = listed.len();
        for record in listed {
            records.insert(record["executionId"].as_str().unwrap_or_default().to_owned(), record);
        }
        self.row.must(records.len() == count, || "an execution is listed twice".into());
        for id in &self.row.executions {
            if !records.contains_key(id) {
                self.row.wrong.push(format!("no record of execution {id}"));
            }
        }
        self.row.must(records.len() == known, || format!("{} records of {known} executions", records.len()));
        Ok(records)
    }
}

fn ask<'a>(question: &'a Question, stream: bool, fallback: &'a str) -> Ask<'a> {
    Ask { ward: 0, question, stream, models: (MODEL, Some(fallback)), deadline_ms: DEADLINE_MS }
}

async fn everybody_down(world: &World) -> Result<Vec<Row>> {
    let (_, server) = world.serve("down", &[MODEL.to_owned(), ALSO.to_owned()]).await?;
    let mut rows = Vec::new();
    for (task, stream) in [LABEL, TEXT] {
        let form = if stream { "stream of text" } else { "unary" };
        let mut scene = Scene::new(world, server.address, "all candidates down", form)?;
        let down = json!({ "errors": [{ "status": 503, "share": 1.0 }] });
        scene.behave(MODEL, down.clone()).await?;
        scene.behave(ALSO, down).await?;
        let mut first = None;
        for n in 0..12 {
            let question = scene.question(task);
            let got = scene.client.ask(&ask(&question, stream, ALSO)).await;
            scene.proper(&question, &got);
            let code = End::Error("all_candidates_failed".into());
            scene.row.must(got.end == code, || format!("call {n} got {}", told(&got)));
            scene.row.must(n < 11 || got.took <= AT_ONCE, || format!("with open breakers {} ms", got.took.as_millis()));
            first.get_or_insert(got);
        }
        let first = first.context("no call")?;
        (scene.row.got, scene.row.took) = (told(&first), first.took);
        let record = scene.client.record(first.execution.as_deref().unwrap_or_default()).await?;
        scene.row.record = super::judge::summary(&record);
        scene.row.must(record["status"] == "failed", || format!("its record says {}", record["status"]));
        scene.behave(MODEL, healthy()).await?;
        scene.behave(ALSO, healthy()).await?;
        sleep(super::RECOVERY).await;
        // Where the probe runs beside the fallback, this one may be answered by either.
        let question = scene.question(task);
        let got = scene.client.ask(&ask(&question, stream, ALSO)).await;
        scene.proper(&question, &got);
        scene.row.must(matches!(got.end, End::Answer(_)), || format!("after recovery: {}", told(&got)));
        // Its probe goes on alone where the other was faster: until it has answered, others are asked.
        let closed = wait_for(SOON, async || scene.client.is_closed(MODEL).await).await?;
        scene.row.must(closed, || "its breaker is open after recovery".into());
        scene.well((task, stream), MODEL).await;
        scene.row.after = "open breakers answer at once; back after recovery".into();
        rows.push(scene.row);
        sleep(super::RECOVERY).await;
    }
    server.stop().await?;
    Ok(rows)
}

/// Somebody else's transaction on `records.db`, for longer than ingestion waits.
async fn store_down(world: &World) -> Result<Row> {
    let (place, server) = world.serve("store", &[MODEL.to_owned()]).await?;
    let mut scene = Scene::new(world, server.address, "the store down", "20 calls")?;
    scene.behave(MODEL, healthy()).await?;
    scene.well(LABEL, MODEL).await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(place.join(".baton/records.db"));
    let mut other = options.connect().await.context("open records.db")?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    let began = Instant::now();
    for n in 0..20 {
        let got = scene.well(if n % 2 == 0 { LABEL } else { TEXT }, MODEL).await;
        let id = got.execution.unwrap_or_default();
        let record = scene.client.record(&id).await;
        scene.row.must(record.is_ok(), || format!("no record of {id} while the store is down"));
        (scene.row.got, scene.row.took) = ("answers, itself".into(), scene.row.took.max(got.took));
    }
    sleep(STORE_DOWN.saturating_sub(began.elapsed())).await;
    sqlx::query("ROLLBACK").execute(&mut other).await?;
    scene.well(LABEL, MODEL).await;
    let records = scene.one_record_each().await?;
    scene.row.record = format!("{} of {}, readable meanwhile", records.len(), scene.row.executions.len());
    scene.row.after = "next: itself; all records ingested".into();
    server.stop().await?;
    Ok(scene.row)
}

/// The server's clock goes back by an hour while a stream is open, and on again.
pub(super) async fn clock_back(world: &World) -> Result<Row> {
    let (place, server) = world.serve("clock", &[MODEL.to_owned()]).await?;
    server.stop().await?;
    let mark = world.folder.path().join("an-hour-back");
    let mut command = Command::new(&world.baton);
    command.args(["serve", "--listen", "127.0.0.1:0"]).arg("--dir").arg(&place);
    command.env("LD_PRELOAD", shim(world.folder.path()).await?).env("BATON_WALL_CLOCK", &mark);
    let server = crate::children::Server::start("clock", &mut command, world.folder.path()).await?;
    let mut scene = Scene::new(world, server.address, "clock steps backwards", "calls and a stream")?;
    scene.behave(MODEL, json!({ "first_token_ms": { "fixed": 10 }, "tokens_per_second": 40 })).await?;
    let before = scene.well(LABEL, MODEL).await;
    let (long, short) = (scene.question(Task::Reply), scene.question(Task::Classify));
    let during = async {
        sleep(Duration::from_millis(200)).await;
        std::fs::write(&mark, "")?;
        anyhow::Ok(scene.client.ask(&ask(&short, false, FALLBACK)).await)
    };
    let asked = ask(&long, true, FALLBACK);
    let (open, during) = tokio::join!(scene.client.ask(&asked), during);
    let during = during?;
    for (question, got) in [(&long, &open), (&short, &during)] {
        scene.proper(question, got);
        scene.row.must(matches!(got.end, End::Answer(_)), || format!("at the step: {}", told(got)));
    }
    (scene.row.got, scene.row.took) = ("answers, itself".into(), open.took);
    scene.well(TEXT, MODEL).await;
    let records = scene.one_record_each().await?;
    let start = |got: &Got| records[got.execution.as_deref().unwrap_or_default()]["startedAtMs"].as_i64().unwrap_or(0);
    let back = start(&before) - start(&during);
    scene.row.must(back > 3_000_000, || format!("the server did not see the step: {back} ms"));
    for record in records.values() {
        let total = record["latency"]["totalMs"].as_f64().unwrap_or(f64::INFINITY);
        scene.row.must(total < 3000.0, || format!("a record says {total} ms"));
    }
    scene.row.record = format!("{} of {}", records.len(), scene.row.executions.len());
    std::fs::remove_file(&mark)?;
    scene.well(LABEL, MODEL).await;
    scene.one_record_each().await?;
    scene.row.after = "next: itself, behind and after the step".into();
    server.stop().await?;
    Ok(scene.row)
}

/// Compiles what steps a process's clock.
async fn shim(folder: &Path) -> Result<std::path::PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, include_str!("clock.c"))?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source);
    if !cc.status().await.context("this row needs a C compiler, `cc`")?.success() {
        bail!("the clock does not compile");
    }
    Ok(library)
}

async fn client_gone(world: &World) -> Result<Vec<Row>> {
    let (_, server) = world.serve("gone", &[MODEL.to_owned()]).await?;
    let mut rows = Vec::new();
    for (task, stream, form) in [
        (Task::Reply, true, "stream, after the commit"),
        (Task::Classify, true, "stream, before the commit"),
        (Task::Classify, false, "unary"),
    ] {
        let mut scene = Scene::new(world, server.address, "client gone in the middle", form)?;
        let slow = if task == Task::Reply {
            json!({ "first_token_ms": { "fixed": 10 }, "tokens_per_second": 5 })
        } else {
            json!({ "faults": [{ "kind": "hang", "share": 1.0 }] })
        };
        scene.behave(MODEL, slow).await?;
        let before = (cancelled(world).await?, left(&scene.client).await?);
        let started = Instant::now();
        let question = scene.question(task);
        let asked = ask(&question, stream, FALLBACK);
        if task == Task::Reply {
            scene.client.leave(&asked).await?;
        } else {
            // Dropped, and its connection with it.
            let _gone = timeout(Duration::from_millis(300), Client::new(server.address)?.ask(&asked)).await;
        }
        let seen = wait_for(SOON, async || Ok(cancelled(world).await? > before.0)).await?;
        scene.row.took = started.elapsed();
        scene.row.must(seen, || "the model was not told".into());
        scene.row.got = "nothing, it left; the model was told".into();
        let recorded = wait_for(SOON, async || Ok(left(&scene.client).await? == before.1 + 1)).await?;
        scene.row.must(recorded, || "no record says that it was cancelled".into());
        scene.row.record = "cancelled".into();
        scene.behave(MODEL, healthy()).await?;
        scene.well((task, stream), MODEL).await;
        scene.row.after = "next: itself".into();
        rows.push(scene.row);
    }
    server.stop().await?;
    Ok(rows)
}

/// Executions that were recorded as cancelled.
async fn left(client: &Client) -> Result<usize> {
    let listed = client.executions().await?;
    Ok(listed.iter().filter(|record| record["status"] == "cancelled").count())
}

/// Calls that the model saw its caller leave.
async fn cancelled(world: &World) -> Result<u64> {
    let stats: Value = serde_json::from_str(&world.steer.get("/__sim/stats").await?)?;
    Ok(stats["models"]["main"]["cancelled"].as_u64().unwrap_or_default())
}

/// Whether it holds before the time is over.
pub(super) async fn wait_for(time: Duration, holds: impl AsyncFn() -> Result<bool>) -> Result<bool> {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if holds().await? {
            return Ok(true);
        }
        sleep(Duration::from_millis(50)).await;
    }
    holds().await
}

/// SIGKILL while calls and streams are under way, and a new start on the same folder.
async fn killed(world: &World) -> Result<Row> {
    let (place, server) = world.serve("killed", &[MODEL.to_owned()]).await?;
    let mut scene = Scene::new(world, server.address, "process killed under load", "100 calls, half streamed")?;
    scene.behave(MODEL, json!({ "first_token_ms": { "p50": 60, "p99": 300 }, "tokens_per_second": 60 })).await?;
    let mut calls = JoinSet::new();
    for n in 0..100 {
        let (task, stream) = if n % 2 == 0 { LABEL } else { TEXT };
        let (client, question) = (scene.client.clone(), scene.question(task));
        calls.spawn(async move {
            let got = client.ask(&ask(&question, stream, FALLBACK)).await;
            (question, got)
        });
        sleep(Duration::from_millis(10)).await;
    }
    server.kill().await?;
    let all = calls.join_all().await;
    let answered = all.iter().filter(|(_, got)| matches!(got.end, End::Answer(_))).count();
    let cut = all.len() - answered;
    scene.row.must(cut > 0, || "nothing was under way when it was killed".into());
    scene.row.got = format!("{answered} answers, {cut} broken off");
    for (question, got) in &all {
        scene.row.must(got.truthful(&question.truth), || format!("WRONG GIVEN AS RIGHT: {}", told(got)));
        scene.row.took = scene.row.took.max(got.took);
    }
    let server = world.start_again("killed", &place).await?;
    scene.client = Client::new(server.address)?;
    // Each with its own status: what was cut may have left an id or not.
    let listed = scene.client.executions().await?;
    let status = |id: &str| -> Vec<&str> {
        let of = listed.iter().filter(|record| record["executionId"] == id);
        of.filter_map(|record| record["status"].as_str()).collect()
    };
    let mut interrupted = 0;
    for (_, got) in &all {
        let Some(id) = &got.execution else { continue };
        let found = status(id);
        let right = match got.end {
            End::Answer(_) => found == ["succeeded"],
            // The end of a stream may have been recorded and not have left any more.
            _ => found == ["interrupted"] || found == ["succeeded"],
        };
        interrupted += usize::from(found == ["interrupted"]);
        scene.row.must(right, || format!("a call that got {} is recorded as {found:?}", told(got)));
    }
    scene.row.record = format!("{answered} answered, {interrupted} interrupted");
    scene.behave(MODEL, healthy()).await?;
    scene.well(LABEL, MODEL).await;
    scene.row.after = "started again; next: itself".into();
    server.stop().await?;
    Ok(scene.row)
}
