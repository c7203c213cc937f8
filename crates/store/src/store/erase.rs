//! A person is erased: what the databases hold of them goes, what sums and evidence are made of stays.
//!
//! The journal says who, and ingestion does it in the journal's order: what was recorded before has come
//! into the databases by then, and what the process did not live to finish is done by the next one. Every
//! step may be done again.

use baton_core::{ExecutionId, Record, ReviewItem, ScoreResult, SubjectHash, TeamId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Connection as _, Sqlite, Transaction};

use super::ingest::Others;
use super::jobs::Jobs;
use super::pack::{self, Packer};
use super::prune::Old;
use super::{Store, records};
use crate::{Entry, Erased, Opened, StoreError};

/// Records that are erased together.
const SOME: u32 = 200;

/// What went of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ErasedCounts {
    /// Records that lost what they say of them.
    pub records: u64,
    /// Corrections, final outputs and comments of feedback.
    pub feedback: u64,
    /// Labels that lost their correction or comment.
    pub labels: u64,
    /// Records that people had labelled, with words or without.
    pub labelled: u64,
    /// Entries of the semantic cache in its database.
    pub semantic: u64,
    /// Items of jobs, answered or not.
    pub items: u64,
}

impl ErasedCounts {
    /// Takes the words out of what people said of an answer, and counts them.
    pub(super) fn forget(&mut self, item: &mut ReviewItem, erased: Option<&Erased>) {
        let words = item.labels.iter().filter(|label| label.correction.is_some() || label.comment.is_some());
        self.labels += words.count() as u64;
        self.labelled += 1;
        match erased {
            Some(erased) => item.erase(|name| erased.is(name)),
            None => item.forget_content(),
        }
    }
}

type Body = (i64, Vec<u8>, Vec<u8>);

/// Does to the databases what the entry of this sequence says.
pub(super) async fn erase(
    writer: &mut SqliteConnection,
    others: &Others,
    (sequence, erased): (u64, &Erased),
) -> Result<(), StoreError> {
    let mut counts = ErasedCounts::default();
    loop {
        let page = of_subject(writer, erased).await?;
        if page.is_empty() {
            break;
        }
        erase_page(writer, others, (page, erased), &mut counts).await?;
    }
    let mut after = 0;
    loop {
        let page = unnamed(writer, erased, after).await?;
        let Some((last, ..)) = page.last() else { break };
        after = *last;
        erase_page(writer, others, (theirs(page, erased)?, erased), &mut counts).await?;
    }
    counts.items = erase_items(&others.jobs, erased).await?;
    counts.semantic = others.semantic.erase(erased.subject).await?;
    finish(writer, (sequence, erased), &counts).await
}

/// Records that say whom they are about.
async fn of_subject(writer: &mut SqliteConnection, erased: &Erased) -> Result<Vec<Body>, StoreError> {
    sqlx::query_as("SELECT row, id, record FROM executions JOIN bodies USING (row) WHERE subject = ? LIMIT ?")
        .bind(erased.subject.as_bytes().as_slice())
        .bind(SOME)
        .fetch_all(writer)
        .await
        .map_err(StoreError::database("look for a person's records"))
}

/// The team's records from before records said so, after this row.
async fn unnamed(writer: &mut SqliteConnection, erased: &Erased, after: i64) -> Result<Vec<Body>, StoreError> {
    sqlx::query_as(
        "SELECT row, id, record FROM executions JOIN bodies USING (row)
         WHERE row > ? AND row <= (SELECT unnamed FROM progress) AND team = ? ORDER BY row LIMIT ?",
    )
    .bind(after)
    .bind(erased.team.as_str())
    .bind(SOME)
    .fetch_all(writer)
    .await
    .map_err(StoreError::database("look for a person's older records"))
}

fn theirs(page: Vec<Body>, erased: &Erased) -> Result<Vec<Body>, StoreError> {
    #[derive(Deserialize)]
    struct About {
        subject: Option<String>,
    }
    let is = |body: &[u8]| {
        let about: About =
            serde_json::from_slice(&pack::json(body, "a record")?).map_err(StoreError::corrupt("a record"))?;
        Ok::<_, StoreError>(about.subject.is_some_and(|subject| erased.is(&subject)))
    };
    let mut theirs = Vec::new();
    for body in page {
        if is(&body.2)? {
            theirs.push(body);
        }
    }
    Ok(theirs)
}

async fn erase_page(
    writer: &mut SqliteConnection,
    others: &Others,
    (page, erased): (Vec<Body>, &Erased),
    counts: &mut ErasedCounts,
) -> Result<(), StoreError> {
    let ids: Vec<Old> = page.iter().map(|(row, id, _)| (*row, id.clone())).collect();
    // First: once a record is erased nothing leads to it any more.
    let said = others.control.erase(&ids, erased).await?;
    let failed = StoreError::database("erase a person's records");
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    for body in &page {
        erase_record(&mut transaction, body, erased).await?;
    }
    transaction.commit().await.map_err(&failed)?;
    counts.records += page.len() as u64;
    counts.feedback += said.feedback;
    counts.labels += said.labels;
    counts.labelled += said.labelled;
    Ok(())
}

