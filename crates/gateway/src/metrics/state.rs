//! What is a state, as it stands when it is asked for: journal, store, configuration, telemetry.

use std::sync::atomic::Ordering;

use baton_engine::Orchestrator;
use baton_telemetry::OutletState;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// See the module.
#[derive(Default)]
pub(super) struct States {
    journal_bytes: Gauge,
    journal_bound: Gauge,
    journal_refusing: Gauge,
    journal_dropping: Gauge,
    behind: Gauge,
    failing: Gauge,
    running: Gauge,
    reloads: Family<[(&'static str, &'static str); 1], Counter>,
    refused: Gauge,
    /// At most one: that of the configuration in force.
    version: Family<[(&'static str, String); 1], Gauge>,
    telemetry: Family<[(&'static str, &'static str); 2], Counter>,
    telemetry_failing: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl States {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register_with_unit("journal", "Bytes that the journal holds", Unit::Bytes, self.journal_bytes.clone());
        let bound = "Bytes that the journal holds at most";
        r.register_with_unit("journal_bound", bound, Unit::Bytes, self.journal_bound.clone());
        r.register("journal_refusing", "1 while the journal refuses work", self.journal_refusing.clone());
        let dropping = "1 while records lose their content: the journal is over 80 % full";
        r.register("journal_dropping_content", dropping, self.journal_dropping.clone());
        r.register("store_behind_entries", "Entries that are in the journal only", self.behind.clone());
        r.register("store_failing", "1 while the store does not take what the journal holds", self.failing.clone());
        r.register("executions_running", "Executions that run now", self.running.clone());
        r.register("configuration_reloads", "Configurations given since the start", self.reloads.clone());
        let refused = "1 while the folder is wrong, and what was in force before stays";
        r.register("configuration_refused", refused, self.refused.clone());
        r.register("configuration_info", "The configuration in force", self.version.clone());
        let telemetry = "What was to leave: executions traced, exports of metrics, events, webhooks delivered";
        r.register("telemetry_items", telemetry, self.telemetry.clone());
        let failing = "1 while what leaves is not taken by the other side";
        r.register("telemetry_failing", failing, self.telemetry_failing.clone());
    }

    pub(super) fn read(&self, orchestrator: &Orchestrator, outlets: &[OutletState]) {
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        let journal = orchestrator.store().journal().state();
        set(&self.journal_bytes, journal.bytes);
        set(&self.journal_bound, journal.bound);
        set(&self.journal_refusing, journal.refusing.into());
        set(&self.journal_dropping, journal.dropping_content.into());
        let ingestion = orchestrator.store().ingestion();
        set(&self.behind, ingestion.behind);
        set(&self.failing, ingestion.error.is_some().into());
        set(&self.running, orchestrator.running() as u64);
        let configuration = orchestrator.configuration();
        let results = [
            ("applied", configuration.applied),
            ("unchanged", configuration.unchanged),
            ("refused", configuration.refusals),
        ];
        let store = |counter: &Counter, count| counter.inner().store(count, Ordering::Relaxed);
        for (result, count) in results {
            store(&self.reloads.get_or_create(&[("result", result)]), count);
        }
        for outlet in outlets {
            for (result, count) in [("sent", outlet.sent), ("failed", outlet.failed), ("dropped", outlet.dropped)] {
                store(&self.telemetry.get_or_create(&[("outlet", outlet.name), ("result", result)]), count);
            }
            set(&self.telemetry_failing.get_or_create(&[("outlet", outlet.name)]), outlet.failing.into());
        }
        set(&self.refused, configuration.refused.is_some().into());
        self.version.clear();
        let short = configuration.hash.get(..8).unwrap_or_default().to_owned();
        self.version.get_or_create(&[("hash", short)]).set(1);
    }
}
