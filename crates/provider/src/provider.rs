//! One provider: a request out, an answer in.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use baton_config::{ProviderSpec, Secret};
use baton_core::Usage;
use baton_wire::openai::{self, Dialect};
use baton_wire::{BodyStream, ChatRequest, Completion, EventStream, HttpRequest, HttpResponse, Transport, WireError};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::key::Key;
use crate::vendors::{USUAL, VENDORS, vendor};

/// The most bytes of a whole answer.
pub const BODY_BYTES_MAX: usize = 16 << 20;
/// The most bytes of an error that are read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// Says that the answer is simulated.
const SIMULATED: &str = "x-baton-simulated";
/// Where a simulated provider is asked; no name resolution is done for it.
const SIMULATED_URL: &str = "http://simulated.invalid/v1";

/// Why a provider cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// No row has this name.
    #[error("provider `{provider}`: unknown kind `{kind}`; one of openai-compatible, simulated, {known}")]
    UnknownKind {
        /// The provider.
        provider: String,
        /// As written.
        kind: String,
        /// The rows' names.
        known: String,
    },
    /// `openai-compatible` is no vendor: it needs an address.
    #[error(
        "provider `{provider}`: no base_url; give the address before `/chat/completions`, for example http://127.0.0.1:8080/v1"
    )]
    NoBaseUrl {
        /// The provider.
        provider: String,
    },
    /// Not an absolute http or https address.
    #[error("provider `{provider}`: base_url `{url}` is not an absolute http:// or https:// address")]
    BadBaseUrl {
        /// The provider.
        provider: String,
        /// As written.
        url: String,
    },
    /// The variable is not set.
    #[error("provider `{provider}`: no key; set the environment variable {variable}")]
    MissingKey {
        /// The provider.
        provider: String,
        /// The variable.
        variable: String,
    },
    /// The file cannot be read.
    #[error("provider `{provider}`: cannot read the key from {}: {why}", path.display())]
    KeyFile {
        /// The provider.
        provider: String,
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// A key stands twice in a pool.
    #[error("provider `{provider}`: keys {first} and {second} of `api_keys` are the same; take one out")]
    SameKey {
        /// The provider.
        provider: String,
        /// Its number, from 1.
        first: usize,
        /// Likewise.
        second: usize,
    },
    /// Empty, or with characters that no header can have.
    #[error("provider `{provider}`: {place} holds no key: it is empty, or has characters that a header cannot have")]
    BadKey {
        /// The provider.
        provider: String,
        /// Where the key was read.
        place: String,
    },
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// What was answered.
    pub completion: Completion,
    /// Whether a simulator answered.
    pub simulated: bool,
}

/// An answer as it arrives. Dropping it closes the exchange.
pub struct ReplyStream {
    /// Whether a simulator answers.
    pub simulated: bool,
    /// Ends with `End`, or with an error.
    pub events: EventStream,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("uri", &self.uri).field("dialect", &self.dialect).finish_non_exhaustive()
    }
}

/// A provider that can be asked. Each call is one request over the transport, without retries.
pub struct Provider {
    uri: Uri,
    embeddings: Uri,
    headers: HeaderMap,
    dialect: Dialect,
    key: Option<Arc<Key>>,
    simulated: bool,
    transport: Arc<dyn Transport>,
}

impl Provider {
    /// Finds the vendor's row and reads the key, from this process's environment or a file.
    ///
    /// # Errors
    /// See [`ProviderError`]; each says what to do.
    pub fn new(spec: &ProviderSpec, transport: Arc<dyn Transport>) -> Result<Self, ProviderError> {
        Self::with_environment(spec, transport, |variable| std::env::var(variable).ok())
    }

