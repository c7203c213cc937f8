//! Logistic calibration: corrects the log-odds that a model claims with a slope and an offset.
//! Two numbers, strictly increasing, and usable from the first examples on, where an isotonic
//! fit would know only plateaus of 0 and 1.

use serde::{Deserialize, Serialize};

/// Calibrated log-odds = slope × claimed log-odds + offset (Platt, "Probabilistic Outputs for
/// Support Vector Machines", 1999), fitted by maximum a posteriori.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Platt {
    slope: f64,
    offset: f64,
}

/// Weight of the prior belief that the claim is right as it stands (slope 1, offset 0), each
/// with variance 1 / `PRIOR`: it decides while there are few outcomes, and then vanishes.
const PRIOR: f64 = 1.0;
/// A higher claim is never worth less, however the few outcomes fell.
const SLOPE_MIN: f64 = 0.05;
const STEPS_MAX: usize = 100;

fn logistic(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

impl Platt {
    /// Fits (claimed log-odds, outcome) pairs by Newton's method. Infinite and NaN claims are
    /// left out; without pairs the claim stands.
    #[must_use]
    pub fn fit(pairs: &[(f64, bool)]) -> Self {
        let mut fit = Self { slope: 1.0, offset: 0.0 };
        let mut loss = fit.loss(pairs);
        for _ in 0..STEPS_MAX {
            let (slope_step, offset_step) = fit.newton_step(pairs);
            let mut damping = 1.0;
            let (better, better_loss) = loop {
                let tried = Self {
                    slope: (fit.slope - damping * slope_step).max(SLOPE_MIN),
                    offset: fit.offset - damping * offset_step,
                };
                let tried_loss = tried.loss(pairs);
                if tried_loss < loss || damping < 1e-6 {
                    break (tried, tried_loss);
                }
                damping *= 0.5;
            };
            if loss - better_loss < 1e-10 * loss {
                break;
            }
            (fit, loss) = (better, better_loss);
        }
        fit
    }

    /// The calibrated probability of a claim of `log_odds`.
    #[must_use]
    pub fn apply(&self, log_odds: f64) -> f64 {
        logistic(self.slope * log_odds + self.offset)
    }

    /// The negative log posterior, up to a constant.
    fn loss(&self, pairs: &[(f64, bool)]) -> f64 {
        let prior = PRIOR / 2.0 * ((self.slope - 1.0).powi(2) + self.offset.powi(2));
        let miss = |&(claim, outcome): &(f64, bool)| {
            let log_odds = self.slope * claim + self.offset;
            // ln(1 + exp(−x)) without overflow, x being the log-odds of what happened.
            let happened = if outcome { log_odds } else { -log_odds };
            (-happened.abs()).exp().ln_1p() + (-happened).max(0.0)
        };
        let finite = pairs.iter().filter(|pair| pair.0.is_finite());
        prior + finite.map(miss).sum::<f64>()
    }

    /// Gradient divided by Hessian: the full Newton step of (slope, offset).
    fn newton_step(&self, pairs: &[(f64, bool)]) -> (f64, f64) {
        let (mut g_slope, mut g_offset) = (PRIOR * (self.slope - 1.0), PRIOR * self.offset);
        let (mut h_slope, mut h_offset, mut h_both) = (PRIOR, PRIOR, 0.0);
        for &(claim, outcome) in pairs.iter().filter(|pair| pair.0.is_finite()) {
            let p = self.apply(claim);
            let (error, curvature) = (p - f64::from(outcome), p * (1.0 - p));
            g_slope += error * claim;
            g_offset += error;
            h_slope += curvature * claim * claim;
            h_offset += curvature;
            h_both += curvature * claim;
        }
        let determinant = h_slope * h_offset - h_both * h_both;
        ((h_offset * g_slope - h_both * g_offset) / determinant, (h_slope * g_offset - h_both * g_slope) / determinant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;
    use proptest::prelude::*;

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    #[test]
    fn without_outcomes_the_claim_stands() {
        let fit = Platt::fit(&[]);
        close(fit.apply(0.0), 0.5, 1e-12);
        close(fit.apply(3.0_f64.ln()), 0.75, 1e-12);
        assert_eq!(Platt::fit(&[(f64::NAN, true), (f64::INFINITY, false)]), fit);
    }

    #[test]
    fn an_overconfident_claim_is_corrected() {
        // The truth has half of the claimed log-odds, plus 0.3.
        let mut rng = SplitMix64::new(5);
        let pairs: Vec<_> = (0..50_000)
            .map(|_| {
                let claim = 8.0 * rng.next_f64() - 4.0;
                (claim, rng.next_f64() < logistic(0.5 * claim + 0.3))
            })
            .collect();
        let fit = Platt::fit(&pairs);
        close(fit.slope, 0.5, 0.02);
        close(fit.offset, 0.3, 0.03);
    }

    #[test]
    fn few_outcomes_make_nothing_certain() {
        let fit = Platt::fit(&[(2.0, true); 30]);
        assert!(fit.apply(2.0) > 0.95 && fit.apply(2.0) < 0.999);
        assert!(fit.apply(-2.0) < 0.5, "what was never seen stays doubtful");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// At an optimum with a free slope the posterior's gradient is zero; and the fit
        /// increases whatever the outcomes were.
        #[test]
        fn is_the_increasing_optimum(
            pairs in prop::collection::vec((-20.0..20.0_f64, prop::bool::ANY), 0..80),
        ) {
            let fit = Platt::fit(&pairs);
            prop_assert!(fit.apply(1.0) > fit.apply(0.9));
            let nearby = |slope: f64, offset: f64| {
                Platt { slope: (fit.slope + slope).max(SLOPE_MIN), offset: fit.offset + offset }
            };
            if fit.slope > SLOPE_MIN + 0.02 {
                for (slope, offset) in [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)] {
                    prop_assert!(nearby(slope, offset).loss(&pairs) >= fit.loss(&pairs) - 1e-6);
                }
            }
        }
    }
}
