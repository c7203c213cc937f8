//! Places: never more calls at a model and key than it may have, never more that wait than may, nobody
//! past its deadline; and at the end nobody has a place or waits for one.

use std::collections::BTreeMap;

use baton_core::{AttemptKind, ErrorCode};

use super::{Verdict, View, hold};
use crate::simulate::run::{Ran, started_us};

/// When something begins (`true`) or ends, in microseconds; of one moment the ends first.
type Spans = Vec<(u64, bool)>;

pub(super) fn of_seed(view: &View<'_>) -> Verdict {
    for lane in &view.ran.lanes {
        let (model, left) = (&lane.model, (lane.in_flight, lane.waiting));
        hold!(left == (0, 0), "{model}, key {:?}: {} calls and {} waiters are left over", lane.key, left.0, left.1);
    }
    let places = &view.ran.world.places;
    let mut lanes: BTreeMap<(String, Option<u32>), (Spans, Spans)> = BTreeMap::new();
    for (record, _) in view.records() {
        let begin = started_us(record);
        for attempt in record.attempts.iter().filter(|a| a.model.as_str() != "local") {
            let (calls, waits) = lanes.entry((attempt.model.to_string(), attempt.key)).or_default();
            let start = begin + attempt.start_us;
            if attempt.queued_us > 0 {
                let late = attempt.start_us > record.deadline_us;
                hold!(!late, "{} waited for a place past its deadline", record.execution);
                span(waits, start - attempt.queued_us, start);
            }
            // A probe needs no place: it is to show whether there is anybody.
            if attempt.outcome.was_made() && attempt.kind != AttemptKind::Probe {
                span(calls, start, start + attempt.duration_us);
            }
        }
    }
    for case in &view.cases {
        refused(case)?;
    }
    for ((model, key), (calls, waits)) in &mut lanes {
        // The one that asks a lane that was down, where nobody else may answer, is a probe too.
        let (most, at) = peak(calls);
        let ceiling = u64::from(places.ceiling) + 1;
        hold!(most <= ceiling, "{most} calls were at {model}, key {key:?}, at {}; {ceiling} may", Ran::at(at));
        let (most, at) = peak(waits);
        let bound = places.queue_max as u64;
        hold!(most <= bound, "{most} waited for {model}, key {key:?}, at {}; {bound} may", Ran::at(at));
    }
    Ok(())
}

/// Who is turned away for want of a place asked nobody, and is told when to come back.
fn refused(case: &super::Case<'_>) -> Verdict {
    let Some(error) = &case.record.error else { return Ok(()) };
    if matches!(error.code, ErrorCode::QueueFull | ErrorCode::DeadlineUnreachable) {
        let made = case.record.attempts.iter().filter(|a| a.outcome.was_made()).count();
        hold!(made == 0 && case.exchanges.is_empty(), "{:?}, after a model was asked", error.code);
        hold!(error.retry_after_ms.is_some_and(|ms| ms > 0), "{:?}, without a time to come back", error.code);
    }
    Ok(())
}

fn span(spans: &mut Spans, from: u64, to: u64) {
    if from < to {
        spans.extend([(from, true), (to, false)]);
    }
}

/// The most at a time, and when.
fn peak(spans: &mut Spans) -> (u64, u64) {
    spans.sort_unstable();
    let (mut now, mut most) = (0_u64, (0, 0));
    for (at, begins) in spans {
        now = if *begins { now + 1 } else { now - 1 };
        most = if now > most.0 { (now, *at) } else { most };
    }
    most
}
