//! What attempts are made, and what they teach. A caller's fault is never retried and never counted;
//! an open breaker lets nothing through and costs no wait; an attempt is one exchange, priced as its
//! provider says.

use std::collections::BTreeMap;

use baton_core::{AttemptKind, AttemptOutcome, AttemptRecord, ErrorCode, Record, Via};

use super::{Case, Verdict, View, hold, oracle};
use crate::simulate::run::{Ran, started_us};
use crate::simulate::tap::{End, Exchange};

/// Failures in a row that open a breaker, and for how long at least, as ARCHITECTURE.md says.
const ROW_MAX: usize = 8;
const PERIOD_US: u64 = 5_000_000;
/// So many calls within so many seconds, half of them failed, open it too.
const CALLS_MIN: usize = 10;
const WINDOW_S: u64 = 10;
/// The longest that a breaker stays open after the last sign of trouble, and that a probe may take.
const OPEN_MAX_US: u64 = 60_000_000;
const PROBE_MAX_US: u64 = 30_000_000;
/// An attempt that ran out of less time than this is never counted.
const SLOW_MIN_US: u64 = 250_000;
/// What the record says of an attempt that went on when its execution was over.
const ALONE: &str = "it goes on alone";

pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    let record = case.record;
    let fault = record.attempts.iter().find(|a| a.outcome == AttemptOutcome::CallersFault);
    if let Some(fault) = fault {
        let end = fault.start_us + fault.duration_us;
        let again =
            record.attempts.iter().find(|a| a.start_us >= end && !std::ptr::eq(*a, fault) && a.outcome.was_made());
        // What began beside it in the same moment was not told yet.
        let beside = matches!(fault.kind, AttemptKind::Probe | AttemptKind::Hedge);
        let first = again.is_none_or(|again| again.start_us == end && (again.duration_us == 0 || beside));
        hold!(first, "a caller's fault was tried again");
        let code = record.error.as_ref().map(|error| error.code);
        let right = [Some(ErrorCode::UpstreamRejected), Some(ErrorCode::StreamInterrupted)].contains(&code);
        let beside = record.attempts.iter().any(|a| a.outcome == AttemptOutcome::Passed);
        let left = case.seen.left_us.is_some();
        let right = right && record.via.is_none() || beside || left;
        hold!(right, "a caller's fault was answered with {code:?}, via {:?}", record.via);
    }
    in_order(case)?;
    exchanged(case)?;
    for attempt in record.attempts.iter().filter(|attempt| attempt.outcome.was_made()) {
        priced(view, attempt)?;
    }
    no_wait(case)
}

/// Fallbacks follow the order of the candidates, each once; a retry asks the same again; one passed over
/// for want of time may get its turn at the end.
fn in_order(case: &Case<'_>) -> Verdict {
    let Some(plan) = case.plan else { return Ok(()) };
    let attempts = &case.record.attempts;
    let (mut asked, mut hedged): (Vec<&str>, Option<&str>) = (Vec::new(), None);
    for (n, attempt) in attempts.iter().enumerate() {
        let model = attempt.model.as_str();
        let same = |before: &&AttemptRecord| before.model == attempt.model && before.key == attempt.key;
        let before = attempts[..n].iter().rev().find(same);
        match attempt.kind {
            // Where the lane was opened meanwhile, a retry is a probe.
            AttemptKind::Retry | AttemptKind::Probe if attempt.kind == AttemptKind::Retry || before.is_some() => {
                let failed = before.is_some_and(|before| {
                    matches!(
                        before.outcome,
                        AttemptOutcome::Transient | AttemptOutcome::RateLimited | AttemptOutcome::NoTime
                    )
                });
                hold!(failed, "{model} was tried again without a reason");
                continue;
            }
            AttemptKind::Primary => hold!(n == 0, "the primary is number {n}"),
            AttemptKind::Fallback => hold!(n > 0, "the first attempt is a fallback"),
            AttemptKind::Hedge => {
                let share = plan.hedge_share;
                hold!(n > 0 && share > 0.0 && before.is_none(), "{model} was a hedge, with a share of {share}");
                // With another key of a model that was asked, the model keeps its place in the order.
                hedged = Some(model).filter(|model| !asked.contains(model));
                continue;
            }
            AttemptKind::Escalation => {
                hold!(before.is_none_or(|before| !before.outcome.was_made()), "{model} was asked on twice");
                continue;
            }
            AttemptKind::Batch => hold!(false, "{model} answered in a batch, and there are no jobs"),
            AttemptKind::Retry | AttemptKind::Probe => {}
        }
        // Who was passed over may get a turn later; of a pause that a lane asked for the record says
        // that its breaker was open.
        let late = before.is_some_and(|before| !before.outcome.was_made());
        hold!(late || before.is_none(), "{model} was chosen twice");
        // The keys of a model follow each other, in any order.
        if before.is_none() && asked.last() != Some(&model) {
            asked.push(model);
        }
    }
    let config = &case.seen.ask.config;
    // Asked in turn, whoever is to be first comes before the order, and others out of it.
    let in_turn = plan.route.in_turn().is_some();
    if !in_turn && config.models.is_none() && config.primary_model.is_none() && config.fallback_model.is_none() {
        // A hedge is out of turn; where its model is asked in its turn, too, with another key or as nobody
        // was asked before, the model keeps its place.
        let without = hedged.filter(|model| !asked.contains(model));
        let order = plan.candidates.iter().map(|c| c.id.as_str()).filter(|model| Some(*model) != without);
        let order: Vec<_> = order.take(asked.len()).collect();
        hold!(asked == order, "asked {asked:?}, in the order {order:?}, hedged with {hedged:?}");
    }
    Ok(())
}

