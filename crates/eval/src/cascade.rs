//! Whom to ask next, learnt from who was right on the same cases: what an intent's calls follow, and what the
//! measure and `baton eval` report.

use baton_config::{Plan, RightTogether};
use baton_core::{ModelId, NanoUsd, Usage};
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

/// What an intent's calls follow at the prices of this time, Unix microseconds, its models by their places in
/// [`RightTogether`]; `None` where it has another route, or nothing to learn from.
#[must_use]
pub fn in_force(plan: &Plan, unix_us: i64) -> Option<(&RightTogether, LatentClasses, Policy)> {
    let (cascade, known) = plan.route.in_turn()?;
    let usd = |(model, usage)| answer_usd(plan, model, (usage, unix_us));
    let usd: Vec<f64> = known.models.iter().zip(&known.usage).map(usd).collect::<Option<_>>()?;
    let case = |(right, times): &(Vec<bool>, u32)| std::iter::repeat_n(right.clone(), *times as usize);
    let rows: Vec<Vec<bool>> = known.rows.iter().flat_map(case).collect();
    let (joint, policy) = in_turn(&rows, &usd, (cascade.right_usd, cascade.asks))?;
    Some((known, joint, policy))
}

/// What an answer of so many tokens costs in dollars, of a model of the intent's own at this time, Unix microseconds;
/// `None` where its price is not known.
#[must_use]
pub fn answer_usd(plan: &Plan, model: &ModelId, (usage, unix_us): (&Usage, i64)) -> Option<f64> {
    let price = plan.candidates.iter().find(|spec| spec.id == *model)?.price.as_ref()?;
    // A price that is not in force yet is the best guess there is.
    let NanoUsd(nano) = price.cost(usage, unix_us).unwrap_or_else(|| price.cost_ever(usage));
    #[expect(clippy::cast_precision_loss, reason = "the cost of one answer")]
    let usd = nano as f64 / 1e9;
    Some(usd)
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

/// A policy in sentences: whom it asks, and what it does with what they say, under the sentence that it depends on.
/// Models by these names, of which there is one for each.
#[must_use]
pub fn described(policy: &Policy, names: &[&str]) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(Step::Ask(first)) = policy.step(0, 0) {
        tell(policy, names, (1 << first, 1 << first), format!("ask {}", names[first]), &mut lines);
    }
    lines
}

/// One sentence, which begins so, of what follows where these were asked and stand in these camps; and below it
/// those that depend on what the next one says.
fn tell(policy: &Policy, names: &[&str], (asked, camp): (u16, u16), begun: String, lines: &mut Vec<String>) {
    let depth = asked.count_ones() as usize - 1;
    let of = |set: u16| {
        let all: Vec<&str> =
            (0..names.len()).filter(|place| set & (1 << place) != 0).map(|place| names[place]).collect();
        all.join(" and ")
    };
    match policy.step(asked, camp) {
        Some(Step::Ask(next)) => {
            let (name, then) = (names[next], if depth == 0 { "then" } else { "ask" });
            lines.push(format!("{:1$}{begun}, {then} {name}", "", 2 * depth));
            let (bit, others) = (1 << next, asked & !camp);
            // Those that all agree stand first, and else the camp of the first by place.
            let first = others == 0 || camp.trailing_zeros() < others.trailing_zeros();
            let camps = if first { [camp, others] } else { [others, camp] };
            let says = |set: u16| match set {
                0 => format!("where {name} says something else"),
                set => format!("where {name} says the same as {}", of(set)),
            };
            for set in camps {
                tell(policy, names, (asked | bit, set | bit), says(set), lines);
            }
        }
        Some(Step::Answer(given)) => {
            lines.push(format!("{:1$}{begun}: the answer of {2} is given", "", 2 * depth, of(given)));
        }
        None => {}
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
    fn a_policy_reads_as_a_tree() {
        let told =
            |right_usd: f64| described(&in_turn(&rows(), &USD, (right_usd, 3)).unwrap().1, &["one", "two", "dear"]);
        assert_eq!(told(0.001), ["ask one: the answer of one is given"]);
        assert_eq!(
            told(0.04),
            [
                "ask one, then two",
                "  where two says the same as one: the answer of one and two is given",
                "  where two says something else, ask dear",
                "    where dear says the same as one: the answer of one and dear is given",
                "    where dear says the same as two: the answer of two and dear is given",
            ]
        );
    }

    /// Four that are right alike, asked for nothing: whoever may be asked still is, where it tells anything.
    #[test]
    fn the_longest_tree_is_fifteen_lines() {
        let rows: Vec<Vec<bool>> = (0..160).map(|n| (0..4).map(|place| (n >> place) % 4 != 0).collect()).collect();
        let policy = in_turn(&rows, &[1e-9; 4], (1.0, 4)).unwrap().1;
        let lines = described(&policy, &["a", "b", "c", "d"]);
        assert!(lines.len() <= 15 && lines.iter().any(|line| line.starts_with("      ")), "{lines:#?}");
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
