//! Judging: an answer that was drawn is judged by another intent, off the request path, and ends with
//! exactly one score: scored, errored, or skipped with a reason. An answer that was judged in the path
//! is not judged again.

mod again;
mod path;

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_config::{JUDGE_SUFFIX, Plan, Snapshot};
use baton_core::{
    AttemptOutcome, AttemptRecord, CallConfig, ExecutionId, IntentName, NanoUsd, Record, Score, ScoreResult, Status,
    Via,
};
use baton_eval::{JudgeRate, verdicts};
use baton_stats::SplitMix64;
use baton_store::Entry;
use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::call::{Call, Caller, Target};
use crate::engine::Engine;
use crate::erase::About;
use crate::intent::{Intent, text_of_output};
use crate::log::{Cursor, Delivered, EventLog, LogEvent};
use crate::outcome::Outcome;
use crate::resolve::Request;
use crate::review::seed;
use crate::run::run;

pub(crate) use again::again;
pub(crate) use path::{Asking, ask};

/// Answers that wait to be judged at the most; the next ones are skipped.
const WAITING_MAX: usize = 256;
/// Judgements at a time.
const AT_A_TIME: usize = 8;
/// The substream of an execution that drawing uses.
const STREAM: u64 = 0x006a_7564_6765;

/// What draws and judges. It outlives changes of the configuration.
pub(crate) struct Judges {
    rates: Mutex<HashMap<IntentName, Spending>>,
    waiting: Arc<AtomicUsize>,
    places: Arc<Semaphore>,
}

