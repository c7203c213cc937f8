//! The store as the rest of Baton sees it: one handle, in a folder or in memory.

mod calibrations;
mod control;
mod control_reviews;
mod drift;
mod erase;
mod ingest;
mod jobs;
mod keys;
mod memory;
mod pack;
mod prune;
mod records;
mod reviews;
mod rollouts;
mod rows;
mod scores;
mod semantic;

#[cfg(test)]
mod erase_tests;
#[cfg(test)]
mod job_tests;
#[cfg(test)]
mod review_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use baton_config::StoreSpec;
use baton_core::{ExecutionId, IntentName, Record, Score, ScoreResult, TeamId};

use crate::keys::KeyCache;
use crate::{
    Entry, ExecutionFilter, Feedback, Journal, JournalError, JournalOptions, JournalScript, Repeat, Report,
    ReportQuery, Spend, StoreError, spend,
};
pub use calibrations::CalibrationVersion;
use calibrations::MemoryCalibrations;
use control::Control;
pub use drift::DriftEntry;
use drift::MemoryDrift;
pub use erase::ErasedCounts;
use ingest::{Ingest, Others};
use jobs::Jobs;
pub use prune::Retention;
use records::Records;
use reviews::MemoryReviews;
use rollouts::MemoryRollouts;
pub use rollouts::RolloutEntry;
use semantic::Semantic;
pub use semantic::{SemanticChanges, SemanticEntry, SemanticEvidence};

/// Journal, records, keys, feedback and reports. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    journal: Journal,
    keys: KeyCache,
    /// Empty where there is a disk.
    reviews: MemoryReviews,
    calibrations: MemoryCalibrations,
    drift: MemoryDrift,
    rollouts: MemoryRollouts,
    /// None where everything is in memory.
    disk: Option<Disk>,
}

/// How far the databases are behind the journal.
#[derive(Clone, Debug, Default)]
pub struct Ingestion {
    /// Entries that are acknowledged, and in the journal only.
    pub behind: u64,
    /// Why it does not go on, while it does not.
    pub error: Option<StoreError>,
}

struct Disk {
    records: Records,
    control: Control,
    semantic: Semantic,
    jobs: Jobs,
    /// None where another process may be writing.
    ingest: Option<Ingest>,
    /// As it was when the store was opened.
    past: Past,
}

/// What a server that starts must know of those before it.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// What was spent yesterday and today.
    pub spends: Vec<Spend>,
    /// Calls that are given the same answer again, the oldest first.
    pub repeats: Vec<Repeat>,
}

impl Store {
    /// Opens the store of a folder, which is created if needed, takes over what the journal holds,
    /// and closes executions that the last process left open as interrupted.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process has the folder (see [`Store::open_read`]);
    /// what the disk and the database say.
    pub async fn open(spec: &StoreSpec) -> Result<Self, StoreError> {
        Self::open_with(spec, JournalOptions::default()).await
    }

