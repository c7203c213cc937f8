//! Vectors from a provider: one request for each input that is looked up, within the budgets of its
//! caller and a part of its time. A provider that fails is left alone for a while: the call goes on
//! without the semantic cache.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use baton_config::ModelSpec;
use baton_core::{At, Embedded, Moment, Need, Usage, Used};
use baton_embed::TEXT_BYTES_MAX;
use baton_provider::Provider;
use tokio::time::timeout;

use crate::drive::tokens_at_most;
use crate::engine::Engine;
use crate::live::Live;
use crate::resolve::Request;

/// The longest that a call waits for its vector,
const WAIT_MAX: Duration = Duration::from_millis(500);
/// and the largest part of its time: one in so many.
const WAIT_SHARE: u32 = 4;
/// So long nobody asks again after a failure.
const REST: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Remote {
    pub(super) model: ModelSpec,
    provider: Arc<Provider>,
}

impl Remote {
    pub(super) fn of(live: &Live, model: &ModelSpec) -> Option<Self> {
        let provider = Arc::clone(live.providers.get(model.id.provider())?.first()?);
        Some(Self { model: model.clone(), provider })
    }

    /// The vector, or why there is none; with what it took, where the provider was asked.
    pub(super) async fn embed(
        &self,
        engine: &Engine,
        request: &Request,
        text: &str,
    ) -> (Result<Vec<f32>, String>, Option<Embedded>) {
        if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
            return (Err("the input has no words to compare, or too many".into()), None);
        }
        let now = engine.clock.now();
        if self.rests(engine, now) {
            return (Err(format!("{} failed a moment ago", self.model.id)), None);
        }
        let unix_us = request.started_at_us;
        let price = self.model.price.as_ref();
        let most = tokens_at_most(text.len());
        let cost = price.and_then(|price| price.cost_at_most(&of_tokens(most), unix_us));
        let reserved = engine.budgets.reserve(&request.quotas, Need { tokens: most, cost }, At { now, unix_us });
        let reservation = match reserved {
            Ok(reservation) => reservation,
            Err(refusal) => return (Err(refusal.to_string()), None),
        };
        let wait = WAIT_MAX.min((request.deadline - now) / WAIT_SHARE);
        let answered = timeout(wait, self.provider.embed(self.model.id.name(), text)).await;
        let (vector, usage) = match answered {
            Ok(Ok((vector, usage))) => (Ok(vector), usage),
            Ok(Err(error)) => (Err(format!("{}: {error}", self.model.id)), Some(Usage::default())),
            // What was asked may still be done, and paid.
            Err(_) => (Err(format!("{} took longer than {} ms", self.model.id, wait.as_millis())), None),
        };
        if vector.is_err() {
            self.rest(engine);
        }
        let usage = usage.unwrap_or(Usage { estimated: true, ..of_tokens(most) });
        let cost = price.and_then(|price| price.cost(&usage, unix_us));
        engine.budgets.settle(reservation, Used { tokens: usage.input_tokens, cost: cost.unwrap_or_default() });
        (vector, Some(Embedded { usage, cost }))
    }

    fn rests(&self, engine: &Engine, now: Moment) -> bool {
        let resting = engine.semantic.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.get(&self.model.id).is_some_and(|until| now < *until)
    }

    fn rest(&self, engine: &Engine) {
        let mut resting = engine.semantic.resting.lock().unwrap_or_else(PoisonError::into_inner);
        resting.insert(self.model.id.clone(), engine.clock.now() + REST);
    }
}

fn of_tokens(input_tokens: u64) -> Usage {
    Usage { input_tokens, ..Usage::default() }
}
