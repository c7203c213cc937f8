//! Scores in `records.db`: written by ingestion, read by who calibrates and reports.

use baton_core::{ExecutionId, Score, TeamId};
use sqlx::{Sqlite, Transaction};

use super::records::Records;
use crate::StoreError;

/// The most scores that one question reads: the newest.
const SCORES_MAX: i64 = 20_000;

/// What the executions of a lineage say of its quality, people's labels aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Executions of the window that a model answered.
    pub answered: u64,
    /// What judges said of them, the oldest first; of each execution and evaluator one.
    pub scores: Vec<Score>,
}

/// Adds what is new of these.
pub(crate) async fn insert(transaction: &mut Transaction<'_, Sqlite>, scores: &[Score]) -> Result<(), sqlx::Error> {
    for score in scores {
        let json = serde_json::to_string(score).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query("INSERT INTO scores VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(score.execution.as_bytes().as_slice())
            .bind(&score.evaluator)
            .bind(score.team.as_str())
            .bind(&score.lineage)
            .bind(score.at_us)
            .bind(score.result.status())
            .bind(json)
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

impl Records {
    /// What was said of one execution.
    pub(crate) async fn scores_of(&self, team: &TeamId, id: ExecutionId) -> Result<Vec<Score>, StoreError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT score FROM scores WHERE execution = ? AND team = ? ORDER BY at_us")
                .bind(id.as_bytes().as_slice())
                .bind(team.as_str())
                .fetch_all(self.pool())
                .await
                .map_err(StoreError::database("read scores"))?;
        parse(&rows)
    }

    /// See [`Evidence`]; of executions that started at or after `since_us`.
    pub(crate) async fn evidence(&self, team: &TeamId, lineage: &str, since_us: i64) -> Result<Evidence, StoreError> {
        let failed = StoreError::database("read the evidence of an intent");
        let answered: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM executions WHERE team = ? AND lineage = ? AND started_at_us >= ? AND via = 'model'",
        )
        .bind(team.as_str())
        .bind(lineage)
        .bind(since_us)
        .fetch_one(self.pool())
        .await
        .map_err(&failed)?;
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT score FROM (SELECT score, at_us FROM scores WHERE team = ? AND lineage = ? AND at_us >= ?
             ORDER BY at_us DESC LIMIT ?) ORDER BY at_us",
        )
        .bind(team.as_str())
        .bind(lineage)
        .bind(since_us)
        .bind(SCORES_MAX)
        .fetch_all(self.pool())
        .await
        .map_err(&failed)?;
        Ok(Evidence { answered: answered.unsigned_abs(), scores: parse(&rows)? })
    }

    /// Executions that were drawn for judging, and that nobody said anything of.
    pub(crate) async fn unscored(&self) -> Result<Vec<ExecutionId>, StoreError> {
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT id FROM executions WHERE judged IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM scores WHERE scores.execution = executions.id)",
        )
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("look for answers that were to be judged"))?;
        let ids = rows.into_iter().filter_map(|id| id.try_into().ok().map(ExecutionId::from_bytes));
        Ok(ids.collect())
    }
}

fn parse(rows: &[String]) -> Result<Vec<Score>, StoreError> {
    let parsed = rows.iter().map(|json| serde_json::from_str(json));
    parsed.collect::<Result<_, _>>().map_err(StoreError::corrupt("a score"))
}
