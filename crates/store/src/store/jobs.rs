//! `jobs.db`: jobs, their items and results. It holds content until the intent's `keep` has passed.
//!
//! Several processes may hand in jobs; the one that holds the journal works on them. What an item was
//! answered is in its record before it is here, so a result that a crash loses is found again.

use std::path::Path;

use baton_core::{IntentName, JobId, NanoUsd, TeamId};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{FromRow, QueryBuilder, Sqlite, Transaction};

use super::Store;
use super::prune::Retention;
use super::records::write_options;
use crate::{BatchState, ItemChange, ItemInput, ItemState, Job, JobBatch, JobItem, JobResult, JobState, StoreError};

/// The file, once for what must survive the loss of power, once for what its records prove anyway.
#[derive(Clone)]
pub(crate) struct Jobs {
    pub(super) safe: SqlitePool,
    fast: SqlitePool,
}

/// Jobs of a page at most.
const PAGE_MAX: u32 = 1000;
/// Bytes of a page of results, about.
const PAGE_BYTES: i64 = 4 << 20;
/// The longest that the items of a job may take to arrive.
const ARRIVING_US: i64 = 3_600_000_000;

#[derive(FromRow)]
struct Row {
    id: Vec<u8>,
    team: String,
    intent: String,
    state: i64,
    created_us: i64,
    ended_us: Option<i64>,
    items: u32,
    succeeded: u32,
    failed: u32,
    cost: i64,
    cost_known: bool,
    waits: Option<String>,
    key_hash: Option<String>,
    body_hash: Option<String>,
    job: String,
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        Self {
            id: JobId::from_bytes(row.id.try_into().unwrap_or_default()),
            team: TeamId::new(&row.team),
            intent: IntentName::new(&row.intent),
            state: JobState::of(row.state),
            created_us: row.created_us,
            ended_us: row.ended_us,
            items: row.items,
            succeeded: row.succeeded,
            failed: row.failed,
            cost: NanoUsd(row.cost),
            cost_known: row.cost_known,
            waits: row.waits,
            handed_in: row.key_hash.zip(row.body_hash),
            terms: row.job,
        }
    }
}

impl Jobs {
    pub(crate) async fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = StoreError::database("open jobs.db");
        let pool = |synchronous| {
            let options = write_options(&dir.join("jobs.db")).synchronous(synchronous);
            SqlitePoolOptions::new().max_connections(2).connect_with(options)
        };
        let safe = pool(SqliteSynchronous::Full).await.map_err(&failed)?;
        let migrated = sqlx::migrate!("migrations/jobs").run(&safe).await;
        migrated.map_err(|error| StoreError::database("migrate jobs.db")(error.into()))?;
        Ok(Self { safe, fast: pool(SqliteSynchronous::Normal).await.map_err(&failed)? })
    }

    pub(crate) async fn close(&self) {
        self.fast.close().await;
        self.safe.close().await;
    }
}

/// What one deletes of a job.
async fn delete(transaction: &mut Transaction<'_, Sqlite>, id: &[u8]) -> Result<(), sqlx::Error> {
    for statement in
        ["DELETE FROM items WHERE job = ?", "DELETE FROM batches WHERE job = ?", "DELETE FROM jobs WHERE id = ?"]
    {
        sqlx::query(statement).bind(id).execute(&mut **transaction).await?;
    }
    Ok(())
}

impl Store {
    /// Jobs are kept on disk only: what cannot be resumed is no job.
    fn jobs_db(&self) -> Result<&Jobs, StoreError> {
        self.0.disk.as_ref().map(|disk| &disk.jobs).ok_or(StoreError::NoJobs)
    }

