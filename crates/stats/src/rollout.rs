//! A live rollout: is the candidate worse than the present model by more than a margin? Asked after every
//! outcome, and answered so that asking often costs nothing.
//!
//! Of each call it is drawn by lot, with a known probability, which of the two answers. So
//! z = (y − c) / share for the candidate and −(y − c) / (1 − share) for the present one has the difference
//! of their qualities as its mean, whatever the c that earlier outcomes gave. A gambler who bets against
//! "the difference is at most θ" multiplies their wealth by 1 + λ·w·(z − θ): if it is true, they do not
//! win on average, and their wealth ever reaches 1/δ with probability at most δ (Ville's inequality;
//! Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024). That
//! holds for any number of outcomes, however few or alike, and while the share changes. The weight w =
//! share·(1 − share), known beforehand, makes each factor bounded, and outcomes count by what they say.

use serde::{Deserialize, Serialize};

use crate::compare::Difference;

/// Outcomes at most; what comes later is not looked at.
const OUTCOMES_MAX: usize = 50_000;
/// Before so many outcomes of each arm no difference is told: wealth needs no such rule, an estimate does.
const TOLD_MIN: u64 = 10;
/// Bets, each half of the one before: what suits large differences and small ones. Wealth is their mean.
const BETS: usize = 6;
/// The largest bet, times the largest factor: wealth never falls below a quarter at once.
const STAKE: f64 = 0.75;
/// Steps of the search for an interval's end: to a ten-thousandth.
const SEARCH: usize = 15;

/// One outcome of a call that was part of a rollout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RolloutOutcome {
    /// Whether it was drawn for the candidate.
    pub candidate: bool,
    /// How good it was, in [0, 1].
    pub good: f64,
    /// The probability with which it was to be the candidate's, above 0 and below 1. It may change from
    /// call to call, but not with this call's outcome.
    pub share: f64,
    /// The probability with which this outcome was to be looked at, above 0, at most 1.
    pub drawn: f64,
}

/// What outcomes say of the difference, candidate less present.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rollout {
    /// w·z, w, and the bound of both, of each outcome.
    terms: Vec<(f64, f64, f64)>,
    arms: [Arm; 2],
    /// The largest and the smallest probability of being looked at so far.
    drawn: Option<(f64, f64)>,
}

/// Sums of one arm's outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
struct Arm {
    outcomes: u64,
    weight: f64,
    good: f64,
}

impl Rollout {
    /// Adds an outcome; in the order in which they became known. False for what can be none (a number
    /// out of its range), and where there are as many as are looked at.
    ///
    /// An outcome that was looked at with less probability counts for more. How much more is bounded by
    /// the probabilities seen before: a first one beyond them counts as the rarest of those.
    pub fn push(&mut self, outcome: RolloutOutcome) -> bool {
        let RolloutOutcome { candidate, good, share, drawn } = outcome;
        let sound = (0.0..=1.0).contains(&good) && share > 0.0 && share < 1.0 && drawn > 0.0 && drawn <= 1.0;
        if !sound || self.terms.len() >= OUTCOMES_MAX {
            return false;
        }
        let (most, least) = self.drawn.unwrap_or((drawn, drawn));
        let rarity = (most / drawn).clamp(1.0, most / least);
        self.drawn = Some((most.max(drawn), least.min(drawn)));
        let [present, of_candidate] = self.arms.map(|arm| if arm.weight > 0.0 { arm.good / arm.weight } else { 0.5 });
        let beyond = good - ((1.0 - share) * of_candidate + share * present);
        // w·z, without the division.
        let term = if candidate { beyond * (1.0 - share) } else { -beyond * share };
        // |w·z| ≤ rarity, and w·|θ| ≤ rarity / 4.
        self.terms.push((rarity * term, rarity * share * (1.0 - share), 1.25 * most / least));
        let arm = &mut self.arms[usize::from(candidate)];
        arm.outcomes += 1;
        arm.weight += rarity;
        arm.good += rarity * good;
        true
    }

    /// Outcomes of the present one, and of the candidate.
    #[must_use]
    pub fn outcomes(&self) -> (u64, u64) {
        (self.arms[0].outcomes, self.arms[1].outcomes)
    }

