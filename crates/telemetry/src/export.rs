//! From records to collectors, off the request's path.
//!
//! The path pays for a copy of the record without its content and a place in a bounded queue; where the
//! queue is full the record is counted and let go. One task derives, gathers and sends.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_core::Record;
use baton_wire::Transport;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};

use crate::attributes::Attributes;
use crate::house::{House, Rooms};
use crate::metrics::Metrics;
use crate::otlp::Way;
use crate::outlets::{Outlet, Outlets};
use crate::settings::{Protocol, Settings};
use crate::spans::Deriver;

/// Records that wait; more are dropped. OpenTelemetry's default of its batch processor.
const QUEUE_MAX: usize = 2048;
/// Spans of one message, as far as executions can be kept together.
const BATCH_SPANS: usize = 512;
/// Content of a record that waits is bounded by this; a longer one is not copied.
const CONTENT_BYTES_MAX: usize = 64 << 10;

/// Takes records. Cheap to clone.
#[derive(Clone)]
pub struct Tap {
    queue: Sender<Box<Record>>,
    stop: Arc<watch::Sender<bool>>,
    traces: Option<Arc<Outlet>>,
    metrics: Option<Arc<Outlet>>,
    events: bool,
    content: bool,
}

/// Sends them. Its owner runs it, and awaits it after [`Tap::close`].
pub struct Exporter {
    queue: Receiver<Box<Record>>,
    stop: watch::Receiver<bool>,
    settings: Settings,
    traces: Option<Arc<Outlet>>,
    metrics: Option<Arc<Outlet>>,
    events: Option<Arc<Outlet>>,
}

impl Tap {
    /// A tap, and what it feeds. Each signal that goes somewhere is an outlet.
    #[must_use]
    pub fn new(settings: Settings, outlets: &Outlets) -> (Self, Exporter) {
        let (sender, queue) = channel(QUEUE_MAX);
        let (stop, stopped) = watch::channel(false);
        let traces = settings.traces.as_ref().map(|_| outlets.open("traces"));
        let metrics = settings.metrics.as_ref().map(|_| outlets.open("metrics"));
        let events = settings.events.as_ref().map(|_| outlets.open("events"));
        let tap = Self {
            queue: sender,
            stop: Arc::new(stop),
            traces: traces.clone(),
            metrics: metrics.clone(),
            events: events.is_some(),
            content: settings.content,
        };
        (tap, Exporter { queue, stop: stopped, settings, traces, metrics, events })
    }

    /// Takes one record: a copy without content, as a rule, and a place in the queue.
    pub fn observe(&self, record: &Record) {
        let sampled = record.trace.as_ref().is_some_and(|trace| trace.sampled);
        let traced = sampled && (self.traces.is_some() || self.events);
        if !traced && self.metrics.is_none() {
            return;
        }
        let mut copy = record.without_content();
        if self.content && traced {
            copy.input = record.input.clone().filter(fits);
            copy.output = record.output.clone().filter(fits);
        }
        if self.queue.try_send(Box::new(copy)).is_err() {
            let lost = [self.traces.as_ref().filter(|_| traced), self.metrics.as_ref()];
            lost.into_iter().flatten().for_each(|outlet| outlet.dropped(1));
        }
    }

    /// No more comes: [`Exporter::run`] sends what it has, and ends.
    pub fn close(&self) {
        self.stop.send_replace(true);
    }
}

/// Whether a value is short enough to wait in the queue.
fn fits(value: &serde_json::Value) -> bool {
    serde_json::to_vec(value).is_ok_and(|text| text.len() <= CONTENT_BYTES_MAX)
}

