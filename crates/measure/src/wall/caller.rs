//! A caller that keeps what it was given, to be compared with the truth.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use sse_stream::SseStream;

use super::truth::Question;

/// Longer than any call may take; a caller that waited so long got nothing.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a call ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// An answer: its output.
    Answer(Value),
    /// A typed error: its code.
    Error(String),
    /// Neither: what was there instead.
    Nothing(String),
}

/// What a caller got.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) execution: Option<String>,
    pub(crate) end: End,
    /// Who answered, where that was said.
    pub(crate) model: Option<String>,
    /// The text of a stream's pieces.
    pub(crate) said: String,
    /// From the request to the first text of a stream.
    pub(crate) first: Option<Duration>,
    /// From the request to the last byte.
    pub(crate) took: Duration,
}

/// One pool of connections to one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    at: SocketAddr,
}

/// One call.
pub(crate) struct Ask<'a> {
    /// Intents hold few models each: which of them this is.
    pub(crate) ward: usize,
    pub(crate) question: &'a Question,
    pub(crate) stream: bool,
    /// First, and after it.
    pub(crate) models: (&'a str, Option<&'a str>),
    pub(crate) deadline_ms: u64,
}

impl Ask<'_> {
    fn body(&self) -> Value {
        let mut config = json!({ "maxLatencyMs": self.deadline_ms, "primaryModel": self.models.0 });
        if let Some(fallback) = self.models.1 {
            config["fallbackModel"] = json!(fallback);
        }
        let mut body = json!({
            "intent": format!("{}-{}", self.question.intent, self.ward), "input": self.question.input, "stream": self.stream, "config": config,
        });
        if self.question.tools {
            let parameters = json!({ "type": "object", "properties": {} });
            let function = json!({ "name": "lookup", "description": "looks it up", "parameters": parameters });
            body["tools"] = json!([{ "type": "function", "function": function }]);
        }
        body
    }
}

impl Client {
    pub(crate) fn new(at: SocketAddr) -> Result<Self> {
        Ok(Self { http: reqwest::Client::builder().tcp_nodelay(true).build()?, at })
    }

    /// Calls, and reads what comes to its end.
    pub(crate) async fn ask(&self, ask: &Ask<'_>) -> Got {
        let started = Instant::now();
        let mut got = Got {
            execution: None,
            end: End::Nothing("nothing".into()),
            model: None,
            said: String::new(),
            first: None,
            took: Duration::ZERO,
        };
        match tokio::time::timeout(PATIENCE, self.read(&ask.body(), started, &mut got)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => got.end = End::Nothing(format!("{error:#}")),
            Err(_) => got.end = End::Nothing(format!("no end within {} s", PATIENCE.as_secs())),
        }
        got.took = started.elapsed();
        got
    }

    /// Whether the server asks this model as usual, as its metrics say.
    pub(crate) async fn is_closed(&self, model: &str) -> Result<bool> {
        let metrics = self.get("/metrics").await?;
        let model = format!("model=\"{model}\"");
        let lanes = metrics.lines().filter(|line| line.starts_with("baton_breaker_state{") && line.contains(&model));
        Ok(lanes.map(|line| line.ends_with(" 0")).reduce(|all, one| all && one) == Some(true))
    }

    /// Begins a stream, and leaves once its first text is there.
    pub(crate) async fn leave(&self, ask: &Ask<'_>) -> Result<()> {
        let mut response = self.post("/v1/execute", &ask.body()).await?;
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await? {
            text.extend_from_slice(&piece);
            if String::from_utf8_lossy(&text).contains("event: delta") {
                return Ok(());
            }
        }
        bail!("the stream ended before it could be left: {}", String::from_utf8_lossy(&text))
    }

    async fn post(&self, path: &str, body: &Value) -> Result<reqwest::Response> {
        let request = self.http.post(format!("http://{}{path}", self.at)).header("content-type", "application/json");
        request.body(body.to_string()).send().await.context("no response")
    }

    async fn read(&self, body: &Value, started: Instant, got: &mut Got) -> Result<()> {
        let response = self.post("/v1/execute", body).await?;
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        got.execution = header("x-baton-execution-id");
        if !header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
            let status = response.status();
            let body: Value =
                serde_json::from_slice(&response.bytes().await?).with_context(|| format!("{status} without JSON"))?;
            return if status.is_success() { got.answer(&body) } else { got.error(&body) };
        }
        let mut events = SseStream::new(http::Response::from(response).into_body());
        while let Some(event) = events.next().await {
            let event = event.context("the stream broke off")?;
            let data: Value = serde_json::from_str(event.data.as_deref().unwrap_or("null"))?;
            match event.event.as_deref() {
                Some("delta") => {
                    got.first.get_or_insert_with(|| started.elapsed());
                    got.said.push_str(data["text"].as_str().context("a piece without text")?);
                }
                Some("end") => return got.answer(&data),
                Some("error") => return got.error(&data),
                _ => {}
            }
        }
        bail!("the stream ended without its last event")
    }

    /// What `GET` gives.
    pub(crate) async fn get(&self, path: &str) -> Result<String> {
        let response = self.http.get(format!("http://{}{path}", self.at)).send().await?;
        let status = response.status();
        let text = response.text().await?;
        if !status.is_success() {
            bail!("{path} is answered with {status}: {text}");
        }
        Ok(text)
    }

    /// The record of an execution.
    pub(crate) async fn record(&self, id: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.get(&format!("/v1/executions/{id}")).await?)?)
    }

    /// Every execution that the store has, by its id.
    pub(crate) async fn executions(&self) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut path = "/v1/executions?limit=1000".to_owned();
        loop {
            let page: Value = serde_json::from_str(&self.get(&path).await?)?;
            all.extend(page["executions"].as_array().cloned().unwrap_or_default());
            let Some(next) = page["next"].as_str() else { return Ok(all) };
            path = format!("/v1/executions?limit=1000&before={next}");
        }
    }

    /// Changes how a simulated model behaves.
    pub(crate) async fn steer(&self, model: &str, behaviour: &Value) -> Result<()> {
        let response = self.post(&format!("/__sim/models/{model}"), behaviour).await?;
        if !response.status().is_success() {
            bail!("the simulator refuses {behaviour}: {}", response.text().await?);
        }
        Ok(())
    }
}

impl Got {
    fn answer(&mut self, said: &Value) -> Result<()> {
        if !said["output"].is_object() {
            bail!("an answer without output: {said}");
        }
        self.execution = said["executionId"].as_str().map(str::to_owned);
        self.model = said["model"].as_str().map(str::to_owned);
        self.end = End::Answer(said["output"].clone());
        Ok(())
    }

    fn error(&mut self, said: &Value) -> Result<()> {
        let code = said["error"]["code"].as_str().with_context(|| format!("not a typed error: {said}"))?;
        if let Some(id) = said["error"]["executionId"].as_str() {
            self.execution = Some(id.to_owned());
        }
        self.end = End::Error(code.to_owned());
        Ok(())
    }

    /// Whether nothing wrong was given as right: an answer is the truth, and the text that a
    /// stream said is the truth or, before an error, its beginning.
    pub(crate) fn truthful(&self, truth: &Value) -> bool {
        let text = truth["text"].as_str();
        match &self.end {
            End::Answer(output) => output == truth && text.is_none_or(|text| self.said.is_empty() || self.said == text),
            End::Error(_) | End::Nothing(_) => text.unwrap_or_default().starts_with(&self.said),
        }
    }
}
