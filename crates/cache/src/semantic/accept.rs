//! Whether a remembered answer may be served: learnt from labels that the traffic gives for free,
//! and bounded by what they prove.
//!
//! One model for the intent, not one for each entry, which would starve (docs/caching.md has the
//! method and its figures). A miss is a free label: the model's answer tells whether the cache
//! would have been right. Of what could be served a share is drawn for audit. Nothing here is
//! guaranteed: an estimate of the wrong ones assumes that look-ups of the same score are wrong
//! equally often while they stay in the window, and the audits watch whether that is so.

mod ask;
mod bound;
mod look;
mod model;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

pub use look::{Look, NEIGHBOURS, Neighbour};

use bound::{Curve, Labelled, Open, Plain, Seen, TRIED_ENOUGH};
use model::{Model, probability};

/// Labelled look-ups kept; the oldest go first.
const POINTS_MAX: usize = 8_192;
/// Recent look-ups kept, labelled or not: what traffic looks like now.
const TRAFFIC_MAX: usize = 2_000;
/// Served look-ups kept, drawn evenly from all.
const SERVED_MAX: usize = 2_000;
/// Points before the first fit.
const POINTS_MIN: usize = 200;
/// Points before anything is served: enough for so many wrong ones at the promised rate. With
/// fewer, a handful of hits happen to break the promise too often. At most [`TRIED_ENOUGH`].
const WRONG_MIN: f64 = 30.0;
/// Points learnt between two fits: so many, or this part of all.
const REFIT_MIN: usize = 50;
const REFIT_PART: usize = 40;
/// The draw for audit: this probability where wrong ones are as frequent as promised, and by the
/// square root of their rate elsewhere (Neyman's allocation), within limits.
const AUDIT: f64 = 0.08;
const AUDIT_MIN: f64 = 0.05;
const AUDIT_MAX: f64 = 0.3;
/// What audits before the last few hundred count.
const AUDITED_KEEP: f64 = 0.997;
/// Wrong audits, seen and expected, that the prior of their ratio is worth.
const AUDITED_PRIOR: f64 = 6.0;
/// The least that audits without a wrong one may lower the estimate to.
const AUDITED_MIN: f64 = 0.8;
/// The alarm compares the rate expected with this many times it (Page's CUSUM, Biometrika 1954),
/// and rings at this log-likelihood ratio.
const ALARM_TIMES: f64 = 3.0;
const ALARM_AT: f64 = 7.0;
/// Points kept when it rings: those of before say nothing any more.
const ALARM_KEEPS: usize = 300;

/// A look-up whose right answer became known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    look: Look,
    right: bool,
    probability: f64,
    /// The log-odds that the model in force gave it before its label was known, where there was one.
    said: Option<f64>,
}

impl Point {
    /// Between 1, which trusts labels of before the cache opened as much as audits, and the inverse
    /// probability, which is free of bias and of little worth: their geometric mean.
    fn weight(&self) -> f64 {
        self.probability.powf(-0.5)
    }
}

/// What to do with a look-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Serve the remembered answer.
    Serve {
        /// The probability that it is right.
        right: f64,
    },
    /// It could be served, but ask the model and compare (or serve it, say so by
    /// [`Acceptance::served`], and ask in the background), then [`Acceptance::learn`].
    Audit {
        /// The probability that it is right.
        right: f64,
        /// The probability with which this look-up was drawn.
        probability: f64,
    },
    /// Ask the model, then [`Acceptance::learn`] with probability 1: a miss is a free label.
    Miss {
        /// The look-up is believed to be right as often as promised; the evidence does not allow
        /// to serve it.
        would_serve: bool,
    },
}

/// Whether anything is served.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Gate {
    /// Nothing is.
    Closed {
        /// Labelled look-ups that are still missing before it can open, where that is known.
        needs: Option<u64>,
        /// In words.
        why: String,
    },
    /// Look-ups at or above the threshold are.
    Open {
        /// The lowest probability that is served, as the model sees it.
        threshold: f64,
        /// Upper bound on the share of wrong ones among them.
        bound: f64,
    },
}

/// What is known so far.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct State {
    /// Open or closed.
    pub gate: Gate,
    /// Answers served without asking a model first.
    pub hits: u64,
    /// Look-ups that could have been served, and were compared with the model's answer.
    pub audits: u64,
    /// Audits that would have been wrong, and hits that people called wrong.
    pub wrong: u64,
    /// Labelled look-ups that the evidence rests on.
    pub labels: u64,
}