    /// Whether it was ever shown, at level `delta`, that the candidate is not worse by `margin` or more.
    #[must_use]
    pub fn not_worse(&self, margin: f64, delta: f64) -> bool {
        self.wealth(-margin, 1.0) >= -delta.ln()
    }

    /// Whether it was ever shown, at level `delta`, that the candidate is worse by more than `margin`.
    #[must_use]
    pub fn worse(&self, margin: f64, delta: f64) -> bool {
        self.wealth(-margin, -1.0) >= -delta.ln()
    }

    /// The logarithm of the largest wealth that betting against "the difference is at most θ" ever had;
    /// with `side` −1, against "it is at least θ".
    fn wealth(&self, theta: f64, side: f64) -> f64 {
        let mut logs = [0.0_f64; BETS];
        let mut largest = f64::NEG_INFINITY;
        for (term, weight, bound) in &self.terms {
            let gain = side * (term - theta * weight);
            let mut bet = STAKE / bound;
            for log in &mut logs {
                *log += (bet * gain).ln_1p();
                bet *= 0.5;
            }
            let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
            largest = largest.max(most + (sum / BETS as f64).ln());
        }
        largest
    }

    /// The difference of the arms' means, with the differences that nothing has excluded at level `delta`
    /// (half of it on either side), at all times together. `None` before ten outcomes of each arm.
    #[must_use]
    pub fn difference(&self, delta: f64) -> Option<Difference> {
        let [present, candidate] = self.arms;
        if present.outcomes.min(candidate.outcomes) < TOLD_MIN {
            return None;
        }
        let value = candidate.good / candidate.weight - present.good / present.weight;
        let end = |side: f64| {
            // Excluded at −side, never at +side: the further out, the larger the wealth.
            let (mut out, mut within) = (-side, side);
            if self.wealth(out, side) < -(delta / 2.0).ln() {
                return out;
            }
            for _ in 0..SEARCH {
                let middle = 0.5 * (out + within);
                let excluded = self.wealth(middle, side) >= -(delta / 2.0).ln();
                *(if excluded { &mut out } else { &mut within }) = middle;
            }
            out
        };
        let (lower, upper) = (end(1.0), end(-1.0));
        Some(Difference { value, lower, upper })
    }

    /// About how many outcomes more it takes until a candidate that is as good as the present one is known
    /// not to be worse by `margin`, with `share` of the calls; `None` before ten outcomes of each arm.
    #[must_use]
    pub fn needs_more(&self, (margin, share): (f64, f64), delta: f64) -> Option<u64> {
        let [present, candidate] = self.arms;
        if present.outcomes.min(candidate.outcomes) < TOLD_MIN || margin <= 0.0 {
            return None;
        }
        let good = (candidate.good + present.good) / (candidate.weight + present.weight);
        let spread = (good * (1.0 - good)).max(0.01);
        // By the bet that suits, or the largest there is: λ·θ − λ²σ²/2 for each unit of weight.
        let bet = (margin / spread).min(STAKE / 1.25);
        let each = share * (1.0 - share) * (bet * margin - 0.5 * bet * bet * spread);
        let missing = -delta.ln() + (BETS as f64).ln() - self.wealth_now(-margin);
        (each > 0.0).then(|| (missing / each).max(1.0).ceil() as u64)
    }

