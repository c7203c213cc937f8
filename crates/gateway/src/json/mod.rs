//! Reading JSON that somebody sent: bounded before it is parsed, and errors that say where.

mod place;

#[cfg(test)]
mod tests;

use baton_core::{ErrorCode, Failure, write_json};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use place::{end_of_string, offset, pointer, position};

/// Parses a body. One pass over the bytes bounds it, one parse reads it.
///
/// # Errors
/// `invalid_json` with line and column; `input_invalid` with the JSON pointer where it is JSON, and
/// not what is expected there.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8], depth_max: usize) -> Result<T, Failure> {
    bound(body, depth_max)?;
    serde_json::from_slice(body).map_err(|error| explain(body, &error))
}

/// Bytes that most answers fit into.
const ROOM: usize = 2 << 10;

/// Writes a response's body.
///
/// # Errors
/// `internal`: our types can be written.
pub(crate) fn written(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut json = Vec::with_capacity(ROOM);
    match write_json(&mut json, body) {
        Ok(()) => Ok(json),
        Err(error) => Err(Failure::new(ErrorCode::Internal, format!("the answer could not be written: {error}"))),
    }
}

/// What is wrong with a body that was not parsed, for a reader who has only the bytes.
pub(crate) fn explain(body: &[u8], error: &serde_json::Error) -> Failure {
    if body.trim_ascii().is_empty() {
        return Failure::new(ErrorCode::InvalidJson, "the body is empty: send a JSON object");
    }
    if error.classify() != Category::Data {
        return Failure::new(ErrorCode::InvalidJson, format!("the body is not JSON: {error}"));
    }
    let message = error.to_string();
    let place = pointer(body, offset(body, error.line(), error.column()));
    let place = match message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        Some(field) => format!("{place}/{field}"),
        None => place,
    };
    Failure::new(ErrorCode::InputInvalid, in_words(&message)).at(place)
}

/// What a parser says of Rust's types, in the words of JSON.
fn in_words(message: &str) -> String {
    let Some((found, (kind, place))) = message
        .rsplit_once(", expected ")
        .and_then(|(found, expected)| Some((found, expected.rsplit_once(" at line ")?)))
    else {
        return message.to_owned();
    };
    let kind = match kind {
        "u8" => "a whole number from 0 to 255",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number from 0 on",
        "i64" => "a whole number",
        "f32" | "f64" => "a number",
        "a sequence" => "a list",
        "a map" => "an object",
        kind if kind.starts_with("struct ") => "an object",
        kind => kind,
    };
    format!("{found}, expected {kind} at line {place}")
}

/// Refuses what nests too deep, and integers that would be changed by being read.
///
/// # Errors
/// `invalid_json`, `input_invalid`.
pub(crate) fn bound(body: &[u8], depth_max: usize) -> Result<(), Failure> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = body.get(at) {
        match byte {
            b'"' => at = end_of_string(body, at),
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    let (line, column) = position(body, at);
                    let message =
                        format!("the body nests deeper than {depth_max} levels at line {line} column {column}");
                    return Err(Failure::new(ErrorCode::InvalidJson, message));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'-' | b'0'..=b'9' => {
                let length =
                    body[at..].iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
                let end = at + length.count();
                exact(body, at, end)?;
                at = end - 1;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// An integer over 64 bits would silently become a float.
fn exact(body: &[u8], start: usize, end: usize) -> Result<(), Failure> {
    let token = &body[start..end];
    let Ok(number) = std::str::from_utf8(token) else { return Ok(()) };
    let digits = number.strip_prefix('-').unwrap_or(number);
    let fits = digits.len() < 19 || number.parse::<u64>().is_ok() || number.parse::<i64>().is_ok();
    if fits || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    let message = format!("the integer {number} does not fit 64 bits and would be changed: send it as a string");
    Err(Failure::new(ErrorCode::InputInvalid, message).at(pointer(body, end)))
}
