//! `records.db`: opening it, and reading from it. Only ingestion writes to it.

use std::path::Path;
use std::time::Duration;

use baton_core::{ExecutionId, Idempotency, IntentName, Record, TeamId};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, QueryBuilder};

use super::pack::unpack;
use crate::report::PAGE_MAX;
use crate::spend::{REPEATS_MAX, Spends};
use crate::{ExecutionFilter, Opened, Repeat, Report, ReportQuery, Spend, StoreError, Tally};

const FILE: &str = "records.db";

/// Bytes of a page, of a new database. A body is two to three KB as a rule: one to a page of SQLite's
/// usual 4 KiB, seven to one of these, with a third of the reads and writes.
const PAGE_BYTES: u32 = 16 << 10;

/// Pages in the log before they are copied into the database, 16 MiB: a page that many batches change
/// is then copied once.
const CHECKPOINT_PAGES: &str = "1024";

/// Pages in the writer's memory, 16 MiB: a batch whose pages do not fit is written twice in part.
const CACHE_PAGES: &str = "1024";

/// Connections that questions share.
const READERS_MAX: u32 = 4;

/// How every database of the store is opened for writing. What is deleted is overwritten: it would else stay
/// in the file until its place is needed.
pub(crate) fn write_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("secure_delete", "ON")
        .busy_timeout(Duration::from_secs(5))
}

/// The one connection that writes, migrated, and the sequence up to which the journal is ingested.
///
/// `synchronous = NORMAL`: a commit is made durable by the next checkpoint, or by [`super::rows::sync`]
/// before a segment of the journal goes.
pub(crate) async fn open_writer(dir: &Path) -> Result<(SqliteConnection, u64), StoreError> {
    let mut writer = connect_writer(dir).await?;
    let migrated = sqlx::migrate!("migrations/records").run(&mut writer).await;
    migrated.map_err(|error| StoreError::database("migrate records.db")(error.into()))?;
    let read = sqlx::query_scalar("SELECT sequence FROM progress").fetch_one(&mut writer).await;
    let sequence: i64 = read.map_err(StoreError::database("read how far the journal is ingested"))?;
    Ok((writer, sequence.unsigned_abs()))
}

/// Another connection in its place: where SQLite ended a transaction by itself (a full disk), the
/// library still counts it as open, and the old connection begins no other.
pub(crate) async fn connect_writer(dir: &Path) -> Result<SqliteConnection, StoreError> {
    let options = write_options(&dir.join(FILE))
        .page_size(PAGE_BYTES)
        .synchronous(SqliteSynchronous::Normal)
        // What a statement would undo is kept in files otherwise, made and deleted for each.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", CACHE_PAGES)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES);
    options.connect().await.map_err(StoreError::database("open records.db"))
}

/// Questions to `records.db`.
#[derive(Clone)]
pub(crate) struct Records(SqlitePool);

impl Records {
    pub(crate) async fn open(dir: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(dir.join(FILE))
            .read_only(true)
            .busy_timeout(Duration::from_secs(5))
            .optimize_on_close(false, None);
        let pool = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_with(options).await;
        pool.map(Self).map_err(StoreError::database("open records.db for reading"))
    }

