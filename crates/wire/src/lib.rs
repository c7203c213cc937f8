//! Wire formats: what providers speak, to and from one canonical form.
//!
//! Everything converts through [`ChatRequest`], [`Completion`] and [`StreamEvent`] (N + M, not
//! N × M), and no unknown field is lost. Bytes move through the [`Transport`] trait, so that real
//! sockets and the simulator run the same codecs. Each failure is a [`WireError`] that knows its
//! disposition.

mod canonical;
mod collect;
mod error;
pub mod openai;
mod sse;
mod transport;

pub use canonical::{
    Block, ChatRequest, Completion, Delta, FinishReason, Message, Params, ResponseFormat, Role, StreamEvent, Tool,
};
pub use collect::Collector;
pub use error::{MESSAGE_CHARS_MAX, WireError};
pub use sse::{EVENT_BYTES_MAX, EventStream, STREAM_BYTES_MAX};
pub use transport::{BodyStream, HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
