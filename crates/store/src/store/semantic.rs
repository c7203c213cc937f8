//! `semantic.db`: the semantic cache's entries and evidence, so that they survive a restart. One process
//! writes, in batches and never on a request's path; others may read.

use std::path::Path;

use baton_core::{ExecutionId, IntentName, ReviewItem, SubjectHash, TeamId};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::Store;
use super::pack::{self, Packer};
use super::records::write_options;
use crate::{Label, StoreError};

/// One remembered answer with the vector of its input.
#[derive(Clone, Debug, PartialEq)]
pub struct SemanticEntry {
    /// The execution whose answer it is.
    pub execution: ExecutionId,
    /// Whose.
    pub team: TeamId,
    /// Of which intent.
    pub intent: IntentName,
    /// What made the vector: vectors of two embeddings mean nothing to each other.
    pub embedding: String,
    /// When it was given, Unix microseconds.
    pub at_us: i64,
    /// When it is deleted, Unix microseconds.
    pub expires_us: i64,
    /// The vector, of unit length. It comes back with the precision of a byte for each number.
    pub vector: Vec<f32>,
    /// Input, answer, and where it belongs, as JSON.
    pub body: String,
    /// Whom the input is about.
    pub subject: Option<SubjectHash>,
}

/// The evidence of one team's intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SemanticEvidence {
    /// Whose.
    pub team: TeamId,
    /// Of which intent,
    pub intent: IntentName,
    /// of which lineage of it,
    pub lineage: String,
    /// and by which embedding.
    pub embedding: String,
    /// When it was written, Unix microseconds.
    pub at_us: i64,
    /// Labels that were given until then are in it, Unix microseconds.
    pub heard_us: i64,
    /// What was learnt, as JSON.
    pub state: String,
}

/// What is written together.
#[derive(Clone, Debug, Default)]
pub struct SemanticChanges {
    /// New ones; one of the same execution is replaced.
    pub entries: Vec<SemanticEntry>,
    /// Those that are gone.
    pub gone: Vec<ExecutionId>,
    /// As it stands now.
    pub evidence: Vec<SemanticEvidence>,
}

impl SemanticChanges {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.gone.is_empty() && self.evidence.is_empty()
    }
}

/// The file.
#[derive(Clone)]
pub(crate) struct Semantic(SqlitePool);

type EntryRow = (Vec<u8>, String, String, String, i64, i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>);
type EvidenceRow = (String, String, String, String, i64, i64, Vec<u8>);

impl Semantic {
    pub(crate) async fn open(dir: &Path) -> Result<Self, StoreError> {
        let options = write_options(&dir.join("semantic.db")).synchronous(SqliteSynchronous::Normal);
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await;
        let pool = pool.map_err(StoreError::database("open semantic.db"))?;
        let migrated = sqlx::migrate!("migrations/semantic").run(&pool).await;
        migrated.map_err(|error| StoreError::database("migrate semantic.db")(error.into()))?;
        Ok(Self(pool))
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    async fn write(&self, changes: &SemanticChanges) -> Result<(), StoreError> {
        let failed = StoreError::database("keep the semantic cache");
        let mut connection = self.0.acquire().await.map_err(&failed)?;
        let done = write(&mut connection, changes).await.map_err(&failed);
        if done.is_err() {
            // SQLite may have ended the transaction by itself (a full disk); the connection cannot know.
            drop(connection.detach());
        }
        done
    }

    async fn entries(&self, before: Option<ExecutionId>, limit: usize) -> Result<Vec<SemanticEntry>, StoreError> {
        let before = before.map_or([0xff; 16], |id| *id.as_bytes());
        let rows: Vec<EntryRow> = sqlx::query_as(
            "SELECT execution, team, intent, embedding, at_us, expires_us, vector, body, subject FROM entries
             WHERE execution < ? ORDER BY execution DESC LIMIT ?",
        )
        .bind(before.as_slice())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.0)
        .await
        .map_err(StoreError::database("read the semantic cache"))?;
        rows.into_iter().map(entry).collect()
    }