impl Default for Judges {
    fn default() -> Self {
        Self { rates: Mutex::default(), waiting: Arc::default(), places: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

/// What judging an intent's answers costs.
#[derive(Default)]
struct Spending {
    rate: JudgeRate,
    /// What went to answers that were judged again: on which day, nano-dollars.
    again: (u64, f64),
}

/// How an answer comes to its score.
enum Job {
    /// The judge is asked with this call about this output.
    Ask(Box<Call>, Value),
    /// What came of it is known without asking; with the execution that judged.
    Known(Option<ExecutionId>, ScoreResult),
}

impl Judges {
    /// The probability with which this answer was drawn, where it was. Only what a model said of this
    /// input is judged; what is remembered was judged when it was said.
    pub(crate) fn draw(&self, engine: &Engine, request: &Request, record: &Record, outcome: &Outcome) -> Option<f64> {
        let intent = request.intent.as_deref()?;
        let spec = intent.plan.judge.as_ref()?;
        if outcome.status != Status::Succeeded || outcome.via != Some(Via::Model) || !outcome.tool_calls.is_empty() {
            return None;
        }
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let spending = rates.entry(intent.plan.name.clone()).or_default();
        let now = engine.clock.now();
        let money = spending.left(spec.usd_per_day, now);
        let probability = spending.rate.draw(now, money, spec.usd_first).min(spec.rate_max);
        let dice = SplitMix64::new(seed(record.execution)).fork(STREAM).next_f64();
        (dice < probability).then_some(probability)
    }

    fn judged(&self, intent: &IntentName, cost: NanoUsd) {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        rates.entry(intent.clone()).or_default().rate.judged(cost);
    }

    /// Has an answer judged that was drawn, or that people are to see: its record says so. The task
    /// counts as a running execution, so that a shutdown waits for it.
    pub(crate) fn consider(&self, engine: &Arc<Engine>, call: &Call, request: &Request, done: (&Record, &Outcome)) {
        let Some(intent) = request.intent.as_ref().filter(|intent| intent.plan.judge.is_some()) else { return };
        let Some((score, job)) = self.job(intent, call, request, done) else { return };
        let intent = Arc::clone(intent);
        let running = engine.tasks.begin(&call.caller.team);
        let (engine, waiting, places) = (Arc::clone(engine), Arc::clone(&self.waiting), Arc::clone(&self.places));
        tokio::spawn(async move {
            let result = match job {
                Job::Known(judge, result) => (judge, result),
                Job::Ask(call, output) => {
                    let place = places.acquire().await;
                    let judged = AssertUnwindSafe(judge(&engine, *call, (&intent, &output))).catch_unwind().await;
                    drop(place);
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    judged.unwrap_or_else(|_| (None, errored("a fault of Baton's own ended the judgement")))
                }
            };
            keep(&engine, score, result).await;
            drop(running);
        });
    }

    /// The score of an answer that is to have one, its result still open, and how it comes to it. The
    /// judge's question is written only where it is asked.
    fn job(
        &self,
        intent: &Intent,
        call: &Call,
        request: &Request,
        (record, outcome): (&Record, &Outcome),
    ) -> Option<(Score, Job)> {
        // By the record: an answer whose record came too late for its caller is one all the same.
        let answered = record.status == Status::Succeeded && record.via == Some(Via::Model);
        let seen = record.review.as_ref().is_some_and(|draw| draw.rejected.is_none());
        let in_path = record.attempts.iter().find(|attempt| attempt.outcome == AttemptOutcome::Passed);
        let in_path = in_path.filter(|_| answered).and_then(|attempt| attempt.judged.clone());
        let wanted = record.judged.is_some() || (answered && seen);
        if !wanted && in_path.is_none() {
            return None;
        }
        let given = outcome.status == Status::Succeeded;
        let output = if given { Some(&outcome.output) } else { record.output.as_ref() };
        let score = score(request, record)?;
        // Without a verdict it is asked again, where one is wanted: now there is time.
        if let Some(said) = in_path.filter(|said| !wanted || said.value().is_some()) {
            return Some((score, Job::Known(said.judge, said.result)));
        }
        let skipped = |reason| Job::Known(None, ScoreResult::Skipped { reason });
        if record.erased_at_us.is_some() {
            return Some((score, skipped("whom it is about was erased".into())));
        }
        let Some(output) = output else {
            return Some((score, skipped("its record came too late, and its content is not stored".into())));
        };
        if self.waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            let asking = call_of(intent, call, request, (record.execution, output));
            return Some((score, Job::Ask(Box::new(asking), output.clone())));
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Some((score, skipped(format!("{WAITING_MAX} answers wait to be judged already"))))
    }
}

/// The score of an answer, its result still open.
fn score(request: &Request, record: &Record) -> Option<Score> {
    let plan = &request.intent.as_deref()?.plan;
    Some(Score {
        execution: record.execution,
        team: record.team.clone(),
        intent: plan.name.clone(),
        lineage: record.lineage.clone(),
        evaluator: evaluator(plan, &request.live.snapshot)?,
        probability: record.judged.unwrap_or(1.0),
        drawn: record.judged.is_some(),
        at_us: 0,
        judge: None,
        result: ScoreResult::Skipped { reason: String::new() },
    })
}

/// Who judges the answers of an intent, and in which version.
pub(crate) fn evaluator(plan: &Plan, snapshot: &Snapshot) -> Option<String> {
    let judge = snapshot.plan(&judge_of(&plan.name));
    let version = judge.map_or("", |judge| judge.hashes.answer.get(..8).unwrap_or_default());
    let named = opinion_of(plan).or_else(|| Some(plan.judge.as_ref()?.model.to_string()));
    Some(format!("{}@{version}", named?))
}

/// Whose second opinion judges the answers of an intent, in words, where one does.
pub(crate) fn opinion_of(plan: &Plan) -> Option<String> {
    plan.second_opinion().map(|model| format!("second opinion of {model}"))
}

/// Whether a second opinion differs from the answer of the attempt at this place, and differed from another
/// one before, which was held back. Of two that differ either may be wrong, so who was asked after them
/// decides; nothing is proven of that.
pub(crate) fn stands_alone(plan: &Plan, attempts: &[AttemptRecord], place: usize) -> bool {
    let differs =
        |attempt: &AttemptRecord| attempt.judged.as_ref().is_some_and(|said| !said.result.failed().is_empty());
    let held = |attempt: &AttemptRecord| attempt.outcome == AttemptOutcome::BadAnswer && differs(attempt);
    let mut others = attempts.iter().enumerate().filter(|(other, _)| *other != place);
    plan.second_opinion().is_some() && attempts.get(place).is_some_and(differs) && others.any(|(_, other)| held(other))
}

pub(crate) fn judge_of(intent: &IntentName) -> IntentName {
    IntentName::new(&format!("{intent}{JUDGE_SUFFIX}"))
}

/// The call that judges this answer of this execution.
fn call_of(intent: &Intent, call: &Call, request: &Request, (execution, output): (ExecutionId, &Value)) -> Call {
    Call {
        caller: Caller { team: call.caller.team.clone(), ..Caller::default() },
        config: CallConfig::default(),
        metadata: call.metadata.clone(),
        subject: call.subject.clone(),
        parent: Some(execution),
        said: Some(request.about.since()),
        received: tokio::time::Instant::now(),
        ..Call::of(question(intent, &request.input, output))
    }
}

/// What a judge is asked about this answer to this input; who gives a second opinion does not see it.
fn question(intent: &Intent, input: &Value, output: &Value) -> Target {
    let input = match intent.plan.second_opinion().is_some() {
        true => input.clone(),
        false => json!({ "asked": asked(intent, input), "answer": answer(intent, output) }),
    };
    Target::Intent { name: judge_of(&intent.plan.name), input }
}

/// What the model was asked, as it was: the judge reads it as the model did.
fn asked(intent: &Intent, input: &Value) -> String {
    let messages = intent.plan.messages(input).unwrap_or_default();
    messages.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n\n")
}

fn answer(intent: &Intent, output: &Value) -> String {
    text_of_output(&intent.plan.kind, output).unwrap_or_else(|| output.to_string())
}

/// Asks the judge about this output: an execution like any other, with a record of its own.
async fn judge(
    engine: &Arc<Engine>,
    call: Call,
    (intent, output): (&Intent, &Value),
) -> (Option<ExecutionId>, ScoreResult) {
    let call = Call { received: tokio::time::Instant::now(), ..call };
    if engine.erasures.since(&About::call(&call, &engine.clock)).is_some() {
        return (None, ScoreResult::Skipped { reason: "whom it is about was erased".into() });
    }
    let (log, events) = EventLog::begin(engine.clock.execution_id());
    run(engine, &call, &log).await;
    (Some(log.execution), said(intent, output, &heard(engine, &intent.plan.name, events).await))
}

/// What a judge answered, or why it did not.
pub(crate) type Heard = Result<Arc<Delivered>, String>;

/// Waits for what a judge says of an answer of this intent.
async fn heard(engine: &Engine, of: &IntentName, mut events: Cursor) -> Heard {
    loop {
        match events.next().await {
            Some(LogEvent::End(delivered)) => {
                let cost = delivered.answer.cost_usd.as_deref().and_then(|usd| usd.parse().ok());
                engine.judges.judged(of, cost.unwrap_or(NanoUsd(0)));
                return Ok(delivered);
            }
            Some(LogEvent::Error(failure)) => return Err(failure.message.clone()),
            Some(LogEvent::Start { .. } | LogEvent::Delta(_)) => {}
            None => return Err("the judge's execution ended without a word".into()),
        }
    }
}

/// What that says of this output.
pub(crate) fn said(intent: &Intent, output: &Value, heard: &Heard) -> ScoreResult {
    let delivered = match heard {
        Ok(delivered) => delivered,
        Err(reason) => return errored(reason),
    };
    let other = &delivered.answer.output;
    if intent.plan.second_opinion().is_some() {
        let compared = intent.checks.compare(output, other);
        return compared.unwrap_or_else(|| errored("the answers cannot be compared"));
    }
    let logprobs = delivered.extra.get("choices").and_then(|choices| choices.pointer("/0/logprobs"));
    verdicts(other, logprobs).map_or_else(|| errored("the judge gave no verdict"), ScoreResult::scored)
}

fn errored(reason: &str) -> ScoreResult {
    ScoreResult::Errored { reason: reason.to_owned() }
}

/// How often a score is tried to be journalled, and how long is waited between.
const KEEP_TRIES: u32 = 5;
const KEEP_PAUSE: Duration = Duration::from_secs(1);

/// Journals the score. Where the journal refuses for long, the next start says that the answer was not
/// judged.
async fn keep(engine: &Engine, score: Score, (judge, result): (Option<ExecutionId>, ScoreResult)) {
    let entry = Entry::Score(Box::new(Score { judge, result, at_us: engine.clock.unix_us(), ..score }));
    for tried in 1..=KEEP_TRIES {
        let error = match engine.store.journal().append(&entry) {
            Ok(ack) => match ack.await {
                Ok(()) => return,
                Err(error) => error,
            },
            Err(error) => error,
        };
        if tried == KEEP_TRIES {
            return tracing::error!(%error, "a score could not be recorded");
        }
        tokio::time::sleep(KEEP_PAUSE).await;
    }
}
