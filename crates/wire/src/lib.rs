//! Wire formats: what providers speak, to and from one canonical form.
//!
//! Everything converts through [`ChatRequest`], [`Completion`] and [`StreamEvent`] (N + M, not
//! N × M), and no unknown field is lost. Bytes move through the [`Transport`] trait, so that real
//! sockets and the simulator run the same codecs.

mod canonical;
mod error;
pub mod openai;
mod transport;

pub use canonical::{
    Block, ChatRequest, Completion, Delta, FinishReason, Message, Params, ResponseFormat, Role, StreamEvent, Tool,
};
pub use error::{WireError, decode_error};
pub use transport::{BodyStream, HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
