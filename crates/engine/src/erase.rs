//! A person is erased: what calls about them left goes, wherever it is, also what calls leave that were
//! received before.
//!
//! Whoever keeps something of a call keeps it first and asks here afterwards ([`Erasures::since`]): either
//! the erasure finds it, or the asking finds the erasure. Records are journalled under a lock that the
//! erasure takes too, so that each is either before it in the journal, and loses its content there, or is
//! written without.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use baton_core::{KeyId, Moment, SubjectHash, TeamId};
use baton_store::{Ack, Entry, Erased, ErasedCounts, StoreError};
use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::local;
use crate::orchestrator::Orchestrator;
use crate::repeats;
use crate::semantic;

/// For how long an erasure is known here: longer than any call runs and than its content waits for its turn.
/// Where they are many, the second.
const KNOWN: [Duration; 2] = [Duration::from_secs(24 * 3600), Duration::from_secs(3600)];
/// Erasures that are known.
const KNOWN_MAX: usize = 262_144;

/// Who was erased of late. It is the journal that knows for longer.
#[derive(Default)]
pub(crate) struct Erasures(RwLock<HashMap<SubjectHash, At>>);

/// When, by both clocks.
#[derive(Clone, Copy)]
struct At {
    moment: Moment,
    unix_us: i64,
}

/// Whom something is about, and since when it was said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About {
    subject: Option<SubjectHash>,
    since: Moment,
}

impl About {
    /// What a call says.
    pub(crate) fn call(call: &Call, clock: &Clock) -> Self {
        let since = call.said.unwrap_or_else(|| clock.moment(call.received));
        Self { subject: call.subject_hash(), since }
    }

    /// What was said at this time, Unix microseconds.
    pub(crate) fn since_us(subject: Option<SubjectHash>, unix_us: i64, clock: &Clock) -> Self {
        Self { subject, since: clock.moment_at(unix_us) }
    }

    /// What was said before this process began.
    pub(crate) fn before(subject: Option<SubjectHash>) -> Self {
        Self { subject, since: Moment::default() }
    }

    pub(crate) fn subject(&self) -> Option<SubjectHash> {
        self.subject
    }

    pub(crate) fn since(&self) -> Moment {
        self.since
    }
}

type Known<'a> = RwLockReadGuard<'a, HashMap<SubjectHash, At>>;

impl Erasures {
    /// When the person was erased, where that was since; Unix microseconds.
    pub(crate) fn since(&self, about: &About) -> Option<i64> {
        let subject = about.subject?;
        found(&self.known(), subject, about.since)
    }

    /// Journals what this makes, given when the person was erased, where they were: no erasure comes between.
    pub(crate) fn journalling<T>(&self, about: &About, journal: impl FnOnce(Option<i64>) -> T) -> T {
        let Some(subject) = about.subject else { return journal(None) };
        let known = self.known();
        journal(found(&known, subject, about.since))
    }

    fn known(&self) -> Known<'_> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Journals an erasure, and knows of it from then on.
    fn add(
        &self,
        engine: &Engine,
        subject: SubjectHash,
        of: (TeamId, Option<KeyId>),
    ) -> Result<(Erased, Ack), StoreError> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let at = At { moment: engine.clock.now(), unix_us: engine.clock.unix_us() };
        for kept in KNOWN {
            if known.len() >= KNOWN_MAX {
                known.retain(|_, other| at.moment - other.moment < kept);
            }
        }
        if known.len() >= KNOWN_MAX {
            return Err(StoreError::ErasuresFull(known.len()));
        }
        let (team, by) = of;
        let entry = Entry::Erased(Erased { subject, team, at_us: at.unix_us, by });
        let ack = engine.store.journal().append(&entry)?;
        known.insert(subject, at);
        let Entry::Erased(erased) = entry else { unreachable!("made above") };
        Ok((erased, ack))
    }
}

fn found(known: &HashMap<SubjectHash, At>, subject: SubjectHash, since: Moment) -> Option<i64> {
    known.get(&subject).filter(|at| at.moment >= since).map(|at| at.unix_us)
}

/// What an erasure took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// When, Unix milliseconds: what was received until then is gone.
    pub erased_at_ms: i64,
    /// Records that lost what they say of the person.
    pub records: u64,
    /// Answers of the exact cache.
    pub cache_entries: u64,
    /// Entries of the semantic cache.
    pub semantic_entries: u64,
    /// Answers that were kept for calls which are made again.
    pub repeats: u64,
    /// Corrections, final outputs and comments of feedback.
    pub feedback: u64,
    /// Labels that lost their correction or comment.
    pub labels: u64,
    /// Items of jobs.
    pub job_items: u64,
}

impl Erasure {
    /// What went of a store at this time, Unix microseconds.
    #[must_use]
    pub fn stored(at_us: i64, counts: &ErasedCounts) -> Self {
        Self {
            erased_at_ms: at_us / 1000,
            records: counts.records,
            semantic_entries: counts.semantic,
            feedback: counts.feedback,
            labels: counts.labels,
            job_items: counts.items,
            ..Self::default()
        }
    }

    /// Whether there was nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self { erased_at_ms: self.erased_at_ms, ..Self::default() }
    }
}

impl Orchestrator {
    /// Erases a person from a team: what calls about them (`subject`) left in records, caches, feedback and
    /// labels, jobs, and what `local` learnt from; also what calls that run now will leave. Figures, verdicts
    /// and probabilities stay. It is durable, and done, when this returns.
    ///
    /// # Errors
    /// What the store says. Where the journal took it, it is done as soon as the databases can, at the next
    /// start if need be.
    pub async fn erase(&self, team: &TeamId, subject: &str, by: Option<&KeyId>) -> Result<Erasure, StoreError> {
        let (baton, running) = (self.clone(), self.0.tasks.begin(team));
        let (subject, of) = (SubjectHash::of(team, subject), (team.clone(), by.cloned()));
        // In a task of its own: who asks may leave, and half an erasure is none.
        let erasing = tokio::spawn(async move {
            let done = baton.erase_whole(subject, of).await;
            drop(running);
            done
        });
        erasing.await.map_err(|_| StoreError::Closed)?
    }

    async fn erase_whole(&self, subject: SubjectHash, of: (TeamId, Option<KeyId>)) -> Result<Erasure, StoreError> {
        let engine = &*self.0;
        // What the semantic cache is writing now is written before, so that the databases find it.
        let keeping = engine.semantic.keeping().await;
        let (erased, ack) = engine.erasures.add(engine, subject, of)?;
        let (cached, repeats) = (engine.cache.evict_subject(subject), repeats::forget(engine, subject));
        let similar = semantic::forget(engine, subject);
        drop(keeping);
        ack.await?;
        let stored = engine.store.erased(&erased).await?;
        if stored.labelled > 0 {
            local::forget(engine, &erased.team).await;
        }
        let mut erasure = Erasure::stored(erased.at_us, &stored);
        (erasure.cache_entries, erasure.repeats) = (cached as u64, repeats as u64);
        erasure.semantic_entries += similar as u64;
        tracing::info!(team = %erased.team, %subject, records = erasure.records, "a person was erased");
        Ok(erasure)
    }
}
