//! Whom to ask next, and when to stop, where of the answers nothing is seen but which of them agree.
//!
//! At worst all wrong answers are the same wrong answer: then those asked stand in two camps, one
//! right and one wrong, and nobody says which. (Where wrong answers differ, more is seen than is
//! used here.) The joint distribution of who is right says how likely each camp is the right one; dynamic
//! programming says whether asking one more is worth its cost.
//!
//! Dekoninck, Baader and Vechev, "A Unified Approach to Routing and Cascading for LLMs" (ICML 2025):
//! quality less a price for cost, maximised over whom to ask next or to stop; exact here, as the camps are
//! few.

use std::collections::HashMap;
use std::sync::Arc;

use crate::LatentClasses;

/// Who was asked, and the camp of the first by place of these: sets as bits.
type Seen = (u16, u16);

struct State {
    seen: Seen,
    /// How likely it comes to this, were these asked.
    chance: f64,
    /// How likely it comes to this and the likelier camp is right.
    right: f64,
    /// The likelier camp.
    camp: u16,
}

/// Every partition into two camps of at most so many answerers.
pub struct Cascade {
    /// By how many were asked; the first is that nobody was.
    states: Vec<State>,
    places: Arc<HashMap<Seen, usize>>,
    answerers: usize,
    asked_max: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Ask this one.
    Ask(usize),
    /// Give the answer of this camp.
    Answer(u16),
}

/// A step for each state.
#[derive(Debug, Clone)]
pub struct Policy {
    places: Arc<HashMap<Seen, usize>>,
    steps: Vec<Step>,
}

/// States grow with this: 3,422 of 11 answerers, 20,225 of 16.
const ASKED_MAX: u32 = 4;

impl Cascade {
    /// Of `joint`'s answerers at most `asked_max` are asked, and 4 at the most.
    #[must_use]
    pub fn new(joint: &LatentClasses, asked_max: u32) -> Self {
        let (answerers, asked_max) = (joint.answerers(), asked_max.min(ASKED_MAX));
        let sets = (0..1_u32 << answerers).filter(|asked| asked.count_ones() <= asked_max);
        let mut all: Vec<Seen> = sets.flat_map(|asked| partitions(asked as u16)).collect();
        all.sort_by_key(|seen| (seen.0.count_ones(), *seen));
        let places = Arc::new(all.iter().copied().zip(0..).collect());
        let state = |seen: Seen| {
            let (asked, camp) = seen;
            let others = asked & !camp;
            let (one, other) = (joint.probability(camp, others), joint.probability(others, camp));
            let chance = if asked == 0 { 1.0 } else { one + other };
            // Where all agree there is no other answer to give.
            let first = others == 0 || one >= other;
            State { seen, chance, right: if first { one } else { other }, camp: if first { camp } else { others } }
        };
        Self { states: all.into_iter().map(state).collect(), places, answerers, asked_max }
    }

    /// Asks while that is expected to gain more than it costs: `cost` of each answerer, and `price` in
    /// quality for each unit of cost.
    ///
    /// # Panics
    /// With fewer costs than answerers.
    #[must_use]
    pub fn policy(&self, cost: &[f64], price: f64) -> Policy {
        let mut worth = vec![0.0; self.states.len()];
        let mut steps = vec![Step::Answer(0); self.states.len()];
        for (place, state) in self.states.iter().enumerate().rev() {
            let (asked, camp) = state.seen;
            let none = asked == 0;
            let mut best = if none { f64::NEG_INFINITY } else { state.right };
            steps[place] = Step::Answer(state.camp);
            let further = if asked.count_ones() < self.asked_max { self.answerers } else { 0 };
            for answerer in (0..further).filter(|answerer| asked & (1 << answerer) == 0) {
                let bit = 1 << answerer;
                let after = |camp: u16| self.places.get(&seen(asked | bit, camp)).map_or(0.0, |place| worth[*place]);
                let differs = if none { 0.0 } else { after(camp) };
                let value = after(camp | bit) + differs - price * cost[answerer] * state.chance;
                // What gains nothing is not asked.
                if value > best + 1e-12 {
                    (best, steps[place]) = (value, Step::Ask(answerer));
                }
            }
            worth[place] = best;
        }
        Policy { places: Arc::clone(&self.places), steps }
    }
}

impl Policy {
    /// What to do when these were asked and `camp` is one of the two camps; `None` for more of them than
    /// the policy ever asks.
    #[must_use]
    pub fn step(&self, asked: u16, camp: u16) -> Option<Step> {
        self.places.get(&seen(asked, camp)).map(|place| self.steps[*place])
    }
}

