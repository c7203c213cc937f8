//! A batch of journal entries as rows: one transaction, with the progress in the journal.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, LazyLock};

use baton_core::{ExecutionId, Record, ReviewItem, Score};
use bytes::Bytes;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _, Sqlite, Transaction};

use super::pack::Packer;
use super::scores;
use crate::digest::Digest;
use crate::journal::Raw;
use crate::spend::repeat;
use crate::{Entry, Feedback, Opened, Repeat, StoreError, Tally};

/// Rows of one statement, as many as there are left for: a few shapes that stay prepared.
const ROWS: [usize; 5] = [256, 64, 16, 4, 1];

/// The grain of rollups: five minutes.
pub(crate) const SPAN_US: i64 = 5 * 60 * 1_000_000;

/// A record on its way into the database.
struct Row {
    sequence: i64,
    record: Box<Digest>,
    body: Bytes,
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
    /// Parses what has no digest. Digests are in the order of the entries; those of the entries are taken.
    pub(crate) fn new(entries: &[Raw], digests: &mut VecDeque<(u64, Box<Digest>)>) -> Self {
        let mut batch = Self { rows: Vec::with_capacity(entries.len()), ..Self::default() };
        for raw in entries {
            batch.last = raw.sequence;
            let sequence = raw.sequence.cast_signed();
            while digests.front().is_some_and(|(of, _)| *of < raw.sequence) {
                digests.pop_front();
            }
            if let Some((_, record)) = digests.pop_front_if(|(of, _)| *of == raw.sequence) {
                batch.add(sequence, record, raw);
                continue;
            }
            match raw.entry() {
                Ok(Entry::Finished(record)) => {
                    batch.reviews.extend(drawn(&record));
                    batch.add(sequence, Box::new(Digest::of(&record)), raw);
                }
                Ok(Entry::Opened(opened)) => {
                    batch.opened.insert(opened.execution, opened);
                }
                Ok(Entry::Feedback(feedback)) => batch.feedback.push(feedback),
                Ok(Entry::Score(score)) => batch.scores.push(*score),
                // A batch ends before one: it has a step of its own.
                Ok(Entry::Erased(_)) => {}
                Ok(Entry::Control(_)) => {
                    batch.events.push((sequence, String::from_utf8_lossy(&raw.payload).into_owned()));
                }
                Err(error) => batch.unreadable.push((raw.clone(), error.to_string())),
            }
        }
        batch
    }

    fn add(&mut self, sequence: i64, record: Box<Digest>, raw: &Raw) {
        self.opened.remove(&record.execution);
        self.rows.push(Row { sequence, record, body: raw.payload.clone() });
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
        let mut packer = Packer::default();
        let mut left = self.rows.as_slice();
        while let Some(count) = next_rows(left.len()) {
            let (rows, others) = left.split_at(count);
            left = others;
            let rows = insert_executions(transaction, rows).await?;
            insert_bodies(transaction, &rows, &mut packer).await?;
            insert_repeats(transaction, &rows).await?;
            for row in rows {
                let record = &row.record;
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
        let closed = "DELETE FROM opened WHERE EXISTS
                      (SELECT 1 FROM executions WHERE team = entry ->> 'team' AND executions.id = opened.id)";
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

/// What people are to see of a record: not what was erased, of which there is nothing to see.
pub(super) fn drawn(record: &Record) -> Option<ReviewItem> {
    record.review.as_ref().filter(|_| record.erased_at_us.is_none())?;
    ReviewItem::of(record)
}

fn intent(record: &Digest) -> &str {
    record.intent.as_ref().map_or("", |intent| intent.as_str())
}

/// An `INSERT` of all columns, with the texts of [`ROWS`]. It leaves what it
/// inserted before it failed: to undo that, SQLite would copy every page that it changes.
struct Insert {
    into: &'static str,
    columns: usize,
    texts: [Arc<str>; ROWS.len()],
}

static EXECUTIONS: LazyLock<Insert> = LazyLock::new(|| Insert::new("executions", 10));
static BODIES: LazyLock<Insert> = LazyLock::new(|| Insert::new("bodies", 2));

impl Insert {
    fn new(into: &'static str, columns: usize) -> Self {
        let text = |rows| format!("INSERT OR FAIL {}", Self::text(into, columns, rows)).into();
        Self { into, columns, texts: ROWS.map(text) }
    }

    fn text(into: &str, columns: usize, rows: usize) -> String {
        let row = format!("({})", vec!["?"; columns].join(", "));
        format!("INTO {into} VALUES {}", vec![row; rows].join(", "))
    }

    /// Of as many rows as [`ROWS`] has.
    fn of(&self, rows: usize) -> Query<'static, Sqlite, SqliteArguments> {
        let place = ROWS.iter().position(|count| *count == rows).unwrap_or_default();
        sqlx::query(AssertSqlSafe(Arc::clone(&self.texts[place])))
    }

    /// One that passes over what is there, and returns the others' `row`.
    fn of_new(&self, rows: usize) -> Query<'static, Sqlite, SqliteArguments> {
        let into = Self::text(self.into, self.columns, rows);
        sqlx::query(AssertSqlSafe(format!("INSERT {into} ON CONFLICT DO NOTHING RETURNING row"))).persistent(false)
    }
}

/// Inserts those that are not there yet, and returns them. That some are is rare, so it is asked only
/// where the plain statement meets one, of those from that one on.
async fn insert_executions<'a>(
    transaction: &mut Transaction<'_, Sqlite>,
    rows: &'a [Row],
) -> Result<Vec<&'a Row>, sqlx::Error> {
    let inserted = bound(EXECUTIONS.of(rows.len()), rows).execute(&mut **transaction).await;
    match inserted {
        Ok(_) => return Ok(rows.iter().collect()),
        Err(error) if is_constraint(&error) => {}
        Err(error) => return Err(error),
    }
    let before: i64 = sqlx::query_scalar("SELECT changes()").fetch_one(&mut **transaction).await?;
    let (before, rest) = rows.split_at(usize::try_from(before).unwrap_or_default());
    let new = bound(EXECUTIONS.of_new(rest.len()), rest).fetch_all(&mut **transaction).await?;
    let new: HashSet<i64> = new.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(before.iter().chain(rest.iter().filter(|row| new.contains(&row.sequence))).collect())
}

