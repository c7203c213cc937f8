//! Span in source: does what an extraction states stand in the input?
//!
//! Numbers (dates, sums, identifiers of digits) must stand there literally. Text is compared word by
//! word, so that line breaks, punctuation, case and single misread letters of OCR don't count, and
//! invented words do.

pub(crate) mod ground;
mod number;
mod source;
mod words;

use serde_json::Value;

pub(crate) use source::{NotFound, Source};

use number::numeric;
use words::words;

/// The longest value that is looked for, in words.
const VALUE_WORDS_MAX: usize = 512;

/// Whether every leaf of a value stands in the source. `null` and empty text state nothing.
///
/// # Errors
/// The first leaf that does not, and why.
pub(crate) fn find<'v>(source: &Source, value: &'v Value) -> Result<(), (&'v Value, NotFound)> {
    match value {
        Value::Null => Ok(()),
        Value::Bool(_) => Err((value, NotFound::Bool)),
        Value::Number(number) if source.has_number(number) => Ok(()),
        Value::Number(_) => Err((value, NotFound::Literal)),
        Value::String(text) => find_text(source, text).map_err(|why| (value, why)),
        Value::Array(items) => items.iter().try_for_each(|item| find(source, item)),
        Value::Object(fields) => fields.values().try_for_each(|field| find(source, field)),
    }
}

fn find_text(source: &Source, text: &str) -> Result<(), NotFound> {
    if let Some(numeric) = numeric(text) {
        return if source.has_literals(&numeric) { Ok(()) } else { Err(NotFound::Literal) };
    }
    let value = words(text);
    match value.len() {
        0 if source.contains(text.trim()) => Ok(()),
        0 => Err(NotFound::Literal),
        1..=VALUE_WORDS_MAX => source.has_words(&value),
        _ => Err(NotFound::TooLong),
    }
}
