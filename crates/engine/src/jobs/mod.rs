//! Jobs: many inputs that are answered in time, each as an execution of its own.
//!
//! [`Jobs`] is where they are handed in, looked at and read; [`crate::Orchestrator::work`] answers them.

mod batch;
mod hand_in;
mod item;
mod then;
mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_config::Snapshot;
use baton_core::{CallConfig, ErrorCode, Failure, IntentName, JobId, KeyId};
use baton_store::{BatchState, Job, JobState, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::{Call, Caller, Target};

pub use hand_in::HandIn;
pub(crate) use item::Batched;
pub use item::{AsItem, ItemResult};
pub(crate) use work::Working;

/// Items of a job at most.
pub const JOB_ITEMS_MAX: u32 = 100_000;

/// One item, as it is handed in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JobInput {
    /// What is asked, as the intent's input schema says.
    pub input: Value,
    /// The caller's own name for it, said again with its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Besides the job's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Whom it is about, for deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl JobInput {
    /// The call that asks it of an intent: with these limits, this metadata besides its own, in this session.
    #[must_use]
    pub fn call(
        &self,
        intent: IntentName,
        (config, metadata, session): (&CallConfig, &BTreeMap<String, String>, Option<&str>),
    ) -> Call {
        let mut metadata = metadata.clone();
        metadata.extend(self.metadata.clone());
        Call {
            config: config.clone(),
            metadata,
            session: session.map(str::to_owned),
            subject: self.subject.clone(),
            ..Call::of(Target::Intent { name: intent, input: self.input.clone() })
        }
    }
}

/// What is wrong with a line of a file, with its place in the file; a parser that is given one line counts from 1.
#[must_use]
pub fn of_line(number: usize, message: &str) -> String {
    let (what, column) = message.split_once(" at line 1 column ").unwrap_or((message, ""));
    let digits = column.find(|c: char| !c.is_ascii_digit()).unwrap_or(column.len());
    match column.split_at(digits) {
        ("", _) => format!("line {number}: {message}"),
        (column, rest) => format!("line {number}, column {column}: {what}{rest}"),
    }
}

/// How long a job may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Within {
    /// A day: it goes through the provider's batch API, at the price of batches.
    #[serde(rename = "24h")]
    Day,
}

/// On what terms a job is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Terms {
    /// Limits of each of its calls, within the intent's.
    pub config: CallConfig,
    /// For partitions and reports.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Groups its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How long it may take; where absent, it is begun at once and asked item by item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
}

/// As the store keeps them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<KeyId>,
    #[serde(flatten)]
    pub(crate) terms: KeptTerms,
}

/// [`Terms`] beside others: what is flattened cannot deny what it does not know.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptTerms {
    pub(crate) config: CallConfig,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) session: Option<String>,
    pub(crate) within: Option<Within>,
}

/// A job and how far it is, as its team sees it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// Its id.
    pub id: JobId,
    /// What is asked.
    pub intent: IntentName,
    /// `running`, `done` or `cancelled`.
    pub status: &'static str,
    /// When it was handed in, Unix milliseconds.
    pub created_at_ms: i64,
    /// When it was done or cancelled, Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<i64>,
    /// How many items it has.
    pub items: u32,
    /// Those that were answered.
    pub succeeded: u32,
    /// Those that ended in an error.
    pub failed: u32,
    /// Those that have no result yet; of a cancelled job, those that get none.
    pub waiting: u32,
    /// Dollars of all its executions as a decimal string; `null` where one is not known.
    pub cost_usd: Option<String>,
    /// Why none of its items is begun at present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<String>,
    /// How long it may take, where that was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// What it has at providers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<BatchView>,
}

/// What a job has at a provider.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchView {
    /// Who is asked.
    pub model: String,
    /// The provider's id of it, once it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// `begun`, `handed_in` or `over`.
    pub status: &'static str,
    /// What the provider said of it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
}

/// The jobs of one caller's team, at one moment. Cheap to make.
pub struct Jobs {
    store: Store,
    snapshot: Arc<Snapshot>,
    caller: Caller,
    now_us: i64,
}

impl Jobs {
    /// What this caller may see and do, at this time in Unix microseconds.
    #[must_use]
    pub fn new(store: Store, snapshot: Arc<Snapshot>, caller: Caller, now_us: i64) -> Self {
        Self { store, snapshot, caller, now_us }
    }

    /// A job and how far it is.
    ///
    /// # Errors
    /// `unknown_job`; what the store says.
    pub async fn get(&self, id: &str) -> Result<JobView, Failure> {
        self.view(self.find(id).await?).await
    }

