//! Quantiles, exact for a slice and approximate for a stream: reports and the router read
//! latencies as p50, p95 and p99, over windows too long to keep every value.

use sketches_ddsketch::{Config, DDSketch};

/// The exact nearest-rank quantile: the smallest value with at least `q` of all values at or
/// below it (rank ⌈q·n⌉, at least 1).
///
/// `None` where `values` is empty or `q` is outside [0, 1]. NaN sorts last. Takes O(n) time
/// and one copy of the slice.
#[must_use]
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    if values.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let rank = (q * values.len() as f64).ceil() as usize;
    let mut values = values.to_vec();
    let (_, value, _) = values.select_nth_unstable_by(rank.max(1) - 1, f64::total_cmp);
    Some(*value)
}

/// Bins kept before the smallest values collapse into one: with 1 % error they span a ratio
/// of 10^17 between the smallest and the largest value, in at most 16 KiB.
const BINS_MAX: u32 = 2048;
const RELATIVE_ERROR: f64 = 0.01;
/// Smaller values count as zero: a nanosecond where the unit is the second.
const SMALLEST: f64 = 1e-9;

/// A mergeable sketch of non-negative values, such as latencies, whose quantiles are within
/// 1 % of an exact one (DDSketch: Masson, Rim and Lee, VLDB 2019).
#[derive(Clone)]
pub struct Sketch {
    inner: DDSketch,
}

impl Default for Sketch {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sketch").field("count", &self.count()).field("p50", &self.quantile(0.5)).finish()
    }
}

impl Sketch {
    /// An empty sketch.
    #[must_use]
    pub fn new() -> Self {
        let config = Config::new(RELATIVE_ERROR, BINS_MAX, SMALLEST);
        Self { inner: DDSketch::new(config) }
    }

    /// Adds one value. Negative, infinite and NaN values are not measurements of anything
    /// and are left out.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() && value >= 0.0 {
            self.inner.add(value);
        }
    }

    /// A value within 1 % of the one with rank ⌊q·(n−1)⌋, counted from 0. `None` where the
    /// sketch is empty or `q` is outside [0, 1].
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        self.inner.quantile(q).ok().flatten()
    }

    /// How many values were added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.count() as u64
    }

    /// Adds every value of `other`: the result equals one sketch that saw both streams.
    pub fn merge(&mut self, other: &Self) {
        let merged = self.inner.merge(&other.inner);
        debug_assert!(merged.is_ok(), "all sketches share one configuration");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nearest_rank_of_known_values() {
        let values = [15.0, 20.0, 35.0, 40.0, 50.0];
        let check = |q, expected| assert_eq!(quantile(&values, q), expected, "q = {q}");
        check(0.0, Some(15.0));
        check(0.05, Some(15.0));
        check(0.30, Some(20.0));
        check(0.40, Some(20.0));
        check(0.50, Some(35.0));
        check(1.0, Some(50.0));
        check(1.1, None);
        check(f64::NAN, None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn an_empty_sketch_has_no_quantile() {
        assert_eq!(Sketch::new().quantile(0.5), None);
        assert_eq!(Sketch::new().count(), 0);
    }

    #[test]
    fn what_is_not_a_measurement_is_left_out() {
        let mut sketch = Sketch::new();
        for value in [-1.0, f64::NAN, f64::INFINITY] {
            sketch.add(value);
        }
        assert_eq!(sketch.count(), 0);
        sketch.add(0.0);
        assert_eq!((sketch.count(), sketch.quantile(0.5)), (1, Some(0.0)));
        assert_eq!(sketch.quantile(2.0), None);
    }

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::new();
        values.iter().for_each(|value| sketch.add(*value));
        sketch
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_sketch_is_within_one_percent(
            mut values in prop::collection::vec(1e-3..1e6_f64, 1..300),
            q in 0.0..=1.0_f64,
        ) {
            let estimate = sketch(&values).quantile(q).unwrap();
            values.sort_by(f64::total_cmp);
            let exact = values[(q * (values.len() - 1) as f64) as usize];
            prop_assert!((estimate - exact).abs() <= 0.010_001 * exact, "{estimate} {exact}");
        }

        #[test]
        fn merging_equals_adding_to_one(
            left in prop::collection::vec(0.0..1e6_f64, 0..100),
            right in prop::collection::vec(0.0..1e6_f64, 0..100),
            q in 0.0..=1.0_f64,
        ) {
            let mut merged = sketch(&left);
            merged.merge(&sketch(&right));
            let whole = sketch(&[left, right].concat());
            prop_assert_eq!(merged.count(), whole.count());
            prop_assert_eq!(merged.quantile(q), whole.quantile(q));
        }
    }
}
