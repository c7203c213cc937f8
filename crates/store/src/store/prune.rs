//! Retention: records go when their intent's `keep` has passed, a few at a time; sums stay, coarser
//! with age.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use baton_core::IntentName;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, QueryBuilder};

use super::rows::{RollupKey, SPAN_US, add_rollup};
use crate::{REPEATS_KEPT, StoreError, Tally};

/// How long records are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// By intent.
    pub intents: BTreeMap<IntentName, Duration>,
    /// Of raw model calls, and of intents that are gone.
    pub others: Duration,
}

impl Retention {
    /// Records that started before this may go.
    pub(crate) fn cutoff_us(&self, intent: &str, now_us: i64) -> i64 {
        let keep = self.intents.get(&IntentName::new(intent)).unwrap_or(&self.others);
        now_us.saturating_sub(i64::try_from(keep.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Records that are deleted together.
const SOME: u32 = 500;

const HOUR_US: i64 = 60 * 60 * 1_000_000;

/// How long rollups keep their finest grain.
const FINE_US: i64 = 48 * HOUR_US;

/// The row and the id of a record.
pub(crate) type Old = (i64, Vec<u8>);

/// A team and an intent of its calls; '' are raw model calls.
pub(crate) type Whose = (String, String);

/// The next that has records: one jump in the index.
pub(crate) async fn next(writer: &mut SqliteConnection, after: &Whose) -> Result<Option<Whose>, StoreError> {
    sqlx::query_as("SELECT team, intent FROM executions WHERE (team, intent) > (?, ?) ORDER BY team, intent LIMIT 1")
        .bind(&after.0)
        .bind(&after.1)
        .fetch_optional(writer)
        .await
        .map_err(StoreError::database("look for intents that have records"))
}

/// A few of a team's records of an intent that are older than the cut-off, the oldest first.
pub(crate) async fn some_old(
    writer: &mut SqliteConnection,
    (team, intent): &Whose,
    cutoff_us: i64,
) -> Result<Vec<Old>, StoreError> {
    sqlx::query_as(
        "SELECT row, id FROM executions WHERE team = ? AND intent = ? AND started_at_us < ?
         ORDER BY started_at_us LIMIT ?",
    )
    .bind(team)
    .bind(intent)
    .bind(cutoff_us)
    .bind(SOME)
    .fetch_all(writer)
    .await
    .map_err(StoreError::database("look for old records"))
}

/// Deletes them in one transaction.
pub(crate) async fn delete(writer: &mut SqliteConnection, old: &[Old]) -> Result<(), StoreError> {
    let failed = StoreError::database("delete old records");
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    for (_, id) in old {
        let scores = sqlx::query("DELETE FROM scores WHERE execution = ?").bind(id);
        scores.execute(&mut *transaction).await.map_err(&failed)?;
    }
    for table in ["bodies", "executions"] {
        let mut query = QueryBuilder::new("DELETE FROM ");
        query.push(table).push(" WHERE row IN (");
        let mut rows = query.separated(", ");
        for (row, _) in old {
            rows.push_bind(*row);
        }
        query.push(")");
        query.build().execute(&mut *transaction).await.map_err(&failed)?;
    }
    transaction.commit().await.map_err(&failed)
}

/// Forgets which executions answered calls so long ago that nobody is promised the same answer again.
pub(crate) async fn forget_repeats(writer: &mut SqliteConnection, now_us: i64) -> Result<(), StoreError> {
    let kept = i64::try_from(REPEATS_KEPT.as_micros()).unwrap_or(i64::MAX);
    sqlx::query("DELETE FROM idempotency WHERE at_us < ?")
        .bind(now_us.saturating_sub(kept))
        .execute(writer)
        .await
        .map(drop)
        .map_err(StoreError::database("forget old idempotency keys"))
}

/// Forgets whom somebody erased so long ago.
pub(crate) async fn forget_erasures(writer: &mut SqliteConnection, before_us: i64) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM erasures WHERE at_us < ?").bind(before_us).execute(writer).await;
    delete.map(drop).map_err(StoreError::database("forget old erasures"))
}

/// Adds up rollups older than two days to whole hours.
pub(crate) async fn coarsen(writer: &mut SqliteConnection, now_us: i64) -> Result<(), StoreError> {
    let failed = StoreError::database("add up old rollups");
    let cutoff_us = now_us.saturating_sub(FINE_US).div_euclid(HOUR_US) * HOUR_US;
    loop {
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        let fine: Vec<(i64, i64, String, String, String)> = sqlx::query_as(
            "SELECT rowid, start_us, team, intent, tally FROM rollups WHERE span_us = ? AND start_us < ? LIMIT ?",
        )
        .bind(SPAN_US)
        .bind(cutoff_us)
        .bind(SOME)
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
        if fine.is_empty() {
            return transaction.rollback().await.map_err(&failed);
        }
        let mut hours: HashMap<(i64, &str, &str), Tally> = HashMap::new();
        for (rowid, start_us, team, intent, tally) in &fine {
            let tally: Tally = serde_json::from_str(tally).map_err(StoreError::corrupt("a rollup"))?;
            hours.entry((start_us.div_euclid(HOUR_US) * HOUR_US, team, intent)).or_default().merge(&tally);
            let delete = sqlx::query("DELETE FROM rollups WHERE rowid = ?").bind(rowid);
            delete.execute(&mut *transaction).await.map_err(&failed)?;
        }
        for ((start_us, team, intent), tally) in &hours {
            let key = RollupKey { start_us: *start_us, span_us: HOUR_US, team, intent };
            add_rollup(&mut transaction, key, tally).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)?;
    }
}
