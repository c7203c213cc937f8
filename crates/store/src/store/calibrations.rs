//! Calibrations in `control.db`: every one that was in force, so that each can be looked at and put
//! back in force.

use std::sync::{Mutex, PoisonError};

use baton_core::{IntentName, TeamId};

use super::{Store, control::Control};
use crate::StoreError;

/// One version of what is in force for the answers of a team and a lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalibrationVersion {
    /// The later, the larger; over all intents.
    pub version: u64,
    /// Whose answers.
    pub team: TeamId,
    /// Of which intent.
    pub intent: IntentName,
    /// Of which lineage of it.
    pub lineage: String,
    /// When it came in force, Unix microseconds.
    pub at_us: i64,
    /// Who put it in force: `baton`, or a person.
    pub by: String,
    /// Why, in a sentence.
    pub why: String,
    /// Whether it stays until a person says otherwise.
    pub pinned: bool,
    /// What was fitted, as JSON.
    pub calibration: String,
}

/// Versions of a store in memory.
#[derive(Default)]
pub(crate) struct MemoryCalibrations(Mutex<Vec<CalibrationVersion>>);

type Row = (i64, String, String, String, i64, String, String, bool, String);

const COLUMNS: &str = "SELECT version, team, intent, lineage, at_us, by, why, pinned, calibration FROM calibrations";

fn read((version, team, intent, lineage, at_us, by, why, pinned, calibration): Row) -> CalibrationVersion {
    let (team, intent) = (TeamId::new(&team), IntentName::new(&intent));
    let version = version.unsigned_abs();
    CalibrationVersion { version, team, intent, lineage, at_us, by, why, pinned, calibration }
}

impl Store {
    /// Puts a calibration in force, and gives its version; `new.version` is not read.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_calibration(&self, new: &CalibrationVersion) -> Result<u64, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.add_calibration(new).await;
        }
        let mut all = self.0.calibrations.0.lock().unwrap_or_else(PoisonError::into_inner);
        let version = all.len() as u64 + 1;
        all.push(CalibrationVersion { version, ..new.clone() });
        Ok(version)
    }

    /// The versions after this one, the oldest first: what another process put in force, too.
    ///
    /// # Errors
    /// What the database says.
    pub async fn calibrations_since(&self, version: u64) -> Result<Vec<CalibrationVersion>, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.calibrations_since(version).await;
        }
        let all = self.0.calibrations.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.iter().filter(|other| other.version > version).cloned().collect())
    }

    /// The versions of a team's intent, the latest first; `limit` of them.
    ///
    /// # Errors
    /// What the database says.
    pub async fn calibrations_of(
        &self,
        team: &TeamId,
        intent: &IntentName,
        limit: usize,
    ) -> Result<Vec<CalibrationVersion>, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.calibrations_of(team, intent, limit).await;
        }
        let all = self.0.calibrations.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.iter().rev().filter(|other| other.team == *team && other.intent == *intent);
        Ok(of.take(limit).cloned().collect())
    }

    /// Changes whenever somebody labels an answer, takes a label back or passes one over: when, Unix
    /// microseconds, and how many answers have labels.
    ///
    /// # Errors
    /// What the database says.
    pub async fn labels_mark(&self) -> Result<(i64, u64), StoreError> {
        match &self.0.disk {
            Some(disk) => disk.control.labels_mark().await,
            None => Ok(self.labels_mark_in_memory()),
        }
    }
}

impl Control {
    async fn add_calibration(&self, new: &CalibrationVersion) -> Result<u64, StoreError> {
        let version: i64 = sqlx::query_scalar(
            "INSERT INTO calibrations (team, intent, lineage, at_us, by, why, pinned, calibration)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING version",
        )
        .bind(new.team.as_str())
        .bind(new.intent.as_str())
        .bind(&new.lineage)
        .bind(new.at_us)
        .bind(&new.by)
        .bind(&new.why)
        .bind(new.pinned)
        .bind(&new.calibration)
        .fetch_one(self.pool())
        .await
        .map_err(StoreError::database("keep a calibration"))?;
        Ok(version.unsigned_abs())
    }

    async fn calibrations_since(&self, version: u64) -> Result<Vec<CalibrationVersion>, StoreError> {
        // Of each only the last: what came between was not in force for long.
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE version IN (SELECT max(version) FROM calibrations WHERE version > ? GROUP BY team, lineage)
             ORDER BY version"
        )))
        .bind(version.cast_signed())
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("read the calibrations"))?;
        Ok(rows.into_iter().map(read).collect())
    }

    async fn calibrations_of(
        &self,
        team: &TeamId,
        intent: &IntentName,
        limit: usize,
    ) -> Result<Vec<CalibrationVersion>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
            "{COLUMNS} WHERE team = ? AND intent = ? ORDER BY version DESC LIMIT ?"
        )))
        .bind(team.as_str())
        .bind(intent.as_str())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("read the calibrations"))?;
        Ok(rows.into_iter().map(read).collect())
    }

    async fn labels_mark(&self) -> Result<(i64, u64), StoreError> {
        let (at_us, count): (Option<i64>, i64) =
            sqlx::query_as("SELECT max(acted_us), count(*) FROM reviews WHERE labels > 0")
                .fetch_one(self.pool())
                .await
                .map_err(StoreError::database("look for new labels"))?;
        Ok((at_us.unwrap_or_default(), count.unsigned_abs()))
    }
}
