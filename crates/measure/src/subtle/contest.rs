//! Single signals against the fused gate: each with its own threshold at the same share of false blocks.

use std::collections::BTreeMap;

use baton_stats::{Example, Fusion, SplitMix64};

use crate::parallel::parallel;

/// The true answer of one source and the planted ones, each as its signals.
pub(crate) struct Group {
    /// What it was drawn with: answers of one meeting, or several.
    pub(crate) cluster: usize,
    pub(crate) good: Vec<f64>,
    /// With the kind of error.
    pub(crate) bad: Vec<(usize, Vec<f64>)>,
}

/// One fold, and all others as what is known when it is judged.
pub(crate) struct Fold {
    pub(crate) train: Vec<Group>,
    pub(crate) test: Vec<Group>,
}

/// All folds, with the names of signals and kinds.
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) signals: Vec<&'static str>,
    pub(crate) kinds: Vec<&'static str>,
    pub(crate) folds: Vec<Fold>,
}

impl Set {
    /// Each answer once, where nothing that judges it was fitted to it.
    pub(crate) fn tested(&self) -> impl Iterator<Item = &Group> {
        self.folds.iter().flat_map(|fold| &fold.test)
    }
}

/// What one contestant scores: the true answer of each group, and the planted ones. Higher is better.
struct Scores {
    good: Vec<f64>,
    bad: Vec<Vec<f64>>,
}

/// What a contestant did on all folds, each judged by what the others taught.
pub(crate) struct Outcome {
    pub(crate) name: String,
    /// Share of true answers blocked at the thresholds from the other folds.
    pub(crate) false_blocks: f64,
    /// Share of planted errors detected at those thresholds.
    pub(crate) detected: f64,
    /// The same where exactly the wanted share of all true answers is blocked: every fold's threshold is the
    /// quantile of the other folds' true answers that does that.
    pub(crate) matched: f64,
    /// Of each kind, at the thresholds from the other folds.
    pub(crate) by_kind: Vec<f64>,
    /// The fused gate's detection minus this one's: thresholds from the other folds, and matched.
    pub(crate) behind: Option<[Behind; 2]>,
}

/// A difference, and its 95 % intervals where answers are drawn, and where clusters of them are.
#[derive(Clone, Copy)]
pub(crate) struct Behind {
    pub(crate) mean: f64,
    pub(crate) answers: [f64; 2],
    pub(crate) clusters: [f64; 2],
}

/// Blocks what is below `at`, and of what lies right there a share: so every signal, also one of few
/// values, blocks as much as it may.
#[derive(Clone, Copy)]
struct Threshold {
    at: f64,
    share: f64,
}

/// Of what a gate knows, to find its threshold; many, so that what a part's model was fitted on is nearly what
/// the whole one's was.
const PARTS: usize = 20;

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

    fn detected(self, scores: &Scores) -> f64 {
        let bad = || scores.bad.iter().flatten();
        bad().map(|score| self.blocks(*score)).sum::<f64>() / bad().count().max(1) as f64
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

/// One contestant's scores on a fold, and on what it knows.
struct Contestant {
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
        cluster: group.cluster,
    };
    groups.iter().map(of).collect()
}

/// A fusion fitted on train. Its threshold is chosen from what fusions of the other parts of it say, for it
/// knows its own train answers too well.
fn fused(train: &[Group], test: &[Group], share: f64) -> anyhow::Result<Contestant> {
    let outside = |part: usize| train.iter().filter(move |group| group.cluster % PARTS != part);
    let parts: Vec<Fused> =
        (0..PARTS).map(|part| Fused::fit(&outside(part).collect::<Vec<_>>(), share)).collect::<anyhow::Result<_>>()?;
    let whole = Fused::fit(&train.iter().collect::<Vec<_>>(), share)?;
    Ok(Contestant {
        train: Scores::of(train, |at, signals| parts[train[at].cluster % PARTS].log_odds(signals)),
        test: Scores::of(test, |_, signals| whole.log_odds(signals)),
    })
}

/// One signal, in the direction that detects more on train.
fn single(fold: &Fold, signal: usize, share: f64) -> Contestant {
    let sign = sign(&fold.train.iter().collect::<Vec<_>>(), signal, share);
    let of = |groups: &[Group]| Scores::of(groups, |_, signals| sign * signals[signal]);
    Contestant { train: of(&fold.train), test: of(&fold.test) }
}

/// 1 where low values of a signal detect more, −1 where high ones do.
fn sign(groups: &[&Group], signal: usize, share: f64) -> f64 {
    let detects = |sign: f64| {
        let scores = Scores::of(groups.iter().copied(), |_, signals| sign * signals[signal]);
        Threshold::of(scores.good.clone(), share).detected(&scores)
    };
    if detects(-1.0) > detects(1.0) { -1.0 } else { 1.0 }
}

