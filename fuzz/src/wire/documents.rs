//! Whole documents: requests, answers, errors.

use std::time::{Duration, UNIX_EPOCH};

use baton_core::Disposition;
use baton_wire::openai::{self, Dialect, StreamOptions, Structured};
use baton_wire::{ChatRequest, Completion, MESSAGE_CHARS_MAX, WireError};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};

use super::streams::{again, collected};

/// A field that no format knows.
const STRANGE: &str = "x_strange";

/// The body of a request for a completion.
///
/// # Panics
/// Where what was read is not read back as it was written, or an unknown field is lost.
pub fn openai_request(bytes: &[u8]) {
    let request = match openai::decode_request(bytes) {
        Ok(request) => request,
        Err(error) => return check_error(&error),
    };
    let written = openai::encode_request(&request);
    assert_eq!(openai::decode_request(&written).as_ref(), Ok(&request), "{}", String::from_utf8_lossy(&written));
    for dialect in DIALECTS {
        let bytes = openai::encode_request_for(&request, &dialect, request.stream);
        assert!(serde_json::from_slice::<Value>(&bytes).is_ok_and(|document| document.is_object()));
    }
    let places = ["", "/messages/0", "/tools/0", "/response_format"];
    check_strange(bytes, &places, |bytes| {
        openai::decode_request(bytes).ok().map(|read: ChatRequest| openai::encode_request(&read).to_vec())
    });
}

const DIALECTS: [Dialect; 3] = [
    Dialect::PLAIN,
    Dialect {
        structured: Structured::Object,
        stream_options: StreamOptions::Usage,
        seed: "random_seed",
        ..Dialect::PLAIN
    },
    Dialect {
        structured: Structured::None,
        stream_options: StreamOptions::Omit,
        max_tokens: "max_completion_tokens",
        ..Dialect::PLAIN
    },
];

/// The body of an answer.
///
/// # Panics
/// Where what was read is not read back as it was written, or an unknown field is lost, or a stream
/// of it says something else.
pub fn openai_response(bytes: &[u8]) {
    let answer = match openai::decode_response(bytes) {
        Ok(answer) => answer,
        Err(error) => return check_error(&error),
    };
    let written = openai::encode_response(&answer, 1).to_string();
    assert_eq!(openai::decode_response(written.as_bytes()).as_ref(), Ok(&answer), "{written}");
    let streamed = collected(&again(&answer.clone().into_events()));
    let said = |answer: &Completion| (answer.text(), answer.finish.clone(), answer.usage);
    assert_eq!(said(&streamed), said(&answer), "{written}");
    let places = ["", "/choices/0", "/choices/0/message", "/usage"];
    check_strange(bytes, &places, |bytes| {
        openai::decode_response(bytes).ok().map(|read| openai::encode_response(&read, 1).to_string().into_bytes())
    });
}

/// A provider's error: a line with the status, lines of headers, an empty line, the body.
///
/// # Panics
/// Where it blames the caller for the provider's fault, waits for longer than a day, or keeps more
/// of the provider's words than it should.
pub fn openai_error(bytes: &[u8]) {
    let (status, headers, body) = exchange(bytes);
    let Ok(status) = StatusCode::from_bytes(status) else { return };
    let error = openai::decode_error(status, &headers, body, UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    check_error(&error);
    assert_eq!(error.status, Some(status.as_u16()));
    match error.disposition {
        Disposition::CallersFault => assert!(!status.is_server_error(), "{error:?}"),
        Disposition::RateLimited { retry_after } => {
            assert!(retry_after.is_none_or(|wait| wait <= Duration::from_secs(86_400)), "{error:?}");
        }
        Disposition::Cancelled | Disposition::Abstained => panic!("{error:?}"),
        _ => {}
    }
}

/// The first line, the headers, and what is behind the first empty line.
pub(crate) fn exchange(bytes: &[u8]) -> (&[u8], HeaderMap, &[u8]) {
    let (head, body) = match bytes.windows(2).position(|two| two == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for line in lines.take(50) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (first, headers, body)
}

/// What is kept of a provider's words, or said about a document, has a bound.
fn check_error(error: &WireError) {
    for text in [Some(&error.message), error.code.as_ref(), error.param.as_ref()].into_iter().flatten() {
        assert!(text.chars().count() <= MESSAGE_CHARS_MAX, "{} characters: {error:?}", text.chars().count());
    }
}

/// Puts a field that nobody knows into each of these places that is an object: reading and writing
/// keeps it there.
fn check_strange(bytes: &[u8], places: &[&str], rewrite: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    for place in places {
        let mut document: Value = serde_json::from_slice(bytes).unwrap();
        let Some(Value::Object(fields)) = document.pointer_mut(place) else { continue };
        let strange = json!({"a": [1, {"b": "c"}], "n": 0.5});
        fields.insert(STRANGE.to_owned(), strange.clone());
        let written = rewrite(document.to_string().as_bytes());
        let written = written.unwrap_or_else(|| panic!("a strange field at {place:?} is refused: {document}"));
        let written: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(written.pointer(&format!("{place}/{STRANGE}")), Some(&strange), "lost from {place:?}: {written}");
    }
}
