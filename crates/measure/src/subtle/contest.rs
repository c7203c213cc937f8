//! Single signals against the fused gate: each with its own threshold at the same share of false blocks.

use baton_stats::{Example, Fusion, SplitMix64};

/// The true answer of one source and the planted ones, each as its signals.
pub(crate) struct Group {
    pub(crate) good: Vec<f64>,
    /// With the kind of error.
    pub(crate) bad: Vec<(usize, Vec<f64>)>,
}

/// Train and test, with the names of signals and kinds.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) signals: Vec<&'static str>,
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) train: Vec<Group>,
    pub(crate) test: Vec<Group>,
}

/// What one contestant scores: the true answer of each group, and the planted ones. Higher is better.
struct Scores {
    good: Vec<f64>,
    bad: Vec<Vec<f64>>,
}

/// What a contestant did on the test part.
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// Share of true answers blocked at the threshold from train.
    pub(crate) false_blocks: f64,
    /// Share of planted errors detected at that threshold.
    pub(crate) detected: f64,
    /// The same where the test's true answers are blocked at exactly the wanted share.
    pub(crate) matched: f64,
    /// Of each kind, at the threshold from train.
    pub(crate) by_kind: Vec<f64>,
    /// The fused gate's detection minus this one's with its 95 % interval: threshold from train, and matched.
    pub(crate) behind: Option<[Interval; 2]>,
}

/// A difference and the interval of it.
#[derive(Clone, Copy)]
pub(crate) struct Interval {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Blocks what is below `at`, and of what lies right there a share: so every signal, also one of few
/// values, blocks as much as it may.
#[derive(Clone, Copy)]
struct Threshold {
    at: f64,
    share: f64,
}

/// Many, so that what a fold's model was fitted on is nearly what the whole one's was.
const FOLDS: usize = 20;

impl Threshold {
    /// Blocks this share of the scores.
    fn of(mut scores: Vec<f64>, share: f64) -> Self {
        scores.sort_by(f64::total_cmp);
        let wanted = share * scores.len() as f64;
        let Some(at) = scores.get(wanted as usize).or(scores.last()).copied() else {
            return Self { at: f64::NEG_INFINITY, share: 0.0 };
        };
        let below = scores.partition_point(|score| *score < at);
        let ties = scores.partition_point(|score| *score <= at) - below;
        Self { at, share: ((wanted - below as f64) / ties as f64).clamp(0.0, 1.0) }
    }

    /// How probable it is that this score is blocked.
    fn blocks(self, score: f64) -> f64 {
        if score < self.at {
            1.0
        } else if score <= self.at {
            self.share
        } else {
            0.0
        }
    }

    fn detected(self, scores: &Scores, groups: &[usize]) -> f64 {
        let blocked = |group: &usize| scores.bad[*group].iter().map(|score| self.blocks(*score)).sum::<f64>();
        let count: usize = groups.iter().map(|group| scores.bad[*group].len()).sum();
        groups.iter().map(blocked).sum::<f64>() / count.max(1) as f64
    }

    /// Chosen on these groups.
    fn on(scores: &Scores, groups: &[usize], share: f64) -> Self {
        Self::of(groups.iter().map(|group| scores.good[*group]).collect(), share)
    }
}

impl Scores {
    fn of<'a>(
        groups: impl IntoIterator<Item = &'a Group, IntoIter: Clone>,
        score: impl Fn(usize, &[f64]) -> f64,
    ) -> Self {
        let known = |value: f64| if value.is_nan() { f64::INFINITY } else { value };
        let groups = groups.into_iter().enumerate();
        let numbered = || groups.clone();
        Self {
            good: numbered().map(|(at, group)| known(score(at, &group.good))).collect(),
            bad: numbered()
                .map(|(at, group)| group.bad.iter().map(|(_, bad)| known(score(at, bad))).collect())
                .collect(),
        }
    }
}

/// One contestant's scores on both parts.
struct Contestant {
    name: String,
    train: Scores,
    test: Scores,
}

/// A fusion of how unusual each signal is among the true answers of train, on the side where errors lie: a
/// signal that is far out counts for much, which the signals themselves in a sum of weights do not.
struct Fused {
    /// For each signal its sign, and of the true answers of train what it is with that, ascending.
    usual: Vec<(f64, Vec<f64>)>,
    fusion: Option<Fusion>,
}

impl Fused {
    fn fit(groups: &[&Group], share: f64) -> anyhow::Result<Self> {
        let width = groups.first().map_or(0, |group| group.good.len());
        let usual = (0..width).map(|signal| {
            let sign = sign(groups, signal, share);
            let goods = groups.iter().map(|group| sign * group.good[signal]);
            let mut values: Vec<f64> = goods.filter(|v| !v.is_nan()).collect();
            values.sort_by(f64::total_cmp);
            (sign, values)
        });
        let mut fused = Self { usual: usual.collect(), fusion: None };
        fused.fusion = Some(fit(groups.iter().copied(), |signals| fused.features(signals))?);
        Ok(fused)
    }