/// The fused gate first, then the fused gate of the first `checks` signals, then each signal.
fn contestants(fold: &Fold, checks: usize, share: f64) -> anyhow::Result<Vec<Contestant>> {
    let signals = fold.test.first().map_or(0, |group| group.good.len());
    let mut all = vec![
        fused(&fold.train, &fold.test, share)?,
        fused(&cut(&fold.train, checks), &cut(&fold.test, checks), share)?,
    ];
    all.extend((0..signals).map(|signal| single(fold, signal, share)));
    Ok(all)
}

/// What a contestant says of one source's answers.
struct Said {
    /// The share of the true answers it knows that score less than this true one, and than each planted one:
    /// so scores of folds that know different answers are of one scale.
    good: f64,
    bad: Vec<f64>,
    /// How probable it is that each is blocked at the threshold from what it knows.
    good_blocked: f64,
    bad_blocked: Vec<f64>,
}

fn said(one: &Contestant, share: f64) -> impl Iterator<Item = Said> {
    let threshold = Threshold::of(one.train.good.clone(), share);
    let mut known = one.train.good.clone();
    known.sort_by(f64::total_cmp);
    let rank = move |score: &f64| known.partition_point(|known| known < score) as f64 / known.len() as f64;
    one.test.good.iter().zip(&one.test.bad).map(move |(good, bad)| Said {
        good: rank(good),
        bad: bad.iter().map(&rank).collect(),
        good_blocked: threshold.blocks(*good),
        bad_blocked: bad.iter().map(|bad| threshold.blocks(*bad)).collect(),
    })
}

/// What is detected of these sources' errors: at the thresholds from the other folds, and matched.
fn detected(said: &[Said], sources: &[usize], share: f64) -> [f64; 2] {
    let matched = Threshold::of(sources.iter().map(|at| said[*at].good).collect(), share);
    let (mut errors, mut sums) = (0, [0.0; 2]);
    for source in sources.iter().map(|at| &said[*at]) {
        errors += source.bad.len();
        sums[0] += source.bad_blocked.iter().sum::<f64>();
        sums[1] += source.bad.iter().map(|bad| matched.blocks(*bad)).sum::<f64>();
    }
    sums.map(|sum| sum / errors.max(1) as f64)
}

/// Cross-fitting: each fold is judged by contestants that were directed, fitted and given a threshold on the
/// others, and all that was said is counted together.
pub(crate) fn contest(set: &Set, checks: usize, share: f64, draws: (usize, u64)) -> anyhow::Result<Vec<Outcome>> {
    let names = ["fused gate", "fused, of baton-eval's checks only"].into_iter().chain(set.signals.iter().copied());
    let mut all: Vec<Vec<Said>> = names.clone().map(|_| Vec::new()).collect();
    for fold in parallel(&set.folds, |_, fold| contestants(fold, checks, share)) {
        all.iter_mut().zip(fold?).for_each(|(said, one)| said.extend(self::said(&one, share)));
    }
    let groups: Vec<&Group> = set.tested().collect();
    let answers: Vec<Vec<usize>> = (0..groups.len()).map(|at| vec![at]).collect();
    let mut clusters: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    groups.iter().enumerate().for_each(|(at, group)| clusters.entry(group.cluster).or_default().push(at));
    let clusters: Vec<Vec<usize>> = clusters.into_values().collect();
    let detects = |sources: &[usize]| all.iter().map(|said| detected(said, sources, share)).collect::<Vec<_>>();
    let seen = detects(&answers.concat());
    let drawn = parallel(&[answers, clusters], |_, units| bootstrap(detects, units, draws));
    let outcome = |(at, name): (usize, &str)| {
        let behind = |way: usize| {
            let of = |unit: usize| {
                let quantile = |share| baton_stats::quantile(&drawn[unit][at][way], share).unwrap_or(f64::NAN);
                [quantile(0.025), quantile(0.975)]
            };
            Behind { mean: seen[0][way] - seen[at][way], answers: of(0), clusters: of(1) }
        };
        Outcome {
            name: name.to_owned(),
            false_blocks: all[at].iter().map(|said| said.good_blocked).sum::<f64>() / groups.len().max(1) as f64,
            detected: seen[at][0],
            matched: seen[at][1],
            by_kind: (0..set.kinds.len()).map(|kind| of_kind(&groups, kind, &all[at])).collect(),
            behind: (at > 0).then(|| [behind(0), behind(1)]),
        }
    };
    Ok(names.enumerate().map(outcome).collect())
}

