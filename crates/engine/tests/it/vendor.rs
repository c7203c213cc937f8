//! A provider that takes batches, in memory: it answers what `Models` would say, at once, and breaks on
//! request.

use std::sync::{Arc, Mutex, MutexGuard};

use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use crate::models::{Models, whole};

/// See the module. Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Vendor {
    pub(crate) models: Models,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: Vec<String>,
    made: Vec<Value>,
    deleted: usize,
    /// The next batch is made, and nobody hears of it.
    breaks: bool,
    /// How every batch stands.
    status: &'static str,
    /// What a prompt is answered with; `None` is an error.
    answers: Option<fn(&str) -> Option<&'static str>>,
}

impl Vendor {
    pub(crate) fn new(answers: fn(&str) -> Option<&'static str>) -> Self {
        let vendor = Self::default();
        *vendor.state() = State { answers: Some(answers), status: "completed", ..State::default() };
        vendor
    }

    pub(crate) fn breaks(&self) {
        self.state().breaks = true;
    }

    pub(crate) fn stands(&self, status: &'static str) {
        self.state().status = status;
    }

    /// How many batches were made, and files that were deleted.
    pub(crate) fn made(&self) -> (usize, usize) {
        let state = self.state();
        (state.made.len(), state.deleted)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn answer(&self, request: &HttpRequest) -> Result<Value, TransportError> {
        let path = request.uri.path().trim_start_matches("/v1/").to_owned();
        let mut state = self.state();
        let told = |made: &Value, status: &str| {
            let mut told = made.clone();
            told["status"] = json!(status);
            told["output_file_id"] = if status == "in_progress" { Value::Null } else { json!("output") };
            told
        };
        let status = state.status;
        Ok(match (&request.method, path.split('/').collect::<Vec<_>>().as_slice()) {
            (&Method::POST, ["files"]) => {
                let kinds: Vec<_> = request.headers.get_all(http::header::CONTENT_TYPE).iter().collect();
                assert!(kinds.len() == 1 && kinds[0].to_str().unwrap().starts_with("multipart/form-data"), "{kinds:?}");
                state.files.push(String::from_utf8(request.body.to_vec()).unwrap());
                json!({ "id": format!("file-{}", state.files.len()) })
            }
            (&Method::POST, ["batches"]) => {
                let asked: Value = serde_json::from_slice(&request.body).unwrap();
                let id = format!("batch-{}", state.made.len() + 1);
                let made = json!({
                    "id": id, "created_at": i64::MAX, "metadata": asked["metadata"], "file": asked["input_file_id"],
                });
                state.made.push(made.clone());
                if std::mem::take(&mut state.breaks) {
                    let message = "scripted: it broke".to_owned();
                    return Err(TransportError { fault: TransportFault::Broken, message });
                }
                told(&made, status)
            }
            (&Method::GET, ["batches"]) => {
                let all: Vec<Value> = state.made.iter().rev().map(|made| told(made, status)).collect();
                json!({ "data": all, "has_more": false })
            }
            (&Method::POST, ["batches", _, "cancel"]) => {
                state.status = "cancelled";
                told(&state.made[0], "cancelled")
            }
            (&Method::GET, ["batches", id]) => {
                let made = state.made.iter().find(|made| made["id"] == *id).unwrap();
                told(made, status)
            }
            (&Method::DELETE, ["files", _]) => {
                state.deleted += 1;
                json!({})
            }
            other => panic!("{other:?}"),
        })
    }

    /// Of the only batch, the last request first.
    fn output(&self) -> String {
        let state = self.state();
        let mut lines = Vec::new();
        for line in state.files[0].lines().filter(|line| line.starts_with("{\"custom_id\"")) {
            let request: Value = serde_json::from_str(line).unwrap();
            let prompt = request["body"]["messages"].to_string();
            let answer = state.answers.unwrap()(&prompt);
            let (status, body) = answer.map_or((500, json!({ "error": {} })), |text| (200, whole(text)));
            let response = json!({ "status_code": status, "body": body });
            lines.push(json!({ "custom_id": request["custom_id"], "response": response, "error": null }).to_string());
        }
        lines.reverse();
        lines.join("\n")
    }
}

impl Transport for Vendor {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        if request.uri.path().ends_with("/chat/completions") {
            return self.models.send(request);
        }
        Box::pin(async move {
            let body = if request.uri.path().ends_with("/content") {
                self.output()
            } else {
                self.answer(&request)?.to_string()
            };
            let body = Box::pin(stream::iter([Ok(Bytes::from(body))]));
            Ok(HttpResponse { status: StatusCode::OK, headers: HeaderMap::new(), body })
        })
    }
}
