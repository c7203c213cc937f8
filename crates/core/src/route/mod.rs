//! Who is asked first: what is known of the candidates goes in, their order comes out, with the reason
//! and with the probability that each had of being first.

mod rank;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ModelId, NanoUsd, RolloutDraw};

pub use rank::rank;

/// How candidates are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// In the order written.
    #[default]
    Ordered,
    /// The least expected cost of those that are good enough and in time.
    Cheapest,
    /// The soonest answer of those that are not known to be too bad.
    Fastest,
    /// By lot, with weights.
    Weighted,
    /// One, and then another one while that is worth more than it costs.
    Cascade,
}

impl Strategy {
    /// As it is declared.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ordered => "ordered",
            Self::Cheapest => "cheapest",
            Self::Fastest => "fastest",
            Self::Weighted => "weighted",
            Self::Cascade => "cascade",
        }
    }
}

/// What is known of the quality of one model's answers to an intent, recent ones before all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KnownQuality {
    /// The share that a reviewer would pass, in [0, 1], shrunk towards all models' mean.
    pub mean: f64,
    /// Its lower confidence bound.
    pub lower: f64,
    /// Its upper confidence bound.
    pub upper: f64,
    /// The outcomes that it rests on, as many as if all counted alike.
    pub outcomes: f64,
}

/// A candidate before it is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Prospect {
    /// Who.
    pub model: ModelId,
    /// `None` while too few outcomes say.
    pub quality: Option<KnownQuality>,
    /// Whether it keeps to the floor by itself, by giving no answer where it is not sure: it counts as
    /// good enough unless outcomes say otherwise.
    pub careful: bool,
    /// The probability of an answer before the deadline; `None` where too few calls say.
    pub in_time: Option<f64>,
    /// How long half of its answers take at most, with the wait for a place; `None` as above.
    pub latency: Option<Duration>,
    /// What it is expected to cost; `None` where the price or the number of tokens is not known.
    pub cost: Option<NanoUsd>,
    /// Whether its breaker lets calls through.
    pub open: bool,
    /// Whether it fits what the day's budgets have for this time of the day.
    pub within_pace: bool,
    /// For [`Strategy::Weighted`].
    pub weight: f64,
}

/// By what candidates are ranked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// How.
    pub strategy: Strategy,
    /// The share of answers that a reviewer must pass, in (0, 1).
    pub floor: f64,
    /// What is asked on top of the floor, because it was violated of late.
    pub dual: f64,
    /// The least probability of an answer in time, in [0, 1].
    pub in_time: f64,
    /// The share of calls that are spread evenly over those that may be good enough.
    pub explore: f64,
    /// Who answered the call's session last, by place.
    pub last: Option<usize>,
    /// Of those who are asked in turn the first, by place, where that is known; for [`Strategy::Cascade`].
    pub turn: Option<usize>,
    /// Uniform in [0, 1): whether to explore, and whom.
    pub dice: (f64, f64),
}

/// Why the first is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// That is the order written, or the one that the call names.
    Written,
    /// As written: there is no evidence yet to rank by.
    NoEvidence,
    /// The least expected cost of those that are good enough.
    Cheapest,
    /// Nobody is known to be good enough: the best known.
    BestKnown,
    /// The soonest answer.
    Fastest,
    /// By lot, with weights.
    Drawn,
    /// It answered the session before.
    Session,
    /// Drawn evenly, to learn how good it is now.
    Explored,
    /// The first of those who are asked in turn.
    Turn,
    /// A rollout decides.
    Rollout,
}

/// How a candidate stands to the floor, the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Its quality's lower bound reaches it, or it is careful.
    Above,
    /// Too little is known.
    Undecided,
    /// Its upper bound does not reach it.
    Below,
}

/// A ranking, and what it rests on: part of the execution's record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRecord {
    /// What the intent declares.
    pub strategy: Strategy,
    /// Why the first is the first.
    pub basis: Basis,
    /// The quality that was asked for.
    pub floor: f64,
    /// What was asked on top of it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dual: f64,
    /// In the order in which they were to be asked.
    pub candidates: Vec<RouteCandidate>,
    /// Who was drawn, where a rollout decides which of two models is asked before the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutDraw>,
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// One candidate, as it was predicted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteCandidate {
    /// Who.
    pub model: ModelId,
    /// The probability with which it would be first.
    pub propensity: f64,
    /// How it stands to the floor.
    pub standing: Standing,
    /// What is known of its quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<KnownQuality>,
    /// The probability of an answer in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_time: Option<f64>,
    /// Microseconds that half of its answers take at most, with the wait for a place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_us: Option<u64>,
    /// What it is expected to cost; in dollars, as decimal text.
    #[serde(
        rename = "costUsd",
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::money::optional_decimal"
    )]
    pub cost: Option<NanoUsd>,
    /// That its breaker lets nothing through.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub broken: bool,
    /// That it costs more than budgets have for this time of the day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over_pace: bool,
}