    async fn evidence(&self) -> Result<Vec<SemanticEvidence>, StoreError> {
        let rows: Vec<EvidenceRow> = sqlx::query_as(
            "SELECT team, intent, lineage, embedding, at_us, heard_us, state FROM states
             ORDER BY intent, team, lineage, embedding",
        )
        .fetch_all(&self.0)
        .await
        .map_err(StoreError::database("read the evidence of the semantic cache"))?;
        let read = |(team, intent, lineage, embedding, at_us, heard_us, state): EvidenceRow| {
            let state = text(&state, "the evidence of the semantic cache")?;
            let (team, intent) = (TeamId::new(&team), IntentName::new(&intent));
            Ok(SemanticEvidence { team, intent, lineage, embedding, at_us, heard_us, state })
        };
        rows.into_iter().map(read).collect()
    }

    async fn counts(&self, now_us: i64) -> Result<Vec<(TeamId, IntentName, u64)>, StoreError> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT team, intent, count(*) FROM entries WHERE expires_us > ? GROUP BY intent, team ORDER BY intent, team",
        )
        .bind(now_us)
        .fetch_all(&self.0)
        .await
        .map_err(StoreError::database("count the entries of the semantic cache"))?;
        let read = |(team, intent, count): (String, String, i64)| {
            (TeamId::new(&team), IntentName::new(&intent), count.unsigned_abs())
        };
        Ok(rows.into_iter().map(read).collect())
    }

    /// Deletes what is about a person; how many entries went.
    pub(super) async fn erase(&self, subject: SubjectHash) -> Result<u64, StoreError> {
        let delete = sqlx::query("DELETE FROM entries WHERE subject = ?").bind(subject.as_bytes().as_slice());
        let deleted = delete.execute(&self.0).await.map_err(StoreError::database("erase a person from semantic.db"));
        Ok(deleted?.rows_affected())
    }

    pub(super) fn pool(&self) -> &SqlitePool {
        &self.0
    }

    async fn expire(&self, now_us: i64) -> Result<u64, StoreError> {
        let deleted = sqlx::query("DELETE FROM entries WHERE expires_us <= ?").bind(now_us).execute(&self.0).await;
        Ok(deleted.map_err(StoreError::database("delete old entries of the semantic cache"))?.rows_affected())
    }
}

