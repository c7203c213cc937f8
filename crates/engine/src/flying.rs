//! An attempt in the air: a request that was sent, and what arrives of its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use baton_core::Disposition;
use baton_provider::{Besides, Provider, Reply, ReplyStream};
use baton_wire::{ChatRequest, StreamEvent, WireError};
use futures_util::StreamExt as _;

type Opening<T> = Pin<Box<dyn Future<Output = Result<T, WireError>> + Send>>;

/// How far an attempt is.
pub(crate) enum Flying {
    Unary(Opening<Reply>),
    Opening(Opening<ReplyStream>),
    Streaming(ReplyStream),
    /// Nothing; what `local` says is known at once.
    Landed,
}

/// What arrived.
pub(crate) enum Arrival {
    Opened(ReplyStream),
    Piece(StreamEvent),
    Whole(Reply),
    Failed(WireError),
}

/// Sends a request.
pub(crate) fn fly(provider: &Arc<Provider>, chat: Arc<ChatRequest>, besides: Besides) -> Flying {
    let provider = Arc::clone(provider);
    if chat.stream {
        Flying::Opening(Box::pin(async move { provider.stream_with(&chat, besides).await }))
    } else {
        Flying::Unary(Box::pin(async move { provider.complete_with(&chat, besides).await }))
    }
}

/// What has arrived. What it awaits stays in `flying`.
pub(crate) fn arrive(flying: &mut Flying, cx: &mut Context<'_>) -> Poll<Arrival> {
    match flying {
        Flying::Landed => Poll::Pending,
        Flying::Unary(reply) => reply.as_mut().poll(cx).map(|r| r.map_or_else(Arrival::Failed, Arrival::Whole)),
        Flying::Opening(stream) => stream.as_mut().poll(cx).map(|r| r.map_or_else(Arrival::Failed, Arrival::Opened)),
        Flying::Streaming(stream) => stream.events.poll_next_unpin(cx).map(|next| match next {
            Some(Ok(event)) => Arrival::Piece(event),
            Some(Err(error)) => Arrival::Failed(error),
            None => Arrival::Failed(WireError::new(
                Disposition::Transient,
                "the stream ended before its answer was complete",
            )),
        }),
    }
}