/// The attempts that asked a model, each with its exchange.
pub(super) fn pairs<'a>(
    (record, exchanges): (&'a Record, &'a [Exchange]),
) -> Result<Vec<(&'a AttemptRecord, &'a Exchange)>, String> {
    let mut exchanges = exchanges.iter().peekable();
    let mut pairs = Vec::new();
    for attempt in record.attempts.iter().filter(|a| a.outcome.was_made() && a.model.as_str() != "local") {
        // Left before it was sent.
        let unsent = attempt.outcome == AttemptOutcome::Cancelled && attempt.duration_us == 0;
        let from = started_us(record) + attempt.start_us;
        let asks = |exchange: &Exchange| {
            exchange.began_us == from && exchange.key == attempt.key && model_of(exchange) == attempt.model.name()
        };
        if unsent && !exchanges.peek().is_some_and(|exchange| asks(exchange)) {
            continue;
        }
        let Some(exchange) = exchanges.next() else { return Err(format!("{} was never asked", attempt.model)) };
        pairs.push((attempt, exchange));
    }
    hold!(exchanges.next().is_none(), "a model was asked without an attempt");
    Ok(pairs)
}

fn model_of(exchange: &Exchange) -> String {
    let request: serde_json::Value = serde_json::from_slice(&exchange.request).unwrap_or_default();
    request["model"].as_str().unwrap_or_default().to_owned()
}

pub(super) fn goes_on(attempt: &AttemptRecord) -> bool {
    attempt.error.as_ref().is_some_and(|error| error.contains(ALONE))
}

