//! Embeddings: one text out, one vector in.

use baton_core::Usage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::WireError;

/// The most numbers of a vector; the largest of vendors have 4,096.
const DIMENSIONS_MAX: usize = 16_384;

#[derive(Serialize)]
struct Asked<'a> {
    model: &'a str,
    input: [&'a str; 1],
    encoding_format: &'static str,
}

#[derive(Deserialize)]
struct Answered {
    data: Vec<Vector>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Vector {
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Tokens {
    prompt_tokens: u64,
}

/// The body of `POST /embeddings` for one text.
#[must_use]
pub fn encode_embedding_request(model: &str, text: &str) -> Bytes {
    let asked = Asked { model, input: [text], encoding_format: "float" };
    serde_json::to_vec(&asked).unwrap_or_default().into()
}

/// The vector of the one text, scaled to unit length, and its tokens where they are told.
///
/// # Errors
/// No JSON of this form, not one vector, or one without a direction.
pub fn decode_embedding_response(body: &[u8]) -> Result<(Vec<f32>, Option<Usage>), WireError> {
    let answered: Answered =
        serde_json::from_slice(body).map_err(|e| WireError::bad_answer(format!("no embedding: {e}")))?;
    let [Vector { embedding: mut vector }] = <[Vector; 1]>::try_from(answered.data)
        .map_err(|all| WireError::bad_answer(format!("{} embeddings of one text", all.len())))?;
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if vector.len() > DIMENSIONS_MAX || !length.is_finite() || length == 0.0 {
        return Err(WireError::bad_answer(format!("an embedding of {} numbers and length {length}", vector.len())));
    }
    #[expect(clippy::cast_possible_truncation, reason = "a share of a length is at most 1")]
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    let usage = answered.usage.map(|tokens| Usage { input_tokens: tokens.prompt_tokens, ..Usage::default() });
    Ok((vector, usage))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_out_and_a_unit_vector_in() {
        let sent = encode_embedding_request("m", "a \"b\"");
        assert_eq!(sent, r#"{"model":"m","input":["a \"b\""],"encoding_format":"float"}"#);
        let (vector, usage) = decode_embedding_response(
            br#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[3,-4]}],"model":"m",
                "usage":{"prompt_tokens":5,"total_tokens":5}}"#,
        )
        .unwrap();
        assert_eq!((vector, usage.unwrap().input_tokens), (vec![0.6, -0.8], 5));
    }

    #[test]
    fn what_is_no_vector_is_an_error() {
        for body in [
            "",
            "{}",
            r#"{"data":[]}"#,
            r#"{"data":[{"embedding":[]}]}"#,
            r#"{"data":[{"embedding":[0,0]}]}"#,
            r#"{"data":[{"embedding":[1]},{"embedding":[1]}]}"#,
            r#"{"data":[{"embedding":[1e300]}]}"#,
        ] {
            assert!(decode_embedding_response(body.as_bytes()).is_err(), "{body}");
        }
    }
}