    fn features(&self, signals: &[f64]) -> Vec<f64> {
        let of = |(value, (sign, usual)): (&f64, &(f64, Vec<f64>))| {
            if value.is_nan() {
                return f64::NAN;
            }
            // The share of true answers as far out, counted with this one.
            let beyond = usual.partition_point(|other| *other <= sign * value);
            -((beyond as f64 + 1.0) / (usual.len() as f64 + 1.0)).ln()
        };
        signals.iter().zip(&self.usual).map(of).collect()
    }

    fn log_odds(&self, signals: &[f64]) -> f64 {
        self.fusion.as_ref().map_or(f64::NAN, |fusion| fusion.log_odds(&self.features(signals)))
    }
}

fn fit<'a>(
    groups: impl Iterator<Item = &'a Group>,
    features: impl Fn(&[f64]) -> Vec<f64> + Copy,
) -> anyhow::Result<Fusion> {
    let example = move |signals: &[f64], good| Example { features: features(signals), good };
    let examples: Vec<Example> = groups
        .flat_map(|group| group.bad.iter().map(move |(_, bad)| example(bad, false)).chain([example(&group.good, true)]))
        .collect();
    Ok(Fusion::fit(&examples)?)
}

/// Only the first signals.
fn cut(groups: &[Group], upto: usize) -> Vec<Group> {
    let cut = |signals: &Vec<f64>| signals[..upto].to_vec();
    let of = |group: &Group| Group {
        good: cut(&group.good),
        bad: group.bad.iter().map(|(kind, bad)| (*kind, cut(bad))).collect(),
    };
    groups.iter().map(of).collect()
}

/// A fusion fitted on train. Its threshold is chosen from what fusions of the other folds say, for it knows
/// its own train answers too well.
fn fused(name: &str, train: &[Group], test: &[Group], share: f64) -> anyhow::Result<Contestant> {
    let outside = |fold: usize| train.iter().enumerate().filter(move |(at, _)| at % FOLDS != fold).map(|(_, g)| g);
    let folds: Vec<Fused> =
        (0..FOLDS).map(|fold| Fused::fit(&outside(fold).collect::<Vec<_>>(), share)).collect::<anyhow::Result<_>>()?;
    let whole = Fused::fit(&train.iter().collect::<Vec<_>>(), share)?;
    Ok(Contestant {
        name: name.to_owned(),
        train: Scores::of(train, |at, signals| folds[at % FOLDS].log_odds(signals)),
        test: Scores::of(test, |_, signals| whole.log_odds(signals)),
    })
}

/// One signal, in the direction that detects more on train.
fn single(set: &Set, signal: usize, share: f64) -> Contestant {
    let sign = sign(&set.train.iter().collect::<Vec<_>>(), signal, share);
    let of = |groups: &[Group]| Scores::of(groups, |_, signals| sign * signals[signal]);
    Contestant { name: set.signals[signal].to_owned(), train: of(&set.train), test: of(&set.test) }
}

/// 1 where low values of a signal detect more, −1 where high ones do.
fn sign(groups: &[&Group], signal: usize, share: f64) -> f64 {
    let all: Vec<usize> = (0..groups.len()).collect();
    let detects = |sign: f64| {
        let scores = Scores::of(groups.iter().copied(), |_, signals| sign * signals[signal]);
        Threshold::on(&scores, &all, share).detected(&scores, &all)
    };
    if detects(-1.0) > detects(1.0) { -1.0 } else { 1.0 }
}

