//! Softmax regression over sparse vectors, trained by stochastic gradient descent.

use crate::features::SparseVector;
use baton_stats::SplitMix64;

/// The first step's size; steps shrink linearly to zero over the training.
const STEP: f32 = 6.0;
/// Steps in a training: small sets are passed over more often.
const STEPS: usize = 50_000;
const EPOCHS: std::ops::RangeInclusive<usize> = 5..=20;

/// A weight for each row of the vocabulary and each label.
#[derive(Debug)]
pub(crate) struct Linear {
    /// Row-major: the weights of one row's labels lie together.
    weights: Vec<f32>,
    labels: usize,
}

impl Linear {
    /// Learns the (vector, label) pairs. Stopping early is the regularisation: measured on
    /// BANKING77's training part, weight decay made it worse.
    pub(crate) fn train(pairs: &[(&SparseVector, usize)], rows: usize, labels: usize, rng: &mut SplitMix64) -> Self {
        let mut model = Self { weights: vec![0.0; rows * labels], labels };
        let epochs = (STEPS / pairs.len().max(1)).clamp(*EPOCHS.start(), *EPOCHS.end());
        let steps = (epochs * pairs.len()) as f32;
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        let mut errors = vec![0.0; labels];
        let mut done = 0.0;
        for _ in 0..epochs {
            rng.shuffle(&mut order);
            for &next in &order {
                let (vector, label) = pairs[next];
                model.probabilities(vector, &mut errors);
                errors[label] -= 1.0;
                model.descend(vector, &errors, STEP * (1.0 - done / steps));
                done += 1.0;
            }
        }
        model
    }

    /// One step against the gradient of the cross-entropy: value × (probability − truth).
    fn descend(&mut self, vector: &SparseVector, errors: &[f32], step: f32) {
        for &(row, value) in vector {
            let start = row as usize * self.labels;
            let factor = step * value;
            for (weight, error) in self.weights[start..][..self.labels].iter_mut().zip(errors) {
                *weight -= factor * error;
            }
        }
    }

    /// Writes each label's probability into `out` (one entry a label).
    pub(crate) fn probabilities(&self, vector: &SparseVector, out: &mut [f32]) {
        out.fill(0.0);
        for &(row, value) in vector {
            let start = row as usize * self.labels;
            for (score, weight) in out.iter_mut().zip(&self.weights[start..][..self.labels]) {
                *score += value * weight;
            }
        }
        let highest = out.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        out.iter_mut().for_each(|score| *score = (*score - highest).exp());
        let sum: f32 = out.iter().sum();
        out.iter_mut().for_each(|score| *score /= sum);
    }

    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// The model whose scores are the mean of the scores of `models`.
    pub(crate) fn mean(models: Vec<Self>) -> Option<Self> {
        let share = 1.0 / models.len() as f32;
        let mut sum = models.into_iter().reduce(|mut sum, model| {
            let pairs = sum.weights.iter_mut().zip(&model.weights);
            pairs.for_each(|(total, weight)| *total += weight);
            sum
        })?;
        sum.weights.iter_mut().for_each(|weight| *weight *= share);
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probabilities(model: &Linear, vector: &SparseVector) -> Vec<f32> {
        let mut out = vec![0.0; model.labels];
        model.probabilities(vector, &mut out);
        out
    }

    fn three_labels() -> Linear {
        let vectors = [vec![(0, 1.0)], vec![(1, 1.0)], vec![(2, 1.0)]];
        let pairs: Vec<_> = vectors.iter().zip(0..).collect();
        Linear::train(&pairs, 4, 3, &mut SplitMix64::new(1))
    }

    #[test]
    fn learns_what_tells_labels_apart() {
        let model = three_labels();
        for (row, label) in [(0, 0), (1, 1), (2, 2)] {
            let p = probabilities(&model, &vec![(row, 1.0)]);
            assert!(p[label] > 0.9, "row {row}: {p:?}");
        }
    }

    #[test]
    fn knows_nothing_of_what_it_never_saw() {
        for vector in [vec![], vec![(3, 1.0)]] {
            for p in probabilities(&three_labels(), &vector) {
                assert!((p - 1.0 / 3.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_mean_of_models_has_the_mean_of_their_scores() {
        let model = |weights: Vec<f32>| Linear { weights, labels: 2 };
        let mean = Linear::mean(vec![model(vec![1.0, 4.0]), model(vec![3.0, 0.0])]).unwrap();
        assert_eq!(mean.weights, vec![2.0, 2.0]);
        assert!(Linear::mean(vec![]).is_none());
    }
}
