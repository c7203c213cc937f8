//! Scores in `records.db`: written by ingestion, read by who calibrates and reports.

use baton_core::{ExecutionId, IntentName, Score, TeamId};
use sqlx::{Sqlite, Transaction};

use super::records::Records;
use crate::StoreError;

/// The most scores that one question reads: the newest.
const SCORES_MAX: i64 = 20_000;

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

    /// How many executions of a window a model answered.
    pub(crate) async fn answered(
        &self,
        team: &TeamId,
        (intent, lineage): (&IntentName, &str),
        since_us: i64,
    ) -> Result<u64, StoreError> {
        let answered: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM executions
             WHERE team = ? AND intent = ? AND started_at_us >= ? AND lineage = ? AND via = 'model'",
        )
        .bind(team.as_str())
        .bind(intent.as_str())
        .bind(since_us)
        .bind(lineage)
        .fetch_one(self.pool())
        .await
        .map_err(StoreError::database("count the answers of an intent"))?;
        Ok(answered.unsigned_abs())
    }

    /// What judges said of a lineage's answers at or after `since_us`, the oldest first.
    pub(crate) async fn evidence(&self, team: &TeamId, lineage: &str, since_us: i64) -> Result<Vec<Score>, StoreError> {
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
        .map_err(StoreError::database("read the evidence of an intent"))?;
        parse(&rows)
    }

    /// Executions that were drawn for judging, and that nobody said anything of.
    pub(crate) async fn unscored(&self) -> Result<Vec<(TeamId, ExecutionId)>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
            "SELECT team, id FROM executions WHERE judged IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM scores WHERE scores.execution = executions.id)",
        )
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("look for answers that were to be judged"))?;
        let read =
            |(team, id): (String, Vec<u8>)| Some((TeamId::new(&team), ExecutionId::from_bytes(id.try_into().ok()?)));
        Ok(rows.into_iter().filter_map(read).collect())
    }
}

fn parse(rows: &[String]) -> Result<Vec<Score>, StoreError> {
    let parsed = rows.iter().map(|json| serde_json::from_str(json));
    parsed.collect::<Result<_, _>>().map_err(StoreError::corrupt("a score"))
}
