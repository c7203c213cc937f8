//! A batch of journal entries as rows: one transaction, with the progress in the journal.

use std::collections::{BTreeMap, HashMap, HashSet};

use baton_core::{ExecutionId, Record, ReviewItem, Score};
use sqlx::query_builder::QueryBuilder;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _, Sqlite, Transaction};

use super::pack::Packer;
use super::scores;
use crate::journal::Raw;
use crate::spend::repeat;
use crate::{Entry, Feedback, Opened, Repeat, StoreError, Tally};

/// Rows of one statement. Full ones keep their prepared statement.
const ROWS: usize = 256;

/// The grain of rollups: five minutes.
pub(crate) const SPAN_US: i64 = 5 * 60 * 1_000_000;

/// A record on its way into the database.
struct Row {
    sequence: i64,
    record: Box<Record>,
    body: Vec<u8>,
}

/// Entries, sorted by where they go.
#[derive(Default)]
pub(crate) struct Batch {
    rows: Vec<Row>,
    opened: BTreeMap<ExecutionId, Opened>,
    events: Vec<(i64, String)>,
    unreadable: Vec<(Raw, String)>,
    scores: Vec<Score>,
    /// Not for this database.
    pub(crate) feedback: Vec<Feedback>,
    /// Neither: what was drawn for review.
    pub(crate) reviews: Vec<ReviewItem>,
    /// The sequence of the last entry.
    pub(crate) last: u64,
}

impl Batch {
    /// Parses and compresses: the work that needs no database.
    pub(crate) fn new(entries: &[Raw]) -> Self {
        let mut batch = Self::default();
        let mut packer = Packer::default();
        for raw in entries {
            batch.last = raw.sequence;
            let sequence = raw.sequence.cast_signed();
            match raw.entry() {
                Ok(Entry::Finished(record)) => {
                    batch.opened.remove(&record.execution);
                    batch.reviews.extend(record.review.as_ref().and_then(|_| ReviewItem::of(&record)));
                    batch.rows.push(Row { sequence, record, body: packer.pack(&raw.payload) });
                }
                Ok(Entry::Opened(opened)) => {
                    batch.opened.insert(opened.execution, opened);
                }
                Ok(Entry::Feedback(feedback)) => batch.feedback.push(feedback),
                Ok(Entry::Score(score)) => batch.scores.push(*score),
                Ok(Entry::Control(_)) => {
                    batch.events.push((sequence, String::from_utf8_lossy(&raw.payload).into_owned()));
                }
                Err(error) => batch.unreadable.push((raw.clone(), error.to_string())),
            }
        }
        batch
    }

    /// Writes everything, and that it was written, or nothing.
    pub(crate) async fn write(&self, writer: &mut SqliteConnection) -> Result<(), StoreError> {
        let failed = StoreError::database("ingest records");
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        self.write_in(&mut transaction).await.map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    async fn write_in(&self, transaction: &mut Transaction<'_, Sqlite>) -> Result<(), sqlx::Error> {
        let mut tallies: HashMap<(i64, &str, &str), Tally> = HashMap::new();
        for rows in self.rows.chunks(ROWS) {
            let rows = insert_executions(transaction, rows).await?;
            insert_bodies(transaction, &rows).await?;
            insert_repeats(transaction, &rows).await?;
            for row in rows {
                let record = &*row.record;
                let start_us = record.started_at_us.div_euclid(SPAN_US) * SPAN_US;
                tallies.entry((start_us, record.team.as_str(), intent(record))).or_default().add(record);
            }
        }
        for ((start_us, team, intent), tally) in &tallies {
            let key = RollupKey { start_us: *start_us, span_us: SPAN_US, team, intent };
            add_rollup(transaction, key, tally).await?;
        }
        self.write_others(transaction).await?;
        sqlx::query("UPDATE progress SET sequence = ?")
            .bind(self.last.cast_signed())
            .execute(&mut **transaction)
            .await
            .map(drop)
    }

    /// What is not a record: rare.
    async fn write_others(&self, transaction: &mut Transaction<'_, Sqlite>) -> Result<(), sqlx::Error> {
        for (id, opened) in &self.opened {
            let entry = serde_json::to_string(opened).map_err(|error| sqlx::Error::Encode(error.into()))?;
            let insert = sqlx::query("INSERT INTO opened VALUES (?, ?) ON CONFLICT DO NOTHING");
            insert.bind(id.as_bytes().as_slice()).bind(entry).execute(&mut **transaction).await?;
        }
        // Correlated: a plain IN would read every execution there is.
        let closed = "DELETE FROM opened WHERE EXISTS (SELECT 1 FROM executions WHERE executions.id = opened.id)";
        sqlx::query(closed).execute(&mut **transaction).await?;
        scores::insert(transaction, &self.scores).await?;
        for (row, event) in &self.events {
            let insert = sqlx::query("INSERT INTO events VALUES (?, ?) ON CONFLICT DO NOTHING");
            insert.bind(row).bind(event).execute(&mut **transaction).await?;
        }
        for (raw, reason) in &self.unreadable {
            tracing::error!(sequence = raw.sequence, %reason, "an entry is kept in the table `unreadable`");
            sqlx::query("INSERT INTO unreadable VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
                .bind(raw.sequence.cast_signed())
                .bind(raw.kind)
                .bind(raw.version)
                .bind(raw.payload.as_ref())
                .bind(reason)
                .execute(&mut **transaction)
                .await?;
        }
        Ok(())
    }
}

fn intent(record: &Record) -> &str {
    record.intent.as_ref().map_or("", |intent| intent.as_str())
}

/// Named, since columns were added.
const INSERT_EXECUTIONS: &str = "INSERT INTO executions (row, id, team, intent, started_at_us, duration_us, status, \
     via, model, error, cost, cost_known, input_tokens, output_tokens, lineage, judged) ";

/// Inserts those that are not there yet, and returns them. That some are is rare, so it is asked only
/// where the plain statement, which leaves nothing behind when it fails, meets one.
async fn insert_executions<'a>(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &'a [Row],
) -> Result<Vec<&'a Row>, sqlx::Error> {
    let inserted = executions(rows).build().persistent(rows.len() == ROWS).execute(&mut **transaction).await;
    match inserted {
        Ok(_) => return Ok(rows.iter().collect()),
        Err(error) if is_constraint(&error) => {}
        Err(error) => return Err(error),
    }
    let mut query = executions(rows);
    query.push(" ON CONFLICT DO NOTHING RETURNING row");
    let new: Vec<i64> = query.build_query_scalar().persistent(false).fetch_all(&mut **transaction).await?;
    let new: HashSet<i64> = new.into_iter().collect();
    Ok(rows.iter().filter(|row| new.contains(&row.sequence)).collect())
}

