//! A small house of intents over scripted models, and ways to ask it.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use baton_config::{Given, load};
use baton_core::Allowance;
use baton_engine::Orchestrator;
use baton_gateway::{GatewayOptions, Metrics, router};
use baton_store::{NewKey, Permission, Store};
use baton_wire::{BodyStream, HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{iter, poll_fn};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tower::ServiceExt as _;

const BATON: &str = r#"
[providers.house]
kind = "openai-compatible"
base_url = "http://house.test/v1"

[models.clever]
id = "house/bug"
price = { input = "1 USD/M", output = "2 USD/M" }

[models.gated]
id = "house/gated"

[teams.support]
intents = ["classify", "draft"]
"#;

const TICKET: &str = r#"{"type":"object","required":["ticket"],"properties":{"ticket":{"type":"string"},
    "count":{"type":"integer"}},"additionalProperties":false}"#;

/// Every answer is drawn; the criterion is `tone`.
const REVIEWED: &str = "models = [\"house/bug\"]\n[review]\nper_day = 100000\ndouble = 0\n\
    [[criteria]]\nid = \"tone\"\nask = \"Is it polite?\"\nguideline = \"No shouting.\"\n\
    [labels]\nbug = \"broken\"\nhow-to = \"asks\"\n";
/// The same for two reviewers.
const PAIRED: &str = "models = [\"house/bug\"]\n[review]\nper_day = 100000\ndouble = 1\n\
    [[criteria]]\nid = \"tone\"\nask = \"Is it polite?\"\n[labels]\nbug = \"broken\"\nhow-to = \"asks\"\n";
/// The same without content.
const PRIVATE: &str = "models = [\"house/bug\"]\n[review]\nper_day = 100000\n[privacy]\nstore = \"none\"\n\
    [labels]\nbug = \"broken\"\nhow-to = \"asks\"\n";
/// Its gate holds every answer back.
const STRICT: &str = "models = [\"house/bug\"]\n[review]\nper_day = 100000\ndouble = 0\n\
    [[criteria]]\nid = \"tone\"\nask = \"Is it polite?\"\n[labels]\nbug = \"broken\"\nhow-to = \"asks\"\n\
    [[checks]]\ntype = \"contains\"\nvalue = \"how\"\n";

/// Name, intent.toml, prompt.md, input schema, output schema.
const INTENTS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "classify",
        "models = [\"clever\", \"house/how-to\"]\n[labels]\nbug = \"broken\"\nhow-to = \"asks\"\n\
         [objective]\nlatency_ms = 5000\n[cache]\nttl = \"1h\"",
        "",
        TICKET,
        "",
    ),
    ("draft", "models = [\"house/writer\"]", "## user\n{{ input | text }}", "", ""),
    (
        "extract",
        "models = [\"house/fields\"]",
        "## user\n{{ a }}",
        r#"{"type":"object","required":["a","b"],"properties":{"a":{"type":"string"},"b":{"type":"integer"}}}"#,
        r#"{"type":"object","required":["total"],"properties":{"total":{"type":"number"}}}"#,
    ),
    ("agent", "models = [\"tools\"]", "## user\n{{ input | text }}", "", ""),
    ("traced", "models = [\"house/traced\"]", "## user\n{{ input | text }}", "", ""),
    ("gated", "models = [\"house/gated\"]", "## user\n{{ input | text }}", "", ""),
    ("hangs", "models = [\"house/hang\"]", "## user\n{{ input | text }}", "", ""),
    ("limited", "models = [\"house/limited\"]\n[retry]\nmax = 0", "## user\n{{ input | text }}", "", ""),
    ("down", "models = [\"house/down\"]\n[retry]\nmax = 0", "## user\n{{ input | text }}", "", ""),
    ("rejected", "models = [\"house/reject\"]", "## user\n{{ input | text }}", "", ""),
    ("long", "models = [\"house/long\"]", "## user\n{{ input | text }}", "", ""),
    ("wrong", "models = [\"house/nonsense\"]\n[labels]\nbug = \"broken\"\nhow-to = \"asks\"", "", "", ""),
    ("reviewed", REVIEWED, "", "", ""),
    ("paired", PAIRED, "", "", ""),
    ("private", PRIVATE, "", "", ""),
    ("strict", STRICT, "", "", ""),
    (
        "fallback",
        "models = [\"house/down\"]\non_exhausted = { default = { label = \"bug\" } }\n[retry]\nmax = 0\n\
         [labels]\nbug = \"broken\"\nhow-to = \"asks\"",
        "",
        "",
        "",
    ),
];

