//! Handing in a job: its items arrive one by one, and are on disk before the next ones come.

use std::sync::Arc;

use baton_config::{Plan, StoreContent};
use baton_core::{ErrorCode, Failure, Idempotency, IntentName, JobId, SubjectHash};
use baton_store::{ItemInput, Job, JobState};
use uuid::Uuid;

use crate::repeats::idempotency;

use super::{JOB_ITEMS_MAX, JobInput, JobView, Jobs, Kept, KeptTerms, Terms, failed};

/// Items that are written together, at most.
const PAGE_ITEMS: usize = 500;
/// Bytes of them, about.
const PAGE_BYTES: usize = 1 << 20;
/// Bytes of one item.
const ITEM_BYTES_MAX: usize = 1 << 20;
/// Bytes of all items of a job.
const JOB_BYTES_MAX: u64 = 512 << 20;
/// Characters of an item's own name.
const ID_CHARS_MAX: usize = 256;

/// A job whose items arrive. It is none before [`HandIn::finish`]; what is dropped before is forgotten.
pub struct HandIn<'a> {
    jobs: &'a Jobs,
    plan: Arc<Plan>,
    job: Job,
    named: Option<Idempotency>,
    /// What makes it what it is: hashed as it arrives.
    body: blake3::Hasher,
    items: u32,
    bytes: u64,
    page: Vec<ItemInput>,
    page_bytes: usize,
}

impl Jobs {
    /// Begins a job of this intent. `key` names it: the same job again under the same name is the same job.
    ///
    /// # Errors
    /// `input_invalid` for what is no name;
    /// `unknown_intent`, `intent_not_allowed`; `unsupported_feature` for an intent that does not store all;
    /// `queue_full` where the team has as many as it may; `override_not_permitted`, `input_invalid` for
    /// limits that no call of it could have.
    pub async fn hand_in(&self, intent: &IntentName, terms: Terms, key: Option<&str>) -> Result<HandIn<'_>, Failure> {
        let named = key.map(|key| idempotency(key, &[])).transpose()?;
        self.caller.may_call(intent)?;
        let plan = self.snapshot.intents.get(intent).cloned().ok_or_else(|| {
            let known: Vec<&str> = self.snapshot.intents.keys().map(IntentName::as_str).take(20).collect();
            let message = format!("there is no intent `{intent}`; there are: {}", known.join(", "));
            Failure::new(ErrorCode::UnknownIntent, message).at("/intent")
        })?;
        if plan.privacy.store != StoreContent::Full {
            let message = format!(
                "`{intent}` does not store its inputs as they are (privacy.store), and a job is stored until it is \
                 read: call it with /v1/execute or /v1/execute/batch"
            );
            return Err(Failure::new(ErrorCode::UnsupportedFeature, message).at("/intent"));
        }
        let max = self.snapshot.teams.get(&self.caller.team).map_or(baton_config::JOBS_DEFAULT, |team| team.jobs);
        let open = self.store.open_jobs_of(&self.caller.team).await.map_err(failed)?;
        if open >= max {
            let message = format!("{open} jobs of your team are not over, and it may have {max}: wait, or cancel one");
            return Err(Failure { retry_after_ms: Some(60_000), ..Failure::new(ErrorCode::QueueFull, message) });
        }
        let Terms { config, metadata, session, within } = terms;
        let key = self.caller.key.as_ref().map(|key| key.id.clone());
        let kept = Kept { key, terms: KeptTerms { config, metadata, session, within } };
        let job = Job {
            id: JobId::from_bytes(*Uuid::now_v7().as_bytes()),
            team: self.caller.team.clone(),
            intent: intent.clone(),
            state: JobState::Arriving,
            created_us: self.now_us,
            ended_us: None,
            items: 0,
            succeeded: 0,
            failed: 0,
            cost: Default::default(),
            cost_known: true,
            waits: None,
            handed_in: None,
            terms: serde_json::to_string(&kept).map_err(|error| internal(&error))?,
        };
        self.store.begin_job(&job).await.map_err(failed)?;
        let mut body = blake3::Hasher::new();
        body.update(intent.as_str().as_bytes()).update(b"\n").update(job.terms.as_bytes());
        Ok(HandIn { jobs: self, plan, job, named, body, items: 0, bytes: 0, page: Vec::new(), page_bytes: 0 })
    }
}

