//! How likely a hit is right: one logistic regression for the whole intent, and what is known of
//! single answers and of pairs of answers that are easily taken for each other.

use std::collections::HashMap;
use std::hash::Hash;

use baton_stats::Logistic;

use super::Point;
use super::look::Look;

/// Precision of the normal prior of an effect, in labels of even odds times four.
const EFFECT_PRIOR: f64 = 5.0;
/// Below so many points the regression learns some of them by heart, so that their scores come
/// from regressions that have not seen them.
const BY_HEART: usize = 3_000;
const FOLDS: usize = 4;

/// Log-odds by which one answer, or one pair, differs from what the regression expects of it.
#[derive(Debug, Clone, Copy, Default)]
struct Effect {
    /// Σ (right − p).
    beyond: f64,
    /// Σ p (1 − p).
    information: f64,
}

impl Effect {
    fn of(point: &Point, log_odds: f64) -> Self {
        let (p, weight) = (probability(log_odds), point.weight());
        Self { beyond: weight * (f64::from(point.right) - p), information: weight * p * (1.0 - p) }
    }

    /// One Newton step from zero towards the posterior's mode, leaving out `without`.
    fn log_odds(self, without: Self) -> f64 {
        (self.beyond - without.beyond) / ((self.information - without.information).max(0.0) + EFFECT_PRIOR)
    }
}

/// Effects by key.
#[derive(Debug, Clone)]
struct Effects<K>(HashMap<K, Effect>);

impl<K: Hash + Eq + Copy> Effects<K> {
    /// Learns them, and adds to each score the effect that the *other* points show.
    fn fit(points: &[Point], scores: &mut [f64], key: impl Fn(&Look) -> Option<K>) -> Self {
        let mut effects: HashMap<K, Effect> = HashMap::new();
        let own: Vec<Option<(K, Effect)>> = points
            .iter()
            .zip(scores.iter())
            .map(|(point, score)| Some((key(&point.look)?, Effect::of(point, *score))))
            .collect();
        for (key, own) in own.iter().flatten() {
            let effect = effects.entry(*key).or_default();
            effect.beyond += own.beyond;
            effect.information += own.information;
        }
        for (own, score) in own.iter().zip(scores.iter_mut()) {
            let effect = own.and_then(|(key, own)| Some(effects.get(&key)?.log_odds(own)));
            *score += effect.unwrap_or(0.0);
        }
        Self(effects)
    }

    fn log_odds(&self, key: Option<K>) -> f64 {
        let effect = key.and_then(|key| self.0.get(&key));
        effect.map_or(0.0, |effect| effect.log_odds(Effect::default()))
    }
}

/// The fitted model.
#[derive(Debug, Clone)]
pub(super) struct Model {
    logistic: Logistic,
    answers: Effects<u64>,
    pairs: Effects<(u64, u64)>,
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
    /// The model, and for each point the log-odds that it would have got without its own label.
    pub(super) fn fit(points: &[Point], earlier: Option<&Self>) -> (Self, Vec<f64>) {
        let rows: Vec<Vec<f64>> = points.iter().map(|point| inputs(&point.look)).collect();
        let cases: Vec<(&[f64], bool)> = rows.iter().zip(points).map(|(row, p)| (row.as_slice(), p.right)).collect();
        let logistic = Logistic::fit(&cases, earlier.map(|model| &model.logistic));
        let mut scores: Vec<f64> = rows.iter().map(|row| logistic.log_odds(row)).collect();
        for fold in (0..FOLDS).filter(|_| points.len() < BY_HEART) {
            let others: Vec<_> =
                cases.iter().enumerate().filter(|(at, _)| at % FOLDS != fold).map(|(_, case)| *case).collect();
            let fit = Logistic::fit(&others, Some(&logistic));
            for at in (fold..rows.len()).step_by(FOLDS) {
                scores[at] = fit.log_odds(&rows[at]);
            }
        }
        let answers = Effects::fit(points, &mut scores, |look| Some(look.answer()));
        let pairs = Effects::fit(points, &mut scores, pair);
        (Self { logistic, answers, pairs }, scores)
    }

    /// The log-odds that the look's answer is right.
    pub(super) fn log_odds(&self, look: &Look) -> f64 {
        self.logistic.log_odds(&inputs(look))
            + self.answers.log_odds(Some(look.answer()))
            + self.pairs.log_odds(pair(look))
    }
}
