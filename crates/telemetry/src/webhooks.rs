//! Notices on their way to the operator: signed, tried again, bounded.
//!
//! As the Standard Webhooks specification: a body of `type`, `timestamp` and `data`; the headers
//! `webhook-id`, `webhook-timestamp`, `webhook-signature`. At least once: whoever receives an id twice
//! drops the second. Only addresses of `baton.toml` are asked, and no redirect is followed.

use std::sync::Arc;
use std::time::Duration;

use baton_config::{Topic, WebhookSpec};
use baton_wire::{HttpRequest, Transport};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::monitor::Notice;
use crate::outlets::{Outlet, Outlets};
use crate::sign::SigningKey;
use crate::time::rfc3339;

/// Deliveries that wait or are tried; more are dropped, and counted.
const DELIVERIES_MAX: usize = 256;
/// What one try may take.
const TRY_MAX: Duration = Duration::from_secs(15);
/// How long after each try that failed: six tries in 43 minutes.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
];
/// At shutdown, what those under way may still take.
const LAST: Duration = Duration::from_secs(3);

/// Reads the wall clock: Unix microseconds.
type Clock = fn() -> i64;
type Environment = fn(&str) -> Option<String>;

/// One notice for one webhook.
struct Delivery {
    hook: WebhookSpec,
    id: String,
    body: Bytes,
}

/// Takes notices. Cheap to clone; a task of its own sends them.
#[derive(Clone)]
pub struct Webhooks {
    queue: Sender<Delivery>,
    stop: Arc<watch::Sender<bool>>,
    outlet: Arc<Outlet>,
    clock: Clock,
}

/// The other end of [`Webhooks`].
pub struct Deliverer {
    queue: Receiver<Delivery>,
    stop: watch::Receiver<bool>,
    outlet: Arc<Outlet>,
    clock: Clock,
    environment: Environment,
}

impl Webhooks {
    /// An outlet for notices, and what sends them.
    #[must_use]
    pub fn new(outlets: &Outlets, clock: Clock, environment: Environment) -> (Self, Deliverer) {
        let (sender, queue) = channel(DELIVERIES_MAX);
        let (stop, stopped) = watch::channel(false);
        let outlet = outlets.open("webhooks");
        let webhooks = Self { queue: sender, stop: Arc::new(stop), outlet: Arc::clone(&outlet), clock };
        (webhooks, Deliverer { queue, stop: stopped, outlet, clock, environment })
    }

    /// Hands a notice to every webhook that takes its topic.
    pub fn send(&self, hooks: &[WebhookSpec], notice: &Notice) {
        let body = body(notice, (self.clock)());
        for hook in hooks.iter().filter(|hook| hook.topics.contains(&notice.topic)) {
            let delivery = Delivery { hook: hook.clone(), id: id(), body: body.clone() };
            if self.queue.try_send(delivery).is_err() {
                self.outlet.dropped(1);
                tracing::warn!(event = notice.kind, "a webhook's notice was dropped: too many wait");
            }
        }
    }

    /// No more comes: [`Deliverer::run`] gives those under way a moment, and ends.
    pub fn close(&self) {
        self.stop.send_replace(true);
    }
}

impl Deliverer {
    /// Delivers until [`Webhooks::close`].
    pub async fn run(self, transport: Arc<dyn Transport>) {
        let Self { mut queue, mut stop, outlet, clock, environment } = self;
        let begin = |delivery, under_way: &mut JoinSet<bool>| {
            under_way.spawn(deliver(delivery, Arc::clone(&transport), clock, environment));
        };
        let mut under_way: JoinSet<bool> = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                _ = stop.changed() => break,
                Some(ended) = under_way.join_next() => count(&outlet, ended.unwrap_or(false)),
                delivery = queue.recv(), if under_way.len() < DELIVERIES_MAX => match delivery {
                    Some(delivery) => begin(delivery, &mut under_way),
                    None => break,
                },
            }
        }
        while let Ok(delivery) = queue.try_recv() {
            begin(delivery, &mut under_way);
        }
        let last = async {
            while let Some(ended) = under_way.join_next().await {
                count(&outlet, ended.unwrap_or(false));
            }
        };
        if timeout(LAST, last).await.is_err() {
            outlet.dropped(under_way.len() as u64);
            tracing::warn!(deliveries = under_way.len(), "webhooks that were not taken yet are given up");
        }
    }
}