impl Exporter {
    /// Derives and sends until [`Tap::close`], then what is left. `http` carries OTLP/HTTP, `grpc`
    /// speaks HTTP/2 from the first byte and makes an error of a call that failed.
    pub async fn run(mut self, house: House, (http, grpc): (Arc<dyn Transport>, Arc<dyn Transport>)) {
        let mut work = Work::new(&self, &house, &(http, grpc));
        let mut spans = every(self.settings.spans_every);
        let mut metrics = every(self.settings.metrics_every);
        loop {
            tokio::select! {
                biased;
                _ = self.stop.changed() => break,
                _ = metrics.tick() => work.send_metrics().await,
                _ = spans.tick() => work.send_spans().await,
                record = self.queue.recv() => match record {
                    Some(record) => work.take(&record).await,
                    None => break,
                },
            }
        }
        while let Ok(record) = self.queue.try_recv() {
            work.take(&record).await;
        }
        work.send_spans().await;
        work.send_metrics().await;
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// What was derived and not sent yet.
struct Work {
    house: House,
    rooms: Rooms,
    content: bool,
    resource: Resource,
    traces: Option<Way>,
    metrics: Option<(Way, Metrics)>,
    events: Option<Way>,
    spans: Vec<Span>,
    executions: u64,
    evaluations: Vec<LogRecord>,
}

impl Work {
    fn new(exporter: &Exporter, house: &House, (http, grpc): &(Arc<dyn Transport>, Arc<dyn Transport>)) -> Self {
        let settings = &exporter.settings;
        let way = |signal, target: &Option<crate::settings::Target>, outlet: &Option<Arc<Outlet>>| {
            let (target, outlet) = (target.clone()?, outlet.clone()?);
            let transport = if target.protocol == Protocol::Grpc { grpc } else { http };
            Some(Way::new(signal, target, Arc::clone(transport), outlet))
        };
        let mut resource = Attributes::default();
        settings.resource.iter().for_each(|(key, value)| resource.text(key, value.as_str()));
        let metrics = way("metrics", &settings.metrics, &exporter.metrics);
        Self {
            house: house.clone(),
            rooms: house.look(),
            content: settings.content,
            resource: Resource { attributes: resource.0, ..Resource::default() },
            traces: way("traces", &settings.traces, &exporter.traces),
            metrics: metrics.map(|way| (way, Metrics::new(settings.latest, settings.delta, unix_nanos()))),
            events: way("logs", &settings.events, &exporter.events),
            spans: Vec::new(),
            executions: 0,
            evaluations: Vec::new(),
        }
    }

    async fn take(&mut self, record: &Record) {
        if let Some((_, metrics)) = &mut self.metrics {
            metrics.observe(record, &self.rooms);
        }
        if record.trace.as_ref().is_some_and(|trace| trace.sampled) {
            let deriver = Deriver::new(record, &self.rooms, self.content);
            if self.traces.is_some() {
                self.spans.extend(deriver.spans());
                self.executions += 1;
            }
            if self.events.is_some() {
                self.evaluations.extend(deriver.evaluations());
            }
        }
        if self.spans.len().max(self.evaluations.len()) >= BATCH_SPANS {
            self.send_spans().await;
        }
    }

    /// Spans and evaluation events; and a look at the house, for those that come.
    async fn send_spans(&mut self) {
        self.rooms = self.house.look();
        let (spans, executions) = (std::mem::take(&mut self.spans), std::mem::take(&mut self.executions));
        let evaluations = std::mem::take(&mut self.evaluations);
        let traces = async {
            if let (Some(way), false) = (&self.traces, spans.is_empty()) {
                let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
                let resource_spans =
                    vec![ResourceSpans { resource: self.resource(), scope_spans, ..ResourceSpans::default() }];
                way.export(&ExportTraceServiceRequest { resource_spans }, executions).await;
            }
        };
        let events = async {
            if let (Some(way), false) = (&self.events, evaluations.is_empty()) {
                let count = evaluations.len() as u64;
                let scope_logs = vec![ScopeLogs { scope: scope(), log_records: evaluations, ..ScopeLogs::default() }];
                let resource_logs =
                    vec![ResourceLogs { resource: self.resource(), scope_logs, ..ResourceLogs::default() }];
                way.export(&ExportLogsServiceRequest { resource_logs }, count).await;
            }
        };
        tokio::join!(traces, events);
    }

    async fn send_metrics(&mut self) {
        let Some((way, metrics)) = &mut self.metrics else { return };
        let metrics = metrics.take(unix_nanos());
        if metrics.is_empty() {
            return;
        }
        let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
        let resource = Some(self.resource.clone());
        let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        way.export(&ExportMetricsServiceRequest { resource_metrics }, 1).await;
    }

    fn resource(&self) -> Option<Resource> {
        Some(self.resource.clone())
    }
}

fn scope() -> Option<InstrumentationScope> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Some(InstrumentationScope { name: "baton".into(), version, ..InstrumentationScope::default() })
}

fn unix_nanos() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
