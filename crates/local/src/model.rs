//! The public model: examples in, calibrated predictions out.

use crate::cut;
use crate::features::{Feature, SparseVector, Vocabulary, features};
use crate::folds::{cross_fit, most_probable};
use crate::linear::Linear;
use baton_stats::Platt;

/// One case: what was said and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Example<'a> {
    /// The input's text; its first 4,000 characters are read.
    pub text: &'a str,
    /// The right label.
    pub label: &'a str,
}

/// How to train.
#[derive(Debug, Clone)]
pub struct Options {
    /// The share of answers that must be right, in (0, 1]: the intent's `objective.quality`.
    pub precision: f64,
    /// Answer from this confidence on, in [0, 1]; `Some(0.0)` forces an answer. `None`
    /// chooses the lowest cut whose cross-fitted precision reaches `precision`.
    pub cut: Option<f64>,
    /// Decides folds and order; the same seed and examples give the same model.
    pub seed: u64,
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// Nothing to learn from.
    #[error("`local` has no examples: add cases with an expected label")]
    NoExamples,
    /// Nothing to tell apart.
    #[error("every example of `local` has the label `{label}`: add cases of a second label")]
    OneLabel {
        /// The only label.
        label: String,
    },
    /// More than a model embedded in a server should hold.
    #[error("`local` was given {count} {what}; it takes at most {limit}: use fewer cases")]
    TooLarge {
        /// What there is too much of, in the plural.
        what: &'static str,
        /// How much there is.
        count: usize,
        /// How much there may be.
        limit: usize,
    },
    /// An option outside of its range.
    #[error("`local` has {name} = {value}, which must lie between 0 and 1")]
    BadOption {
        /// The option's name.
        name: &'static str,
        /// Its value.
        value: f64,
    },
}

/// What the model says about one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The most probable label.
    pub label: String,
    /// Calibrated probability that `label` is right, from cross-fitted examples.
    pub confidence: f64,
    /// The next label, with its part of the probability that `label` leaves.
    pub runner_up: Option<(String, f64)>,
    /// True where `confidence` is below the cut: the next candidate should answer.
    pub abstained: bool,
}

/// A trained classifier: immutable, shared by reference between threads.
#[derive(Debug)]
pub struct Model {
    vocabulary: Vocabulary,
    linear: Linear,
    calibration: Platt,
    labels: Vec<String>,
    examples: usize,
    cut: f64,
}

const EXAMPLES_MAX: usize = 100_000;
const LABELS_MAX: usize = 1_000;
/// Distinct features, summed over the examples: 512 MB of vectors while training.
const FEATURES_MAX: usize = 64_000_000;
/// The same times the labels, which is what training takes: most of a minute. BANKING77's
/// 10,000 examples of 77 labels have 0.12 billion.
const WORK_MAX: usize = 4_000_000_000;
/// Rows × labels: 32 MB of weights, and that for each fold while training.
const WEIGHTS_MAX: usize = 8_000_000;

fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), TrainError> {
    if count > limit {
        return Err(TrainError::TooLarge { what, count, limit });
    }
    Ok(())
}

/// The log-odds of a probability, finite even where it rounded to 0 or 1.
fn log_odds(probability: f64) -> f64 {
    let p = probability.clamp(1e-7, 1.0 - 1e-7);
    (p / (1.0 - p)).ln()
}

impl Model {
    /// Learns the examples: 10,000 of them take two seconds of processor time in a release
    /// build, spread over a thread for each of five folds.
    ///
    /// # Errors
    /// No examples, a single label, an option out of range, or more than fits.
    pub fn train(examples: &[Example<'_>], options: &Options) -> Result<Self, TrainError> {
        check(examples, options)?;
        let mut labels: Vec<String> = examples.iter().map(|e| e.label.to_owned()).collect();
        labels.sort_unstable();
        labels.dedup();
        at_most("labels", labels.len(), LABELS_MAX)?;
        if labels.len() == 1 {
            return Err(TrainError::OneLabel { label: labels.remove(0) });
        }

        let texts: Vec<Vec<Feature>> = examples.iter().map(|e| features(e.text)).collect();
        let count = texts.iter().map(Vec::len).sum();
        at_most("words and n-grams", count, FEATURES_MAX)?;
        let work = count.saturating_mul(labels.len());
        at_most("words and n-grams times labels", work, WORK_MAX)?;
        let vocabulary = Vocabulary::new(&texts, WEIGHTS_MAX / labels.len());
        let label_of = |label: &str| labels.partition_point(|known| known.as_str() < label);
        let pairs: Vec<(SparseVector, usize)> = texts
            .iter()
            .zip(examples)
            .map(|(text, example)| (vocabulary.vector(text), label_of(example.label)))
            .collect();

        let fit = cross_fit(&pairs, vocabulary.len(), labels.len(), options.seed).ok_or(TrainError::NoExamples)?;
        let claims: Vec<_> = fit.judged.iter().map(|&(p, right)| (log_odds(p), right)).collect();
        let calibration = Platt::fit(&claims);
        let judged: Vec<_> = claims.iter().map(|&(c, right)| (calibration.apply(c), right)).collect();
        Ok(Self {
            cut: options.cut.unwrap_or_else(|| cut::choose(&judged, options.precision)),
            vocabulary,
            linear: fit.model,
            calibration,
            labels,
            examples: examples.len(),
        })
    }

    /// Classifies `text`. Never fails: what the model knows nothing about has low confidence.
    #[must_use]
    pub fn predict(&self, text: &str) -> Prediction {
        let vector = self.vocabulary.vector(&features(text));
        let mut probabilities = vec![0.0; self.labels.len()];
        self.linear.probabilities(&vector, &mut probabilities);
        let (best, claimed) = most_probable(&probabilities);
        let confidence = self.calibration.apply(log_odds(claimed));
        probabilities[best] = f32::NEG_INFINITY;
        let (next, next_claimed) = most_probable(&probabilities);
        // The next label's part of what the best one leaves, but never more than the best.
        let part = next_claimed / (1.0 - claimed).max(next_claimed).max(f64::MIN_POSITIVE);
        let runner_up = ((1.0 - confidence) * part).min(confidence);
        Prediction {
            label: self.labels[best].clone(),
            confidence,
            runner_up: Some((self.labels[next].clone(), runner_up)),
            abstained: confidence < self.cut,
        }
    }

    /// The confidence below which the model abstains; above 1 where it always does.
    #[must_use]
    pub fn cut(&self) -> f64 {
        self.cut
    }

    /// How many examples it learnt from.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// How many weights it holds, of four bytes each.
    #[must_use]
    pub fn weights(&self) -> usize {
        self.linear.len()
    }

    /// The labels it can answer with, sorted.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.labels
    }
}

fn check(examples: &[Example<'_>], options: &Options) -> Result<(), TrainError> {
    let named = [("precision", Some(options.precision)), ("cut", options.cut)];
    for (name, value) in named {
        if let Some(value) = value.filter(|value| !(0.0..=1.0).contains(value)) {
            return Err(TrainError::BadOption { name, value });
        }
    }
    if examples.is_empty() {
        return Err(TrainError::NoExamples);
    }
    at_most("examples", examples.len(), EXAMPLES_MAX)
}

#[cfg(test)]
mod tests;
