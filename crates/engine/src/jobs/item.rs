//! One item of a job: an execution whose id follows from the job, so that whoever goes on after a crash
//! finds what it came to.

use std::sync::Arc;

use baton_core::{
    Answer, Candidate, ErrorCode, ExecutionId, Failure, ModelId, NanoUsd, Prices, Record, Service, Status, SubjectHash,
};
use baton_provider::Reply;
use baton_store::{ItemCost, Job, JobItem, JobResult, StoreError};
use baton_wire::{WireError, openai};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{JobInput, KeptTerms};
use crate::call::{Call, Caller};
use crate::erase::About;
use crate::live::Live;
use crate::orchestrator::Orchestrator;

/// What makes a call the execution of a job's item.
#[derive(Clone, Debug)]
pub struct AsItem {
    pub(crate) execution: ExecutionId,
    /// What a provider's batch answered.
    pub(crate) reply: Option<Arc<Batched>>,
}

/// An answer that came in a batch, as it is kept until it is judged.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Batched {
    /// Who answered.
    pub(crate) model: ModelId,
    /// The provider's words.
    pub(crate) body: String,
    pub(crate) simulated: bool,
    /// When the batch was made, Unix microseconds: its price is that of then.
    pub(crate) begun_us: i64,
}

impl Batched {
    /// As the first to answer, at the price of batches; `None` where the model is not there any more.
    pub(crate) fn candidate(&self, live: &Live) -> Option<Candidate> {
        let candidate = live.candidate(live.snapshot.models.iter().find(|spec| spec.id == self.model)?);
        let price = candidate.price.as_ref().and_then(|price| at_batch_price(price, self.begun_us));
        Some(Candidate { lane: live.batched()?, price, ..candidate })
    }

    pub(crate) fn reply(&self) -> Result<Reply, WireError> {
        let completion = openai::decode_response(self.body.as_bytes())?;
        Ok(Reply { completion, simulated: self.simulated })
    }
}

/// What a batch that was made then costs, where that is known.
pub(super) fn at_batch_price(prices: &Prices, unix_us: i64) -> Option<Prices> {
    prices.price(unix_us, Service::Batch).cloned().map(Prices::always)
}

/// How an execution of an item ended.
pub(super) struct Ended {
    pub(super) item: JobItem,
    pub(super) came: Came,
    pub(super) cost: ItemCost,
}

/// What came of it.
pub(super) enum Came {
    Answered(JobResult),
    Failed(Failure),
    /// Nobody waited for its end: it says nothing.
    Nothing,
}

/// The execution of an item in a round. The same for whoever asks: an item never has two records for
/// one round.
pub(super) fn execution(job: &Job, item: &JobItem) -> ExecutionId {
    let mut hash = blake3::Hasher::new();
    hash.update(job.id.as_bytes()).update(&item.place.to_le_bytes()).update(&item.round.to_le_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&hash.finalize().as_bytes()[..10]);
    ExecutionId::new(u64::try_from(job.created_us / 1000).unwrap_or_default(), random)
}

/// What the item is called, in the store.
pub(super) fn input(item: &JobItem) -> Result<JobInput, Failure> {
    serde_json::from_str(&item.input)
        .map_err(|error| Failure::new(ErrorCode::Internal, format!("the item cannot be read: {error}")))
}

/// What an item asks.
pub(super) fn call(job: &Job, (terms, caller): (&KeptTerms, &Caller), asked: &JobInput) -> Call {
    let KeptTerms { config, metadata, session, within: _ } = terms;
    Call { caller: caller.clone(), ..asked.call(job.intent.clone(), (config, metadata, session.as_deref())) }
}

/// Asks an item, or finds what it was answered, where somebody may have asked it before (`resumed`).
pub(super) async fn ask(
    baton: Orchestrator,
    job: Arc<Job>,
    (terms, caller): (Arc<KeptTerms>, Caller),
    (mut item, reply, resumed): (JobItem, Option<Arc<Batched>>, bool),
) -> Result<Ended, StoreError> {
    let asked = match input(&item) {
        Ok(asked) => asked,
        Err(failure) => return Ok(Ended { item, came: Came::Failed(failure), cost: ItemCost::default() }),
    };
    loop {
        let id = execution(&job, &item);
        let before = if resumed { baton.store().execution(&job.team, id).await? } else { None };
        if let Some(record) = before {
            let (cost, came) = (cost(Some(&record)), found(&item, &asked, &record));
            if !matches!(came, Came::Nothing) {
                return Ok(Ended { item, came, cost });
            }
            // It says nothing: the next round is asked.
            item.round += 1;
            continue;
        }
        if let Some(at_us) = baton.0.erasures.since(&about(&baton, &job, &asked)) {
            return Ok(Ended { came: Came::Answered(erased(&item, at_us)), item, cost: ItemCost::default() });
        }
        let as_item = AsItem { execution: id, reply: reply.clone().filter(|_| item.round == 0) };
        let said = Some(baton.0.clock.moment_at(job.created_us));
        let call = Call { item: Some(as_item), said, ..call(&job, (&terms, &caller), &asked) };
        return match baton.execute(call).await {
            Ok(delivered) => {
                let came = Came::Answered(answered(&item, &asked, &delivered.answer));
                let known = delivered.answer.cost_usd.as_deref().and_then(|usd| usd.parse::<NanoUsd>().ok());
                let cost = ItemCost { cost: known.unwrap_or_default(), known: known.is_some() };
                Ok(Ended { item, came, cost })
            }
            Err(error) => {
                // What it cost stands in its record alone.
                let cost = cost(baton.store().execution(&job.team, id).await?.as_ref());
                Ok(Ended { item, came: Came::Failed(error.failure), cost })
            }
        };
    }
}

