//! Finds the JSON object of an answer, in a code fence or in prose.

use serde_json::Value;

use super::read::{NotJson, Reader};
use super::{BYTES_MAX, Repairs};
use crate::shape::Shape;

/// So many opening brackets are tried.
const STARTS_MAX: usize = 32;

/// The object that the text states: the last that `fits`, since a model may draft before it
/// answers; else the last. `may_close` says whether the text is whole, so that open brackets at its
/// end may be closed.
///
/// # Errors
/// Why there is none, in words.
pub(crate) fn extract(
    text: &str,
    shape: Option<&Shape>,
    may_close: bool,
    fits: impl Fn(&Value) -> bool,
) -> Result<(Value, Repairs), String> {
    if text.len() > BYTES_MAX {
        return Err(format!("the answer has {} bytes; at most {BYTES_MAX} are read", text.len()));
    }
    let (mut found, first_error) = read_all(text, shape, may_close);
    let last_that_fits = if found.len() > 1 { found.iter().rposition(|(value, _)| fits(value)) } else { None };
    let chosen = last_that_fits.or(found.len().checked_sub(1));
    match (chosen, first_error) {
        (Some(chosen), _) => Ok(found.swap_remove(chosen)),
        (None, Some(error)) => Err(describe(text, &error)),
        (None, None) => Err("there is no JSON object in the answer".into()),
    }
}

/// All objects that a text has, in its order; a list that has objects and then those.
pub(crate) fn objects_in(text: &str) -> Vec<Value> {
    if text.len() > BYTES_MAX {
        return Vec::new();
    }
    let (found, _) = read_all(text, None, true);
    let mut objects = Vec::new();
    for (value, _) in found {
        let items = value.as_array().map(|items| items.iter().filter(|item| item.is_object()).cloned().collect());
        objects.push(value);
        objects.extend::<Vec<Value>>(items.unwrap_or_default());
    }
    objects
}

/// All values that are or have objects, each with its repairs; and why the first that is none is not.
fn read_all(text: &str, shape: Option<&Shape>, may_close: bool) -> (Vec<(Value, Repairs)>, Option<NotJson>) {
    let mut found: Vec<(Value, Repairs)> = Vec::new();
    let mut first_error: Option<NotJson> = None;
    let mut from = 0;
    for _ in 0..STARTS_MAX {
        let Some(start) = text[from..].find(['{', '[']).map(|offset| from + offset) else { break };
        let mut reader = Reader::new(text, start, may_close);
        match reader.value(shape) {
            Ok(value) => {
                from = reader.position();
                // `[1]` is a footnote; `[{…}]` is an answer, though not an object.
                if value.is_object() || reader.is_object {
                    found.push((value, around(text, start, from, reader.repairs)));
                }
            }
            Err(error) => {
                first_error.get_or_insert(error);
                // A part of a broken object is not the answer.
                from = if reader.is_object { balanced_end(text, start) } else { start + 1 };
            }
        }
    }
    (found, first_error)
}

/// Where the bracket opened at `start` is closed, brackets in quoted text not counted; else the end.
fn balanced_end(text: &str, start: usize) -> usize {
    let (mut open, mut quoted, mut escaped) = (0, false, false);
    for (offset, byte) in text[start..].bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => open += 1,
            b'}' | b']' if !quoted => open -= 1,
            _ => {}
        }
        if open == 0 {
            return start + offset + 1;
        }
    }
    text.len()
}

/// Marks what stood around the object, before the repairs inside of it.
fn around(text: &str, start: usize, end: usize, inner: Repairs) -> Repairs {
    let (before, after) = (text[..start].trim(), text[end..].trim());
    let fence = before.rsplit('\n').next().unwrap_or_default().trim_start();
    let mut repairs = Repairs::default();
    let fenced = fence.starts_with("```");
    if fenced {
        repairs.mark("fenced");
    }
    let prose =
        if fenced { before != fence || !matches!(after, "" | "```") } else { !before.is_empty() || !after.is_empty() };
    if prose {
        repairs.mark("prose");
    }
    inner.0.into_iter().for_each(|kind| repairs.mark(kind));
    repairs
}

fn describe(text: &str, error: &NotJson) -> String {
    let mut at = error.at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at].rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("not JSON at line {line}, column {column}: {}", error.why)
}
