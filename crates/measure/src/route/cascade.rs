//! Asking in turn: one model, then perhaps another, until those asked are likely enough to be right.
//! Nothing is seen of the answers but which agree, and in the worst reading: all wrong answers to a
//! prompt are the same, so that those asked stand in two camps, and nobody says which is right.

use std::time::Instant;

use baton_stats::{Cascade, LatentClasses, Policy, SplitMix64, Step};

use super::PRICE;
use super::bench::{Bench, Set};
use super::curve::Came;
use crate::parallel::parallel;

/// Tasks whose answer is one of stated options, so that equal answers are equally right. Code is right in
/// many ways: there nothing is seen of agreement, and the means decide.
const CHOICES: [&str; 2] = ["arc-challenge", "winogrande"];
/// Kinds of prompts: of 3, 4 and 6 the best by cross-validation on the train part.
const KINDS: usize = 4;
/// At most so many models are asked; 5 and more were worse by cross-validation.
const ASKED: [u32; 2] = [3, 4];
const FOLDS: usize = 5;
/// Prices that policies are made for, from 0.002 to 0.3 in even steps of their logarithm.
const PRICES: u32 = 40;

/// Quality and cost of each item under each policy: single models first, then what asks in turn.
pub(super) type Outcomes = Vec<Vec<(f64, f64)>>;

/// What comes of the second part under policies that are made of the first, with a seed.
pub(super) type Policies = fn(Part<'_>, Part<'_>, u64) -> Outcomes;

/// Some items of a set.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    set: &'a Set,
    places: &'a [usize],
}

impl Part<'_> {
    /// What comes of each of its items, by quality and cost of each model.
    pub(super) fn each(self, came: impl Fn(&[f64], &[f64]) -> (f64, f64)) -> Vec<(f64, f64)> {
        self.places.iter().map(|place| came(&self.set.quality[*place], &self.set.cost[*place])).collect()
    }
}

/// What came of it on the test part with each seed's folds, where the tasks without options go as `means`.
pub(super) fn routers(bench: &Bench, means: &Came, seeds: u64, policies: Policies) -> Vec<Came> {
    let all: Vec<u64> = (0..seeds).collect();
    parallel(&all, |_, seed| {
        crate::report::progress(&format!("route: asking others, seed {seed}"));
        tasks(bench).fold(means.clone(), |came, task| router(bench, task, (*seed, policies), came))
    })
}

fn tasks(bench: &Bench) -> impl Iterator<Item = usize> {
    (0..bench.tasks.len()).filter(|task| CHOICES.contains(&bench.tasks[*task].as_str()))
}

fn places(set: &Set, task: usize) -> Vec<usize> {
    (0..set.items.len()).filter(|place| set.items[*place].task == task).collect()
}

/// At each price the policy that was best of the items that it had not been fitted on.
fn router(bench: &Bench, task: usize, (seed, policies): (u64, Policies), came: Came) -> Came {
    let (train, test) = (&bench.train, &bench.test);
    let mut order = places(train, task);
    SplitMix64::new(seed).shuffle(&mut order);
    let mut expected: Vec<(f64, f64)> = Vec::new();
    for fold in 0..FOLDS {
        let among = |inside: bool| -> Vec<usize> {
            order.iter().enumerate().filter(|(at, _)| (at % FOLDS == fold) == inside).map(|(_, place)| *place).collect()
        };
        let (fitted, left_out) = (among(false), among(true));
        let all = policies(Part { set: train, places: &fitted }, Part { set: train, places: &left_out }, seed);
        expected.resize(all.len(), (0.0, 0.0));
        for (sum, policy) in expected.iter_mut().zip(&all) {
            policy.iter().for_each(|one| *sum = (sum.0 + one.0, sum.1 + one.1));
        }
    }
    let count = order.len() as f64;
    expected.iter_mut().for_each(|sum| *sum = (sum.0 / count, sum.1 / count));
    let items = places(test, task);
    let all = policies(Part { set: train, places: &order }, Part { set: test, places: &items }, seed);
    came.instead(&items, &expected, &all)
}

