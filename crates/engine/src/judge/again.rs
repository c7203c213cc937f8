//! Recorded answers that are judged again: what the judge says of them now shows whether it is still the
//! same.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use baton_config::Plan;
use baton_core::{CallConfig, Moment, NanoUsd, Record, ScoreResult};

use super::path::apart;
use super::{Judges, Spending, heard, question, said};
use crate::call::{Call, Caller};
use crate::engine::Engine;
use crate::intent::Intent;

/// Of the judge's money of a day, what may go to answers that are judged again.
const SHARE: f64 = 0.25;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the judge says now; `None` where the record has no content, or the day's money for this is spent.
pub(crate) async fn again(engine: &Arc<Engine>, intent: &Intent, record: &Record) -> Option<ScoreResult> {
    let (input, output) = (record.input.as_ref()?, record.output.as_ref()?);
    if !engine.judges.pay_again(&intent.plan, engine.clock.now()) {
        return None;
    }
    let call = Call {
        caller: Caller { team: record.team.clone(), ..Caller::default() },
        // What is remembered is what it said before.
        config: CallConfig { cache_ttl: Some(0), ..CallConfig::default() },
        metadata: record.metadata.clone(),
        subject: record.subject.clone(),
        parent: Some(record.execution),
        said: Some(engine.clock.moment_at(record.started_at_us)),
        ..Call::of(question(intent, input, output))
    };
    let (_, events) = apart(engine, call);
    Some(said(intent, output, &heard(engine, &intent.plan.name, events).await))
}

impl Judges {
    /// Takes the price of one judgement from what may go to answers that are judged again today; false
    /// where that is spent.
    fn pay_again(&self, plan: &Plan, now: Moment) -> bool {
        let Some(spec) = &plan.judge else { return false };
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let spending = rates.entry(plan.name.clone()).or_default();
        let Some(money) = spec.usd_per_day else { return true };
        let cost = spending.rate.cost().unwrap_or(spec.usd_first.map_or(0.0, nano));
        spending.pay(cost, money, now)
    }
}

impl Spending {
    /// Takes this cost from its share of a day's money, where that covers it.
    fn pay(&mut self, cost: f64, money: NanoUsd, now: Moment) -> bool {
        let spent = self.again_on(day(now)) + cost;
        let pays = spent <= SHARE * nano(money);
        if pays {
            self.again = (day(now), spent);
        }
        pays
    }

    fn again_on(&self, day: u64) -> f64 {
        if self.again.0 == day { self.again.1 } else { 0.0 }
    }

    /// Of the day's money, what is left for answers that are drawn.
    pub(super) fn left(&self, money: Option<NanoUsd>, now: Moment) -> Option<NanoUsd> {
        #[expect(clippy::cast_possible_truncation, reason = "a share of an amount in nano-dollars")]
        let spent = self.again_on(day(now)) as i64;
        money.map(|money| NanoUsd(money.0.saturating_sub(spent).max(0)))
    }
}

fn day(now: Moment) -> u64 {
    (now - Moment::default()).as_secs() / DAY.as_secs()
}

#[expect(clippy::cast_precision_loss, reason = "nano-dollars of one day")]
fn nano(usd: NanoUsd) -> f64 {
    usd.0 as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judging_again_has_a_quarter_of_the_days_money_and_drawing_the_rest() {
        let mut spending = Spending::default();
        let (now, money) = (Moment::default(), NanoUsd(1000));
        let paid = (0..9).filter(|_| spending.pay(100.0, money, now)).count();
        assert_eq!((paid, spending.left(Some(money), now)), (2, Some(NanoUsd(800))));
        assert_eq!(spending.left(None, now), None);
        let tomorrow = now + DAY;
        assert_eq!(spending.left(Some(money), tomorrow), Some(money));
        assert!(spending.pay(100.0, money, tomorrow));
    }
}
