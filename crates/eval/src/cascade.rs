//! Whom to ask next, learnt from who was right on the same cases: what an intent's calls follow, and what the
//! measure and `baton eval` report.

use baton_stats::{Cascade, LatentClasses, Policy, SplitMix64, Step};

/// Kinds of inputs: of 3, 4 and 6 the best by cross-validation on the train part of `RouterBench`'s slice.
const KINDS: usize = 4;
/// Parts that take turns in being the one that nothing was learnt from.
const FOLDS: usize = 5;
/// The seed of what is random: where the fit begins, and who is in which part.
const SEED: u64 = 0;

/// Who is right together; `None` of no cases, or of more than 16 models. A row for each case: whether each
/// model was right.
#[must_use]
pub fn right_together(rows: &[Vec<bool>], seed: u64) -> Option<LatentClasses> {
    LatentClasses::fit(rows, KINDS, seed)
}

/// Whom an intent's call asks: one more while what that adds in right answers is worth more than it costs.
/// `usd`: what an answer of each model costs; `right_usd`: what one more right answer is worth, above 0; at most
/// `asks` are asked. `None` as [`right_together`].
#[must_use]
pub fn in_turn(rows: &[Vec<bool>], usd: &[f64], (right_usd, asks): (f64, u32)) -> Option<(LatentClasses, Policy)> {
    let joint = right_together(rows, SEED).filter(|joint| joint.answerers() == usd.len())?;
    let policy = Cascade::new(&joint, asks).policy(usd, 1.0 / right_usd);
    Some((joint, policy))
}

/// What comes of a policy where these are right: whether the answer given is, and who was asked. In the worst
/// reading: all wrong answers are the same, and nothing tells their camp from the other.
#[must_use]
pub fn walk(policy: &Policy, right: &[bool]) -> (bool, Vec<usize>) {
    let truly = (0..right.len()).filter(|place| right[*place]).fold(0_u16, |set, place| set | (1 << place));
    let (mut set, mut asked) = (0_u16, Vec::new());
    loop {
        match policy.step(set, set & truly) {
            Some(Step::Ask(place)) => {
                set |= 1 << place;
                asked.push(place);
            }
            Some(Step::Answer(camp)) => return (camp & !truly == 0, asked),
            None => return (false, asked),
        }
    }
}

/// The share of right answers of asking in turn, and what one costs in dollars, on cases that the policy did
/// not learn from: each of five parts in its turn, as [`walk`] reads them.
#[must_use]
pub fn cross_validated(rows: &[Vec<bool>], usd: &[f64], terms: (f64, u32)) -> Option<(f64, f64)> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    SplitMix64::new(SEED).shuffle(&mut order);
    let (mut right, mut spent) = (0_u32, 0.0);
    for fold in 0..FOLDS {
        let part = |inside: bool| -> Vec<Vec<bool>> {
            let of = order.iter().enumerate().filter(|(at, _)| (at % FOLDS == fold) == inside);
            of.map(|(_, place)| rows[*place].clone()).collect()
        };
        let (_, policy) = in_turn(&part(false), usd, terms)?;
        for row in part(true) {
            let (good, asked) = walk(&policy, &row);
            right += u32::from(good);
            spent += asked.iter().map(|place| usd[*place]).sum::<f64>();
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a number of cases")]
    let count = rows.len() as f64;
    Some((f64::from(right) / count, spent / count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cheap models that are right seven and six times of nine, and a dear one that always is.
    fn rows() -> Vec<Vec<bool>> {
        let row = |at: usize| match at % 9 {
            0..=4 => vec![true, true, true],
            5 | 6 => vec![true, false, true],
            7 => vec![false, true, true],
            _ => vec![false, false, true],
        };
        (0..180).map(row).collect()
    }

    const USD: [f64; 3] = [0.001, 0.001, 0.01];

    #[test]
    fn where_two_agree_the_dear_one_is_not_asked() {
        let (_, policy) = in_turn(&rows(), &USD, (0.04, 3)).unwrap();
        let walked = |right: [bool; 3]| walk(&policy, &right);
        assert_eq!(walked([true, true, true]), (true, vec![0, 1]));
        assert_eq!(walked([true, false, true]), (true, vec![0, 1, 2]));
        // Two wrong answers agree, in the worst reading, and are taken for right ones.
        assert_eq!(walked([false, false, true]), (false, vec![0, 1]));
    }

    #[test]
    fn a_right_answer_that_is_worth_little_is_left_to_a_cheap_model_and_one_that_is_worth_much_to_the_best() {
        let asked = |right_usd: f64| walk(&in_turn(&rows(), &USD, (right_usd, 3)).unwrap().1, &[true; 3]).1;
        assert_eq!(asked(0.001), [0]);
        assert_eq!(asked(10.0), [2]);
    }

    #[test]
    fn unseen_cases_say_what_it_comes_to() {
        // Two agree in six of nine, and are right in five of those: 8 of 9 in all, for less than the dear one.
        let (right, usd) = cross_validated(&rows(), &USD, (0.04, 3)).unwrap();
        assert!((right - 8.0 / 9.0).abs() < 0.03, "{right}");
        assert!(usd > 0.005 && usd < 0.009, "{usd}");
        assert!(cross_validated(&[], &USD, (0.04, 3)).is_none());
        assert!(in_turn(&rows(), &USD[..2], (0.04, 3)).is_none(), "a cost is missing");
    }
}