/// What the record of an item's execution says.
fn found(item: &JobItem, asked: &JobInput, record: &Record) -> Came {
    match (record.status, &record.output, &record.error) {
        (Status::Succeeded, Some(output), _) => {
            Came::Answered(answered(item, asked, &Answer::of(record, output.clone(), Vec::new())))
        }
        (Status::Failed, _, Some(failure)) => Came::Failed(failure.clone()),
        // It was cut off, or its record had no room for the answer.
        _ => Came::Nothing,
    }
}

fn cost(record: Option<&Record>) -> ItemCost {
    record.map_or_else(ItemCost::default, |record| ItemCost { cost: record.cost, known: record.cost_known })
}

/// What came of one of many inputs: a line of a job's results.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemResult<'a> {
    /// Its place among them, from 0.
    pub place: u32,
    /// Its caller's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<&'a str>,
    /// `succeeded` or `failed`; `erased` where whom it was about was.
    pub status: &'static str,
    /// When they were, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at_ms: Option<i64>,
    /// What it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<&'a Answer>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<serde_json::Value>,
}

impl<'a> ItemResult<'a> {
    /// One that was answered.
    #[must_use]
    pub fn answered((place, id): (u32, Option<&'a str>), answer: &'a Answer) -> Self {
        Self { place, id, status: "succeeded", erased_at_ms: None, answer: Some(answer), error: None }
    }

    /// One that was not, with the execution that says so, where one was begun.
    #[must_use]
    pub fn failed((place, id): (u32, Option<&'a str>), failure: &Failure, execution: Option<ExecutionId>) -> Self {
        let mut error = json!({
            "type": failure.code.error_type(), "code": failure.code, "message": failure.message,
        });
        let besides = [
            ("param", failure.param.as_ref().map(|param| json!(param))),
            ("executionId", execution.map(|execution| json!(execution))),
            ("retryAfterMs", failure.retry_after_ms.map(|ms| json!(ms))),
        ];
        for (name, value) in besides {
            if let Some(value) = value {
                error[name] = value;
            }
        }
        Self { place, id, status: "failed", erased_at_ms: None, answer: None, error: Some(error) }
    }
}

fn answered(item: &JobItem, asked: &JobInput, answer: &Answer) -> JobResult {
    result(item, true, &ItemResult::answered((item.place, asked.id.as_deref()), answer))
}

/// The result of an item whose last execution failed.
pub(super) fn unanswered(item: &JobItem, failure: &Failure, execution: ExecutionId) -> JobResult {
    let asked = input(item).ok();
    let id = asked.as_ref().and_then(|asked| asked.id.as_deref());
    result(item, false, &ItemResult::failed((item.place, id), failure, Some(execution)))
}

/// What an item says, since its job was handed in.
fn about(baton: &Orchestrator, job: &Job, asked: &JobInput) -> About {
    let subject = asked.subject.as_ref().map(|subject| SubjectHash::of(&job.team, subject));
    About::since_us(subject, job.created_us, &baton.0.clock)
}

/// The store has ended it already, with the same, unless it arrived too late for that.
fn erased(item: &JobItem, at_us: i64) -> JobResult {
    let (id, answer, error) = Default::default();
    let line = ItemResult { place: item.place, id, status: "erased", erased_at_ms: Some(at_us / 1000), answer, error };
    result(item, false, &line)
}

fn result(item: &JobItem, succeeded: bool, line: &ItemResult<'_>) -> JobResult {
    let result = serde_json::to_string(line).unwrap_or_else(|error| {
        json!({ "place": item.place, "status": "failed", "error": { "message": error.to_string() } }).to_string()
    });
    JobResult { place: item.place, succeeded, result }
}
