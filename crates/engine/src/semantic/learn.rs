//! After the answer: what the model said is compared with what the cache would have said, and remembered.
//! On a thread that answers nobody; one at a time, so that nothing is fitted twice at once.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use baton_cache::Entry;
use baton_cache::semantic::accept::Look;
use baton_cache::semantic::cell::{Held, answer_number};
use baton_config::Privacy;
use baton_core::ExecutionId;

use super::Semantic;
use super::look::Asked;
use crate::engine::Engine;
use crate::erase::{About, Erasures};
use crate::resolve::Request;
use crate::review::seed;

/// Answers that wait to be learnt from at the most; the next ones are not.
const JOBS_MAX: usize = 4096;

/// What waits.
#[derive(Default)]
pub(super) struct Jobs {
    waiting: VecDeque<Job>,
    /// Whether somebody is at it.
    working: bool,
}

/// One answer to learn from.
struct Job {
    asked: Box<Asked>,
    vector: Vec<f32>,
    entry: Arc<Entry>,
    /// When it was given and when it goes, Unix microseconds.
    times: (i64, i64),
    about: About,
}

/// Learns from an answer that a model just gave, and that is worth remembering.
pub(crate) fn learn(engine: &Arc<Engine>, request: &mut Request, entry: Option<Arc<Entry>>) {
    let asked = request.asked.take();
    let (Some(mut asked), Some(entry), Some(intent)) = (asked, entry, &request.intent) else { return };
    let Some(vector) = asked.vector.take() else { return };
    let now_us = engine.clock.unix_us();
    let Privacy { keep, .. } = intent.plan.privacy;
    let stay = intent.plan.ceilings.ttl.min(keep);
    let times = (now_us, now_us.saturating_add(i64::try_from(stay.as_micros()).unwrap_or(i64::MAX)));
    let team = asked.of.team.clone();
    let job = Job { asked, vector, entry, times, about: request.about };
    if engine.clock.is_simulated() {
        return engine.semantic.take_in(job, &engine.erasures);
    }
    if !engine.semantic.is_first(job) {
        return;
    }
    let (engine, running) = (Arc::clone(engine), engine.tasks.begin(&team));
    tokio::task::spawn_blocking(move || {
        while let Some(job) = engine.semantic.next() {
            if catch_unwind(AssertUnwindSafe(|| engine.semantic.take_in(job, &engine.erasures))).is_err() {
                tracing::error!("a fault of Baton's own: the semantic cache did not learn from an answer");
            }
        }
        drop(running);
    });
}

impl Semantic {
    /// Puts a job with the others; true where nobody is at them.
    fn is_first(&self, job: Job) -> bool {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.waiting.len() >= JOBS_MAX {
            return false;
        }
        jobs.waiting.push_back(job);
        !std::mem::replace(&mut jobs.working, true)
    }

    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = jobs.waiting.pop_front();
        jobs.working = job.is_some();
        job
    }

    fn take_in(&self, job: Job, erasures: &Erasures) {
        let Job { mut asked, vector, entry, times, about } = job;
        if erasures.since(&about).is_some() {
            return;
        }
        if let Some(look) = asked.look.take() {
            self.compare(&asked, look, &entry);
        }
        let id = seed(entry.source);
        let execution = entry.source;
        let held = Held::new(asked.place.key, std::mem::take(&mut asked.text), entry, times);
        self.pending().add(&asked, &held, &vector);
        let gone = self.shelves.insert((asked.place.cell, &asked.of), (id, held), &vector);
        self.pending().gone(&gone);
        if erasures.since(&about).is_some() {
            self.forget_execution(execution);
        }
    }

    /// Forgets the answer of an execution, in memory and in the store, which may have it alone.
    pub(super) fn forget_execution(&self, execution: ExecutionId) {
        drop(self.shelves.remove(seed(execution), |held| held.entry.source == execution));
        self.pending().gone_execution(execution);
    }

    fn compare(&self, asked: &Asked, look: Look, entry: &Entry) {
        let right = look.answer() == answer_number(&entry.output);
        let evidence = self.evidence(&asked.of, asked.promise);
        evidence.lock().unwrap_or_else(PoisonError::into_inner).learn(look, right, asked.heard);
        self.pending().learnt(&asked.of);
    }
}
