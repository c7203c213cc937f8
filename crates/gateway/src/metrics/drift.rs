//! How the watch for drift stands, by team and intent: names that are configured.

use baton_engine::{DriftStanding, DriftState};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::ByWatch;

/// See the module.
#[derive(Default)]
pub(super) struct Drift {
    alarms: Family<ByWatch, Gauge>,
    wanted: Family<ByWatch, Gauge>,
}

impl Drift {
    pub(super) fn register(&self, r: &mut Registry) {
        let alarm = "1 while what the judge says has moved and it is not known why; 0 while it is watched";
        r.register("drift_alarm", alarm, self.alarms.clone());
        let wanted = "Labels that it takes to explain the alarm";
        r.register("drift_labels_wanted", wanted, self.wanted.clone());
    }

    /// As they stand now; nothing of what is not watched.
    pub(super) fn read(&self, standings: &[DriftStanding]) {
        self.alarms.clear();
        self.wanted.clear();
        for standing in standings {
            let wanted = match &standing.state {
                DriftState::Needs { .. } => continue,
                DriftState::Watching { .. } => None,
                DriftState::Alarm { labels_wanted, .. } => Some(*labels_wanted),
            };
            let labels = ByWatch { team: standing.team.to_string(), intent: Some(standing.intent.clone()) };
            self.alarms.get_or_create(&labels).set(i64::from(wanted.is_some()));
            self.wanted.get_or_create(&labels).set(i64::try_from(wanted.unwrap_or_default()).unwrap_or(i64::MAX));
        }
    }
}
