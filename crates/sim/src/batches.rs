//! OpenAI's files and batches: many requests in a file, answered later, in another order, not all of them.
//!
//! A batch is a pure function of the seed, its file and the behaviour of its model when it was made. It
//! is looked at when somebody asks: nothing runs in between.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_wire::{HttpRequest, HttpResponse};
use bytes::Bytes;
use http::{Method, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::behaviour::Share;
use crate::openai;
use crate::rng::Rng;
use crate::routes::{plain, raw};
use crate::sim::Sim;

/// Files at a time, and their bytes.
const FILES_MAX: usize = 256;
const BYTES_MAX: usize = 512 << 20;
/// Requests of a batch, as OpenAI allows.
const REQUESTS_MAX: usize = 50_000;

/// How the batches of one model go. The default is answered at once, all of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchBehaviour {
    /// Milliseconds from its making to its end.
    pub takes_ms: u64,
    /// How it ends.
    pub ends: BatchEnd,
    /// Share of its requests that are answered with a 500.
    pub failed: Share,
    /// Share of its requests that are not answered, where it expires.
    pub missing: Share,
}

/// How a batch ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchEnd {
    /// Every request has its response.
    #[default]
    Completed,
    /// Its file is not accepted.
    Failed,
    /// The day is over before some are answered.
    Expired,
}

/// What clients uploaded and made.
#[derive(Debug, Default)]
pub(crate) struct Batches(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    files: BTreeMap<String, Bytes>,
    made: Vec<Batch>,
    uploads: u64,
}

#[derive(Clone, Debug)]
struct Batch {
    id: String,
    input: String,
    metadata: Value,
    made_at: Duration,
    requests: usize,
    behaviour: BatchBehaviour,
    cancelled: bool,
}

impl Batch {
    fn status(&self, now: Duration) -> &'static str {
        let over = now >= self.made_at + Duration::from_millis(self.behaviour.takes_ms);
        match (self.cancelled, over, self.behaviour.ends) {
            (true, ..) => "cancelled",
            (_, false, _) => "in_progress",
            (_, true, BatchEnd::Completed) => "completed",
            (_, true, BatchEnd::Failed) => "failed",
            (_, true, BatchEnd::Expired) => "expired",
        }
    }

    fn told(&self, now: Duration, unix_s: u64) -> Value {
        let status = self.status(now);
        let has_output = matches!(status, "completed" | "expired");
        let error = json!({"data": [{"code": "invalid_request", "message": "simulated: the file was not accepted"}]});
        json!({
            "id": self.id, "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": self.input,
            "completion_window": "24h", "status": status, "created_at": unix_s + self.made_at.as_secs(),
            "output_file_id": has_output.then(|| format!("{}-output", self.id)),
            "error_file_id": has_output.then(|| format!("{}-errors", self.id)),
            "errors": if status == "failed" { error } else { Value::Null }, "metadata": self.metadata,
            "request_counts": {
                "total": self.requests, "completed": if has_output { self.requests } else { 0 }, "failed": 0,
            },
        })
    }
}

impl Batches {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For whoever counts: each batch, and how many requests it has.
    pub(crate) fn stats(&self) -> Value {
        let inner = self.inner();
        let of = |batch: &Batch| json!({"id": batch.id, "requests": batch.requests, "metadata": batch.metadata});
        json!({ "made": inner.made.iter().map(of).collect::<Vec<_>>(), "uploads": inner.uploads, "files": inner.files.len() })
    }
}

