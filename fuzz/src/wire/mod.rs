//! Wire formats: no bytes panic, what is written is read back, nothing unknown is lost, and no cut
//! answer is whole.

mod documents;
mod streams;

pub(crate) use documents::exchange;
pub use documents::{openai_error, openai_request, openai_response};
pub use streams::{openai_stream, sse};