    pub(super) fn pool(&self) -> &SqlitePool {
        &self.0
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    pub(crate) async fn execution(&self, team: &TeamId, id: ExecutionId) -> Result<Option<Record>, StoreError> {
        let body: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT record FROM executions JOIN bodies USING (row) WHERE team = ? AND id = ?")
                .bind(team.as_str())
                .bind(id.as_bytes().as_slice())
                .fetch_optional(&self.0)
                .await
                .map_err(StoreError::database("look up an execution"))?;
        body.map(|body| unpack(&body)).transpose()
    }

    pub(crate) async fn executions(&self, team: &TeamId, filter: &ExecutionFilter) -> Result<Vec<Record>, StoreError> {
        let mut query = QueryBuilder::new("SELECT record FROM executions JOIN bodies USING (row) WHERE team = ");
        query.push_bind(team.as_str().to_owned());
        if let Some(intent) = &filter.intent {
            query.push(" AND intent = ").push_bind(intent.as_str().to_owned());
        }
        if let Some(status) = filter.status {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        if let Some(before) = filter.before {
            query.push(" AND id < ").push_bind(before.as_bytes().to_vec());
        }
        let limit = i64::try_from(filter.limit.min(PAGE_MAX)).unwrap_or_default();
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        let bodies: Vec<Vec<u8>> =
            query.build_query_scalar().fetch_all(&self.0).await.map_err(StoreError::database("list executions"))?;
        bodies.iter().map(|body| unpack(body)).collect()
    }

    /// Adds up the rollups that overlap the window.
    pub(crate) async fn report(&self, query: &ReportQuery) -> Result<Report, StoreError> {
        let mut sql = QueryBuilder::new("SELECT start_us, span_us, intent, tally FROM rollups WHERE start_us < ");
        sql.push_bind(query.until_us).push(" AND start_us + span_us > ").push_bind(query.since_us);
        if let Some(team) = &query.team {
            sql.push(" AND team = ").push_bind(team.as_str().to_owned());
        }
        if let Some(intent) = &query.intent {
            sql.push(" AND intent = ").push_bind(intent.as_str().to_owned());
        }
        let rows: Vec<(i64, i64, String, String)> =
            sql.build_query_as().fetch_all(&self.0).await.map_err(StoreError::database("read the rollups"))?;
        let mut report = Report { since_us: query.since_us, until_us: query.until_us, ..Report::default() };
        for (start_us, span_us, intent, tally) in rows {
            let tally: Tally = serde_json::from_str(&tally).map_err(StoreError::corrupt("a rollup"))?;
            report.since_us = report.since_us.min(start_us);
            report.until_us = report.until_us.max(start_us + span_us);
            report.add((!intent.is_empty()).then(|| IntentName::new(&intent)), &tally);
        }
        Ok(report)
    }

    /// What was spent on the days of a window that begins with a day.
    pub(crate) async fn spends(&self, since_us: i64, until_us: i64) -> Result<Vec<Spend>, StoreError> {
        let rows: Vec<(i64, String, String, String)> =
            sqlx::query_as("SELECT start_us, team, intent, tally FROM rollups WHERE start_us >= ? AND start_us < ?")
                .bind(since_us)
                .bind(until_us)
                .fetch_all(&self.0)
                .await
                .map_err(StoreError::database("read what was spent"))?;
        let mut spends = Spends::default();
        for (start_us, team, intent, tally) in rows {
            let tally: Tally = serde_json::from_str(&tally).map_err(StoreError::corrupt("a rollup"))?;
            spends.add(start_us, (&team, &intent), &tally);
        }
        Ok(spends.all())
    }

    /// The latest calls that are answered again, the oldest of them first.
    pub(crate) async fn repeats(&self, since_us: i64) -> Result<Vec<Repeat>, StoreError> {
        let rows: Vec<(String, String, String, Vec<u8>, i64)> = sqlx::query_as(
            "SELECT team, key, body, id, at_us FROM idempotency WHERE at_us >= ? ORDER BY at_us DESC, key LIMIT ?",
        )
        .bind(since_us)
        .bind(REPEATS_MAX)
        .fetch_all(&self.0)
        .await
        .map_err(StoreError::database("read the idempotency keys"))?;
        let repeat = |(team, key, body, id, at_us): (String, String, String, Vec<u8>, i64)| {
            let execution = ExecutionId::from_bytes(id.try_into().ok()?);
            Some(Repeat { team: TeamId::new(&team), call: Idempotency { key, body }, execution, at_us })
        };
        Ok(rows.into_iter().rev().filter_map(repeat).collect())
    }

    /// Streams without a final record.
    pub(crate) async fn opened(&self) -> Result<Vec<Opened>, StoreError> {
        let entries: Vec<String> = sqlx::query_scalar(
            "SELECT entry FROM opened WHERE NOT EXISTS
             (SELECT 1 FROM executions WHERE team = entry ->> 'team' AND executions.id = opened.id)",
        )
        .fetch_all(&self.0)
        .await
        .map_err(StoreError::database("read open executions"))?;
        let parsed = entries.iter().map(|entry| serde_json::from_str(entry));
        parsed.collect::<Result<_, _>>().map_err(StoreError::corrupt("an open execution"))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use baton_config::{Durability, StoreSpec};
    use sqlx::Connection as _;

    use super::super::tests::{id, record};
    use crate::Store;

    use super::*;

    const OLD: &str = "INSERT INTO executions VALUES (?, ?, ?, 'classify-ticket', ?, 1, 'succeeded', 'model', 'b/free', \
                       NULL, 0, 1, 1, 1, ?, ?, NULL)";

    /// A database as it was before its executions had two keys, with these records.
    async fn make_old(dir: &Path, records: &[Record]) {
        let mut migrator = sqlx::migrate!("migrations/records");
        migrator.migrations =
            migrator.migrations.iter().filter(|one| one.version < 50).cloned().collect::<Cow<'_, _>>();
        let mut writer = connect_writer(dir).await.unwrap();
        migrator.run(&mut writer).await.unwrap();
        for (row, record) in (1_i64..).zip(records) {
            let insert = sqlx::query(OLD).bind(row).bind(record.execution.as_bytes().as_slice());
            let insert = insert.bind(record.team.as_str()).bind(record.started_at_us).bind(&record.lineage);
            insert.bind(record.judged).execute(&mut writer).await.unwrap();
            let body = super::super::pack::Packer::default().pack(&serde_json::to_vec(record).unwrap());
            let insert = sqlx::query("INSERT INTO bodies VALUES (?, ?)").bind(row).bind(body);
            insert.execute(&mut writer).await.unwrap();
        }
        writer.close().await.unwrap();
    }

    #[tokio::test]
    async fn an_older_database_is_carried_over() {
        let dir = tempfile::tempdir().unwrap();
        let spec = StoreSpec { dir: dir.path().to_owned(), durability: Durability::Process };
        let mut records: Vec<Record> = (1..4).map(|n| Record { lineage: "line".into(), ..record(n) }).collect();
        records[0].team = TeamId::new("sales");
        records[1].judged = Some(0.5);
        make_old(dir.path(), &records).await;
        let store = Store::open(&spec).await.unwrap();
        let team = &records[1].team;
        let listed = store.executions(team, ExecutionFilter { limit: 9, ..ExecutionFilter::default() }).await.unwrap();
        assert_eq!(listed, [records[2].clone(), records[1].clone()]);
        assert_eq!(store.execution(&records[0].team, id(1)).await.unwrap().as_ref(), Some(&records[0]));
        let intent = IntentName::new("classify-ticket");
        assert_eq!(store.answered(team, (&intent, "line"), records[1].started_at_us).await.unwrap(), 2);
        assert_eq!(store.scores_of(team, records[1].execution).await.unwrap().len(), 1, "it was drawn, and not judged");
        let old = crate::Retention { intents: Default::default(), others: Duration::ZERO };
        assert_eq!(store.prune(old, records[2].started_at_us).await.unwrap(), 2, "one of each team");
    }
}