    /// The team's jobs, the latest first; those before this one, where one is named. With where the next
    /// page begins, where there is one.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, before: Option<JobId>, limit: u32) -> Result<(Vec<JobView>, Option<JobId>), Failure> {
        let jobs = self.store.jobs(Some(&self.caller.team), before, limit).await.map_err(failed)?;
        let next = jobs.last().filter(|_| jobs.len() == limit as usize).map(|job| job.id);
        let mut views = Vec::with_capacity(jobs.len());
        for job in jobs.into_iter().filter(|job| self.sees(job)) {
            views.push(self.view(job).await?);
        }
        Ok((views, next))
    }

    /// Results from this place on, each as a line of JSON, in the order of the items, and the place that
    /// goes on from there. What has no result yet is left out.
    ///
    /// # Errors
    /// `unknown_job`; what the store says.
    pub async fn results(&self, id: &str, from: u32, limit: u32) -> Result<(Vec<String>, u32), Failure> {
        let job = self.find(id).await?;
        let results = self.store.job_results(job.id, from, limit).await.map_err(failed)?;
        let next = results.last().map_or(from, |last| last.place + 1);
        Ok((results.into_iter().map(|result| result.result).collect(), next))
    }

    /// Begins no more of its items; what is in the air still gets its result.
    ///
    /// # Errors
    /// `unknown_job`; what the store says.
    pub async fn cancel(&self, id: &str) -> Result<JobView, Failure> {
        let job = self.find(id).await?;
        self.store.cancel_job(&job.team, job.id, self.now_us).await.map_err(failed)?;
        self.get(id).await
    }

    /// Deletes it with its inputs and results. The records of its executions stay.
    ///
    /// # Errors
    /// `unknown_job`; what the store says.
    pub async fn delete(&self, id: &str) -> Result<(), Failure> {
        let job = self.find(id).await?;
        self.store.delete_job(&job.team, job.id).await.map_err(failed)
    }

    async fn find(&self, id: &str) -> Result<Job, Failure> {
        let unknown = || {
            let message =
                format!("there is no job `{id}` for this team; it may be older than its intent keeps records");
            Failure::new(ErrorCode::UnknownJob, message).at("id")
        };
        let parsed = JobId::parse(id).ok_or_else(unknown)?;
        let job = self.store.job(&self.caller.team, parsed).await.map_err(failed)?;
        job.filter(|job| self.sees(job)).ok_or_else(unknown)
    }

    /// What still arrives is no job yet; a key that is limited to intents has the jobs of those.
    fn sees(&self, job: &Job) -> bool {
        job.state != JobState::Arriving && self.caller.may_call(&job.intent).is_ok()
    }

    async fn view(&self, job: Job) -> Result<JobView, Failure> {
        let kept: Kept = kept(&job)?;
        let batches =
            if kept.terms.within.is_some() { self.store.batches(job.id).await.map_err(failed)? } else { vec![] };
        let batch = |batch: baton_store::JobBatch| BatchView {
            model: batch.model,
            batch: batch.batch,
            status: match batch.state {
                BatchState::Begun => "begun",
                BatchState::HandedIn => "handed_in",
                BatchState::Over => "over",
            },
            told: batch.told,
        };
        Ok(JobView {
            id: job.id,
            intent: job.intent,
            status: job.state.as_str(),
            created_at_ms: job.created_us / 1000,
            ended_at_ms: job.ended_us.map(|us| us / 1000),
            items: job.items,
            succeeded: job.succeeded,
            failed: job.failed,
            waiting: job.items.saturating_sub(job.succeeded + job.failed),
            cost_usd: job.cost_known.then(|| job.cost.to_string()),
            waits: job.waits,
            within: kept.terms.within,
            batches: batches.into_iter().map(batch).collect(),
        })
    }
}

fn kept(job: &Job) -> Result<Kept, Failure> {
    serde_json::from_str(&job.terms).map_err(|error| {
        tracing::error!(%error, job = %job.id, "the terms of a job cannot be read");
        Failure::new(ErrorCode::Internal, format!("the terms of job {} cannot be read: delete it", job.id))
    })
}

fn failed(error: StoreError) -> Failure {
    match error {
        StoreError::NoJobs => Failure::new(ErrorCode::UnsupportedFeature, error.to_string()),
        error => {
            tracing::error!(%error, "the store could not answer for a job");
            Failure::new(ErrorCode::Internal, "the store could not answer; the server's log says why")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_one_place_in_its_file() {
        let check = |message, expected| assert_eq!(of_line(7, message), expected);
        check("expected `,` or `}` at line 1 column 9", "line 7, column 9: expected `,` or `}`");
        check("missing field `input` at line 1 column 12; do", "line 7, column 12: missing field `input`; do");
        check("/ticket: 7 is not a string", "line 7: /ticket: 7 is not a string");
        check("x at line 1 column y", "line 7: x at line 1 column y");
    }
}