/// The fused gate first, then the fused gate of the checks alone (the first `checks` signals), then each signal.
pub(crate) fn contest(set: &Set, checks: usize, share: f64, draws: (usize, u64)) -> anyhow::Result<Vec<Outcome>> {
    let mut all = vec![
        fused("fused gate", &set.train, &set.test, share)?,
        fused("fused, of baton-eval's checks only", &cut(&set.train, checks), &cut(&set.test, checks), share)?,
    ];
    all.extend((0..set.signals.len()).map(|signal| single(set, signal, share)));
    let train: Vec<usize> = (0..set.train.len()).collect();
    let test: Vec<usize> = (0..set.test.len()).collect();
    let thresholds: Vec<Threshold> = all.iter().map(|one| Threshold::on(&one.train, &train, share)).collect();
    let detects = |groups: &[usize]| -> Vec<[f64; 2]> {
        let one = |(one, threshold): (&Contestant, &Threshold)| {
            let matched = Threshold::on(&one.test, groups, share);
            [threshold.detected(&one.test, groups), matched.detected(&one.test, groups)]
        };
        all.iter().zip(&thresholds).map(one).collect()
    };
    let seen = detects(&test);
    let behind = bootstrap(detects, test.len(), draws);
    let outcome = |at: usize| {
        let (one, threshold) = (&all[at], thresholds[at]);
        let interval = |way: usize| Interval {
            mean: seen[0][way] - seen[at][way],
            low: baton_stats::quantile(&behind[at][way], 0.025).unwrap_or(f64::NAN),
            high: baton_stats::quantile(&behind[at][way], 0.975).unwrap_or(f64::NAN),
        };
        Outcome {
            name: one.name.clone(),
            false_blocks: one.test.good.iter().map(|score| threshold.blocks(*score)).sum::<f64>() / test.len() as f64,
            detected: seen[at][0],
            matched: seen[at][1],
            by_kind: (0..set.kinds.len()).map(|kind| of_kind(set, kind, &one.test, threshold)).collect(),
            behind: (at > 0).then(|| [interval(0), interval(1)]),
        }
    };
    Ok((0..all.len()).map(outcome).collect())
}

/// By how much the first contestant detected more than each, in each draw of the groups.
fn bootstrap(
    detects: impl Fn(&[usize]) -> Vec<[f64; 2]>,
    groups: usize,
    (draws, seed): (usize, u64),
) -> Vec<[Vec<f64>; 2]> {
    let mut random = SplitMix64::new(seed);
    let mut behind: Vec<[Vec<f64>; 2]> = Vec::new();
    for _ in 0..draws {
        let drawn: Vec<usize> = (0..groups).map(|_| random.below(groups as u64) as usize).collect();
        let now = detects(&drawn);
        behind.resize_with(now.len(), Default::default);
        for (one, at) in behind.iter_mut().zip(&now) {
            (0..2).for_each(|way| one[way].push(now[0][way] - at[way]));
        }
    }
    behind
}

fn of_kind(set: &Set, kind: usize, scores: &Scores, threshold: Threshold) -> f64 {
    let pairs = set.test.iter().zip(&scores.bad).flat_map(|(group, scores)| group.bad.iter().zip(scores));
    let mine: Vec<f64> = pairs.filter(|(bad, _)| bad.0 == kind).map(|(_, score)| threshold.blocks(*score)).collect();
    mine.iter().sum::<f64>() / mine.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_blocks_the_share_whatever_the_ties() {
        for scores in [vec![1.0; 40], (0..40).map(f64::from).collect(), (0..40).map(|n| f64::from(n / 7)).collect()] {
            let threshold = Threshold::of(scores.clone(), 0.05);
            let blocked: f64 = scores.iter().map(|score| threshold.blocks(*score)).sum();
            assert!((blocked - 2.0).abs() < 1e-9, "{blocked} of {scores:?}");
        }
    }

    /// Two signals that each see one kind of error: together they see both. The test part is new.
    #[test]
    fn the_fused_gate_beats_signals_that_see_one_kind_each() {
        let mut random = SplitMix64::new(3);
        let mut group = || {
            let mut noise = |mean: f64| mean + random.next_f64() + random.next_f64();
            let good = vec![noise(0.0), noise(0.0)];
            let bad = vec![(0, vec![noise(-2.0), noise(0.0)]), (1, vec![noise(0.0), noise(-2.0)])];
            Group { good, bad }
        };
        let set = Set {
            name: "made",
            signals: vec!["a", "b"],
            kinds: vec!["a", "b"],
            train: (0..200).map(|_| group()).collect(),
            test: (0..200).map(|_| group()).collect(),
        };
        let outcomes = contest(&set, 1, 0.05, (200, 1)).unwrap();
        assert!(outcomes[0].detected > 0.9, "{}", outcomes[0].detected);
        assert!(outcomes[2].detected < 0.6 && outcomes[2].by_kind[0] > 0.9);
        assert!(outcomes[2..].iter().all(|one| one.behind.unwrap().iter().all(|way| way.low > 0.2)));
    }

    /// A signal that says nothing: no difference to be shown where both are blind.
    #[test]
    fn blind_signals_win_nothing() {
        let mut random = SplitMix64::new(3);
        let mut group = || Group { good: vec![random.next_f64()], bad: vec![(0, vec![random.next_f64()])] };
        let [train, test] = [(); 2].map(|()| (0..200).map(|_| group()).collect());
        let set = Set { name: "made", signals: vec!["a"], kinds: vec!["a"], train, test };
        let outcomes = contest(&set, 1, 0.05, (200, 1)).unwrap();
        assert!(outcomes[2].behind.unwrap()[1].low <= 0.0);
    }
}
