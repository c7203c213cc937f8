//! The threshold of the quality gate: the laxest one for which the labels show that enough of the
//! answers above it are good, and the rule by which it may change while labels arrive.

use crate::betting::{Weighted, wealth};
use crate::{Needs, binomial_cdf, labels_needed};

/// What the gate promises: of the answers that pass, at most `alpha` are bad, with confidence
/// 1 − `delta`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Promise {
    /// Above 0 and below 1.
    pub alpha: f64,
    /// Above 0 and below 1.
    pub delta: f64,
}

/// A label that the gate learns from: fresh, and of an answer drawn from the gate's own traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labelled {
    /// The answer's score. The higher the better.
    pub score: f64,
    /// What the reviewer said, and how likely the review was.
    pub label: Weighted,
}

/// The gate at some number of labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Gate {
    /// Answers with this score or a higher one pass.
    Open {
        /// The score.
        threshold: f64,
        /// Labels at or above it.
        labels: u64,
        /// Bad ones among those.
        bad: u64,
    },
    /// Nothing passes: what the strictest threshold would have needed.
    Closed(Needs),
}

impl Gate {
    /// The score from which on answers pass; `None` where none does.
    #[must_use]
    pub fn threshold(&self) -> Option<f64> {
        match self {
            Self::Open { threshold, .. } => Some(*threshold),
            Self::Closed(_) => None,
        }
    }
}

/// Thresholds from strict to lax, each letting more of the traffic pass by this share of it.
const STEPS: usize = 50;
/// The strictest threshold should find this many times the fewest labels that can pass: with
/// exactly the fewest, one bad answer among the best would keep the gate closed for good.
const HEADROOM: f64 = 2.0;

impl Promise {
    /// The fewest labels, all good, that can keep the promise: 45 for alpha 5 % and delta 10 %.
    #[must_use]
    pub fn labels_min(&self) -> u64 {
        labels_needed(self.alpha, self.delta).unwrap_or(u64::MAX)
    }

    /// The fewest labels that can keep the promise with `bad` bad ones among them: 45, 77, 105 ...
    #[must_use]
    pub fn labels_with(&self, bad: u64) -> u64 {
        let mut labels = self.labels_min().max(bad);
        while labels < u64::MAX && binomial_cdf(bad, labels, self.alpha) > self.delta {
            labels += 1;
        }
        labels
    }

