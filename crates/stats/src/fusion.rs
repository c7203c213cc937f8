//! The quality of one answer: check signals, a judge's score and whatever else is known about it
//! become one number, and the number a calibrated probability with a lower bound.

use serde::{Deserialize, Serialize};

use crate::needs::LABELS_MIN;
use crate::{Isotonic, Logistic, Needs, clopper_pearson_lower};

/// A ridge logistic regression, and the isotonic map from its log-odds to probabilities.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fusion {
    logistic: Logistic,
    isotonic: Isotonic,
    /// Log-odds of each label's answer by models that had not seen it, ascending.
    labels: Vec<(f64, bool)>,
}

/// How good one answer is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// The probability that a reviewer passes it.
    pub score: f64,
    /// One-sided lower bound of it with 95 % confidence.
    pub lower: f64,
    /// Labels that it rests on.
    pub labels: u64,
}

/// An answer that a person has judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// Always the same features in the same order; NaN for what is not known.
    pub features: Vec<f64>,
    /// A reviewer passes it.
    pub good: bool,
}

/// Why nothing was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoFusion {
    /// Too little evidence.
    #[error("{0}")]
    Needs(#[from] Needs),
    /// Rows of different lengths.
    #[error(
        "example {index} has {has} features, the first one has {expected}: give all examples the same ones, NaN where unknown"
    )]
    Features {
        /// Position in the slice.
        index: usize,
        /// Its features.
        has: usize,
        /// The first one's.
        expected: usize,
    },
}

const FOLDS: usize = 5;
/// One-sided.
const DELTA: f64 = 0.05;
/// The lower bound looks at this share of all labels, within these limits.
const NEAR_SHARE: usize = 4;
const NEAR_MIN: usize = 20;
const NEAR_MAX: usize = 200;

