//! Ridge logistic regression: yes or no from a handful of numbers, some of which may be unknown.

use serde::{Deserialize, Serialize};

/// Log-odds = offset + Σ weight · (feature − mean) / deviation; an unknown feature (NaN) counts as
/// its mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Logistic {
    means: Vec<f64>,
    deviations: Vec<f64>,
    /// The last one is the offset.
    weights: Vec<f64>,
}

/// Weight of the prior that a feature says nothing (variance 1 / `RIDGE` of its weight).
const RIDGE: f64 = 1.0;
/// Only keeps the offset finite where all labels are alike.
const RIDGE_OFFSET: f64 = 0.01;
const STEPS_MAX: usize = 50;
/// A step that lowers the loss by less than this share of it is the last one.
const GAIN_MIN: f64 = 1e-10;
/// The same where the fit starts from an earlier one: far below what the labels can tell.
const GAIN_MIN_AGAIN: f64 = 1e-5;

/// Standardised features, 1 for the offset at the end of each row.
struct Inputs {
    width: usize,
    rows: Vec<f64>,
    labels: Vec<bool>,
}

impl Inputs {
    fn each(&self) -> impl Iterator<Item = (&[f64], bool)> {
        self.rows.chunks_exact(self.width).zip(self.labels.iter().copied())
    }
}

impl Logistic {
    /// Maximum a posteriori by Newton's method with halved steps. All rows have the same features
    /// in the same order. An earlier fit of the same features makes the next one cheaper, and
    /// only as exact as the labels deserve.
    #[must_use]
    pub fn fit(rows: &[(&[f64], bool)], earlier: Option<&Self>) -> Self {
        let width = rows.first().map_or(0, |row| row.0.len());
        let column = |j: usize| -> crate::moments::Moments {
            rows.iter().map(|row| row.0[j]).filter(|value| value.is_finite()).collect()
        };
        let columns: Vec<_> = (0..width).map(column).collect();
        let earlier = earlier.filter(|fit| fit.weights.len() == width + 1);
        let mut fit = Self {
            means: columns.iter().map(crate::moments::Moments::mean).collect(),
            deviations: columns.iter().map(|column| column.variance().sqrt()).collect(),
            weights: earlier.map_or_else(|| vec![0.0; width + 1], |fit| fit.weights.clone()),
        };
        let gain_min = if earlier.is_some() { GAIN_MIN_AGAIN } else { GAIN_MIN };
        let mut inputs = Inputs { width: width + 1, rows: Vec::new(), labels: Vec::new() };
        for (features, good) in rows {
            inputs.rows.extend(fit.input(features));
            inputs.labels.push(*good);
        }
        let mut loss = loss(&fit.weights, &inputs);
        for _ in 0..STEPS_MAX {
            let step = newton_step(&fit.weights, &inputs);
            let mut damping = 1.0;
            let (better, better_loss) = loop {
                let tried: Vec<f64> = fit.weights.iter().zip(&step).map(|(w, s)| w - damping * s).collect();
                let tried_loss = self::loss(&tried, &inputs);
                if tried_loss <= loss || damping < 1e-6 {
                    break (tried, tried_loss);
                }
                damping *= 0.5;
            };
            let gain = loss - better_loss;
            if gain > 0.0 {
                (fit.weights, loss) = (better, better_loss);
            }
            if gain < gain_min * loss {
                break;
            }
        }
        fit
    }