    /// As [`Provider::new`], with another environment.
    ///
    /// # Errors
    /// As [`Provider::new`].
    pub fn with_environment(
        spec: &ProviderSpec,
        transport: Arc<dyn Transport>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProviderError> {
        Self::build(spec, transport, |secret| Key::read(&spec.name, &secret, environment).map(Some))
    }

    /// As [`Provider::new`], one for each of its keys, in their order; at least one.
    ///
    /// # Errors
    /// As [`Provider::new`]; a key that stands twice.
    pub fn pool(spec: &ProviderSpec, transport: &Arc<dyn Transport>) -> Result<Vec<Self>, ProviderError> {
        let keyed = |secret: &Secret| {
            Self::new(&ProviderSpec { api_keys: vec![secret.clone()], ..spec.clone() }, Arc::clone(transport))
        };
        if spec.api_keys.is_empty() {
            return Ok(vec![Self::new(spec, Arc::clone(transport))?]);
        }
        let pool = spec.api_keys.iter().map(keyed).collect::<Result<Vec<_>, _>>()?;
        for (second, provider) in pool.iter().enumerate() {
            let first = pool[..second].iter().position(|other| other.key_hash() == provider.key_hash());
            if let Some(first) = first {
                let (first, second) = (first + 1, second + 1);
                return Err(ProviderError::SameKey { provider: spec.name.clone(), first, second });
            }
        }
        Ok(pool)
    }

    /// As [`Provider::new`], for a transport that asks for no key.
    ///
    /// # Errors
    /// As [`Provider::new`], those about keys aside.
    pub fn without_key(spec: &ProviderSpec, transport: Arc<dyn Transport>) -> Result<Self, ProviderError> {
        Self::build(spec, transport, |_| Ok(None))
    }

    fn build(
        spec: &ProviderSpec,
        transport: Arc<dyn Transport>,
        key: impl FnOnce(Secret) -> Result<Option<Key>, ProviderError>,
    ) -> Result<Self, ProviderError> {
        let provider = || spec.name.clone();
        let (base_url, key_env, dialect) = match (spec.kind.as_str(), vendor(&spec.kind)) {
            (_, Some(row)) => (Some(row.base_url), row.key_env, row.dialect),
            ("openai-compatible", None) => (None, None, USUAL),
            ("simulated", None) => (Some(SIMULATED_URL), None, USUAL),
            (kind, None) => {
                let known = VENDORS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
                return Err(ProviderError::UnknownKind { provider: provider(), kind: kind.to_owned(), known });
            }
        };
        let base_url = spec.base_url.as_deref().or(base_url);
        let base_url = base_url.ok_or_else(|| ProviderError::NoBaseUrl { provider: provider() })?;
        let at = |route| {
            endpoint(base_url, route)
                .ok_or_else(|| ProviderError::BadBaseUrl { provider: provider(), url: base_url.to_owned() })
        };
        let (uri, embeddings) = (at("chat/completions")?, at("embeddings")?);
        let secret =
            spec.api_keys.first().cloned().or_else(|| key_env.map(|variable| Secret::Env(variable.to_owned())));
        let key = secret.map(key).transpose()?.flatten().map(Arc::new);
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (USER_AGENT, HeaderValue::from_static(concat!("baton/", env!("CARGO_PKG_VERSION")))),
        ]);
        headers.extend(key.as_ref().map(|key| (AUTHORIZATION, key.header.clone())));
        let simulated = spec.kind == "simulated";
        Ok(Self { uri, embeddings, headers, dialect, key, simulated, transport })
    }

    /// Where it is asked.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Tells one key from another (blake3); `None` where none is sent.
    #[must_use]
    pub fn key_hash(&self) -> Option<[u8; 32]> {
        self.key.as_ref().map(|key| key.hash())
    }

    /// Whether the other is reached in the same way: the same place, key, dialect and transport.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        self.uri == other.uri
            && self.key_hash() == other.key_hash()
            && self.dialect == other.dialect
            && self.simulated == other.simulated
            && Arc::ptr_eq(&self.transport, &other.transport)
    }

    /// Asks for a whole answer; resolves when its body is there.
    ///
    /// # Errors
    /// With the disposition that its kind has; the key never stands in the message.
    pub async fn complete(&self, request: &ChatRequest) -> Result<Reply, WireError> {
        self.complete_with(request, &HeaderMap::new()).await
    }

    /// As [`Provider::complete`], with headers besides the provider's own.
    ///
    /// # Errors
    /// As [`Provider::complete`].
    pub async fn complete_with(&self, request: &ChatRequest, headers: &HeaderMap) -> Result<Reply, WireError> {
        self.ask(request, headers).await.map_err(|error| redacted(self.key.as_deref(), error))
    }

    /// The vector of a text, of unit length, and its tokens where they are told: `POST /embeddings`.
    ///
    /// # Errors
    /// As [`Provider::complete`].
    pub async fn embed(&self, model: &str, text: &str) -> Result<(Vec<f32>, Option<Usage>), WireError> {
        let asked = async {
            let response = self
                .post(&self.embeddings, self.headers.clone(), openai::encode_embedding_request(model, text))
                .await?;
            openai::decode_embedding_response(&whole(response).await?)
        };
        asked.await.map_err(|error| redacted(self.key.as_deref(), error))
    }

    /// Asks for a stream; resolves when the headers of a 200 are there.
    ///
    /// A server that answers with JSON instead of a stream is understood too.
    ///
    /// # Errors
    /// As [`Provider::complete`]; what goes wrong later is an item of the stream.
    pub async fn stream(&self, request: &ChatRequest) -> Result<ReplyStream, WireError> {
        self.stream_with(request, &HeaderMap::new()).await
    }

    /// As [`Provider::stream`], with headers besides the provider's own.
    ///
    /// # Errors
    /// As [`Provider::stream`].
    pub async fn stream_with(&self, request: &ChatRequest, headers: &HeaderMap) -> Result<ReplyStream, WireError> {
        let reply = self.open(request, headers).await.map_err(|error| redacted(self.key.as_deref(), error))?;
        let Some(key) = self.key.clone() else { return Ok(reply) };
        let events = reply.events.map(move |event| event.map_err(|error| redacted(Some(&key), error)));
        Ok(ReplyStream { events: Box::pin(events), ..reply })
    }

    async fn ask(&self, request: &ChatRequest, headers: &HeaderMap) -> Result<Reply, WireError> {
        let response = self.send(request, headers, false).await?;
        let simulated = self.is_simulated(&response);
        let completion = openai::decode_response(&whole(response).await?)?;
        Ok(Reply { completion, simulated })
    }

    async fn open(&self, request: &ChatRequest, headers: &HeaderMap) -> Result<ReplyStream, WireError> {
        let response = self.send(request, headers, true).await?;
        let simulated = self.is_simulated(&response);
        let kind = response.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if kind.is_empty() || kind.to_ascii_lowercase().starts_with("text/event-stream") {
            return Ok(ReplyStream { simulated, events: openai::decode_stream(response.body) });
        }
        let completion = openai::decode_response(&whole(response).await?)?;
        let events = stream::iter(completion.into_events().into_iter().map(Ok));
        Ok(ReplyStream { simulated, events: Box::pin(events) })
    }

    /// Sends the request; an answer that is no 2xx is an error.
    async fn send(&self, request: &ChatRequest, besides: &HeaderMap, stream: bool) -> Result<HttpResponse, WireError> {
        let mut headers = besides.clone();
        headers.extend(self.headers.clone());
        let accept = if stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let body = openai::encode_request_for(request, &self.dialect, stream);
        self.post(&self.uri, headers, body).await
    }

    async fn post(&self, uri: &Uri, headers: HeaderMap, body: Bytes) -> Result<HttpResponse, WireError> {
        let request = HttpRequest { method: Method::POST, uri: uri.clone(), headers, body };
        let response = self.transport.send(request).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        let body = beginning(response.body, ERROR_BYTES_MAX).await;
        Err(openai::decode_error(response.status, &response.headers, &body, SystemTime::now()))
    }

    fn is_simulated(&self, response: &HttpResponse) -> bool {
        self.simulated || response.headers.get(SIMULATED).is_some_and(|value| value == "true")
    }
}