/// The same for both names of a partition.
fn seen(asked: u16, camp: u16) -> Seen {
    let first = asked & asked.wrapping_neg();
    (asked, if camp & first == 0 { asked & !camp } else { camp & asked })
}

/// All ways in which these stand in two camps.
fn partitions(asked: u16) -> Vec<Seen> {
    let first = asked & asked.wrapping_neg();
    let mut all = Vec::new();
    let mut camp = asked;
    loop {
        if camp & first == first {
            all.push((asked, camp));
        }
        if camp == 0 {
            return all;
        }
        camp = (camp - 1) & asked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cheap ones that are right of ten seven times, and a dear one, nine times; independent.
    fn joint() -> LatentClasses {
        let chance = |right: u16| {
            let of = |place: usize| if right & (1 << place) == 0 { [3, 3, 1][place] } else { [7, 7, 9][place] };
            (0..3).map(of).product::<usize>()
        };
        let row = |right: u16| (0..3).map(|place| right & (1 << place) != 0).collect::<Vec<bool>>();
        let rows: Vec<Vec<bool>> = (0..8).flat_map(|right| std::iter::repeat_n(row(right), chance(right))).collect();
        LatentClasses::fit(&rows, 1, 0).unwrap()
    }

    const COST: [f64; 3] = [1.0, 1.0, 10.0];

    #[test]
    fn agreement_stops_and_disagreement_escalates_while_it_pays() {
        let joint = joint();
        let cascade = Cascade::new(&joint, 3);
        // Two of .7 that agree are right with .49 / .58 = .84; where they differ, .5, the dear one adds .4
        // for 10.
        let policy = cascade.policy(&COST, 0.015);
        let first = policy.step(0, 0).unwrap();
        assert!(matches!(first, Step::Ask(0 | 1)), "{first:?}");
        assert!(matches!(policy.step(0b01, 0b01), Some(Step::Ask(1))));
        assert_eq!(policy.step(0b11, 0b11), Some(Step::Answer(0b11)));
        assert_eq!(policy.step(0b11, 0b01), Some(Step::Ask(2)));
        assert_eq!(policy.step(0b11, 0b01), policy.step(0b11, 0b10), "both name the same partition");
        // The dear one's camp is given.
        assert_eq!(policy.step(0b111, 0b101), Some(Step::Answer(0b101)));
        assert_eq!(policy.step(0b111, 0b010), Some(Step::Answer(0b101)));
        // At no price the best is asked, at a high one a cheap one alone.
        assert_eq!(cascade.policy(&COST, 10.0).step(0b01, 0b01), Some(Step::Answer(0b01)));
        assert_eq!(Cascade::new(&joint, 1).policy(&COST, 0.0).step(0, 0), Some(Step::Ask(2)));
    }

    #[test]
    fn a_policy_is_worth_what_trying_all_says() {
        // Brute force over whole policies by recursion on what is seen, no table.
        fn worth(joint: &LatentClasses, asked: u16, camp: u16, price: f64) -> f64 {
            let others = asked & !camp;
            let (one, other) = (joint.probability(camp, others), joint.probability(others, camp));
            let stop = if others == 0 || camp == 0 { if others == 0 { one } else { other } } else { one.max(other) };
            let chance = if asked == 0 { 1.0 } else { one + other };
            let ask = (0..3).filter(|answerer| asked & (1 << answerer) == 0).map(|answerer| {
                let (bit, cost) = (1 << answerer, COST[answerer]);
                let differs = if asked == 0 { 0.0 } else { worth(joint, asked | bit, camp, price) };
                worth(joint, asked | bit, camp | bit, price) + differs - price * cost * chance
            });
            ask.fold(if asked == 0 { f64::NEG_INFINITY } else { stop }, f64::max)
        }
        /// What a policy comes to over all patterns of who is right.
        fn came(joint: &LatentClasses, policy: &Policy, price: f64) -> f64 {
            (0..8_u16)
                .map(|right| {
                    let (mut asked, mut spent) = (0_u16, 0.0);
                    let answer = loop {
                        match policy.step(asked, asked & right).unwrap() {
                            Step::Ask(one) => {
                                asked |= 1 << one;
                                spent += COST[one];
                            }
                            Step::Answer(camp) => break camp,
                        }
                    };
                    let good = f64::from(answer & !right == 0);
                    joint.probability(right, 7 & !right) * (good - price * spent)
                })
                .sum()
        }
        let joint = joint();
        let cascade = Cascade::new(&joint, 3);
        for price in [0.0, 0.001, 0.01, 0.02, 0.05, 0.2] {
            let (best, got) = (worth(&joint, 0, 0, price), came(&joint, &cascade.policy(&COST, price), price));
            assert!((best - got).abs() < 1e-9, "at {price}: {got} instead of {best}");
        }
    }
}
