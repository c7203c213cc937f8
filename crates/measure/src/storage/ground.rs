//! A gateway on a folder whose store may fail, and a caller of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_config::{Given, load};
use baton_core::ExecutionId;
use baton_engine::{Observer, Orchestrator};
use baton_gateway::{GatewayOptions, Metrics, serve, watch};
use baton_provider::HttpTransport;
use baton_sim::{Behaviour, Scenario, Sim};
use baton_store::{JournalOptions, Store};
use baton_telemetry::{Monitor, Outlets, Webhooks};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Row;
use crate::client::{Client, Ending, Outcome};
use crate::hook::{self, Hook};
use crate::paused::TRUTH;

/// What must be seen is seen within this.
const SOON: Duration = Duration::from_secs(30);
const DEADLINE_MS: u64 = 2000;

/// See the module.
pub(super) struct Ground {
    pub(super) place: PathBuf,
    sim: Sim,
    store: Store,
    address: SocketAddr,
    client: Client,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
    hook: Hook,
    /// Watches, and delivers.
    telling: [JoinHandle<()>; 2],
    /// Executions that were answered.
    answered: Vec<ExecutionId>,
    calls: usize,
}

impl Ground {
    /// A folder at this place, whose journal has these bounds.
    pub(super) async fn open(place: &Path, journal: JournalOptions) -> Result<Self> {
        let put = |path: &str, text: &str| crate::house::write(&place.join(path), text);
        let hook = Hook::start().await?;
        let house = "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n\n";
        put("baton.toml", &format!("{house}{}", hook.configured("journal")))?;
        put("scenario.toml", "models = {}\n")?;
        put("intents/sort/intent.toml", &format!("models = [\"sim/main\"]\n{}", crate::house::LABELS))?;
        put("intents/write/intent.toml", "models = [\"sim/main\"]\n")?;
        put("intents/write/prompt.md", "Answer this ticket: {{ input }}\n")?;
        let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
        let loaded = load(place, &given).map_err(|report| anyhow::anyhow!("the folder is wrong:\n{report}"))?;
        let store = Store::open_with(&loaded.snapshot.store, journal).await?;
        let cases = TRUTH.map(|(input, label)| (json!(input), json!({ "label": label })));
        let sim = Sim::new(Scenario::default().model("main", Behaviour::default())?.cases(cases)?, 7);
        let outlets = Outlets::default();
        let (webhooks, deliverer) = Webhooks::new(&outlets, hook::unix_us, hook::environment);
        let metrics = Metrics::watching(outlets);
        let observed = Arc::clone(&metrics);
        let observer: Observer = Arc::new(move |record| observed.observe(record));
        let orchestrator = Orchestrator::builder(loaded.snapshot, store.clone())
            .transport("sim", Arc::new(sim.transport()))
            .on_record(observer)
            .build()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let watching = watch(orchestrator.clone(), Arc::new(Mutex::new(Monitor::default())), webhooks, hook::unix_us);
        let telling = [tokio::spawn(watching), tokio::spawn(deliverer.run(Arc::new(HttpTransport::new()?)))];
        let (stop, stopped) = oneshot::channel();
        let shutdown = async move {
            let _told = stopped.await;
        };
        let served = tokio::spawn(serve(listener, orchestrator, metrics, GatewayOptions::default(), shutdown));
        let (client, http) = (Client::new(), reqwest::Client::new());
        let place = place.to_owned();
        let answered = Vec::new();
        Ok(Self { place, sim, store, address, client, http, stop, served, hook, telling, answered, calls: 0 })
    }

