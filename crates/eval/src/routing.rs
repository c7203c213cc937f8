//! From outcomes to what routing knows of models: how good the answers of each are of late, and whether
//! the intent's floor was violated.

use std::collections::BTreeMap;

use baton_core::{KnownQuality, ModelId};
use baton_stats::{Isotonic, normal_quantile, wilson_interval};

/// Outcomes of a model after which an older one counts half: with so many the mean stands on some 290,
/// and a model that turns bad is known to be by some 15.
const HALF: f64 = 100.0;
/// A day after which an outcome counts half, whatever came since: who was too bad is tried again.
const HALF_US: f64 = 24.0 * 3600.0 * 1e6;
/// Outcomes that the mean of all models counts as, where a model's own is shrunk towards it.
const SHRINKAGE: f64 = 2.0;
/// With fewer nothing is said of a model.
const OUTCOMES_MIN: f64 = 8.0;
/// A step of the dual variable: what a violation adds for each outcome.
const STEP: f64 = 0.01;
/// Answers with a label and a judge's score that it takes to know what the judge's scores mean.
const PAIRS_MIN: usize = 30;

/// What is known of one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct RoutedOutcome {
    /// Who gave it.
    pub model: ModelId,
    /// When it was said, Unix microseconds.
    pub at_us: i64,
    /// Whether a reviewer passes it, or the probability of that, in [0, 1].
    pub good: f64,
    /// One over the probability with which it was drawn.
    pub weight: f64,
}

/// What routing knows of an intent's models.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoutingKnown {
    /// Of models of which enough outcomes say something.
    pub models: BTreeMap<ModelId, KnownQuality>,
    /// What is to be asked on top of the floor, because it was violated of late.
    pub dual: f64,
}

/// What a judge's score means for whether a reviewer passes an answer, learnt from answers with both;
/// `None` while too few have.
#[must_use]
pub fn score_meaning(pairs: &[(f64, bool)]) -> Option<Isotonic> {
    let pairs: Vec<(f64, f64)> = pairs.iter().map(|(score, good)| (*score, f64::from(*good))).collect();
    (pairs.len() >= PAIRS_MIN).then(|| Isotonic::fit(&pairs))
}

impl RoutingKnown {
    /// Of outcomes by source (labels, judgements), each in the order of time. `floor` is the share that
    /// must be good, `confidence` that of the bounds, one-sided.
    #[must_use]
    pub fn of(sources: Vec<Vec<RoutedOutcome>>, now_us: i64, floor: f64, confidence: f64) -> Self {
        let mut all: Vec<RoutedOutcome> = sources.into_iter().flat_map(levelled).collect();
        all.sort_by_key(|outcome| outcome.at_us);
        let dual = all.iter().fold(0.0, |dual: f64, outcome| {
            (dual + STEP * outcome.weight.min(2.0) * (floor - outcome.good)).clamp(0.0, (1.0 - floor) / 2.0)
        });
        let mut sums: BTreeMap<&ModelId, Sum> = BTreeMap::new();
        for outcome in all.iter().rev() {
            sums.entry(&outcome.model).or_default().add(outcome, now_us);
        }
        let total = sums.values().fold((0.0, 0.0), |total, sum| (total.0 + sum.weight, total.1 + sum.good));
        let overall = if total.0 > 0.0 { total.1 / total.0 } else { floor };
        let z = normal_quantile(confidence);
        let models = sums.into_iter().filter_map(|(model, sum)| Some((model.clone(), sum.known(overall, z)?)));
        Self { models: models.collect(), dual }
    }
}

/// With weights of mean 1: a source that asks few does not drown one that asks many.
fn levelled(mut outcomes: Vec<RoutedOutcome>) -> Vec<RoutedOutcome> {
    outcomes.retain(|outcome| outcome.good.is_finite() && outcome.weight.is_finite() && outcome.weight > 0.0);
    #[expect(clippy::cast_precision_loss, reason = "a number of outcomes")]
    let mean = outcomes.iter().map(|outcome| outcome.weight).sum::<f64>() / outcomes.len().max(1) as f64;
    outcomes.iter_mut().for_each(|outcome| outcome.weight /= mean);
    outcomes
}

/// Of one model, the latest outcome first.
#[derive(Default)]
struct Sum {
    seen: f64,
    weight: f64,
    squares: f64,
    good: f64,
}

impl Sum {
    fn add(&mut self, outcome: &RoutedOutcome, now_us: i64) {
        #[expect(clippy::cast_precision_loss, reason = "an age")]
        let age = now_us.saturating_sub(outcome.at_us).max(0) as f64;
        let weight = outcome.weight * 0.5_f64.powf(self.seen / HALF + age / HALF_US);
        self.seen += 1.0;
        self.weight += weight;
        self.squares += weight * weight;
        self.good += weight * outcome.good.clamp(0.0, 1.0);
    }