    /// [`Store::open`] with other bounds of the journal. `durability` and `after` are the store's.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_with(spec: &StoreSpec, options: JournalOptions) -> Result<Self, StoreError> {
        let journal_dir = spec.dir.join("journal");
        let new = !spec.dir.exists();
        // The lock comes first: nobody else may be writing while the databases are made.
        let lock = Journal::lock(&journal_dir)?;
        if new {
            keep_out_of_git(&spec.dir);
        }
        let (writer, after) = records::open_writer(&spec.dir).await?;
        let options = JournalOptions { durability: spec.durability, after, ..options };
        let (journal, recovered) = Journal::open_locked(&journal_dir, options, lock)?;
        for damage in &recovered.damage {
            tracing::error!(?damage, "the journal is damaged; the file is kept beside it");
        }
        let (control, semantic) = (Control::open(&spec.dir).await?, Semantic::open(&spec.dir).await?);
        let (records, jobs) = (Records::open(&spec.dir).await?, Jobs::open(&spec.dir).await?);
        let reader = journal.reader(after).ok_or(StoreError::Closed)?;
        let others = Others { control: control.clone(), semantic: semantic.clone(), jobs: jobs.clone() };
        let ingest = Ingest::start(&spec.dir, reader, writer, others)?;
        let disk = Disk { records, control, semantic, jobs, ingest: Some(ingest), past: Past::default() };
        let mut inner = Inner::new(journal, Some(disk));
        inner.close_orphans().await?;
        inner.close_unscored().await?;
        if let Some(disk) = &mut inner.disk {
            let now_us = now_us();
            // A day on, for a clock that was set back; what is further in the future is a mistake.
            let (since_us, until_us) = (spend::yesterday_us(now_us), now_us.saturating_add(spend::DAY_US));
            disk.past.spends = disk.records.spends(since_us, until_us).await?;
            disk.past.repeats = disk.records.repeats(spend::repeats_since_us(now_us)).await?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Opens the store of a folder for questions, keys and feedback, beside a server that may be
    /// running on it. Where none is, what the journal holds is taken over first.
    ///
    /// # Errors
    /// What the disk and the database say.
    pub async fn open_read(spec: &StoreSpec) -> Result<Self, StoreError> {
        match Self::open(spec).await {
            Ok(store) => store.close().await,
            Err(StoreError::Journal(JournalError::Locked { .. })) => {}
            Err(error) => return Err(error),
        }
        let (control, semantic) = (Control::open(&spec.dir).await?, Semantic::open(&spec.dir).await?);
        let (records, jobs) = (Records::open(&spec.dir).await?, Jobs::open(&spec.dir).await?);
        let disk = Disk { records, control, semantic, jobs, ingest: None, past: Past::default() };
        let journal = Journal::memory();
        journal.clone().close().await;
        Ok(Self(Arc::new(Inner::new(journal, Some(disk)))))
    }

    /// A store that keeps the last 65,536 entries and its keys in memory: for simulation, tests,
    /// and a library without a folder. Nothing in it waits.
    #[must_use]
    pub fn memory() -> Self {
        Self::of_memory(Journal::memory())
    }

    /// The same with a journal that is slow or full as the script says: for simulation.
    #[must_use]
    pub fn scripted(script: JournalScript) -> Self {
        Self::of_memory(Journal::scripted(script))
    }

    fn of_memory(journal: Journal) -> Self {
        Self(Arc::new(Inner::new(journal, None)))
    }

    /// Where entries are acknowledged. Of [`Store::open_read`] it takes none.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.0.journal
    }

    /// The record of an execution, also before it is ingested; `None` where this team has none.
    ///
    /// # Errors
    /// What the disk and the database say.
    pub async fn execution(&self, team: &TeamId, id: ExecutionId) -> Result<Option<Record>, StoreError> {
        let Some(disk) = &self.0.disk else {
            return Ok(self.0.journal.as_memory().and_then(|memory| memory::execution(memory, team, id)));
        };
        // Where ingestion stands is asked first: what it passes meanwhile is in the database.
        let position = disk.ingest.as_ref().map(Ingest::position);
        if let Some(record) = disk.records.execution(team, id).await? {
            return Ok(Some(record));
        }
        let Some(position) = position else { return Ok(None) };
        let found = tokio::task::spawn_blocking(move || ingest::find(position, id));
        match found.await.map_err(|_| StoreError::Closed)?? {
            Some(record) => Ok(Some(record).filter(|record| record.team == *team)),
            // A segment that was released while it was searched is in the database.
            None => disk.records.execution(team, id).await,
        }
    }

