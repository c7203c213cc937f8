//! OpenAI's chat completions, as most of the field speaks them: both the client's side (encode a
//! request, decode an answer) and the server's (decode a request, encode an answer).
//!
//! **Unknown fields** are kept in `extra`, nested as they came: what is left of the document when
//! the canonical fields are taken out. So `response_format.json_schema.strict` is found at
//! `extra["response_format"]["json_schema"]["strict"]`, and a tool call's signature at
//! `extra["tool_calls"][i]` of its message. Encoding puts them back. `null` counts as absent, and
//! where `extra` has a field that the canonical form has too, the canonical one is written.
//!
//! **Names that differ by vendor** are one canonical field: `max_tokens` and
//! `max_completion_tokens`; `reasoning_content` and `reasoning` (written as the former). How a
//! vendor wants them is its [`Dialect`].

mod batch;
mod embedding;
mod error;
mod fields;
mod message;
mod plain;
mod request;
mod response;
mod stream;
mod tree;
mod usage;
mod write;

pub use batch::{
    Batch, BatchCounts, BatchLine, BatchStatus, decode_batch, decode_batch_line, decode_batches, decode_file,
    encode_batch, encode_batch_line,
};
pub use embedding::{decode_embedding_response, encode_embedding_request};
pub use error::{decode_error, encode_error};
pub use request::{decode_request, include_usage, take_params};
pub use response::{decode_known, decode_response, encode_response, write_response};
pub use stream::decode::{StreamDecoder, decode_stream};
pub use stream::encode::StreamEncoder;
pub use write::{encode_request, encode_request_for};

/// What vendors of "the same" format do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// The name of the limit on tokens written: `max_tokens` or `max_completion_tokens`.
    pub max_tokens: &'static str,
    /// The name of the seed: `seed` or `random_seed`.
    pub seed: &'static str,
    /// How far `response_format` goes.
    pub structured: Structured,
    /// What is said about `stream_options`.
    pub stream_options: StreamOptions,
}

/// How far a vendor's `response_format` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Structured {
    /// `json_schema`.
    Schema,
    /// `json_object` only: a schema is asked for as that. The prompt has to say the schema, and the
    /// answer is checked against it like any other.
    Object,
    /// Nothing: it is left out.
    None,
}

/// What is said about `stream_options` in a streamed request. It is left out of any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOptions {
    /// What `extra` says.
    AsGiven,
    /// Usage is asked for, besides what `extra` says.
    Usage,
    /// Nothing: the vendor refuses the field, and reports usage unasked.
    Omit,
}

impl Dialect {
    /// The form itself, without any vendor's needs.
    pub const PLAIN: Self = Self {
        max_tokens: "max_tokens",
        seed: "seed",
        structured: Structured::Schema,
        stream_options: StreamOptions::AsGiven,
    };
}
