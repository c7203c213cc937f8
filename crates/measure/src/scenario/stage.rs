//! The server, its folder, and those who call it: callers, a reviewer, and who operates it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use baton_config::{Durability, StoreSpec};
use baton_store::Store;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;

use super::ground::{self, CRITERION, House, INTENT, NEXT, Receipts};
use crate::children::Server;

/// Calls at a time.
const AT_ONCE: usize = 8;
/// How long something is waited for that has no bar of its own.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What callers saw of one stretch of traffic.
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) calls: usize,
    fell_back: usize,
    bad: usize,
    verified: usize,
}

impl Phase {
    fn share(&self, count: usize) -> f64 {
        count as f64 / self.calls.max(1) as f64
    }

    pub(crate) fn fell_back(&self) -> f64 {
        self.share(self.fell_back)
    }

    /// Of the answers that were given, those that differ from the receipt.
    pub(crate) fn bad(&self) -> f64 {
        self.share(self.bad)
    }

    pub(crate) fn verified(&self) -> f64 {
        self.share(self.verified)
    }
}

/// See the module.
pub(crate) struct Stage {
    baton: PathBuf,
    folder: PathBuf,
    place: PathBuf,
    receipts: Receipts,
    /// The next receipt that nobody asked about.
    next: usize,
    sim: Server,
    server: Server,
    http: reqwest::Client,
}

impl Stage {
    pub(crate) async fn open(
        baton: PathBuf,
        folder: &Path,
        receipts: Receipts,
        (house, seed): (&House, u64),
    ) -> Result<Self> {
        let sim = ground::sim(&baton, folder, &receipts, (house, seed)).await?;
        let place = folder.join("house");
        ground::furnish(&place, house, sim.address)?;
        let server = crate::house::serve(&baton, &place, folder).await?;
        let http = reqwest::Client::new();
        Ok(Self { baton, folder: folder.to_owned(), place, receipts, next: 0, sim, server, http })
    }

    pub(crate) async fn restart(self) -> Result<Self> {
        self.server.stop().await?;
        let server = crate::house::serve(&self.baton, &self.place, &self.folder).await?;
        Ok(Self { server, ..self })
    }

    /// Asks about receipts that nobody asked about yet.
    pub(crate) async fn traffic(&mut self, name: &'static str, calls: usize) -> Result<Phase> {
        let texts = self.receipts.texts.get(self.next..self.next + calls).context("there are no receipts left")?;
        self.next += calls;
        let answers: Vec<Result<Value>> =
            stream::iter(texts).map(|text| self.ask(text)).buffer_unordered(AT_ONCE).collect().await;
        let mut phase = Phase { name, calls, fell_back: 0, bad: 0, verified: 0 };
        for answer in answers {
            let answer = answer?;
            phase.fell_back += usize::from(answer["model"] == NEXT);
            phase.bad += usize::from(answer["right"] == false);
            phase.verified += usize::from(answer["quality"]["verified"] == true);
        }
        Ok(phase)
    }

    /// The answer, with `right`: whether it is what stands on the receipt.
    async fn ask(&self, text: &str) -> Result<Value> {
        let mut answer = self.post("/v1/execute", &json!({ "intent": INTENT, "input": { "text": text } })).await?;
        answer["right"] = json!(self.receipts.right(text, &answer["output"]));
        Ok(answer)
    }

    /// Asks again and again until an answer is so; how long that took.
    pub(crate) async fn until(&mut self, longest: Duration, so: impl Fn(&Value) -> bool) -> Result<Option<Duration>> {
        let began = Instant::now();
        while began.elapsed() < longest {
            let text = self.receipts.texts.get(self.next).context("there are no receipts left")?.clone();
            self.next += 1;
            if so(&self.ask(&text).await?) {
                return Ok(Some(began.elapsed()));
            }
            sleep(LOOK_EVERY).await;
        }
        Ok(None)
    }

    /// A reviewer who knows the receipts labels so many answers.
    pub(crate) async fn label(&self, count: usize) -> Result<()> {
        let asks = json!({ "reviewer": "ana", "intent": INTENT });
        for _ in 0..count {
            let item =
                self.waited(async || Ok(Some(self.post("/v1/reviews/next", &asks).await?["item"].take()))).await?;
            let (id, text) = (item["executionId"].as_str(), item.pointer("/input/text").and_then(Value::as_str));
            let (id, text) = (id.context("an item without its execution")?, text.context("an item without its input")?);
            let right = self.receipts.right(text, &item["output"]);
            let label = json!({ "action": "label", "reviewer": "ana", "criteria": { CRITERION: right } });
            self.post(&format!("/v1/reviews/{id}"), &label).await?;
        }
        Ok(())
    }

    /// The version in force, when it is so.
    pub(crate) async fn version(&self, so: impl Fn(&Value) -> bool) -> Result<Value> {
        self.waited(async || {
            let listed = self.command(&["calibration", "list", INTENT, "--json"]).await?;
            let listed: Value = serde_json::from_str(&listed)?;
            Ok(listed.get(0).filter(|version| so(version)).cloned())
        })
        .await
    }

    pub(crate) async fn report(&self) -> Result<Value> {
        Ok(serde_json::from_str(&self.command(&["report", "--json"]).await?)?)
    }

    /// What `/metrics` says of the figures whose names begin so: a line each.
    pub(crate) async fn metrics(&self, name: &str) -> Result<Vec<String>> {
        let url = format!("http://{}/metrics", self.server.address);
        let text = self.http.get(url).send().await?.error_for_status()?.text().await?;
        Ok(text.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect())
    }

    /// Looks until there is something.
    pub(crate) async fn waited(&self, look: impl AsyncFn() -> Result<Option<Value>>) -> Result<Value> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            if let Some(found) = look().await?.filter(|found| !found.is_null()) {
                return Ok(found);
            }
            sleep(LOOK_EVERY).await;
        }
        bail!("waited {} s for what should be there", PATIENCE.as_secs())
    }

    /// What a command of Baton prints.
    pub(crate) async fn command(&self, args: &[&str]) -> Result<String> {
        let output = Command::new(&self.baton).args(args).arg("--dir").arg(&self.place).output().await?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "baton {} failed: {err}", args.join(" "));
        Ok(out.into_owned())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let url = format!("http://{}{path}", self.server.address);
        let response = self.http.post(url).body(body.to_string()).send().await?;
        let status = response.status();
        let text = response.text().await?;
        ensure!(status.is_success(), "{path} is answered with {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{path} is not answered with JSON"))
    }

    /// Ends it all: answers that were to be judged, and their scores: scored, errored, skipped.
    pub(crate) async fn close(self) -> Result<(usize, [usize; 3])> {
        self.server.stop().await?;
        self.sim.stop().await?;
        let recorded = crate::records::read(&self.place).await?;
        let spec = StoreSpec { dir: self.place.join(".baton"), durability: Durability::Process };
        let store = Store::open_read(&spec).await?;
        let (mut judged, mut scores) = (0, [0; 3]);
        for record in recorded.records.values().flatten().filter(|record| record.judged.is_some()) {
            judged += 1;
            let of = store.scores_of(&record.team, record.execution).await?;
            ensure!(of.len() <= 1, "execution {} has {} scores", record.execution, of.len());
            for score in of {
                let kind = ["scored", "errored", "skipped"].iter().position(|kind| *kind == score.result.status());
                scores[kind.context("a score of no known kind")?] += 1;
            }
        }
        store.close().await;
        Ok((judged, scores))
    }
}
