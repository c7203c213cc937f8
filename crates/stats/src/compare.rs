//! Two candidates side by side: offline on the same cases, live by always-valid intervals that one
//! may look at after every call.

use serde::{Deserialize, Serialize};

use crate::SplitMix64;
use crate::binomial::score_bound;
use crate::moments::Moments;
use crate::normal::{normal_quantile, t_quantile};

/// A difference, candidate less present, with its two-sided interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The estimate.
    pub value: f64,
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

/// What an interval says of "not worse than the present one by more than a margin".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The whole interval lies above zero.
    Better,
    /// The whole interval lies above −margin.
    NotWorse,
    /// The whole interval lies below −margin.
    Worse,
    /// Neither is shown.
    Undecided,
}

impl Difference {
    /// The verdict at a non-inferiority `margin` (0 or more, in the units of the difference).
    #[must_use]
    pub fn verdict(&self, margin: f64) -> Verdict {
        if self.lower > 0.0 {
            Verdict::Better
        } else if self.lower > -margin {
            Verdict::NotWorse
        } else if self.upper < -margin {
            Verdict::Worse
        } else {
            Verdict::Undecided
        }
    }
}

/// The same cases answered by two candidates: how many were passed by both, one, or neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PairedTally {
    /// Passed by both.
    pub both: u64,
    /// Passed by the candidate only.
    pub candidate: u64,
    /// Passed by the present one only.
    pub present: u64,
    /// Passed by neither.
    pub neither: u64,
}

impl PairedTally {
    /// The difference of the pass rates with an interval of level 1 − `delta`, honest where the two
    /// never differed too (Newcombe, "Improved confidence intervals for the difference between
    /// binomial proportions based on paired data", Statistics in Medicine 1998, method 10).
    /// `None` without cases.
    #[must_use]
    pub fn difference(&self, delta: f64) -> Option<Difference> {
        let [a, b, c, d] = [self.both, self.candidate, self.present, self.neither].map(|n| n as f64);
        let n = a + b + c + d;
        if n < 1.0 {
            return None;
        }
        let z = normal_quantile(1.0 - delta / 2.0);
        let bounds = |rate: f64| (rate - score_bound(rate, n, -z), score_bound(rate, n, z) - rate);
        let (below_1, above_1) = bounds((a + b) / n);
        let (below_2, above_2) = bounds((a + c) / n);
        let margins = ((a + b) * (c + d) * (a + c) * (b + d)).sqrt();
        let cross = a * d - b * c;
        let corrected = if cross > 0.0 { (cross - n / 2.0).max(0.0) } else { cross };
        let phi = if margins > 0.0 { corrected / margins } else { 0.0 };
        let reach = |one: f64, two: f64| (one * one - 2.0 * phi * one * two + two * two).max(0.0).sqrt();
        let value = (b - c) / n;
        Some(Difference { value, lower: value - reach(below_1, above_2), upper: value + reach(above_1, below_2) })
    }

    /// The exact two-sided p-value of "both pass equally often"; see [`crate::mcnemar`].
    #[must_use]
    pub fn p_value(&self) -> f64 {
        crate::mcnemar(self.candidate, self.present)
    }
}

/// The mean of paired differences (cost, latency, scores) with Student's interval of level
/// 1 − `delta`. `None` for fewer than ten, or values that are not finite.
#[must_use]
pub fn paired_mean(differences: &[f64], delta: f64) -> Option<Difference> {
    if differences.len() < PAIRS_MIN || differences.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let moments: Moments = differences.iter().copied().collect();
    let reach = t_quantile(1.0 - delta / 2.0, moments.count() - 1.0) * moments.standard_error();
    Some(Difference { value: moments.mean(), lower: moments.mean() - reach, upper: moments.mean() + reach })
}

const PAIRS_MIN: usize = 10;
/// Bounds the work of a bootstrap.
const DRAWS_MAX: usize = 100_000;

