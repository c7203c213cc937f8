//! Server-sent events out of a body, with bounds that the parser itself does not have.
//!
//! The parser drops an event that the end of the body cuts off. Here the end of the body ends the
//! event too, so that a decoder sees what was cut off and can say that the stream is broken.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use sse_stream::{Sse, SseByteStream};

use crate::{BodyStream, StreamEvent, TransportError, WireError};

/// The most bytes of one event, comments before it included.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// The most bytes of one stream: an answer of 128,000 tokens at 500 bytes a chunk.
pub const STREAM_BYTES_MAX: usize = 64 << 20;
/// What the parser is fed at a time; an event may pass its bound by this much.
const PIECE_BYTES: usize = 16 << 10;

/// An answer as it arrives. An error is the last item; without one, `End` is.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<StreamEvent, WireError>> + Send>>;

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Transport(TransportError),
    #[error("an event of the stream is longer than {EVENT_BYTES_MAX} bytes")]
    EventTooLong,
    #[error("the stream is longer than {STREAM_BYTES_MAX} bytes")]
    StreamTooLong,
}

/// The body in small pieces, counted, with an empty line after its end.
struct Bounded {
    body: BodyStream,
    piece: Bytes,
    since_event: Arc<AtomicUsize>,
    total: usize,
    ended: bool,
}

impl Stream for Bounded {
    type Item = Result<Bytes, Fault>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while self.piece.is_empty() {
            if self.ended {
                return Poll::Ready(None);
            }
            match ready!(self.body.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => self.piece = bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(Fault::Transport(error)))),
                None => {
                    self.ended = true;
                    return Poll::Ready(Some(Ok(Bytes::from_static(b"\n\n"))));
                }
            }
        }
        let size = self.piece.len().min(PIECE_BYTES);
        self.total += size;
        if self.total > STREAM_BYTES_MAX {
            return Poll::Ready(Some(Err(Fault::StreamTooLong)));
        }
        if self.since_event.fetch_add(size, Ordering::Relaxed) + size > EVENT_BYTES_MAX {
            return Poll::Ready(Some(Err(Fault::EventTooLong)));
        }
        Poll::Ready(Some(Ok(self.piece.split_to(size))))
    }
}

/// The events of a body. After an error it ends.
pub(crate) struct Events {
    parser: SseByteStream<Bounded>,
    since_event: Arc<AtomicUsize>,
}

impl Events {
    pub(crate) fn new(body: BodyStream) -> Self {
        let since_event = Arc::new(AtomicUsize::new(0));
        let bounded =
            Bounded { body, piece: Bytes::new(), since_event: Arc::clone(&since_event), total: 0, ended: false };
        Self { parser: SseByteStream::new(bounded), since_event }
    }
}

impl Stream for Events {
    type Item = Result<Sse, WireError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.parser).poll_next(cx));
        self.since_event.store(0, Ordering::Relaxed);
        Poll::Ready(item.map(|event| event.map_err(broken)))
    }
}

fn broken(error: sse_stream::Error) -> WireError {
    let sse_stream::Error::Body(source) = &error else {
        return WireError::broken(format!("the stream is broken: {error}"));
    };
    match source.downcast_ref::<Fault>() {
        Some(fault @ (Fault::EventTooLong | Fault::StreamTooLong)) => WireError::bad_answer(fault.to_string()),
        _ => WireError::broken(source.to_string()),
    }
}