impl HandIn<'_> {
    /// Takes the next item.
    ///
    /// # Errors
    /// `input_invalid` with the place of what is wrong in the item; `body_too_large`.
    pub async fn add(&mut self, mut item: JobInput) -> Result<(), Failure> {
        if self.items >= JOB_ITEMS_MAX {
            let message = format!("a job has at most {JOB_ITEMS_MAX} items: hand the others in as another");
            return Err(Failure::new(ErrorCode::BodyTooLarge, message));
        }
        if item.id.as_ref().is_some_and(|id| id.chars().count() > ID_CHARS_MAX) {
            let message = format!("id: at most {ID_CHARS_MAX} characters");
            return Err(Failure::new(ErrorCode::InputInvalid, message).at("/id"));
        }
        if let Some(schema) = &self.plan.input_schema {
            item.input = schema.with_defaults(item.input);
            schema.validate(&item.input).map_err(|violation| {
                let at = format!("/input{}", violation.pointer);
                Failure::new(ErrorCode::InputInvalid, format!("input{violation}")).at(at)
            })?;
        }
        let text = serde_json::to_string(&item).map_err(|error| internal(&error))?;
        if text.len() > ITEM_BYTES_MAX {
            let message = format!("it has {} bytes, and an item may have {ITEM_BYTES_MAX}", text.len());
            return Err(Failure::new(ErrorCode::BodyTooLarge, message).at("/input"));
        }
        self.bytes += text.len() as u64;
        if self.bytes > JOB_BYTES_MAX {
            let message = format!("a job has at most {JOB_BYTES_MAX} bytes of items: hand the others in as another");
            return Err(Failure::new(ErrorCode::BodyTooLarge, message));
        }
        self.body.update(b"\n").update(text.as_bytes());
        self.page_bytes += text.len();
        let subject = item.subject.as_ref().map(|subject| SubjectHash::of(&self.job.team, subject));
        self.page.push((text, subject));
        self.items += 1;
        if self.page.len() >= PAGE_ITEMS || self.page_bytes >= PAGE_BYTES { self.write().await } else { Ok(()) }
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let first = self.items - u32::try_from(self.page.len()).unwrap_or(u32::MAX);
        self.jobs.store.add_items(self.job.id, first, &self.page).await.map_err(failed)?;
        self.page.clear();
        self.page_bytes = 0;
        Ok(())
    }

    /// All items are there: from now on it is a job. Where it is known by its name, the one that there is.
    ///
    /// # Errors
    /// `input_invalid` without items; `idempotency_conflict` where the name was another job's.
    pub async fn finish(mut self) -> Result<JobView, Failure> {
        if self.items == 0 {
            self.abandon().await?;
            return Err(Failure::new(ErrorCode::InputInvalid, "a job needs at least one item").at("/items"));
        }
        self.write().await?;
        let body = self.body.finalize().to_hex().to_string();
        let handed_in = self.named.map(|named| (named.key, body.clone()));
        let before = self.jobs.store.open_job(&self.job, self.items, handed_in.as_ref()).await.map_err(failed)?;
        match before {
            None => self.jobs.get(&self.job.id.to_string()).await,
            Some(job) if job.handed_in.as_ref().is_some_and(|(_, before)| *before == body) => self.jobs.view(job).await,
            Some(_) => {
                let message = "this Idempotency-Key was used for another job: use a new key for each job";
                Err(Failure::new(ErrorCode::IdempotencyConflict, message).at("Idempotency-Key"))
            }
        }
    }

    /// It is not to be: what arrived is deleted.
    ///
    /// # Errors
    /// What the store says.
    pub async fn abandon(self) -> Result<(), Failure> {
        self.jobs.store.delete_job(&self.job.team, self.job.id).await.map_err(failed)
    }

    /// How many items arrived.
    #[must_use]
    pub fn items(&self) -> u32 {
        self.items
    }
}

fn internal(error: &serde_json::Error) -> Failure {
    Failure::new(ErrorCode::Internal, format!("a job could not be written down: {error}"))
}