/// A ranking: its record, and the order as places of the prospects.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Places, all of them, the first to ask first.
    pub order: Vec<usize>,
    /// For the execution's record.
    pub record: RouteRecord,
}

impl Ranking {
    /// The same with the one of two models before the other that a rollout drew; as it is where one of them
    /// is no candidate. Whoever else stands before both, as `local` may, is still asked before them.
    #[must_use]
    pub fn drawn(mut self, draw: RolloutDraw) -> Self {
        let place = |model: &ModelId| self.record.candidates.iter().position(|other| other.model == *model);
        let (Some(from), Some(to)) = (place(&draw.from), place(&draw.to)) else { return self };
        let drawn = if draw.candidate { to } else { from };
        let (first, second) = (from.min(to), from.max(to));
        if drawn != first {
            self.order.swap(first, second);
            self.record.candidates.swap(first, second);
        }
        if first == 0 {
            self.record.basis = Basis::Rollout;
            for candidate in &mut self.record.candidates {
                candidate.propensity = match &candidate.model {
                    model if *model == draw.to => draw.share,
                    model if *model == draw.from => 1.0 - draw.share,
                    _ => 0.0,
                };
            }
        }
        self.record.rollout = Some(draw);
        self
    }
}

impl RouteRecord {
    /// The quality that was asked for, with what was added to it; never so much that nobody could reach
    /// it.
    #[must_use]
    pub fn asked(&self) -> f64 {
        asked(self.floor, self.dual)
    }
}

/// See [`RouteRecord::asked`].
fn asked(floor: f64, dual: f64) -> f64 {
    floor + dual.clamp(0.0, (1.0 - floor) / 2.0)
}

impl fmt::Display for RouteRecord {
    /// Why the first is the first, in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.candidates.first() else { return f.write_str("there is no candidate") };
        let strategy = self.strategy.as_str();
        let known = |f: &mut fmt::Formatter<'_>| match (first.quality, first.cost) {
            (Some(quality), Some(cost)) => {
                write!(f, " (quality {:.3}, at least {:.3}; about {cost} USD)", quality.mean, quality.lower)
            }
            (Some(quality), None) => write!(f, " (quality {:.3}, at least {:.3})", quality.mean, quality.lower),
            (None, Some(cost)) => write!(f, " (about {cost} USD)"),
            (None, None) => Ok(()),
        };
        match self.basis {
            Basis::Written => f.write_str("first in the intent's order"),
            Basis::NoEvidence => {
                write!(f, "first in the intent's order: there is no evidence yet to route `{strategy}` by")
            }
            Basis::Cheapest => {
                write!(f, "the cheapest whose quality is known to reach {:.3}", self.asked())?;
                known(f)
            }
            Basis::BestKnown => {
                write!(f, "nobody's quality is known to reach {:.3}: the best known", self.asked())?;
                known(f)
            }
            Basis::Fastest => match first.latency_us {
                Some(us) => write!(f, "the fastest (half of its answers take at most {} ms)", us / 1000),
                None => f.write_str("the fastest"),
            },
            Basis::Drawn => write!(f, "drawn with probability {:.3} by the intent's weights", first.propensity),
            Basis::Rollout => match &self.rollout {
                Some(draw) if draw.share >= 1.0 => write!(f, "promoted by the rollout that took {} over", draw.from),
                Some(draw) if draw.share <= 0.0 => write!(f, "the rollout of {} was rolled back", draw.to),
                Some(draw) => write!(f, "drawn with probability {:.3} in the rollout of {}", first.propensity, draw.to),
                None => f.write_str("a rollout"),
            },
            Basis::Turn => f.write_str("the first of those who are asked in turn"),
            Basis::Session => f.write_str("it answered this session before"),
            Basis::Explored => {
                write!(f, "drawn with probability {:.3} to learn how good it is now", first.propensity)
            }
        }
    }
}
