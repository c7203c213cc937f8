//! From evidence to decisions: what labels, judges and checks say of one intent's answers becomes the
//! quality that each answer carries and the threshold that it must reach.
//!
//! Answers are calibrated apart by what is known when they are to be given: with a judge's score, and
//! without one. A score that comes later says nothing to the gate that it comes too late for; an
//! answer that was given on a judge's word says nothing of those that are given without.

mod features;
mod side;
#[cfg(test)]
mod tests;

use baton_core::{Quality, Verdict};
use baton_stats::{Method, Observation, Promise, estimate};
use serde::{Deserialize, Serialize};

pub use features::{Features, Seen};
pub use side::Side;

/// The interval of an estimate is of this level.
const ESTIMATE_DELTA: f64 = 0.05;
/// An estimate looks at so many answers at most; more say no more of it.
const WINDOW_MAX: u64 = 200_000;

/// An answer that people labelled.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledAnswer {
    /// What is known of it besides, a judge's score included, whenever it came.
    pub features: Features,
    /// On what it was given.
    pub given: GivenOn,
    /// Whether a reviewer passes it.
    pub good: bool,
    /// The probability with which it was drawn for review, in (0, 1]; `None` where somebody spoke of
    /// it unasked: it teaches the ranking, and is no sample for a promise or an estimate.
    pub probability: Option<f64>,
    /// Picks its half: one teaches how to rank, the other tests. From the execution's id.
    pub half: bool,
}

/// On what an answer was given: what it is a sample of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GivenOn {
    /// Nobody judged it before. A score that came later says something of those that are judged, too.
    Checks,
    /// A judge's score: it is no sample of answers that nobody judged.
    Judge,
    /// Nothing: a second opinion differed from it, and from another answer before it, which was held back.
    /// It is no sample of the others from which an opinion differs: those are not given.
    Nothing,
}

/// What judges said of a window's answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedAnswer {
    /// The score, in [0, 1].
    pub value: f64,
    /// The probability with which it was drawn.
    pub probability: f64,
    /// Whether it was drawn by that probability.
    pub drawn: bool,
    /// What people said of it, and with which probability they were asked.
    pub label: Option<(bool, f64)>,
}

/// All that is known of one intent's answers, of one team and lineage.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Labels, in the order in which they were given.
    pub labels: Vec<LabelledAnswer>,
    /// Judgements of the window.
    pub judged: Vec<JudgedAnswer>,
    /// Answers of the window, judged or not.
    pub answered: u64,
    /// Recent answers: what a threshold would let pass.
    pub traffic: Vec<Features>,
}

/// The rate of good answers of a window with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityEstimate {
    /// In [0, 1].
    pub value: f64,
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
    /// `labels+judge`, or `labels` where the interval is from labels alone.
    pub method: String,
    /// Human labels in it.
    pub labels: u64,
    /// Answers that it is about.
    pub answered: u64,
}

/// What is in force for one intent's answers, of one team and lineage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Settled labels behind it.
    pub labels: u64,
    /// Labels that a promise takes at the least.
    pub needed: u64,
    /// For answers that no judge spoke of yet.
    pub plain: Side,
    /// For answers with a judge's score.
    pub judged: Side,
    /// How good the answers of the window were; `None` while too few labels say.
    pub estimate: Option<QualityEstimate>,
}

impl Calibration {
    /// Fits everything to what is known. `alpha` is the share of passed answers that may be bad,
    /// `delta` how often that may be exceeded.
    #[must_use]
    pub fn fit(known: &Known, alpha: f64, delta: f64) -> Self {
        let promise = Promise { alpha, delta };
        Self {
            labels: known.labels.len() as u64,
            needed: promise.labels_min(),
            plain: Side::fit(promise, known, false),
            judged: Side::fit(promise, known, true),
            estimate: estimated(known),
        }
    }

    /// Whether it holds answers back.
    #[must_use]
    pub fn gates(&self) -> bool {
        self.plain.threshold.is_some() || self.judged.threshold.is_some()
    }

    /// What it says of one answer: how good, and whether it may be given.
    #[must_use]
    pub fn decide(&self, features: &Features) -> (Quality, Verdict) {
        let side = if features.judge.is_some() { &self.judged } else { &self.plain };
        let verdict = side.verdict(features);
        let quality = match side.quality(features) {
            Some(said) if self.labels >= self.needed => Quality {
                score: Some(round(said.score)),
                lower: Some(round(said.lower)),
                basis: if features.judge.is_some() { "checks+judge".into() } else { "checks".into() },
                labels: said.labels,
                needed: None,
                verified: verdict == Verdict::Pass,
            },
            _ => Quality::unknown(self.labels, self.needed.max(self.labels + 1)),
        };
        (quality, verdict)
    }
}

impl Calibration {
    /// What it says of an answer that a judge may yet be asked about: undecided where it is the judge's
    /// word that counts. What passes without a judge, and what would end the same way whatever the judge
    /// said, is decided at once.
    #[must_use]
    pub fn before_judge(&self, features: &Features) -> (Quality, Verdict) {
        let (quality, plain) = self.decide(&features.clone().with_judge(None));
        let verdict = match plain {
            Verdict::Pass => Verdict::Pass,
            _ => {
                let [worst, best] =
                    [0.0, 1.0].map(|said| self.judged.verdict(&features.clone().with_judge(Some(said))));
                if worst == best { worst } else { Verdict::Undecided }
            }
        };
        (Quality { verified: quality.score.is_some() && verdict == Verdict::Pass, ..quality }, verdict)
    }
}

/// Four digits: more are noise.
fn round(p: f64) -> f64 {
    (p * 1e4).round() / 1e4
}

/// The centred prediction-powered estimate of `baton_stats::estimate`.
///
/// What was drawn for review and not labelled yet is stood for by what was: the probabilities of those are
/// scaled so that 1 / π sums to the window (Hájek's ratio). Taken as drawn, the others would count as if
/// their labels were known to be average, and the interval would be far too narrow.
fn estimated(known: &Known) -> Option<QualityEstimate> {
    let unjudged = known.labels.iter().filter(|label| label.features.judge.is_none());
    let unjudged = unjudged.filter_map(|label| Some((label.good, label.probability?)));
    let blank = Observation { score: None, judged: false, r: 1.0, label: None, pi: 1.0 };
    let mut window: Vec<Observation> = known
        .judged
        .iter()
        .map(|seen| Observation {
            score: Some(seen.value),
            judged: seen.drawn,
            r: seen.probability,
            label: seen.label.map(|(good, _)| good),
            pi: seen.label.map_or(1.0, |(_, pi)| pi),
        })
        .chain(unjudged.map(|(good, pi)| Observation { label: Some(good), pi, ..blank }))
        .collect();
    let answered = known.answered.clamp(window.len() as u64, WINDOW_MAX.max(window.len() as u64));
    window.resize(usize::try_from(answered).unwrap_or(window.len()), blank);
    #[expect(clippy::cast_precision_loss, reason = "a number of answers")]
    let all = window.len() as f64;
    let labelled: f64 = window.iter().filter(|seen| seen.label.is_some()).map(|seen| 1.0 / seen.pi).sum();
    let done = (labelled / all).min(1.0);
    window.iter_mut().filter(|seen| seen.label.is_some()).for_each(|seen| seen.pi *= done);
    let said = estimate(&window, ESTIMATE_DELTA).ok()?;
    Some(QualityEstimate {
        value: round(said.value),
        lower: round(said.lower),
        upper: round(said.upper),
        method: if said.method == Method::Powered { "labels+judge".into() } else { "labels".into() },
        labels: said.labels,
        answered: known.answered,
    })
}