/// What a model named `house/NAME` says.
struct House {
    /// What `house/gated` streams, as the test sends it.
    gate: Mutex<Option<UnboundedReceiver<Bytes>>>,
    /// Told when a body of `house/gated` is dropped.
    left: UnboundedSender<()>,
}

impl Transport for House {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(async move {
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let stream = asked["stream"] == true;
            match asked["model"].as_str().unwrap() {
                "bug" => Ok(says("bug", stream)),
                "how-to" => Ok(says("how-to", stream)),
                "nonsense" => Ok(says("purple", stream)),
                "fields" => Ok(says("```json\n{\"total\": 12.5}\n```", stream)),
                "writer" => Ok(says(&format!("Dear {}", asked["messages"][0]["content"].as_str().unwrap()), stream)),
                "traced" => Ok(says(&heard(&request.headers), stream)),
                "tools" => Ok(calls_tool(stream)),
                "gated" => Ok(self.gated()),
                "hang" => std::future::pending().await,
                "limited" => Ok(refuses(429, &[("retry-after-ms", "6500")], "slow down")),
                "down" => Err(TransportError { fault: TransportFault::Connect, message: "connection refused".into() }),
                "reject" => Ok(refuses(400, &[], "the moon is not supported")),
                "long" => Ok(refuses(400, &[], "this model's maximum context length is 8 tokens")),
                other => panic!("no model {other}"),
            }
        })
    }
}

/// The trace that a provider was told.
fn heard(headers: &HeaderMap) -> String {
    let told = |name| headers.get(name).map_or("-", |value| value.to_str().unwrap());
    format!("{} {}", told("traceparent"), told("tracestate"))
}

struct Left(UnboundedSender<()>);

impl Drop for Left {
    fn drop(&mut self) {
        let _gone = self.0.send(());
    }
}

impl House {
    fn gated(&self) -> HttpResponse {
        let mut gate = self.gate.lock().unwrap().take().expect("one call of house/gated a test");
        let left = Left(self.left.clone());
        let pieces = poll_fn(move |context| {
            let _until_dropped = &left;
            gate.poll_recv(context).map(|piece| piece.map(Ok))
        });
        whole(200, &[("content-type", "text/event-stream")], Box::pin(pieces))
    }
}

fn whole(status: u16, headers: &[(&'static str, &'static str)], body: BodyStream) -> HttpResponse {
    let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers: headers.collect(), body }
}

fn once(text: String) -> BodyStream {
    Box::pin(iter([Ok(Bytes::from(text))]))
}

fn refuses(status: u16, headers: &[(&'static str, &'static str)], message: &str) -> HttpResponse {
    whole(status, headers, once(json!({"error": {"message": message}}).to_string()))
}

fn usage() -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12})
}

/// A chunk of a stream of `house/…`.
pub(crate) fn chunk(delta: Value, finish: Option<&str>) -> Bytes {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    Bytes::from(format!("data: {}\n\n", json!({"id": "c1", "model": "m", "choices": [choice]})))
}

fn says(text: &str, stream: bool) -> HttpResponse {
    let message = json!({"role": "assistant", "content": text});
    answers(message, json!({"content": text}), "stop", stream)
}

fn calls_tool(stream: bool) -> HttpResponse {
    let call = json!({"id": "t1", "type": "function", "function": {"name": "look_up", "arguments": "{\"id\":7}"}});
    let mut piece = call.clone();
    piece["index"] = json!(0);
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    answers(message, json!({"tool_calls": [piece]}), "tool_calls", stream)
}

fn answers(message: Value, delta: Value, finish: &str, stream: bool) -> HttpResponse {
    if stream {
        let end = json!({"id": "c1", "model": "m", "choices": [], "usage": usage()});
        let pieces = [chunk(delta, None), chunk(json!({}), Some(finish)), Bytes::from(format!("data: {end}\n\n"))];
        let pieces = pieces.into_iter().chain([Bytes::from_static(b"data: [DONE]\n\n")]).map(Ok);
        return whole(200, &[("content-type", "text/event-stream")], Box::pin(iter(pieces.collect::<Vec<_>>())));
    }
    let choice = json!({"index": 0, "message": message, "finish_reason": finish});
    let body = json!({"id": "c1", "model": "m", "choices": [choice], "usage": usage(), "system_fingerprint": "fp7"});
    whole(200, &[("content-type", "application/json")], once(body.to_string()))
}

