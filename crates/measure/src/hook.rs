//! Who is told by webhook: keeps the types of the notices, in order.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// What is signed with, by the variable that holds it: 32 bytes that are no secret.
pub(crate) const SECRET: (&str, &str) = ("HOOK", "whsec_bWVhc3VyZSBzdG9yYWdlIGlzIHRvbGQgYnkgYSBob29rIQ==");
/// More notices than a row has.
const NOTICES_MAX: usize = 64;

/// See the module.
pub(crate) struct Hook {
    address: SocketAddr,
    notices: Receiver<Result<String>>,
    serving: JoinHandle<std::io::Result<()>>,
}

/// The wall clock, in Unix microseconds.
pub(crate) fn unix_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Where the secret stands.
pub(crate) fn environment(name: &str) -> Option<String> {
    (name == SECRET.0).then(|| SECRET.1.to_owned())
}

impl Hook {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (sender, notices) = channel(NOTICES_MAX);
        let router = Router::new().route("/hook", post(take)).with_state(sender);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, notices, serving })
    }

    /// Its part of baton.toml: what it is told of.
    pub(crate) fn configured(&self, topic: &str) -> String {
        let url = format!("http://{}/hook", self.address);
        format!("[[webhooks]]\nurl = \"{url}\"\nsecret = {{ env = \"{}\" }}\nevents = [\"{topic}\"]\n", SECRET.0)
    }

    /// The type of the next notice.
    pub(crate) async fn told(&mut self) -> Result<String> {
        self.notices.recv().await.context("the receiver of webhooks ended")?
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn take(State(notices): State<Sender<Result<String>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let sent = notices.send(read(&headers, &body)).await;
    if sent.is_ok() { StatusCode::NO_CONTENT } else { StatusCode::GONE }
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<String> {
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.get(name).with_context(|| format!("a notice without {name}"))?;
    }
    let notice: Value = serde_json::from_slice(body).context("a notice is not JSON")?;
    Ok(notice["type"].as_str().context("a notice without type")?.to_owned())
}