    /// The thresholds to test for `labels` labels drawn from traffic with these `scores`, from
    /// strict to lax. The first one is expected to find twice the labels that can pass.
    ///
    /// They depend on scores, never on labels: that is what makes testing them in turn valid.
    #[must_use]
    pub fn thresholds(&self, scores: &[f64], labels: u64) -> Vec<f64> {
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
        sorted.sort_by(|a, b| b.total_cmp(a));
        if sorted.is_empty() || labels == 0 {
            return Vec::new();
        }
        let start = (HEADROOM * self.labels_min() as f64 / labels as f64).min(1.0);
        let at = |step: usize| {
            let share = start + (1.0 - start) * step as f64 / STEPS as f64;
            sorted[((share * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1]
        };
        let mut thresholds: Vec<f64> = (0..=STEPS).map(at).collect();
        thresholds.dedup();
        thresholds
    }

    /// Tests `thresholds` in their order for as long as the labels reject "more than alpha of the
    /// answers above it are bad" at level delta, and opens at the last one that did.
    ///
    /// Fixed-sequence testing needs no correction for the number of thresholds: a bad one opens
    /// only where its own test, the first false rejection, errs (Learn then Test, Angelopoulos et
    /// al. 2021). The test is exact for equally likely reviews, P(Binomial(n, alpha) ≤ bad) ≤
    /// delta, and by betting for others.
    #[must_use]
    pub fn gate(&self, labels: &[Labelled], thresholds: &[f64]) -> Gate {
        let mut gate = Gate::Closed(Needs { needed: self.labels_min(), has: 0 });
        for &threshold in thresholds {
            let above = || labels.iter().filter(|seen| seen.score >= threshold).map(|seen| seen.label);
            let (mut has, mut bad) = (0, 0);
            above().for_each(|label| {
                has += 1;
                bad += u64::from(!label.good);
            });
            if self.kept(above, has, bad) {
                gate = Gate::Open { threshold, labels: has, bad };
                continue;
            }
            if let Gate::Closed(needs) = &mut gate {
                *needs = Needs { needed: self.labels_with(bad), has };
            }
            break;
        }
        gate
    }

    fn kept<I: Iterator<Item = Weighted>>(&self, labels: impl Fn() -> I, has: u64, bad: u64) -> bool {
        let first = labels().next().map_or(1.0, |label| label.pi);
        if labels().all(|label| (label.pi - first).abs() < 1e-12) {
            binomial_cdf(bad, has, self.alpha) <= self.delta
        } else {
            let labels: Vec<Weighted> = labels().collect();
            wealth(&labels, 1.0 - self.alpha, self.delta) >= 1.0 / self.delta
        }
    }
}

/// The gate in force while labels arrive one by one.
///
/// Looking again after each label and opening where it looks best is optional stopping: it breaks
/// delta. So the gate is opened, or made laxer, only at label counts fixed beforehand, each twice
/// the one before. In between, a bad label above the threshold has the thresholds that passed
/// tested again, and those that no longer do are given up: tightening is free, for all that
/// passed a look keep the promise together.
///
/// So at each label count the gate in force breaks its promise with probability at most delta.
/// The six looks after the first test at delta/8 each and every one after those at half of the one
/// before, which sums to delta: that it is ever broken, over all time, has probability at most
/// 2 delta, and delta where the first look, at all traffic and no bad label, did not open it.
#[derive(Debug, Clone, PartialEq)]
pub struct GateHistory {
    promise: Promise,
    labels: Vec<Labelled>,
    /// From strict to lax, those that passed the last look and every test since.
    passed: Vec<f64>,
    looks: u32,
    looks_at: u64,
    gate: Gate,
}

impl GateHistory {
    /// No labels, closed. The first look is at the fewest labels that can open it.
    #[must_use]
    pub fn new(promise: Promise) -> Self {
        let needed = promise.labels_min().max(1);
        let gate = Gate::Closed(Needs { needed, has: 0 });
        Self { promise, labels: Vec::new(), passed: Vec::new(), looks: 0, looks_at: needed, gate }
    }

    /// Takes one label, with scores of recent traffic, and returns the gate now in force.
    ///
    /// The traffic is read at looks only. A look costs O(labels × thresholds).
    pub fn push(&mut self, label: Labelled, traffic: &[f64]) -> Gate {
        self.labels.push(label);
        let count = self.labels.len() as u64;
        if count >= self.looks_at {
            self.looks_at = count.saturating_mul(2);
            self.looks += 1;
            self.passed = self.spent().thresholds(traffic, count);
            self.test();
        } else if !label.label.good && self.gate.threshold().is_some_and(|threshold| label.score >= threshold) {
            self.test();
        }
        if let Gate::Closed(needs) = &mut self.gate {
            *needs = Needs { needed: self.looks_at, has: count };
        }
        self.gate
    }

    /// The promise at the confidence that the last look may spend.
    fn spent(&self) -> Promise {
        let share = match self.looks {
            0 | 1 => 1.0,
            2..=7 => 0.125,
            later => 0.125 * 0.5_f64.powi(later as i32 - 7),
        };
        Promise { delta: self.promise.delta * share, ..self.promise }
    }

    fn test(&mut self) {
        self.gate = self.spent().gate(&self.labels, &self.passed);
        let last = self.gate.threshold();
        self.passed.retain(|passed| last.is_some_and(|last| *passed >= last));
    }

    /// The gate in force.
    #[must_use]
    pub fn gate(&self) -> Gate {
        self.gate
    }

    /// The number of labels at which the gate may next open or become laxer.
    #[must_use]
    pub fn looks_at(&self) -> u64 {
        self.looks_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;
    use proptest::prelude::*;

    const STRICT: Promise = Promise { alpha: 0.05, delta: 0.10 };

    fn labelled(score: f64, good: bool) -> Labelled {
        Labelled { score, label: Weighted { good, pi: 0.1 } }
    }

    #[test]
    fn labels_that_it_takes() {
        assert_eq!([0, 1, 2].map(|bad| STRICT.labels_with(bad)), [45, 77, 105]);
        assert_eq!(Promise { alpha: 0.0, delta: 0.1 }.labels_with(0), u64::MAX, "no number of labels can");
    }

    #[test]
    fn thresholds_start_at_twice_the_fewest() {
        let scores: Vec<f64> = (0..1_000).map(f64::from).collect();
        let all = STRICT.thresholds(&scores, 450);
        // Twice 45 of 450 is a fifth of the traffic: 200 scores from 800 on.
        assert!((all[0] - 800.0).abs() < 1e-9 && all.last() == Some(&0.0), "{all:?}");
        assert!(all.is_sorted_by(|a, b| a > b));
        assert_eq!(STRICT.thresholds(&scores, 60), [0.0]);
        assert_eq!(STRICT.thresholds(&[0.5; 40], 450), [0.5]);
        assert!(STRICT.thresholds(&[f64::NAN], 450).is_empty() && STRICT.thresholds(&scores, 0).is_empty());
    }

    #[test]
    fn opens_as_far_as_the_labels_go() {
        let labels = |bad: &[usize]| -> Vec<_> {
            (0..100).map(|i| labelled(1.0 - i as f64 / 100.0, !bad.contains(&i))).collect()
        };
        let thresholds = [0.555, 0.355, 0.205, 0.005];
        let check = |bad: &[usize], expected| assert_eq!(STRICT.gate(&labels(bad), &thresholds), expected);
        check(&[], Gate::Open { threshold: 0.005, labels: 100, bad: 0 });
        // One bad takes 77 labels: the first three thresholds have 45, 65 and 80.
        check(&[50], Gate::Open { threshold: 0.555, labels: 45, bad: 0 });
        check(&[70], Gate::Open { threshold: 0.005, labels: 100, bad: 1 });
        check(&[3], Gate::Closed(Needs { needed: 77, has: 45 }));
        assert_eq!(STRICT.gate(&[], &[0.5]).threshold(), None);
        assert_eq!(STRICT.gate(&[], &[]), Gate::Closed(Needs { needed: 45, has: 0 }));
    }

    #[test]
    fn opens_at_45_good_labels_and_not_before() {
        let mut history = GateHistory::new(STRICT);
        for has in 1..45 {
            assert_eq!(history.push(labelled(0.5, true), &[0.5]), Gate::Closed(Needs { needed: 45, has }));
        }
        assert_eq!(history.push(labelled(0.5, true), &[0.5]), Gate::Open { threshold: 0.5, labels: 45, bad: 0 });
        assert_eq!(history.looks_at(), 90);
        // A bad label tightens at once; good ones open it at 90 at the earliest.
        assert_eq!(history.push(labelled(0.5, false), &[0.5]), Gate::Closed(Needs { needed: 90, has: 46 }));
        for _ in 47..90 {
            assert_eq!(history.push(labelled(0.5, true), &[0.5]).threshold(), None);
        }
        assert_eq!(history.gate(), Gate::Closed(Needs { needed: 90, has: 89 }));
    }

    /// Answers as bad as promised, plus a little: at every label count, and over all of them, the
    /// gate opens wrongly in at most delta (2 delta) of 400 worlds, reviewed evenly or by risk.
    #[test]
    fn a_gate_that_must_not_open_stays_closed() {
        let promise = Promise { alpha: 0.2, delta: 0.1 };
        let traffic: Vec<f64> = (0..200).map(|i| f64::from(i) / 200.0).collect();
        for by_risk in [false, true] {
            let (mut ever, mut at_once, mut at_end) = (0, 0, 0);
            for seed in 0..400 {
                let mut rng = SplitMix64::new(seed);
                let mut draw = || loop {
                    let (score, good) = (rng.next_f64(), rng.next_f64() < 0.795);
                    let pi = if by_risk && score < 0.5 { 0.9 } else { 0.3 };
                    if rng.next_f64() < pi {
                        break Labelled { score, label: Weighted { good, pi } };
                    }
                };
                let labels: Vec<Labelled> = (0..200).map(|_| draw()).collect();
                at_once += u32::from(promise.gate(&labels, &promise.thresholds(&traffic, 200)).threshold().is_some());
                let mut history = GateHistory::new(promise);
                ever += u32::from(labels.iter().any(|label| history.push(*label, &traffic).threshold().is_some()));
                at_end += u32::from(history.gate().threshold().is_some());
            }
            assert!(at_once <= 40 && at_end <= 40 && ever <= 80, "{at_once} {at_end} {ever}");
            assert!(at_once >= 2, "a test that never errs tests nothing");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Between two looks the gate only tightens, whatever the labels.
        #[test]
        fn loosens_at_looks_only(
            drawn in prop::collection::vec((0.0..1.0_f64, 0.0..1.0_f64), 1..300),
            quality in 0.7..1.0_f64,
        ) {
            let mut history = GateHistory::new(Promise { alpha: 0.2, delta: 0.1 });
            let traffic: Vec<f64> = drawn.iter().map(|pair| pair.0).collect();
            let mut before = f64::INFINITY;
            for (score, luck) in drawn {
                let look = history.looks_at();
                let gate = history.push(labelled(score, luck < quality), &traffic);
                let now = gate.threshold().unwrap_or(f64::INFINITY);
                prop_assert!(now >= before || history.looks_at() > look);
                before = now;
            }
        }
    }
}
