//! What attempts are made, and what they teach. A caller's fault is never retried and never counted;
//! an open breaker lets nothing through and costs no wait; an attempt is one exchange, priced as its
//! provider says.

use std::collections::BTreeMap;

use baton_core::{AttemptKind, AttemptOutcome, AttemptRecord, ErrorCode, Via};

use super::{Case, Verdict, View, hold, oracle};
use crate::simulate::run::{Ran, started_us};
use crate::simulate::tap::{End, Exchange};

/// Failures in a row that open a breaker, and for how long at least, as ARCHITECTURE.md says.
const FAILURES_MAX: u32 = 5;
const PERIOD_US: u64 = 5_000_000;
/// The longest that a breaker stays open, and a probe keeps its slot.
const PERIOD_MAX_US: u64 = 60_000_000;
/// An attempt that ran out of less time than this is not counted.
const SLOW_US: u64 = 1_000_000;

pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    let record = case.record;
    let fault = record.attempts.iter().position(|a| a.outcome == AttemptOutcome::CallersFault);
    if let Some(place) = fault {
        hold!(place + 1 == record.attempts.len(), "a caller's fault was tried again");
        let code = record.error.as_ref().map(|error| error.code);
        let right = [Some(ErrorCode::UpstreamRejected), Some(ErrorCode::StreamInterrupted)].contains(&code);
        hold!(right && record.via.is_none(), "a caller's fault was answered with {code:?}, via {:?}", record.via);
    }
    in_order(case)?;
    exchanged(case)?;
    for attempt in record.attempts.iter().filter(|attempt| attempt.outcome.was_made()) {
        priced(view, attempt)?;
    }
    no_wait(case)
}

/// Fallbacks follow the order of the candidates, each once; a retry asks the same again.
fn in_order(case: &Case<'_>) -> Verdict {
    let Some(plan) = case.plan else { return Ok(()) };
    let attempts = &case.record.attempts;
    let mut asked: Vec<&str> = Vec::new();
    for (n, attempt) in attempts.iter().enumerate() {
        let model = attempt.model.as_str();
        match attempt.kind {
            AttemptKind::Retry => {
                let same = n.checked_sub(1).map(|before| &attempts[before]);
                let failed = same.is_some_and(|before| {
                    before.model == attempt.model
                        && matches!(before.outcome, AttemptOutcome::Transient | AttemptOutcome::RateLimited)
                });
                hold!(failed, "{model} was tried again without a reason");
            }
            AttemptKind::Primary => hold!(n == 0, "the primary is number {n}"),
            AttemptKind::Fallback => hold!(n > 0, "the first attempt is a fallback"),
        }
        if attempt.kind != AttemptKind::Retry {
            hold!(!asked.contains(&model), "{model} was chosen twice");
            asked.push(model);
        }
    }
    let config = &case.seen.ask.config;
    if config.models.is_none() && config.primary_model.is_none() && config.fallback_model.is_none() {
        let order: Vec<&str> = plan.candidates.iter().map(|c| c.id.as_str()).collect();
        hold!(asked[..] == order[..asked.len()], "asked {asked:?}, in the order {order:?}");
    }
    Ok(())
}

/// The attempts that asked a model, each with its exchange.
fn pairs<'a>(case: &Case<'a>) -> Result<Vec<(&'a AttemptRecord, &'a Exchange)>, String> {
    let mut exchanges = case.exchanges.iter().peekable();
    let mut pairs = Vec::new();
    for attempt in case.record.attempts.iter().filter(|a| a.outcome.was_made() && a.model.as_str() != "local") {
        // Left before it was sent.
        let unsent = attempt.outcome == AttemptOutcome::Cancelled && attempt.duration_us == 0;
        let from = started_us(case.record) + attempt.start_us;
        if unsent && exchanges.peek().is_none_or(|exchange| exchange.began_us != from) {
            continue;
        }
        let Some(exchange) = exchanges.next() else { return Err(format!("{} was never asked", attempt.model)) };
        pairs.push((attempt, exchange));
    }
    hold!(exchanges.next().is_none(), "a model was asked without an attempt");
    Ok(pairs)
}

