//! What the watch for drift saw, in `control.db`: alarms and their explanations, and how to go on after
//! a restart.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use baton_core::{IntentName, TeamId};

use super::{Store, control::Control};
use crate::StoreError;

/// One thing that the watch over a team's lineage saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftEntry {
    /// Whose answers.
    pub team: TeamId,
    /// Of which intent.
    pub intent: IntentName,
    /// Of which lineage of it.
    pub lineage: String,
    /// When, Unix microseconds.
    pub at_us: i64,
    /// What: `begun`, `gold`, `alarm` or `explained`. Of `gold` only the latest is kept.
    pub kind: String,
    /// The figures, as JSON.
    pub detail: String,
    /// The watch after it, as JSON.
    pub state: String,
}

/// Of a store in memory.
#[derive(Default)]
pub(crate) struct MemoryDrift(Mutex<Vec<DriftEntry>>);

/// The kind that comes daily.
const GOLD: &str = "gold";

type Row = (String, String, String, i64, String, String, String);

fn read((team, intent, lineage, at_us, kind, detail, state): Row) -> DriftEntry {
    DriftEntry { team: TeamId::new(&team), intent: IntentName::new(&intent), lineage, at_us, kind, detail, state }
}

impl DriftEntry {
    /// Whether this one makes another one needless.
    fn replaces(&self, other: &Self) -> bool {
        let kind = self.kind == GOLD && other.kind == GOLD;
        kind && self.team == other.team && self.lineage == other.lineage
    }
}

impl Store {
    /// Keeps what the watch saw.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_drift(&self, new: &DriftEntry) -> Result<(), StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.add_drift(new).await;
        }
        let mut all = self.0.drift.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| !new.replaces(other));
        all.push(new.clone());
        Ok(())
    }

    /// The latest of each team's lineage; of this kind, where one is named.
    ///
    /// # Errors
    /// What the database says.
    pub async fn drift(&self, kind: Option<&str>) -> Result<Vec<DriftEntry>, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.drift(kind).await;
        }
        let all = self.0.drift.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = all.iter().filter(|entry| kind.is_none_or(|kind| entry.kind == kind));
        let latest: BTreeMap<_, _> = of.map(|entry| ((&entry.team, &entry.lineage), entry)).collect();
        Ok(latest.into_values().cloned().collect())
    }

    /// Since when an alarm of this team is open: the earliest that neither was explained nor ended with a
    /// watch begun anew. Unix microseconds.
    pub(crate) async fn alarmed_since(&self, team: &TeamId) -> Result<Option<i64>, StoreError> {
        let alarms = self.drift(Some("alarm")).await?;
        let mut alarms: Vec<DriftEntry> = alarms.into_iter().filter(|alarm| alarm.team == *team).collect();
        for kind in ["explained", "begun"] {
            if alarms.is_empty() {
                return Ok(None);
            }
            for end in self.drift(Some(kind)).await? {
                let ended = |alarm: &DriftEntry| alarm.lineage == end.lineage && alarm.at_us <= end.at_us;
                alarms.retain(|alarm| end.team != *team || !ended(alarm));
            }
        }
        Ok(alarms.iter().map(|alarm| alarm.at_us).min())
    }
}

impl Control {
    async fn add_drift(&self, new: &DriftEntry) -> Result<(), StoreError> {
        let failed = StoreError::database("keep what the watch for drift saw");
        let mut transaction = self.pool().begin_with("BEGIN IMMEDIATE").await.map_err(&failed)?;
        if new.kind == GOLD {
            sqlx::query("DELETE FROM drift WHERE team = ? AND lineage = ? AND kind = ?")
                .bind(new.team.as_str())
                .bind(&new.lineage)
                .bind(GOLD)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
        }
        sqlx::query(
            "INSERT INTO drift (team, intent, lineage, at_us, kind, detail, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(new.team.as_str())
        .bind(new.intent.as_str())
        .bind(&new.lineage)
        .bind(new.at_us)
        .bind(&new.kind)
        .bind(&new.detail)
        .bind(&new.state)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        transaction.commit().await.map_err(&failed)
    }

    async fn drift(&self, kind: Option<&str>) -> Result<Vec<DriftEntry>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT team, intent, lineage, at_us, kind, detail, state FROM drift WHERE seq IN
             (SELECT max(seq) FROM drift WHERE ?1 IS NULL OR kind = ?1 GROUP BY team, lineage) ORDER BY seq",
        )
        .bind(kind)
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("read what the watch for drift saw"))?;
        Ok(rows.into_iter().map(read).collect())
    }
}

#[cfg(test)]
mod tests {
    use baton_config::{Durability, StoreSpec};

    use super::*;

    fn entry(team: &str, kind: &str, at_us: i64) -> DriftEntry {
        DriftEntry {
            team: TeamId::new(team),
            intent: IntentName::new("sort"),
            lineage: "l".into(),
            at_us,
            kind: kind.into(),
            detail: "{}".into(),
            state: format!("{{\"at\":{at_us}}}"),
        }
    }

    async fn latest_of(store: &Store) {
        let all = [("a", "begun", 1), ("a", "gold", 2), ("a", "gold", 3), ("b", "begun", 4), ("a", "alarm", 5)];
        for (team, kind, at_us) in all {
            store.add_drift(&entry(team, kind, at_us)).await.unwrap();
        }
        let mut latest = store.drift(None).await.unwrap();
        latest.sort_by_key(|entry| entry.at_us);
        assert_eq!(latest, [entry("b", "begun", 4), entry("a", "alarm", 5)]);
        assert_eq!(store.drift(Some("gold")).await.unwrap(), [entry("a", "gold", 3)]);
        assert_eq!(store.drift(Some("explained")).await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_latest_of_each_is_kept_in_memory_and_in_a_folder() {
        latest_of(&Store::memory()).await;
        let dir = tempfile::tempdir().unwrap();
        let spec = StoreSpec { dir: dir.path().join("store"), durability: Durability::Process };
        let store = Store::open(&spec).await.unwrap();
        latest_of(&store).await;
        store.close().await;
        let store = Store::open_read(&spec).await.unwrap();
        assert_eq!(store.drift(None).await.unwrap().len(), 2);
    }
}
