//! How likely an answer is to be drawn for judging: as likely as the day's money allows.

use std::time::Duration;

use baton_core::{Moment, NanoUsd};

/// Over how long recent traffic is averaged.
const WINDOW: Duration = Duration::from_secs(600);
/// A judgement counts this much of the average cost of one.
const COST_SHARE: f64 = 0.05;
const DAY_S: f64 = 86_400.0;

/// Recent traffic of one intent, and what judging one of its answers costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JudgeRate {
    began: Option<Moment>,
    last: Moment,
    /// Answers, those before weighing less by e each [`WINDOW`].
    answers: f64,
    /// Nano-dollars, on average.
    cost: Option<f64>,
}

impl JudgeRate {
    /// An answer was given: the probability, in [0, 1], with which it is to be drawn. With
    /// `usd_per_day` it is the share of recent traffic that this money pays for when it is spread
    /// over a day; until one judgement has shown what it costs, `first` stands for it. Where neither
    /// is known there is nothing to go by, and every answer is drawn.
    pub fn draw(&mut self, now: Moment, usd_per_day: Option<NanoUsd>, first: Option<NanoUsd>) -> f64 {
        let began = *self.began.get_or_insert(now);
        let decay = (-(now - self.last).as_secs_f64() / WINDOW.as_secs_f64()).exp();
        self.answers = self.answers * decay + 1.0;
        self.last = now;
        let Some(money) = usd_per_day else { return 1.0 };
        #[expect(clippy::cast_precision_loss, reason = "nano-dollars of one judgement")]
        let first = first.map(|first| first.0 as f64);
        let Some(cost) = self.cost.or(first).filter(|cost| *cost > 0.0) else { return 1.0 };
        // What was not seen yet is no lull: the average is over the time that there was.
        let window = WINDOW.as_secs_f64();
        let seen = window * (1.0 - (-(now - began).as_secs_f64() / window).exp());
        let per_second = self.answers / seen.max(1.0);
        #[expect(clippy::cast_precision_loss, reason = "nano-dollars of one day")]
        let money = money.0 as f64;
        (money / DAY_S / (per_second * cost)).clamp(0.0, 1.0)
    }

    /// Nano-dollars of a judgement on average, once one has shown it.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        self.cost
    }

    /// What one judgement cost.
    pub fn judged(&mut self, cost: NanoUsd) {
        #[expect(clippy::cast_precision_loss, reason = "nano-dollars of one judgement")]
        let cost = cost.0 as f64;
        self.cost = Some(self.cost.map_or(cost, |before| before + COST_SHARE * (cost - before)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USD: i64 = 1_000_000_000;

    #[test]
    fn the_days_money_lasts_for_the_day() {
        // 10 answers a second, a thousandth of a dollar each judgement, 8.64 dollars a day: 0.1 a
        // second, one answer in a hundred.
        let mut rate = JudgeRate::default();
        rate.judged(NanoUsd(USD / 1000));
        let mut drawn = 0.0;
        for call in 0..36_000_u64 {
            let p = rate.draw(Moment::from_micros(call * 100_000), Some(NanoUsd(8_640_000_000)), None);
            if call >= 18_000 {
                drawn += p;
            }
        }
        let share = drawn / 18_000.0;
        assert!((share - 0.01).abs() < 0.0005, "{share}");
    }

    #[test]
    fn rare_answers_are_all_drawn_and_free_ones_too() {
        let mut rate = JudgeRate::default();
        rate.judged(NanoUsd(USD / 1000));
        assert!(rate.draw(Moment::from_micros(0), Some(NanoUsd(100 * USD)), None) >= 1.0);
        assert!(rate.draw(Moment::from_micros(1_000_000), None, None) >= 1.0);
        let mut free = JudgeRate::default();
        free.judged(NanoUsd(0));
        assert!(free.draw(Moment::from_micros(0), Some(NanoUsd(1)), None) >= 1.0);
    }

    #[test]
    fn what_a_judgement_may_cost_stands_for_what_it_costs() {
        let mut rate = JudgeRate::default();
        let p = rate.draw(Moment::from_micros(0), Some(NanoUsd(86_400)), Some(NanoUsd(10)));
        assert!((p - 0.1).abs() < 1e-9, "{p}");
    }
}
