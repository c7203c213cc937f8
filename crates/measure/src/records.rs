//! All that a stopped server left in its store.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Result;
use baton_config::{Durability, StoreSpec};
use baton_core::{ExecutionId, Record, TeamId};
use baton_store::{ExecutionFilter, ReportQuery, Store};

/// See the module.
pub(crate) struct Recorded {
    /// By execution, whatever the team's page held.
    pub(crate) records: HashMap<ExecutionId, Vec<Record>>,
    /// Calls that the rollups counted.
    pub(crate) counted: u64,
}

/// Reads the store of a folder that `baton serve` ran on, team `default`.
pub(crate) async fn read(house: &Path) -> Result<Recorded> {
    of_team(house, "default").await
}

/// Likewise, of another team.
pub(crate) async fn of_team(house: &Path, team: &str) -> Result<Recorded> {
    let spec = StoreSpec { dir: house.join(".baton"), durability: Durability::Process };
    let store = Store::open_read(&spec).await?;
    let team = TeamId::new(team);
    let mut records: HashMap<ExecutionId, Vec<Record>> = HashMap::new();
    let mut before = None;
    loop {
        let filter = ExecutionFilter { intent: None, status: None, limit: 1000, before };
        let page = store.executions(&team, filter).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.execution);
        for record in page {
            records.entry(record.execution).or_default().push(record);
        }
    }
    let query = ReportQuery { since_us: 0, until_us: i64::MAX, team: Some(team), intent: None };
    let counted = store.report(query).await?.total.calls.calls;
    store.close().await;
    Ok(Recorded { records, counted })
}