/// Asking as many as pays.
pub(super) fn outcomes(fitted: Part<'_>, run: Part<'_>, seed: u64) -> Outcomes {
    let (joint, costs) = learnt(fitted, seed);
    let mut all = singles(run, costs.len());
    for cascade in joint.iter().flat_map(|joint| ASKED.map(|asked| Cascade::new(joint, asked))) {
        for price in prices() {
            let policy = cascade.policy(&costs, price);
            all.push(run.each(|quality, cost| walk(&policy, quality, cost)));
        }
    }
    all
}

/// Each model alone.
pub(super) fn singles(run: Part<'_>, models: usize) -> Outcomes {
    (0..models).map(|model| run.each(|quality, cost| (quality[model], cost[model]))).collect()
}

/// Those that policies are made for.
pub(super) fn prices() -> impl Iterator<Item = f64> {
    (0..=PRICES).map(|step| 0.002 * 150_f64.powf(f64::from(step) / f64::from(PRICES)))
}

/// Who is right together, and what each model costs.
pub(super) fn learnt(fitted: Part<'_>, seed: u64) -> (Option<LatentClasses>, Vec<f64>) {
    let right = |place: &usize| fitted.set.quality[*place].iter().map(|quality| *quality >= 0.5).collect();
    let rows: Vec<Vec<bool>> = fitted.places.iter().map(right).collect();
    let mut costs = vec![0.0; rows.first().map_or(0, Vec::len)];
    for place in fitted.places {
        costs.iter_mut().zip(&fitted.set.cost[*place]).for_each(|(sum, c)| *sum += c / rows.len() as f64);
    }
    (LatentClasses::fit(&rows, KINDS, seed), costs)
}

/// Quality of the answer that is given, and the cost of all that were asked. The policy is shown the camps
/// alone: it does not tell the right one from the other.
fn walk(policy: &Policy, quality: &[f64], cost: &[f64]) -> (f64, f64) {
    let right = (0..quality.len()).filter(|model| quality[*model] >= 0.5).fold(0_u16, |set, model| set | (1 << model));
    let (mut asked, mut spent) = (0_u16, 0.0);
    loop {
        match policy.step(asked, asked & right) {
            Some(Step::Ask(model)) => (asked, spent) = (asked | (1 << model), spent + cost[model]),
            Some(Step::Answer(camp)) => return (f64::from(u8::from(camp & !right == 0)), spent),
            None => return (0.0, spent),
        }
    }
}

/// What all decisions of one call take, microseconds: whom to ask, and again after each answer.
pub(super) fn decisions_us(bench: &Bench) -> Vec<f64> {
    let mut times = Vec::new();
    for task in tasks(bench) {
        let (train, test) = (places(&bench.train, task), places(&bench.test, task));
        let (joint, costs) = learnt(Part { set: &bench.train, places: &train }, 0);
        let Some(joint) = joint else { continue };
        let cascade = Cascade::new(&joint, ASKED[1]);
        let policy = cascade.policy(&costs, PRICE);
        for place in test {
            let began = Instant::now();
            let came = walk(&policy, &bench.test.quality[place], &bench.test.cost[place]);
            times.push(began.elapsed().as_secs_f64() * 1e6);
            std::hint::black_box(came);
        }
    }
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two cheap models that are right seven and six times of nine, and a dear one that always is.
    #[test]
    fn a_walk_pays_for_all_it_asks_and_cannot_see_who_is_right() {
        let rows: Vec<Vec<bool>> = (0..90)
            .map(|at| match at % 9 {
                0..=4 => vec![true, true, true],
                5 | 6 => vec![true, false, true],
                7 => vec![false, true, true],
                _ => vec![false, false, true],
            })
            .collect();
        let joint = LatentClasses::fit(&rows, 1, 0).unwrap();
        let cascade = Cascade::new(&joint, 3);
        let cost = [1.0, 1.0, 10.0];
        let policy = cascade.policy(&cost, 0.025);
        assert_eq!(walk(&policy, &[1.0, 1.0, 1.0], &cost), (1.0, 2.0), "they agree");
        assert_eq!(walk(&policy, &[1.0, 0.0, 1.0], &cost), (1.0, 12.0), "they do not");
        // Two wrong answers agree, in the worst reading, and are taken for right ones.
        assert_eq!(walk(&policy, &[0.0, 0.0, 1.0], &cost), (0.0, 2.0));
        // All wrong together looks as all right together.
        assert_eq!(walk(&policy, &[0.0, 0.0, 0.0], &cost), (0.0, 2.0));
    }
}