/// An exchange is of its attempt's model, and begins and ends with it.
fn exchanged(case: &Case<'_>) -> Verdict {
    for (attempt, exchange) in pairs((case.record, case.exchanges))? {
        let from = started_us(case.record) + attempt.start_us;
        let alone = goes_on(attempt);
        let to = from + if alone { PROBE_MAX_US.max(attempt.duration_us) } else { attempt.duration_us };
        let model = model_of(exchange);
        hold!(model == attempt.model.name(), "{model} was asked for {}", attempt.model);
        hold!(exchange.key == attempt.key, "key {:?} was used, {:?} is recorded", exchange.key, attempt.key);
        hold!(
            exchange.began_us == from,
            "the exchange began at {}, the attempt at {}",
            Ran::at(exchange.began_us),
            Ran::at(from)
        );
        let in_time = exchange.end != End::Open && exchange.ended_us <= to;
        hold!(in_time, "the exchange ended at {}, the attempt at {}", Ran::at(exchange.ended_us), Ran::at(to));
        if alone {
            let estimated = attempt.usage.is_some_and(|usage| usage.estimated);
            hold!(estimated, "its end is not known, and its usage is {:?}", attempt.usage);
            continue;
        }
        let said = oracle::read(exchange);
        if let (true, Some(_), Some((input, output))) = (said.sound, &said.finish, said.usage) {
            // What could not be understood is estimated, never taken for free.
            let unread =
                attempt.outcome == AttemptOutcome::BadAnswer && attempt.usage.is_some_and(|usage| usage.estimated);
            // Its usage is known at its end: where it was cut before that it is estimated.
            let cut = exchange.end == End::Dropped && attempt.usage.is_some_and(|usage| usage.estimated);
            if unread || cut {
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
    let model = view.ran.world.models.iter().find(|model| model.id == attempt.model);
    let cost = model.and_then(|model| model.price.as_ref()).map(|prices| {
        let rates = &prices.rows()[0].price.rates;
        let nano = i128::from(usage.input_tokens) * i128::from(rates.input_per_million.0)
            + i128::from(usage.output_tokens) * i128::from(rates.output_per_million.0);
        (nano * 2 + 1_000_000).div_euclid(2_000_000)
    });
    let recorded = attempt.cost.map(|cost| i128::from(cost.0));
    hold!(recorded == cost, "{usage:?} of {} cost {cost:?}, recorded is {recorded:?}", attempt.model);
    Ok(())
}

/// Passing over a candidate takes no time, and where nobody is in the air the next thing happens at once.
fn no_wait(case: &Case<'_>) -> Verdict {
    let attempts = &case.record.attempts;
    let mut end = attempts.first().map_or(0, |first| first.start_us);
    let starts = |attempt: &AttemptRecord| attempt.start_us - attempt.queued_us;
    let is_retry = |n: usize| {
        let (of, before) = (&attempts[n], &attempts[..n]);
        let again = before.iter().any(|before| before.model == of.model && before.key == of.key);
        of.kind == AttemptKind::Retry || (of.kind == AttemptKind::Probe && again)
    };
    for (n, attempt) in attempts.iter().enumerate() {
        let start = starts(attempt);
        // Of a retry that has no place then, the record may tell after others.
        let retry = (n..attempts.len()).any(|later| is_retry(later) && starts(&attempts[later]) == start);
        let waited = start > end && !retry;
        hold!(!waited, "before {} ({:?}) it waited for {} µs", attempt.model, attempt.kind, start - end);
        let judged_us = attempt.judged.as_ref().map_or(0, |judged| judged.took_us);
        end = end.max(attempt.start_us + attempt.duration_us + judged_us);
    }
    let skipped = attempts.last().filter(|a| !a.outcome.was_made());
    let answered = matches!(case.record.via, Some(Via::CacheExact | Via::Coalesced));
    if let (Some(last), false) = (skipped, answered) {
        hold!(end.max(last.start_us) == case.record.duration_us, "it waited after the last candidate was passed over");
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
    for (record, exchanges) in view.records() {
        let begin = started_us(record);
        let asked = pairs((record, exchanges))?;
        for attempt in &record.attempts {
            let exchange = asked.iter().find(|(asked, _)| std::ptr::eq(*asked, attempt));
            // Each intent's `local` is a lane of its own.
            let own =
                if attempt.model.as_str() == "local" { record.intent.as_ref().map(ToString::to_string) } else { None };
            let lane =
                lanes.entry(format!("{} {:?}{}", attempt.model, attempt.key, own.unwrap_or_default())).or_default();
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

/// What the records say of a breaker: what is certain, and what is possible.
#[derive(Default)]
struct Known {
    /// Ends that may have been counted: second, whether it failed.
    counted: Vec<(u64, bool)>,
    /// It may have opened, and this was the last trouble since.
    trouble_us: Option<u64>,
    /// Failures in a row that are certain to have been counted, before it may have opened.
    row: usize,
    /// It opened at .0 for the first time, and is open before .1.
    open: (u64, u64),
    /// The last refusal with 429 or 529, which may hold it; and from when to when one certainly does.
    limited_us: Option<u64>,
    held: (u64, u64),
    /// When the last probe beside others began.
    probed_us: Option<u64>,
}

fn replay(happened: &[(u64, Happened<'_>)]) -> Verdict {
    let mut known = Known::default();
    for moment in happened.chunk_by(|a, b| a.0 == b.0) {
        let at = moment[0].0;
        let ended = moment.iter().filter_map(|(_, what)| {
            if let Happened::Ended(attempt, after) = what { Some((*attempt, *after)) } else { None }
        });
        let mut ended: Vec<_> = ended.collect();
        // Which came first is not known: failures first may open it, and make nothing certain.
        ended.sort_by_key(|(attempt, _)| answers(attempt));
        if ended.iter().any(|(attempt, _)| answers(attempt)) {
            known.row = 0;
        }
        ended.iter().for_each(|(attempt, after)| known.learn(at, attempt, *after));
        // Failures last may open it, too: with the answers of this moment the calls may be enough.
        if ended.iter().any(|(attempt, _)| fails(attempt)) && known.trouble_us.is_none() {
            known.trouble_us = known.may_open(at / 1_000_000).then_some(at);
        }
        for (_, what) in moment {
            match what {
                Happened::Began(attempt) => known.began(at, attempt)?,
                Happened::Skipped => {
                    let held = known.limited_us.is_some_and(|since| at <= since + OPEN_MAX_US);
                    let open = known.trouble_us.is_some_and(|since| at <= since + OPEN_MAX_US + PROBE_MAX_US);
                    hold!(held || open, "it was passed over at {} as if broken, and had not failed", Ran::at(at));
                }
                Happened::Ended(..) => {}
            }
        }
    }
    Ok(())
}

/// Whoever answers is up, be it badly; a call that is its caller's fault was answered too.
fn answers(attempt: &AttemptRecord) -> bool {
    use AttemptOutcome::{Abstained, BadAnswer, CallersFault, Held, Passed, TooLong};
    // One that a judge was looking at when its execution ended had answered.
    attempt.judged.is_some()
        || matches!(attempt.outcome, Passed | Held | BadAnswer | CallersFault | TooLong | Abstained)
}

/// What may count as a failure; whether the budget of a slow one was fair is not known.
fn fails(attempt: &AttemptRecord) -> bool {
    use AttemptOutcome::{HardDown, Slow, Transient};
    match attempt.outcome {
        _ if attempt.judged.is_some() => false,
        HardDown | Transient => true,
        Slow => attempt.duration_us >= SLOW_MIN_US,
        _ => false,
    }
}

impl Known {
    fn began(&mut self, at: u64, attempt: &AttemptRecord) -> Verdict {
        let open = self.open.0 < at && at < self.open.1;
        hold!(!open, "it was asked at {}, its breaker was open ({:?})", Ran::at(at), attempt.kind);
        let held = self.held.0 < at && at < self.held.1;
        hold!(!held, "it was asked at {}, before the time that it asked for ({:?})", Ran::at(at), attempt.kind);
        if attempt.kind == AttemptKind::Probe {
            hold!(self.trouble_us.is_some(), "it was probed at {}, and had not failed", Ran::at(at));
            let early = self.probed_us.is_some_and(|last| at < last + PERIOD_US);
            hold!(!early, "two probes within a period, the second at {}", Ran::at(at));
            (self.probed_us, self.trouble_us) = (Some(at), Some(at));
        }
        Ok(())
    }

    fn learn(&mut self, at: u64, attempt: &AttemptRecord, retry_after_s: Option<u64>) {
        let second = at / 1_000_000;
        let failed = fails(attempt);
        match attempt.outcome {
            _ if answers(attempt) => self.counted.push((second, false)),
            AttemptOutcome::HardDown => self.row = ROW_MAX,
            AttemptOutcome::Transient => self.row += 1,
            AttemptOutcome::RateLimited => {
                self.limited_us = Some(at);
                let until = at + retry_after_s.unwrap_or(0) * 1_000_000;
                if until > self.held.1 {
                    self.held = (at, until);
                }
            }
            _ => {}
        }
        if failed {
            self.counted.push((second, true));
        }
        if self.trouble_us.is_some() {
            // What follows an opening prolongs it, or ends it unseen.
            (self.trouble_us, self.row) = (if !answers(attempt) { Some(at) } else { self.trouble_us }, 0);
        } else if failed && (self.row >= ROW_MAX || self.may_open(second)) {
            let certain = self.row >= ROW_MAX;
            (self.trouble_us, self.open) = (Some(at), if certain { (at, at + PERIOD_US) } else { (0, 0) });
        }
    }

    /// Whether a run of failures, or half of a window's calls, may have opened it.
    fn may_open(&self, second: u64) -> bool {
        let row = self.counted.iter().rev().take_while(|(_, failed)| *failed).count();
        let window = self.counted.iter().filter(|(at, _)| at + WINDOW_S > second);
        let failures = window.clone().filter(|(_, failed)| *failed).count();
        let calls = window.count();
        row >= ROW_MAX || (calls >= CALLS_MIN && 2 * failures >= calls)
    }
}
