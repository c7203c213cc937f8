//! The ranking itself.

use std::cmp::Reverse;

use super::{Basis, Prospect, Ranking, RouteCandidate, RouteRecord, Standing, Strategy, Terms, asked};
use crate::NanoUsd;

/// Ranks candidates, which are given in the order written.
#[must_use]
pub fn rank(prospects: &[Prospect], terms: &Terms) -> Ranking {
    let floor = asked(terms.floor, terms.dual);
    let standings: Vec<Standing> = prospects.iter().map(|prospect| standing(prospect, floor)).collect();
    let field = Field { prospects, standings, terms };
    let (order, basis, propensities) = match terms.strategy {
        Strategy::Ordered => field.alone((0..prospects.len()).collect(), Basis::Written),
        Strategy::Weighted => field.drawn(),
        Strategy::Cascade => field.in_turn(),
        Strategy::Cheapest => field.explored(field.cheapest()),
        Strategy::Fastest => field.explored(field.fastest()),
    };
    let told = |place: &usize| field.told(*place, propensities[*place]);
    let candidates = order.iter().map(told).collect();
    let dual = floor - terms.floor;
    let record = RouteRecord { strategy: terms.strategy, basis, floor: terms.floor, dual, candidates, rollout: None };
    Ranking { record, order }
}

fn standing(prospect: &Prospect, floor: f64) -> Standing {
    match prospect.quality {
        Some(quality) if quality.upper < floor => Standing::Below,
        Some(quality) if quality.lower >= floor => Standing::Above,
        _ if prospect.careful => Standing::Above,
        _ => Standing::Undecided,
    }
}

/// Order, why, and the probability of each place to be first.
type Drawn = (Vec<usize>, Basis, Vec<f64>);

struct Field<'a> {
    prospects: &'a [Prospect],
    standings: Vec<Standing>,
    terms: &'a Terms,
}

