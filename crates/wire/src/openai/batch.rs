//! OpenAI's batches: many requests in a file, answered within a day.
//!
//! Source: platform.openai.com, API reference, "Batch" and "Files". A line of the input is a request
//! under the caller's `custom_id`; a line of the output, or of the file with errors, is its response,
//! in any order.

use std::collections::BTreeMap;

use baton_core::Disposition;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::WireError;

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    /// Its file is looked at.
    Validating,
    /// Its file was not accepted: nothing was asked.
    Failed,
    /// It is worked on.
    InProgress,
    /// Its output is written.
    Finalizing,
    /// Every request has its response, or its error.
    Completed,
    /// The day is over: what was answered until then is there.
    Expired,
    /// It is being cancelled.
    Cancelling,
    /// It was cancelled: what was answered until then is there.
    Cancelled,
}

impl BatchStatus {
    /// Whether nothing more will come of it.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A batch, as the provider tells it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Batch {
    /// The provider's id for it.
    pub id: String,
    /// How far it is.
    pub status: BatchStatus,
    /// When it was made, Unix seconds.
    #[serde(default)]
    pub created_at: i64,
    /// The file with responses, once there are any.
    #[serde(default)]
    pub output_file_id: Option<String>,
    /// The file with errors, once there are any.
    #[serde(default)]
    pub error_file_id: Option<String>,
    /// How many of its requests are done.
    #[serde(default)]
    pub request_counts: Option<BatchCounts>,
    /// What its maker wrote on it.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// Why it failed.
    #[serde(default)]
    pub errors: Option<Value>,
}

/// How many requests of a batch are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct BatchCounts {
    /// All.
    #[serde(default)]
    pub total: u64,
    /// Answered.
    #[serde(default)]
    pub completed: u64,
    /// Not answered.
    #[serde(default)]
    pub failed: u64,
}

/// What came of one request of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchLine {
    /// The name that its maker gave it.
    pub custom_id: String,
    /// The body of a 200, for [`super::decode_response`]; or why there is none.
    pub response: Result<String, String>,
}

/// Adds a request to the file of a batch.
pub fn encode_batch_line(file: &mut Vec<u8>, custom_id: &str, request: &[u8]) {
    file.extend_from_slice(b"{\"custom_id\":");
    file.extend_from_slice(Value::from(custom_id).to_string().as_bytes());
    file.extend_from_slice(b",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":");
    file.extend_from_slice(request);
    file.extend_from_slice(b"}\n");
}

/// The request that makes a batch of a file, within a day.
#[must_use]
pub fn encode_batch(file: &str, metadata: &BTreeMap<String, String>) -> Bytes {
    let body = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": metadata,
    });
    Bytes::from(body.to_string())
}

/// Reads a batch.
///
/// # Errors
/// Transient: not JSON. Bad answer: no batch.
pub fn decode_batch(body: &[u8]) -> Result<Batch, WireError> {
    decode(body, "a batch")
}

/// Reads a page of batches, and after which one the next page begins.
///
/// # Errors
/// As [`decode_batch`].
pub fn decode_batches(body: &[u8]) -> Result<(Vec<Batch>, Option<String>), WireError> {
    #[derive(Deserialize)]
    struct Page {
        data: Vec<Batch>,
        #[serde(default)]
        has_more: bool,
    }
    let Page { data, has_more } = decode(body, "a list of batches")?;
    let after = data.last().filter(|_| has_more).map(|batch| batch.id.clone());
    Ok((data, after))
}

/// Reads the id of a file.
///
/// # Errors
/// As [`decode_batch`].
pub fn decode_file(body: &[u8]) -> Result<String, WireError> {
    #[derive(Deserialize)]
    struct File {
        id: String,
    }
    decode(body, "a file").map(|File { id }| id)
}

/// Reads a line of a batch's output, or of its errors.
///
/// # Errors
/// As [`decode_batch`].
pub fn decode_batch_line(line: &[u8]) -> Result<BatchLine, WireError> {
    #[derive(Deserialize)]
    struct Line {
        custom_id: String,
        #[serde(default)]
        response: Option<Response>,
        #[serde(default)]
        error: Option<Value>,
    }
    #[derive(Deserialize)]
    struct Response {
        #[serde(default)]
        status_code: u16,
        #[serde(default)]
        body: Value,
    }
    let Line { custom_id, response, error } = decode(line, "a line of a batch")?;
    let response = match (response, error) {
        (Some(Response { status_code: 200, body }), _) => Ok(body.to_string()),
        (Some(Response { status_code, body }), _) => {
            Err(crate::error::bounded(format!("status {status_code}: {body}")))
        }
        (None, Some(error)) => Err(crate::error::bounded(error.to_string())),
        (None, None) => Err("neither a response nor an error".to_owned()),
    };
    Ok(BatchLine { custom_id, response })
}

fn decode<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T, WireError> {
    serde_json::from_slice(body).map_err(|error| {
        let data = error.classify() == serde_json::error::Category::Data;
        let disposition = if data { Disposition::BadAnswer } else { Disposition::Transient };
        WireError::new(disposition, format!("expected {what}: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_in_all_their_forms() {
        let check = |line: &str, expected: Result<&str, &str>| {
            let read = decode_batch_line(line.as_bytes()).unwrap();
            assert_eq!(read.custom_id, "7");
            assert_eq!(read.response.as_deref().map_err(String::as_str), expected, "{line}");
        };
        check(
            r#"{"id":"r","custom_id":"7","response":{"status_code":200,"request_id":"x","body":{"a":1}},"error":null}"#,
            Ok(r#"{"a":1}"#),
        );
        check(
            r#"{"custom_id":"7","response":{"status_code":400,"body":{"error":{}}},"error":null}"#,
            Err(r#"status 400: {"error":{}}"#),
        );
        check(
            r#"{"custom_id":"7","response":null,"error":{"code":"batch_expired"}}"#,
            Err(r#"{"code":"batch_expired"}"#),
        );
        check(r#"{"custom_id":"7"}"#, Err("neither a response nor an error"));
        assert_eq!(decode_batch_line(b"{\"custom_id\":\"7\"").unwrap_err().disposition, Disposition::Transient);
        assert_eq!(decode_batch_line(b"{}").unwrap_err().disposition, Disposition::BadAnswer);
    }

    #[test]
    fn a_request_is_a_line() {
        let mut file = Vec::new();
        encode_batch_line(&mut file, "a\"b", b"{\"model\":\"m\"}");
        let line: Value = serde_json::from_slice(&file).unwrap();
        assert_eq!(
            line,
            json!({"custom_id": "a\"b", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}})
        );
        assert_eq!(file.last(), Some(&b'\n'));
    }

    #[test]
    fn a_page_says_where_the_next_begins() {
        let page = br#"{"object":"list","data":[{"id":"b1","status":"in_progress","created_at":5,"metadata":null,"errors":null}],"has_more":true}"#;
        let (batches, after) = decode_batches(page).unwrap();
        assert_eq!((batches[0].status, after.as_deref()), (BatchStatus::InProgress, Some("b1")));
        let unknown = decode_batch(br#"{"id":"b","status":"resting"}"#).unwrap_err();
        assert_eq!(unknown.disposition, Disposition::BadAnswer);
    }
}