/// What outlives the process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kept {
    promise: f64,
    points: VecDeque<Point>,
    traffic: VecDeque<Look>,
    served: Vec<Look>,
    hits: u64,
    audits: u64,
    wrong: u64,
    /// Wrong audits expected and seen, fading.
    audited: (f64, f64),
    alarm: f64,
    /// The alarm has rung, and it has not opened since.
    drifted: bool,
}

/// One for each scope and intent. Serialised it is its evidence; what was fitted to that is fitted
/// again when it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Acceptance {
    kept: Kept,
    /// Points learnt since the last fit.
    learnt: usize,
    model: Option<Model>,
    curve: Curve,
    open: Option<Open>,
}

impl From<Acceptance> for Kept {
    fn from(from: Acceptance) -> Self {
        from.kept
    }
}

impl From<Kept> for Acceptance {
    fn from(kept: Kept) -> Self {
        let mut read = Self { kept, learnt: 0, model: None, curve: Curve::default(), open: None };
        if read.kept.points.len() >= POINTS_MIN {
            read.refit();
        }
        read
    }
}

impl Acceptance {
    /// Closed, without evidence. `promise` is the share of hits that may be wrong, above 0 and
    /// below 1; with any other it stays closed.
    #[must_use]
    pub fn new(promise: f64) -> Self {
        let promise = if promise > 0.0 && promise < 1.0 { promise } else { 0.0 };
        Kept { promise, ..Kept::default() }.into()
    }

    /// Decides one look-up and counts it. `dice` is uniform within 0 to 1.
    pub fn decide(&mut self, look: &Look, dice: f64) -> Decision {
        let kept = &mut self.kept;
        if kept.traffic.len() >= TRAFFIC_MAX {
            kept.traffic.pop_front();
        }
        kept.traffic.push_back(look.clone());
        let Some(model) = &self.model else { return Decision::Miss { would_serve: false } };
        let score = model.log_odds(look);
        let rate = self.curve.rate(score);
        if self.open.is_none_or(|open| score < open.threshold) {
            return Decision::Miss { would_serve: rate <= kept.promise };
        }
        let (right, probability) = (1.0 - rate, audit(rate, kept.promise));
        if dice < probability {
            return Decision::Audit { right, probability };
        }
        self.count(look, (dice - probability) / (1.0 - probability));
        Decision::Serve { right }
    }

    /// An audit was answered from the cache all the same, the comparison being made in the
    /// background: it is a hit too.
    pub fn served(&mut self, look: &Look) {
        // Where in the sample it goes: any even spread does.
        let golden = (self.kept.hits as f64 * 0.618_033_988_749_895).fract();
        self.count(look, golden);
    }

    /// One more hit; `dice` draws its place in the sample.
    fn count(&mut self, look: &Look, dice: f64) {
        let kept = &mut self.kept;
        kept.hits += 1;
        if kept.served.len() < SERVED_MAX {
            kept.served.push(look.clone());
        } else if let Some(place) = kept.served.get_mut((dice * kept.hits as f64) as usize) {
            *place = look.clone();
        }
    }

    /// Takes what the model answered: was the look-up's answer `right`? `probability` is that with
    /// which it was labelled: 1 for a miss.
    ///
    /// Every so often this fits anew: some ten milliseconds with all points.
    pub fn learn(&mut self, look: Look, right: bool, probability: f64) {
        let probability = if probability > 0.0 { probability.clamp(AUDIT_MIN, 1.0) } else { 1.0 };
        let audited = probability < 1.0;
        let said = self.model.as_ref().map(|model| model.log_odds(&look));
        let rang = audited && self.audit(&look, right);
        let points = &mut self.kept.points;
        if rang {
            points.drain(..points.len().saturating_sub(ALARM_KEEPS));
        }
        while points.len() >= POINTS_MAX {
            points.pop_front();
        }
        points.push_back(Point { look, right, probability, said });
        self.learnt += 1;
        let every = (self.kept.points.len() / REFIT_PART).max(REFIT_MIN);
        // A wrong audit stands for many hits like it, which nothing else will tell of.
        let due = self.learnt >= every || (audited && !right);
        if rang || (due && self.kept.points.len() >= POINTS_MIN) {
            self.refit();
        }
    }

