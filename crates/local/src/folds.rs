//! Cross-fitting: every example is judged by a model that never saw it, and the final model
//! is the mean of those models.

use crate::features::SparseVector;
use crate::linear::Linear;
use baton_stats::SplitMix64;

/// Small sets get more folds: each model then learns from more of the little there is.
const FOLDS: usize = 5;
const FOLDS_SMALL: usize = 10;
const EXAMPLES_SMALL: usize = 1_000;
/// Below this many weights × examples the folds are trained one after the other.
const PARALLEL_FROM: usize = 1 << 20;

/// What cross-fitting yields.
pub(crate) struct CrossFit {
    pub(crate) model: Linear,
    /// For each example, in order: the probability of its most probable label, and whether
    /// that label was right.
    pub(crate) judged: Vec<(f64, bool)>,
}

/// The most probable label and its probability.
pub(crate) fn most_probable(probabilities: &[f32]) -> (usize, f64) {
    let mut best = (0, f32::NEG_INFINITY);
    for (label, &probability) in probabilities.iter().enumerate() {
        if probability > best.1 {
            best = (label, probability);
        }
    }
    (best.0, f64::from(best.1))
}

/// Trains one model for each fold on everything outside of it.
pub(crate) fn cross_fit(pairs: &[(SparseVector, usize)], rows: usize, labels: usize, seed: u64) -> Option<CrossFit> {
    let rng = SplitMix64::new(seed);
    let wanted = if pairs.len() < EXAMPLES_SMALL { FOLDS_SMALL } else { FOLDS };
    let count = wanted.min(pairs.len());
    let folds = assign(pairs, count, &mut rng.fork(u64::MAX));
    let train = |fold: usize| {
        let outside: Vec<_> = pairs
            .iter()
            .zip(&folds)
            .filter(|(_, assigned)| **assigned != fold)
            .map(|((vector, label), _)| (vector, *label))
            .collect();
        Linear::train(&outside, rows, labels, &mut rng.fork(fold as u64))
    };
    let models: Vec<Linear> =
        if rows * labels < PARALLEL_FROM { (0..count).map(train).collect() } else { in_parallel(count, &train) };

    let mut probabilities = vec![0.0; labels];
    let judged = pairs
        .iter()
        .zip(&folds)
        .map(|((vector, label), fold)| {
            models[*fold].probabilities(vector, &mut probabilities);
            let (best, probability) = most_probable(&probabilities);
            (probability, best == *label)
        })
        .collect();
    Some(CrossFit { model: Linear::mean(models)?, judged })
}

/// One thread a fold; the results are in the order of the folds, so threads change nothing.
fn in_parallel(count: usize, train: &(impl Fn(usize) -> Linear + Sync)) -> Vec<Linear> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|fold| scope.spawn(move || train(fold))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Linear>| match thread.join() {
            Ok(model) => model,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(join).collect()
    })
}

/// A fold for each example, at random, with every label spread evenly over the folds.
fn assign(pairs: &[(SparseVector, usize)], count: usize, rng: &mut SplitMix64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    rng.shuffle(&mut order);
    order.sort_by_key(|&example| pairs[example].1);
    let mut folds = vec![0; pairs.len()];
    for (place, example) in order.into_iter().enumerate() {
        folds[example] = place % count;
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Examples that share no feature: nothing about one can be known from another.
    fn strangers(count: usize, labels: usize) -> Vec<(SparseVector, usize)> {
        (0..count).map(|i| (vec![(i as u32, 1.0)], i % labels)).collect()
    }

    #[test]
    fn no_example_is_judged_by_a_model_that_saw_it() {
        let fit = cross_fit(&strangers(60, 3), 60, 3, 1).unwrap();
        for (probability, _) in fit.judged {
            assert!((probability - 1.0 / 3.0).abs() < 1e-6, "{probability} is more than a guess");
        }
    }

    #[test]
    fn the_final_model_has_seen_every_example() {
        let pairs = strangers(60, 3);
        let fit = cross_fit(&pairs, 60, 3, 1).unwrap();
        let mut out = vec![0.0; 3];
        for (vector, label) in &pairs {
            fit.model.probabilities(vector, &mut out);
            assert_eq!(most_probable(&out).0, *label);
        }
    }

    #[test]
    fn every_fold_has_its_share_of_every_label() {
        let pairs = strangers(40, 2);
        let folds = assign(&pairs, 5, &mut SplitMix64::new(3));
        let mut shares = [[0; 2]; 5];
        for ((_, label), fold) in pairs.iter().zip(folds) {
            shares[fold][*label] += 1;
        }
        assert_eq!(shares, [[4; 2]; 5]);
    }

    #[test]
    fn threads_change_nothing() {
        let pairs = strangers(20, 2);
        let refs: Vec<_> = pairs.iter().map(|(vector, label)| (vector, *label)).collect();
        let train = |fold: usize| Linear::train(&refs, 20, 2, &mut SplitMix64::new(fold as u64));
        let (mut here, mut there) = ([0.0; 2], [0.0; 2]);
        for (fold, model) in in_parallel(3, &train).into_iter().enumerate() {
            train(fold).probabilities(&pairs[0].0, &mut here);
            model.probabilities(&pairs[0].0, &mut there);
            assert_eq!(here.map(f32::to_bits), there.map(f32::to_bits));
        }
    }
}
