//! `control.db`: keys, feedback and reviews. Several processes may write to it.

use std::path::Path;

use baton_core::{ExecutionId, TeamId};
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::erase::ErasedCounts;
use super::prune::Old;
use super::records::write_options;
use crate::keys::StoredKey;
use crate::{Erased, Feedback, FeedbackKind, KeyInfo, StoreError};

#[derive(Clone)]
pub(crate) struct Control(SqlitePool);

impl Control {
    /// Opens and migrates. Every commit is durable when it returns.
    pub(crate) async fn open(dir: &Path) -> Result<Self, StoreError> {
        let options = write_options(&dir.join("control.db")).synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(2).connect_with(options).await;
        let pool = pool.map_err(StoreError::database("open control.db"))?;
        let migrated = sqlx::migrate!("migrations/control").run(&pool).await;
        migrated.map_err(|error| StoreError::database("migrate control.db")(error.into()))?;
        Ok(Self(pool))
    }

    pub(super) fn pool(&self) -> &SqlitePool {
        &self.0
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    pub(crate) async fn add_feedback(&self, feedback: &Feedback) -> Result<(), StoreError> {
        let json = serde_json::to_string(feedback).map_err(StoreError::corrupt("feedback"))?;
        sqlx::query("INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(blake3::hash(json.as_bytes()).as_bytes().as_slice())
            .bind(feedback.execution.as_bytes().as_slice())
            .bind(feedback.team.as_str())
            .bind(feedback.at_us)
            .bind(kind(&feedback.kind))
            .bind(&json)
            .execute(&self.0)
            .await
            .map(drop)
            .map_err(StoreError::database("keep feedback"))
    }

    pub(crate) async fn feedback_of(&self, team: &TeamId, id: ExecutionId) -> Result<Vec<Feedback>, StoreError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT feedback FROM feedback WHERE execution = ? AND team = ? ORDER BY at_us, rowid")
                .bind(id.as_bytes().as_slice())
                .bind(team.as_str())
                .fetch_all(&self.0)
                .await
                .map_err(StoreError::database("read feedback"))?;
        let parsed = rows.iter().map(|json| serde_json::from_str(json));
        parsed.collect::<Result<_, _>>().map_err(StoreError::corrupt("feedback"))
    }

    /// Deletes what people wrote about these executions (corrections, final outputs); scores and
    /// labels are evidence and stay, without their comments.
    pub(crate) async fn forget_content(&self, executions: &[Old]) -> Result<(), StoreError> {
        self.forget(executions, None).await.map(drop)
    }

    /// The same of what was said about an erased person's executions: how much of it there was.
    pub(crate) async fn erase(&self, executions: &[Old], erased: &Erased) -> Result<ErasedCounts, StoreError> {
        self.forget(executions, Some(erased)).await
    }

    async fn forget(&self, executions: &[Old], erased: Option<&Erased>) -> Result<ErasedCounts, StoreError> {
        let failed = StoreError::database("delete feedback");
        let mut connection = self.0.acquire().await.map_err(&failed)?;
        let done = forget(&mut connection, executions, erased).await;
        if done.is_err() {
            // SQLite may have ended the transaction by itself (a full disk); the connection cannot know.
            drop(connection.detach());
        }
        done
    }

    pub(crate) async fn add_key(&self, key: &StoredKey) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO keys VALUES (?, ?, ?, NULL)")
            .bind(&key.info.id)
            .bind(key.hash.as_slice())
            .bind(serde_json::to_string(&key.info).map_err(StoreError::corrupt("a key"))?)
            .execute(&self.0)
            .await
            .map(drop)
            .map_err(StoreError::database("keep a key"))
    }

    pub(crate) async fn keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        let rows: Vec<(Vec<u8>, String, Option<i64>)> = sqlx::query_as("SELECT hash, info, revoked_at_us FROM keys")
            .fetch_all(&self.0)
            .await
            .map_err(StoreError::database("read the keys"))?;
        rows.into_iter()
            .map(|(hash, info, revoked_at_us)| {
                let info: KeyInfo = serde_json::from_str(&info).map_err(StoreError::corrupt("a key"))?;
                let hash = hash.try_into().map_err(|_| StoreError::Corrupt {
                    what: format!("key {}", info.id),
                    reason: "its hash does not have 32 bytes".into(),
                })?;
                Ok(StoredKey { hash, info: KeyInfo { revoked_at_us, ..info } })
            })
            .collect()
    }

    pub(crate) async fn revoke_key(&self, id: &str, now_us: i64) -> Result<bool, StoreError> {
        let updated = sqlx::query("UPDATE keys SET revoked_at_us = coalesce(revoked_at_us, ?) WHERE id = ?")
            .bind(now_us)
            .bind(id)
            .execute(&self.0)
            .await
            .map_err(StoreError::database("revoke a key"))?;
        Ok(updated.rows_affected() > 0)
    }
}

fn kind(kind: &FeedbackKind) -> &'static str {
    match kind {
        FeedbackKind::Score { .. } => "score",
        FeedbackKind::Label { .. } => "label",
        FeedbackKind::Correction { .. } => "correction",
        FeedbackKind::FinalOutput { .. } => "final_output",
    }
}

async fn forget(
    connection: &mut SqliteConnection,
    executions: &[Old],
    erased: Option<&Erased>,
) -> Result<ErasedCounts, StoreError> {
    let failed = StoreError::database("delete feedback");
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
    let mut counts = ErasedCounts::default();
    for (_, id) in executions {
        for statement in [
            "DELETE FROM feedback WHERE execution = ? AND kind IN ('correction', 'final_output')",
            "UPDATE feedback SET feedback = json_remove(feedback, '$.comment')
             WHERE execution = ? AND json_extract(feedback, '$.comment') IS NOT NULL",
        ] {
            let done = sqlx::query(statement).bind(id).execute(&mut *transaction).await.map_err(&failed)?;
            counts.feedback += done.rows_affected();
        }
        if let Some(erased) = erased {
            forget_sayer(&mut transaction, id, erased).await?;
        }
    }
    Control::forget_reviews(&mut transaction, executions, (erased, &mut counts)).await?;
    transaction.commit().await.map_err(&failed)?;
    Ok(counts)
}

/// Where they spoke themselves, nobody did.
async fn forget_sayer(on: &mut SqliteConnection, id: &[u8], erased: &Erased) -> Result<(), StoreError> {
    let failed = StoreError::database("delete who gave feedback");
    let said: Vec<(Vec<u8>, String)> = sqlx::query_as(
        "SELECT id, json_extract(feedback, '$.by') FROM feedback
         WHERE execution = ? AND json_extract(feedback, '$.by') IS NOT NULL",
    )
    .bind(id)
    .fetch_all(&mut *on)
    .await
    .map_err(&failed)?;
    for (id, _) in said.iter().filter(|(_, by)| erased.is(by)) {
        let update = sqlx::query("UPDATE feedback SET feedback = json_remove(feedback, '$.by') WHERE id = ?");
        update.bind(id).execute(&mut *on).await.map_err(&failed)?;
    }
    Ok(())
}
