//! Rollouts, in `control.db`: what happened to each, and how it stands; and the records that they learn
//! from, in the order in which they came.

use std::sync::{Mutex, PoisonError};

use baton_core::{IntentName, Record, TeamId};

use super::pack::unpack;
use super::{Store, control::Control, memory, records::Records};
use crate::StoreError;

/// One thing that happened to the rollout of a team's intent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutEntry {
    /// The later, the larger; over all intents.
    pub seq: u64,
    /// Whose calls.
    pub team: TeamId,
    /// Of which intent.
    pub intent: IntentName,
    /// When, Unix microseconds.
    pub at_us: i64,
    /// Who: `baton`, or a person.
    pub by: String,
    /// What: `started`, `stepped`, `promoted`, `rolled_back` or `released`.
    pub kind: String,
    /// Why, in a sentence.
    pub why: String,
    /// The rollout after it, as JSON.
    pub state: String,
}

/// Of a store in memory.
#[derive(Default)]
pub(crate) struct MemoryRollouts(Mutex<Vec<RolloutEntry>>);

type Row = (i64, String, String, i64, String, String, String, String);

/// Records of one page.
const PAGE: usize = 500;

fn read((seq, team, intent, at_us, by, kind, why, state): Row) -> RolloutEntry {
    let (seq, team, intent) = (seq.unsigned_abs(), TeamId::new(&team), IntentName::new(&intent));
    RolloutEntry { seq, team, intent, at_us, by, kind, why, state }
}

impl Store {
    /// Keeps what happened, where the last that happened to this team's intent is `after` (its number; 0
    /// is nothing); `new.seq` is not read. False where something else happened meanwhile.
    ///
    /// # Errors
    /// What the database says.
    pub async fn add_rollout(&self, new: &RolloutEntry, after: u64) -> Result<bool, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.add_rollout(new, after).await;
        }
        let mut all = self.0.rollouts.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |entry: &&RolloutEntry| (&entry.team, &entry.intent) == (&new.team, &new.intent);
        let fits = all.iter().rfind(of).map_or(0, |entry| entry.seq) == after;
        let seq = all.len() as u64 + 1;
        if fits {
            all.push(RolloutEntry { seq, ..new.clone() });
        }
        Ok(fits)
    }

    /// What happened after this number, the oldest first: by another process, too.
    ///
    /// # Errors
    /// What the database says.
    pub async fn rollouts_since(&self, seq: u64) -> Result<Vec<RolloutEntry>, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.rollouts_since(seq).await;
        }
        let all = self.0.rollouts.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(all.iter().filter(|entry| entry.seq > seq).cloned().collect())
    }

    /// Records of a team's intent that started at or after `since_us`, in the order in which they came,
    /// some of those after the place `after` (0 is the beginning), each with its place.
    ///
    /// # Errors
    /// What the database says.
    pub async fn records_after(
        &self,
        (team, intent): (&TeamId, &IntentName),
        since_us: i64,
        after: u64,
    ) -> Result<Vec<(u64, Record)>, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.records.after((team, intent), since_us, after).await;
        }
        let Some(memory) = self.0.journal.as_memory() else { return Ok(Vec::new()) };
        let wanted = |record: &Record| {
            record.team == *team && record.intent.as_ref() == Some(intent) && record.started_at_us >= since_us
        };
        let placed = (1..).zip(memory::records(memory, wanted));
        Ok(placed.filter(|(place, _)| *place > after).take(PAGE).collect())
    }
}

impl Control {
    async fn add_rollout(&self, new: &RolloutEntry, after: u64) -> Result<bool, StoreError> {
        let added = sqlx::query(
            "INSERT INTO rollouts (team, intent, at_us, by, kind, why, state) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE (SELECT coalesce(max(seq), 0) FROM rollouts WHERE team = ?1 AND intent = ?2) = ?8",
        )
        .bind(new.team.as_str())
        .bind(new.intent.as_str())
        .bind(new.at_us)
        .bind(&new.by)
        .bind(&new.kind)
        .bind(&new.why)
        .bind(&new.state)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .execute(self.pool())
        .await
        .map_err(StoreError::database("keep what happened to a rollout"))?;
        Ok(added.rows_affected() > 0)
    }

    async fn rollouts_since(&self, seq: u64) -> Result<Vec<RolloutEntry>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT seq, team, intent, at_us, by, kind, why, state FROM rollouts WHERE seq > ? ORDER BY seq",
        )
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("read what happened to rollouts"))?;
        Ok(rows.into_iter().map(read).collect())
    }
}

impl Records {
    async fn after(
        &self,
        (team, intent): (&TeamId, &IntentName),
        since_us: i64,
        after: u64,
    ) -> Result<Vec<(u64, Record)>, StoreError> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as(
            "SELECT row, record FROM executions JOIN bodies USING (row)
             WHERE row > ? AND intent = ? AND started_at_us >= ? AND team = ? ORDER BY row LIMIT ?",
        )
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(intent.as_str())
        .bind(since_us)
        .bind(team.as_str())
        .bind(i64::try_from(PAGE).unwrap_or_default())
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("read the records of a rollout"))?;
        rows.iter().map(|(row, body)| Ok((row.unsigned_abs(), unpack(body)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use baton_config::{Durability, StoreSpec};

    use super::*;

    fn entry(team: &str, kind: &str) -> RolloutEntry {
        RolloutEntry {
            seq: 0,
            team: TeamId::new(team),
            intent: IntentName::new("sort"),
            at_us: 3,
            by: "ana".into(),
            kind: kind.into(),
            why: "because".into(),
            state: "{}".into(),
        }
    }

    async fn one_after_the_other(store: &Store) {
        assert!(store.add_rollout(&entry("a", "started"), 0).await.unwrap());
        assert!(store.add_rollout(&entry("b", "started"), 0).await.unwrap());
        assert!(!store.add_rollout(&entry("a", "stepped"), 0).await.unwrap(), "something happened meanwhile");
        assert!(store.add_rollout(&entry("a", "stepped"), 1).await.unwrap());
        let kinds = |all: Vec<RolloutEntry>| -> Vec<(u64, String)> {
            all.into_iter().map(|entry| (entry.seq, format!("{} {}", entry.team, entry.kind))).collect()
        };
        let all = kinds(store.rollouts_since(0).await.unwrap());
        assert_eq!(all, [(1, "a started".into()), (2, "b started".into()), (3, "a stepped".into())]);
        assert_eq!(kinds(store.rollouts_since(2).await.unwrap()), [(3, "a stepped".into())]);
    }

    #[tokio::test]
    async fn what_happened_is_kept_in_order_in_memory_and_in_a_folder() {
        one_after_the_other(&Store::memory()).await;
        let dir = tempfile::tempdir().unwrap();
        let spec = StoreSpec { dir: dir.path().join("store"), durability: Durability::Process };
        let store = Store::open(&spec).await.unwrap();
        one_after_the_other(&store).await;
        store.close().await;
        let store = Store::open_read(&spec).await.unwrap();
        assert_eq!(store.rollouts_since(0).await.unwrap().len(), 3);
    }
}
