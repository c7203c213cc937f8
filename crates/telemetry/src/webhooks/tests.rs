//! A receiver that takes or refuses, on the paused clock.

use std::sync::Mutex;

use baton_config::Secret;
use baton_wire::{HttpResponse, SendFuture};

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_US: i64 = 1_767_225_600_000_000;

/// Answers with these statuses in turn, the last again and again; keeps what it got and when.
struct Receiver {
    statuses: Mutex<Vec<u16>>,
    got: Mutex<Vec<(tokio::time::Instant, HttpRequest)>>,
}

impl Receiver {
    fn new(statuses: &[u16]) -> Arc<Self> {
        Arc::new(Self { statuses: Mutex::new(statuses.iter().rev().copied().collect()), got: Mutex::default() })
    }
}

impl Transport for Receiver {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        self.got.lock().unwrap().push((tokio::time::Instant::now(), request));
        let mut statuses = self.statuses.lock().unwrap();
        let status = if statuses.len() > 1 { statuses.pop().unwrap() } else { statuses[0] };
        Box::pin(async move {
            if status == 0 {
                std::future::pending::<()>().await;
            }
            let body = Box::pin(futures_util::stream::empty());
            Ok(HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body })
        })
    }
}

fn hook(topics: &[Topic]) -> WebhookSpec {
    WebhookSpec { url: "https://ops.example/hook".into(), secret: Secret::Env("HOOK".into()), topics: topics.to_vec() }
}

fn notice() -> Notice {
    Notice { topic: Topic::Breaker, kind: "breaker.opened", data: json!({ "model": "a/x" }) }
}

/// Sends one notice, and lets an hour pass.
async fn run(hooks: &[WebhookSpec], statuses: &[u16]) -> (Arc<Receiver>, crate::OutletState) {
    let (outlets, receiver) = (Outlets::default(), Receiver::new(statuses));
    let environment = |name: &str| (name == "HOOK").then(|| SECRET.to_owned());
    let (webhooks, deliverer) = Webhooks::new(&outlets, || NOW_US, environment);
    let transport: Arc<dyn Transport> = receiver.clone();
    let running = tokio::spawn(deliverer.run(transport));
    webhooks.send(hooks, &notice());
    sleep(Duration::from_secs(3600)).await;
    webhooks.close();
    running.await.unwrap();
    (receiver, outlets.states().remove(0))
}

#[tokio::test(start_paused = true)]
async fn a_notice_is_signed_over_what_is_sent() {
    let (receiver, state) = run(&[hook(&[Topic::Breaker])], &[204]).await;
    assert_eq!((state.sent, state.failed, state.dropped), (1, 0, 0));
    let (_, request) = receiver.got.lock().unwrap().remove(0);
    let body = r#"{"type":"breaker.opened","timestamp":"2026-01-01T00:00:00.000Z","data":{"model":"a/x"}}"#;
    assert_eq!(request.body, body);
    let id = request.headers["webhook-id"].to_str().unwrap();
    assert_eq!(request.headers["webhook-timestamp"], "1767225600");
    let key = SigningKey::read(&Secret::Env(String::new()), &|_| Some(SECRET.into())).unwrap();
    assert_eq!(request.headers["webhook-signature"], key.sign(id, 1_767_225_600, body.as_bytes()));
    assert!(!format!("{request:?}").contains("MfKQ9r8G"), "the secret is not sent");
}

#[tokio::test(start_paused = true)]
async fn only_the_topics_that_a_webhook_takes() {
    let (receiver, state) = run(&[hook(&[Topic::Budget]), hook(&[Topic::Journal])], &[200]).await;
    assert_eq!((state.sent, receiver.got.lock().unwrap().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_tried_again_under_the_same_id() {
    let (receiver, state) = run(&[hook(&[Topic::Breaker])], &[500, 302, 0, 200]).await;
    assert_eq!((state.sent, state.failed), (1, 0));
    let got = receiver.got.lock().unwrap();
    let ids: std::collections::BTreeSet<_> = got.iter().map(|(_, request)| &request.headers["webhook-id"]).collect();
    assert_eq!((got.len(), ids.len()), (4, 1));
    // A redirect is a refusal: the same address is asked again. The third hung until its try was over.
    assert!(got.iter().all(|(_, request)| request.uri == "https://ops.example/hook"));
    let after: Vec<u64> = got.iter().map(|(at, _)| (*at - got[0].0).as_secs()).collect();
    assert_eq!(after, [0, 5, 35, 170]);
}

#[tokio::test(start_paused = true)]
async fn in_the_end_it_is_given_up_and_counted() {
    let (receiver, state) = run(&[hook(&[Topic::Breaker])], &[503]).await;
    assert_eq!((state.sent, state.failed, state.failing), (0, 1, true));
    assert_eq!(receiver.got.lock().unwrap().len(), PAUSES.len() + 1);
    let (receiver, state) = run(&[hook(&[Topic::Breaker])], &[410]).await;
    assert_eq!((state.failed, receiver.got.lock().unwrap().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn the_queue_and_the_shutdown_have_bounds() {
    let (outlets, receiver) = (Outlets::default(), Receiver::new(&[0]));
    let (webhooks, deliverer) = Webhooks::new(&outlets, || NOW_US, |_| Some(SECRET.into()));
    (0..DELIVERIES_MAX + 3).for_each(|_| webhooks.send(&[hook(&[Topic::Breaker])], &notice()));
    assert_eq!(outlets.states()[0].dropped, 3);
    webhooks.close();
    let began = tokio::time::Instant::now();
    deliverer.run(receiver).await;
    assert_eq!(began.elapsed(), LAST);
    assert_eq!(outlets.states()[0].dropped, 3 + DELIVERIES_MAX as u64);
}
