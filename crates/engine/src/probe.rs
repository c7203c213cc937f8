//! A probe that outlives the execution that sent it: nobody waits for it, and its lane learns
//! whether it is back.

use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::Poll;

use baton_core::{Disposition, LaneId, Moment, Observation};
use baton_wire::StreamEvent;
use tokio::time::{Instant, timeout_at};

use crate::drive::{Arrival, Flying, arrive};
use crate::engine::Engine;
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
        let mut arrived = early;
        let (failed, token) = loop {
            let arrival = match arrived.take() {
                Some(arrival) => Ok(arrival),
                None => timeout_at(self.ends, poll_fn(|cx| arrive(&mut flying, cx))).await,
            };
            match arrival {
                Err(_) => break (Some(Disposition::Slow), false),
                Ok(Arrival::Opened(stream)) => flying = Flying::Streaming(stream),
                Ok(Arrival::Piece(StreamEvent::Delta(_))) => break (Some(Disposition::Cancelled), true),
                Ok(Arrival::Piece(StreamEvent::End { .. }) | Arrival::Whole(_)) => break (None, false),
                Ok(Arrival::Piece(_)) => {}
                Ok(Arrival::Failed(error)) => break (Some(error.disposition), false),
            }
        };
        drop(flying);
        let Some(engine) = self.engine.upgrade() else { return };
        let now = engine.clock.now();
        let elapsed = now - self.began;
        let (stream, first_token) = (self.stream, token.then_some(elapsed));
        let seen = Observation { failed, elapsed, budget: self.until - self.began, stream, first_token, breach: None };
        let mut lanes = engine.lanes();
        if token {
            lanes.progress(self.lane, now, self.began);
        }
        lanes.observe(self.lane, now, &seen);
    }
}

/// What has arrived already.
pub(crate) async fn glance(flying: &mut Flying) -> Option<Arrival> {
    poll_fn(|cx| Poll::Ready(if let Poll::Ready(arrival) = arrive(flying, cx) { Some(arrival) } else { None })).await
}