    /// Holds an audit against what was expected of it; whether the alarm rings.
    fn audit(&mut self, look: &Look, right: bool) -> bool {
        let kept = &mut self.kept;
        kept.audits += 1;
        kept.wrong += u64::from(!right);
        let Some(model) = &self.model else { return false };
        let rate = self.curve.rate(model.log_odds(look)).clamp(1e-6, 0.25);
        let (expected, wrong) = kept.audited;
        kept.audited = (AUDITED_KEEP * expected + rate, AUDITED_KEEP * wrong + f64::from(!right));
        let says = if right { ((1.0 - ALARM_TIMES * rate) / (1.0 - rate)).ln() } else { ALARM_TIMES.ln() };
        kept.alarm = (kept.alarm + says).max(0.0);
        let rang = kept.alarm > ALARM_AT;
        if rang {
            (kept.alarm, kept.audited, kept.drifted) = (0.0, (0.0, 0.0), true);
        }
        rang
    }

    /// A label calls a served hit wrong.
    pub fn report_bad(&mut self, look: Look) {
        self.kept.wrong += 1;
        self.learn(look, false, 1.0);
        if self.kept.points.len() >= POINTS_MIN {
            self.refit();
        }
    }

    fn refit(&mut self) {
        self.learnt = 0;
        let kept = &mut self.kept;
        let points = kept.points.make_contiguous();
        let (model, scores) = Model::fit(points, self.model.as_ref());
        // What was said beforehand counts, for a model that knows what came later looks too good where
        // traffic changes (Dawid's prequential principle, J. R. Stat. Soc. A 1984).
        let labelled = |(score, point): (f64, &Point)| Labelled {
            score: point.said.unwrap_or(score),
            right: point.right,
            weight: point.weight(),
        };
        let labelled: Vec<Labelled> = scores.into_iter().zip(&*points).map(labelled).collect();
        let labels = labelled.len() as f64;
        // What was served had its share of audits: it was tried as much as what was learnt from.
        let tried = labels + kept.hits as f64;
        let first = (tried < TRIED_ENOUGH || kept.hits == 0 || kept.drifted).then(|| Plain::of(&labelled));
        let audited = ((kept.audited.1 + AUDITED_PRIOR) / (kept.audited.0 + AUDITED_PRIOR)).max(AUDITED_MIN);
        self.curve = Curve::of(labelled, kept.promise, audited);
        self.open = None;
        if labels >= labels_min(kept.promise) {
            let score = |look: &Look| model.log_odds(look);
            let traffic = kept.traffic.iter().map(score).collect();
            let served = kept.served.iter().map(score).collect();
            let seen = Seen { traffic, served, hits: kept.hits as f64, tried, first };
            self.open = bound::open(&self.curve, seen, kept.promise);
        }
        kept.drifted &= self.open.is_none();
        self.model = Some(model);
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        let kept = &self.kept;
        let labels = kept.points.len() as u64;
        let gate = match self.open {
            Some(open) => Gate::Open { threshold: probability(open.threshold), bound: open.bound },
            None => self.closed(labels),
        };
        State { gate, hits: kept.hits, audits: kept.audits, wrong: kept.wrong, labels }
    }

    fn closed(&self, labels: u64) -> Gate {
        let needed = labels_min(self.kept.promise).ceil();
        let needs = (self.kept.promise > 0.0 && labels as f64 + 0.5 < needed).then(|| needed as u64 - labels);
        let why = if self.kept.promise <= 0.0 {
            "no share of wrong answers is allowed, which no evidence can show"
        } else if self.kept.drifted {
            "audits found more wrong answers than expected, so evidence from before no longer counts"
        } else if needs.is_some() {
            "too few answers of the model to compare with yet"
        } else {
            "not even the surest look-ups are shown to be right as often as promised"
        };
        Gate::Closed { needs, why: why.to_owned() }
    }
}

/// Labels before anything is served at this promise.
fn labels_min(promise: f64) -> f64 {
    (WRONG_MIN / promise).min(TRIED_ENOUGH)
}

/// The probability with which a look-up that is wrong at this rate is drawn for audit.
fn audit(rate: f64, promise: f64) -> f64 {
    (AUDIT * (rate / promise).sqrt()).clamp(AUDIT_MIN, AUDIT_MAX)
}
