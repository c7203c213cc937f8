//! A transport that says what it is told to, and remembers what it was asked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use baton_config::{ProviderSpec, Secret};
use baton_provider::{Provider, ProviderError};
use baton_wire::{ChatRequest, HttpRequest, HttpResponse, Message, Role, SendFuture, Transport, TransportError};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, StatusCode};

pub(crate) type Headers<'a> = &'a [(&'static str, &'a str)];
type Answer = Result<(StatusCode, HeaderMap, Vec<Result<Bytes, TransportError>>), TransportError>;

/// Gives one answer, over and over.
pub(crate) struct Scripted {
    answer: Answer,
    asked: Mutex<Vec<HttpRequest>>,
}

impl Scripted {
    pub(crate) fn new(answer: Answer) -> Arc<Self> {
        Arc::new(Self { answer, asked: Mutex::default() })
    }

    pub(crate) fn answering(status: u16, headers: Headers<'_>, body: &str) -> Arc<Self> {
        let headers = headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let pieces = vec![Ok(Bytes::from(body.to_owned()))];
        Self::new(Ok((StatusCode::from_u16(status).unwrap(), headers.collect(), pieces)))
    }

    /// The only request so far.
    pub(crate) fn asked(&self) -> HttpRequest {
        let asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "asked once: nothing is retried here");
        asked[0].clone()
    }
}

impl Transport for Scripted {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        self.asked.lock().unwrap().push(request);
        Box::pin(async {
            let (status, headers, pieces) = self.answer.clone()?;
            Ok(HttpResponse { status, headers, body: Box::pin(stream::iter(pieces)) })
        })
    }
}

pub(crate) fn spec(kind: &str) -> ProviderSpec {
    ProviderSpec {
        name: "house".to_owned(),
        kind: kind.to_owned(),
        base_url: None,
        api_keys: Vec::new(),
        max_concurrency: 1000,
        scenario: None,
        seed: 0,
    }
}

/// A compatible server at this address, without a key.
pub(crate) fn at(base_url: &str) -> ProviderSpec {
    ProviderSpec { base_url: Some(base_url.to_owned()), ..spec("openai-compatible") }
}

/// A provider whose environment has the key `sk-secret` in `KEY`.
pub(crate) fn provider(transport: Arc<dyn Transport>) -> Provider {
    let spec = ProviderSpec { api_keys: vec![Secret::Env("KEY".into())], ..at("http://127.0.0.1:1/v1") };
    with_environment(&spec, transport, &[("KEY", "sk-secret")]).unwrap()
}

pub(crate) fn with_environment(
    spec: &ProviderSpec,
    transport: Arc<dyn Transport>,
    variables: &[(&str, &str)],
) -> Result<Provider, ProviderError> {
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    Provider::with_environment(spec, transport, |name| variables.get(name).map(|&value| value.to_owned()))
}

pub(crate) fn request() -> ChatRequest {
    let messages = vec![Message::text(Role::User, "Where is my invoice?")];
    let mut request = ChatRequest { model: "gpt-4o-mini".into(), messages, ..ChatRequest::default() };
    request.params.max_tokens = Some(9);
    request
}

pub(crate) const ANSWER: &str = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"billing"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
pub(crate) const STREAM: &str = "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"billing\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