async fn write(connection: &mut SqliteConnection, changes: &SemanticChanges) -> Result<(), sqlx::Error> {
    let mut packer = Packer::default();
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for entry in &changes.entries {
        sqlx::query("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(entry.execution.as_bytes().as_slice())
            .bind(entry.team.as_str())
            .bind(entry.intent.as_str())
            .bind(&entry.embedding)
            .bind(entry.at_us)
            .bind(entry.expires_us)
            .bind(bytes_of(&entry.vector))
            .bind(packer.pack(entry.body.as_bytes()))
            .bind(entry.subject.map(|subject| subject.as_bytes().to_vec()))
            .execute(&mut *transaction)
            .await?;
    }
    for gone in &changes.gone {
        let delete = sqlx::query("DELETE FROM entries WHERE execution = ?").bind(gone.as_bytes().as_slice());
        delete.execute(&mut *transaction).await?;
    }
    for evidence in &changes.evidence {
        sqlx::query("INSERT OR REPLACE INTO states VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(evidence.team.as_str())
            .bind(evidence.intent.as_str())
            .bind(&evidence.lineage)
            .bind(&evidence.embedding)
            .bind(evidence.at_us)
            .bind(evidence.heard_us)
            .bind(packer.pack(evidence.state.as_bytes()))
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

fn entry(row: EntryRow) -> Result<SemanticEntry, StoreError> {
    let (execution, team, intent, embedding, at_us, expires_us, vector, body, subject) = row;
    let what = "an entry of the semantic cache";
    let corrupt = |reason: &str| StoreError::Corrupt { what: what.into(), reason: reason.into() };
    let execution = execution.try_into().map_err(|_| corrupt("its execution does not have 16 bytes"))?;
    Ok(SemanticEntry {
        execution: ExecutionId::from_bytes(execution),
        team: TeamId::new(&team),
        intent: IntentName::new(&intent),
        embedding,
        at_us,
        expires_us,
        vector: vector_of(&vector).ok_or_else(|| corrupt("its vector has no scale"))?,
        body: text(&body, what)?,
        subject: subject.and_then(|subject| subject.try_into().ok()).map(SubjectHash::from_bytes),
    })
}

fn text(packed: &[u8], what: &str) -> Result<String, StoreError> {
    String::from_utf8(pack::json(packed, what)?.into_owned())
        .map_err(|error| StoreError::Corrupt { what: what.into(), reason: error.to_string() })
}

/// The largest number of a byte.
const STEPS: f32 = 127.0;

/// A scale, and each number as so many of its steps.
fn bytes_of(vector: &[f32]) -> Vec<u8> {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let step = largest / STEPS;
    let steps = |value: &f32| if step > 0.0 { (value / step).round() as i8 } else { 0 };
    let numbers = vector.iter().map(|value| steps(value).cast_unsigned());
    step.to_le_bytes().into_iter().chain(numbers).collect()
}

fn vector_of(bytes: &[u8]) -> Option<Vec<f32>> {
    let (step, numbers) = bytes.split_first_chunk()?;
    let step = f32::from_le_bytes(*step);
    Some(numbers.iter().map(|number| f32::from(number.cast_signed()) * step).collect())
}

impl Store {
    /// Whether it outlives the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.0.disk.is_some()
    }

    /// Writes what changed in the semantic cache, all of it or nothing. In memory nothing is kept: there
    /// is no restart to survive.
    ///
    /// # Errors
    /// What the database says.
    pub async fn keep_semantic(&self, changes: &SemanticChanges) -> Result<(), StoreError> {
        match &self.0.disk {
            Some(disk) if !changes.is_empty() => disk.semantic.write(changes).await,
            _ => Ok(()),
        }
    }

    /// Entries of the semantic cache, the latest execution first, from before this one on.
    ///
    /// # Errors
    /// What the database says.
    pub async fn semantic_entries(
        &self,
        before: Option<ExecutionId>,
        limit: usize,
    ) -> Result<Vec<SemanticEntry>, StoreError> {
        match &self.0.disk {
            Some(disk) => disk.semantic.entries(before, limit).await,
            None => Ok(Vec::new()),
        }
    }

    /// All evidence of the semantic cache, by intent and team.
    ///
    /// # Errors
    /// What the database says.
    pub async fn semantic_evidence(&self) -> Result<Vec<SemanticEvidence>, StoreError> {
        match &self.0.disk {
            Some(disk) => disk.semantic.evidence().await,
            None => Ok(Vec::new()),
        }
    }

    /// How many entries of the semantic cache are there, by team and intent.
    ///
    /// # Errors
    /// What the database says.
    pub async fn semantic_counts(&self, now_us: i64) -> Result<Vec<(TeamId, IntentName, u64)>, StoreError> {
        match &self.0.disk {
            Some(disk) => disk.semantic.counts(now_us).await,
            None => Ok(Vec::new()),
        }
    }

    /// Deletes entries of the semantic cache whose time is over; how many.
    ///
    /// # Errors
    /// What the database says.
    pub async fn expire_semantic(&self, now_us: i64) -> Result<u64, StoreError> {
        match &self.0.disk {
            Some(disk) => disk.semantic.expire(now_us).await,
            None => Ok(0),
        }
    }

    /// What people said of answers that somebody acted on after this place (Unix microseconds, then the
    /// execution), the earliest first, with the place of each: a page, to be read on from its last. Of
    /// answers that a gate held back nothing.
    ///
    /// # Errors
    /// What the database says.
    pub async fn labels_acted(
        &self,
        after: (i64, ExecutionId),
    ) -> Result<Vec<((i64, ExecutionId), Label)>, StoreError> {
        let items = match &self.0.disk {
            Some(disk) => disk.control.acted_after(after).await?,
            None => self.acted_in_memory(after),
        };
        let place = |item: &ReviewItem| (item.last_act().unwrap_or_default(), item.execution);
        Ok(items.iter().filter_map(|item| Some((place(item), Label::of(item)?))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back_with_the_precision_of_a_byte() {
        let vector: Vec<f32> = (0_i16..384).map(|n| (f32::from(n) * 0.37).sin() / 14.0).collect();
        let back = vector_of(&bytes_of(&vector)).unwrap();
        assert_eq!(back.len(), vector.len());
        let furthest = vector.iter().zip(&back).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
        assert!(furthest <= 0.5 / 14.0 / 127.0 * 1.001, "{furthest}");
        assert_eq!(vector_of(&bytes_of(&[0.0, 0.0])).unwrap(), [0.0, 0.0]);
        assert_eq!(vector_of(&[1, 2]), None);
    }
}
