//! What leaves a server: telemetry as the environment says, webhooks as baton.toml says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_config::{Secret, Snapshot};
use baton_core::Sampler;
use baton_engine::{Observer, Orchestrator};
use baton_gateway::{Metrics, watch};
use baton_provider::HttpTransport;
use baton_telemetry::{
    Deliverer, Exporter, Failures, House, Monitor, Outlet, Outlets, Settings, SigningKey, Tap, WebhookError, Webhooks,
};
use baton_wire::Transport;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::exit::{Exit, tell};
use crate::setup::unix_us;

/// How often it is looked what the log dropped.
const LOOK: Duration = Duration::from_secs(1);
/// At the end, what sending the rest may take.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// The environment, as telemetry reads it.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Before the server runs.
pub(crate) struct Telemetry {
    pub(crate) sampler: Sampler,
    outlets: Outlets,
    export: Option<(Tap, Exporter, bool)>,
    monitor: Arc<Mutex<Monitor>>,
    webhooks: (Webhooks, Deliverer),
    log: Arc<Outlet>,
}

/// While it runs.
pub(crate) struct Running {
    tap: Option<Tap>,
    webhooks: Webhooks,
    sending: Vec<JoinHandle<()>>,
    looking: [JoinHandle<()>; 2],
}

impl Telemetry {
    /// Reads the environment.
    pub(crate) fn read() -> Result<Self, Exit> {
        let settings = Settings::read(&environment).map_err(|error| Exit::usage(error.to_string()))?;
        let outlets = Outlets::default();
        let sampler = settings.as_ref().map_or(Sampler::OFF, |settings| settings.sampler);
        let export = settings.map(|settings| {
            let grpc = settings.uses_grpc();
            let (tap, exporter) = Tap::new(settings, &outlets);
            (tap, exporter, grpc)
        });
        let webhooks = Webhooks::new(&outlets, unix_us, environment);
        let log = outlets.open("log");
        Ok(Self { sampler, outlets, export, monitor: Arc::default(), webhooks, log })
    }

    /// Figures, those of what leaves included.
    pub(crate) fn metrics(&self) -> Arc<Metrics> {
        Metrics::watching(self.outlets.clone())
    }

    /// Sees every record: counts it, and hands it on.
    pub(crate) fn observer(&self, metrics: &Arc<Metrics>) -> Observer {
        let (metrics, monitor, failures) = (Arc::clone(metrics), Arc::clone(&self.monitor), Failures::default());
        let tap = self.export.as_ref().map(|(tap, ..)| tap.clone());
        Arc::new(move |record| {
            metrics.observe(record);
            failures.observe(record);
            monitor.lock().unwrap_or_else(PoisonError::into_inner).saw(record);
            if let Some(tap) = &tap {
                tap.observe(record);
            }
        })
    }

    /// Begins to send, and to watch what should be told.
    pub(crate) fn start(self, baton: &Orchestrator) -> Result<Running, Exit> {
        signable(&baton.snapshot())?;
        let outside = |error: baton_wire::TransportError| Exit::outside(error.to_string());
        let http: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(outside)?);
        let mut sending = Vec::new();
        let mut tap = None;
        if let Some((taps, exporter, grpc)) = self.export {
            let grpc: Arc<dyn Transport> =
                if grpc { Arc::new(HttpTransport::http2().map_err(outside)?) } else { Arc::clone(&http) };
            sending.push(tokio::spawn(exporter.run(house(baton), (Arc::clone(&http), grpc))));
            tap = Some(taps);
        }
        let (webhooks, deliverer) = self.webhooks;
        sending.push(tokio::spawn(deliverer.run(http)));
        let watching = tokio::spawn(watch(baton.clone(), self.monitor, webhooks.clone(), unix_us));
        let counting = tokio::spawn(count_dropped(self.log));
        Ok(Running { tap, webhooks, sending, looking: [watching, counting] })
    }
}

impl Running {
    /// Sends what is left, within a bound.
    pub(crate) async fn finish(self) {
        self.looking.iter().for_each(JoinHandle::abort);
        self.webhooks.close();
        if let Some(tap) = &self.tap {
            tap.close();
        }
        let mut sending = self.sending;
        let all = async {
            for task in &mut sending {
                let _ended = task.await;
            }
        };
        if timeout(FLUSH_MAX, all).await.is_err() {
            sending.iter().for_each(JoinHandle::abort);
            tell!("some telemetry was not taken within {} s, and is lost", FLUSH_MAX.as_secs());
        }
    }
}

/// What records do not say.
fn house(baton: &Orchestrator) -> House {
    let baton = baton.clone();
    let address = |kind: &str| baton_provider::vendor(kind).map(|vendor| vendor.base_url);
    House { snapshot: Arc::new(move || baton.snapshot()), address }
}

/// Counts what the log dropped, and tells it once it is read again.
async fn count_dropped(log: Arc<Outlet>) {
    let mut counted = 0;
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let dropped = crate::log::dropped() - counted;
        if dropped > 0 {
            log.dropped(dropped);
            counted += dropped;
            tracing::warn!(dropped, "lines of the log were dropped: nobody read standard error");
        }
    }
}

/// Webhooks can be signed: a server looks before it needs to.
pub(crate) fn signable(snapshot: &Snapshot) -> Result<(), Exit> {
    secretless(snapshot).into_iter().next().map_or(Ok(()), |(_, error)| Err(Exit::usage(error.to_string())))
}

/// Webhooks whose secret is not there, or is none.
pub(crate) fn secretless(snapshot: &Snapshot) -> Vec<(Secret, WebhookError)> {
    let wrong = |hook: &baton_config::WebhookSpec| {
        SigningKey::read(&hook.secret, &environment).err().map(|error| (hook.secret.clone(), error))
    };
    snapshot.webhooks.iter().filter_map(wrong).collect()
}
