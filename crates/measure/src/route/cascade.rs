//! Asking in turn: one model, then perhaps another, until those asked are likely enough to be right.
//! It is what an intent with `route = "cascade"` does, learnt and decided by the same code. Nothing is seen of
//! the answers but which agree, and in the worst reading: all wrong answers to a prompt are the same, so that
//! those asked stand in two camps, and nobody says which is right.

use std::time::Instant;

use baton_eval::{right_together, walk};
use baton_stats::{Cascade, LatentClasses, Policy, SplitMix64};

use super::PRICE;
use super::bench::{Bench, Set};
use super::curve::Came;
use crate::parallel::parallel;

/// Tasks whose answer is one of stated options, so that equal answers are equally right. Code is right in
/// many ways: there nothing is seen of agreement, and the means decide.
const CHOICES: [&str; 2] = ["arc-challenge", "winogrande"];
/// At most so many models are asked, `[routing] asks`; 5 and more were worse by cross-validation.
const ASKED: [u32; 2] = [3, 4];
const FOLDS: usize = 5;
/// Prices that policies are made for, one over `right_usd` with costs of 1,000 calls: from 0.002 to 0.3 in even steps of their logarithm.
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
            all.push(run.each(|quality, cost| came(&policy, quality, cost)));
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
    (right_together(&rows, seed), costs)
}

/// Quality of the answer that is given, and the cost of all that were asked.
fn came(policy: &Policy, quality: &[f64], cost: &[f64]) -> (f64, f64) {
    let right: Vec<bool> = quality.iter().map(|quality| *quality >= 0.5).collect();
    let (good, asked) = walk(policy, &right);
    (f64::from(u8::from(good)), asked.iter().map(|model| cost[*model]).sum())
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
            let came = came(&policy, &bench.test.quality[place], &bench.test.cost[place]);
            times.push(began.elapsed().as_secs_f64() * 1e6);
            std::hint::black_box(came);
        }
    }
    times
}
