//! Each lane as it stands when it is asked for: its breaker, its places, who waits.

use std::collections::BTreeMap;

use baton_core::{BreakerState, ModelId};
use baton_engine::Orchestrator;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::ByLane;

/// See the module.
#[derive(Default)]
pub(super) struct Lanes {
    breakers: Family<ByLane, Gauge>,
    in_flight: Family<ByLane, Gauge>,
    limits: Family<ByLane, Gauge>,
    waiting: Family<ByLane, Gauge>,
}

/// What is shown of the lanes of one model and key: each intent's `local` is a lane of its own.
#[derive(Default)]
struct Shown {
    breaker: i64,
    in_flight: i64,
    limit: Option<i64>,
    waiting: i64,
}

impl Lanes {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("breaker_state", "0 closed, 1 probing, 2 open", self.breakers.clone());
        r.register("lane_in_flight", "Calls in the air at a model", self.in_flight.clone());
        let limits = "Calls at a time that a model is given: configured, and lowered to what it holds";
        r.register("lane_limit", limits, self.limits.clone());
        r.register("lane_waiting", "Calls that wait for a place at a model", self.waiting.clone());
    }

    pub(super) fn read(&self, orchestrator: &Orchestrator) {
        let mut all: BTreeMap<(ModelId, Option<u32>), Shown> = BTreeMap::new();
        for lane in orchestrator.lanes() {
            let breaker = match lane.breaker {
                BreakerState::Closed => 0,
                BreakerState::Probing { .. } => 1,
                BreakerState::Open { .. } => 2,
            };
            let shown = all.entry((lane.model, lane.key)).or_default();
            shown.breaker = breaker.max(shown.breaker);
            shown.in_flight += i64::from(lane.in_flight);
            shown.waiting += i64::try_from(lane.waiting).unwrap_or(i64::MAX);
            shown.limit = lane.limit.map(i64::from);
        }
        // A configuration may have taken some out.
        [&self.breakers, &self.in_flight, &self.limits, &self.waiting].into_iter().for_each(Family::clear);
        for ((model, key), shown) in all {
            let lane = ByLane { model, key };
            self.breakers.get_or_create(&lane).set(shown.breaker);
            self.in_flight.get_or_create(&lane).set(shown.in_flight);
            self.waiting.get_or_create(&lane).set(shown.waiting);
            if let Some(limit) = shown.limit {
                self.limits.get_or_create(&lane).set(limit);
            }
        }
    }
}
