//! `measure trace`: one execution with a fallback, a hedge and a check, in a real OTLP receiver.
//!
//! The real binary, real sockets, simulated models. Always against a receiver of our own, over HTTP and
//! gRPC, every attribute held against the published conventions; with `--phoenix` against Arize Phoenix too,
//! read back through its API.

mod conventions;
mod phoenix;
mod receiver;
mod tree;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::children::{Server, baton, block_on, profile};
use crate::house::{self, LABELS};
use crate::report::{Report, line, progress};
use receiver::{Received, Receiver};
use tree::{Node, Tree};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A Python environment with Arize Phoenix: `python3 -m venv DIR && DIR/bin/pip install arize-phoenix`
    #[arg(long, value_name = "DIR")]
    phoenix: Option<PathBuf>,
}

/// The caller's own trace.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e47";
const CALLER: &str = "00f067aa0ba902b7";
/// A lane's latencies are known after some; each call pays for a hedge.
const WARM_UP: usize = 20;
/// What nobody but the models may read, and a key.
const WORDS: [&str; 2] = ["I was charged twice in March.", "sk-this-is-a-secret"];

pub(crate) const PROTOCOLS: [&str; 2] = ["http/protobuf", "grpc"];

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let world = World::start().await?;
    let mut report = Report::new("trace");
    line("One execution whose first model fails its check, whose second hangs, and whose third is asked beside it.");
    line(&format!("baton built as {}; the models are simulated\n", profile()));
    for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
        for latest in [false, true] {
            own(&world, (number * 2 + usize::from(latest), protocol, latest), &mut report).await?;
        }
    }
    if let Some(venv) = &arguments.phoenix {
        beside(&world, venv, &mut report).await?;
    }
    report.figure("phoenix", arguments.phoenix.is_some());
    report.figure("simulated_models", true);
    world.sim.stop().await?;
    Ok(report)
}

/// The trace, the metrics and the events in our own receiver.
async fn own(world: &World, (number, protocol, latest): (usize, &str, bool), report: &mut Report) -> Result<()> {
    let names = if latest { "newest names" } else { "today's names" };
    progress(&format!("our own receiver, {protocol}, {names}"));
    let receiver = Receiver::start().await?;
    let endpoint = format!("http://{}", receiver.address);
    let mut environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=measure"),
        ("OTEL_SERVICE_NAME", "baton-measure"),
    ];
    if latest {
        environment.push(("OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental"));
    }
    let trace = format!("{TRACE}{number:02x}");
    let answer = world.call(protocol, &environment, &trace).await?;
    let received = receiver.stop().await;
    let mut wrong = received.wrong.clone();
    wrong.extend(tree::judge(&received.tree(), &trace, CALLER));
    wrong.extend(conventions::judge(&received, latest));
    if answer["model"] != "sim/third" {
        wrong.push(format!("{} answered instead of sim/third", answer["model"]));
    }
    let raw = format!("{received:?}");
    wrong.extend(WORDS.iter().filter(|word| raw.contains(*word)).map(|word| format!("`{word}` left the system")));
    if latest || number == 0 {
        show(protocol, names, &received);
    }
    for problem in &wrong {
        line(&format!("WRONG {protocol}, {names}: {problem}"));
    }
    let told = format!(
        "{protocol}, {names}: {} spans, {} events, {} metrics as the conventions say",
        received.spans.len(),
        received.events.len(),
        received.metrics.len()
    );
    report.bar(told, wrong.is_empty());
    Ok(())
}

/// The same trace, as Phoenix took it.
async fn beside(world: &World, venv: &Path, report: &mut Report) -> Result<()> {
    let phoenix = phoenix::Phoenix::start(venv, world.folder.path()).await?;
    for (number, protocol) in PROTOCOLS.into_iter().enumerate() {
        progress(&format!("Phoenix {}, {protocol}", phoenix.version));
        let endpoint = phoenix.endpoint(protocol);
        // It takes traces only.
        let environment = [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.as_str()),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
        ];
        let trace = format!("{TRACE}{:02x}", 0x80 + number);
        world.call(protocol, &environment, &trace).await?;
        let spans = phoenix.spans(&trace).await?;
        let mut wrong = tree::judge(&spans, &trace, CALLER);
        let raw = format!("{spans:?}");
        wrong.extend(WORDS.iter().filter(|word| raw.contains(*word)).map(|word| format!("`{word}` left the system")));
        for problem in &wrong {
            line(&format!("WRONG Phoenix, {protocol}: {problem}"));
        }
        let told = format!("{protocol}: Phoenix {} has the same {} spans", phoenix.version, spans.len());
        report.bar(told, wrong.is_empty());
    }
    report.figure("phoenix_version", phoenix.version.clone());
    phoenix.stop().await
}