    /// The best bet's logarithm as it stands, not as it was at its largest.
    fn wealth_now(&self, theta: f64) -> f64 {
        let of = |bet: f64| -> f64 {
            let one = |(term, weight, bound): &(f64, f64, f64)| (bet / bound * (term - theta * weight)).ln_1p();
            self.terms.iter().map(one).sum()
        };
        (0..BETS).map(|halved| of(STAKE * 0.5_f64.powi(halved as i32))).fold(f64::NEG_INFINITY, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;

    /// A world of `calls`, whose share for the candidate grows, asked after each outcome: whether it was
    /// ever shown not to be worse by the margin, and whether it was shown to be.
    fn world(seed: u64, (present, gain): (f64, f64), margin: f64, calls: usize) -> (bool, bool) {
        let (mut rng, mut rollout) = (SplitMix64::new(seed), Rollout::default());
        for call in 0..calls {
            let share = [0.05, 0.25, 0.5, 0.5][call * 4 / calls];
            let candidate = rng.next_f64() < share;
            // People look at some answers more often than at others.
            let drawn = if rng.next_f64() < 0.5 { 0.8 } else { 0.4 };
            let good = f64::from(rng.next_f64() < if candidate { present + gain } else { present });
            if rng.next_f64() < drawn {
                assert!(rollout.push(RolloutOutcome { candidate, good, share, drawn }));
            }
        }
        // Both are of the largest wealth ever: as if asked each time.
        (rollout.not_worse(margin, 0.05), rollout.worse(margin, 0.025))
    }

    fn shares(truth: (f64, f64), margin: f64, (worlds, calls): (u64, usize)) -> (u64, u64) {
        let told: Vec<(bool, bool)> = (0..worlds).map(|seed| world(seed, truth, margin, calls)).collect();
        (told.iter().filter(|told| told.0).count() as u64, told.iter().filter(|told| told.1).count() as u64)
    }

    /// Exactly at the margin, where a false promotion is likeliest, looked at after each of 3,000 calls.
    #[test]
    fn a_model_as_bad_as_the_margin_is_promoted_no_oftener_than_promised() {
        for (present, margin) in [(0.9, 0.05), (0.99, 0.05), (0.7, 0.1)] {
            let (promoted, _) = shares((present, -margin), margin, (500, 3_000));
            assert!(promoted <= 25, "{promoted} of 500 at {present} and {margin}");
        }
    }

    #[test]
    fn an_equal_model_is_promoted_and_a_bad_one_is_rolled_back() {
        let (promoted, back) = shares((0.9, 0.0), 0.1, (100, 4_000));
        assert!(promoted >= 95 && back <= 2, "{promoted} {back}");
        let (promoted, back) = shares((0.9, -0.3), 0.1, (100, 2_000));
        assert!(promoted == 0 && back >= 98, "{promoted} {back}");
    }

    /// Thirty good answers of each are no proof of anything at a margin of five points.
    #[test]
    fn a_few_that_are_all_alike_prove_little() {
        let mut rollout = Rollout::default();
        for n in 0..60 {
            rollout.push(RolloutOutcome { candidate: n % 2 == 0, good: 1.0, share: 0.5, drawn: 1.0 });
        }
        assert!(!rollout.not_worse(0.05, 0.05) && !rollout.worse(0.05, 0.05));
        let told = rollout.difference(0.05).unwrap();
        assert!(told.value.abs() < 1e-12 && told.lower < -0.1 && told.upper > 0.1, "{told:?}");
        let more = rollout.needs_more((0.05, 0.5), 0.05).unwrap();
        assert!((300..3_000).contains(&more), "{more}");
    }

    #[test]
    fn its_interval_holds_the_truth_and_narrows() {
        let mut missed = 0;
        for seed in 0..40 {
            let (mut rng, mut rollout) = (SplitMix64::new(seed), Rollout::default());
            let mut widths = Vec::new();
            for call in 1..=2_000 {
                let candidate = rng.next_f64() < 0.3;
                let good = f64::from(rng.next_f64() < if candidate { 0.7 } else { 0.8 });
                rollout.push(RolloutOutcome { candidate, good, share: 0.3, drawn: 1.0 });
                if call % 1_000 == 0 {
                    let told = rollout.difference(0.1).unwrap();
                    widths.push(told.upper - told.lower);
                    missed += u64::from(told.lower > -0.1 || told.upper < -0.1);
                }
            }
            assert!(widths[1] < widths[0], "{widths:?}");
        }
        assert!(missed <= 8, "{missed} of 80");
    }

    #[test]
    fn what_is_no_outcome_is_refused() {
        let mut rollout = Rollout::default();
        let one = RolloutOutcome { candidate: true, good: 1.0, share: 0.5, drawn: 1.0 };
        for wrong in [
            RolloutOutcome { good: f64::NAN, ..one },
            RolloutOutcome { good: 1.1, ..one },
            RolloutOutcome { share: 0.0, ..one },
            RolloutOutcome { share: 1.0, ..one },
            RolloutOutcome { drawn: 0.0, ..one },
            RolloutOutcome { drawn: f64::NAN, ..one },
        ] {
            assert!(!rollout.push(wrong), "{wrong:?}");
        }
        assert_eq!((rollout.outcomes(), rollout.difference(0.05)), ((0, 0), None));
        assert!(!rollout.not_worse(0.5, 0.05) && !rollout.worse(0.5, 0.05));
    }
}
