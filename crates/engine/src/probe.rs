//! A probe that outlives the execution that sent it: nobody waits for it, and its lane learns
//! whether it is back.

use std::future::poll_fn;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::task::Poll;

use baton_core::{Disposition, LaneId, Moment, Observation};
use baton_wire::{StreamEvent, WireError};
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout_at};

use crate::engine::Engine;
use crate::flying::{Arrival, Flying, arrive};
use crate::live::Live;

/// See the module. It keeps no engine alive.
pub(crate) struct Probe {
    engine: Weak<Engine>,
    /// For as long as it is kept, the lane is nobody else's.
    _live: Arc<Live>,
    lane: LaneId,
    began: Moment,
    until: Moment,
    ends: Instant,
    stream: bool,
}

impl Probe {
    pub(crate) fn new(
        engine: &Arc<Engine>,
        live: &Arc<Live>,
        lane: LaneId,
        (began, until): (Moment, Moment),
        stream: bool,
    ) -> Self {
        let _live = Arc::clone(live);
        Self { engine: Arc::downgrade(engine), _live, lane, began, until, ends: engine.clock.instant(until), stream }
    }

    /// Waits for its end, or its first token, and tells the lane.
    pub(crate) async fn finish(self, mut flying: Flying, early: Option<Arrival>) {
        // Whatever happens, its place is given back.
        let watched = AssertUnwindSafe(self.watch(&mut flying, early)).catch_unwind().await;
        let (failed, token) = watched.unwrap_or((Some(Disposition::Cancelled), false));
        drop(flying);
        let Some(engine) = self.engine.upgrade() else { return };
        let now = engine.clock.now();
        let elapsed = now - self.began;
        let (stream, first_token) = (self.stream, token.then_some(elapsed));
        let seen = Observation {
            failed,
            elapsed,
            budget: self.until - self.began,
            stream,
            first_token,
            breach: None,
            call: None,
        };
        engine.change(|lanes| {
            if token {
                lanes.progress(self.lane, now, self.began);
            }
            lanes.observe(self.lane, now, &seen);
        });
    }

    /// How it ended, and whether that was with its first token.
    async fn watch(&self, flying: &mut Flying, early: Option<Arrival>) -> (Option<Disposition>, bool) {
        let mut arrived = early;
        loop {
            let arrival = match arrived.take() {
                Some(arrival) => Ok(arrival),
                None => timeout_at(self.ends, poll_fn(|cx| arrive(flying, cx))).await,
            };
            match arrival {
                Err(_) => return (Some(Disposition::Slow), false),
                Ok(Arrival::Opened(stream)) => *flying = Flying::Streaming(stream),
                Ok(Arrival::Piece(StreamEvent::Delta(_))) => return (Some(Disposition::Cancelled), true),
                Ok(Arrival::Piece(StreamEvent::End { .. }) | Arrival::Whole(_)) => return (None, false),
                Ok(Arrival::Piece(_)) => {}
                Ok(Arrival::Failed(error)) => return (Some(error.disposition), false),
            }
        }
    }
}

/// As [`glance`]; a fault of ours is the attempt's end, as it would be later.
pub(crate) async fn sent(flying: &mut Flying) -> Option<Arrival> {
    let fault = || WireError::new(Disposition::Cancelled, "a fault of Baton's own ended it");
    let glanced = AssertUnwindSafe(glance(flying)).catch_unwind().await;
    glanced.unwrap_or_else(|_| Some(Arrival::Failed(fault())))
}

/// What has arrived already.
pub(crate) async fn glance(flying: &mut Flying) -> Option<Arrival> {
    poll_fn(|cx| Poll::Ready(if let Poll::Ready(arrival) = arrive(flying, cx) { Some(arrival) } else { None })).await
}
