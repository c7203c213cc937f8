//! Who is right together: questions of a few hidden kinds, within each of which answerers are right
//! independently of each other. So a few hundred questions say how likely each pattern of right and
//! wrong answers is, those never seen included.

use crate::SplitMix64;

/// At most so many answerers, whose sets are bits of a `u16`.
pub const ANSWERERS_MAX: usize = 16;
const STEPS: usize = 100;
/// It ends where a step adds less to the log-likelihood.
const ENOUGH: f64 = 1e-4;
/// Of several beginnings the likeliest end is kept: EM finds a local maximum.
const STARTS: u64 = 3;
/// Questions that a prior counts as: for each kind's share, and within a kind for each answerer's own mean.
const PRIOR: f64 = 1.0;
/// No answerer is always right or always wrong.
const EDGE: f64 = 1e-3;

/// A mixture of kinds of questions (Lazarsfeld and Henry, "Latent Structure Analysis", 1968), fitted by
/// EM (Dempster, Laird and Rubin, 1977). With what is right known, unlike in Dawid and Skene (1979).
#[derive(Debug, Clone)]
pub struct LatentClasses {
    shares: Vec<f64>,
    /// For each kind each answerer's probability to be right.
    right: Vec<Vec<f64>>,
}

impl LatentClasses {
    /// Fits so many kinds to `outcomes`: a row a question, whether each answerer was right. `None`
    /// without rows or kinds, with rows of unlike lengths, or with more than 16 answerers.
    #[must_use]
    pub fn fit(outcomes: &[Vec<bool>], kinds: usize, seed: u64) -> Option<Self> {
        let answerers = outcomes.first()?.len();
        let sound = kinds > 0 && (1..=ANSWERERS_MAX).contains(&answerers);
        if !sound || outcomes.iter().any(|row| row.len() != answerers) {
            return None;
        }
        let start = |start| em(outcomes, kinds, SplitMix64::new(seed.wrapping_mul(STARTS).wrapping_add(start)));
        (0..STARTS).map(start).max_by(|a, b| a.1.total_cmp(&b.1)).map(|(fitted, _)| fitted)
    }

    /// How many answerers there are.
    #[must_use]
    pub fn answerers(&self) -> usize {
        self.right.first().map_or(0, Vec::len)
    }

    /// The probability that all of `right` are right and all of `wrong` wrong, whatever the others are.
    #[must_use]
    pub fn probability(&self, right: u16, wrong: u16) -> f64 {
        let has = |set: u16, place: usize| set & (1 << place) != 0;
        let kind = |(share, chances): (&f64, &Vec<f64>)| {
            let each = chances.iter().enumerate().map(|(place, chance)| match (has(right, place), has(wrong, place)) {
                (true, _) => *chance,
                (_, true) => 1.0 - chance,
                _ => 1.0,
            });
            share * each.product::<f64>()
        };
        self.shares.iter().zip(&self.right).map(kind).sum()
    }
}

/// From random memberships to a local maximum, with its log-likelihood.
fn em(outcomes: &[Vec<bool>], kinds: usize, mut rng: SplitMix64) -> (LatentClasses, f64) {
    let count = outcomes.len() as f64;
    let answerers = outcomes[0].len();
    let mean = |place: usize| outcomes.iter().filter(|row| row[place]).count() as f64 / count;
    let means: Vec<f64> = (0..answerers).map(mean).collect();
    let mut members: Vec<Vec<f64>> =
        outcomes.iter().map(|_| normalised((0..kinds).map(|_| rng.next_f64() + 1e-6).collect()).0).collect();
    let mut fitted = LatentClasses { shares: Vec::new(), right: Vec::new() };
    let mut likelihood = f64::NEG_INFINITY;
    for _ in 0..STEPS {
        fitted = maximised(outcomes, &members, &means);
        let before = std::mem::take(&mut likelihood);
        for (row, members) in outcomes.iter().zip(&mut members) {
            let chance = |chances: &Vec<f64>| -> f64 {
                chances.iter().zip(row).map(|(chance, right)| if *right { *chance } else { 1.0 - chance }).product()
            };
            let joint = fitted.shares.iter().zip(&fitted.right).map(|(share, chances)| share * chance(chances));
            let (shares, all) = normalised(joint.collect());
            *members = shares;
            likelihood += all.ln();
        }
        if likelihood - before < ENOUGH {
            break;
        }
    }
    (fitted, likelihood)
}