    /// Standardised, with 1 for the offset.
    fn input<'a>(&'a self, features: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let standard = |(j, mean): (usize, &f64)| {
            let beyond = features.get(j).copied().filter(|value| value.is_finite()).map_or(0.0, |value| value - mean);
            if self.deviations[j] > 1e-12 { beyond / self.deviations[j] } else { 0.0 }
        };
        self.means.iter().enumerate().map(standard).chain([1.0])
    }

    /// The log-odds that it is good.
    #[must_use]
    pub fn log_odds(&self, features: &[f64]) -> f64 {
        self.input(features).zip(&self.weights).map(|(x, w)| x * w).sum()
    }

    /// By how much a feature's unit raises the log-odds.
    #[cfg(test)]
    pub(crate) fn slope(&self, feature: usize) -> f64 {
        self.weights[feature] / self.deviations[feature]
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn ridge(weight: usize, weights: usize) -> f64 {
    if weight + 1 == weights { RIDGE_OFFSET } else { RIDGE }
}

/// The negative log posterior, up to a constant.
fn loss(weights: &[f64], inputs: &Inputs) -> f64 {
    let prior = |(j, w): (usize, &f64)| 0.5 * ridge(j, weights.len()) * w * w;
    let miss = |(input, good): (&[f64], bool)| {
        let odds = dot(weights, input);
        let happened = if good { odds } else { -odds };
        (-happened.abs()).exp().ln_1p() + (-happened).max(0.0)
    };
    weights.iter().enumerate().map(prior).sum::<f64>() + inputs.each().map(miss).sum::<f64>()
}

/// Hessian⁻¹ · gradient.
fn newton_step(weights: &[f64], inputs: &Inputs) -> Vec<f64> {
    let width = weights.len();
    let mut system: Vec<Vec<f64>> = (0..width)
        .map(|j| {
            let mut row = vec![0.0; width + 1];
            row[j] = ridge(j, width);
            row[width] = ridge(j, width) * weights[j];
            row
        })
        .collect();
    for (input, good) in inputs.each() {
        let p = 1.0 / (1.0 + (-dot(weights, input)).exp());
        let (error, curvature) = (p - f64::from(good), p * (1.0 - p));
        for (row, x) in system.iter_mut().zip(input) {
            row[width] += error * x;
            let scaled = curvature * x;
            row.iter_mut().zip(input).for_each(|(cell, other)| *cell += scaled * other);
        }
    }
    solve(system)
}

/// Gauss's elimination of a positive definite system; the last column is the right-hand side.
fn solve(mut system: Vec<Vec<f64>>) -> Vec<f64> {
    let width = system.len();
    for pivot in 0..width {
        let (upper, lower) = system.split_at_mut(pivot + 1);
        let pivot_row = &upper[pivot];
        for row in lower {
            let factor = row[pivot] / pivot_row[pivot];
            row.iter_mut().zip(pivot_row).skip(pivot).for_each(|(cell, above)| *cell -= factor * above);
        }
    }
    let mut solved = vec![0.0; width];
    for j in (0..width).rev() {
        let known = dot(&system[j][j + 1..width], &solved[j + 1..]);
        solved[j] = (system[j][width] - known) / system[j][j];
    }
    solved
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_system_is_solved() {
        let solved = solve(vec![vec![4.0, 2.0, 10.0], vec![2.0, 3.0, 9.0]]);
        assert!((solved[0] - 1.5).abs() < 1e-12 && (solved[1] - 2.0).abs() < 1e-12, "{solved:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            cases: 64,
            ..ProptestConfig::default()
        })]

        /// At the optimum the posterior's gradient is zero, whatever the features were, and a fit
        /// that starts from another one comes close to the same log-odds.
        #[test]
        fn is_the_optimum(
            rows in prop::collection::vec((prop::collection::vec(-1e3..1e3_f64, 3), prop::bool::ANY), 20..60),
        ) {
            let rows: Vec<(&[f64], bool)> = rows.iter().map(|(row, good)| (row.as_slice(), *good)).collect();
            let fit = Logistic::fit(&rows, None);
            let mut inputs = Inputs { width: 4, rows: Vec::new(), labels: Vec::new() };
            for (features, good) in &rows {
                inputs.rows.extend(fit.input(features));
                inputs.labels.push(*good);
            }
            let best = loss(&fit.weights, &inputs);
            for j in 0..4 {
                for step in [0.01, -0.01] {
                    let mut nearby = fit.weights.clone();
                    nearby[j] += step;
                    prop_assert!(loss(&nearby, &inputs) >= best - 1e-9);
                }
            }
            let half = Logistic::fit(&rows[..rows.len() / 2], None);
            let again = Logistic::fit(&rows, Some(&half));
            prop_assert!((again.log_odds(rows[0].0) - fit.log_odds(rows[0].0)).abs() < 0.05);
        }
    }
}
