//! From labels to a threshold: the lowest one at which an upper bound on what is served wrong
//! keeps the promise.

use baton_stats::Logistic;

use super::model::probability;

/// Wrong answers that the model expects among the labels of one stratum.
const EXPECTED_MIN: f64 = 4.0;
/// Labels of one stratum.
const LABELS_MIN: u32 = 30;
/// Wrong answers, seen and expected, that the prior of a stratum's ratio is worth.
const PRIOR: f64 = 3.0;
/// The model is never believed to expect less than this share of the promise: what is nearest of
/// all is still wrong where the model itself answers one way today and another tomorrow.
const LEAST: f64 = 0.15;
/// Standard errors between the estimate for the look-ups of now and its upper bound.
const Z: f64 = 0.3;
/// The promise may be broken by what will have been served with this probability: the first one with
/// [`TRIED_FEW`], where the model itself is uncertain, and the second from [`TRIED_ENOUGH`] on.
const CHANCE: [f64; 2] = [0.05, 0.3];
/// A smaller promise than this has less of the second chance, for fewer audits tell of it.
const PROMISE_EASY: f64 = 0.05;
const TRIED_FEW: f64 = 500.0;
pub(super) const TRIED_ENOUGH: f64 = 2_000.0;
/// How far that looks ahead: hits enough for so many wrong ones, as many as were served, and as many as would
/// have been served of what it was tried on since [`TRIED_ENOUGH`]: early bad luck does not close it for good.
const AHEAD: f64 = 3.0;
/// Standard errors between the plain count of labels and its upper bound, before anything opens: 95 %,
/// and 99.9 % while there are too few labels, for it is asked again at each fit.
const Z_FIRST: f64 = 1.645;
const Z_FEW: f64 = 3.09;
/// Thresholds that are tried.
const STEPS: usize = 100;
/// Points needed to calibrate the scores again.
const AGAIN_MIN: usize = 50;

/// A labelled look-up, as its score sees it.
pub(super) struct Labelled {
    pub(super) score: f64,
    pub(super) right: bool,
    pub(super) weight: f64,
}

/// Look-ups of similar score: how many times more of those labelled were wrong than expected.
#[derive(Debug, Clone, Copy)]
struct Stratum {
    /// The lowest score in it.
    floor: f64,
    /// Mean of that ratio.
    ratio: f64,
    /// Its variance.
    variance: f64,
}

/// The scores of labelled look-ups from high to low, and the sums down to each: no model.
pub(super) struct Plain(Vec<(f64, Sums)>);

/// Of labels: their weights and the squares of these, of all and of the wrong ones.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    all: f64,
    all_squared: f64,
    wrong: f64,
    wrong_squared: f64,
}

impl Plain {
    pub(super) fn of(labelled: &[Labelled]) -> Self {
        let mut scores: Vec<(f64, bool, f64)> = labelled.iter().map(|one| (one.score, one.right, one.weight)).collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut sums = Sums::default();
        let add = |(score, right, weight): (f64, bool, f64)| {
            let wrong = f64::from(!right);
            sums.all += weight;
            sums.all_squared += weight * weight;
            sums.wrong += wrong * weight;
            sums.wrong_squared += wrong * weight * weight;
            (score, sums)
        };
        Self(scores.into_iter().map(add).collect())
    }

    /// Upper bound on the share of wrong ones at or above a threshold, `z` standard errors up: a Poisson
    /// count's score interval, as good as exact for few, in labels of mean weight.
    fn bound(&self, threshold: f64, z: f64) -> f64 {
        let has = self.0.partition_point(|(score, _)| *score >= threshold);
        let Some((_, sums)) = has.checked_sub(1).map(|last| self.0[last]) else { return f64::INFINITY };
        let unit = sums.all_squared / sums.all;
        (sums.wrong + z * (sums.wrong_squared + unit * unit).sqrt() + z * z / 2.0 * unit) / sums.all
    }
}

/// The rate of wrong answers by score, from the highest scores down.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve {
    strata: Vec<Stratum>,
    least: f64,
    /// Corrects the slope of the model's scores where they count.
    again: Option<Logistic>,
}

