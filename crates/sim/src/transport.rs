//! Plays scripts in memory, on tokio's clock: the byte transport of tests and simulations.

use std::time::Duration;

use baton_wire::{BodyStream, HttpRequest, HttpResponse, SendFuture, Transport, TransportError, TransportFault};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::{Instant, sleep_until};

use crate::routes;
use crate::script::{Ending, Opening, Piece, Script};
use crate::sim::{Call, Sim};

/// The simulated models as a [`Transport`]. Waits only with tokio's clock, which may be paused, and spawns
/// nothing. Dropping what it returns cancels the call.
#[derive(Clone, Debug)]
pub struct MemoryTransport {
    sim: Sim,
}

impl MemoryTransport {
    pub(crate) fn new(sim: Sim) -> Self {
        Self { sim }
    }
}

impl Transport for MemoryTransport {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(routes::answer(&self.sim, request))
    }
}

/// Plays a script from now on; resolves with its headers.
pub(crate) async fn play(script: Script, mut call: Call) -> Result<HttpResponse, TransportError> {
    let start = Instant::now();
    match script.opening {
        Opening::Refuse => {
            call.finished();
            Err(TransportError { fault: TransportFault::Connect, message: "simulated: connection refused".to_owned() })
        }
        Opening::Hang => std::future::pending().await,
        Opening::Respond { at, status, headers } => {
            wait(start, at).await;
            let body = Playing { start, body: script.body.into_iter(), ending: script.ending, repeats: 0, call };
            Ok(HttpResponse { status, headers, body: body.into_stream(at) })
        }
    }
}

async fn wait(start: Instant, at: Duration) {
    let due = start + at;
    // What is due is not waited for: a timer would cost it a millisecond.
    if due > Instant::now() {
        sleep_until(due).await;
    }
}

struct Playing {
    start: Instant,
    body: std::vec::IntoIter<Piece>,
    ending: Ending,
    repeats: u32,
    call: Call,
}

type Item = Result<Bytes, TransportError>;

impl Playing {
    /// The body; `began` is when its headers were sent.
    fn into_stream(self, began: Duration) -> BodyStream {
        Box::pin(stream::unfold(Some(self), move |playing| async move { playing?.next(began).await }))
    }

    async fn next(mut self, began: Duration) -> Option<(Item, Option<Self>)> {
        if let Some(piece) = self.body.next() {
            wait(self.start, piece.at).await;
            // A client that has all it needs may leave before the end is announced.
            if self.body.len() == 0 && self.ending == Ending::Finish {
                self.call.finished();
            }
            return Some((Ok(piece.bytes), Some(self)));
        }
        match &self.ending {
            Ending::Finish => {
                self.call.finished();
                None
            }
            Ending::Close => {
                self.call.finished();
                let message = "simulated: the connection closed before the body was complete".to_owned();
                Some((Err(TransportError { fault: TransportFault::Broken, message }), None))
            }
            Ending::Hang => std::future::pending().await,
            Ending::Repeat { every, bytes } => {
                let bytes = bytes.clone();
                self.repeats += 1;
                wait(self.start, began + *every * self.repeats).await;
                Some((Ok(bytes), Some(self)))
            }
        }
    }
}