/// Answers what concerns files and batches; `None` for everything else.
pub(crate) fn answer(sim: &Sim, request: &HttpRequest) -> Option<HttpResponse> {
    let path = request.uri.path();
    // Any prefix will do: base URLs differ.
    let at = ["/files", "/batches"].iter().find_map(|part| path.rfind(part))?;
    let mut parts = path[at + 1..].split('/');
    let parts = (parts.next()?, parts.next(), parts.next());
    Some(match (&request.method, parts) {
        (&Method::POST, ("files", None, None)) => upload(sim, request),
        (&Method::GET, ("files", Some(id), Some("content"))) => content(sim, id),
        (&Method::DELETE, ("files", Some(id), None)) => delete(sim, id),
        (&Method::POST, ("batches", None, None)) => make(sim, &request.body),
        (&Method::GET, ("batches", None, None)) => list(sim, request.uri.query().unwrap_or_default()),
        (&Method::GET, ("batches", Some(id), None)) => one(sim, id, false),
        (&Method::POST, ("batches", Some(id), Some("cancel"))) => one(sim, id, true),
        _ => return None,
    })
}

fn refused(status: u16, message: &str) -> HttpResponse {
    let status_code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    plain(status_code, &openai::error(status, Some(message)))
}

fn upload(sim: &Sim, request: &HttpRequest) -> HttpResponse {
    let kind = request.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let Some((purpose, file)) = form(kind, &request.body) else {
        return refused(400, "expected multipart/form-data with the fields purpose and file");
    };
    if purpose != "batch" {
        return refused(400, "the simulator takes files of the purpose batch only");
    }
    let mut inner = sim.batches().inner();
    let bytes: usize = inner.files.values().map(Bytes::len).sum();
    if inner.files.len() >= FILES_MAX || bytes + file.len() > BYTES_MAX {
        return refused(413, "the simulator holds no more files: delete some");
    }
    inner.uploads += 1;
    let id = format!("file-sim{:06}", inner.uploads);
    let told = json!({"id": id, "object": "file", "bytes": file.len(), "purpose": "batch", "filename": "x.jsonl"});
    inner.files.insert(id, file);
    plain(StatusCode::OK, &told)
}

/// The purpose and the file of a form.
fn form(kind: &str, body: &Bytes) -> Option<(String, Bytes)> {
    let boundary = kind.strip_prefix("multipart/form-data")?.split("boundary=").nth(1)?.trim_matches('"');
    let boundary = format!("--{boundary}");
    let (mut purpose, mut file, mut from) = (None, None, find(body, boundary.as_bytes())? + boundary.len());
    while let Some(length) = find(&body[from..], boundary.as_bytes()) {
        let part = body.slice(from..from + length);
        from += length + boundary.len();
        let start = find(&part, b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&part[..start]).to_ascii_lowercase();
        let content = part.slice(start..part.len().saturating_sub(2));
        if head.contains("name=\"purpose\"") {
            purpose = Some(String::from_utf8_lossy(&content).into_owned());
        } else if head.contains("name=\"file\"") {
            file = Some(content);
        }
    }
    purpose.zip(file)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn requests(file: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    file.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).enumerate()
}

fn make(sim: &Sim, body: &[u8]) -> HttpResponse {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let input = asked["input_file_id"].as_str().unwrap_or_default().to_owned();
    if asked["endpoint"] != "/v1/chat/completions" || asked["completion_window"] != "24h" {
        return refused(400, "expected endpoint /v1/chat/completions and completion_window 24h");
    }
    let now = sim.elapsed();
    let mut inner = sim.batches().inner();
    let Some(file) = inner.files.get(&input).cloned() else { return refused(404, "no such file") };
    let first: Value =
        requests(&file).next().and_then(|(_, line)| serde_json::from_slice(line).ok()).unwrap_or_default();
    let behaviour = sim.batch_behaviour(first["body"]["model"].as_str().unwrap_or_default());
    let requests = requests(&file).count();
    if requests == 0 || requests > REQUESTS_MAX {
        return refused(400, "a batch has 1 to 50000 requests");
    }
    let id = format!("batch_sim{:06}", inner.made.len() + 1);
    let metadata = asked["metadata"].clone();
    let batch = Batch { id, input, metadata, made_at: now, requests, behaviour, cancelled: false };
    let told = batch.told(now, sim.unix_s());
    inner.made.push(batch);
    plain(StatusCode::OK, &told)
}