impl Curve {
    /// Strata are cut by what the model expects, never by labels. In each, wrong answers seen are
    /// held against those expected (indirect standardisation), so that it does not matter which
    /// scores within it were labelled most. The ratio's prior is a Gamma distribution of mean 1.
    /// `audited` is the same ratio of all audits made before their labels were known.
    pub(super) fn of(mut labelled: Vec<Labelled>, promise: f64, audited: f64) -> Self {
        labelled.sort_by(|a, b| b.score.total_cmp(&a.score));
        let high: Vec<([f64; 1], bool)> =
            labelled.iter().filter(|one| one.score > 0.0).map(|one| ([one.score], one.right)).collect();
        let cases: Vec<(&[f64], bool)> = high.iter().map(|(score, right)| (score.as_slice(), *right)).collect();
        let again = (cases.len() >= AGAIN_MIN).then(|| Logistic::fit(&cases, None));
        let mut curve = Self { strata: Vec::new(), least: LEAST * promise, again };
        let (mut has, mut seen, mut sums) = (0, 0.0, [0.0; 3]);
        for one in labelled {
            let (expected, weight) = (curve.expects(one.score), one.weight);
            has += 1;
            seen += expected;
            sums[0] += weight * f64::from(!one.right);
            sums[1] += weight * expected;
            sums[2] += weight * weight * expected;
            if seen >= EXPECTED_MIN && has >= LABELS_MIN {
                // Unequal weights are worth fewer labels (Kish's effective sample size).
                let worth = sums[1] / sums[2];
                let (wrong, expected) = (worth * sums[0] + PRIOR, worth * sums[1] + PRIOR);
                let (ratio, variance) = (audited * wrong / expected, wrong * (audited / expected).powi(2));
                curve.strata.push(Stratum { floor: one.score, ratio, variance });
                (has, seen, sums) = (0, 0.0, [0.0; 3]);
            }
        }
        curve
    }

    fn expects(&self, score: f64) -> f64 {
        let odds = self.again.as_ref().map_or(score, |again| again.log_odds(&[score]));
        probability(-odds).max(self.least)
    }

    /// The stratum of a score; the last one below all.
    fn at(&self, score: f64) -> Option<usize> {
        let last = self.strata.len().checked_sub(1)?;
        Some(self.strata.partition_point(|stratum| stratum.floor > score).min(last))
    }

    /// How likely a look-up of this score is wrong; 1 where nothing has been seen.
    pub(super) fn rate(&self, score: f64) -> f64 {
        self.at(score).map_or(1.0, |at| (self.strata[at].ratio * self.expects(score)).min(1.0))
    }

    /// What the model expects to be wrong in each stratum, were `count` look-ups like these.
    fn expected(&self, scores: &[f64], count: f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.strata.len()];
        let each = count / scores.len().max(1) as f64;
        for score in scores {
            if let Some(at) = self.at(*score) {
                sums[at] += each * self.expects(*score);
            }
        }
        sums
    }

    /// Mean and variance of the number of wrong ones.
    fn wrong(&self, expected: impl Iterator<Item = f64>) -> (f64, f64) {
        let add = |(mean, variance): (f64, f64), (expected, stratum): (f64, &Stratum)| {
            (mean + expected * stratum.ratio, variance + expected * expected * stratum.variance)
        };
        expected.zip(&self.strata).fold((0.0, 0.0), add)
    }
}

/// The threshold in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Open {
    pub(super) threshold: f64,
    /// Upper bound on the share of wrong ones at or above it.
    pub(super) bound: f64,
}

/// Look-ups by their score now.
pub(super) struct Seen {
    /// Recent ones, whatever came of them.
    pub(super) traffic: Vec<f64>,
    /// A sample of those served.
    pub(super) served: Vec<f64>,
    /// How many were served.
    pub(super) hits: f64,
    /// Look-ups that it was tried on: labels, and what was served.
    pub(super) tried: f64,
    /// All labels, where nothing was served since they began or they are few: more is asked of them than
    /// what the model expects.
    pub(super) first: Option<Plain>,
}

/// The lowest threshold at which both hold: of the look-ups above it, the upper bound on the share
/// of wrong ones is at most `promise`; and, were as many more served as [`AHEAD`] says, then of
/// all ever served more than the promise would be wrong with probability at most [`CHANCE`].
///
/// The second is about what people will count, not about a rate: that a few hits happen to be
/// wrong breaks the promise as well. So the first hits need the surest look-ups, and what was
/// served is judged again at every fit by all that is known then.
pub(super) fn open(curve: &Curve, mut seen: Seen, promise: f64) -> Option<Open> {
    let floor = curve.strata.last()?.floor;
    let before = curve.expected(&seen.served, seen.hits);
    seen.traffic.retain(|score| *score >= floor);
    seen.traffic.sort_by(|a, b| b.total_cmp(a));
    let step = (seen.traffic.len() / STEPS).max(1);
    let grown = ((seen.tried - TRIED_FEW) / (TRIED_ENOUGH - TRIED_FEW)).clamp(0.0, 1.0);
    let most = CHANCE[1] * (promise / PROMISE_EASY).min(1.0).powi(2);
    let chance = CHANCE[0] + (most - CHANCE[0]) * grown;
    let z_first = if seen.tried < TRIED_ENOUGH { Z_FEW } else { Z_FIRST };
    let mut best = None;
    for upto in (step..=seen.traffic.len()).step_by(step) {
        let part = upto as f64 / seen.traffic.len() as f64;
        let ahead = (AHEAD / promise).max(seen.hits).max((seen.tried - TRIED_ENOUGH) * part);
        let share = curve.expected(&seen.traffic[..upto], 1.0);
        let (rate, variance) = curve.wrong(share.iter().copied());
        let bound = rate + Z * variance.sqrt();
        let all = before.iter().zip(&share).map(|(before, share)| before + ahead * share);
        let (mean, variance) = curve.wrong(all);
        let threshold = seen.traffic[upto - 1];
        let shown = seen.first.as_ref().is_none_or(|plain| plain.bound(threshold, z_first) <= promise);
        if shown && bound <= promise && more_than(promise * (seen.hits + ahead), mean, variance) <= chance {
            best = Some(Open { threshold, bound });
        }
    }
    best
}

