//! One side of a calibration: answers that were judged, or those that were not.

use baton_core::Verdict;
use baton_stats::{Example, Fusion, GateHistory, Labelled, Promise, Quality, Weighted};
use serde::{Deserialize, Serialize};

use super::{Features, GivenOn, Known, LabelledAnswer};

/// From so many labels on the ranking is learnt: one half of the labels teaches it, the other tests
/// the threshold. With fewer, all of them are needed for the test.
const LEARN_MIN: usize = 200;

/// How answers are ranked, which of them pass, and how good each is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// What ranks; `None` is [`Features::rank`].
    ranking: Option<Fusion>,
    /// Answers that rank so high or higher pass; `None` while nothing can be promised.
    pub threshold: Option<f64>,
    /// Labels of the test.
    pub tested: u64,
    /// Bad ones at or above the threshold.
    pub bad: u64,
    /// The number of labels at which the gate may next open or become laxer.
    pub next_look: u64,
    /// Share of recent answers that pass, in [0, 1]; `None` while the gate is closed or there is no
    /// traffic to say it of.
    pub passing: Option<f64>,
    quality: Option<Fusion>,
}

impl Side {
    /// Fits one side.
    pub(super) fn fit(promise: Promise, known: &Known, judged: bool) -> Self {
        // As it was known when it was to be given.
        let seen = |features: &Features| match judged {
            true => features.judge.is_some().then(|| features.clone()),
            false => Some(features.clone().with_judge(None)),
        };
        let label = |label: &LabelledAnswer| {
            let sample = match label.given {
                GivenOn::Checks => true,
                GivenOn::Judge => judged,
                GivenOn::Nothing => false,
            };
            let features = seen(&label.features).filter(|_| sample)?;
            Some(LabelledAnswer { features, ..label.clone() })
        };
        let labels: Vec<LabelledAnswer> = known.labels.iter().filter_map(label).collect();
        let ranking = learnt(&labels);
        let rank = |features: &Features| ranked(ranking.as_ref(), features);
        let traffic: Vec<f64> = known.traffic.iter().filter_map(seen).map(|features| rank(&features)).collect();
        // What is labelled is traffic, too: without records of any other it is all there is.
        let of_labels = || labels.iter().map(|label| rank(&label.features)).collect();
        let scores = if traffic.is_empty() { of_labels() } else { traffic.clone() };
        let mut history = GateHistory::new(promise);
        let mut tested = 0;
        for label in labels.iter().filter(|label| ranking.is_none() || label.half) {
            let Some(pi) = label.probability else { continue };
            tested += 1;
            let seen = Labelled { score: rank(&label.features), label: Weighted { good: label.good, pi } };
            history.push(seen, &scores);
        }
        let threshold = history.gate().threshold();
        let bad = if let baton_stats::Gate::Open { bad, .. } = history.gate() { bad } else { 0 };
        #[expect(clippy::cast_precision_loss, reason = "a number of answers")]
        let passing = threshold
            .filter(|_| !traffic.is_empty())
            .map(|least| traffic.iter().filter(|rank| **rank >= least).count() as f64 / traffic.len() as f64);
        let quality = Fusion::fit(&examples(labels.iter())).ok();
        Self { threshold, tested, bad, next_look: history.looks_at(), passing, quality, ranking }
    }

    /// Whether an answer may be given.
    pub(super) fn verdict(&self, features: &Features) -> Verdict {
        match self.threshold {
            None => Verdict::Undecided,
            Some(least) if ranked(self.ranking.as_ref(), features) >= least => Verdict::Pass,
            Some(_) => Verdict::Fail,
        }
    }

    /// How good an answer is; `None` while too few labels say.
    pub(super) fn quality(&self, features: &Features) -> Option<Quality> {
        self.quality.as_ref().map(|fusion| fusion.quality(&features.numbers()))
    }
}

/// A ranking from one half of the labels, fitted anew at doubling numbers of them only, so that
/// what is tested does not choose what it is tested with.
fn learnt(labels: &[LabelledAnswer]) -> Option<Fusion> {
    if labels.len() < LEARN_MIN {
        return None;
    }
    let mut upto = LEARN_MIN;
    while upto * 2 <= labels.len() {
        upto *= 2;
    }
    Fusion::fit(&examples(labels[..upto].iter().filter(|label| !label.half))).ok()
}

fn examples<'a>(labels: impl Iterator<Item = &'a LabelledAnswer>) -> Vec<Example> {
    labels.map(|label| Example { features: label.features.numbers(), good: label.good }).collect()
}

fn ranked(ranking: Option<&Fusion>, features: &Features) -> f64 {
    ranking.map_or_else(|| features.rank(), |fusion| fusion.log_odds(&features.numbers()))
}
