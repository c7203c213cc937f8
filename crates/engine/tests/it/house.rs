//! A small house: intents from files, scripted models, a journal that can be slow or full.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use baton_config::{Given, Snapshot, load};
use baton_core::{CallConfig, ErrorCode, LabelSource, Record, ReviewLabel, Status, Via};
use baton_engine::{Call, Cursor, Delivered, ExecuteError, LogEvent, Orchestrator};
use baton_store::{Entry, Handling, Store};
use baton_wire::Delta;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::models::Models;

const BATON: &str = r#"
[providers.sim]
kind = "simulated"
scenario = "scenario.toml"
[models.a]
id = "sim/a"
price = { input = "1 USD/M", output = "2 USD/M" }
[models.b]
id = "sim/b"
price = { input = "1 USD/M", output = "2 USD/M" }
[models.eyes]
id = "sim/eyes"
price = { input = "1 USD/M", output = "0 USD/M" }
"#;

/// Labels that `a` and then `b` are asked for.
pub(crate) const SORT: &str = r#"
models = ["a", "b"]
[labels]
billing = "money"
bug = "broken"
[cache]
ttl = "10s"
partition = ["metadata.customer"]
"#;

/// A text without gates: streams flow as they come.
pub(crate) const WRITE: &str = "models = [\"a\", \"b\"]\n[cache]\nttl = \"10s\"\n";

/// What the house is told besides its files.
pub(crate) struct House {
    files: Vec<(String, String)>,
}

/// A house that answers.
pub(crate) struct Open {
    pub(crate) orchestrator: Orchestrator,
    pub(crate) models: Models,
    store: Store,
    /// How the journal handles entries, from now on.
    pub(crate) journal: Arc<Mutex<Handling>>,
    began: Instant,
}

impl House {
    /// With `sort` as this policy says.
    pub(crate) fn sort(policy: &str) -> Self {
        Self { files: Vec::new() }.with("intents/sort/intent.toml", policy)
    }

    /// With `write` as this policy says.
    pub(crate) fn write(policy: &str) -> Self {
        let prompt = "## system\n\nWrite.\n\n## user\n\n{{ topic }}\n";
        Self { files: Vec::new() }.with("intents/write/intent.toml", policy).with("intents/write/prompt.md", prompt)
    }

    pub(crate) fn with(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.to_owned()));
        self
    }

    /// What its files compile to.
    pub(crate) fn snapshot(self) -> Snapshot {
        let dir = tempfile::tempdir().unwrap();
        let own = [("baton.toml", BATON), ("scenario.toml", "models = {}\n")];
        let own = own.map(|(path, text)| (path.to_owned(), text.to_owned()));
        for (path, text) in own.into_iter().chain(self.files) {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
        load(dir.path(), &given).unwrap_or_else(|report| panic!("{report}")).snapshot
    }

    pub(crate) fn open(self) -> Open {
        let journal = Arc::new(Mutex::new(Handling::default()));
        let handling = journal.clone();
        let store = Store::scripted(Arc::new(move |_| *handling.lock().unwrap()));
        Open { journal, ..self.open_on(store) }
    }

    /// On a store that outlives it.
    pub(crate) fn open_on(self, store: Store) -> Open {
        let snapshot = self.snapshot();
        let journal = Arc::default();
        let models = Models::default();
        let orchestrator = orchestrator(snapshot, &store, (&models, 7));
        Open { orchestrator, models, store, journal, began: Instant::now() }
    }
}

fn orchestrator(snapshot: Snapshot, store: &Store, (models, seed): (&Models, u64)) -> Orchestrator {
    let builder = Orchestrator::builder(snapshot, store.clone());
    builder.transport("sim", Arc::new(models.clone())).simulated(seed).build().unwrap()
}

/// A call of `sort`.
pub(crate) fn sort(ticket: &str) -> Call {
    Call::intent("sort", json!({ "ticket": ticket }))
}

/// A call of `write`, streamed.
pub(crate) fn write(topic: &str) -> Call {
    Call { stream: true, ..Call::intent("write", json!({ "topic": topic })) }
}

/// With other limits.
pub(crate) fn within(call: Call, config: Value) -> Call {
    let config: CallConfig = serde_json::from_value(config).unwrap();
    Call { config, ..call }
}

/// From another team.
pub(crate) fn of_team(mut call: Call, team: &str) -> Call {
    call.caller.team = team.into();
    call
}

/// With a value for the partition.
pub(crate) fn of_customer(mut call: Call, customer: &str) -> Call {
    call.metadata.insert("customer".into(), customer.into());
    call
}

impl Open {
    /// Makes a call and waits for its end.
    pub(crate) async fn execute(&self, call: Call) -> Result<Arc<Delivered>, ExecuteError> {
        self.orchestrator.execute(call).await
    }

    /// Another process takes over what is stored. Its wall clock begins again: let more time pass than
    /// has passed.
    pub(crate) fn restart(&mut self, house: House) {
        self.orchestrator = orchestrator(house.snapshot(), &self.store, (&self.models, 8));
    }

    /// The output and how it came about, or the error.
    pub(crate) async fn told(&self, call: Call) -> Result<(Value, Via), ErrorCode> {
        told(self.execute(call).await)
    }

    /// What the journal holds.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.store.journal().entries(0).unwrap().into_iter().map(|(_, entry)| entry).collect()
    }

    /// A reviewer's word on each: the label `bug` is right. Then it is learnt.
    pub(crate) async fn review(&self, records: &[Record]) {
        let label = |record: &Record| ReviewLabel {
            reviewer: "ana".into(),
            at_us: record.started_at_us,
            pass: record.output == Some(json!({ "label": "bug" })),
            source: LabelSource::Review,
            criteria: [].into(),
            correction: None,
            comment: None,
        };
        let said = records.iter().map(|record| (record.clone(), label(record))).collect();
        self.orchestrator.store().import_labels(said).await.unwrap();
        self.orchestrator.calibrate().await.unwrap();
    }

    /// The final records, in the order in which they were written.
    pub(crate) fn records(&self) -> Vec<Record> {
        let finished = |entry| if let Entry::Finished(record) = entry { Some(*record) } else { None };
        self.entries().into_iter().filter_map(finished).collect()
    }

    /// How they ended.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        self.records().iter().map(|record| record.status).collect()
    }

    /// Whole milliseconds since the house opened.
    pub(crate) fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// The journal refuses entries and work, or acknowledges late.
    pub(crate) fn journal(&self, refuse: bool, ack_after_ms: u64) {
        *self.journal.lock().unwrap() = Handling { refuse, ack_after: Duration::from_millis(ack_after_ms) };
    }
}

pub(crate) fn told(result: Result<Arc<Delivered>, ExecuteError>) -> Result<(Value, Via), ErrorCode> {
    match result {
        Ok(delivered) => Ok((delivered.answer.output.clone(), delivered.answer.via)),
        Err(error) => Err(error.failure.code),
    }
}

/// What a reader reads to the end: `start a`, the text of each piece, then `end VIA` or the error's code.
pub(crate) async fn read(mut events: Cursor) -> Vec<String> {
    let mut read = Vec::new();
    while let Some(event) = events.next().await {
        read.push(match event {
            LogEvent::Start { model } => format!("start {model}"),
            LogEvent::Delta(Delta::Text(text)) => text,
            LogEvent::Delta(_) => continue,
            LogEvent::End(delivered) => format!("end {}", delivered.answer.via.as_str()),
            LogEvent::Error(failure) => failure.code.as_str().to_owned(),
        });
    }
    read
}

/// Lets everything happen that is due now.
pub(crate) async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}
