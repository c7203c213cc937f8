//! How budgets stand: of teams and intents, whose names are configured. Keys are too many for labels.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use baton_core::{Account, NanoUsd};
use baton_engine::BudgetState;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::labels::{ByBudget, ByBudgetLimit};

type Dollars = Gauge<f64, AtomicU64>;

/// See the module.
#[derive(Default)]
pub(super) struct Budgets {
    spent: Family<ByBudget, Dollars>,
    limits: Family<ByBudget, Dollars>,
    remaining: Family<ByBudget, Dollars>,
    left: Family<ByBudgetLimit, Gauge>,
    refused: Family<ByBudget, Counter>,
}

impl Budgets {
    pub(super) fn register(&self, r: &mut Registry) {
        r.register("budget_spent_usd", "Dollars spent today (UTC)", self.spent.clone());
        r.register("budget_limit_usd", "Dollars that may be spent in a day", self.limits.clone());
        let remaining = "Dollars left today, those held by running attempts taken off";
        r.register("budget_remaining_usd", remaining, self.remaining.clone());
        let left = "Calls and tokens left of the last minute's";
        r.register("rate_limit_remaining", left, self.left.clone());
        let refused = "Calls and attempts that a budget or a rate limit stood in the way of";
        r.register("budget_refusals", refused, self.refused.clone());
    }

    /// As they stand now. Of who is limited no more there is nothing; what keys were refused is one sum.
    pub(super) fn read(&self, states: &[BudgetState]) {
        for family in [&self.spent, &self.limits, &self.remaining] {
            family.clear();
        }
        self.left.clear();
        let mut refused: BTreeMap<(&'static str, String), u64> = BTreeMap::new();
        for state in states {
            let (kind, name) = match &state.account {
                Account::Team(name) => ("team", name.to_string()),
                Account::Intent(name) => ("intent", name.to_string()),
                Account::Key(_) => ("key", String::new()),
            };
            *refused.entry((kind, name.clone())).or_default() += state.refused;
            if kind != "key" {
                self.account(state, (kind, name));
            }
        }
        for ((kind, name), count) in refused {
            self.refused
                .get_or_create(&ByBudget { kind: kind.to_owned(), name })
                .inner()
                .store(count, Ordering::Relaxed);
        }
    }

    fn account(&self, state: &BudgetState, (kind, name): (&'static str, String)) {
        let (used, may) = (&state.standing, &state.allowance);
        if let Some(limit) = may.usd_per_day {
            let labels = ByBudget { kind: kind.to_owned(), name: name.clone() };
            self.spent.get_or_create(&labels).set(dollars(used.spent));
            self.limits.get_or_create(&labels).set(dollars(limit));
            self.remaining.get_or_create(&labels).set(dollars(limit - used.spent - used.reserved));
        }
        for (limit, may, used) in
            [("calls", may.calls_per_minute, used.calls), ("tokens", may.tokens_per_minute, used.tokens)]
        {
            if let Some(may) = may {
                let left = i64::try_from(may.saturating_sub(used)).unwrap_or(i64::MAX);
                let (kind, limit) = (kind.to_owned(), limit.to_owned());
                self.left.get_or_create(&ByBudgetLimit { kind, name: name.clone(), limit }).set(left);
            }
        }
    }
}

fn dollars(amount: NanoUsd) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only")]
    let nano = amount.0 as f64;
    nano / 1e9
}
