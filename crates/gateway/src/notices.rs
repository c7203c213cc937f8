//! What operators are told by webhook: how a server stands, looked at again and again. `/readyz` and the
//! metrics say the same to who asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_config::Topic;
use baton_core::{BreakerState, Day};
use baton_engine::{BudgetState, DriftEvent, LaneState, Orchestrator, RolloutEvent};
use baton_telemetry::{BudgetUse, JournalLook, Look, Monitor, Notice, Webhooks};
use tokio::time::{MissedTickBehavior, interval};

use crate::retiring::retiring;

/// How often it is looked whether there is something to tell.
const LOOK: Duration = Duration::from_secs(1);

/// Looks each second, and tells what changed to the configured webhooks. `clock` reads Unix
/// microseconds. Never ends.
pub async fn watch(baton: Orchestrator, monitor: Arc<Mutex<Monitor>>, webhooks: Webhooks, clock: fn() -> i64) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (snapshot, now) = (baton.snapshot(), clock());
        let look = look(&baton, now);
        let mut notices = monitor.lock().unwrap_or_else(PoisonError::into_inner).look(now, &snapshot, look);
        let drifts = baton.drift_events().into_iter();
        notices.extend(drifts.map(|DriftEvent { kind, data }| Notice { topic: Topic::Drift, kind, data }));
        let rollouts = baton.rollout_events().into_iter();
        notices.extend(rollouts.map(|RolloutEvent { kind, data }| Notice { topic: Topic::Rollout, kind, data }));
        for notice in notices {
            tracing::info!(event = notice.kind, data = %notice.data, "something to look at");
            webhooks.send(&snapshot.webhooks, &notice);
        }
    }
}

fn look(baton: &Orchestrator, now: i64) -> Look {
    let journal = baton.store().journal().state();
    let configuration = baton.configuration();
    let open = |lane: LaneState| (lane.breaker != BreakerState::Closed).then_some(lane.model);
    Look {
        open: baton.lanes().into_iter().filter_map(open).collect(),
        journal: match (journal.refusing, journal.dropping_content) {
            (true, _) => JournalLook::Refusing,
            (false, true) => JournalLook::DroppingContent,
            (false, false) => JournalLook::Well,
        },
        refused: configuration.refused.is_some(),
        version: configuration.hash.get(..8).unwrap_or_default().to_owned(),
        budgets: baton.budgets().into_iter().filter_map(|budget| spent(budget, now)).collect(),
        retiring: retiring(&baton.snapshot(), Day::of(now)),
    }
}

/// Of a budget that limits money; its day is that of UTC.
fn spent(budget: BudgetState, now: i64) -> Option<BudgetUse> {
    Some(BudgetUse {
        of: budget.account.to_string().replace('`', ""),
        period: Day::of(now).to_string(),
        used: budget.standing.spent + budget.standing.reserved,
        limit: budget.allowance.usd_per_day?,
    })
}
