//! A server's review queue, over HTTP; and having it erase a person.

use std::time::Duration;

use baton_core::{ExecutionId, IntentName};
use baton_engine::{Erasure, ReviewStats, ReviewView, Verdict};
use baton_provider::HttpTransport;
use baton_wire::{HttpRequest, Transport as _};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::place::{PAGE, Pass};
use crate::exit::Exit;

/// The longest that one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one answer at most.
const BODY_MAX: usize = 256 * 1024 * 1024;

/// See the module.
pub(crate) struct Remote {
    base: String,
    headers: HeaderMap,
    http: HttpTransport,
}

#[derive(Deserialize)]
struct Next {
    item: Option<ReviewView>,
}

#[derive(Deserialize)]
struct Imported {
    imported: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LineId {
    execution_id: ExecutionId,
}

impl Remote {
    pub(crate) fn new(url: &str, key_env: Option<&str>) -> Result<Self, Exit> {
        let wrong = |what: &str| Exit::usage(format!("--server {url}: {what}; write http://127.0.0.1:7700"));
        let uri: Uri = url.parse().map_err(|_| wrong("is no address"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.authority().is_none() {
            return Err(wrong("has no http:// or https://"));
        }
        let mut headers = HeaderMap::new();
        if let Some(name) = key_env {
            let key = std::env::var(name).map_err(|_| Exit::usage(format!("--key-env {name}: it is not set")))?;
            let bearer = HeaderValue::try_from(format!("Bearer {}", key.trim()));
            let mut bearer = bearer.map_err(|_| Exit::usage(format!("--key-env {name}: it holds no key")))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let http = HttpTransport::new().map_err(|error| Exit::outside(error.to_string()))?;
        Ok(Self { base: url.trim_end_matches('/').to_owned(), headers, http })
    }

    pub(super) async fn next(&self, name: &str, intent: Option<&IntentName>) -> Result<Option<ReviewView>, Exit> {
        let body = json!({ "reviewer": name, "intent": intent });
        Ok(self.ask::<Next>(Method::POST, "/v1/reviews/next", body.to_string()).await?.item)
    }

    pub(super) async fn label(&self, name: &str, id: ExecutionId, verdict: &Verdict) -> Result<(), Exit> {
        let mut body = serde_json::to_value(verdict).map_err(|error| Exit::outside(error.to_string()))?;
        (body["action"], body["reviewer"]) = (json!("label"), json!(name));
        self.act(id, &body).await
    }

    pub(super) async fn pass(&self, name: &str, id: ExecutionId, pass: Pass) -> Result<(), Exit> {
        let action = match pass {
            Pass::Skip => "skip",
            Pass::Release => "release",
        };
        self.act(id, &json!({ "action": action, "reviewer": name })).await
    }

    async fn act(&self, id: ExecutionId, body: &Value) -> Result<(), Exit> {
        self.ask::<ReviewView>(Method::POST, &format!("/v1/reviews/{id}"), body.to_string()).await.map(drop)
    }

    pub(super) async fn undo(&self, name: &str) -> Result<ReviewView, Exit> {
        self.ask(Method::POST, "/v1/reviews/undo", json!({ "reviewer": name }).to_string()).await
    }

    pub(super) async fn stats(&self, intent: Option<&IntentName>) -> Result<ReviewStats, Exit> {
        let path = format!("/v1/reviews/stats?{}", query(&[("intent", intent.map(IntentName::as_str))]));
        self.ask(Method::GET, &path, String::new()).await
    }

    pub(super) async fn export(
        &self,
        name: &str,
        intent: Option<&IntentName>,
        before: Option<ExecutionId>,
    ) -> Result<(String, Option<ExecutionId>), Exit> {
        let (before, limit) = (before.map(|id| id.to_string()), PAGE.to_string());
        let query = query(&[
            ("reviewer", Some(name)),
            ("limit", Some(&limit)),
            ("intent", intent.map(IntentName::as_str)),
            ("before", before.as_deref()),
        ]);
        let lines = self.send(Method::GET, &format!("/v1/reviews/export?{query}"), String::new()).await?;
        let lines = String::from_utf8(lines).map_err(|error| Exit::outside(format!("the export: {error}")))?;
        let last = lines.lines().last().filter(|_| lines.lines().count() == PAGE);
        let last = last.map(parse::<LineId>).transpose()?.map(|line| line.execution_id);
        Ok((lines, last))
    }

    pub(super) async fn import(&self, jsonl: &str) -> Result<usize, Exit> {
        Ok(self.ask::<Imported>(Method::POST, "/v1/reviews/import", jsonl.to_owned()).await?.imported)
    }

    pub(crate) async fn erase(&self, subject: &str) -> Result<Erasure, Exit> {
        self.ask(Method::DELETE, &format!("/v1/subjects/{}", encoded(subject)), String::new()).await
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: String) -> Result<T, Exit> {
        let answer = self.send(method, path, body).await?;
        parse(std::str::from_utf8(&answer).unwrap_or_default())
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<Vec<u8>, Exit> {
        let outside = |what: String| Exit::outside(format!("{}: {what}", self.base));
        let uri = format!("{}{path}", self.base).parse().map_err(|error| outside(format!("{path}: {error}")))?;
        let request = HttpRequest { method, uri, headers: self.headers.clone(), body: Bytes::from(body) };
        let exchange = async {
            let mut response = self.http.send(request).await.map_err(|error| outside(error.to_string()))?;
            let mut answer = Vec::new();
            while let Some(piece) = response.body.next().await {
                answer.extend(piece.map_err(|error| outside(error.to_string()))?);
                if answer.len() > BODY_MAX {
                    return Err(outside(format!("an answer of more than {BODY_MAX} bytes")));
                }
            }
            Ok((response.status, answer))
        };
        let late = |_| outside(format!("no answer within {} s", TIMEOUT.as_secs()));
        let (status, answer) = tokio::time::timeout(TIMEOUT, exchange).await.map_err(late)??;
        if status.is_success() {
            return Ok(answer);
        }
        let document: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let message = document.pointer("/error/message").and_then(Value::as_str);
        let message = message.map_or_else(|| status.to_string(), str::to_owned);
        Err(match status.as_u16() {
            409 => Exit::failed(message),
            400..=499 => Exit::usage(message),
            _ => outside(message),
        })
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Exit> {
    serde_json::from_str(text).map_err(|error| Exit::outside(format!("the server's answer is not understood: {error}")))
}

/// Parameters of a URL; those without a value are left out.
fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let given = parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded((*value)?))));
    given.collect::<Vec<_>>().join("&")
}

/// Without a dot: a path of nothing else would lead elsewhere.
fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text += &format!("%{byte:02X}"),
        }
        text
    })
}
