//! Two candidates on the same cases, where a decision hangs on the interval: one that agrees with
//! the exact test, and how many more cases would settle it.

use crate::{Difference, PairedTally, clopper_pearson_lower, clopper_pearson_upper, normal_quantile};

/// Power that [`PairedTally::pairs_needed`] plans with: one standard of clinical trials.
const POWER: f64 = 0.8;
/// Above this many, the number of pairs is no plan.
const PAIRS_MAX: f64 = 1e9;

impl PairedTally {
    /// Counts pairs of (present, candidate).
    #[must_use]
    pub fn of(results: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut tally = Self::default();
        for (present, candidate) in results {
            *match (present, candidate) {
                (true, true) => &mut tally.both,
                (false, true) => &mut tally.candidate,
                (true, false) => &mut tally.present,
                (false, false) => &mut tally.neither,
            } += 1;
        }
        tally
    }

    /// All pairs.
    #[must_use]
    pub fn pairs(&self) -> u64 {
        self.both + self.candidate + self.present + self.neither
    }

    /// The difference of the pass rates with the hull of two intervals of level 1 − `delta`:
    /// [`PairedTally::difference`], which is honest where few pairs or none differ, and the exact
    /// conditional one, the bounds of Clopper and Pearson for the share of the pairs that differ
    /// which the candidate passes. It leaves out 0 only where McNemar's exact test rejects at `delta`.
    /// `None` without pairs.
    #[must_use]
    pub fn exact_difference(&self, delta: f64) -> Option<Difference> {
        let Difference { value, mut lower, mut upper } = self.difference(delta)?;
        let differ = self.candidate + self.present;
        if differ > 0 {
            let scale = |share: f64| (2.0 * share - 1.0) * differ as f64 / self.pairs() as f64;
            lower = lower.min(scale(clopper_pearson_lower(self.candidate, differ, 0.5 * delta)));
            upper = upper.max(scale(clopper_pearson_upper(self.candidate, differ, 0.5 * delta)));
        }
        Some(Difference { value, lower, upper })
    }

    /// How many pairs in all would show, with a power of 80 %, that the candidate is less than `margin`
    /// worse or that it is more than that, whichever the observed difference points at (Nam,
    /// Biometrics 1997, with the observed rates in place of the planned ones). `None` where the
    /// difference is at the margin, or so near that no number of pairs is a plan.
    #[must_use]
    pub fn pairs_needed(&self, margin: f64, delta: f64) -> Option<u64> {
        let n = self.pairs() as f64;
        // One pair more: what was not seen in a few pairs may still be there.
        let share = (((self.candidate + self.present) as f64 + 1.0) / (n + 2.0)).min(1.0);
        let mean = (self.candidate as f64 - self.present as f64) / n.max(1.0);
        let z = normal_quantile(1.0 - 0.5 * delta);
        let distance = mean + margin;
        let by_power = (z + normal_quantile(POWER)).powi(2) * (share - mean * mean).max(0.0) / (distance * distance);
        // A score bound without a single pair that differs is z² / (n + z²).
        let by_silence = if margin > 0.0 { z * z * (1.0 - margin) / margin } else { 0.0 };
        let needed = if distance > 0.0 { by_power.max(by_silence) } else { by_power };
        (needed.is_finite() && needed < PAIRS_MAX).then(|| needed.ceil() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    /// Airway hyper-responsiveness before and after: 21 pairs, of which 1 and 7 differ (Fagerland,
    /// Lydersen and Laake, Statistics in Medicine 2014: Newcombe's interval −0.507 to −0.026, exact
    /// McNemar 0.070).
    #[test]
    fn an_interval_that_agrees_with_the_exact_test() {
        let tally = PairedTally { both: 1, candidate: 1, present: 7, neither: 12 };
        close(tally.p_value(), 0.0703, 5e-5);
        let newcombe = tally.difference(0.05).unwrap();
        close(newcombe.lower, -0.507, 5e-4);
        close(newcombe.upper, -0.026, 5e-4);
        let hull = tally.exact_difference(0.05).unwrap();
        assert!(hull.lower <= newcombe.lower && hull.upper >= 0.0, "{hull:?}");
        assert_eq!(PairedTally::default().exact_difference(0.05), None);
    }

    #[test]
    fn the_number_of_pairs_needed() {
        // Without a difference: z² (1 − m) / m = 188.2 pairs for two points, more where some differ.
        let same = PairedTally { both: 1_000_000, ..PairedTally::default() };
        assert_eq!(same.pairs_needed(0.02, 0.05), Some(189));
        let some = PairedTally { both: 180, candidate: 10, present: 10, neither: 0 };
        let needed = some.pairs_needed(0.05, 0.05).unwrap();
        // (1.96 + 0.8416)² × 21 / 202 / 0.0025
        close(needed as f64, 7.848_9 * 21.0 / 202.0 / 0.002_5, 1.5);
        let at_the_margin = PairedTally { both: 95, candidate: 0, present: 5, neither: 0 };
        assert_eq!(at_the_margin.pairs_needed(0.05, 0.05), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn the_interval_holds_the_difference_and_the_exact_test(
            both in 0_u64..200, neither in 0_u64..100, candidate in 0_u64..40, present in 0_u64..40,
        ) {
            let tally = PairedTally { both, candidate, present, neither };
            prop_assume!(tally.pairs() > 0);
            let d = tally.exact_difference(0.05).unwrap();
            prop_assert!(d.lower <= d.value + 1e-9 && d.value <= d.upper + 1e-9, "{d:?}");
            if d.upper < 0.0 || d.lower > 0.0 {
                prop_assert!(tally.p_value() <= 0.05 + 1e-9, "{tally:?} {}", tally.p_value());
            }
        }
    }
}
