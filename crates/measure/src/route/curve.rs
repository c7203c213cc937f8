//! What a router's predictions come to: for each price of quality the model of most quality less cost,
//! the hull of what that yields, and its area.

use baton_stats::SplitMix64;

/// What is expected of each item and model.
#[derive(Clone)]
pub(crate) struct Predicted {
    pub(crate) quality: Vec<Vec<f64>>,
    /// USD for 1,000 calls.
    pub(crate) cost: Vec<Vec<f64>>,
}

/// Prices of cost in quality, for each USD of 1,000 calls: none, and from 0.0001 to 10 in even steps of
/// their logarithm.
fn prices() -> impl Iterator<Item = f64> {
    const STEPS: u32 = 160;
    std::iter::once(0.0).chain((0..=STEPS).map(|step| 10_f64.powf(5.0 * f64::from(step) / f64::from(STEPS) - 4.0)))
}

/// The model of most quality less cost.
pub(crate) fn pick(quality: &[f64], cost: &[f64], price: f64) -> usize {
    let worth = |model: &usize| quality[*model] - price * cost[*model];
    (0..quality.len()).max_by(|a, b| worth(a).total_cmp(&worth(b))).unwrap_or_default()
}

/// What came of a router: for each price the quality and cost of each item.
#[derive(Clone)]
pub(crate) struct Came(Vec<Vec<(f64, f64)>>);

/// A non-decreasing hull of points (cost, quality).
pub(crate) struct Hull(Vec<(f64, f64)>);

impl Came {
    pub(crate) fn of(predicted: &Predicted, quality: &[Vec<f64>], cost: &[Vec<f64>]) -> Self {
        let at = |price: f64| {
            let item = |i: usize| {
                let model = pick(&predicted.quality[i], &predicted.cost[i], price);
                (quality[i][model], cost[i][model])
            };
            (0..quality.len()).map(item).collect()
        };
        Self(prices().map(at).collect())
    }

    /// With these items going, at each price, by the policy that is best by what is expected of each.
    pub(crate) fn instead(mut self, items: &[usize], expected: &[(f64, f64)], came: &[Vec<(f64, f64)>]) -> Self {
        for (row, price) in self.0.iter_mut().zip(prices()) {
            let worth = |policy: &usize| expected[*policy].0 - price * expected[*policy].1;
            let best = (0..expected.len()).max_by(|a, b| worth(a).total_cmp(&worth(b)));
            let Some(came) = best.and_then(|best| came.get(best)) else { continue };
            items.iter().zip(came).for_each(|(item, came)| row[*item] = *came);
        }
        self
    }

    /// With each item counted so many times.
    pub(crate) fn hull(&self, times: &[f64]) -> Hull {
        let all: f64 = times.iter().sum();
        let mean = |items: &Vec<(f64, f64)>| {
            let add =
                |sum: (f64, f64), (item, times): (&(f64, f64), &f64)| (sum.0 + item.1 * times, sum.1 + item.0 * times);
            let sum = items.iter().zip(times).fold((0.0, 0.0), add);
            (sum.0 / all, sum.1 / all)
        };
        Hull::of(self.0.iter().map(mean).collect())
    }
}

impl Hull {
    pub(crate) fn of(mut points: Vec<(f64, f64)>) -> Self {
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut hull: Vec<(f64, f64)> = Vec::new();
        for point in points {
            if hull.last().is_some_and(|last| last.1 >= point.1) {
                continue;
            }
            while let [.., a, b] = hull.as_slice()
                && (b.1 - a.1) * (point.0 - a.0) <= (point.1 - a.1) * (b.0 - a.0)
            {
                hull.pop();
            }
            hull.push(point);
        }
        Self(hull)
    }

    /// Quality at a cost; beyond its ends that of the end.
    fn at(&self, cost: f64) -> f64 {
        let after = self.0.partition_point(|point| point.0 < cost);
        match (after.checked_sub(1).and_then(|before| self.0.get(before)), self.0.get(after)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (cost - a.0) / (b.0 - a.0),
            (Some(end), None) | (None, Some(end)) => end.1,
            (None, None) => 0.0,
        }
    }

