//! What a provider's error means.
//!
//! Specific codes and messages come first, because vendors use statuses loosely (a bad key is 400 at
//! some, a spent quota is 429); then the status; then the type of error.

use std::time::{Duration, SystemTime};

use baton_core::Disposition;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::tree::Tree;
use crate::WireError;
use crate::error::bounded;

/// A wait longer than this is not believed, and cut to it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads the answer of a status other than 200. `now` is for a `Retry-After` that is a date, where
/// there is no `Date` beside it.
///
/// | disposition | from |
/// |---|---|
/// | caller's fault | 400, 413, 422 and other 4xx |
/// | too long | `context_length_exceeded`, or a message that says so |
/// | hard down | 3xx, 401, 402, 403, 404, 405, 410; unknown model; spent quota; bad key |
/// | rate limited | 429, 498, 529, with `retry-after-ms` or `Retry-After` |
/// | transient | 408, 409, 425, 5xx |
/// | bad answer | `content_filter` under a 200 |
#[must_use]
pub fn decode_error(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> WireError {
    let said = serde_json::from_slice(body).ok().and_then(|document: Value| Said::in_document(&document));
    let said = said.unwrap_or_else(|| Said { message: excerpt(body), ..Said::default() });
    let mut disposition = said.disposition(Some(status.as_u16()));
    if let Disposition::RateLimited { retry_after: wait } = &mut disposition {
        *wait = retry_after(headers, now);
    }
    let message = match said.message.as_str() {
        "" => format!("the provider answered {status}"),
        text => format!("the provider answered {status}: {text}"),
    };
    WireError { status: Some(status.as_u16()), ..said.error(disposition, message) }
}

/// Writes an error in OpenAI's envelope.
#[must_use]
pub fn encode_error(message: &str, kind: &str, code: Option<&str>, param: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

/// The error that a 200's document, one choice or one chunk carries, if it does.
pub(super) fn body_error(document: &Tree<'_>) -> Option<WireError> {
    document.get("error").filter(|error| !error.is_null())?;
    Some(Said::in_document(&document.clone().into_value()).unwrap_or_default().without_status())
}

/// The error that a chunk's `error` field carries.
pub(super) fn error_field(error: &Value) -> WireError {
    Said::of(error, None).without_status()
}

/// A body that is not JSON: the path is broken, not the answer.
pub(super) fn not_json(body: &[u8], error: &serde_json::Error) -> WireError {
    let what = match body.trim_ascii_start().first() {
        None => "the answer is empty".to_owned(),
        Some(b'<') => format!("the answer is HTML, not JSON: {}", excerpt(body)),
        Some(_) if error.is_eof() => format!("the answer is cut off after {} bytes", body.len()),
        Some(_) => format!("the answer is not JSON: {error}"),
    };
    WireError::broken(what)
}

/// The beginning of a body that is no error document, on one line.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What an error document says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

impl Said {
    /// Finds the error in its envelope: `{"error": {…}}`, `{"error": "…"}`, `[{"error": …}]` (Gemini),
    /// `{"message": …}` (Mistral), `{"detail": …}` (FastAPI).
    fn in_document(document: &Value) -> Option<Self> {
        let document = document.get(0).unwrap_or(document);
        let error = document.get("error").filter(|error| !error.is_null());
        let known = error.is_some() || document.get("message").is_some() || document.get("detail").is_some();
        known.then(|| Self::of(error.unwrap_or(document), Some(document)))
    }

    fn of(error: &Value, envelope: Option<&Value>) -> Self {
        let field = |name: &str| error.get(name).or_else(|| envelope?.get(name)).filter(|v| !v.is_null()).map(plain);
        Self {
            message: match error {
                Value::String(message) => message.clone(),
                _ => field("message").or_else(|| field("detail")).unwrap_or_default(),
            },
            kind: field("type").or_else(|| field("status")),
            code: field("code"),
            param: field("param"),
        }
    }

    /// The error of a document that came without a status of its own.
    fn without_status(self) -> WireError {
        let text = if self.message.is_empty() { "no message" } else { self.message.as_str() };
        let message = format!("the provider answered with an error: {text}");
        let disposition = self.disposition(None);
        self.error(disposition, message)
    }

    fn error(self, disposition: Disposition, message: String) -> WireError {
        WireError {
            code: self.code.or(self.kind).map(bounded),
            param: self.param.map(bounded),
            ..WireError::new(disposition, message)
        }
    }

    fn disposition(&self, status: Option<u16>) -> Disposition {
        let text = self.message.to_ascii_lowercase();
        let has = |marks: &[&str]| marks.iter().any(|mark| text.contains(mark));
        let names =
            |marks: &[&str]| [&self.code, &self.kind].into_iter().flatten().any(|n| marks.contains(&n.as_str()));
        let status = status.or_else(|| self.code.as_deref().and_then(|code| code.parse().ok()));
        let refusable = status.is_none_or(|s| matches!(s, 400 | 413 | 422 | 429));
        if refusable && (names(TOO_LONG_CODES) || has(TOO_LONG_MESSAGES)) {
            return Disposition::TooLong;
        }
        if names(HARD_DOWN_CODES) || (refusable && has(HARD_DOWN_MESSAGES)) {
            return Disposition::HardDown;
        }
        if status == Some(413) && names(&["rate_limit_exceeded"]) {
            return Disposition::TooLong; // Groq: more tokens than a minute's allowance
        }
        if names(&["content_filter"]) {
            return if status.is_none() { Disposition::BadAnswer } else { Disposition::CallersFault };
        }
        status.and_then(by_status).unwrap_or_else(|| by_type(names))
    }
}

const TOO_LONG_CODES: &[&str] = &["context_length_exceeded", "context_too_long", "string_above_max_length"];
const TOO_LONG_MESSAGES: &[&str] = &[
    "maximum context length",
    "maximum prompt length",
    "prompt is too long",
    "input is too long",
    "context window",
    "context length exceeded",
    "exceeds the context",
    "exceeds the maximum number of tokens",
];
const HARD_DOWN_CODES: &[&str] = &[
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "invalid_api_key",
    "authentication_error",
    "permission_error",
    "permission_denied",
    "account_deactivated",
    "model_not_found",
    "not_found_error",
    "invalid_model",
    "model_decommissioned",
];
const HARD_DOWN_MESSAGES: &[&str] = &[
    "api key not valid",
    "incorrect api key",
    "invalid api key",
    "credit balance is too low",
    "insufficient balance",
    "is not a valid model",
];

fn by_status(status: u16) -> Option<Disposition> {
    Some(match status {
        408 | 409 | 425 | 500..=528 | 530..=599 => Disposition::Transient,
        429 | 498 | 529 => Disposition::RateLimited { retry_after: None },
        300..=399 | 401..=405 | 410 => Disposition::HardDown,
        400..=499 => Disposition::CallersFault,
        _ => return None,
    })
}

fn by_type(names: impl Fn(&[&str]) -> bool) -> Disposition {
    let limited = [
        "rate_limit_error",
        "rate_limit_exceeded",
        "too_many_requests",
        "overloaded_error",
        "engine_overloaded",
        "RESOURCE_EXHAUSTED",
    ];
    let refused = ["invalid_request_error", "invalid_request", "content_policy_violation", "INVALID_ARGUMENT"];
    if names(&limited) {
        Disposition::RateLimited { retry_after: None }
    } else if names(&refused) {
        Disposition::CallersFault
    } else {
        Disposition::Transient
    }
}

/// A field's text, without the quotes of a string.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `retry-after-ms` in milliseconds, else `Retry-After` in seconds or as an HTTP date (a past one is
/// no wait); `None` where there is neither, or it makes no sense.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str, unit: f64| {
        text.parse::<f64>()
            .ok()
            .filter(|n| n.is_finite() && *n >= 0.0)
            .map(|n| (n * unit).min(RETRY_AFTER_MAX.as_secs_f64()))
    };
    let exact = text("retry-after-ms").and_then(|ms| seconds(ms, 0.001)).map(Duration::from_secs_f64);
    let wait = exact.or_else(|| {
        let after = text("retry-after")?;
        seconds(after, 1.0).map(Duration::from_secs_f64).or_else(|| {
            let date = httpdate::parse_http_date(after).ok()?;
            // The provider's clock counts, where it tells the time: ours may be another.
            let now = text("date").and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
            Some(date.duration_since(now).unwrap_or_default())
        })
    });
    wait.map(|wait| wait.min(RETRY_AFTER_MAX))
}
