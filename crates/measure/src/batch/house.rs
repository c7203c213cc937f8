//! Real bank queries asked of simulated models over real sockets: what was answered, what it cost by the
//! records, and what the models themselves said that they had charged.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use baton_core::{BatchShare, NanoUsd, Record};
use baton_engine::Call;
use baton_provider::HttpTransport;
use baton_sim::{Behaviour, Latency, Scenario, Share, Sim, Speed};
use baton_stats::SplitMix64;
use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::Arguments;
use crate::banking77::SOURCE;
use crate::banking77::csv::{self, Row};
use crate::ground::Ground;

const INTENT: &str = "classify-query";
pub(super) const DEADLINE_MS: u64 = 8000;
/// Of the model, in dollars for a million tokens; in nano-dollars a token, a thousandth of that.
pub(super) const PRICE: (u64, u64) = (150, 600);
/// Cases of each label, from the train part.
const CASES: usize = 2;

/// What is asked, and what is true.
pub(super) struct Data {
    /// In the order in which they are asked; from the test part.
    pub(super) queries: Vec<Row>,
    pub(super) labels: Vec<String>,
    /// From the train part.
    cases: Vec<Row>,
    pub(super) callers: usize,
    pub(super) seed: u64,
}

impl Data {
    pub(super) fn read(arguments: &Arguments) -> Result<Self> {
        let mut train = csv::read(&crate::data::file("banking77", "train.csv", SOURCE)?)?;
        let mut queries = csv::read(&crate::data::file("banking77", "test.csv", SOURCE)?)?;
        let mut rng = SplitMix64::new(arguments.seed);
        rng.shuffle(&mut queries);
        queries.truncate(usize::try_from(arguments.queries)?);
        let labels: BTreeSet<String> = train.iter().map(|row| row.label.clone()).collect();
        rng.shuffle(&mut train);
        let mut cases = Vec::new();
        for label in &labels {
            let some = train.iter().filter(|row| row.label == *label).take(CASES);
            cases.extend(some.map(|row| Row { text: row.text.clone(), label: row.label.clone() }));
        }
        let labels = labels.into_iter().collect();
        let (callers, seed) = (usize::try_from(arguments.callers)?, arguments.seed);
        Ok(Self { queries, labels, cases, callers, seed })
    }

    fn folder(&self, address: std::net::SocketAddr, policy: &str, cases: bool) -> Result<Vec<(String, String)>> {
        let price = format!("price = {{ input = \"0.{} USD/M\", output = \"0.{} USD/M\" }}", PRICE.0, PRICE.1);
        let provider = crate::house::provider("sim", address);
        let baton = format!("{provider}max_concurrency = 1000\n\n[models.m]\nid = \"sim/m\"\n{price}\n");
        let mut intent = format!("models = [\"m\"]\n[objective]\nlatency_ms = {DEADLINE_MS}\n{policy}[labels]\n");
        for label in &self.labels {
            writeln!(intent, "{} = {}", json!(label), json!(label.replace('_', " ")))?;
        }
        let mut files = vec![("baton.toml".to_owned(), baton), (format!("intents/{INTENT}/intent.toml"), intent)];
        if cases {
            let line = |row: &Row| json!({ "input": { "query": row.text }, "expected": { "label": row.label } });
            let lines: Vec<String> = self.cases.iter().map(|row| line(row).to_string()).collect();
            files.push((format!("intents/{INTENT}/cases.jsonl"), lines.join("\n")));
        }
        Ok(files)
    }
}

/// One way to ask.
pub(super) struct Arm<'a> {
    pub(super) name: &'a str,
    /// Of the intent, besides models, deadline and labels.
    pub(super) policy: &'a str,
    /// Whether the intent has cases, which control items are chosen from.
    pub(super) cases: bool,
    pub(super) model: Behaviour,
    /// In the order in which they are asked.
    pub(super) queries: Vec<String>,
}

/// One query and its answer.
pub(super) struct Asked {
    /// `None` where there was none.
    pub(super) label: Option<String>,
    pub(super) record: Record,
}

impl Asked {
    pub(super) fn share(&self) -> Option<&BatchShare> {
        self.record.attempts.iter().find_map(|attempt| attempt.batch.as_deref())
    }

    /// Why it was asked for alone, where it was in a lot of a batch.
    pub(super) fn alone(&self) -> Option<&str> {
        self.share()?.alone.as_deref()
    }
}