    /// The area from cost to cost, divided by the range: AIQ, "average improvement in quality" (Hu et
    /// al., "RouterBench", 2024, section 3).
    pub(crate) fn area(&self, (from, to): (f64, f64)) -> f64 {
        let inner = self.0.iter().map(|point| point.0).filter(|cost| *cost > from && *cost < to);
        let cuts: Vec<f64> = std::iter::once(from).chain(inner).chain([to]).collect();
        let piece = |ends: &[f64]| (ends[1] - ends[0]) * (self.at(ends[0]) + self.at(ends[1])) / 2.0;
        cuts.windows(2).map(piece).sum::<f64>() / (to - from)
    }

    /// The least cost of this quality; `None` where it is never reached.
    pub(crate) fn cost_of(&self, quality: f64) -> Option<f64> {
        let place = self.0.iter().position(|point| point.1 >= quality)?;
        let b = self.0[place];
        let Some(a) = place.checked_sub(1).map(|before| self.0[before]) else { return Some(b.0) };
        Some(a.0 + (b.0 - a.0) * (quality - a.1) / (b.1 - a.1))
    }
}

/// Mean quality and cost of each model alone, with each item counted so many times.
pub(crate) fn singles(quality: &[Vec<f64>], cost: &[Vec<f64>], times: &[f64]) -> Vec<(f64, f64)> {
    let all: f64 = times.iter().sum();
    let mean = |rows: &[Vec<f64>], model: usize| {
        rows.iter().zip(times).map(|(row, times)| row[model] * times).sum::<f64>() / all
    };
    (0..quality.first().map_or(0, Vec::len)).map(|model| (mean(cost, model), mean(quality, model))).collect()
}

/// From the cheapest single model's cost to the dearest's.
pub(crate) fn range(singles: &[(f64, f64)]) -> (f64, f64) {
    let costs = || singles.iter().map(|point| point.0);
    (costs().fold(f64::INFINITY, f64::min), costs().fold(0.0, f64::max))
}

/// The area of each of these, on the same draws of items with replacement: a row a draw.
pub(crate) fn bootstrap(
    all: &[&Came],
    (quality, cost): (&[Vec<f64>], &[Vec<f64>]),
    draws: usize,
    seed: u64,
) -> Vec<Vec<f64>> {
    let mut rng = SplitMix64::new(seed);
    let count = quality.len();
    let draw = |_| {
        let mut times = vec![0.0; count];
        (0..count).for_each(|_| times[rng.below(count as u64) as usize] += 1.0);
        let range = range(&singles(quality, cost, &times));
        all.iter().map(|came| came.hull(&times).area(range)).collect()
    };
    (0..draws).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hull_by_hand() {
        let hull = Hull::of(vec![(0.0, 0.5), (1.0, 0.6), (2.0, 0.9), (3.0, 0.8), (4.0, 1.0)]);
        assert_eq!(hull.0, vec![(0.0, 0.5), (2.0, 0.9), (4.0, 1.0)]);
        assert!((hull.area((0.0, 4.0)) - 0.825).abs() < 1e-12);
        assert!((hull.area((-1.0, 5.0)) - (0.5 + 3.3 + 1.0) / 6.0).abs() < 1e-12);
        assert_eq!(hull.cost_of(0.7).map(|cost| (cost * 1e9).round()), Some(1e9));
        assert_eq!((hull.cost_of(0.4), hull.cost_of(1.1)), (Some(0.0), None));
    }

    #[test]
    fn who_knows_the_outcome_is_best() {
        let quality = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        let cost = vec![vec![1.0, 3.0], vec![1.0, 3.0]];
        let came = Came::of(&Predicted { quality: quality.clone(), cost: cost.clone() }, &quality, &cost);
        let hull = came.hull(&[1.0, 1.0]);
        assert_eq!(hull.0, vec![(1.0, 0.5), (2.0, 1.0)]);
        assert_eq!(range(&singles(&quality, &cost, &[1.0, 1.0])), (1.0, 3.0));
    }
}