    /// A team's records, the latest id first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn executions(&self, team: &TeamId, filter: ExecutionFilter) -> Result<Vec<Record>, StoreError> {
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.records.executions(team, &filter).await,
            (None, Some(memory)) => Ok(memory::executions(memory, team, &filter)),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// What came of the executions of a window. Counts what is ingested: call [`Store::flush`]
    /// first to count everything.
    ///
    /// # Errors
    /// What the database says.
    pub async fn report(&self, query: ReportQuery) -> Result<Report, StoreError> {
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.records.report(&query).await,
            (None, Some(memory)) => Ok(memory::report(memory, &query)),
            (None, None) => Ok(Report::default()),
        }
    }

    /// What a server that starts on this store now must know of those before it: of a folder, as it
    /// was opened; in memory, as of this time, Unix microseconds.
    #[must_use]
    pub fn past(&self, now_us: i64) -> Past {
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.past.clone(),
            (None, Some(memory)) => Past {
                spends: memory::spends(memory, spend::yesterday_us(now_us), i64::MAX),
                repeats: memory::repeats(memory, spend::repeats_since_us(now_us)),
            },
            (None, None) => Past::default(),
        }
    }

    /// What was spent on the day of this time, Unix microseconds. Counts what is ingested.
    ///
    /// # Errors
    /// What the database says.
    pub async fn spends(&self, now_us: i64) -> Result<Vec<Spend>, StoreError> {
        let today_us = spend::yesterday_us(now_us) + spend::DAY_US;
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.records.spends(today_us, today_us + spend::DAY_US).await,
            (None, Some(memory)) => Ok(memory::spends(memory, today_us, today_us + spend::DAY_US)),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// Keeps what somebody said about an execution of their team. The same feedback twice is kept
    /// once. What is a verdict counts as a label too ([`Store::labels`]): a final output or a
    /// correction against the answer, a label that is a word for good or bad.
    ///
    /// # Errors
    /// [`StoreError::UnknownExecution`]; what the database says.
    pub async fn feedback(&self, feedback: Feedback) -> Result<(), StoreError> {
        let id = feedback.execution;
        let found = self.execution(&feedback.team, id).await?;
        let record = found.ok_or(StoreError::UnknownExecution(id))?;
        match &self.0.disk {
            Some(disk) => disk.control.add_feedback(&feedback).await?,
            None => self.0.journal.append(&Entry::Feedback(feedback.clone()))?.await?,
        }
        self.hear_feedback(&feedback, &record).await?;
        self.forget_if_erased(&feedback.team, id).await
    }

    /// What was said about an execution, in the order in which it was said.
    ///
    /// # Errors
    /// What the database says.
    pub async fn feedback_of(&self, team: &TeamId, id: ExecutionId) -> Result<Vec<Feedback>, StoreError> {
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.control.feedback_of(team, id).await,
            (None, Some(memory)) => Ok(memory::feedback_of(memory, team, id)),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// What judges said of an execution, or why they said nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn scores_of(&self, team: &TeamId, id: ExecutionId) -> Result<Vec<Score>, StoreError> {
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.records.scores_of(team, id).await,
            (None, Some(memory)) => Ok(memory::scores(memory, |score| score.execution == id && score.team == *team)),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// What judges said of the answers of a team's lineage at or after `since_us`, the oldest first; of
    /// each execution and evaluator one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn evidence(&self, team: &TeamId, lineage: &str, since_us: i64) -> Result<Vec<Score>, StoreError> {
        let wanted = |score: &Score| score.team == *team && score.lineage == lineage && score.at_us >= since_us;
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.records.evidence(team, lineage, since_us).await,
            (None, Some(memory)) => Ok(memory::scores(memory, wanted)),
            (None, None) => Ok(Vec::new()),
        }
    }

    /// How many of a team's executions of an intent's lineage that started at or after `since_us` a
    /// model answered.
    ///
    /// # Errors
    /// What the database says.
    pub async fn answered(
        &self,
        team: &TeamId,
        (intent, lineage): (&IntentName, &str),
        since_us: i64,
    ) -> Result<u64, StoreError> {
        match (&self.0.disk, self.0.journal.as_memory()) {
            (Some(disk), _) => disk.records.answered(team, (intent, lineage), since_us).await,
            (None, Some(memory)) => Ok(memory::answered(memory, team, (intent, lineage), since_us)),
            (None, None) => Ok(0),
        }
    }

    /// Deletes records that are older than their intent's `keep`, a few at a time, and what else
    /// holds their content. How many records went.
    ///
    /// # Errors
    /// What the database says; [`StoreError::Closed`] of [`Store::open_read`].
    pub async fn prune(&self, retention: Retention, now_us: i64) -> Result<u64, StoreError> {
        let Some(disk) = &self.0.disk else { return Ok(0) };
        let ingest = disk.ingest.as_ref().ok_or(StoreError::Closed)?;
        self.prune_jobs(&retention, now_us).await?;
        let pruned = ingest.prune(retention, now_us).await?;
        // The current segment holds content too, and on a quiet server would do so for long.
        self.0.journal.rotate();
        Ok(pruned)
    }

    /// How far the databases are behind the journal. Where ingestion fails, records are safe in the
    /// journal, which fills up.
    #[must_use]
    pub fn ingestion(&self) -> Ingestion {
        let Some(ingest) = self.0.disk.as_ref().and_then(|disk| disk.ingest.as_ref()) else {
            return Ingestion::default();
        };
        let (sequence, error) = ingest.state();
        Ingestion { behind: self.0.journal.state().written.saturating_sub(sequence), error }
    }

    /// Waits until every entry acknowledged so far is ingested.
    ///
    /// # Errors
    /// Why ingestion fails, while it does.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.0.flush().await
    }

    /// Closes the journal, ingests what it holds, and closes the databases.
    pub async fn close(self) {
        self.0.journal.clone().close().await;
        let Some(disk) = &self.0.disk else { return };
        if let Some(ingest) = &disk.ingest {
            if let Err(error) = self.flush().await {
                tracing::error!(%error, "not everything could be ingested; the journal keeps it for the next start");
            }
            ingest.close().await;
        }
        disk.records.close().await;
        disk.control.close().await;
        disk.semantic.close().await;
        disk.jobs.close().await;
    }
}

