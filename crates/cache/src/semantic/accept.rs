//! Whether a remembered answer may be served: learnt from labels that the traffic gives for free,
//! and bounded by what they prove.

mod ask;
mod bound;
mod look;
mod model;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

pub use look::{Look, NEIGHBOURS, Neighbour};

use bound::{Curve, Open, Served};
use model::{Model, probability};

fn tune(_name: &str, default: f64) -> f64 {
    default
}

/// Labelled look-ups kept; the oldest go first.
const POINTS_MAX: usize = 8_192;
/// Recent look-ups kept, labelled or not: what traffic looks like now.
const TRAFFIC_MAX: usize = 2_000;
/// Labels before the first fit.
const POINTS_MIN: usize = 200;

/// A look-up whose right answer became known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Point {
    look: Look,
    right: bool,
    probability: f64,
}

/// What to do with a look-up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    /// Serve the remembered answer.
    Serve {
        /// The probability that it is right.
        right: f64,
    },
    /// It could be served, but ask the model and compare (or serve it and ask in the background),
    /// then [`Acceptance::learn`].
    Audit {
        /// The probability that it is right.
        right: f64,
        /// The probability with which this look-up was drawn.
        probability: f64,
    },
    /// Ask the model, then [`Acceptance::learn`] with probability 1: a miss is a free label.
    Miss {
        /// The model believes it right often enough; the evidence does not allow it yet.
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
        /// The lowest probability that is served.
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
    /// Answers served without asking a model.
    pub hits: u64,
    /// Look-ups that could have been served, and were compared with the model's answer.
    pub audits: u64,
    /// Audits that would have been wrong, and hits that people called wrong.
    pub wrong: u64,
    /// Labelled look-ups that the evidence rests on.
    pub labels: u64,
}

/// One for each scope and intent. Serialised it is its evidence; what was fitted to that is fitted
/// again when it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Acceptance {
    promise: f64,
    points: VecDeque<Point>,
    traffic: VecDeque<Look>,
    served: Served,
    audits: u64,
    wrong: u64,
    learnt: usize,
    model: Option<Model>,
    curve: Curve,
    open: Option<Open>,
}

/// What outlives the process.
#[derive(Serialize, Deserialize)]
struct Kept {
    promise: f64,
    points: VecDeque<Point>,
    traffic: VecDeque<Look>,
    served: Served,
    audits: u64,
    wrong: u64,
}

impl From<Acceptance> for Kept {
    fn from(from: Acceptance) -> Self {
        let Acceptance { promise, points, traffic, served, audits, wrong, .. } = from;
        Self { promise, points, traffic, served, audits, wrong }
    }
}

impl From<Kept> for Acceptance {
    fn from(kept: Kept) -> Self {
        let Kept { promise, points, traffic, served, audits, wrong } = kept;
        let mut acceptance = Self { points, traffic, served, audits, wrong, ..Self::new(promise) };
        if acceptance.points.len() >= POINTS_MIN {
            acceptance.refit();
        }
        acceptance
    }
}

impl Acceptance {
    /// Closed, without evidence. `promise` is the share of hits that may be wrong, within 0 to 1.
    #[must_use]
    pub fn new(promise: f64) -> Self {
        Self {
            promise,
            points: VecDeque::new(),
            traffic: VecDeque::new(),
            served: Served::default(),
            audits: 0,
            wrong: 0,
            learnt: 0,
            model: None,
            curve: Curve::default(),
            open: None,
        }
    }

    /// Decides one look-up and counts it. `dice` is uniform within 0 to 1.
    pub fn decide(&mut self, look: &Look, dice: f64) -> Decision {
        if self.traffic.len() == TRAFFIC_MAX {
            self.traffic.pop_front();
        }
        self.traffic.push_back(look.clone());
        let Some(model) = &self.model else { return Decision::Miss { would_serve: false } };
        let score = model.log_odds(look);
        let rate = self.curve.rate(score);
        match self.open {
            Some(open) if score >= open.threshold => {
                let probability = (tune("PI", 0.08) * (rate / self.promise).sqrt()).clamp(tune("PMIN", 0.05), 0.3);
                let right = 1.0 - rate;
                if dice < probability {
                    return Decision::Audit { right, probability };
                }
                self.served.hits += 1.0;
                self.served.wrong += rate;
                Decision::Serve { right }
            }
            _ => Decision::Miss { would_serve: rate <= self.promise },
        }
    }

    /// An audit was answered from the cache all the same, the comparison being made in the
    /// background: it is a hit too.
    pub fn served(&mut self, look: &Look) {
        self.served.hits += 1.0;
        self.served.wrong += self.model.as_ref().map_or(1.0, |model| self.curve.rate(model.log_odds(look)));
    }

    /// Takes what the model answered: was the look-up's answer `right`? `probability` is that with
    /// which it was labelled: 1 for a miss.
    pub fn learn(&mut self, look: Look, right: bool, probability: f64) {
        self.audits += u64::from(probability < 1.0);
        self.wrong += u64::from(probability < 1.0 && !right);
        if self.points.len() == POINTS_MAX {
            self.points.pop_front();
        }
        self.points.push_back(Point { look, right, probability });
        self.learnt += 1;
        let every = (self.points.len() as f64 / tune("EVERY", 40.0)).max(50.0) as usize;
        if self.learnt >= every && self.points.len() >= POINTS_MIN {
            self.refit();
        }
    }

    /// A label calls a served hit wrong.
    pub fn report_bad(&mut self, look: Look) {
        self.learn(look, false, 1.0);
        self.wrong += 1;
        self.served.wrong += 1.0;
        self.refit();
    }

    fn refit(&mut self) {
        self.learnt = 0;
        let points = self.points.make_contiguous();
        let (model, scores) = Model::fit(points, self.model.as_ref());
        self.curve = Curve::of(scores.into_iter().zip(points.iter().map(|p| p.right)).collect());
        let mut traffic: Vec<f64> = self.traffic.iter().map(|look| model.log_odds(look)).collect();
        self.open = bound::open(&self.curve, &mut traffic, self.served, self.promise);
        self.model = Some(model);
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        let gate = match self.open {
            Some(open) => Gate::Open { threshold: probability(open.threshold), bound: open.bound },
            None => Gate::Closed { needs: None, why: String::new() },
        };
        State {
            gate,
            hits: self.served.hits as u64,
            audits: self.audits,
            wrong: self.wrong,
            labels: self.points.len() as u64,
        }
    }
}