    /// Begins a job whose items follow ([`Store::add_items`]); nobody works on it before
    /// [`Store::open_job`].
    ///
    /// # Errors
    /// [`StoreError::NoJobs`]; what the database says.
    pub async fn begin_job(&self, job: &Job) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO jobs VALUES (?, ?, ?, ?, ?, NULL, 0, 0, 0, 0, 1, 0, NULL, NULL, NULL, ?)")
            .bind(job.id.as_bytes().as_slice())
            .bind(job.team.as_str())
            .bind(job.intent.as_str())
            .bind(JobState::Arriving.number())
            .bind(job.created_us)
            .bind(&job.terms)
            .execute(&self.jobs_db()?.fast)
            .await
            .map(drop)
            .map_err(StoreError::database("begin a job"))
    }

    /// Adds items from this place on, each as JSON.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_items(&self, id: JobId, first: u32, inputs: &[ItemInput]) -> Result<(), StoreError> {
        let failed = StoreError::database("add items to a job");
        let mut transaction = self.jobs_db()?.fast.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        for (place, (input, subject)) in (first..).zip(inputs) {
            sqlx::query("INSERT INTO items VALUES (?, ?, 0, 0, 0, ?, NULL, NULL, ?)")
                .bind(id.as_bytes().as_slice())
                .bind(place)
                .bind(input)
                .bind(subject.map(|subject| subject.as_bytes().to_vec()))
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }

    /// All of its items are there, and it survives from now on whatever happens. Where the same was
    /// handed in before under the same name, that job is given instead.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_job(
        &self,
        job: &Job,
        items: u32,
        handed_in: Option<&(String, String)>,
    ) -> Result<Option<Job>, StoreError> {
        let failed = StoreError::database("hand in a job");
        let mut transaction = self.jobs_db()?.safe.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        if let Some((key, _)) = handed_in {
            let before: Option<Row> = sqlx::query_as("SELECT * FROM jobs WHERE team = ? AND key_hash = ?")
                .bind(job.team.as_str())
                .bind(key)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(&failed)?;
            if let Some(before) = before {
                delete(&mut transaction, job.id.as_bytes()).await.map_err(&failed)?;
                transaction.commit().await.map_err(&failed)?;
                return Ok(Some(before.into()));
            }
        }
        sqlx::query("UPDATE jobs SET state = 1, items = ?, key_hash = ?, body_hash = ? WHERE id = ?")
            .bind(items)
            .bind(handed_in.map(|(key, _)| key))
            .bind(handed_in.map(|(_, body)| body))
            .bind(job.id.as_bytes().as_slice())
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)?;
        Ok(None)
    }

    /// A team's job.
    ///
    /// # Errors
    /// What the database says.
    pub async fn job(&self, team: &TeamId, id: JobId) -> Result<Option<Job>, StoreError> {
        let row: Option<Row> = sqlx::query_as("SELECT * FROM jobs WHERE id = ? AND team = ?")
            .bind(id.as_bytes().as_slice())
            .bind(team.as_str())
            .fetch_optional(&self.jobs_db()?.fast)
            .await
            .map_err(StoreError::database("read a job"))?;
        Ok(row.map(Job::from))
    }

    /// Jobs of one team, or all; the latest first, before this one.
    ///
    /// # Errors
    /// What the database says.
    pub async fn jobs(&self, team: Option<&TeamId>, before: Option<JobId>, limit: u32) -> Result<Vec<Job>, StoreError> {
        let mut query = QueryBuilder::new("SELECT * FROM jobs WHERE id < ");
        query.push_bind(before.map_or(vec![0xff; 16], |id| id.as_bytes().to_vec()));
        if let Some(team) = team {
            query.push(" AND team = ").push_bind(team.as_str().to_owned());
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit.min(PAGE_MAX));
        let rows: Vec<Row> =
            query.build_query_as().fetch_all(&self.jobs_db()?.fast).await.map_err(StoreError::database("list jobs"))?;
        Ok(rows.into_iter().map(Job::from).collect())
    }

    /// Every job that is to be worked on, the oldest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_jobs(&self) -> Result<Vec<Job>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as("SELECT * FROM jobs WHERE state = 1 ORDER BY id")
            .fetch_all(&self.jobs_db()?.fast)
            .await
            .map_err(StoreError::database("look for jobs"))?;
        Ok(rows.into_iter().map(Job::from).collect())
    }

    /// How many of a team's jobs are not over.
    ///
    /// # Errors
    /// What the database says.
    pub async fn open_jobs_of(&self, team: &TeamId) -> Result<u32, StoreError> {
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state < 2 AND team = ?")
            .bind(team.as_str())
            .fetch_one(&self.jobs_db()?.fast)
            .await
            .map_err(StoreError::database("count jobs"))
    }

    /// Begins to work on a job. False where somebody did before, who may have asked items whose results
    /// are not here.
    ///
    /// # Errors
    /// What the database says.
    pub async fn take_job(&self, id: JobId) -> Result<bool, StoreError> {
        let taken = sqlx::query("UPDATE jobs SET taken = 1 WHERE id = ? AND taken = 0")
            .bind(id.as_bytes().as_slice())
            .execute(&self.jobs_db()?.safe)
            .await
            .map_err(StoreError::database("take a job"))?;
        Ok(taken.rows_affected() == 1)
    }

    /// The first items after this place that wait, while the job is worked on.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_items(&self, id: JobId, after: Option<u32>, limit: u32) -> Result<Vec<JobItem>, StoreError> {
        let rows: Vec<(u32, u32, u32, String, Option<String>)> = sqlx::query_as(
            "SELECT place, round, tries, input, reply FROM items
             WHERE job = ?1 AND place > ?2 AND state = 0 AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND state = 1)
             ORDER BY place LIMIT ?3",
        )
        .bind(id.as_bytes().as_slice())
        .bind(after.map_or(-1, i64::from))
        .bind(limit)
        .fetch_all(&self.jobs_db()?.fast)
        .await
        .map_err(StoreError::database("look for a job's next items"))?;
        let item = |(place, round, tries, input, reply)| JobItem { place, round, tries, input, reply };
        Ok(rows.into_iter().map(item).collect())
    }

    /// Keeps what became of items, all of it or nothing. One that has its result keeps it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn change_items(&self, id: JobId, changes: &[ItemChange]) -> Result<(), StoreError> {
        let failed = StoreError::database("keep the results of a job's items");
        let mut transaction = self.jobs_db()?.fast.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let (mut succeeded, mut ended, mut cost, mut known) = (0_i64, 0_i64, 0_i64, true);
        for change in changes {
            let query = match &change.now {
                ItemState::Waits { round, tries } => {
                    let sql =
                        "UPDATE items SET round = ?, tries = ?, reply = NULL WHERE job = ? AND place = ? AND state = 0";
                    sqlx::query(sql).bind(*round).bind(*tries)
                }
                ItemState::Ended(result) => {
                    let sql = "UPDATE items SET state = ?, result = ?, input = NULL, reply = NULL
                               WHERE job = ? AND place = ? AND state = 0";
                    sqlx::query(sql).bind(if result.succeeded { 1_i64 } else { 2 }).bind(&result.result)
                }
            };
            let query = query.bind(id.as_bytes().as_slice()).bind(change.place);
            let changed = query.execute(&mut *transaction).await.map_err(&failed)?.rows_affected() == 1;
            if changed {
                cost = cost.saturating_add(change.cost.cost.0);
                known &= change.cost.known;
                if let ItemState::Ended(result) = &change.now {
                    ended += 1;
                    succeeded += i64::from(result.succeeded);
                }
            }
        }
        sqlx::query(
            "UPDATE jobs SET succeeded = succeeded + ?, failed = failed + ?, cost = cost + ?,
             cost_known = cost_known AND ? WHERE id = ?",
        )
        .bind(succeeded)
        .bind(ended - succeeded)
        .bind(cost)
        .bind(known)
        .bind(id.as_bytes().as_slice())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Says why none of a job's items is begun, or that they are.
    ///
    /// # Errors
    /// What the database says.
    pub async fn job_waits(&self, id: JobId, why: Option<&str>) -> Result<(), StoreError> {
        sqlx::query("UPDATE jobs SET waits = ? WHERE id = ?")
            .bind(why)
            .bind(id.as_bytes().as_slice())
            .execute(&self.jobs_db()?.fast)
            .await
            .map(drop)
            .map_err(StoreError::database("say why a job waits"))
    }

    /// A job is done, if each of its items is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn end_job(&self, id: JobId, now_us: i64) -> Result<(), StoreError> {
        sqlx::query(
            "UPDATE jobs SET state = 2, ended_us = ?, waits = NULL
             WHERE id = ? AND state = 1 AND succeeded + failed = items",
        )
        .bind(now_us)
        .bind(id.as_bytes().as_slice())
        .execute(&self.jobs_db()?.safe)
        .await
        .map(drop)
        .map_err(StoreError::database("end a job"))
    }

    /// Begins no more of a job's items. One that is over stays as it is.
    ///
    /// # Errors
    /// What the database says.
    pub async fn cancel_job(&self, team: &TeamId, id: JobId, now_us: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE jobs SET state = 3, ended_us = ?, waits = NULL WHERE id = ? AND team = ? AND state < 2")
            .bind(now_us)
            .bind(id.as_bytes().as_slice())
            .bind(team.as_str())
            .execute(&self.jobs_db()?.safe)
            .await
            .map(drop)
            .map_err(StoreError::database("cancel a job"))
    }

    /// Deletes a job with its items and results.
    ///
    /// # Errors
    /// What the database says.
    pub async fn delete_job(&self, team: &TeamId, id: JobId) -> Result<(), StoreError> {
        let failed = StoreError::database("delete a job");
        if self.job(team, id).await?.is_none() {
            return Ok(());
        }
        let mut transaction = self.jobs_db()?.safe.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        delete(&mut transaction, id.as_bytes()).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    /// Results from this place on, in the order of the items, as many as fit 4 MiB or so; those that
    /// have none yet are left out.
    ///
    /// # Errors
    /// What the database says.
    pub async fn job_results(&self, id: JobId, from: u32, limit: u32) -> Result<Vec<JobResult>, StoreError> {
        let rows: Vec<(u32, i64, String)> = sqlx::query_as(
            "SELECT place, state, result FROM (
                 SELECT *, sum(length(result)) OVER (ORDER BY place) - length(result) AS before FROM (
                     SELECT place, state, result FROM items WHERE job = ? AND place >= ? AND state > 0
                     ORDER BY place LIMIT ?
                 )
             ) WHERE before < ? ORDER BY place",
        )
        .bind(id.as_bytes().as_slice())
        .bind(from)
        .bind(limit.min(PAGE_MAX))
        .bind(PAGE_BYTES)
        .fetch_all(&self.jobs_db()?.fast)
        .await
        .map_err(StoreError::database("read the results of a job"))?;
        let result = |(place, state, result)| JobResult { place, succeeded: state == 1, result };
        Ok(rows.into_iter().map(result).collect())
    }

    /// Deletes jobs that are older than their intent's `keep`, over or not: they hold content. And those
    /// whose items did not all arrive, as the process that took them ended.
    pub(super) async fn prune_jobs(&self, retention: &Retention, now_us: i64) -> Result<(), StoreError> {
        let failed = StoreError::database("delete old jobs");
        let jobs = self.jobs_db()?;
        let all: Vec<(Vec<u8>, String, i64, i64)> = sqlx::query_as("SELECT id, intent, state, created_us FROM jobs")
            .fetch_all(&jobs.fast)
            .await
            .map_err(&failed)?;
        for (id, intent, state, created_us) in all {
            let unfinished = JobState::of(state) == JobState::Arriving && created_us < now_us - ARRIVING_US;
            if unfinished || created_us < retention.cutoff_us(&intent, now_us) {
                let mut transaction = jobs.safe.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
                delete(&mut transaction, &id).await.map_err(&failed)?;
                transaction.commit().await.map_err(&failed)?;
            }
        }
        Ok(())
    }
}

