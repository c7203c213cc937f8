//! A client of `POST /v1/execute`, unary and streamed, that notes what it was answered with, and
//! when.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use baton_core::ExecutionId;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use sse_stream::SseStream;

/// Pooled keep-alive connections, and the key that calls are made with.
#[derive(Clone)]
pub(crate) struct Client(Pool<HttpConnector, Full<Bytes>>, Option<String>);

/// How a call ended, as the client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A whole answer.
    Answer,
    /// A typed error: its code.
    Error(String),
    /// A stream that began, and broke off without `end` or `error`.
    Cut,
    /// Nothing that says how it ended: no connection, a broken response.
    Nothing(String),
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// The execution that the client was answered with, where it was.
    pub(crate) execution: Option<ExecutionId>,
    pub(crate) ending: Ending,
    /// From the request to the event `start` of a stream.
    pub(crate) began: Option<Duration>,
    /// From the request to the last byte.
    pub(crate) took: Duration,
}

impl Client {
    pub(crate) fn new() -> Self {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        Self(Pool::builder(TokioExecutor::new()).build(tcp), None)
    }

    /// The same connections, for whoever has this key.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self(self.0.clone(), Some(format!("Bearer {key}")))
    }

    /// Sends a call and reads what comes to its end.
    pub(crate) async fn execute(&self, to: SocketAddr, call: &Value) -> Outcome {
        self.execute_with(to, call, &[]).await
    }

    /// The same with other headers.
    pub(crate) async fn execute_with(&self, to: SocketAddr, call: &Value, headers: &[(&str, &str)]) -> Outcome {
        let started = Instant::now();
        let mut outcome = Outcome { execution: None, ending: Ending::Cut, began: None, took: Duration::ZERO };
        if let Err(error) = self.try_execute(to, (call, headers), started, &mut outcome).await
            && outcome.began.is_none()
        {
            outcome.ending = Ending::Nothing(format!("{error:#}"));
        }
        outcome.took = started.elapsed();
        outcome
    }

    async fn try_execute(
        &self,
        to: SocketAddr,
        (call, headers): (&Value, &[(&str, &str)]),
        started: Instant,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let mut request = Request::post(format!("http://{to}/v1/execute")).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.1 {
            request = request.header(AUTHORIZATION, key);
        }
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = self.0.request(request.body(Full::from(call.to_string()))?).await.context("no response")?;
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            let status = response.status();
            // Of an answer whose body a kill cuts off, this is what the client knows.
            let id = response.headers().get("x-baton-execution-id").and_then(|id| id.to_str().ok());
            outcome.execution = id.and_then(ExecutionId::parse);
            let body = response.into_body().collect().await.context("the body broke off")?.to_bytes();
            let body: Value = serde_json::from_slice(&body).with_context(|| format!("{status} without JSON"))?;
            return if status.is_success() { outcome.answer(&body) } else { outcome.error(&body) };
        }
        let mut events = SseStream::new(response.into_body());
        while let Some(event) = events.next().await {
            let event = event.context("the stream broke off")?;
            let data: Value = serde_json::from_str(event.data.as_deref().unwrap_or("null"))?;
            match event.event.as_deref() {
                Some("start") => {
                    outcome.begin(&data)?;
                    outcome.began = Some(started.elapsed());
                }
                Some("end") => return outcome.answer(&data),
                Some("error") => return outcome.error(&data),
                _ => {}
            }
        }
        bail!("the stream ended without its last event")
    }

    /// What `GET` gives to whoever has this key.
    pub(crate) async fn get(&self, to: SocketAddr, path: &str, key: &str) -> Result<Value> {
        let body = self.get_bytes(to, path, key).await?;
        serde_json::from_slice(&body).with_context(|| format!("{path} is not JSON"))
    }

    /// The same, as it is.
    pub(crate) async fn get_bytes(&self, to: SocketAddr, path: &str, key: &str) -> Result<Bytes> {
        let request = Request::get(format!("http://{to}{path}")).header(AUTHORIZATION, format!("Bearer {key}"));
        let request = request.body(Full::default())?;
        let response = self.0.request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{path} is answered with {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}

impl Outcome {
    fn begin(&mut self, said: &Value) -> Result<()> {
        let id = said["executionId"].as_str().and_then(ExecutionId::parse);
        let id = id.with_context(|| format!("no execution's id: {said}"))?;
        if self.execution.is_some_and(|before| before != id) {
            bail!("two ids in one answer: {said}");
        }
        self.execution = Some(id);
        Ok(())
    }

    fn answer(&mut self, said: &Value) -> Result<()> {
        self.begin(said)?;
        if !said["output"].is_object() {
            bail!("an answer without output: {said}");
        }
        self.ending = Ending::Answer;
        Ok(())
    }

    /// An error of a call that was never begun has no execution.
    fn error(&mut self, said: &Value) -> Result<()> {
        let error = &said["error"];
        let code = error["code"].as_str().with_context(|| format!("not a typed error: {said}"))?;
        if error.get("executionId").is_some() {
            self.begin(error)?;
        }
        self.ending = Ending::Error(code.to_owned());
        Ok(())
    }
}