fn maximised(outcomes: &[Vec<bool>], members: &[Vec<f64>], means: &[f64]) -> LatentClasses {
    let kinds = members[0].len();
    let mut sizes = vec![0.0; kinds];
    let mut sums = vec![vec![0.0; means.len()]; kinds];
    for (row, members) in outcomes.iter().zip(members) {
        for ((size, sums), member) in sizes.iter_mut().zip(&mut sums).zip(members) {
            *size += member;
            sums.iter_mut().zip(row).for_each(|(sum, right)| *sum += if *right { *member } else { 0.0 });
        }
    }
    let all = outcomes.len() as f64 + PRIOR * kinds as f64;
    let chance = |sum: f64, mean: f64, size: f64| ((sum + PRIOR * mean) / (size + PRIOR)).clamp(EDGE, 1.0 - EDGE);
    let kind = |(sums, size): (&Vec<f64>, &f64)| sums.iter().zip(means).map(|(s, m)| chance(*s, *m, *size)).collect();
    LatentClasses {
        shares: sizes.iter().map(|size| (size + PRIOR) / all).collect(),
        right: sums.iter().zip(&sizes).map(kind).collect(),
    }
}

/// Shares of their sum, and the sum.
fn normalised(mut parts: Vec<f64>) -> (Vec<f64>, f64) {
    let all: f64 = parts.iter().sum();
    parts.iter_mut().for_each(|part| *part /= all);
    (parts, all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two kinds of questions: on easy ones each is right nine times of ten, on hard ones once.
    fn world(seed: u64) -> Vec<Vec<bool>> {
        let mut rng = SplitMix64::new(seed);
        let question = |_| {
            let chance = if rng.next_f64() < 0.6 { 0.9 } else { 0.1 };
            (0..4).map(|_| rng.next_f64() < chance).collect()
        };
        (0..1500).map(question).collect()
    }

    #[test]
    fn kinds_are_found_and_patterns_sum_to_one() {
        let fitted = LatentClasses::fit(&world(1), 2, 7).unwrap();
        let mut kinds: Vec<(f64, f64)> =
            fitted.shares.iter().zip(&fitted.right).map(|(share, right)| (right[0], *share)).collect();
        kinds.sort_by(|a, b| a.0.total_cmp(&b.0));
        for ((right, share), truth) in kinds.into_iter().zip([(0.1, 0.4), (0.9, 0.6)]) {
            assert!((right - truth.0).abs() < 0.05 && (share - truth.1).abs() < 0.05, "{right} {share}");
        }
        let all: f64 = (0..16).map(|right| fitted.probability(right, 15 & !right)).sum();
        assert!((all - 1.0).abs() < 1e-9);
        // Both right: .6 × .81 + .4 × .01; independent answerers would be right together less often.
        assert!((fitted.probability(0b11, 0) - 0.49).abs() < 0.05);
        let independent = LatentClasses::fit(&world(1), 1, 7).unwrap();
        assert!((independent.probability(0b11, 0) - 0.58 * 0.58).abs() < 0.05);
    }

    #[test]
    fn what_cannot_be_fitted_is_nothing() {
        assert!(LatentClasses::fit(&[], 2, 0).is_none());
        assert!(LatentClasses::fit(&[vec![true]], 0, 0).is_none());
        assert!(LatentClasses::fit(&[vec![true], vec![true, false]], 2, 0).is_none());
        assert!(LatentClasses::fit(&[vec![true; 17]], 2, 0).is_none());
        let one = LatentClasses::fit(&[vec![true; 16]], 3, 0).unwrap();
        assert_eq!(one.answerers(), 16);
        assert!(one.probability(u16::MAX, 0) > 0.9);
    }
}
