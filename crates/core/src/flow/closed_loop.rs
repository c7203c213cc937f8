//! A server with a limit, in simulated time, for the tests of the limiter: callers that always have
//! one more call, a server that answers 429 above its limit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::limiter::{Limiter, Signal};
use crate::Moment;

/// A server that holds so many calls.
#[derive(Clone, Copy)]
pub(super) struct Server {
    pub(super) most: u32,
    pub(super) service_ms: u64,
    pub(super) refusal_ms: u64,
}

/// What came of it.
pub(super) struct Outcome {
    pub(super) served: u64,
    pub(super) refused: u64,
    /// At the end.
    pub(super) limit: u32,
    /// The share of the server that was in use in the second half.
    pub(super) busy: f64,
}

/// Twice the server's limit of callers, over these milliseconds.
pub(super) fn closed_loop(limiter: &mut Limiter, server: Server, time_ms: Range<u64>) -> Outcome {
    let (mut ends, mut now, mut random) = (BinaryHeap::new(), time_ms.start * 1000, 7_u64);
    let half = u64::midpoint(time_ms.start, time_ms.end) * 1000;
    let (mut held, mut served, mut refused, mut busy_us) = (0_u32, 0, 0, 0.0);
    loop {
        while limiter.has_room() && limiter.in_flight() < server.most * 2 {
            limiter.begin(Moment::from_micros(now));
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Half to one and a half times the service time.
            let service = server.service_ms * 1000 * (512 + (random >> 54)) / 1024;
            let taken = held < server.most;
            held += u32::from(taken);
            let ends_at = now + if taken { service } else { server.refusal_ms * 1000 + (random >> 54) };
            ends.push(Reverse((ends_at, now, taken)));
        }
        let Some(Reverse((at, started, taken))) = ends.pop() else { break };
        if at > time_ms.end * 1000 {
            ends.push(Reverse((at, started, taken)));
            break;
        }
        if now > half {
            #[expect(clippy::cast_precision_loss, reason = "microseconds of a test")]
            let span = (at - now) as f64;
            busy_us += f64::from(held) * span;
        }
        now = at;
        held -= u32::from(taken);
        served += u64::from(taken);
        refused += u64::from(!taken);
        let signal = if taken { Signal::Served } else { Signal::Refused };
        limiter.end(Moment::from_micros(now), Moment::from_micros(started), signal);
    }
    // The callers go; what they had in the air is not counted.
    ends.iter().for_each(|_| limiter.end(Moment::from_micros(now), Moment::from_micros(now), Signal::Nothing));
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a test")]
    let possible = f64::from(server.most) * (time_ms.end * 1000 - half) as f64;
    Outcome { served, refused, limit: limiter.limit(), busy: busy_us / possible }
}
