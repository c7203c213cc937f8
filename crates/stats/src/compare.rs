//! Two candidates side by side, on the same cases.

use serde::{Deserialize, Serialize};

use crate::SplitMix64;
use crate::binomial::score_bound;
use crate::moments::Moments;
use crate::normal::{normal_quantile, t_quantile};

/// A difference, candidate less present, with its two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The estimate.
    pub value: f64,
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// What an interval says of "not worse than the present one by more than a margin".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The whole interval lies above zero.
    Better,
    /// The whole interval lies above −margin.
    NotWorse,
    /// The whole interval lies below −margin.
    Worse,
    /// Neither is shown.
    Undecided,
}

impl Difference {
    /// The verdict at a non-inferiority `margin` (0 or more, in the units of the difference).
    #[must_use]
    pub fn verdict(&self, margin: f64) -> Verdict {
        if self.lower > 0.0 {
            Verdict::Better
        } else if self.lower > -margin {
            Verdict::NotWorse
        } else if self.upper < -margin {
            Verdict::Worse
        } else {
            Verdict::Undecided
        }
    }
}

/// The same cases answered by two candidates: how many were passed by both, one, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairedTally {
    /// Passed by both.
    pub both: u64,
    /// Passed by the candidate only.
    pub candidate: u64,
    /// Passed by the present one only.
    pub present: u64,
    /// Passed by neither.
    pub neither: u64,
}

impl PairedTally {
    /// The difference of the pass rates with an interval of level 1 − `delta`, honest where the two
    /// never differed too (Newcombe, "Improved confidence intervals for the difference between
    /// binomial proportions based on paired data", Statistics in Medicine 1998, method 10).
    /// `None` without cases.
    #[must_use]
    pub fn difference(&self, delta: f64) -> Option<Difference> {
        let [a, b, c, d] = [self.both, self.candidate, self.present, self.neither].map(|n| n as f64);
        let n = a + b + c + d;
        if n < 1.0 {
            return None;
        }
        let z = normal_quantile(1.0 - delta / 2.0);
        let bounds = |rate: f64| (rate - score_bound(rate, n, -z), score_bound(rate, n, z) - rate);
        let (below_1, above_1) = bounds((a + b) / n);
        let (below_2, above_2) = bounds((a + c) / n);
        let margins = ((a + b) * (c + d) * (a + c) * (b + d)).sqrt();
        let cross = a * d - b * c;
        let corrected = if cross > 0.0 { (cross - n / 2.0).max(0.0) } else { cross };
        let phi = if margins > 0.0 { corrected / margins } else { 0.0 };
        let reach = |one: f64, two: f64| (one * one - 2.0 * phi * one * two + two * two).max(0.0).sqrt();
        let value = (b - c) / n;
        Some(Difference { value, lower: value - reach(below_1, above_2), upper: value + reach(above_1, below_2) })
    }

    /// The exact two-sided p-value of "both pass equally often"; see [`crate::mcnemar`].
    #[must_use]
    pub fn p_value(&self) -> f64 {
        crate::mcnemar(self.candidate, self.present)
    }
}

/// The mean of paired differences (cost, latency, scores) with Student's interval of level
/// 1 − `delta`. `None` for fewer than ten, or values that are not finite.
#[must_use]
pub fn paired_mean(differences: &[f64], delta: f64) -> Option<Difference> {
    if differences.len() < PAIRS_MIN || differences.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let moments: Moments = differences.iter().copied().collect();
    let reach = t_quantile(1.0 - delta / 2.0, moments.count() - 1.0) * moments.standard_error();
    Some(Difference { value: moments.mean(), lower: moments.mean() - reach, upper: moments.mean() + reach })
}

const PAIRS_MIN: usize = 10;
/// Bounds the work of a bootstrap.
const DRAWS_MAX: usize = 100_000;

/// The mean of paired differences with a percentile bootstrap interval (Efron and Tibshirani,
/// "An Introduction to the Bootstrap", 1993, chapter 13), of up to 100,000 draws. `None` as for
/// [`paired_mean`].
#[must_use]
pub fn paired_bootstrap(differences: &[f64], delta: f64, draws: usize, seed: u64) -> Option<Difference> {
    let plain = paired_mean(differences, delta)?;
    let mut rng = SplitMix64::new(seed);
    let count = differences.len();
    let mut draw = || (0..count).map(|_| differences[rng.below(count as u64) as usize]).sum::<f64>() / count as f64;
    let means: Vec<f64> = (0..draws.clamp(1, DRAWS_MAX)).map(|_| draw()).collect();
    let lower = crate::quantile(&means, delta / 2.0)?;
    Some(Difference { value: plain.value, lower, upper: crate::quantile(&means, 1.0 - delta / 2.0)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    /// From the paper's table of examples; and which one is called the candidate changes the sign.
    #[test]
    fn newcombe_of_published_values() {
        let tally = PairedTally { both: 36, candidate: 12, present: 2, neither: 0 };
        let found = tally.difference(0.05).unwrap();
        close(found.lower, 0.0569, 5e-5);
        close(found.upper, 0.3404, 5e-5);
        let turned = PairedTally { candidate: 2, present: 12, ..tally }.difference(0.05).unwrap();
        close(turned.lower, -found.upper, 1e-9);
        close(turned.upper, -found.lower, 1e-9);
        assert_eq!(PairedTally::default().difference(0.05), None);
    }

    #[test]
    fn never_differing_is_no_proof_of_equality() {
        let same = PairedTally { both: 20, ..PairedTally::default() };
        let found = same.difference(0.05).unwrap();
        assert!(found.lower < -0.1 && found.upper > 0.1, "{found:?}");
        assert_eq!(found.verdict(0.05), Verdict::Undecided);
        close(same.p_value(), 1.0, 1e-12);
    }

    #[test]
    fn paired_means_of_known_values() {
        let differences: Vec<f64> = (1..=10).map(f64::from).collect();
        // Mean 5.5, standard deviation 3.02765, t(9) = 2.26216.
        let found = paired_mean(&differences, 0.05).unwrap();
        close(found.value, 5.5, 1e-12);
        close(found.lower, 5.5 - 2.262_16 * 3.027_65 / 10.0_f64.sqrt(), 1e-3);
        let drawn = paired_bootstrap(&differences, 0.05, 4_000, 1).unwrap();
        // The bootstrap's own standard error is √(n − 1)/n-fold: 0.9083.
        close(drawn.lower, 5.5 - 1.96 * 0.908_3, 0.12);
        close(drawn.upper, 5.5 + 1.96 * 0.908_3, 0.12);
        assert_eq!(drawn, paired_bootstrap(&differences, 0.05, 4_000, 1).unwrap());
        assert_eq!(paired_mean(&[1.0; 9], 0.05), None);
        assert_eq!(paired_mean(&[f64::NAN; 20], 0.05), None);
    }

    #[test]
    fn verdicts() {
        let check = |lower, upper, expected| {
            assert_eq!(Difference { value: 0.0, lower, upper }.verdict(0.02), expected);
        };
        check(0.01, 0.05, Verdict::Better);
        check(-0.01, 0.05, Verdict::NotWorse);
        check(-0.03, 0.05, Verdict::Undecided);
        check(-0.09, -0.03, Verdict::Worse);
    }
}
