//! Two candidates on the same cases: what the difference of their results is, how sure that is, and
//! how many more cases would settle it.

use crate::{SplitMix64, binomial_cdf, clopper_pearson_lower, clopper_pearson_upper, normal_quantile};

/// A difference (candidate − baseline) with its two-sided interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// As observed.
    pub mean: f64,
    /// The interval's lower end.
    pub lower: f64,
    /// The interval's upper end.
    pub upper: f64,
}

/// Counts of pairs of yes/no results on the same cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// All pairs.
    pub pairs: u64,
    /// Pairs where only the candidate is right.
    pub gained: u64,
    /// Pairs where only the baseline is right.
    pub lost: u64,
}

/// Power that [`Matched::pairs_needed`] plans with: one standard of clinical trials.
const POWER: f64 = 0.8;
/// Above this many, the number of pairs is no plan.
const PAIRS_MAX: f64 = 1e9;

impl Matched {
    /// Counts pairs of (baseline, candidate).
    #[must_use]
    pub fn of(results: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for (baseline, candidate) in results {
            counts.pairs += 1;
            counts.gained += u64::from(candidate && !baseline);
            counts.lost += u64::from(baseline && !candidate);
        }
        counts
    }

    /// The observed difference of the shares; 0 without pairs.
    #[must_use]
    pub fn mean(&self) -> f64 {
        (self.gained as f64 - self.lost as f64) / (self.pairs as f64).max(1.0)
    }

    /// The two-sided p-value of McNemar's exact test that neither is better (McNemar, Psychometrika
    /// 1947): the pairs that differ are tosses of a fair coin.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let differ = self.gained + self.lost;
        (2.0 * binomial_cdf(self.gained.min(self.lost), differ, 0.5)).min(1.0)
    }

    /// The difference of the shares with its interval: the hull of Tango's score interval (Statistics
    /// in Medicine 1998), which is right where few pairs or none differ, and of the exact conditional
    /// one, which leaves out 0 just where McNemar's exact test rejects at 1 − `confidence`.
    #[must_use]
    pub fn difference(&self, confidence: f64) -> Difference {
        if self.pairs == 0 {
            return Difference { mean: 0.0, lower: -1.0, upper: 1.0 };
        }
        let delta = 0.5 * (1.0 - confidence);
        let z = normal_quantile(1.0 - delta);
        let (mut lower, mut upper) = (self.tango(z), self.tango(-z));
        let differ = self.gained + self.lost;
        if differ > 0 {
            let scale = |share: f64| (2.0 * share - 1.0) * differ as f64 / self.pairs as f64;
            lower = lower.min(scale(clopper_pearson_lower(self.gained, differ, delta)));
            upper = upper.max(scale(clopper_pearson_upper(self.gained, differ, delta)));
        }
        Difference { mean: self.mean(), lower, upper }
    }

    /// The difference at which Tango's score statistic, which falls with it, is `z`.
    fn tango(&self, z: f64) -> f64 {
        let (n, b, c) = (self.pairs as f64, self.gained as f64, self.lost as f64);
        let statistic = |difference: f64| {
            let linear = -b - c + (2.0 * n - b + c) * difference;
            let constant = -c * difference * (1.0 - difference);
            let root = (linear * linear - 8.0 * n * constant).max(0.0).sqrt();
            let q = (root - linear) / (4.0 * n);
            let variance = n * (2.0 * q + difference * (1.0 - difference));
            let distance = b - c - n * difference;
            // No spread is left only where a difference is certain; f64::MIN_POSITIVE keeps 0 / 0 at 0.
            distance / variance.max(f64::MIN_POSITIVE).sqrt()
        };
        let (mut low, mut high) = (-1.0, 1.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if statistic(middle) > z {
                low = middle;
            } else {
                high = middle;
            }
        }
        0.5 * (low + high)
    }

    /// How many pairs in all would show, with a power of 80 %, that the candidate is less than `margin`
    /// worse or that it is more than that, whichever the observed difference points at (Nam,
    /// Biometrics 1997, with the observed rates in place of the planned ones). `None` where the
    /// difference is at the margin, or so near that no number of pairs is a plan.
    #[must_use]
    pub fn pairs_needed(&self, margin: f64, confidence: f64) -> Option<u64> {
        let n = self.pairs as f64;
        // One pair more of either kind: what was not seen in a few pairs may still be there.
        let differ = (self.gained + self.lost) as f64 + 1.0;
        let (share, mean) = ((differ / (n + 2.0)).min(1.0), self.mean());
        let z = normal_quantile(0.5 * (1.0 + confidence));
        let distance = mean + margin;
        let by_power = (z + normal_quantile(POWER)).powi(2) * (share - mean * mean).max(0.0) / (distance * distance);
        // Tango's bound without a single pair that differs is z² / (n + z²).
        let by_silence = if margin > 0.0 { z * z * (1.0 - margin) / margin } else { 0.0 };
        let needed = if distance > 0.0 { by_power.max(by_silence) } else { by_power };
        (needed.is_finite() && needed < PAIRS_MAX).then(|| needed.ceil() as u64)
    }
}

/// Draws of a bootstrap: fewer where there are very many values.
const DRAWS: usize = 10_000;
const DRAWN_MAX: usize = 100_000_000;

