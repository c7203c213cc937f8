//! How likely a hit is right: one logistic regression for the whole intent, and what is known of
//! single answers and of pairs of answers that are easily taken for each other.

use std::collections::HashMap;
use std::hash::Hash;

use baton_stats::Logistic;

use super::Point;
use super::look::Look;

/// Log-odds by which one answer, or one pair, differs from what the regression expects of it.
#[derive(Debug, Clone, Copy, Default)]
struct Effect {
    /// Σ (right − p).
    beyond: f64,
    /// Σ p (1 − p).
    information: f64,
}

impl Effect {
    /// One Newton step from zero under a normal prior of precision `prior`, leaving out `without`.
    fn log_odds(self, without: Self, prior: f64) -> f64 {
        (self.beyond - without.beyond) / ((self.information - without.information).max(0.0) + prior)
    }

    fn of(right: bool, log_odds: f64) -> Self {
        let p = probability(log_odds);
        Self { beyond: f64::from(right) - p, information: p * (1.0 - p) }
    }
}

/// Effects by key.
#[derive(Debug, Clone)]
struct Effects<K>(HashMap<K, Effect>, f64);

impl<K: Hash + Eq + Copy> Effects<K> {
    /// Learns them, and adds to each score the effect that the *other* points show.
    fn fit(points: &[Point], scores: &mut [f64], prior: f64, key: impl Fn(&Look) -> Option<K>) -> Self {
        let mut effects: HashMap<K, Effect> = HashMap::new();
        let each = |point: &Point, score: f64| Some((key(&point.look)?, Effect::of(point.right, score)));
        for (point, score) in points.iter().zip(scores.iter()) {
            if let Some((key, own)) = each(point, *score) {
                let effect = effects.entry(key).or_default();
                effect.beyond += own.beyond;
                effect.information += own.information;
            }
        }
        for (point, score) in points.iter().zip(scores.iter_mut()) {
            if let Some((key, own)) = each(point, *score) {
                *score += effects.get(&key).map_or(0.0, |effect| effect.log_odds(own, prior));
            }
        }
        Self(effects, prior)
    }

    fn log_odds(&self, key: Option<K>) -> f64 {
        let effect = key.and_then(|key| self.0.get(&key));
        effect.map_or(0.0, |effect| effect.log_odds(Effect::default(), self.1))
    }
}

/// The fitted model.
#[derive(Debug, Clone)]
pub(super) struct Model {
    logistic: Logistic,
    answers: Effects<u64>,
    pairs: Effects<(u64, u64)>,
    entries: Effects<u64>,
}

pub(super) fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

fn pair(look: &Look) -> Option<(u64, u64)> {
    Some((look.answer(), look.rival()?))
}

fn inputs(look: &Look) -> Vec<f64> {
    look.features().iter().map(|x| f64::from(*x)).collect()
}

impl Model {
    /// The model, and for each point the log-odds that it would have got without its own label
    /// (exactly so for the effects; the regression's few weights are the same for all).
    pub(super) fn fit(points: &[Point], earlier: Option<&Self>) -> (Self, Vec<f64>) {
        let rows: Vec<Vec<f64>> = points.iter().map(|point| inputs(&point.look)).collect();
        let cases: Vec<(&[f64], bool)> = rows.iter().zip(points).map(|(row, p)| (row.as_slice(), p.right)).collect();
        let logistic = Logistic::fit(&cases, earlier.map(|model| &model.logistic));
        let mut scores: Vec<f64> = rows.iter().map(|row| logistic.log_odds(row)).collect();
        let answers = Effects::fit(points, &mut scores, super::tune("KA", 2.0), |look| Some(look.answer()));
        let pairs = Effects::fit(points, &mut scores, super::tune("KP", 2.0), pair);
        let entries = Effects::fit(points, &mut scores, super::tune("KE", 2.0), |look| Some(look.entry()));
        (Self { logistic, answers, pairs, entries }, scores)
    }

    /// The log-odds that the look's answer is right.
    pub(super) fn log_odds(&self, look: &Look) -> f64 {
        self.logistic.log_odds(&inputs(look))
            + self.answers.log_odds(Some(look.answer()))
            + self.pairs.log_odds(pair(look))
            + self.entries.log_odds(Some(look.entry()))
    }
}