    fn known(&self, overall: f64, z: f64) -> Option<KnownQuality> {
        // Kish's effective number, no more than what age has left of them.
        let outcomes = (self.weight * self.weight / self.squares).min(self.weight);
        if self.squares <= 0.0 || outcomes < OUTCOMES_MIN {
            return None;
        }
        let mean = (self.good / self.weight * outcomes + SHRINKAGE * overall) / (outcomes + SHRINKAGE);
        let (lower, upper) = wilson_interval(mean, outcomes + SHRINKAGE, z);
        let round = |p: f64| (p * 1e4).round() / 1e4;
        Some(KnownQuality { mean: round(mean), lower: round(lower), upper: round(upper), outcomes: outcomes.round() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(model: &str, goods: impl IntoIterator<Item = f64>) -> Vec<RoutedOutcome> {
        let of = |(at, good): (i64, f64)| RoutedOutcome { model: model.into(), at_us: at, good, weight: 4.0 };
        (0..).zip(goods).map(of).collect()
    }

    /// Nine of ten.
    fn fair(count: u32) -> impl Iterator<Item = f64> {
        (0..count).map(|n| f64::from(n % 10 != 0))
    }

    fn of(outcomes: Vec<RoutedOutcome>) -> RoutingKnown {
        RoutingKnown::of(vec![outcomes], 1_000_000, 0.8, 0.9)
    }

    #[test]
    fn a_few_outcomes_say_nothing_and_more_say_more() {
        let model = ModelId::new("a");
        assert_eq!(of(outcomes("a", fair(7))).models, BTreeMap::new());
        let width = |count| {
            let known = of(outcomes("a", fair(count))).models[&model];
            assert!(known.lower < known.mean && known.mean < known.upper, "{known:?}");
            known.upper - known.lower
        };
        assert!(width(20) > width(60) && width(60) > width(300));
        // What is long ago adds nothing more.
        assert!((width(1000) - width(3000)).abs() < 0.002);
    }

    #[test]
    fn a_model_that_turns_bad_is_known_to_be_soon() {
        let model = ModelId::new("a");
        let after = |bad: u32| of(outcomes("a", fair(600).chain((0..bad).map(|n| f64::from(n % 2))))).models[&model];
        assert!(after(0).lower > 0.86, "{:?}", after(0));
        assert!(after(30).lower < 0.8, "{:?}", after(30));
        assert!(after(90).upper < 0.8, "{:?}", after(90));
    }

    #[test]
    fn the_dual_rises_with_violations_and_falls_again() {
        let bad = |count: usize| std::iter::repeat_n(0.0, count);
        let dual = |goods: Vec<f64>| of(outcomes("a", goods)).dual;
        assert!(dual(fair(500).collect()) < 0.02);
        let violated = dual(fair(500).chain(bad(8)).collect());
        assert!(violated > 0.05, "{violated}");
        assert!(dual(fair(500).chain(bad(500)).collect()) <= 0.1);
        assert!(dual(fair(500).chain(bad(8)).chain(std::iter::repeat_n(1.0, 60)).collect()) < 0.01);
    }

    #[test]
    fn what_is_days_old_is_asked_again() {
        let all = outcomes("a", std::iter::repeat_n(0.2, 300));
        let at = |days: i64| RoutingKnown::of(vec![all.clone()], days * 86_400_000_000, 0.8, 0.9).models;
        assert!(at(0)[&ModelId::new("a")].upper < 0.8);
        assert!(at(6).is_empty(), "{:?}", at(6));
    }

    #[test]
    fn sources_count_alike_whatever_they_ask() {
        // Judgements of every answer, labels of one in a hundred.
        let judged = outcomes("a", std::iter::repeat_n(0.5, 50));
        let mut labels = outcomes("a", std::iter::repeat_n(1.0, 50));
        labels.iter_mut().for_each(|label| label.weight = 100.0);
        let known = RoutingKnown::of(vec![judged, labels], 60, 0.8, 0.9).models[&ModelId::new("a")];
        assert!((known.mean - 0.75).abs() < 0.02, "{known:?}");
        assert!(known.outcomes > 60.0, "{known:?}");
    }

    #[test]
    fn a_score_means_something_once_people_said_what() {
        let pair = |n: usize| (if n.is_multiple_of(2) { 1.0 } else { 0.0 }, n % 4 != 3 && !n.is_multiple_of(8));
        assert!(score_meaning(&(0..29).map(pair).collect::<Vec<_>>()).is_none());
        let meaning = score_meaning(&(0..80).map(pair).collect::<Vec<_>>()).unwrap();
        assert!((meaning.apply(1.0) - 0.75).abs() < 0.05 && (meaning.apply(0.0) - 0.5).abs() < 0.05);
    }
}
