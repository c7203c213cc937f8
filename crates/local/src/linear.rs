//! Softmax regression over sparse vectors, trained by stochastic gradient descent.

use crate::features::SparseVector;
use baton_stats::SplitMix64;

/// The first step's size; steps shrink linearly to zero over the training.
const STEP: f32 = 4.0;
/// Steps in a training: small sets are passed over more often.
const STEPS: usize = 50_000;
const EPOCHS: std::ops::RangeInclusive<usize> = 5..=30;

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