/// The mean of paired differences with a percentile bootstrap interval (Efron and Tibshirani,
/// "An Introduction to the Bootstrap", 1993, chapter 13), of up to 100,000 draws. `None` as for
/// [`paired_mean`].
#[must_use]
pub fn paired_bootstrap(differences: &[f64], delta: f64, draws: usize, seed: u64) -> Option<Difference> {
    let plain = paired_mean(differences, delta)?;
    let mut rng = SplitMix64::new(seed);
    let count = differences.len();
    let mut draw = || (0..count).map(|_| differences[rng.below(count as u64) as usize]).sum::<f64>() / count as f64;
    let means: Vec<f64> = (0..draws.clamp(1, DRAWS_MAX)).map(|_| draw()).collect();
    let lower = crate::quantile(&means, delta / 2.0)?;
    Some(Difference { value: plain.value, lower, upper: crate::quantile(&means, 1.0 - delta / 2.0)? })
}

/// The running difference between two arms of live traffic.
///
/// Its interval is an asymptotic confidence sequence: it holds at all times together, so that one
/// may look after every call and stop at will (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
/// "Time-uniform central limit theory and asymptotic confidence sequences", 2021, theorem 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rollout {
    seen: Moments,
    candidate: Moments,
    present: Moments,
}

/// Before this many outcomes of each arm there is no interval: it is asymptotic.
const OUTCOMES_MIN: f64 = 30.0;

impl Rollout {
    /// Adds one outcome of a call that went to the candidate with probability `share`, which may
    /// change from call to call, but not with this call's outcome.
    ///
    /// The outcome counts (y − c) / share for the candidate and −(y − c) / (1 − share) for the
    /// present one, c between the arms' means so far: its mean is the difference, for any c.
    ///
    /// What cannot be an outcome (not finite, or a `share` outside of 0 and 1) is left out, and
    /// the answer is false.
    pub fn push(&mut self, candidate: bool, outcome: f64, share: f64) -> bool {
        if !(outcome.is_finite() && share > 0.0 && share < 1.0) {
            return false;
        }
        let centre = (1.0 - share) * self.candidate.mean() + share * self.present.mean();
        let beyond = outcome - centre;
        self.seen.push(if candidate { beyond / share } else { -beyond / (1.0 - share) });
        if candidate { &mut self.candidate } else { &mut self.present }.push(outcome);
        true
    }

    /// The difference of means, candidate less present, with an interval of level 1 − `delta` that
    /// is narrowest around `horizon` outcomes. `None` before 30 outcomes of each arm.
    #[must_use]
    pub fn difference(&self, delta: f64, horizon: u64) -> Option<Difference> {
        let t = self.seen.count();
        if self.candidate.count().min(self.present.count()) < OUTCOMES_MIN {
            return None;
        }
        // The paper's equation 24: the ρ that makes it narrowest at the horizon.
        let log = -2.0 * delta.ln();
        let rho_squared = (log + log.ln() + 1.0) / horizon.max(1) as f64;
        let grown = t * rho_squared + 1.0;
        let reach = (2.0 * grown / (t * t * rho_squared) * (grown.sqrt() / delta).ln()).sqrt();
        let (value, reach) = (self.seen.mean(), self.seen.variance().sqrt() * reach);
        Some(Difference { value, lower: value - reach, upper: value + reach })
    }

