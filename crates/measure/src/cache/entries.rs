//! A threshold for each entry, written from the paper of vCache (Schroeder et al., "vCache: Verified
//! Semantic Prompt Caching", ICLR 2026, arXiv 2502.03771).
//!
//! Each entry models P(right | cosine s) = 1 / (1 + exp(−γ (s − t))) from the comparisons made when
//! it was the nearest, and the model is asked with the probability that keeps the error of all
//! queries at δ: τ = min over ε of ((1 − δ) − α) / (1 − α) with α = (1 − ε) · P(right | s, t′, γ),
//! t′ the upper 1 − ε quantile of t. The paper takes that quantile from a normal approximation of
//! a maximum likelihood fit, which separable comparisons do not have; here it is exact on a grid.

use std::collections::HashMap;

const STEEPNESS: [f64; 6] = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0];
const THRESHOLDS: usize = 41;
const EPSILONS: [f64; 7] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

/// The evidence of all entries.
pub(super) struct Entries {
    delta: f64,
    /// Log-likelihoods, one row for each steepness.
    seen: HashMap<u64, Vec<f64>>,
}

/// From cosine .2 to 1.2: an entry may never be right.
fn threshold(at: usize) -> f64 {
    0.2 + at as f64 / (THRESHOLDS - 1) as f64
}

fn right(cosine: f64, threshold: f64, steepness: f64) -> f64 {
    1.0 / (1.0 + (-steepness * (cosine - threshold)).exp())
}

impl Entries {
    pub(super) fn new(delta: f64) -> Self {
        Self { delta, seen: HashMap::new() }
    }

    pub(super) fn learn(&mut self, entry: u64, cosine: f64, was_right: bool) {
        let logs = self.seen.entry(entry).or_insert_with(|| vec![0.0; STEEPNESS.len() * THRESHOLDS]);
        for (row, steepness) in logs.chunks_exact_mut(THRESHOLDS).zip(STEEPNESS) {
            for (at, log) in row.iter_mut().enumerate() {
                let p = right(cosine, threshold(at), steepness);
                *log += if was_right { p } else { 1.0 - p }.max(1e-12).ln();
            }
        }
    }

    /// The probability with which the model must be asked.
    pub(super) fn explore(&self, entry: u64, cosine: f64) -> f64 {
        let Some(logs) = self.seen.get(&entry) else { return 1.0 };
        let best = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = logs.iter().map(|log| (log - best).exp()).collect();
        let mut by_threshold = [0.0; THRESHOLDS];
        let mut steepness = (0.0, 0.0);
        for (row, gamma) in weights.chunks_exact(THRESHOLDS).zip(STEEPNESS) {
            row.iter().zip(&mut by_threshold).for_each(|(weight, sum)| *sum += weight);
            let all: f64 = row.iter().sum();
            steepness = (steepness.0 + all * gamma, steepness.1 + all);
        }
        let gamma = steepness.0 / steepness.1;
        let all: f64 = by_threshold.iter().sum();
        let asked = EPSILONS.map(|epsilon| {
            let mut above = 0.0;
            let at = (0..THRESHOLDS).rev().find(|at| {
                above += by_threshold[*at] / all;
                above > epsilon
            });
            let alpha = (1.0 - epsilon) * right(cosine, threshold(at.unwrap_or(THRESHOLDS - 1)), gamma);
            (((1.0 - self.delta) - alpha) / (1.0 - alpha)).max(0.0)
        });
        asked.into_iter().fold(1.0, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_trusted_after_evidence_and_never_without() {
        let mut entries = Entries::new(0.02);
        assert!((entries.explore(1, 1.0) - 1.0).abs() < 1e-12);
        for _ in 0..60 {
            entries.learn(1, 0.9, true);
            entries.learn(1, 0.5, false);
        }
        assert!(entries.explore(1, 0.98) < 0.3, "{}", entries.explore(1, 0.98));
        assert!(entries.explore(1, 0.55) > 0.9);
        assert!(entries.explore(2, 0.98) > 0.99);
    }
}