fn count(outlet: &Outlet, taken: bool) {
    if taken {
        outlet.sent(1);
    } else {
        outlet.failed(1);
    }
}

/// Whether it was taken in the end.
async fn deliver(delivery: Delivery, transport: Arc<dyn Transport>, clock: Clock, environment: Environment) -> bool {
    let mut pauses = PAUSES.iter();
    loop {
        // The secret is read anew: it may have been put right since.
        let tried = match SigningKey::read(&delivery.hook.secret, &environment) {
            Ok(key) => once(&delivery, &key, &*transport, clock() / 1_000_000).await,
            Err(error) => Err(Refusal { gone: false, why: error.to_string() }),
        };
        let Err(refusal) = tried else { return true };
        let again = pauses.next().filter(|_| !refusal.gone);
        let host = host(&delivery.hook);
        tracing::warn!(id = delivery.id, host, why = refusal.why, again = again.is_some(), "a webhook was not taken");
        let Some(pause) = again else { return false };
        sleep(*pause).await;
    }
}

struct Refusal {
    /// 410: the receiver asks for no more.
    gone: bool,
    why: String,
}

async fn once(delivery: &Delivery, key: &SigningKey, transport: &dyn Transport, now_s: i64) -> Result<(), Refusal> {
    let why = |why: String| Refusal { gone: false, why };
    let uri = delivery.hook.url.parse().map_err(|_| why("its URL is none".into()))?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("baton/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in [
        ("webhook-id", delivery.id.clone()),
        ("webhook-timestamp", now_s.to_string()),
        ("webhook-signature", key.sign(&delivery.id, now_s, &delivery.body)),
    ] {
        let value = value.parse().map_err(|_| why(format!("{name} is no header")))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let request = HttpRequest { method: Method::POST, uri, headers, body: delivery.body.clone() };
    match timeout(TRY_MAX, transport.send(request)).await {
        Ok(Ok(response)) if response.status.is_success() => Ok(()),
        Ok(Ok(response)) => {
            let gone = response.status == StatusCode::GONE;
            Err(Refusal { gone, why: format!("it answered {}", response.status) })
        }
        Ok(Err(error)) => Err(why(error.message)),
        Err(_) => Err(why(format!("no answer within {TRY_MAX:?}"))),
    }
}

/// Sends one notice to one webhook, once.
///
/// # Errors
/// Why it was not taken, in a sentence.
pub async fn deliver_once(
    hook: &WebhookSpec,
    notice: &Notice,
    transport: &dyn Transport,
    now_us: i64,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(), String> {
    let key = SigningKey::read(&hook.secret, environment).map_err(|error| error.to_string())?;
    let delivery = Delivery { hook: hook.clone(), id: id(), body: body(notice, now_us) };
    once(&delivery, &key, transport, now_us / 1_000_000).await.map_err(|refusal| refusal.why)
}

/// What `baton webhooks test` sends.
#[must_use]
pub fn test_notice() -> Notice {
    Notice { topic: Topic::Configuration, kind: "webhook.test", data: json!({}) }
}

fn body(notice: &Notice, now_us: i64) -> Bytes {
    let body = json!({ "type": notice.kind, "timestamp": rfc3339(now_us), "data": notice.data });
    body.to_string().into()
}

fn id() -> String {
    format!("msg_{}", Uuid::now_v7().simple())
}

/// For the log: a path may hold a secret.
fn host(hook: &WebhookSpec) -> String {
    let uri: Option<http::Uri> = hook.url.parse().ok();
    uri.as_ref().and_then(|uri| uri.host()).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