    /// How many outcomes there are.
    #[must_use]
    pub fn outcomes(&self) -> u64 {
        self.seen.count() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    /// From the paper's table of examples; and which one is called the candidate changes the sign.
    #[test]
    fn newcombe_of_published_values() {
        let tally = PairedTally { both: 36, candidate: 12, present: 2, neither: 0 };
        let found = tally.difference(0.05).unwrap();
        close(found.lower, 0.0569, 5e-5);
        close(found.upper, 0.3404, 5e-5);
        let turned = PairedTally { candidate: 2, present: 12, ..tally }.difference(0.05).unwrap();
        close(turned.lower, -found.upper, 1e-9);
        close(turned.upper, -found.lower, 1e-9);
        assert_eq!(PairedTally::default().difference(0.05), None);
    }

    #[test]
    fn never_differing_is_no_proof_of_equality() {
        let same = PairedTally { both: 20, ..PairedTally::default() };
        let found = same.difference(0.05).unwrap();
        assert!(found.lower < -0.1 && found.upper > 0.1, "{found:?}");
        assert_eq!(found.verdict(0.05), Verdict::Undecided);
        close(same.p_value(), 1.0, 1e-12);
    }

    #[test]
    fn paired_means_of_known_values() {
        let differences: Vec<f64> = (1..=10).map(f64::from).collect();
        // Mean 5.5, standard deviation 3.02765, t(9) = 2.26216.
        let found = paired_mean(&differences, 0.05).unwrap();
        close(found.value, 5.5, 1e-12);
        close(found.lower, 5.5 - 2.262_16 * 3.027_65 / 10.0_f64.sqrt(), 1e-3);
        let drawn = paired_bootstrap(&differences, 0.05, 4_000, 1).unwrap();
        // The bootstrap's own standard error is √(n − 1)/n-fold: 0.9083.
        close(drawn.lower, 5.5 - 1.96 * 0.908_3, 0.12);
        close(drawn.upper, 5.5 + 1.96 * 0.908_3, 0.12);
        assert_eq!(drawn, paired_bootstrap(&differences, 0.05, 4_000, 1).unwrap());
        assert_eq!(paired_mean(&[1.0; 9], 0.05), None);
        assert_eq!(paired_mean(&[f64::NAN; 20], 0.05), None);
    }

    #[test]
    fn verdicts() {
        let check = |lower, upper, expected| {
            assert_eq!(Difference { value: 0.0, lower, upper }.verdict(0.02), expected);
        };
        check(0.01, 0.05, Verdict::Better);
        check(-0.01, 0.05, Verdict::NotWorse);
        check(-0.03, 0.05, Verdict::Undecided);
        check(-0.09, -0.03, Verdict::Worse);
    }

    /// Looking after each of 2,000 calls, whose share for the candidate grows: the truth is outside
    /// at any time in no more than 5 % of worlds, and a real difference is found.
    #[test]
    fn looking_after_every_call_is_safe() {
        let world = |seed, gain: f64| {
            let (mut rng, mut rollout) = (SplitMix64::new(seed), Rollout::default());
            let (mut missed, mut found) = (false, false);
            for call in 0..2_000 {
                let share = [0.05, 0.2, 0.5][call / 700];
                let candidate = rng.next_f64() < share;
                let good = rng.next_f64() < if candidate { 0.8 + gain } else { 0.8 };
                assert!(rollout.push(candidate, f64::from(good), share));
                if let Some(difference) = rollout.difference(0.05, 2_000) {
                    missed |= difference.lower > gain || difference.upper < gain;
                    found |= difference.verdict(0.02) == Verdict::Worse;
                }
            }
            (missed, found)
        };
        let worlds = |gain| (0..400).map(|seed| world(seed, gain)).collect::<Vec<_>>();
        let (same, worse) = (worlds(0.0), worlds(-0.3));
        assert!(same.iter().filter(|world| world.0).count() <= 20);
        assert!(worse.iter().filter(|world| world.0).count() <= 20);
        assert!(worse.iter().filter(|world| world.1).count() >= 380);
        assert!(same.iter().filter(|world| world.1).count() <= 10);
    }

    #[test]
    fn what_is_no_outcome_is_refused() {
        let mut rollout = Rollout::default();
        for (outcome, share) in [(f64::NAN, 0.5), (1.0, 0.0), (1.0, 1.0), (1.0, f64::NAN)] {
            assert!(!rollout.push(true, outcome, share));
        }
        assert_eq!((rollout.outcomes(), rollout.difference(0.05, 1_000)), (0, None));
    }
}