async fn erase_record(
    transaction: &mut Transaction<'_, Sqlite>,
    (row, id, body): &Body,
    erased: &Erased,
) -> Result<(), StoreError> {
    let failed = StoreError::database("erase a person's record");
    let mut record: Record = pack::unpack(body)?;
    if let Some(call) = &record.idempotency {
        let repeat = sqlx::query("DELETE FROM idempotency WHERE team = ? AND key = ? AND id = ?");
        let repeat = repeat.bind(record.team.as_str()).bind(&call.key).bind(id);
        repeat.execute(&mut **transaction).await.map_err(&failed)?;
    }
    record.erase(erased.at_us);
    let json = serde_json::to_vec(&record).map_err(StoreError::corrupt("a record"))?;
    let update = sqlx::query("UPDATE bodies SET record = ? WHERE row = ?").bind(Packer::default().pack(&json));
    update.bind(row).execute(&mut **transaction).await.map_err(&failed)?;
    let update = sqlx::query("UPDATE executions SET subject = NULL WHERE row = ?").bind(row);
    update.execute(&mut **transaction).await.map_err(&failed)?;
    let scores: Vec<(String, String)> = sqlx::query_as("SELECT evaluator, score FROM scores WHERE execution = ?")
        .bind(id)
        .fetch_all(&mut **transaction)
        .await
        .map_err(&failed)?;
    for (evaluator, json) in scores {
        let mut score: baton_core::Score = serde_json::from_str(&json).map_err(StoreError::corrupt("a score"))?;
        if matches!(score.result, ScoreResult::Scored { .. }) {
            continue;
        }
        score.result.erase();
        sqlx::query("UPDATE scores SET score = ? WHERE execution = ? AND evaluator = ?")
            .bind(serde_json::to_string(&score).map_err(StoreError::corrupt("a score"))?)
            .bind(id)
            .bind(evaluator)
            .execute(&mut **transaction)
            .await
            .map_err(&failed)?;
    }
    Ok(())
}

/// What is about them in jobs: an item that waits is over, one that has its result has it no more. How many.
async fn erase_items(jobs: &Jobs, erased: &Erased) -> Result<u64, StoreError> {
    let failed = StoreError::database("erase a person from jobs.db");
    let mut transaction = jobs.safe.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    let items: Vec<(Vec<u8>, u32, i64)> = sqlx::query_as("SELECT job, place, state FROM items WHERE subject = ?")
        .bind(erased.subject.as_bytes().as_slice())
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
    for (job, place, state) in &items {
        let result = json!({ "place": place, "status": "erased", "erasedAtMs": erased.at_us / 1000 });
        sqlx::query(
            "UPDATE items SET state = iif(state = 0, 2, state), input = NULL, reply = NULL, subject = NULL, result = ?
             WHERE job = ? AND place = ?",
        )
        .bind(result.to_string())
        .bind(job)
        .bind(place)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        if *state == 0 {
            let failed_one = sqlx::query("UPDATE jobs SET failed = failed + 1 WHERE id = ?").bind(job);
            failed_one.execute(&mut *transaction).await.map_err(&failed)?;
        }
    }
    transaction.commit().await.map_err(&failed)?;
    Ok(items.len() as u64)
}