    /// A call whose input has so many bytes, every other one a stream of text.
    pub(super) async fn call(&mut self, row: &mut Row, bytes: usize) -> Ending {
        self.calls += 1;
        let (ticket, _) = TRUTH[self.calls % TRUTH.len()];
        let input = format!("{ticket} {}", "x".repeat(bytes));
        let (intent, stream) = if self.calls.is_multiple_of(2) { ("write", true) } else { ("sort", false) };
        let config = json!({ "maxLatencyMs": DEADLINE_MS });
        let body = json!({ "intent": intent, "input": input, "stream": stream, "config": config });
        let Outcome { execution, ending, took, .. } = self.client.execute(self.address, &body).await;
        match (&ending, execution) {
            (Ending::Answer, Some(id)) => self.answered.push(id),
            (Ending::Error(_), _) => {}
            (other, _) => row.wrong.push(format!("neither an answer nor a typed error: {other:?}")),
        }
        // Its own lateness is `measure deadline`'s to judge; here nobody may hang.
        row.must(took < Duration::from_millis(DEADLINE_MS) + Duration::from_secs(1), || {
            format!("a call took {took:?}")
        });
        ending
    }

    /// So many calls, every one of which must be answered.
    pub(super) async fn answers(&mut self, row: &mut Row, calls: usize) {
        for _ in 0..calls {
            let ending = self.call(row, 100).await;
            row.must(ending == Ending::Answer, || format!("a call got {ending:?}, and should be answered"));
        }
    }

    /// How often the model was asked.
    pub(super) fn asked(&self) -> u64 {
        self.sim.stats().values().map(|stats| stats.calls).sum()
    }

    /// Status and body of `/readyz`.
    pub(super) async fn ready(&self) -> Result<(u16, Value)> {
        let response = self.http.get(format!("http://{}/readyz", self.address)).send().await?;
        let status = response.status().as_u16();
        Ok((status, serde_json::from_slice(&response.bytes().await?).context("/readyz is not JSON")?))
    }

    /// Waits until `/readyz` has this status, this part of it this state, and a metric this value: two
    /// of the places where a state must show.
    pub(super) async fn shows(
        &self,
        row: &mut Row,
        status: u16,
        part: (&str, &str),
        metric: (&str, u64),
    ) -> Result<()> {
        let until = Instant::now() + SOON;
        let sample = format!("baton_{} {}", metric.0, metric.1);
        loop {
            let (code, ready) = self.ready().await?;
            let metrics = self.http.get(format!("http://{}/metrics", self.address)).send().await?.text().await?;
            let counted = metrics.lines().any(|line| line == sample);
            if code == status && ready[part.0]["state"] == part.1 && counted {
                let reason = ready[part.0]["reason"].as_str().unwrap_or_default();
                row.must(part.1 == "ok" || !reason.is_empty(), || format!("/readyz gives no reason for {part:?}"));
                let shown = format!("/readyz {status}, {} {}; {sample}", part.0, part.1);
                row.shown =
                    [&row.shown, &shown].into_iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join("; ");
                return Ok(());
            }
            if Instant::now() >= until {
                row.wrong.push(format!("never shown: {status}, {part:?}, {sample}; /readyz says {code} {ready}"));
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The third: waits until a webhook was told this. What it passed through on its way there (a journal
    /// that drains drops content for a moment) is told before.
    pub(super) async fn tells(&mut self, row: &mut Row, kind: &str) -> Result<()> {
        let told = async {
            while self.hook.told().await? != kind {}
            anyhow::Ok(())
        };
        let told = tokio::time::timeout(SOON, told).await;
        row.must(told.is_ok(), || format!("no webhook was told {kind} within {} s", SOON.as_secs()));
        if let Ok(told) = told {
            told?;
            row.shown += &format!("; webhook {kind}");
        }
        Ok(())
    }

    /// Stops it, and looks for the one record of each answer.
    pub(super) async fn close(self, row: &mut Row) -> Result<()> {
        let _told = self.stop.send(());
        self.served.await??;
        self.telling.iter().for_each(JoinHandle::abort);
        self.store.close().await;
        let recorded = crate::records::read(&self.place).await?;
        let count: HashMap<_, usize> = recorded.records.iter().map(|(id, records)| (*id, records.len())).collect();
        for id in &self.answered {
            let records = count.get(id).copied().unwrap_or_default();
            row.must(records == 1, || format!("{records} records of {id}, which was answered"));
        }
        row.must(count.values().all(|records| *records == 1), || "an execution has two records".into());
        row.kept = format!("{} of {} answers; {} in all", self.answered.len(), self.answered.len(), count.len());
        Ok(())
    }
}