impl Inner {
    fn new(journal: Journal, disk: Option<Disk>) -> Self {
        let (keys, reviews, calibrations, drift, rollouts) = Default::default();
        Self { journal, keys, reviews, calibrations, drift, rollouts, disk }
    }

    async fn flush(&self) -> Result<(), StoreError> {
        match self.disk.as_ref().and_then(|disk| disk.ingest.as_ref()) {
            Some(ingest) => ingest.reach(self.journal.state().written).await,
            None => Ok(()),
        }
    }

    /// Says of every answer that was drawn for judging, and that the last process ended before anybody
    /// judged it, that it was skipped.
    async fn close_unscored(&self) -> Result<(), StoreError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        for (team, id) in disk.records.unscored().await? {
            let Some(record) = disk.records.execution(&team, id).await? else { continue };
            let (Some(intent), Some(probability)) = (record.intent, record.judged) else { continue };
            let reason = "the server ended before the answer was judged".to_owned();
            let score = Score {
                execution: record.execution,
                team: record.team,
                intent,
                lineage: record.lineage,
                evaluator: "judge".into(),
                probability,
                drawn: true,
                at_us: now_us(),
                judge: None,
                result: ScoreResult::Skipped { reason },
            };
            self.journal.append(&Entry::Score(Box::new(score)))?.await?;
        }
        self.flush().await
    }

    /// Gives every stream that the last process left open its record.
    async fn close_orphans(&self) -> Result<(), StoreError> {
        self.flush().await?;
        let Some(disk) = &self.disk else { return Ok(()) };
        for opened in disk.records.opened().await? {
            tracing::warn!(execution = %opened.execution, "closed as interrupted: the last process ended before it did");
            self.journal.append(&Entry::Finished(Box::new(opened.interrupted())))?.await?;
        }
        self.flush().await
    }
}

/// The wall clock, Unix microseconds; keys expire by it.
fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Records of a product are no part of its repository. Only where the folder is made here: one that
/// was there may hold other things.
fn keep_out_of_git(dir: &std::path::Path) {
    if let Err(error) = std::fs::write(dir.join(".gitignore"), "*\n") {
        tracing::debug!(%error, "no .gitignore in the store's folder");
    }
}