/// By how much the first contestant detected more than each, in each draw of the units.
fn bootstrap(
    detects: impl Fn(&[usize]) -> Vec<[f64; 2]>,
    units: &[Vec<usize>],
    (draws, seed): (usize, u64),
) -> Vec<[Vec<f64>; 2]> {
    let mut random = SplitMix64::new(seed);
    let mut behind: Vec<[Vec<f64>; 2]> = Vec::new();
    for _ in 0..draws {
        let drawn = (0..units.len()).flat_map(|_| &units[random.below(units.len() as u64) as usize]);
        let now = detects(&drawn.copied().collect::<Vec<_>>());
        behind.resize_with(now.len(), Default::default);
        for (one, at) in behind.iter_mut().zip(&now) {
            (0..2).for_each(|way| one[way].push(now[0][way] - at[way]));
        }
    }
    behind
}

fn of_kind(groups: &[&Group], kind: usize, said: &[Said]) -> f64 {
    let pairs = groups.iter().zip(said).flat_map(|(group, said)| group.bad.iter().zip(&said.bad_blocked));
    let mine: Vec<f64> = pairs.filter(|(bad, _)| bad.0 == kind).map(|(_, blocked)| *blocked).collect();
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

    /// Sources of two folds, each the train part of the other.
    fn made(signals: Vec<&'static str>, mut group: impl FnMut(usize) -> Group) -> Set {
        let mut part = || -> Vec<Group> { (0..200).map(&mut group).collect() };
        let [one, two] = [part(), part()];
        let copy = |part: &[Group]| cut(part, signals.len());
        let folds = vec![Fold { train: copy(&two), test: copy(&one) }, Fold { train: copy(&one), test: copy(&two) }];
        Set { name: "made", kinds: signals.clone(), signals, folds }
    }

    /// Two signals that each see one kind of error: together they see both.
    #[test]
    fn the_fused_gate_beats_signals_that_see_one_kind_each() {
        let mut random = SplitMix64::new(3);
        let set = made(vec!["a", "b"], |cluster| {
            let mut noise = |mean: f64| mean + random.next_f64() + random.next_f64();
            let good = vec![noise(0.0), noise(0.0)];
            let bad = vec![(0, vec![noise(-2.0), noise(0.0)]), (1, vec![noise(0.0), noise(-2.0)])];
            Group { cluster, good, bad }
        });
        let outcomes = contest(&set, 1, 0.05, (200, 1)).unwrap();
        assert!(outcomes[0].detected > 0.9, "{}", outcomes[0].detected);
        assert!(outcomes[2].detected < 0.6 && outcomes[2].by_kind[0] > 0.9);
        assert!(outcomes[2..].iter().all(|one| one.behind.unwrap().iter().all(|way| way.answers[0] > 0.2)));
    }

    /// A signal that says nothing: no difference to be shown where both are blind.
    #[test]
    fn blind_signals_win_nothing() {
        let mut random = SplitMix64::new(3);
        let set = made(vec!["a"], |cluster| Group {
            cluster,
            good: vec![random.next_f64()],
            bad: vec![(0, vec![random.next_f64()])],
        });
        let outcomes = contest(&set, 1, 0.05, (200, 1)).unwrap();
        assert!(outcomes[2].behind.unwrap()[1].answers[0] <= 0.0);
    }

    /// Folds whose scores are shifted against each other are counted on one scale.
    #[test]
    fn scores_of_folds_are_of_one_scale_and_clusters_count_once() {
        let mut random = SplitMix64::new(3);
        let mut set = made(vec!["a"], |at| {
            let good = random.next_f64();
            Group { cluster: at % 5, good: vec![good], bad: vec![(0, vec![good - 0.5 * (at % 5) as f64])] }
        });
        let before = contest(&set, 1, 0.05, (200, 1)).unwrap()[2].matched;
        let Fold { train, test } = &mut set.folds[0];
        for group in train.iter_mut().chain(test) {
            group.good[0] += 10.0;
            group.bad[0].1[0] += 10.0;
        }
        let after = contest(&set, 1, 0.05, (200, 1)).unwrap();
        assert!((after[2].matched - before).abs() < 1e-9, "{} {before}", after[2].matched);
        let whole = |drawn: &[usize]| drawn.chunks(2).all(|pair| pair == [0, 1] || pair == [2, 3]);
        let drawn = bootstrap(|drawn| vec![[0.0; 2], [f64::from(whole(drawn)); 2]], &[vec![0, 1], vec![2, 3]], (50, 1));
        assert!(drawn[1][0].iter().all(|whole| *whole < -0.5), "a cluster is drawn whole");
    }
}