/// The mean of paired differences with its percentile interval by the bootstrap over the pairs (Efron
/// and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13). `seed` makes it repeatable.
///
/// Where every difference is the same, resampling shows no spread; the interval is then the share
/// z² / (n + z²) of what the differences can be at most, `range` (0 where they are not bounded).
#[must_use]
pub fn paired_bootstrap(differences: &[f64], range: f64, confidence: f64, seed: u64) -> Difference {
    let n = differences.len();
    if n == 0 {
        return Difference { mean: 0.0, lower: -range, upper: range };
    }
    let mean = differences.iter().sum::<f64>() / n as f64;
    let delta = 0.5 * (1.0 - confidence);
    if differences.iter().all(|d| (d - mean).abs() < 1e-12) {
        let z2 = normal_quantile(1.0 - delta).powi(2);
        let unseen = range * z2 / (n as f64 + z2);
        return Difference { mean, lower: mean - unseen, upper: mean + unseen };
    }
    let mut rng = SplitMix64::new(seed);
    let draws = DRAWS.min((DRAWN_MAX / n).max(1000));
    let mut draw = || (0..n).map(|_| differences[rng.below(n as u64) as usize]).sum::<f64>() / n as f64;
    let means: Vec<f64> = (0..draws).map(|_| draw()).collect();
    let at = |q: f64| crate::quantile(&means, q).unwrap_or(mean);
    Difference { mean, lower: at(delta), upper: at(1.0 - delta) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    /// Airway hyper-responsiveness before and after: 21 pairs, 1 and 7 differ (Fagerland, Lydersen and
    /// Laake, Statistics in Medicine 2014: Tango's interval −0.517 to −0.026; exact McNemar 0.070).
    #[test]
    fn a_published_example() {
        let counts = Matched { pairs: 21, gained: 1, lost: 7 };
        close(counts.p_value(), 18.0 / 256.0, 1e-12);
        let z = normal_quantile(0.975);
        close(counts.tango(z), -0.517, 5e-4);
        close(counts.tango(-z), -0.026, 5e-4);
        // The exact test does not reject, so the interval has to hold 0.
        let difference = counts.difference(0.95);
        close(difference.mean, -6.0 / 21.0, 1e-12);
        assert!(difference.lower <= -0.517 && difference.upper >= 0.0, "{difference:?}");
    }

    #[test]
    fn no_pair_that_differs_is_no_certainty() {
        let same = Matched { pairs: 50, gained: 0, lost: 0 }.difference(0.95);
        close(same.upper, 3.841_459 / 53.841_459, 1e-6);
        close(same.lower, -same.upper, 1e-9);
        assert_eq!(Matched::default().difference(0.95), Difference { mean: 0.0, lower: -1.0, upper: 1.0 });
        let values = paired_bootstrap(&[0.0; 50], 1.0, 0.95, 1);
        close(values.upper, same.upper, 1e-9);
    }

    #[test]
    fn the_number_of_pairs_needed() {
        // Without a difference: z² (1 − m) / m = 188.2 pairs for two points, more where some differ.
        assert_eq!(Matched { pairs: 1_000_000, gained: 0, lost: 0 }.pairs_needed(0.02, 0.95), Some(189));
        let some = Matched { pairs: 200, gained: 10, lost: 10 };
        let needed = some.pairs_needed(0.05, 0.95).unwrap();
        // (1.96 + 0.8416)² × 21 / 202 / 0.0025
        close(needed as f64, 7.848_9 * 21.0 / 202.0 / 0.002_5, 1.5);
        assert_eq!(Matched { pairs: 100, gained: 0, lost: 5 }.pairs_needed(0.05, 0.95), None, "at the margin");
    }

    #[test]
    fn a_bootstrap_replays_and_agrees_with_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 5) - 2.0).collect();
        let drawn = paired_bootstrap(&values, 2.0, 0.95, 7);
        assert_eq!(drawn, paired_bootstrap(&values, 2.0, 0.95, 7));
        // Standard error √2 / √400.
        close(drawn.upper, 1.96 * 2.0_f64.sqrt() / 20.0, 0.01);
        close(drawn.lower, -1.96 * 2.0_f64.sqrt() / 20.0, 0.01);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_interval_holds_the_mean_and_agrees_with_the_exact_test(
            same in 0_u64..300, gained in 0_u64..40, lost in 0_u64..40,
        ) {
            let counts = Matched { pairs: same + gained + lost, gained, lost };
            prop_assume!(counts.pairs > 0);
            let d = counts.difference(0.95);
            prop_assert!(d.lower <= d.mean + 1e-9 && d.mean <= d.upper + 1e-9, "{d:?}");
            prop_assert!(-1.0 <= d.lower && d.upper <= 1.0, "{d:?}");
            if d.upper < 0.0 || d.lower > 0.0 {
                prop_assert!(counts.p_value() <= 0.05 + 1e-9, "{counts:?} {}", counts.p_value());
            }
            // Turned around, the interval is turned around.
            let turned = Matched { gained: lost, lost: gained, ..counts }.difference(0.95);
            prop_assert!((turned.lower + d.upper).abs() < 1e-6, "{d:?} {turned:?}");
        }
    }
}
