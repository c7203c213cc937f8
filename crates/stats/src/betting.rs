//! What a bettor against a claimed rate would have won: bounds of a rate that hold at any number
//! of labels, and where reviewers looked at some answers more often than at others.

/// A human label: good or not, and the known probability that this answer was reviewed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted {
    /// A reviewer passes it.
    pub good: bool,
    /// Above 0 and up to 1, fixed before the label was known.
    pub pi: f64,
}

/// No bet risks more than this share of what is left.
const STAKE_MAX: f64 = 0.75;

/// What is left of 1 after betting, label by label, that the rate of good answers is above `rate`.
///
/// Where the rate is `rate` or below, this exceeds 1/δ with probability at most δ, at whatever
/// label one stops (Ville's inequality). The stakes are those of Waudby-Smith and Ramdas
/// ("Estimating means of bounded random variables by betting", JRSS B 2023, their equation 26),
/// the outcome being (good − rate) / π in units of the smallest π: its mean over those reviewed
/// is zero at the true rate, whatever the π are. `labels` in the order in which they came;
/// `delta` only sets the stakes.
#[must_use]
pub fn wealth(labels: &[Weighted], rate: f64, delta: f64) -> f64 {
    let rate = rate.clamp(1e-9, 1.0);
    let pi_min = labels.iter().map(|label| label.pi).fold(f64::INFINITY, f64::min);
    let goal = 2.0 * (1.0 / delta).ln() / labels.len().max(1) as f64;
    let (mut won, mut weights, mut good, mut spread, mut seen) = (1.0, 0.5, 0.25, 0.25, 1.0);
    for label in labels {
        let (weight, outcome) = (pi_min / label.pi, f64::from(label.good));
        let stake = (goal * seen / spread).sqrt().min(STAKE_MAX / rate);
        won *= 1.0 + stake * weight * (outcome - rate);
        weights += weight;
        good += weight * outcome;
        spread += (weight * (outcome - good / weights)).powi(2);
        seen += 1.0;
    }
    won
}

/// The lower bound of the rate of good answers: above the true rate except with probability at
/// most `delta`. 0 without labels.
#[must_use]
pub fn betting_lower(labels: &[Weighted], delta: f64) -> f64 {
    // What is won falls as the claimed rate rises.
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..30 {
        let middle = 0.5 * (low + high);
        if wealth(labels, middle, delta) >= 1.0 / delta {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// The upper bound; see [`betting_lower`]. 1 without labels.
#[must_use]
pub fn betting_upper(labels: &[Weighted], delta: f64) -> f64 {
    let bad: Vec<Weighted> = labels.iter().map(|label| Weighted { good: !label.good, ..*label }).collect();
    1.0 - betting_lower(&bad, delta)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;
    use proptest::prelude::*;

    fn labels(good: usize, bad: usize) -> Vec<Weighted> {
        let mut labels = vec![Weighted { good: true, pi: 0.2 }; good];
        labels.extend(vec![Weighted { good: false, pi: 0.2 }; bad]);
        SplitMix64::new(1).shuffle(&mut labels);
        labels
    }

    #[test]
    fn one_bet_of_known_value() {
        // goal 2 ln 20, spread ¼, so the stake is the largest: 0.75 / 0.5.
        let won = wealth(&[Weighted { good: true, pi: 0.3 }], 0.5, 0.05);
        assert!((won - (1.0 + 1.5 * 0.5)).abs() < 1e-12, "{won}");
    }

    #[test]
    fn without_labels_nothing_is_known() {
        assert!(betting_lower(&[], 0.05) < 1e-6 && betting_upper(&[], 0.05) > 1.0 - 1e-6);
    }

    #[test]
    fn bounds_close_in() {
        let width = |n| betting_upper(&labels(9 * n, n), 0.025) - betting_lower(&labels(9 * n, n), 0.025);
        assert!(width(10) < 0.2 && width(100) < 0.06, "{} {}", width(10), width(100));
        assert!(betting_lower(&labels(60, 0), 0.1) > 0.94, "{}", betting_lower(&labels(60, 0), 0.1));
    }

    /// Bad answers are reviewed four times as often as others, which only the weights know: the
    /// bounds hold, and the mean of the labels would not.
    #[test]
    fn risky_reviews_do_not_mislead() {
        let (mut missed, mut naive) = (0, 0.0);
        for seed in 0..400 {
            let mut rng = SplitMix64::new(seed);
            let mut seen = Vec::new();
            while seen.len() < 60 {
                let risky = rng.next_f64() < 0.3;
                let good = rng.next_f64() < if risky { 0.6 } else { 0.98 };
                let pi = if risky { 0.8 } else { 0.2 };
                if rng.next_f64() < pi {
                    seen.push(Weighted { good, pi });
                }
            }
            let rate = 0.3 * 0.6 + 0.7 * 0.98;
            missed += usize::from(betting_lower(&seen, 0.025) > rate || betting_upper(&seen, 0.025) < rate);
            naive += seen.iter().filter(|label| label.good).count() as f64 / 60.0 / 400.0;
        }
        assert!(missed <= 20, "{missed} of 400 for 5 %");
        assert!(naive < 0.8, "the truth is .866: {naive}");
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn wealth_falls_as_the_claim_rises(
            drawn in prop::collection::vec((prop::bool::ANY, 0.05..1.0_f64), 0..60),
            a in 0.0..1.0_f64,
            b in 0.0..1.0_f64,
        ) {
            let labels: Vec<_> = drawn.into_iter().map(|(good, pi)| Weighted { good, pi }).collect();
            prop_assert!(wealth(&labels, a.max(b), 0.05) <= wealth(&labels, a.min(b), 0.05) * (1.0 + 1e-9));
            prop_assert!(wealth(&labels, a, 0.05) >= 0.0);
            prop_assert!(betting_lower(&labels, 0.05) <= betting_upper(&labels, 0.05));
        }
    }
}