/// What a test holds.
pub(crate) struct Guest {
    pub(crate) router: Router,
    pub(crate) orchestrator: Orchestrator,
    pub(crate) metrics: Arc<Metrics>,
    /// Pieces of the stream of `house/gated`; drop it to break the stream off.
    pub(crate) gate: Option<UnboundedSender<Bytes>>,
    /// Says when Baton closed the stream of `house/gated`.
    pub(crate) left: UnboundedReceiver<()>,
    _dir: tempfile::TempDir,
}

fn write(dir: &Path, name: &str, text: &str) {
    if !text.is_empty() {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join(name), text).unwrap();
    }
}

impl Guest {
    pub(crate) fn new() -> Self {
        Self::with(Store::memory(), GatewayOptions::default())
    }

    pub(crate) fn with(store: Store, options: GatewayOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "baton.toml", BATON);
        for (name, policy, prompt, input, output) in INTENTS {
            let intent = dir.path().join("intents").join(name);
            write(&intent, "intent.toml", policy);
            write(&intent, "prompt.md", prompt);
            write(&intent, "input.schema.json", input);
            write(&intent, "output.schema.json", output);
        }
        let tools = "[models.tools]\nid = \"house/tools\"\n[models.writer]\nid = \"house/writer\"\n";
        write(dir.path(), "baton.toml", &format!("{BATON}{tools}"));
        let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
        let snapshot = match load(dir.path(), &given) {
            Ok(loaded) => loaded.snapshot,
            Err(report) => panic!("{}", report.render(false)),
        };
        let (gate, receives) = unbounded_channel();
        let (leaves, left) = unbounded_channel();
        let house = House { gate: Mutex::new(Some(receives)), left: leaves };
        let metrics = Metrics::new();
        let observed = Arc::clone(&metrics);
        let orchestrator = Orchestrator::builder(snapshot, store)
            .transport("house", Arc::new(house))
            .on_record(Arc::new(move |record| observed.observe(record)))
            .build()
            .unwrap();
        let router = router(orchestrator.clone(), Arc::clone(&metrics), options);
        Self { router, orchestrator, metrics, gate: Some(gate), left, _dir: dir }
    }

    /// Lets `house/gated` say something.
    pub(crate) fn say(&self, delta: Value, finish: Option<&str>) {
        self.gate.as_ref().unwrap().send(chunk(delta, finish)).unwrap();
    }

    pub(crate) async fn key(&self, team: &str, allow: &[Permission], intents: Option<&[&str]>) -> String {
        self.limited_key(team, allow, intents, Allowance::default()).await
    }

    pub(crate) async fn limited_key(
        &self,
        team: &str,
        allow: &[Permission],
        intents: Option<&[&str]>,
        allowance: Allowance,
    ) -> String {
        let new = NewKey {
            team: team.into(),
            permissions: allow.iter().copied().collect(),
            intents: intents.map(|names| names.iter().map(|name| (*name).into()).collect()),
            expires_at_us: None,
            allowance,
        };
        self.orchestrator.store().create_key(new).await.unwrap().1
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(Request::post(path).body(Body::from(body.to_string())).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn with_key(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> Reply {
        let request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    /// Calls an intent and gives its answer.
    pub(crate) async fn execute(&self, intent: &str, input: Value) -> Reply {
        self.post("/v1/execute", json!({"intent": intent, "input": input})).await
    }
}

/// A response, read to its end.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The events of a stream: name (empty where it has none) and data.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let text = self.text();
        let event = |block: &str| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
            (field("event:").to_owned(), field("data:").to_owned())
        };
        text.split("\n\n").filter(|block| !block.is_empty() && !block.starts_with(':')).map(event).collect()
    }
}

/// Reads a body until it holds this text.
pub(crate) async fn until(body: &mut axum::body::BodyDataStream, text: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(text) {
        let piece = body.next().await.unwrap_or_else(|| panic!("the body ended without {text:?}: {seen}")).unwrap();
        seen.push_str(&String::from_utf8_lossy(&piece));
    }
    seen
}