type BatchRow = (u32, String, u32, u32, i64, i64, i64, Option<String>, Option<String>, Option<String>);

/// What a job has at a provider.
impl Store {
    /// Writes down how far a batch is, before the next step is taken: it survives whatever happens.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keep_batch(&self, id: JobId, batch: &JobBatch) -> Result<(), StoreError> {
        sqlx::query("INSERT OR REPLACE INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(id.as_bytes().as_slice())
            .bind(batch.number)
            .bind(&batch.model)
            .bind(batch.first)
            .bind(batch.last)
            .bind(batch.state.number())
            .bind(batch.begun_us)
            .bind(batch.held.0)
            .bind(batch.file.as_ref())
            .bind(batch.batch.as_ref())
            .bind(batch.told.as_ref())
            .execute(&self.jobs_db()?.safe)
            .await
            .map(drop)
            .map_err(StoreError::database("keep a batch"))
    }

    /// The batches of a job, in their order.
    ///
    /// # Errors
    /// What the database says.
    pub async fn batches(&self, id: JobId) -> Result<Vec<JobBatch>, StoreError> {
        let rows: Vec<BatchRow> = sqlx::query_as(
            "SELECT number, model, first, last, state, begun_us, held, file, batch, told FROM batches WHERE job = ?
             ORDER BY number",
        )
        .bind(id.as_bytes().as_slice())
        .fetch_all(&self.jobs_db()?.fast)
        .await
        .map_err(StoreError::database("read the batches of a job"))?;
        let batch = |(number, model, first, last, state, begun_us, held, file, batch, told): BatchRow| JobBatch {
            number,
            model,
            first,
            last,
            state: BatchState::of(state),
            begun_us,
            held: NanoUsd(held),
            file,
            batch,
            told,
        };
        Ok(rows.into_iter().map(batch).collect())
    }

    /// Keeps what a batch replied to these items, until each is judged.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_replies(&self, id: JobId, replies: &[(u32, String)]) -> Result<(), StoreError> {
        let failed = StoreError::database("keep what a batch answered");
        let mut transaction = self.jobs_db()?.safe.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        for (place, reply) in replies {
            sqlx::query("UPDATE items SET reply = ? WHERE job = ? AND place = ? AND state = 0 AND round = 0")
                .bind(reply)
                .bind(id.as_bytes().as_slice())
                .bind(place)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}