/// Whether SQLite refused a row: any of its constraint codes, whose low byte is `SQLITE_CONSTRAINT`.
fn is_constraint(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 19)
}

fn executions(rows: &[Row]) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(INSERT_EXECUTIONS);
    query.push_values(rows, |mut values, row| {
        let record = &*row.record;
        values
            .push_bind(row.sequence)
            .push_bind(record.execution.as_bytes().as_slice())
            .push_bind(record.team.as_str())
            .push_bind(intent(record))
            .push_bind(record.started_at_us)
            .push_bind(record.duration_us.cast_signed())
            .push_bind(record.status.as_str())
            .push_bind(record.via.map(|via| via.as_str()))
            .push_bind(record.model.as_ref().map(|model| model.as_str()))
            .push_bind(record.error.as_ref().map(|error| error.code.as_str()))
            .push_bind(record.cost.0)
            .push_bind(record.cost_known)
            .push_bind(record.usage.input_tokens.cast_signed())
            .push_bind(record.usage.output_tokens.cast_signed())
            .push_bind(record.lineage.as_str())
            .push_bind(record.judged);
    });
    query
}

async fn insert_bodies(transaction: &mut Transaction<'_, Sqlite>, rows: &[&Row]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO bodies ");
    query.push_values(rows, |mut values, row| {
        values.push_bind(row.sequence).push_bind(row.body.as_slice());
    });
    query.build().persistent(rows.len() == ROWS).execute(&mut **transaction).await.map(drop)
}

/// Those that answer a call that is made again: few.
async fn insert_repeats(transaction: &mut Transaction<'_, Sqlite>, rows: &[&Row]) -> Result<(), sqlx::Error> {
    for Repeat { team, call, execution, at_us } in rows.iter().filter_map(|row| repeat(&row.record)) {
        sqlx::query("INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)")
            .bind(team.as_str())
            .bind(call.key)
            .bind(call.body)
            .bind(execution.as_bytes().as_slice())
            .bind(at_us)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// The place of a rollup.
#[derive(Clone, Copy)]
pub(crate) struct RollupKey<'a> {
    pub(crate) start_us: i64,
    pub(crate) span_us: i64,
    pub(crate) team: &'a str,
    pub(crate) intent: &'a str,
}

/// Adds a tally to what is there.
pub(crate) async fn add_rollup(
    transaction: &mut Transaction<'_, Sqlite>,
    key: RollupKey<'_>,
    tally: &Tally,
) -> Result<(), sqlx::Error> {
    let there: Option<String> =
        sqlx::query_scalar("SELECT tally FROM rollups WHERE start_us = ? AND span_us = ? AND team = ? AND intent = ?")
            .bind(key.start_us)
            .bind(key.span_us)
            .bind(key.team)
            .bind(key.intent)
            .fetch_optional(&mut **transaction)
            .await?;
    let mut sum = match there {
        Some(there) => serde_json::from_str(&there).map_err(|error| sqlx::Error::Decode(error.into()))?,
        None => Tally::default(),
    };
    sum.merge(tally);
    sqlx::query("INSERT OR REPLACE INTO rollups VALUES (?, ?, ?, ?, ?)")
        .bind(key.start_us)
        .bind(key.span_us)
        .bind(key.team)
        .bind(key.intent)
        .bind(serde_json::to_string(&sum).map_err(|error| sqlx::Error::Encode(error.into()))?)
        .execute(&mut **transaction)
        .await
        .map(drop)
}

/// Makes everything committed so far survive the loss of power: a commit that is synced syncs the
/// whole log before it.
pub(crate) async fn sync(writer: &mut SqliteConnection) -> Result<(), StoreError> {
    let steps = ["PRAGMA synchronous = FULL", "UPDATE progress SET synced = synced + 1", "PRAGMA synchronous = NORMAL"];
    for step in steps {
        sqlx::query(AssertSqlSafe(step))
            .execute(&mut *writer)
            .await
            .map_err(StoreError::database("sync records.db"))?;
    }
    Ok(())
}