/// The rest, with what went, and that the journal is ingested so far.
async fn finish(
    writer: &mut SqliteConnection,
    (sequence, erased): (u64, &Erased),
    counts: &ErasedCounts,
) -> Result<(), StoreError> {
    let failed = StoreError::database("note that a person was erased");
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    let opened: Vec<(Vec<u8>, String)> =
        sqlx::query_as("SELECT id, entry FROM opened").fetch_all(&mut *transaction).await.map_err(&failed)?;
    for (id, json) in opened {
        let mut opened: Opened = serde_json::from_str(&json).map_err(StoreError::corrupt("an open execution"))?;
        if opened.team != erased.team || !opened.subject.as_ref().is_some_and(|subject| erased.is(subject)) {
            continue;
        }
        opened.erase();
        let json = serde_json::to_string(&opened).map_err(StoreError::corrupt("an open execution"))?;
        let update = sqlx::query("UPDATE opened SET entry = ? WHERE id = ?").bind(json).bind(id);
        update.execute(&mut *transaction).await.map_err(&failed)?;
    }
    sqlx::query("INSERT INTO erasures VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
        .bind(erased.subject.as_bytes().as_slice())
        .bind(erased.at_us)
        .bind(erased.team.as_str())
        .bind(erased.by.as_ref().map(|by| by.as_str()))
        .bind(serde_json::to_string(counts).map_err(StoreError::corrupt("what went of a person"))?)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    sqlx::query("UPDATE progress SET sequence = ?")
        .bind(sequence.cast_signed())
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    transaction.commit().await.map_err(&failed)
}

/// Copies a database's log into it and empties the log, where nobody reads meanwhile: what was erased would
/// else stand in it until it is written over.
async fn empty_log(pool: &SqlitePool) {
    let failed = StoreError::database("empty the log of a database");
    let mut connection = match pool.acquire().await.map_err(&failed) {
        Ok(connection) => connection,
        Err(error) => return tracing::warn!(%error, "what was erased stays in a database's log for now"),
    };
    checkpoint(&mut connection).await;
}

pub(super) async fn checkpoint(connection: &mut SqliteConnection) {
    let done: Result<(i64, i64, i64), _> =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(connection).await;
    match done {
        Ok((0, ..)) => {}
        Ok(_) => tracing::warn!("a database is being read: what was erased stays in its log until a later checkpoint"),
        Err(error) => tracing::warn!(%error, "what was erased stays in a database's log for now"),
    }
}

impl Store {
    /// Erases a person from the store: journals that, and does it. What went.
    ///
    /// # Errors
    /// What the journal and the databases say. Where the journal took it, it is done all the same, at the
    /// next start if need be.
    pub async fn erase(&self, erased: Erased) -> Result<ErasedCounts, StoreError> {
        let entry = Entry::Erased(erased);
        self.journal().append(&entry)?.await?;
        let Entry::Erased(erased) = entry else { return Ok(ErasedCounts::default()) };
        self.erased(&erased).await
    }

    /// Waits until the databases have done what the journal says of this person, until the journal's files
    /// from before are gone, and until the databases' logs are. What went.
    ///
    /// # Errors
    /// What the databases say: then ingestion does it as soon as it can.
    pub async fn erased(&self, erased: &Erased) -> Result<ErasedCounts, StoreError> {
        let Some(disk) = &self.0.disk else { return Ok(self.erased_in_memory(erased)) };
        let ingest = disk.ingest.as_ref().ok_or(StoreError::Closed)?;
        self.flush().await?;
        let counts = disk.records.erasure(erased.subject, erased.at_us).await?;
        self.0.journal.rotated().await;
        ingest.settle().await?;
        for pool in [disk.control.pool(), disk.semantic.pool(), &disk.jobs.safe] {
            empty_log(pool).await;
        }
        Ok(counts)
    }

    /// Somebody spoke of an execution: where a person was erased just then, of their words nothing stays.
    pub(super) async fn forget_if_erased(&self, team: &TeamId, id: ExecutionId) -> Result<(), StoreError> {
        let Some(disk) = &self.0.disk else { return Ok(()) };
        let record = self.execution(team, id).await?;
        if record.is_some_and(|record| record.erased_at_us.is_some()) {
            disk.control.forget_content(&[(0, id.as_bytes().to_vec())]).await?;
        }
        Ok(())
    }

    /// What there is of this person on disk, and nothing is changed: records, items of jobs, entries of the
    /// semantic cache. What people said of them is not counted, nor what is not ingested yet.
    ///
    /// # Errors
    /// What the databases say.
    pub async fn about(&self, erased: &Erased) -> Result<ErasedCounts, StoreError> {
        let Some(disk) = &self.0.disk else { return Ok(ErasedCounts::default()) };
        let count = async |pool: &SqlitePool, sql: &'static str| {
            let count = sqlx::query_scalar(sql).bind(erased.subject.as_bytes().as_slice()).fetch_one(pool).await;
            count.map(i64::unsigned_abs).map_err(StoreError::database("count what there is of a person"))
        };
        let mut records = count(disk.records.pool(), "SELECT count(*) FROM executions WHERE subject = ?").await?;
        let opened = disk.records.pool().acquire().await;
        let mut connection = opened.map_err(StoreError::database("count what there is of a person"))?;
        let mut after = 0;
        loop {
            let page = unnamed(&mut connection, erased, after).await?;
            let Some((last, ..)) = page.last() else { break };
            after = *last;
            records += theirs(page, erased)?.len() as u64;
        }
        let items = count(&disk.jobs.safe, "SELECT count(*) FROM items WHERE subject = ?").await?;
        let semantic = count(disk.semantic.pool(), "SELECT count(*) FROM entries WHERE subject = ?").await?;
        Ok(ErasedCounts { records, items, semantic, ..ErasedCounts::default() })
    }

    fn erased_in_memory(&self, erased: &Erased) -> ErasedCounts {
        let Some(memory) = self.0.journal.as_memory() else { return ErasedCounts::default() };
        let records = memory.take_erased(erased);
        ErasedCounts { records: records.len() as u64, ..self.forget_in_memory(&records, erased) }
    }
}

impl records::Records {
    async fn erasure(&self, subject: SubjectHash, at_us: i64) -> Result<ErasedCounts, StoreError> {
        let json: Option<String> = sqlx::query_scalar("SELECT counts FROM erasures WHERE subject = ? AND at_us = ?")
            .bind(subject.as_bytes().as_slice())
            .bind(at_us)
            .fetch_optional(self.pool())
            .await
            .map_err(StoreError::database("read what went of a person"))?;
        let parsed = json.map(|json| serde_json::from_str(&json)).transpose();
        parsed.map(Option::unwrap_or_default).map_err(StoreError::corrupt("what went of a person"))
    }
}
