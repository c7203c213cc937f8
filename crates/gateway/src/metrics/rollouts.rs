//! How rollouts stand, by team and intent: names that are configured.

use std::sync::atomic::AtomicU64;

use baton_engine::RolloutInForce;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::ByRollout;

/// See the module.
#[derive(Default)]
pub(super) struct Rollouts {
    shares: Family<ByRollout, Gauge<f64, AtomicU64>>,
}

impl Rollouts {
    pub(super) fn register(&self, r: &mut Registry) {
        let share = "The part of the calls for which the candidate of a rollout is asked first; by its stage";
        r.register("rollout_share", share, self.shares.clone());
    }

    /// As they stand now; nothing of what was released.
    pub(super) fn read(&self, rollouts: &[RolloutInForce]) {
        self.shares.clear();
        for RolloutInForce { team, intent, state } in rollouts {
            let Some(share) = state.share() else { continue };
            let labels = ByRollout {
                team: team.to_string(),
                intent: Some(intent.clone()),
                from: state.from.clone(),
                to: state.to.clone(),
                stage: state.stage.as_str().to_owned(),
            };
            self.shares.get_or_create(&labels).set(share);
        }
    }
}
