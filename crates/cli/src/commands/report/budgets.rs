//! What was spent today of what may be, by team, intent and key.

use baton_config::Snapshot;
use baton_core::{Account, KeyId, NanoUsd};
use baton_store::{Store, StoreError};
use comfy_table::CellAlignment;
use serde_json::{Value, json};

use crate::exit::say;
use crate::setup::plain_table;

/// A budget and how it stands.
pub(super) struct Line {
    account: Account,
    spent: NanoUsd,
    limit: NanoUsd,
}

/// Of everybody whose money is limited: teams and intents as configured, keys that are good.
pub(super) async fn lines(store: &Store, snapshot: &Snapshot, now_us: i64) -> Result<Vec<Line>, StoreError> {
    let teams = snapshot.teams.iter().map(|(name, team)| (Account::Team(name.clone()), team.allowance));
    let intents = snapshot.intents.values().map(|plan| (Account::Intent(plan.name.clone()), plan.allowance));
    let keys = store.list_keys(None).await?;
    let good = keys.iter().filter(|key| key.is_active(now_us));
    let keys = good.map(|key| (Account::Key(KeyId::new(&key.id)), key.allowance));
    let spends = store.spends(now_us).await?;
    let spent = |account: &Account| spends.iter().filter(|s| s.account == *account).map(|s| s.cost).sum();
    let limited = teams.chain(intents).chain(keys).filter_map(|(account, may)| Some((account, may.usd_per_day?)));
    Ok(limited.map(|(account, limit)| Line { spent: spent(&account), account, limit }).collect())
}

impl Line {
    /// Of the limit, in percent.
    fn percent(&self) -> i64 {
        // Whole percents, rounded down: 100 is all of it.
        if self.limit.0 == 0 { 100 } else { self.spent.0.saturating_mul(100) / self.limit.0 }
    }
}

pub(super) fn json(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        let (kind, name) = match &line.account {
            Account::Key(id) => ("key", id.as_str()),
            Account::Team(name) => ("team", name.as_str()),
            Account::Intent(name) => ("intent", name.as_str()),
        };
        json!({
            "of": kind, "name": name,
            "spent_today_usd": line.spent.to_string(), "usd_per_day": line.limit.to_string(),
        })
    };
    Value::Array(lines.iter().map(line).collect())
}

pub(super) fn print(lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    let mut table = plain_table();
    table.set_header(["budget of", "spent today (UTC)", "USD a day", "%"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in lines {
        let (spent, limit) = (line.spent.to_string(), line.limit.to_string());
        table.add_row([line.account.to_string(), spent, limit, line.percent().to_string()]);
    }
    say!("\n{table}");
}
