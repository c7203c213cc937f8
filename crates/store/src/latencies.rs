//! Durations of many calls in little room: mergeable counts in logarithmic buckets.
//!
//! The buckets are those of `DDSketch` (Masson, Rim and Lee, VLDB 12(12), 2019, section 2): bucket i
//! holds (γ^(i-1), γ^i], so that every quantile is within a relative error of α = 1 %.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The relative error of a quantile.
const ERROR: f64 = 0.01;

/// γ of the paper.
const RATIO: f64 = (1.0 + ERROR) / (1.0 - ERROR);

/// How long calls took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies(BTreeMap<i32, u64>);

impl Latencies {
    /// Adds one duration, in microseconds; less than one counts as one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "ln of a u64 is below 45")]
    pub(crate) fn add(&mut self, us: u64) {
        let bucket = ((us.max(1) as f64).ln() / RATIO.ln()).ceil() as i32;
        *self.0.entry(bucket).or_default() += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.0 {
            *self.0.entry(*bucket).or_default() += count;
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The duration, in microseconds, that the share `q` of calls did not exceed (nearest rank),
    /// within 1 %; `None` without calls.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "positive"
    )]
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let rank = ((q * self.count() as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in &self.0 {
            seen += count;
            if seen >= rank {
                return Some((2.0 * RATIO.powi(*bucket) / (RATIO + 1.0)).round() as u64);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_within_one_percent_of_the_nearest_rank(
            mut durations in prop::collection::vec(1_u64..10_000_000_000, 1..300),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut parts = [Latencies::default(), Latencies::default()];
            for (at, us) in durations.iter().enumerate() {
                parts[usize::from(at < cut.index(durations.len()))].add(*us);
            }
            let [mut all, other] = parts;
            all.merge(&other);
            durations.sort_unstable();
            for (q, rank) in [(0.5, durations.len().div_ceil(2)), (1.0, durations.len())] {
                let (exact, found) = (durations[rank - 1] as f64, all.quantile_us(q).unwrap() as f64);
                prop_assert!((found - exact).abs() <= 0.0101 * exact + 0.5, "{found} for {exact}");
            }
        }
    }

    #[test]
    fn without_calls_there_is_no_quantile() {
        assert_eq!(Latencies::default().quantile_us(0.5), None);
    }
}
