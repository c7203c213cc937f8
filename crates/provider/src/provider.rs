//! One provider: where, with which key, with which quirks.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use baton_config::{ProviderSpec, Secret};
use baton_wire::{
    BodyStream, ChatRequest, Completion, HttpRequest, HttpResponse, StreamEvent, Transport, WireError, decode_error,
    openai,
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Uri};

use crate::vendors::vendor;

/// The largest whole answer, and the largest error body that is read.
const BODY_MAX: usize = 16 * 1024 * 1024;
const ERROR_MAX: usize = 64 * 1024;
/// Marks what a simulated model said.
const SIMULATED: &str = "x-baton-simulated";

/// Why a provider cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No key.
    #[error("provider `{provider}` has no key: set {variable}, or give providers.{provider}.api_key in baton.toml")]
    KeyMissing {
        /// The provider.
        provider: String,
        /// The variable that was looked for.
        variable: String,
    },
    /// The key's file cannot be read.
    #[error("provider `{provider}`: the key's file {file} cannot be read: {message}")]
    KeyFile {
        /// The provider.
        provider: String,
        /// The file.
        file: String,
        /// Why.
        message: String,
    },
    /// The key cannot be sent.
    #[error("provider `{provider}`: the key holds characters that no header can carry")]
    KeyInvalid {
        /// The provider.
        provider: String,
    },
    /// No address.
    #[error("provider `{provider}`: `{url}` is no address: write http(s)://host/path")]
    Address {
        /// The provider.
        provider: String,
        /// What was written.
        url: String,
    },
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply {
    /// What the model wrote.
    pub completion: Completion,
    /// Whether a simulated model wrote it.
    pub simulated: bool,
}

/// An answer as it arrives.
pub struct ReplyStream {
    /// Whether a simulated model writes it.
    pub simulated: bool,
    /// One `Start`, deltas, at most one `Usage`, one `End`; or an error, which is the last item.
    pub events: Pin<Box<dyn Stream<Item = Result<StreamEvent, WireError>> + Send>>,
}

/// See the module. Sends what it is given once: it neither retries nor times out.
pub struct Provider {
    name: String,
    chat: Uri,
    /// Authentication included, marked sensitive.
    headers: HeaderMap,
    completion_tokens: bool,
    simulated: bool,
    transport: Arc<dyn Transport>,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("name", &self.name).field("chat", &self.chat).finish_non_exhaustive()
    }
}

impl Provider {
    /// Reads the key and builds the address.
    ///
    /// # Errors
    /// A missing or unusable key, a malformed address: each names the provider and what to do.
    pub fn new(spec: &ProviderSpec, transport: Arc<dyn Transport>) -> Result<Self, ProviderError> {
        let row = vendor(&spec.kind);
        let simulated = spec.kind == "simulated";
        let fallback = if simulated { "http://simulated/v1" } else { "" };
        let base = spec.base_url.as_deref().or(row.map(|row| row.base_url)).unwrap_or(fallback);
        let address = || ProviderError::Address { provider: spec.name.clone(), url: base.to_owned() };
        let chat: Uri = format!("{}/chat/completions", base.trim_end_matches('/')).parse().map_err(|_| address())?;
        if chat.scheme().is_none() || chat.host().is_none() {
            return Err(address());
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let own = row.and_then(|row| row.key).map(|variable| Secret::Env(variable.to_owned()));
        if let Some(secret) = spec.api_key.clone().or(own) {
            let key = read(&spec.name, &secret)?;
            let invalid = |_| ProviderError::KeyInvalid { provider: spec.name.clone() };
            let mut value = HeaderValue::try_from(format!("Bearer {key}")).map_err(invalid)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let completion_tokens = row.is_some_and(|row| row.completion_tokens);
        Ok(Self { name: spec.name.clone(), chat, headers, completion_tokens, simulated, transport })
    }

    /// Asks for a whole answer.
    ///
    /// # Errors
    /// With the disposition that the failure has.
    pub async fn complete(&self, request: &ChatRequest) -> Result<Reply, WireError> {
        let response = self.send(request).await?;
        let simulated = self.is_simulated(&response);
        let declared = response.headers.get(http::header::CONTENT_LENGTH);
        let declared = declared.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let body = collect(response.body, BODY_MAX).await?;
        if declared.is_some_and(|declared| declared != body.len()) {
            return Err(WireError::broken(format!("the body broke off after {} bytes", body.len())));
        }
        Ok(Reply { completion: openai::decode_response(&body)?, simulated })
    }

    /// Asks for a stream; returns when its headers are there.
    ///
    /// # Errors
    /// With the disposition that the failure has.
    pub async fn stream(&self, request: &ChatRequest) -> Result<ReplyStream, WireError> {
        let response = self.send(request).await?;
        let simulated = self.is_simulated(&response);
        let kind = response.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.is_empty() && !kind.contains("event-stream") {
            let html = kind.contains("html");
            let body = collect(response.body, ERROR_MAX).await?;
            return Err(match openai::decode_response(&body) {
                Err(error) => error,
                Ok(_) if html => WireError::broken("a page instead of a stream"),
                Ok(_) => WireError::bad_answer("a whole answer where a stream was asked for"),
            });
        }
        Ok(ReplyStream { simulated, events: openai::decode_stream(response.body) })
    }

    async fn send(&self, request: &ChatRequest) -> Result<HttpResponse, WireError> {
        let body = if self.completion_tokens && request.params.max_tokens.is_some() {
            let mut request = request.clone();
            if let Some(max) = request.params.max_tokens.take() {
                request.extra.insert("max_completion_tokens".into(), max.into());
            }
            openai::encode_request(&request)
        } else {
            openai::encode_request(request)
        };
        let outgoing =
            HttpRequest { method: Method::POST, uri: self.chat.clone(), headers: self.headers.clone(), body };
        let response = self.transport.send(outgoing).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // An error whose body breaks off is still that error.
        let body = collect(response.body, ERROR_MAX).await.unwrap_or_default();
        Err(decode_error(response.status, &response.headers, &body, now))
    }

    fn is_simulated(&self, response: &HttpResponse) -> bool {
        self.simulated || response.headers.get(SIMULATED).is_some_and(|value| value == "true")
    }
}

fn read(provider: &str, secret: &Secret) -> Result<String, ProviderError> {
    match secret {
        Secret::Env(variable) => match std::env::var(variable) {
            Ok(key) if !key.trim().is_empty() => Ok(key.trim().to_owned()),
            _ => Err(ProviderError::KeyMissing { provider: provider.to_owned(), variable: variable.clone() }),
        },
        Secret::File(file) => std::fs::read_to_string(file).map(|key| key.trim().to_owned()).map_err(|error| {
            ProviderError::KeyFile {
                provider: provider.to_owned(),
                file: file.display().to_string(),
                message: error.to_string(),
            }
        }),
    }
}

async fn collect(mut body: BodyStream, max: usize) -> Result<Bytes, WireError> {
    let Some(first) = body.next().await else { return Ok(Bytes::new()) };
    let first = first?;
    let mut whole: Option<BytesMut> = None;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        let whole = whole.get_or_insert_with(|| BytesMut::from(&first[..]));
        whole.extend_from_slice(&piece);
        if whole.len() > max {
            return Err(WireError::broken(format!("the body exceeds {max} bytes")));
        }
    }
    Ok(whole.map_or(first, BytesMut::freeze))
}
