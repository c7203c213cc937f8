//! Three ways to decide whether the nearest answer may be served: Baton's, a fixed cosine, and a
//! threshold for each entry.

use baton_cache::semantic::accept::{Acceptance, Decision, Look, Neighbour};
use baton_stats::SplitMix64;

use super::entries::Entries;

/// What came of a query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Outcome {
    /// Served from the cache: right or not.
    Hit { right: bool },
    /// The model was asked; whether the query is an entry of the cache from now on.
    Asked { insert: bool },
}

/// How it is decided.
pub(super) enum Policy {
    Baton(Box<Acceptance>),
    /// The nearest answer, from this cosine on.
    Static(f32),
    Entries(Entries),
}

impl Policy {
    pub(super) fn of(way: Way) -> Self {
        match way {
            Way::Baton(promise) => Self::Baton(Box::new(Acceptance::new(promise))),
            Way::Static(cosine) => Self::Static(cosine),
            Way::Entries(delta) => Self::Entries(Entries::new(delta)),
        }
    }

    /// Decides on one query with these nearest entries, and learns where the model was asked.
    pub(super) fn query(&mut self, near: &[Neighbour], entries: usize, label: u64, rng: &mut SplitMix64) -> Outcome {
        let dice = rng.next_f64();
        match self {
            Self::Baton(acceptance) => {
                let Some(look) = Look::of(near, entries) else { return Outcome::Asked { insert: true } };
                let right = look.answer() == label;
                match acceptance.decide(&look, dice) {
                    Decision::Serve { .. } => return Outcome::Hit { right },
                    Decision::Audit { probability, .. } => acceptance.learn(look, right, probability),
                    Decision::Miss { .. } => acceptance.learn(look, right, 1.0),
                }
                Outcome::Asked { insert: true }
            }
            Self::Static(cosine) => match near.first() {
                Some(n) if n.cosine >= *cosine => Outcome::Hit { right: n.answer == label },
                _ => Outcome::Asked { insert: true },
            },
            Self::Entries(entries) => match near.first() {
                Some(n) if dice >= entries.explore(n.entry, f64::from(n.cosine)) => {
                    Outcome::Hit { right: n.answer == label }
                }
                Some(n) => {
                    entries.learn(n.entry, f64::from(n.cosine), n.answer == label);
                    Outcome::Asked { insert: n.answer != label }
                }
                None => Outcome::Asked { insert: true },
            },
        }
    }
}

/// Which, and with what it is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    /// The promise: share of hits that may be wrong.
    Baton(f64),
    /// The cosine.
    Static(f32),
    /// vCache's δ: share of all queries that may be wrong.
    Entries(f64),
}

impl Way {
    pub(super) fn name(self) -> String {
        match self {
            Self::Baton(promise) => format!("Baton, {} % of hits", 100.0 * promise),
            Self::Static(cosine) => format!("cosine from {cosine}"),
            Self::Entries(delta) => format!("per entry, {} % of all", 100.0 * delta),
        }
    }
}
