//! Isotonic calibration: turns a score that only ranks into a probability, assuming nothing
//! but that a higher score is never worse.

use serde::{Deserialize, Serialize};

/// A non-decreasing map from score to expected outcome, fitted by least squares.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Isotonic {
    /// (score, outcome), both non-decreasing: the two ends of each pooled block.
    knots: Vec<(f64, f64)>,
}

/// A run of scores that share one fitted outcome.
struct Block {
    first: f64,
    last: f64,
    sum: f64,
    weight: f64,
}

impl Block {
    fn mean(&self) -> f64 {
        self.sum / self.weight
    }
}

impl Isotonic {
    /// Fits (score, outcome) pairs, in any order, with the pool-adjacent-violators algorithm
    /// (Ayer et al., Annals of Mathematical Statistics 1955), in O(n log n).
    ///
    /// Outcomes are usually 0 or 1. Equal scores are pooled first; pairs with NaN or infinity
    /// are left out. Without pairs nothing is known, and every score maps to 0.
    #[must_use]
    pub fn fit(pairs: &[(f64, f64)]) -> Self {
        let mut pairs: Vec<_> =
            pairs.iter().filter(|(score, outcome)| score.is_finite() && outcome.is_finite()).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));

        // Equal scores become one block before any pooling: otherwise the first of them could
        // be pooled downwards alone.
        let mut blocks: Vec<Block> = Vec::new();
        for tied in pairs.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let mut block = Block {
                first: tied[0].0,
                last: tied[0].0,
                sum: tied.iter().map(|pair| pair.1).sum(),
                weight: tied.len() as f64,
            };
            while let Some(before) = blocks.pop_if(|before| before.mean() >= block.mean()) {
                block.first = before.first;
                block.sum += before.sum;
                block.weight += before.weight;
            }
            blocks.push(block);
        }
        let knots = blocks.iter().flat_map(|block| [(block.first, block.mean()), (block.last, block.mean())]).collect();
        Self { knots }
    }

    /// The fitted outcome at `score`: linear between blocks, constant outside of the range
    /// that was fitted. A NaN score maps to the lowest outcome.
    #[must_use]
    pub fn apply(&self, score: f64) -> f64 {
        let above = self.knots.partition_point(|knot| knot.0 <= score);
        let left = above.checked_sub(1).map(|i| self.knots[i]);
        match (left, self.knots.get(above)) {
            (None, None) => 0.0,
            (None, Some(&(_, lowest))) => lowest,
            (Some((_, highest)), None) => highest,
            (Some((x0, y0)), Some(&(x1, y1))) => y0 + (y1 - y0) * (score - x0) / (x1 - x0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn violators_are_pooled() {
        let pairs = [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 4.0)];
        let fit = Isotonic::fit(&pairs);
        let check = |score, expected: f64| {
            let actual = fit.apply(score);
            assert!((actual - expected).abs() < 1e-12, "{score}: {actual}");
        };
        check(0.0, 1.0);
        check(1.0, 1.0);
        check(1.5, 1.75);
        check(2.0, 2.5);
        check(2.5, 2.5);
        check(3.0, 2.5);
        check(3.5, 3.25);
        check(9.0, 4.0);
        check(f64::NAN, 1.0);
    }

    #[test]
    fn equal_scores_share_their_mean() {
        let fit = Isotonic::fit(&[(0.5, 1.0), (0.5, 0.0), (0.5, 0.0), (0.5, 1.0)]);
        assert!((fit.apply(0.5) - 0.5).abs() < 1e-12);
        let fit = Isotonic::fit(&[(0.5, 0.0), (0.5, 1.0), (0.7, 1.0)]);
        assert!((fit.apply(0.5) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn without_pairs_nothing_is_known() {
        assert!(Isotonic::fit(&[]).apply(0.9).abs() < 1e-12);
        assert!(Isotonic::fit(&[(f64::NAN, 1.0)]).apply(0.9).abs() < 1e-12);
    }

    fn pairs() -> impl Strategy<Value = Vec<(f64, f64)>> {
        // Scores on a coarse grid, so that ties occur.
        let pair = (0_u32..20, 0_u32..2).prop_map(|(s, y)| (f64::from(s) / 20.0, f64::from(y)));
        prop::collection::vec(pair, 1..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn never_decreases(pairs in pairs(), a in -0.5..1.5_f64, b in -0.5..1.5_f64) {
            let fit = Isotonic::fit(&pairs);
            prop_assert!(fit.apply(a.min(b)) <= fit.apply(a.max(b)) + 1e-12);
        }

        /// What marks a least-squares isotonic fit: the fitted values keep the total, and no
        /// upper set of scores has residuals with a positive sum.
        #[test]
        fn is_the_least_squares_fit(pairs in pairs()) {
            let fit = Isotonic::fit(&pairs);
            let above = |cut: f64| -> f64 {
                pairs.iter().filter(|p| p.0 >= cut).map(|p| p.1 - fit.apply(p.0)).sum()
            };
            prop_assert!(above(-1.0).abs() < 1e-9);
            for &(score, _) in &pairs {
                prop_assert!(above(score) <= 1e-9);
            }
        }

        #[test]
        fn order_does_not_matter(mut pairs in pairs(), at in 0.0..1.0_f64) {
            let fit = Isotonic::fit(&pairs);
            pairs.reverse();
            prop_assert!((fit.apply(at) - Isotonic::fit(&pairs).apply(at)).abs() < 1e-12);
        }
    }
}
