//! OpenAI chat completions, both sides: to and from the canonical form.

mod request;
mod response;
mod stream;

pub use request::{decode_request, encode_request};
pub use response::{decode_response, encode_response};
pub use stream::{StreamEncoder, decode_stream};
