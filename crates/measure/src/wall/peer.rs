//! LiteLLM on the same wall, as far as that can be judged from outside: what its caller gets, when,
//! and whether the next call is fine.
//!
//! Its proxy has a fallback for every model, a time limit for each attempt that leaves room for it, its
//! own check of JSON schemas, and its cool-downs. It is asked by OpenAI's surface, and for labels with a
//! schema, which is how its users ask.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use sse_stream::SseStream;
use tokio::process::Command;

use super::cases::Case;
use super::judge::{DEADLINE_MS, SEEN_LATE};
use super::truth::{Question, Task};
use super::world::{FALLBACK, World, name_of};
use crate::children::Server;
use crate::report::progress;

const PACKAGE: &str = "litellm[proxy]==1.99.4";
/// Of one attempt, in seconds: one of them and a fallback fit into the deadline.
const TIMEOUT_S: f64 = 0.9;
/// Its retries wait for longer than there is time: with one, each burst of 500s was late.
const RETRIES: u32 = 0;
/// As a caller would, beyond which there is no use for an answer.
const PATIENCE: Duration = Duration::from_secs(8);

/// What it did with a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// The truth or an error that says so, in time, and the next call too.
    Pass,
    /// Something broken, passed on with a mark (a finish reason, a refusal) that the caller must
    /// look for.
    Marked,
    /// Something untrue, as an answer.
    Wrong,
    Late,
    /// No end, or one that says nothing.
    Nothing,
    /// The call after it, with the model well again, got no truth.
    NextWorse,
}

/// A case on its side of the wall.
pub(crate) struct PeerRow {
    pub(crate) verdict: Verdict,
    pub(crate) got: String,
    pub(crate) took: Duration,
}

enum End {
    Answer { text: String, whole: bool, calls: Vec<String> },
    Error(String),
    Nothing(String),
}

/// Its proxy, running.
pub(crate) struct LiteLlm {
    server: Server,
    http: reqwest::Client,
}

impl LiteLlm {
    /// Installs it where it is not there yet, and starts it over these models.
    pub(crate) async fn start(world: &World, models: &[String]) -> Result<Self> {
        let program = install().await?;
        let file = world.folder.path().join("litellm.json");
        std::fs::write(&file, configuration(world, models).to_string())?;
        // The port that was free a moment ago: it takes no listener from us.
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(program);
        command.args(["--host", "127.0.0.1", "--port", &at.port().to_string()]).arg("--config").arg(&file);
        command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
        let server = Server::start_at("litellm", &mut command, world.folder.path(), at).await?;
        let http = reqwest::Client::builder().tcp_nodelay(true).build()?;
        let peer = Self { server, http };
        // Its first calls load its modules, and say nothing of the later ones.
        for case in super::cases::all().iter().step_by(8) {
            let _warm = peer.ask(name_of(FALLBACK), case, &case.task.question(0)).await;
        }
        Ok(peer)
    }

    /// With SIGKILL: asked to end, it waits for its calls to models that never answer.
    pub(crate) async fn stop(self) -> Result<()> {
        self.server.kill().await
    }

    /// The fault, and the call after it.
    pub(crate) async fn run(&self, world: &World, model: &str, case: &Case) -> Result<PeerRow> {
        world.spoil(model, &case.does).await?;
        let question = case.task.question(0);
        let (end, took) = self.ask(name_of(model), case, &question).await;
        world.heal(model, &case.does).await?;
        let (verdict, got) = judged(&end, &question, took);
        let next = case.task.question(1);
        let (end, later) = self.ask(name_of(model), case, &next).await;
        let well = judged(&end, &next, later).0 == Verdict::Pass && matches!(end, End::Answer { .. });
        let verdict = if verdict == Verdict::Pass && !well { Verdict::NextWorse } else { verdict };
        Ok(PeerRow { verdict, got, took })
    }

    async fn ask(&self, model: &str, case: &Case, question: &Question) -> (End, Duration) {
        let started = Instant::now();
        let url = format!("http://{}/v1/chat/completions", self.server.address);
        let body = body(model, case, question);
        let asked = async {
            let request = self.http.post(url).header("content-type", "application/json").body(body.to_string());
            let response = request.send().await.context("no response")?;
            if case.stream && response.status().is_success() { streamed(response).await } else { whole(response).await }
        };
        let end = match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Ok(end)) => end,
            Ok(Err(error)) => End::Nothing(format!("{error:#}")),
            Err(_) => End::Nothing(format!("no end within {} s", PATIENCE.as_secs())),
        };
        (end, started.elapsed())
    }
}

/// Its program, in a virtual environment beside this one's.
async fn install() -> Result<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/litellm-venv");
    let program = venv.join("bin/litellm");
    if !program.exists() {
        progress(&format!("installing {PACKAGE}"));
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status().await.context("python3")?;
        let pip = Command::new(venv.join("bin/pip")).args(["install", "--quiet", PACKAGE]).status().await?;
        if !made.success() || !pip.success() {
            bail!("{PACKAGE} cannot be installed");
        }
    }
    Ok(program)
}