/// An exchange is of its attempt's model, and begins and ends with it.
fn exchanged(case: &Case<'_>) -> Verdict {
    for (attempt, exchange) in pairs(case)? {
        let from = started_us(case.record) + attempt.start_us;
        let to = from + attempt.duration_us;
        let request: serde_json::Value = serde_json::from_slice(&exchange.request).unwrap_or_default();
        hold!(request["model"] == attempt.model.name(), "{} was asked for {}", request["model"], attempt.model);
        hold!(
            exchange.began_us == from,
            "the exchange began at {}, the attempt at {}",
            Ran::at(exchange.began_us),
            Ran::at(from)
        );
        let in_time = exchange.end != End::Open && exchange.ended_us <= to;
        hold!(in_time, "the exchange ended at {}, the attempt at {}", Ran::at(exchange.ended_us), Ran::at(to));
        let said = oracle::read(exchange);
        if let (true, Some(_), Some((input, output))) = (said.sound, &said.finish, said.usage) {
            // What could not be understood is estimated, never taken for free.
            let unread =
                attempt.outcome == AttemptOutcome::BadAnswer && attempt.usage.is_some_and(|usage| usage.estimated);
            if unread {
                continue;
            }
            let usage = attempt.usage.map(|usage| (usage.input_tokens, usage.output_tokens, usage.estimated));
            hold!(
                usage == Some((input, output, false)),
                "reported were {input} and {output} tokens, recorded {usage:?}"
            );
        }
    }
    Ok(())
}

/// Tokens times price, in whole nano-dollars, rounded half up.
fn priced(view: &View<'_>, attempt: &AttemptRecord) -> Verdict {
    let Some(usage) = attempt.usage else {
        hold!(attempt.cost.is_some_and(|cost| cost.0 == 0), "no tokens, and it costs {:?}", attempt.cost);
        return Ok(());
    };
    let price = view.ran.world.models.iter().find(|model| model.id == attempt.model).and_then(|model| model.price);
    let cost = price.map(|price| {
        let nano = i128::from(usage.input_tokens) * i128::from(price.input_per_million.0)
            + i128::from(usage.output_tokens) * i128::from(price.output_per_million.0);
        (nano * 2 + 1_000_000).div_euclid(2_000_000)
    });
    let recorded = attempt.cost.map(|cost| i128::from(cost.0));
    hold!(recorded == cost, "{usage:?} of {} cost {cost:?}, recorded is {recorded:?}", attempt.model);
    Ok(())
}

/// Passing over a candidate takes no time: the next thing happens at the same moment.
fn no_wait(case: &Case<'_>) -> Verdict {
    let attempts = &case.record.attempts;
    for pair in attempts.windows(2) {
        let end = pair[0].start_us + pair[0].duration_us;
        let waited = pair[1].start_us > end && pair[1].kind != AttemptKind::Retry;
        hold!(
            !waited,
            "after {} ({}) it waited for {} µs",
            pair[0].model,
            pair[0].outcome.as_str(),
            pair[1].start_us - end
        );
    }
    let skipped = attempts.last().filter(|a| !a.outcome.was_made());
    let answered = matches!(case.record.via, Some(Via::CacheExact | Via::Coalesced));
    if let (Some(last), false) = (skipped, answered) {
        hold!(last.start_us == case.record.duration_us, "it waited after the last candidate was passed over");
    }
    Ok(())
}

