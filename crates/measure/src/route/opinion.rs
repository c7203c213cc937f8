//! A second opinion, as the product has it: one model answers, another is asked the same; where they
//! differ a third answers, whose word is taken. In the worst reading, as where models are asked in turn.

use baton_stats::LatentClasses;

use super::cascade::{Outcomes, Part, learnt, prices, singles};

/// Who answers, who gives the second opinion, and who answers where that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Three([usize; 3]);

/// Single models, and at each price the three that are expected to be worth most.
pub(super) fn outcomes(fitted: Part<'_>, run: Part<'_>, seed: u64) -> Outcomes {
    let (joint, costs) = learnt(fitted, seed);
    let mut all = singles(run, costs.len());
    let Some(joint) = joint else { return all };
    let expected: Vec<(Three, (f64, f64))> =
        threes(costs.len()).map(|three| (three, three.expected(&joint, &costs))).collect();
    for price in prices() {
        let worth = |(_, (quality, cost)): &&(Three, (f64, f64))| quality - price * cost;
        let Some((best, _)) = expected.iter().max_by(|a, b| worth(a).total_cmp(&worth(b))) else { continue };
        all.push(run.each(|quality, cost| best.came(quality, cost)));
    }
    all
}

fn threes(models: usize) -> impl Iterator<Item = Three> {
    let all = (0..models.pow(3)).map(move |n| Three([n / models / models, n / models % models, n % models]));
    all.filter(|Three([a, b, c])| a != b && a != c && b != c)
}

impl Three {
    /// Quality and cost, where who is right together is known.
    fn expected(self, joint: &LatentClasses, costs: &[f64]) -> (f64, f64) {
        let [a, b, c] = self.0.map(|model| 1_u16 << model);
        let differ = joint.probability(a, b) + joint.probability(b, a);
        let third = joint.probability(a | c, b) + joint.probability(b | c, a);
        let [first, second, last] = self.0.map(|model| costs[model]);
        (joint.probability(a | b, 0) + third, first + second + differ * last)
    }

    /// The quality of the answer that is given, and the cost of all that were asked. Two wrong answers are the
    /// same one.
    fn came(self, quality: &[f64], cost: &[f64]) -> (f64, f64) {
        let [a, b, c] = self.0;
        let asked = cost[a] + cost[b];
        if (quality[a] >= 0.5) == (quality[b] >= 0.5) { (quality[a], asked) } else { (quality[c], asked + cost[c]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_decides_where_two_differ_and_two_that_are_wrong_agree() {
        let three = Three([0, 1, 2]);
        let cost = [1.0, 2.0, 10.0];
        for (quality, expected) in [
            ([1.0, 1.0, 0.0], (1.0, 3.0)),
            ([1.0, 0.0, 1.0], (1.0, 13.0)),
            // It may be worse than the one that it differs from: nothing says so.
            ([1.0, 0.0, 0.0], (0.0, 13.0)),
            ([0.0, 1.0, 1.0], (1.0, 13.0)),
            ([0.0, 0.0, 1.0], (0.0, 3.0)),
        ] {
            assert_eq!(three.came(&quality, &cost), expected, "{quality:?}");
        }
    }

    #[test]
    fn what_is_expected_is_what_comes_of_it() {
        // Independent: of one kind, right seven, six and nine times of ten.
        let row = |n: usize| vec![n % 10 < 7, n / 10 % 10 < 6, n / 100 < 9];
        let rows: Vec<Vec<bool>> = (0..1000).map(row).collect();
        let joint = LatentClasses::fit(&rows, 1, 0).unwrap();
        let (cost, three) = ([1.0, 2.0, 10.0], Three([0, 1, 2]));
        let as_quality = |row: &Vec<bool>| row.iter().map(|right| f64::from(u8::from(*right))).collect::<Vec<_>>();
        let all: Vec<(f64, f64)> = rows.iter().map(|row| three.came(&as_quality(row), &cost)).collect();
        let mean = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).sum::<f64>() / 1000.0;
        let (quality, spent) = three.expected(&joint, &cost);
        assert!((quality - mean(|came| came.0)).abs() < 1e-3 && (spent - mean(|came| came.1)).abs() < 1e-2);
        assert_eq!(threes(4).count(), 24);
    }
}
