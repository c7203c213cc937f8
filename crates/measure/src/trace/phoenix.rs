//! Arize Phoenix, started from a Python environment, and read back through its REST API.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::tree::{Named, Node, Tree};
use crate::children::Server;
use crate::report::progress;

/// It takes a while to make its database, and to write what it took.
const PATIENCE: Duration = Duration::from_secs(180);
const LOOK: Duration = Duration::from_millis(500);

/// See the module.
pub(crate) struct Phoenix {
    server: Server,
    grpc: SocketAddr,
    http: reqwest::Client,
    pub(crate) version: String,
}

impl Phoenix {
    pub(crate) async fn start(venv: &Path, folder: &Path) -> Result<Self> {
        let program = venv.join("bin/phoenix");
        if !program.is_file() {
            bail!("--phoenix {}: there is no bin/phoenix in it; pip install arize-phoenix", venv.display());
        }
        let (address, grpc) = (free().await?, free().await?);
        let mut command = Command::new(program);
        command.arg("serve").env("PHOENIX_HOST", "127.0.0.1").env("PHOENIX_WORKING_DIR", folder.join("phoenix"));
        command.env("PHOENIX_PORT", address.port().to_string()).env("PHOENIX_GRPC_PORT", grpc.port().to_string());
        command.env("PHOENIX_TELEMETRY_ENABLED", "false");
        progress("starting Phoenix");
        let server = Server::start_at("phoenix", &mut command, folder, address).await?;
        let http = reqwest::Client::new();
        let url = format!("http://{address}/arize_phoenix_version");
        let version = http.get(url).send().await?.error_for_status()?.text().await?;
        Ok(Self { server, grpc, http, version: version.trim().to_owned() })
    }

    /// Where it takes traces.
    pub(crate) fn endpoint(&self, protocol: &str) -> String {
        if protocol == "grpc" {
            format!("http://{}", self.grpc)
        } else {
            format!("http://{}/v1/traces", self.server.address)
        }
    }

    /// The spans of a trace, once they are there.
    pub(crate) async fn spans(&self, trace: &str) -> Result<Tree> {
        let url = format!("http://{}/v1/projects/default/spans/otlpv1?limit=100&trace_id={trace}", self.server.address);
        let look = async {
            loop {
                let response = self.http.get(&url).send().await?;
                if response.status().is_success() {
                    let found: Value = serde_json::from_str(&response.text().await?)?;
                    let spans = found["data"].as_array().context("no list of spans")?;
                    if !spans.is_empty() {
                        return spans.iter().map(node).collect();
                    }
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.context("Phoenix shows no spans of the trace")?
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.server.stop().await
    }
}

/// A port that was free a moment ago.
async fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

/// A span in OTLP's JSON, as Phoenix writes it.
fn node(span: &Value) -> Result<Node> {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    let events = span["events"].as_array().into_iter().flatten();
    Ok(Node {
        name: text("name"),
        trace: text("trace_id"),
        id: text("span_id"),
        parent: text("parent_span_id"),
        start_ns: nanos(&span["start_time_unix_nano"])?,
        end_ns: nanos(&span["end_time_unix_nano"])?,
        error: span["status"]["code"] == 2,
        attributes: named(&span["attributes"]),
        events: events
            .map(|event| (event["name"].as_str().unwrap_or_default().to_owned(), named(&event["attributes"])))
            .collect(),
    })
}

fn nanos(value: &Value) -> Result<u64> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.with_context(|| format!("{value} is no time"))
}

fn named(attributes: &Value) -> Named {
    let pairs = attributes.as_array().into_iter().flatten();
    pairs.filter_map(|pair| Some((pair["key"].as_str()?.to_owned(), plain(&pair["value"])))).collect()
}

fn plain(value: &Value) -> Value {
    let said = ["string_value", "bool_value", "double_value", "int_value"];
    let found = said.iter().map(|kind| &value[*kind]).find(|value| !value.is_null());
    match (found, value["array_value"]["values"].as_array()) {
        (Some(value), _) => value.clone(),
        (None, Some(list)) => list.iter().map(plain).collect(),
        (None, None) => json!(null),
    }
}