fn configuration(world: &World, models: &[String]) -> Value {
    let entry = |model: &str| {
        let name = name_of(model);
        json!({ "model_name": name, "litellm_params": {
            "model": format!("openai/{name}"), "api_base": world.url_of(model), "api_key": "none",
            "timeout": TIMEOUT_S, "stream_timeout": TIMEOUT_S,
        } })
    };
    let fallbacks: Vec<Value> = models.iter().map(|model| json!({ name_of(model): [name_of(FALLBACK)] })).collect();
    let models: Vec<Value> = models.iter().map(String::as_str).chain([FALLBACK]).map(entry).collect();
    json!({
        "model_list": models,
        "router_settings": {
            "num_retries": RETRIES, "timeout": TIMEOUT_S, "stream_timeout": TIMEOUT_S, "fallbacks": fallbacks,
            "allowed_fails": 3, "cooldown_time": 5,
        },
        "litellm_settings": { "enable_json_schema_validation": true, "drop_params": true, "telemetry": false },
    })
}

fn body(model: &str, case: &Case, question: &Question) -> Value {
    let prompt = match case.task {
        Task::Classify => format!("Which label has this ticket: billing, bug, how-to or account? {}", question.input),
        Task::Extract => format!("Read this receipt: {}", question.input),
        Task::Reply | Task::Tools => format!("Answer this letter: {}", question.input),
    };
    let mut body =
        json!({ "model": model, "messages": [{ "role": "user", "content": prompt }], "stream": case.stream });
    let fields = match case.task {
        Task::Classify => json!({ "label": { "type": "string", "enum": ["billing", "bug", "how-to", "account"] } }),
        Task::Extract => json!({ "company": { "type": "string" }, "total": { "type": "string" } }),
        Task::Reply | Task::Tools => Value::Null,
    };
    if let Some(names) = fields.as_object().map(|fields| fields.keys().collect::<Vec<_>>()) {
        let schema =
            json!({ "type": "object", "properties": fields, "required": names, "additionalProperties": false });
        let format = json!({ "name": question.intent, "strict": true, "schema": schema });
        body["response_format"] = json!({ "type": "json_schema", "json_schema": format });
    }
    if question.tools {
        let parameters = json!({ "type": "object", "properties": {} });
        let function = json!({ "name": "lookup", "description": "looks it up", "parameters": parameters });
        body["tools"] = json!([{ "type": "function", "function": function }]);
    }
    body
}

async fn whole(response: reqwest::Response) -> Result<End> {
    let status = response.status();
    let body: Value = serde_json::from_slice(&response.bytes().await?).with_context(|| format!("{status}, no JSON"))?;
    if let Some(error) = body.get("error").filter(|error| error.is_object()) {
        return Ok(End::Error(format!("{} {}", status.as_u16(), error["code"].as_str().unwrap_or_default())));
    }
    let choice = &body["choices"][0];
    let calls = choice["message"]["tool_calls"].as_array().into_iter().flatten();
    Ok(End::Answer {
        text: choice["message"]["content"].as_str().unwrap_or_default().to_owned(),
        whole: choice["finish_reason"] != "length" && choice["message"]["refusal"].is_null(),
        calls: calls.filter_map(|call| call["id"].as_str().map(str::to_owned)).collect(),
    })
}

async fn streamed(response: reqwest::Response) -> Result<End> {
    let mut events = SseStream::new(http::Response::from(response).into_body());
    let (mut text, mut calls, mut finish, mut refused) = (String::new(), Vec::new(), None, false);
    while let Some(event) = events.next().await {
        let event = event.context("the stream broke off")?;
        let Some(data) = event.data.filter(|data| data.trim() != "[DONE]") else { break };
        let chunk: Value = serde_json::from_str(&data)?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Ok(End::Error(format!("event {}", error["code"].as_str().unwrap_or_default())));
        }
        let choice = &chunk["choices"][0];
        text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        refused |= choice["delta"]["refusal"].is_string();
        let called = choice["delta"]["tool_calls"].as_array().into_iter().flatten();
        calls.extend(called.filter_map(|call| call["id"].as_str().map(str::to_owned)));
        finish = choice["finish_reason"].as_str().map(str::to_owned).or(finish);
    }
    let Some(finish) = finish else { return Ok(End::Nothing(format!("a stream without finish reason: {text}"))) };
    Ok(End::Answer { text, whole: finish != "length" && !refused, calls })
}

/// Against the truth, as its own answers are.
fn judged(end: &End, question: &Question, took: Duration) -> (Verdict, String) {
    let (text, whole, calls) = match end {
        End::Nothing(what) => return (Verdict::Nothing, what.chars().take(60).collect()),
        End::Error(code) => (None, true, code),
        End::Answer { text, whole, calls } if calls.is_empty() => (Some(text), *whole, text),
        End::Answer { calls, .. } => {
            let twice = calls.iter().enumerate().any(|(n, id)| calls[..n].contains(id));
            return if twice {
                (Verdict::Wrong, "two calls of one id".into())
            } else {
                (Verdict::Pass, "calls".into())
            };
        }
    };
    let truth = text.is_none_or(|text| match question.truth["text"].as_str() {
        Some(truth) => truth == text,
        None => serde_json::from_str::<Value>(text).is_ok_and(|output| output == question.truth),
    });
    let got = if text.is_some() { "answer".to_owned() } else { calls.clone() };
    let late = took > Duration::from_millis(DEADLINE_MS) + SEEN_LATE;
    match (truth, whole, late) {
        (false, true, _) => (Verdict::Wrong, format!("`{}`", calls.chars().take(40).collect::<String>())),
        (false, false, _) => (Verdict::Marked, "broken, and marked".to_owned()),
        (true, _, true) => (Verdict::Late, got),
        (true, _, false) => (Verdict::Pass, got),
    }
}