/// What happened to a lane, in order of time.
enum Happened<'a> {
    /// And how many seconds the provider asked to wait.
    Ended(&'a AttemptRecord, Option<u64>),
    Began(&'a AttemptRecord),
    Skipped,
}

/// Replays every lane's attempts against what the records allow to be said for certain.
pub(super) fn of_seed(view: &View<'_>) -> Verdict {
    let mut lanes: BTreeMap<String, Vec<(u64, Happened<'_>)>> = BTreeMap::new();
    for case in &view.cases {
        let begin = started_us(case.record);
        let asked = pairs(case)?;
        for attempt in &case.record.attempts {
            let exchange = asked.iter().find(|(asked, _)| std::ptr::eq(*asked, attempt));
            // Each intent's `local` is a lane of its own.
            let own = if attempt.model.as_str() == "local" {
                case.record.intent.as_ref().map(ToString::to_string)
            } else {
                None
            };
            let lane = lanes.entry(format!("{}{}", attempt.model, own.unwrap_or_default())).or_default();
            let start = begin + attempt.start_us;
            if attempt.outcome == AttemptOutcome::BreakerOpen {
                lane.push((start, Happened::Skipped));
            } else if attempt.outcome.was_made() {
                lane.push((start, Happened::Began(attempt)));
                let retry_after_s = exchange.and_then(|(_, exchange)| exchange.retry_after_s);
                lane.push((start + attempt.duration_us, Happened::Ended(attempt, retry_after_s)));
            }
        }
    }
    for (lane, mut happened) in lanes {
        happened.sort_by_key(|(at, _)| *at);
        replay(&happened).map_err(|what| format!("{lane}: {what}"))?;
    }
    Ok(())
}

/// What is certain of a breaker.
struct Known {
    /// Failures that surely count, since the last answer; `None` where it is not certain.
    failures: Option<u32>,
    /// It opened at .0, and is open before .1: it was closed before, and no answer came since.
    open: (u64, u64),
    /// The last answer, which closes it.
    answered_us: u64,
    /// The last refusal with 429 or 529, which may hold it; and from when to when one certainly does.
    limited_us: Option<u64>,
    held: (u64, u64),
}

fn replay(happened: &[(u64, Happened<'_>)]) -> Verdict {
    let mut known = Known { failures: Some(0), open: (0, 0), answered_us: u64::MAX, limited_us: None, held: (0, 0) };
    for moment in happened.chunk_by(|a, b| a.0 == b.0) {
        let at = moment[0].0;
        let mut answered = 0;
        let ended: Vec<_> = moment
            .iter()
            .filter_map(|(_, what)| if let Happened::Ended(a, after) = what { Some((*a, *after)) } else { None })
            .collect();
        for (attempt, retry_after_s) in &ended {
            known.learn(at, attempt, *retry_after_s);
            answered += usize::from(answers(attempt));
        }
        if 0 < answered && answered < ended.len() {
            // Which came first is not known.
            (known.failures, known.open) = (None, (0, 0));
        }
        for (_, what) in moment {
            match what {
                Happened::Began(attempt) => {
                    let open = known.open.0 < at && at < known.open.1;
                    hold!(!open, "it was asked at {}, its breaker was open ({:?})", Ran::at(at), attempt.kind);
                    let held = known.held.0 < at && at < known.held.1;
                    hold!(
                        !held,
                        "it was asked at {}, before the time that it asked for ({:?})",
                        Ran::at(at),
                        attempt.kind
                    );
                }
                Happened::Skipped => {
                    let held = known.limited_us.is_some_and(|since| at <= since + PERIOD_MAX_US);
                    let open = known.failures.is_none_or(|failures| failures >= FAILURES_MAX);
                    let reason = held || open || known.answered_us == at;
                    hold!(reason, "it was passed over at {} as if broken, and had not failed", Ran::at(at));
                }
                Happened::Ended(..) => {}
            }
        }
    }
    Ok(())
}

/// Whoever answers is up, be it badly; a call that is its caller's fault was answered too.
fn answers(attempt: &AttemptRecord) -> bool {
    use AttemptOutcome::{Abstained, BadAnswer, CallersFault, Passed, TooLong};
    matches!(attempt.outcome, Passed | BadAnswer | CallersFault | TooLong | Abstained)
}

impl Known {
    fn learn(&mut self, at: u64, attempt: &AttemptRecord, retry_after_s: Option<u64>) {
        if answers(attempt) {
            (self.failures, self.open, self.answered_us) = (Some(0), (0, 0), at);
            return;
        }
        match attempt.outcome {
            AttemptOutcome::HardDown => self.fail(at, FAILURES_MAX),
            AttemptOutcome::Transient => self.fail(at, 1),
            AttemptOutcome::Slow if attempt.duration_us < SLOW_US => {}
            // Of a stream that was begun the budget is not known, nor exactly on the border.
            AttemptOutcome::Slow if attempt.duration_us == SLOW_US || attempt.duration_us > 2 * PERIOD_MAX_US => {
                (self.failures, self.open) = (None, (0, 0));
            }
            AttemptOutcome::Slow => self.fail(at, 1),
            AttemptOutcome::RateLimited => {
                self.limited_us = Some(at);
                let until = at + retry_after_s.unwrap_or(0) * 1_000_000;
                if until > self.held.1 {
                    self.held = (at, until);
                }
            }
            _ => {}
        }
    }

    fn fail(&mut self, at: u64, weight: u32) {
        let Some(before) = self.failures else { return };
        self.failures = Some(before.saturating_add(weight));
        // Only the first opening since the last answer is certain: later ones depend on probes.
        if before < FAILURES_MAX && before + weight >= FAILURES_MAX {
            self.open = (at, at + PERIOD_US);
        }
    }
}
