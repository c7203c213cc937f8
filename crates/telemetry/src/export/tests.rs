//! A collector that takes, refuses, or says nothing, on the paused clock.

use std::sync::Mutex;

use baton_wire::{HttpRequest, HttpResponse, SendFuture, TransportError, TransportFault};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use prost::Message as _;

use super::*;
use crate::fixtures::{check, house, record};
use crate::outlets::OutletState;

/// What a collector does with each request, in turn; the last one again and again.
#[derive(Clone, Copy)]
enum Does {
    Takes,
    Refuses,
    Answers(u16),
    /// gRPC without a message.
    Status(&'static str),
    Hangs,
}

struct Collector {
    does: Mutex<Vec<Does>>,
    got: Mutex<Vec<HttpRequest>>,
}

impl Collector {
    fn new(does: &[Does]) -> Arc<Self> {
        let does = does.iter().rev().copied().collect();
        Arc::new(Self { does: Mutex::new(does), got: Mutex::default() })
    }
}

impl Transport for Collector {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        let grpc = request.headers["content-type"] == "application/grpc";
        self.got.lock().unwrap().push(request);
        let mut does = self.does.lock().unwrap();
        let now = if does.len() > 1 { does.pop().unwrap() } else { does[0] };
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            let mut status = StatusCode::OK;
            let mut body: &'static [u8] = if grpc { &[0; 5] } else { b"" };
            match now {
                Does::Takes => {}
                Does::Refuses => {
                    let message = "connection refused".to_owned();
                    return Err(TransportError { fault: TransportFault::Connect, message });
                }
                Does::Answers(code) => status = StatusCode::from_u16(code).unwrap(),
                Does::Status(code) => {
                    headers.insert("grpc-status", code.parse().unwrap());
                    body = b"";
                }
                Does::Hangs => std::future::pending().await,
            }
            let body = Box::pin(futures_util::stream::iter([Ok(Bytes::from_static(body))]));
            Ok(HttpResponse { status, headers, body })
        })
    }
}

fn settings(variables: &[(&str, &str)]) -> Settings {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");
    let get = |name: &str| {
        let mut all = variables.iter().chain([&endpoint]);
        all.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    Settings::read(&get).unwrap().unwrap()
}

/// Sends `count` records to the collector, and closes.
async fn run(variables: &[(&str, &str)], collector: &Arc<Collector>, count: usize) -> Vec<OutletState> {
    let outlets = Outlets::default();
    let (tap, exporter) = Tap::new(settings(variables), &outlets);
    let mut record = record();
    record.attempts[0].checks = vec![check("schema", true)];
    (0..count).for_each(|_| tap.observe(&record));
    tap.close();
    let transport: Arc<dyn Transport> = collector.clone();
    exporter.run(house(), (Arc::clone(&transport), transport)).await;
    outlets.states()
}

fn counts(states: &[OutletState]) -> Vec<(&'static str, u64, u64, u64)> {
    states.iter().map(|state| (state.name, state.sent, state.failed, state.dropped)).collect()
}

#[tokio::test(start_paused = true)]
async fn all_signals_arrive_over_http() {
    let collector = Collector::new(&[Does::Takes]);
    let states = run(&[], &collector, 3).await;
    assert_eq!(counts(&states), [("traces", 3, 0, 0), ("metrics", 1, 0, 0), ("events", 3, 0, 0)]);
    let got = collector.got.lock().unwrap();
    let paths: Vec<&str> = got.iter().map(|request| request.uri.path()).collect();
    assert_eq!(paths, ["/v1/traces", "/v1/logs", "/v1/metrics"]);
    let traces = ExportTraceServiceRequest::decode(got[0].body.clone()).unwrap();
    assert_eq!(traces.resource_spans[0].scope_spans[0].spans.len(), 6);
    let service = &traces.resource_spans[0].resource.as_ref().unwrap().attributes[0];
    assert_eq!(service.key, "service.name");
}

#[tokio::test(start_paused = true)]
async fn grpc_has_its_own_frame_and_status() {
    let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_METRICS_EXPORTER", "none")];
    let collector = Collector::new(&[Does::Takes]);
    assert_eq!(counts(&run(&grpc, &collector, 1).await), [("traces", 1, 0, 0), ("events", 1, 0, 0)]);
    let got = collector.got.lock().unwrap().remove(0);
    assert_eq!(got.headers["te"], "trailers");
    assert_eq!(u32::from_be_bytes(got.body[1..5].try_into().unwrap()) as usize, got.body.len() - 5);
    ExportTraceServiceRequest::decode(got.body.slice(5..)).unwrap();

    // Invalid argument (3) is final, unavailable (14) is not.
    let only = [grpc[0], grpc[1], ("OTEL_LOGS_EXPORTER", "none")];
    for (code, tries, sent) in [("3", 1, 0), ("14", 2, 1)] {
        let collector = Collector::new(&[Does::Status(code), Does::Takes]);
        assert_eq!(run(&only, &collector, 1).await[0].sent, sent);
        assert_eq!(collector.got.lock().unwrap().len(), tries);
    }
}

const TRACES: [(&str, &str); 2] = [("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again_and_what_does_not_is_not() {
    for (does, tries, sent, failing) in [
        (Does::Answers(503), 2, 1, false),
        (Does::Refuses, 2, 1, false),
        (Does::Answers(400), 1, 0, true),
        (Does::Answers(404), 1, 0, true),
    ] {
        let collector = Collector::new(&[does, Does::Takes]);
        let state = run(&TRACES, &collector, 1).await.remove(0);
        assert_eq!((state.sent, state.failed, state.failing), (sent, 1 - sent, failing));
        assert_eq!(collector.got.lock().unwrap().len(), tries);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_collector_costs_what_it_would_have_been_sent() {
    for does in [Does::Refuses, Does::Hangs] {
        let collector = Collector::new(&[does]);
        let state = run(&TRACES, &collector, QUEUE_MAX + 7).await.remove(0);
        assert_eq!((state.sent, state.failed, state.dropped), (0, QUEUE_MAX as u64, 7));
        assert!(state.failing);
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_is_not_sampled_is_measured_and_not_traced() {
    let collector = Collector::new(&[Does::Takes]);
    let outlets = Outlets::default();
    let (tap, exporter) = Tap::new(settings(&[]), &outlets);
    let mut record = record();
    record.trace = None;
    tap.observe(&record);
    tap.close();
    let transport: Arc<dyn Transport> = collector.clone();
    exporter.run(house(), (Arc::clone(&transport), transport)).await;
    assert_eq!(counts(&outlets.states()), [("traces", 0, 0, 0), ("metrics", 1, 0, 0), ("events", 0, 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn spans_wait_no_longer_than_said() {
    let collector = Collector::new(&[Does::Takes]);
    let outlets = Outlets::default();
    let (tap, exporter) = Tap::new(settings(&TRACES), &outlets);
    tap.observe(&record());
    let transport: Arc<dyn Transport> = collector.clone();
    let running = tokio::spawn(exporter.run(house(), (Arc::clone(&transport), transport)));
    tokio::time::sleep(Duration::from_millis(4900)).await;
    assert_eq!(outlets.states()[0].sent, 0);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(outlets.states()[0].sent, 1);
    tap.close();
    running.await.unwrap();
}