impl Fusion {
    /// Fits both. The isotonic map is fitted to the log-odds that models fitted on the other folds
    /// give, so that it does not believe what the regression only learned by heart.
    ///
    /// # Errors
    /// With fewer than 20 examples, or of different lengths.
    pub fn fit(examples: &[Example]) -> Result<Self, NoFusion> {
        let has = examples.len() as u64;
        if has < LABELS_MIN {
            return Err(Needs { needed: LABELS_MIN, has }.into());
        }
        let expected = examples[0].features.len();
        if let Some((index, other)) = examples.iter().enumerate().find(|(_, row)| row.features.len() != expected) {
            return Err(NoFusion::Features { index, has: other.features.len(), expected });
        }
        let mut labels = Vec::with_capacity(examples.len());
        for fold in 0..FOLDS {
            let of = |mine: bool| {
                examples.iter().enumerate().filter(move |(i, _)| (i % FOLDS == fold) == mine).map(|(_, row)| row)
            };
            let model = fit_logistic(of(false));
            labels.extend(of(true).map(|row| (model.log_odds(&row.features), row.good)));
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let pairs: Vec<(f64, f64)> = labels.iter().map(|(odds, good)| (*odds, f64::from(*good))).collect();
        let logistic = fit_logistic(examples.iter());
        Ok(Self { logistic, isotonic: Isotonic::fit(&pairs), labels })
    }

    /// One number that ranks answers: what the gate's threshold is a threshold of.
    #[must_use]
    pub fn log_odds(&self, features: &[f64]) -> f64 {
        self.logistic.log_odds(features)
    }

    /// The calibrated quality of an answer.
    ///
    /// No score is more certain than its labels allow: it stays within 1/(n + 2) of 0 and 1
    /// (Laplace's rule of succession). The lower bound is Clopper and Pearson's from the labels
    /// next below: where a higher log-odds is never worse, those pass no more often than this one.
    #[must_use]
    pub fn quality(&self, features: &[f64]) -> Quality {
        let odds = self.log_odds(features);
        let count = self.labels.len();
        let edge = 1.0 / (count as f64 + 2.0);
        let score = self.isotonic.apply(odds).clamp(edge, 1.0 - edge);
        let upto = self.labels.partition_point(|label| label.0 <= odds);
        let near = (count / NEAR_SHARE).clamp(NEAR_MIN, NEAR_MAX).min(upto);
        let good = self.labels[upto - near..upto].iter().filter(|label| label.1).count();
        let lower = clopper_pearson_lower(good as u64, near as u64, DELTA);
        Quality { score, lower: lower.min(score), labels: count as u64 }
    }
}

fn fit_logistic<'a>(examples: impl Iterator<Item = &'a Example>) -> Logistic {
    Logistic::fit(&examples.map(|row| (row.features.as_slice(), row.good)).collect::<Vec<_>>(), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;

    /// The log-odds are 2a − b; the third feature is noise, a fifth of the second unknown.
    fn world(seed: u64, count: usize) -> Vec<(Example, f64)> {
        let mut rng = SplitMix64::new(seed);
        (0..count)
            .map(|_| {
                let [a, b, noise] = [(); 3].map(|()| 4.0 * rng.next_f64() - 2.0);
                let p = 1.0 / (1.0 + (b - 2.0 * a).exp());
                let b = if rng.next_f64() < 0.2 { f64::NAN } else { b };
                (Example { features: vec![a, b, noise], good: rng.next_f64() < p }, p)
            })
            .collect()
    }

    fn fitted(seed: u64, count: usize) -> Fusion {
        Fusion::fit(&world(seed, count).into_iter().map(|row| row.0).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn weights_are_found_and_the_score_is_calibrated() {
        let fusion = fitted(1, 5_000);
        let slope = |j: usize| fusion.logistic.slope(j);
        assert!((slope(0) - 2.0).abs() < 0.2 && (slope(1) + 1.0).abs() < 0.2 && slope(2).abs() < 0.1);
        let fresh = world(2, 10_000);
        let mut bands = [(0.0, 0.0, 0.0); 5];
        for (row, _) in &fresh {
            let score = fusion.quality(&row.features).score;
            let band = &mut bands[((score * 5.0) as usize).min(4)];
            *band = (band.0 + score, band.1 + f64::from(row.good), band.2 + 1.0);
        }
        for (score, good, count) in bands {
            assert!((score - good).abs() / count < 0.06, "{bands:?}");
        }
    }

    /// The bound is below the true probability for 95 % of answers or more, over many fits.
    #[test]
    fn the_lower_bound_holds() {
        let (mut below, mut all, mut said) = (0, 0, 0.0);
        for seed in 0..30 {
            let fusion = fitted(seed, 120);
            for (row, p) in world(1_000 + seed, 100).into_iter().filter(|row| row.0.features[1].is_finite()) {
                let lower = fusion.quality(&row.features).lower;
                below += usize::from(lower <= p);
                all += 1;
                said += lower;
            }
        }
        assert!(below as f64 / all as f64 > 0.95, "{below} of {all}");
        assert!(said / all as f64 > 0.2, "a bound of zero says nothing");
    }

    #[test]
    fn alike_labels_make_nothing_certain() {
        let examples = vec![Example { features: vec![1.0, f64::NAN], good: true }; 40];
        let quality = Fusion::fit(&examples).unwrap().quality(&[1.0, 0.0]);
        assert!(quality.score < 0.98 && quality.lower > 0.85 && quality.labels == 40, "{quality:?}");
    }

    #[test]
    fn what_cannot_be_fitted_says_why() {
        let mut examples = vec![Example { features: vec![1.0], good: true }; 19];
        assert_eq!(Fusion::fit(&examples).unwrap_err().to_string(), "needs 20 labels, has 19");
        examples.push(Example { features: vec![], good: false });
        assert_eq!(Fusion::fit(&examples), Err(NoFusion::Features { index: 19, has: 0, expected: 1 }));
    }
}