impl Field<'_> {
    /// Whether it may be first at all: it takes calls, and answers in time as far as is known.
    fn usable(&self, place: usize) -> bool {
        let prospect = &self.prospects[place];
        prospect.open && prospect.in_time.is_none_or(|probability| probability >= self.terms.in_time)
    }

    /// Least cost of those above the floor; then who may reach it, then who does not, the better first.
    fn cheapest(&self) -> (Vec<usize>, Basis) {
        let mut order: Vec<usize> = (0..self.prospects.len()).collect();
        if self.prospects.iter().all(|prospect| prospect.quality.is_none()) {
            return (order, Basis::NoEvidence);
        }
        order.sort_by(|a, b| self.by_cost(*a).cmp(&self.by_cost(*b)).then(self.by_quality(*a, *b)));
        let first = order.first().map(|place| self.standings[*place]);
        let basis = match first {
            Some(Standing::Above) => Basis::Cheapest,
            // What decides is not known yet.
            Some(Standing::Undecided) if self.prospects[order[0]].quality.is_none() => Basis::NoEvidence,
            _ => Basis::BestKnown,
        };
        (order, basis)
    }

    /// Smaller is asked earlier.
    fn by_cost(&self, place: usize) -> (bool, Standing, bool, NanoUsd) {
        let prospect = &self.prospects[place];
        let (standing, usable) = (self.standings[place], self.usable(place));
        let above = standing == Standing::Above;
        // An unknown cost is not a small one. Below the floor quality decides.
        let cost = if above { prospect.cost.unwrap_or(NanoUsd(i64::MAX)) } else { NanoUsd(0) };
        (!usable, standing, !prospect.within_pace, cost)
    }

    /// Of those whose quality must decide; who is not known is taken to be at the floor.
    fn by_quality(&self, a: usize, b: usize) -> std::cmp::Ordering {
        let deciding = |place: usize| self.standings[place] != Standing::Above;
        let mean = |place: usize| self.prospects[place].quality.map_or(self.terms.floor, |quality| quality.mean);
        let by = if deciding(a) && deciding(b) { mean(b).total_cmp(&mean(a)) } else { std::cmp::Ordering::Equal };
        by.then(a.cmp(&b))
    }

    fn in_turn(&self) -> Drawn {
        let order = (0..self.prospects.len()).collect();
        match self.terms.turn.filter(|first| *first < self.prospects.len()) {
            Some(first) => self.alone(front(order, first), Basis::Turn),
            None => self.alone(order, Basis::NoEvidence),
        }
    }

    fn fastest(&self) -> (Vec<usize>, Basis) {
        let mut order: Vec<usize> = (0..self.prospects.len()).collect();
        if self.prospects.iter().all(|prospect| prospect.latency.is_none()) {
            return (order, Basis::NoEvidence);
        }
        order.sort_by_key(|place| {
            let prospect = &self.prospects[*place];
            let below = self.standings[*place] == Standing::Below;
            let latency = (prospect.latency.is_none(), prospect.latency);
            // Where money is short, less of it is more.
            let saved = prospect.cost.filter(|_| !prospect.within_pace);
            (!prospect.open, below, !prospect.within_pace, saved, latency, *place)
        });
        (order, Basis::Fastest)
    }

    /// Keeps to who answered the session, where it may still be first; else spreads a small share of
    /// the calls evenly over those that may be good enough.
    fn explored(&self, (mut order, basis): (Vec<usize>, Basis)) -> Drawn {
        let sound = |place: usize| self.usable(place) && self.prospects[place].within_pace;
        let good = |place: usize| match self.terms.strategy {
            Strategy::Cheapest => self.standings[place] == Standing::Above,
            _ => self.standings[place] != Standing::Below,
        };
        if let Some(last) = self.terms.last.filter(|last| *last < self.prospects.len() && sound(*last) && good(*last)) {
            return self.alone(front(order, last), Basis::Session);
        }
        let Some(&first) = order.first() else { return self.alone(order, basis) };
        let fair: Vec<usize> = (0..self.prospects.len())
            .filter(|place| sound(*place) && self.standings[*place] != Standing::Below)
            .collect();
        let share = self.terms.explore;
        // Without any evidence it is as written, and nothing is drawn.
        let known = |prospect: &Prospect| match self.terms.strategy {
            Strategy::Cheapest => prospect.quality.is_some(),
            _ => prospect.latency.is_some(),
        };
        if fair.len() < 2 || share <= 0.0 || !self.prospects.iter().any(known) {
            return self.alone(order, basis);
        }
        #[expect(clippy::cast_precision_loss, reason = "a number of candidates")]
        let each = share / fair.len() as f64;
        let mut propensities = vec![0.0; self.prospects.len()];
        fair.iter().for_each(|place| propensities[*place] = each);
        propensities[first] += 1.0 - share;
        if self.terms.dice.0 >= share {
            return (order, basis, propensities);
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place"
        )]
        let drawn = fair[((self.terms.dice.1 * fair.len() as f64) as usize).min(fair.len() - 1)];
        if drawn != first {
            order = front(order, drawn);
            return (order, Basis::Explored, propensities);
        }
        (order, basis, propensities)
    }

    /// One after the other by lot. Who takes no calls, or has no weight, comes last, as written.
    fn drawn(&self) -> Drawn {
        let (all, mut dice) = (self.prospects.len(), self.terms.dice);
        let fits = self.prospects.iter().any(|prospect| prospect.open && prospect.within_pace && prospect.weight > 0.0);
        let weight = |place: usize| {
            let prospect = &self.prospects[place];
            if prospect.open && (prospect.within_pace || !fits) { prospect.weight.max(0.0) } else { 0.0 }
        };
        let sum: f64 = (0..all).map(weight).sum();
        if sum <= 0.0 {
            return self.alone((0..all).collect(), Basis::Written);
        }
        let propensities = (0..all).map(|place| weight(place) / sum).collect();
        let mut left: Vec<usize> = (0..all).collect();
        let mut order = Vec::with_capacity(all);
        while !left.is_empty() {
            let sum: f64 = left.iter().map(|place| weight(*place)).sum();
            let mut until = dice.0 * sum;
            let at = left.iter().position(|place| {
                until -= weight(*place);
                until < 0.0
            });
            order.push(left.remove(at.unwrap_or(0)));
            // The next numbers of the same dice: a golden-ratio walk is even enough for an order of
            // fallbacks.
            dice.0 = (dice.0 + dice.1 + 0.618_033_988_749_895).fract();
        }
        (order, Basis::Drawn, propensities)
    }

    /// An order that leaves nothing to chance.
    fn alone(&self, order: Vec<usize>, basis: Basis) -> Drawn {
        let mut propensities = vec![0.0; self.prospects.len()];
        if let Some(first) = order.first() {
            propensities[*first] = 1.0;
        }
        (order, basis, propensities)
    }

    fn told(&self, place: usize, propensity: f64) -> RouteCandidate {
        let prospect = &self.prospects[place];
        RouteCandidate {
            model: prospect.model.clone(),
            propensity,
            standing: self.standings[place],
            quality: prospect.quality,
            in_time: prospect.in_time,
            latency_us: prospect.latency.map(|latency| u64::try_from(latency.as_micros()).unwrap_or(u64::MAX)),
            cost: prospect.cost,
            broken: !prospect.open,
            over_pace: !prospect.within_pace,
        }
    }
}

fn front(mut order: Vec<usize>, place: usize) -> Vec<usize> {
    order.sort_by_key(|other| Reverse(*other == place));
    order
}
