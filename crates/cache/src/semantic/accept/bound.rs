//! From labels to a threshold: the lowest one at which an upper bound on what is served wrong
//! keeps the promise.

use super::model::probability;

/// Look-ups of similar score, and how often those labelled were wrong.
#[derive(Debug, Clone, Copy)]
struct Stratum {
    /// The lowest score in it.
    floor: f64,
    /// Mean of the rate of wrong ones.
    rate: f64,
    /// Its variance.
    variance: f64,
}

/// The rate of wrong answers by score, from the highest scores down.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve(Vec<Stratum>);

impl Curve {
    /// Strata are cut by what the model expects, never by labels, so that each stratum's labels
    /// are a plain sample of it: within one, whether a look-up was labelled does not depend on
    /// whether it was right. The rate has a Gamma prior worth one wrong answer with the mean that
    /// the model expects.
    pub(super) fn of(mut labelled: Vec<(f64, bool)>) -> Self {
        let (wrong_min, labels_min) = (super::tune("SE", 2.0), super::tune("SN", 50.0));
        labelled.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut strata = Vec::new();
        let (mut has, mut wrong, mut expected) = (0.0, 0.0, 0.0);
        for (score, right) in labelled {
            has += 1.0;
            wrong += f64::from(!right);
            expected += probability(-score);
            if expected >= wrong_min && has >= labels_min {
                let prior = super::tune("PRIOR", 1.0);
                let weight = has + prior * has / expected;
                let rate = ((wrong + prior) / weight).min(1.0);
                strata.push(Stratum { floor: score, rate, variance: rate / weight });
                (has, wrong, expected) = (0.0, 0.0, 0.0);
            }
        }
        Self(strata)
    }

    fn at(&self, score: f64) -> Option<(usize, &Stratum)> {
        let index = self.0.partition_point(|stratum| stratum.floor > score);
        Some((index, self.0.get(index)?))
    }

    /// How likely a look-up of this score is wrong; 1 where nothing like it has been seen.
    pub(super) fn rate(&self, score: f64) -> f64 {
        self.at(score).map_or(1.0, |(_, stratum)| stratum.rate)
    }
}

/// What has been served so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Served {
    pub(super) hits: f64,
    /// Expected number of wrong ones among them.
    pub(super) wrong: f64,
}

/// The threshold in force.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Open {
    pub(super) threshold: f64,
    /// Upper bound on the share of wrong ones at or above it.
    pub(super) bound: f64,
}

/// The lowest threshold at which both hold: of the look-ups above it, the upper bound on the share
/// of wrong ones is at most `promise`; and, were `ahead` more served, then of all ever served
/// more than the promise would be wrong with probability at most [`CHANCE`].
pub(super) fn open(curve: &Curve, traffic: &mut [f64], served: Served, promise: f64) -> Option<Open> {
    traffic.sort_by(|a, b| b.total_cmp(a));
    let mut counts = vec![0.0; curve.0.len()];
    let z = super::tune("Z", 1.0);
    let mut best = None;
    let ahead = (super::tune("AHEAD", 3.0) / promise).max(super::tune("FRAC", 0.25) * served.hits);
    for (at, &score) in traffic.iter().enumerate() {
        let Some((stratum, _)) = curve.at(score) else { break };
        counts[stratum] += 1.0;
        if at % 10 != 9 {
            continue;
        }
        let all = at as f64 + 1.0;
        let (mut rate, mut variance) = (0.0, 0.0);
        for (count, stratum) in counts.iter().zip(&curve.0) {
            let share = count / all;
            rate += share * stratum.rate;
            variance += share * share * stratum.variance;
        }
        let bound = rate + z * variance.sqrt();
        if rate > 2.0 * promise {
            break;
        }
        let kept = too_many(
            served.wrong + ahead * rate,
            served.wrong * super::tune("OVER", 0.0) + ahead * ahead * variance * super::tune("VS", 1.0),
            promise * (served.hits + ahead),
        ) <= super::tune("CHANCE", 0.05);
        if bound <= promise && kept {
            best = Some(Open { threshold: score, bound });
        }
    }
    best
}

/// P(N > `most`) for N Poisson with an uncertain mean, itself Gamma of this mean and variance:
/// negative binomial.
fn too_many(mean: f64, variance: f64, most: f64) -> f64 {
    let shape = mean * mean / variance.max(1e-12);
    let scale = variance.max(1e-12) / mean.max(1e-12);
    // P(0) = (1 + scale)^-shape; P(n + 1) = P(n) · (shape + n) / (n + 1) · scale / (1 + scale).
    let mut log = -shape * scale.ln_1p();
    let mut below = log.exp();
    let ratio = (scale / (1.0 + scale)).ln();
    for n in 0..most as u64 {
        log += ((shape + n as f64) / (n as f64 + 1.0)).ln() + ratio;
        below += log.exp();
    }
    1.0 - below
}
