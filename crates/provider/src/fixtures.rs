//! Provider traffic as fixtures: recorded once, replayed without a network. A miss is an error.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

/// One exchange as it is kept. Neither keys nor other request headers are.
#[derive(Serialize, Deserialize)]
struct Fixture {
    /// Method and address, for people.
    request: String,
    /// The request's body, for people.
    asked: String,
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    simulated: bool,
    body: String,
    /// Bytes that arrived; `body` is their text.
    #[serde(skip)]
    bytes: Vec<u8>,
}

const SIMULATED: &str = "x-baton-simulated";

/// The file of a request: by method, address and body, so that the same question has one answer.
fn file(dir: &Path, request: &HttpRequest) -> PathBuf {
    let mut hasher = blake3::Hasher::new();
    for part in [request.method.as_str().as_bytes(), request.uri.to_string().as_bytes(), &request.body] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    dir.join(format!("{}.json", &hasher.finalize().to_hex()[..32]))
}

fn broken(message: String) -> TransportError {
    TransportError { fault: TransportFault::Broken, message }
}

/// Passes calls on and keeps what came back.
pub struct RecordTransport {
    inner: Arc<dyn Transport>,
    dir: PathBuf,
}

impl RecordTransport {
    /// Keeps fixtures in this folder, which is made where it is missing.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(inner: Arc<dyn Transport>, dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { inner, dir: dir.to_owned() })
    }
}

impl Transport for RecordTransport {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(async move {
            let path = file(&self.dir, &request);
            let mut fixture = Fixture {
                request: format!("{} {}", request.method, request.uri),
                asked: String::from_utf8_lossy(&request.body).into_owned(),
                status: 0,
                content_type: None,
                retry_after: None,
                simulated: false,
                body: String::new(),
                bytes: Vec::new(),
            };
            let response = self.inner.send(request).await?;
            let text = |name: &str| response.headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
            fixture.status = response.status.as_u16();
            fixture.content_type = text("content-type");
            fixture.retry_after = text("retry-after");
            fixture.simulated = text(SIMULATED).as_deref() == Some("true");
            let HttpResponse { status, headers, body } = response;
            // Readers stop at the last event, not at the last byte: what arrived is kept each time.
            let body = body.map(move |piece| {
                match &piece {
                    Ok(bytes) => {
                        fixture.bytes.extend_from_slice(bytes);
                        fixture.body = String::from_utf8_lossy(&fixture.bytes).into_owned();
                        keep(&path, &fixture);
                    }
                    // Half an answer is no fixture; that there is none is told by whoever reads.
                    Err(_) => fs::remove_file(&path).unwrap_or_default(),
                }
                piece
            });
            Ok(HttpResponse { status, headers, body: Box::pin(body) })
        })
    }
}

fn keep(path: &Path, fixture: &Fixture) {
    let json = serde_json::to_vec_pretty(fixture).unwrap_or_default();
    if let Err(error) = fs::write(path, json) {
        tracing::error!(file = %path.display(), %error, "a fixture could not be written");
    }
}

/// Answers from fixtures alone.
pub struct ReplayTransport {
    dir: PathBuf,
}

impl ReplayTransport {
    /// Reads fixtures of this folder.
    ///
    /// # Errors
    /// Where it is no folder.
    pub fn new(dir: &Path) -> io::Result<Self> {
        fs::read_dir(dir)?;
        Ok(Self { dir: dir.to_owned() })
    }
}

impl Transport for ReplayTransport {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        let path = file(&self.dir, &request);
        Box::pin(async move {
            let text = fs::read(&path).map_err(|_| {
                let asked = format!("{} {}", request.method, request.uri);
                broken(format!("no fixture {} for {asked}: record it with --record", path.display()))
            })?;
            let fixture: Fixture = serde_json::from_slice(&text)
                .map_err(|error| broken(format!("{} is no fixture: {error}", path.display())))?;
            let status = StatusCode::from_u16(fixture.status)
                .map_err(|_| broken(format!("{}: {} is no status", path.display(), fixture.status)))?;
            let mut headers = HeaderMap::new();
            let mut put = |name: http::HeaderName, value: Option<String>| {
                if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                    headers.insert(name, value);
                }
            };
            put(CONTENT_TYPE, fixture.content_type);
            put(http::header::RETRY_AFTER, fixture.retry_after);
            put(http::HeaderName::from_static(SIMULATED), fixture.simulated.then(|| "true".to_owned()));
            let body = futures_util::stream::once(async move { Ok(Bytes::from(fixture.body)) });
            Ok(HttpResponse { status, headers, body: Box::pin(body) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with what it was asked.
    struct Echo;

    impl Transport for Echo {
        fn send(&self, request: HttpRequest) -> SendFuture<'_> {
            Box::pin(async move {
                let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
                let body = futures_util::stream::iter([Ok(Bytes::from_static(b"you said ")), Ok(request.body)]);
                Ok(HttpResponse { status: StatusCode::OK, headers, body: Box::pin(body) })
            })
        }
    }

    fn request(body: &'static str) -> HttpRequest {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::AUTHORIZATION, HeaderValue::from_static("Bearer secret"));
        let uri = http::Uri::from_static("http://model.test/v1/chat/completions");
        HttpRequest { method: http::Method::POST, uri, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    async fn text(transport: &dyn Transport, body: &'static str) -> Result<String, TransportError> {
        let mut response = transport.send(request(body)).await?;
        let mut text = String::new();
        while let Some(piece) = response.body.next().await {
            text += &String::from_utf8_lossy(&piece?);
        }
        Ok(text)
    }

    #[tokio::test]
    async fn what_was_recorded_is_replayed_and_a_miss_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let record = RecordTransport::new(Arc::new(Echo), dir.path()).unwrap();
        assert_eq!(text(&record, "hello").await.unwrap(), "you said hello");
        let kept = fs::read_to_string(fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path()).unwrap();
        assert!(!kept.contains("secret"), "{kept}");
        let replay = ReplayTransport::new(dir.path()).unwrap();
        assert_eq!(text(&replay, "hello").await.unwrap(), "you said hello");
        let miss = text(&replay, "something else").await.unwrap_err();
        assert!(miss.message.contains("--record"), "{}", miss.message);
    }
}