/// What came of an arm.
pub(super) struct Ran {
    /// In the order in which they were asked.
    pub(super) all: Vec<Asked>,
    pub(super) charged: Charged,
    pub(super) took: Duration,
}

/// What the models said that they had charged.
#[derive(Clone, Copy, Default)]
pub(super) struct Charged {
    pub(super) calls: u64,
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Charged {
    pub(super) fn tokens(&self) -> u64 {
        self.input + self.output
    }

    pub(super) fn cost(&self) -> NanoUsd {
        NanoUsd(i64::try_from(self.input * PRICE.0 + self.output * PRICE.1).unwrap_or(i64::MAX))
    }
}

impl Ran {
    /// The same by the records.
    pub(super) fn recorded(&self) -> (u64, NanoUsd) {
        let tokens = self.all.iter().map(|asked| asked.record.usage.input_tokens + asked.record.usage.output_tokens);
        (tokens.sum(), self.all.iter().map(|asked| asked.record.cost).sum())
    }

    pub(super) fn ms(&self, q: f64) -> f64 {
        let times: Vec<f64> = self.all.iter().map(|asked| asked.record.duration_us as f64 / 1000.0).collect();
        baton_stats::quantile(&times, q).unwrap_or(f64::INFINITY)
    }
}

/// A model that is wrong in one of ten queries, the same ones however it is asked.
pub(super) fn model() -> Result<Behaviour> {
    let latency = Latency::Lognormal { p50_ms: 250.0, p99_ms: 600.0 };
    let (wrong, speed) = (Share::new(0.1), Speed::new(150.0));
    let speed = Some(speed.map_err(anyhow::Error::msg)?);
    let wrong = wrong.map_err(anyhow::Error::msg)?;
    Ok(Behaviour { first_token_ms: latency, tokens_per_second: speed, wrong, ..Behaviour::default() })
}

/// Asks all queries, so many at a time.
pub(super) async fn ask(data: &Data, arm: Arm<'_>) -> Result<Ran> {
    crate::report::progress(&format!("{}: {} queries, {} at a time", arm.name, arm.queries.len(), data.callers));
    let known = data.queries.iter().chain(&data.cases);
    let known = known.map(|row| (json!({ "query": row.text }), json!({ "label": row.label })));
    let scenario = Scenario::default().model("m", arm.model)?.cases(known)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let sim = tokio::spawn(Sim::new(scenario, data.seed).serve(listener, std::future::pending()));
    let meter = Meter { inner: Arc::new(HttpTransport::new()?), charged: Arc::default() };
    let charged = Arc::clone(&meter.charged);
    let files = data.folder(address, arm.policy, arm.cases)?;
    let ground = Ground::open(&files, vec![("sim", Arc::new(meter))]).await?;
    let began = std::time::Instant::now();
    let one = async |query: &String| {
        let execution = ground.engine.start(Call::intent(INTENT, json!({ "query": query })));
        let (id, mut events) = (execution.id, execution.events);
        let mut label = None;
        while let Some(event) = events.next().await {
            if let baton_engine::LogEvent::End(told) = event {
                label = told.answer.output["label"].as_str().map(str::to_owned);
            }
        }
        (id, label)
    };
    let told: Vec<_> = stream::iter(&arm.queries).map(one).buffered(data.callers).collect().await;
    let took = began.elapsed();
    ground.engine.idle().await;
    ground.engine.store().flush().await?;
    let mut all = Vec::with_capacity(told.len());
    for (id, label) in told {
        all.push(Asked { label, record: ground.record(id).await? });
    }
    ground.close().await?;
    sim.abort();
    let charged = *charged.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Ran { all, charged, took })
}

/// Passes everything on, and reads the models' own bills.
struct Meter {
    inner: Arc<HttpTransport>,
    charged: Arc<Mutex<Charged>>,
}

impl Transport for Meter {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(async move {
            let HttpResponse { status, headers, mut body } = self.inner.send(request).await?;
            let mut bytes = Vec::new();
            while let Some(piece) = body.next().await {
                bytes.extend_from_slice(&piece?);
            }
            let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let tokens = |name: &str| said["usage"][name].as_u64().unwrap_or_default();
            {
                let mut charged = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
                charged.calls += 1;
                charged.input += tokens("prompt_tokens");
                charged.output += tokens("completion_tokens");
            }
            let body = stream::once(async move { Ok(Bytes::from(bytes)) });
            Ok(HttpResponse { status, headers, body: Box::pin(body) })
        })
    }
}
