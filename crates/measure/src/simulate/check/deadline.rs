//! Deadline: no execution ends after it, exactly. All calls arrive on a whole millisecond, and tokio's
//! timers fire on whole milliseconds, so that nothing has to be allowed for its granularity.

use baton_core::{ErrorCode, Status, StreamLimits};
use baton_engine::LogEvent;

use super::{Case, Verdict, View, hold};
use crate::simulate::run::{Ran, ended_us};

/// A call that is refused is recorded for at most so long.
const REFUSED_US: u64 = 1_000_000;

pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    limit(case)?;
    let record = case.record;
    let limit_us = if record.deadline_us > 0 {
        case.deadline_us()
    } else {
        // Refused before its limits were known: what it asked for holds all the same.
        let asked = case.seen.ask.config.max_latency_ms.filter(|ms| *ms > 0).unwrap_or(u64::MAX / 2000);
        case.arrived_us() + REFUSED_US.min(asked * 1000)
    };
    if case.released() {
        let end = total_us(case).max(record.deadline_us);
        hold!(record.duration_us <= end, "the stream ran for {}", Ran::at(record.duration_us));
        let first = case.seen.events.first();
        let unread = case.seen.ask.reads_ms > 0;
        let in_time = first.is_none_or(|(at, _)| *at <= limit_us) || unread;
        hold!(in_time, "the stream began after its deadline of {}", Ran::at(limit_us));
    } else {
        hold!(ended_us(record) <= limit_us, "it ended at {}, {}", Ran::at(ended_us(record)), due(limit_us));
        if case.seen.ask.reads_ms == 0 {
            let late = case.seen.events.iter().find(|(at, _)| *at > limit_us);
            hold!(
                late.is_none(),
                "the client was told at {}, {}",
                late.map(|(at, _)| Ran::at(*at)).unwrap_or_default(),
                due(limit_us)
            );
        }
    }
    departed(view, case)
}

fn due(limit_us: u64) -> String {
    format!("its deadline was {}", Ran::at(limit_us))
}

/// The deadline is the one that the call asked for, or its intent's.
fn limit(case: &Case<'_>) -> Verdict {
    let Some(plan) = case.plan.filter(|_| case.record.deadline_us > 0) else { return Ok(()) };
    let default = plan.ceilings.latency_default.min(plan.ceilings.latency).as_micros() as u64;
    let mut expected = case.seen.ask.config.max_latency_ms.map_or(default, |ms| ms * 1000);
    if case.seen.ask.stream {
        expected = expected.min(total_us(case));
    }
    hold!(case.record.deadline_us == expected, "its deadline is {} µs instead of {expected}", case.record.deadline_us);
    Ok(())
}

/// From its start, a stream that was begun must have ended by then.
fn total_us(case: &Case<'_>) -> u64 {
    case.plan.map_or(StreamLimits::default(), |plan| plan.stream).total.as_micros() as u64
}

/// A client that leaves ends its execution at once, unless somebody else reads it.
fn departed(view: &View<'_>, case: &Case<'_>) -> Verdict {
    let (record, end) = (case.record, ended_us(case.record));
    let Some(left_us) = case.seen.left_us else {
        hold!(record.status != Status::Cancelled, "it was cancelled, and its client waits");
        let gone = case.seen.events.iter().any(|(_, event)| {
            matches!(event, LogEvent::Error(f) if f.code == ErrorCode::StreamInterrupted && f.message.contains("client left"))
        });
        hold!(!gone, "its client waits, and is told that it left");
        return Ok(());
    };
    if end <= left_us {
        return Ok(());
    }
    // It went on: then somebody followed it, within the same scope.
    let followed = view.cases.iter().any(|other| {
        other.seen.id != case.seen.id
            && other.record.intent == record.intent
            && other.record.team == record.team
            && other.record.partition == record.partition
            && other.arrived_us() <= left_us
            && ended_us(other.record) > left_us
    });
    hold!(followed, "its client left at {}, nobody followed it, and it ended at {}", Ran::at(left_us), Ran::at(end));
    Ok(())
}
