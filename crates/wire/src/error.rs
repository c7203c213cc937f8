//! What can go wrong on the wire; each error knows its disposition.

use std::time::Duration;

use baton_core::Disposition;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::TransportError;

/// The longest piece of a provider's message that is kept, in characters.
const MESSAGE_MAX: usize = 500;

/// A failed exchange with a provider.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// What may be done about it.
    pub disposition: Disposition,
    /// What was wrong, in the provider's words where it gave any; never a secret.
    pub message: String,
}

impl WireError {
    /// An error of this disposition; the message is cut to a bound.
    #[must_use]
    pub fn new(disposition: Disposition, message: impl AsRef<str>) -> Self {
        let message = message.as_ref();
        let message = match message.char_indices().nth(MESSAGE_MAX) {
            Some((end, _)) => format!("{}…", &message[..end]),
            None => message.to_owned(),
        };
        Self { disposition, message }
    }

    /// The exchange broke before it was complete: trying again may help.
    #[must_use]
    pub fn broken(message: impl AsRef<str>) -> Self {
        Self::new(Disposition::Transient, message)
    }

    /// An answer came, and it is none that can be given.
    #[must_use]
    pub fn bad_answer(message: impl AsRef<str>) -> Self {
        Self::new(Disposition::BadAnswer, message)
    }
}

impl From<TransportError> for WireError {
    fn from(error: TransportError) -> Self {
        Self::broken(error.message)
    }
}

/// What a response other than 200 means.
///
/// `now` is the wall clock (since the Unix epoch), for a Retry-After that is a date.
#[must_use]
pub fn decode_error(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Duration) -> WireError {
    let told = Told::read(body);
    let message = format!("{}: {}", status.as_u16(), told.message(body));
    WireError::new(disposition(status.as_u16(), &told, retry_after(headers, now)), message)
}

/// An `error` object where an answer was expected (200 with an error body, an error event).
#[must_use]
pub fn decode_error_body(error: &Value) -> WireError {
    let told = Told::of(error);
    let status = match &told.status {
        Some(status) => *status,
        None if told.kind.contains("rate_limit") => 429,
        None if told.kind.contains("overloaded") => 529,
        None if told.kind.contains("invalid_request") => 400,
        None if told.kind.contains("authentication") || told.kind.contains("permission") => 401,
        None => 500,
    };
    WireError::new(disposition(status, &told, None), format!("an error instead of an answer: {}", told.message(b"")))
}

/// What an error body says of itself.
#[derive(Default)]
struct Told {
    message: Option<String>,
    /// `code` and `type`, lower case.
    kind: String,
    status: Option<u16>,
}

impl Told {
    fn read(body: &[u8]) -> Self {
        let Ok(json) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        Self::of(json.get("error").unwrap_or(&json))
    }

    fn of(error: &Value) -> Self {
        let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let status = error.get("code").or_else(|| error.get("status")).and_then(Value::as_u64);
        let message = error.as_str().or_else(|| error.get("message").and_then(Value::as_str));
        Self {
            message: message.map(str::to_owned),
            kind: format!("{} {}", text("code"), text("type")),
            status: status.and_then(|code| u16::try_from(code).ok()).filter(|code| (400..600).contains(code)),
        }
    }

    fn message(&self, body: &[u8]) -> String {
        match &self.message {
            Some(message) => message.clone(),
            None if body.is_empty() => "no message".into(),
            None => format!("`{}`", String::from_utf8_lossy(&body[..body.len().min(120)]).trim()),
        }
    }

    fn mentions(&self, words: &[&str]) -> bool {
        let message = self.message.as_deref().unwrap_or_default().to_lowercase();
        words.iter().any(|word| self.kind.contains(word) || message.contains(word))
    }
}

fn disposition(status: u16, told: &Told, retry_after: Option<Duration>) -> Disposition {
    let too_long = ["context_length", "context length", "maximum context", "context window", "prompt is too long"];
    match status {
        400 | 413 | 422 if told.mentions(&too_long) => Disposition::TooLong,
        // A quota that is used up does not come back by itself.
        429 if told.kind.contains("insufficient_quota") => Disposition::HardDown,
        429 | 529 => Disposition::RateLimited { retry_after },
        401 | 402 | 403 | 404 | 410 => Disposition::HardDown,
        408 | 409 | 425 | 500..=599 => Disposition::Transient,
        400..=499 => Disposition::CallersFault,
        // Redirects are not followed: they would carry the key elsewhere.
        300..=399 => Disposition::HardDown,
        _ => Disposition::BadAnswer,
    }
}

/// `retry-after-ms`, or Retry-After in seconds or as a date.
fn retry_after(headers: &HeaderMap, now: Duration) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(ms) = text("retry-after-ms").and_then(|ms| ms.parse::<f64>().ok()) {
        return Duration::try_from_secs_f64(ms / 1000.0).ok();
    }
    let after = text("retry-after")?;
    match after.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => {
            let at = httpdate::parse_http_date(after).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
            Some(at.saturating_sub(now))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_codes_have_their_dispositions() {
        use Disposition::{CallersFault, HardDown, TooLong, Transient};
        for (status, body, expected) in [
            (400, r#"{"error":{"message":"bad field"}}"#, CallersFault),
            (400, r#"{"error":{"message":"x","code":"context_length_exceeded"}}"#, TooLong),
            (401, "", HardDown),
            (404, r#"{"error":{"message":"no such model"}}"#, HardDown),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, HardDown),
            (500, "<html>", Transient),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let error = decode_error(status, &HeaderMap::new(), body.as_bytes(), Duration::ZERO);
            assert_eq!(error.disposition, expected, "{status} {body}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_as_milliseconds_and_as_a_date() {
        let now = Duration::from_secs(784_111_770);
        for (name, value, ms) in [
            ("retry-after", "7", Some(7000)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT", Some(7000)),
            ("retry-after", "soon", None),
            ("retry-after", "-3", None),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            let after = retry_after(&headers, now).map(|d| d.as_millis());
            assert_eq!(after, ms, "{value}");
        }
    }
}