/// The address of a route under a base URL.
fn endpoint(base_url: &str, route: &str) -> Option<Uri> {
    let uri: Uri = format!("{}/{route}", base_url.trim_end_matches('/')).parse().ok()?;
    let known = matches!(uri.scheme_str(), Some("http" | "https"));
    (known && uri.host().is_some_and(|host| !host.is_empty())).then_some(uri)
}

/// The whole body: at most [`BODY_BYTES_MAX`] bytes, and as many as its headers say.
async fn whole(response: HttpResponse) -> Result<Bytes, WireError> {
    let said = response.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let too_large = || WireError::bad_answer(format!("the answer is larger than {BODY_BYTES_MAX} bytes"));
    if said.is_some_and(|bytes| bytes > BODY_BYTES_MAX) {
        return Err(too_large());
    }
    let mut body = response.body;
    let mut bytes = BytesMut::with_capacity(said.unwrap_or_default());
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if bytes.len() + piece.len() > BODY_BYTES_MAX {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    match said {
        Some(said) if said != bytes.len() => {
            let message = format!("the answer is broken: {} of {said} bytes arrived", bytes.len());
            Err(WireError::broken(message))
        }
        _ => Ok(bytes.freeze()),
    }
}

/// What there is of a body, up to a bound: an error is worth reading even where it is cut off.
async fn beginning(mut body: BodyStream, bytes_max: usize) -> Bytes {
    let mut bytes = BytesMut::new();
    while let Some(Ok(piece)) = body.next().await {
        bytes.extend_from_slice(&piece[..piece.len().min(bytes_max - bytes.len())]);
        if bytes.len() == bytes_max {
            break;
        }
    }
    bytes.freeze()
}

/// Some providers repeat the key that they refuse.
fn redacted(key: Option<&Key>, mut error: WireError) -> WireError {
    if let Some(key) = key {
        error.message = key.redact(&error.message);
    }
    error
}