fn show(protocol: &str, names: &str, received: &Received) {
    line(&format!("{protocol}, {names}:"));
    let tree = received.tree();
    let began = tree.iter().map(|node| node.start_ns).min().unwrap_or_default();
    for node in &tree {
        let indent = if node.parent == CALLER { "" } else { "  " };
        let (from, took) = ((node.start_ns - began) / 1_000_000, (node.end_ns - node.start_ns) / 1_000_000);
        let what = ["baton.attempt.kind", "baton.attempt.outcome", "error.type"].map(|key| node.text(key));
        let what: Vec<String> = what.into_iter().filter(|text| !text.is_empty()).collect();
        line(&format!("  {indent}{} (at {from} ms, {took} ms) {}", node.name, what.join(", ")));
        for (event, attributes) in &node.events {
            let of = |key: &str| attributes.get(key).and_then(Value::as_str).unwrap_or_default();
            let (name, label) = (of("gen_ai.evaluation.name"), of("gen_ai.evaluation.score.label"));
            line(&format!("  {indent}  · {event} {name} {label}"));
        }
    }
    for (name, metric) in &received.metrics {
        line(&format!("  {name} [{}]", metric.unit));
    }
    line("");
}

/// Simulated models, and the folder of a server that asks them.
struct World {
    folder: TempDir,
    baton: PathBuf,
    sim: Server,
}

const WARM: &str = "{ \"first_token_ms\": { \"fixed\": 10 }, \"tokens_per_second\": 500 }";

impl World {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let baton = baton().await?;
        let scenario = "[models.\"*\"]\nfirst_token_ms = { fixed = 10 }\ntokens_per_second = 500\n";
        let sim = house::sim(&baton, folder.path(), scenario, 11).await?;
        let place = folder.path().join("house");
        let provider = house::provider("sim", sim.address);
        let provider = format!("{}\napi_key = {{ env = \"MEASURE_KEY\" }}\n", provider.trim_end());
        house::write(&place.join("baton.toml"), &provider)?;
        let hedge = "[hedge]\nmax_share = 1.0\n";
        let models =
            |names: &[&str]| house::models(&names.iter().map(|name| format!("sim/{name}")).collect::<Vec<_>>());
        for (name, names) in [("warm", &["second", "third"][..]), ("traced", &["first", "second", "third"])] {
            let file = place.join(format!("intents/{name}/intent.toml"));
            house::write(
                &file,
                &format!("{}{LABELS}{hedge}[params]\nmax_tokens = 64\ntemperature = 0.0\n", models(names)),
            )?;
        }
        Ok(Self { folder, baton, sim })
    }

    /// A server with this environment, warmed up, one call in this trace, and the server's end.
    async fn call(&self, protocol: &str, environment: &[(&str, &str)], trace: &str) -> Result<Value> {
        let place = self.folder.path().join("house");
        // No past: latencies and records of an earlier server are not this one's.
        let _none = tokio::fs::remove_dir_all(place.join(".baton")).await;
        let warm: Value = serde_json::from_str(WARM)?;
        for model in ["first", "second", "third"] {
            steer(self.sim.address, model, &warm).await?;
        }
        let mut command = Command::new(&self.baton);
        command.args(["serve", "--listen", "127.0.0.1:0"]).arg("--dir").arg(&place);
        // Only what its caller traces is traced.
        command.env("OTEL_TRACES_SAMPLER", "parentbased_always_off").env("MEASURE_KEY", WORDS[1]);
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol).envs(environment.iter().copied());
        let server = Server::start("baton", &mut command, self.folder.path()).await?;
        let http = reqwest::Client::new();
        for _ in 0..WARM_UP {
            ask(&http, &server, "warm", None).await?;
        }
        let fails = |kind: &str| json!({ "faults": [{ "kind": kind, "share": 1.0 }] });
        steer(self.sim.address, "first", &fails("wrong_schema")).await?;
        steer(self.sim.address, "second", &fails("hang")).await?;
        let parent = format!("00-{trace}-{CALLER}-01");
        let answer = ask(&http, &server, "traced", Some(&parent)).await?;
        // What was not sent yet is sent at the end.
        server.stop().await?;
        Ok(answer)
    }
}

async fn ask(http: &reqwest::Client, server: &Server, intent: &str, parent: Option<&str>) -> Result<Value> {
    let body = json!({ "intent": intent, "input": WORDS[0], "config": { "maxLatencyMs": 5000 } });
    let mut request = http.post(format!("http://{}/v1/execute", server.address)).body(body.to_string());
    if let Some(parent) = parent {
        request = request.header("traceparent", parent);
    }
    let response = request.send().await?;
    let status = response.status();
    let answer: Value = serde_json::from_str(&response.text().await?).context("the answer is no JSON")?;
    if !status.is_success() {
        bail!("a call was answered {status}: {answer}");
    }
    Ok(answer)
}

/// Makes a simulated model behave so.
async fn steer(sim: std::net::SocketAddr, model: &str, behaviour: &Value) -> Result<()> {
    let url = format!("http://{sim}/__sim/models/{model}");
    let response = reqwest::Client::new().post(url).body(behaviour.to_string()).send().await?;
    if !response.status().is_success() {
        bail!("the simulator refuses {behaviour}: {}", response.text().await?);
    }
    Ok(())
}
