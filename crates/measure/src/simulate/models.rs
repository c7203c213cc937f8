//! Random simulated models: latencies, speeds, lies, errors, every kind of fault, phases.

use std::time::Duration;

use baton_sim::{Behaviour, Fault, FaultShare, InBatch, Latency, Phase, RetryAfter, Share, Speed, StatusShare};

use crate::simulate::dice::Dice;

/// The longest that traffic is expected to last: where phases may lie.
const SPAN_MS: u64 = 90_000;

/// A model that may be good, bad or worse.
pub(crate) fn behaviour(dice: &mut Dice) -> Behaviour {
    // Some are well, most fail now and then, some fail most of the time.
    let trouble = *dice.pick(&[0.0, 0.1, 0.1, 0.3, 0.3, 0.8]);
    let (errors, faults) = trouble_of(dice, trouble);
    Behaviour {
        several: InBatch::default(),
        first_token_ms: latency(dice),
        tokens_per_second: speed(dice),
        wrong: share(*dice.pick(&[0.0, 0.1, 0.5]) * dice.uniform()),
        errors,
        faults,
        concurrency: dice.chance(0.15).then(|| dice.between(1, 6) as u32),
        phases: (0..dice.between(0, 3)).map(|_| phase(dice)).collect(),
        ..Behaviour::default()
    }
}

fn latency(dice: &mut Dice) -> Latency {
    match dice.between(0, 3) {
        0 => Latency::Fixed { ms: 0.0 },
        1 => Latency::Fixed { ms: dice.magnitude(1, 800) as f64 },
        _ => {
            let p50_ms = dice.magnitude(5, 600) as f64;
            Latency::Lognormal { p50_ms, p99_ms: p50_ms * (1.0 + 9.0 * dice.uniform()) }
        }
    }
}

fn speed(dice: &mut Dice) -> Option<Speed> {
    if dice.chance(0.3) {
        return None;
    }
    Speed::new(dice.magnitude(15, 800) as f64).ok()
}

/// Errors and faults that together befall this share of calls.
fn trouble_of(dice: &mut Dice, trouble: f64) -> (Vec<StatusShare>, Vec<FaultShare>) {
    if trouble == 0.0 {
        return (Vec::new(), Vec::new());
    }
    let count = dice.between(1, 8) as usize;
    let each = share(trouble / count as f64);
    let statuses = dice.between(0, count as u64) as usize;
    let errors = (0..statuses).map(|_| status(dice, each)).collect();
    let kinds = faults(dice);
    let faults = dice.some(&kinds, count - statuses);
    (errors, faults.into_iter().map(|fault| FaultShare { share: each, fault }).collect())
}

fn status(dice: &mut Dice, share: Share) -> StatusShare {
    let status = *dice.pick(&[400, 403, 408, 413, 422, 429, 429, 429, 500, 502, 503, 503, 529]);
    let retry_after = matches!(status, 429 | 503 | 529).then(|| {
        let seconds = dice.between(1, 4);
        if dice.chance(0.8) { RetryAfter::Seconds(seconds) } else { RetryAfter::Date(seconds) }
    });
    let retry_after = retry_after.filter(|_| dice.chance(0.8));
    let body = match dice.between(0, 9) {
        0 => Some(String::new()),
        1 => Some("<html><body>upstream error</body></html>".to_owned()),
        _ => None,
    };
    StatusShare { share, status, retry_after, body }
}

/// One of each kind.
fn faults(dice: &mut Dice) -> Vec<Fault> {
    let after_tokens = dice.between(0, 6) as usize;
    let every = Duration::from_millis(dice.magnitude(1, 400));
    let bytes = dice.magnitude(1000, 3_000_000) as usize;
    vec![
        Fault::Refuse,
        Fault::Hang,
        Fault::HeadersThenSilence,
        Fault::Trickle { every },
        Fault::Status { status: 500, retry_after: None, body: None },
        Fault::ModelGone,
        Fault::Unauthorized,
        Fault::Payment,
        Fault::ErrorBody200,
        Fault::Html200,
        Fault::InvalidJson,
        Fault::TruncatedJson,
        Fault::CutBody,
        Fault::ErrorEvent { after_tokens },
        Fault::CutStream { after_tokens },
        Fault::NoTerminal,
        Fault::NoUsage,
        Fault::MalformedChunk { after_tokens },
        Fault::HugeChunk { bytes },
        Fault::SplitUtf8,
        Fault::KeepaliveForever { every },
        Fault::Stall { after_tokens, every: None },
        Fault::Stall { after_tokens, every: Some(every) },
        Fault::Length,
        Fault::Empty,
        Fault::Refusal,
        Fault::WrongSchema,
        Fault::Invented,
        Fault::Fenced,
        Fault::DuplicateToolCalls,
    ]
}

/// A stretch of time or calls in which something else holds: often an outage.
fn phase(dice: &mut Dice) -> Phase {
    let mut phase = Phase::default();
    if dice.chance(0.5) {
        let from = dice.between(0, SPAN_MS);
        (phase.from_ms, phase.to_ms) = (Some(from), Some(from + dice.magnitude(500, 40_000)));
    } else {
        let from = dice.between(0, 100);
        (phase.from_call, phase.to_call) = (Some(from), Some(from + dice.between(5, 60)));
    }
    let whole = share(1.0);
    match dice.between(0, 5) {
        0 => phase.errors = Some(vec![status(dice, whole)]),
        1 | 2 => {
            let faults = faults(dice);
            phase.errors = Some(Vec::new());
            phase.faults = Some(vec![FaultShare { share: whole, fault: dice.pick(&faults).clone() }]);
        }
        3 => phase.wrong = Some(whole),
        4 => phase.first_token_ms = Some(Latency::Fixed { ms: dice.magnitude(500, 10_000) as f64 }),
        _ => {
            let (errors, faults) = trouble_of(dice, 0.6);
            (phase.errors, phase.faults) = (Some(errors), Some(faults));
        }
    }
    phase
}

fn share(share: f64) -> Share {
    Share::new(share.clamp(0.0, 1.0)).unwrap_or_default()
}