/// P(N > `most`) for N Poisson with an uncertain mean, itself Gamma of this mean and variance:
/// negative binomial.
fn more_than(most: f64, mean: f64, variance: f64) -> f64 {
    let (mean, variance) = (mean.max(1e-12), variance.max(1e-12));
    let (shape, scale) = (mean * mean / variance, variance / mean);
    // P(0) = (1 + scale)^-shape; P(n + 1) = P(n) · (shape + n) / (n + 1) · scale / (1 + scale).
    let mut log = -shape * scale.ln_1p();
    let ratio = (scale / (1.0 + scale)).ln();
    let mut upto = log.exp();
    for n in 0..most as u64 {
        log += ((shape + n as f64) / (n as f64 + 1.0)).ln() + ratio;
        upto += log.exp();
    }
    (1.0 - upto).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Γ(shape 2, scale 1): P(N ≤ 1) = ¼ + ¼, P(N ≤ 2) = ½ + 3/16; and a known mean is Poisson.
    #[test]
    fn the_count_has_its_distribution() {
        assert!((more_than(1.0, 2.0, 2.0) - 0.5).abs() < 1e-12);
        assert!((more_than(2.9, 2.0, 2.0) - 0.3125).abs() < 1e-12);
        assert!((more_than(0.0, 1.0, 0.0) - (1.0 - (-1.0_f64).exp())).abs() < 1e-6);
    }

    /// Labels, a tenth of them wrong at each score, whatever the model expects.
    fn labelled(count: usize) -> Vec<Labelled> {
        let one =
            |at: usize| Labelled { score: 6.0 * at as f64 / count as f64, right: !at.is_multiple_of(10), weight: 1.0 };
        (0..count).map(one).collect()
    }

    #[test]
    fn labels_overrule_the_model() {
        let curve = Curve::of(labelled(4_000), 0.05, 1.0);
        for score in [1.0, 3.0, 5.0] {
            assert!((curve.rate(score) - 0.1).abs() < 0.03, "{score}: {}", curve.rate(score));
        }
        assert!((Curve::of(Vec::new(), 0.05, 1.0).rate(9.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_wrong_too_often_is_not_opened() {
        let traffic = || (0..1_000).map(|at| 6.0 * f64::from(at) / 1_000.0).collect::<Vec<f64>>();
        let seen = || Seen { traffic: traffic(), served: Vec::new(), hits: 0.0, tried: 4_000.0, first: None };
        let open_at = |promise| open(&Curve::of(labelled(4_000), promise, 1.0), seen(), promise);
        assert_eq!(open_at(0.05), None);
        let open = open_at(0.2).unwrap();
        assert!(open.threshold < 1.0 && open.bound < 0.2, "{open:?}");
    }

    /// Thirty labels without a wrong one prove nothing; a thousand do.
    #[test]
    fn the_first_opening_needs_plain_evidence() {
        let right =
            |count: usize| (0..count).map(|_| Labelled { score: 1.0, right: true, weight: 1.0 }).collect::<Vec<_>>();
        assert!(
            Plain::of(&right(30)).bound(1.0, Z_FIRST) > 0.05 && Plain::of(&right(1_000)).bound(1.0, Z_FIRST) < 0.004
        );
        assert!(Plain::of(&right(1_000)).bound(2.0, Z_FIRST) > 1.0, "nothing is above");
    }

    /// A thousand hits at a fifth wrong leave no room for more than the promise later.
    #[test]
    fn what_was_served_counts() {
        let curve = Curve::of(labelled(4_000), 0.11, 1.0);
        let seen = |served: f64| Seen {
            traffic: vec![3.0; 1_000],
            served: vec![served; 10],
            hits: 1_000.0,
            tried: 4_000.0,
            first: None,
        };
        assert!(open(&curve, Seen { hits: 0.0, ..seen(3.0) }, 0.14).is_some());
        assert!(open(&curve, seen(-3.0), 0.1).is_none());
    }

    /// A hundred of the first 200 hits were wrong; what comes now is right.
    #[test]
    fn early_bad_luck_does_not_close_it_for_good() {
        let one = |at: usize| {
            let score = 6.0 * at as f64 / 4_000.0;
            Labelled { score, right: !at.is_multiple_of(if score > 3.0 { 500 } else { 2 }), weight: 1.0 }
        };
        let curve = Curve::of((0..4_000).map(one).collect(), 0.05, 1.0);
        let tried =
            |tried: f64| Seen { traffic: vec![5.0; 1_000], served: vec![1.0; 10], hits: 200.0, tried, first: None };
        assert!(open(&curve, tried(2_000.0), 0.05).is_none());
        assert!(open(&curve, tried(20_000.0), 0.05).is_some());
    }
}