fn list(sim: &Sim, query: &str) -> HttpResponse {
    let value = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    let limit = value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20).clamp(1, 100);
    let (now, unix_s, inner) = (sim.elapsed(), sim.unix_s(), sim.batches().inner());
    let latest = inner.made.iter().rev();
    let after = value("after");
    let skipped = latest.skip_while(|batch| after.is_some_and(|after| batch.id != after));
    let mut rest = skipped.skip(usize::from(after.is_some()));
    let data: Vec<Value> = rest.by_ref().take(limit).map(|batch| batch.told(now, unix_s)).collect();
    plain(StatusCode::OK, &json!({"object": "list", "data": data, "has_more": rest.next().is_some()}))
}

fn one(sim: &Sim, id: &str, cancel: bool) -> HttpResponse {
    let (now, unix_s) = (sim.elapsed(), sim.unix_s());
    let mut inner = sim.batches().inner();
    let Some(batch) = inner.made.iter_mut().find(|batch| batch.id == id) else { return refused(404, "no such batch") };
    batch.cancelled |= cancel && batch.status(now) == "in_progress";
    plain(StatusCode::OK, &batch.told(now, unix_s))
}

fn delete(sim: &Sim, id: &str) -> HttpResponse {
    let mut inner = sim.batches().inner();
    let known = inner.files.remove(id).is_some() || inner.made.iter().any(|batch| id.starts_with(&batch.id));
    if known { plain(StatusCode::OK, &json!({"id": id, "deleted": true})) } else { refused(404, "no such file") }
}

/// A file of a client, or what came of a batch.
fn content(sim: &Sim, id: &str) -> HttpResponse {
    let (now, inner) = (sim.elapsed(), sim.batches().inner());
    if let Some(file) = inner.files.get(id) {
        return raw(StatusCode::OK, "application/octet-stream", file.clone());
    }
    let batch = id.rsplit_once('-').and_then(|(batch, kind)| Some((inner.made.iter().find(|b| b.id == batch)?, kind)));
    match batch {
        Some((batch, kind @ ("output" | "errors"))) if matches!(batch.status(now), "completed" | "expired") => {
            let Some(input) = inner.files.get(&batch.input).cloned() else { return refused(404, "no such file") };
            let batch = batch.clone();
            drop(inner);
            raw(StatusCode::OK, "application/octet-stream", results(sim, &batch, &input, kind == "errors"))
        }
        _ => refused(404, "no such file"),
    }
}

/// The lines of a batch's output, or of its errors, in no order that a client could rely on.
fn results(sim: &Sim, batch: &Batch, input: &[u8], errors: bool) -> Bytes {
    let mut lines = Vec::new();
    for (n, line) in requests(input) {
        let request: Value = serde_json::from_slice(line).unwrap_or_default();
        let mut rng = Rng::of(sim.seed(), &["batch", &batch.id, &n.to_string()]);
        let (drawn, turn) = (rng.uniform(), rng.uniform());
        let expired = batch.behaviour.ends == BatchEnd::Expired && drawn < batch.behaviour.missing.get();
        let failed = !expired && rng.uniform() < batch.behaviour.failed.get();
        let (status, body) = if expired || failed {
            (500, openai::error(500, None))
        } else {
            sim.answered(request["body"].to_string().as_bytes(), n as u64)
        };
        if (expired || status != 200) != errors {
            continue;
        }
        let mut result = json!({
            "id": format!("batch_req_{n}"), "custom_id": request["custom_id"], "error": null,
            "response": {"status_code": status, "request_id": format!("req_{n}"), "body": body},
        });
        if expired {
            result["response"] = Value::Null;
            result["error"] = json!({"code": "batch_expired", "message": "simulated: the day was over"});
        }
        lines.push((turn, result.to_string()));
    }
    lines.sort_by(|one, other| one.0.total_cmp(&other.0));
    lines
        .into_iter()
        .fold(Vec::new(), |mut all, (_, line)| {
            all.extend_from_slice(line.as_bytes());
            all.push(b'\n');
            all
        })
        .into()
}