/// Whether SQLite refused a row: any of its constraint codes, whose low byte is `SQLITE_CONSTRAINT`.
fn is_constraint(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 19)
}

fn bound(query: Query<'static, Sqlite, SqliteArguments>, rows: &[Row]) -> Query<'static, Sqlite, SqliteArguments> {
    rows.iter().fold(query, |query, row| {
        let record = &row.record;
        query
            .bind(row.sequence)
            .bind(record.execution.as_bytes().as_slice())
            .bind(record.team.as_str())
            .bind(intent(record))
            .bind(record.lineage.as_str())
            .bind(record.started_at_us)
            .bind(record.status.as_str())
            .bind(record.via.map(|via| via.as_str()))
            .bind(record.judged)
            .bind(record.subject.map(|subject| subject.as_bytes().to_vec()))
    })
}

async fn insert_bodies(
    transaction: &mut Transaction<'_, Sqlite>,
    mut rows: &[&Row],
    packer: &mut Packer,
) -> Result<(), sqlx::Error> {
    while let Some(count) = next_rows(rows.len()) {
        let (these, others) = rows.split_at(count);
        rows = others;
        let query =
            these.iter().fold(BODIES.of(count), |query, row| query.bind(row.sequence).bind(packer.pack(&row.body)));
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

/// How many rows the next statement takes.
fn next_rows(left: usize) -> Option<usize> {
    ROWS.into_iter().find(|count| *count <= left)
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

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    fn raw(sequence: u64, record: &Record) -> Raw {
        let entry = Entry::Finished(Box::new(record.clone()));
        let mut payload = Vec::new();
        entry.encode(&mut payload).unwrap();
        Raw { sequence, kind: entry.kind() as u8, version: crate::entry::VERSION, payload: payload.into() }
    }

    /// Rows as they are bound, and how many digests are left.
    fn rows(raws: &[Raw], digests: impl IntoIterator<Item = u64>) -> (Vec<(i64, Box<Digest>, Bytes)>, usize) {
        let mut digests = digests.into_iter().map(|number| (number, Box::new(Digest::of(&record(number))))).collect();
        let rows = Batch::new(raws, &mut digests).rows;
        (rows.into_iter().map(|row| (row.sequence, row.record, row.body)).collect(), digests.len())
    }

    #[test]
    fn rows_are_the_same_whichever_of_their_entries_have_a_digest() {
        let raws: Vec<Raw> = (10..40).map(|number| raw(number, &record(number))).collect();
        let parsed = rows(&raws, []);
        assert_eq!(parsed.0.len(), raws.len());
        assert_eq!(parsed, rows(&raws, 10..40));
        assert_eq!(parsed, rows(&raws, (10..40).filter(|number| number % 3 == 0)));
        let (with_others, left) = rows(&raws, (0..50).filter(|number| number % 2 == 0));
        assert_eq!((with_others, left), (parsed.0, 5));
    }

    #[test]
    fn any_number_of_rows_is_written_by_statements_of_a_few_sizes() {
        for count in [0, 1, 15, 16, 17, 255, 256, 600] {
            let mut left = count;
            while let Some(rows) = next_rows(left) {
                left -= rows;
            }
            assert_eq!(left, 0);
        }
    }
}
