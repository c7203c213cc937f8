//! Figures for Prometheus, derived from records. Labels are configured names and enums: bounded.

mod budgets;
mod caches;
mod drift;
mod labels;
mod lanes;
mod rollouts;
mod state;
mod usd;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use baton_core::Record;
use baton_engine::Orchestrator;
use baton_telemetry::{OutletState, Outlets};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use budgets::Budgets;
use caches::Caches;
use drift::Drift;
use labels::{ByAttempt, ByCode, ByIntent, ByIntentAndModel, ByOutcome, ByTokens, TokenKind};
use lanes::Lanes;
use rollouts::Rollouts;
use state::States;
use usd::Usd;

/// Seconds: from an exact hit (tens of microseconds) to the longest deadline.
const DURATIONS: [f64; 16] =
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];
/// Seconds: Baton's own part.
const OVERHEADS: [f64; 10] = [0.000_025, 0.000_05, 0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.01, 0.1, 1.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// See the module. Give [`Metrics::observe`] to the engine's `Builder::on_record`.
pub struct Metrics {
    registry: Registry,
    durations: Histograms<ByOutcome>,
    overheads: Histograms<ByIntent>,
    attempts: Family<ByAttempt, Counter>,
    errors: Family<ByCode, Counter>,
    costs: Family<ByIntentAndModel, Usd>,
    tokens: Family<ByTokens, Counter>,
    lanes: Lanes,
    states: States,
    outlets: Outlets,
    budgets: Budgets,
    drift: Drift,
    rollouts: Rollouts,
    caches: Caches,
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::watching(Outlets::default())
    }

    /// Nothing counted yet; these ways out are shown as well.
    #[must_use]
    pub fn watching(outlets: Outlets) -> Arc<Self> {
        let mut metrics = Self {
            registry: Registry::with_prefix("baton"),
            durations: Family::new_with_constructor(|| Histogram::new(DURATIONS)),
            overheads: Family::new_with_constructor(|| Histogram::new(OVERHEADS)),
            attempts: Family::default(),
            errors: Family::default(),
            costs: Family::default(),
            tokens: Family::default(),
            lanes: Lanes::default(),
            states: States::default(),
            outlets,
            budgets: Budgets::default(),
            drift: Drift::default(),
            rollouts: Rollouts::default(),
            caches: Caches::default(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        let seconds = || Unit::Seconds;
        r.register_with_unit(
            "execution_duration",
            "From the request fully read to the answer or the error",
            seconds(),
            self.durations.clone(),
        );
        r.register_with_unit(
            "overhead",
            "The part of an execution not spent waiting for a model or for a place at one",
            seconds(),
            self.overheads.clone(),
        );
        r.register("attempts", "Tries at a model, the skipped ones included", self.attempts.clone());
        r.register("errors", "Executions that ended in a typed error", self.errors.clone());
        r.register("cost_usd", "Dollars of all attempts whose price is known", self.costs.clone());
        r.register("tokens", "Tokens; input includes cached, output includes reasoning", self.tokens.clone());
        self.lanes.register(r);
        self.states.register(r);
        self.budgets.register(r);
        self.drift.register(r);
        self.rollouts.register(r);
        self.caches.register(r);
    }

    /// Counts one record. A few hash look-ups: about a microsecond.
    pub fn observe(&self, record: &Record) {
        let intent = &record.intent;
        let outcome =
            ByOutcome { intent: intent.clone(), model: record.model.clone(), via: record.via, status: record.status };
        self.durations.get_or_create(&outcome).observe(seconds(record.duration_us));
        self.overheads.get_or_create(&ByIntent { intent: intent.clone() }).observe(seconds(record.overhead_us));
        if let Some(error) = &record.error {
            self.errors.get_or_create(&ByCode { intent: intent.clone(), code: error.code }).inc();
        }
        self.caches.observe(record);
        for attempt in &record.attempts {
            let model = attempt.model.clone();
            self.attempts.get_or_create(&ByAttempt { model: model.clone(), outcome: attempt.outcome }).inc();
            if let Some(cost) = attempt.cost {
                let labels = ByIntentAndModel { intent: intent.clone(), model: model.clone() };
                self.costs.get_or_create(&labels).add(cost);
            }
            let Some(usage) = attempt.usage else { continue };
            let kinds = [
                (TokenKind::Input, usage.input_tokens),
                (TokenKind::Output, usage.output_tokens),
                (TokenKind::Cached, usage.cached_tokens),
                (TokenKind::Reasoning, usage.reasoning_tokens),
            ];
            for (kind, tokens) in kinds.into_iter().filter(|(_, tokens)| *tokens > 0) {
                self.tokens.get_or_create(&ByTokens { model: model.clone(), kind }).inc_by(tokens);
            }
        }
    }

    /// All figures in the OpenMetrics text format; what is a state, as it stands now.
    #[must_use]
    pub fn render(&self, orchestrator: &Orchestrator) -> String {
        self.lanes.read(orchestrator);
        self.states.read(orchestrator, &self.outlets.states());
        self.budgets.read(&orchestrator.budgets());
        self.drift.read(&orchestrator.drift());
        self.rollouts.read(&orchestrator.rollouts());
        self.caches.read(&orchestrator.semantic());
        self.text()
    }

    /// How each way out of telemetry does.
    pub(crate) fn outlets(&self) -> Vec<OutletState> {
        self.outlets.states()
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "the metrics could not be written");
        }
        text
    }
}

/// Microseconds as Prometheus wants them.
fn seconds(us: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "durations are far below 2^53 µs")]
    let us = us as f64;
    us / 1e6
}
