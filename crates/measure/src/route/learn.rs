//! Predictors of quality and cost: means of the task, shrunk; ridges on what a prompt shows; nearest
//! neighbours. What a task uses is chosen by cross-validation on the train part alone.

use baton_embed::Embedder;
use baton_stats::{Ridge, SplitMix64};

use super::bench::{Bench, Item, Set};
use super::curve::{Came, Predicted, bootstrap, range, singles};
use crate::parallel::parallel;

/// Items that the overall mean counts as, where a task's mean is shrunk towards it.
const SHRINKAGE: f64 = 5.0;
const FOLDS: usize = 5;
/// Draws that decide whether ridges beat the means.
const DRAWS: usize = 400;
/// Ridges are used where they beat the means with this confidence, one-sided.
const CONFIDENCE: f64 = 0.9;
/// An intercept as a feature: large, so that it is hardly penalised.
const INTERCEPT: f64 = 10.0;

/// A way to see a prompt: a unit vector, or counts of one scale.
pub(crate) struct Block {
    pub(crate) name: String,
    pub(crate) train: Vec<Vec<f64>>,
    pub(crate) test: Vec<Vec<f64>>,
}

/// Blocks by place, each with its weight against the penalty.
pub(crate) type Recipe = Vec<(usize, f64)>;

/// A task's ridge under one recipe.
pub(crate) struct Fit {
    pub(crate) task: usize,
    pub(crate) recipe: Recipe,
    /// The train items of the task, by place.
    places: Vec<usize>,
    targets: Vec<Vec<f64>>,
    pub(crate) ridge: Ridge,
}

/// Numbers first; then each embedding.
pub(crate) fn blocks(bench: &Bench, embedders: &[std::sync::Arc<dyn Embedder>]) -> Vec<Block> {
    let scales: Vec<Vec<(f64, f64)>> = (0..bench.tasks.len()).map(|task| scale(&bench.train, task)).collect();
    let numbers = |set: &Set| set.items.iter().map(|item| standardised(item, &scales[item.task])).collect();
    let mut all = vec![Block { name: "numbers".into(), train: numbers(&bench.train), test: numbers(&bench.test) }];
    for embedder in embedders {
        crate::report::progress(&format!("route: {} embeds the prompts", embedder.id()));
        let embed =
            |set: &Set| parallel(&set.items, |_, item| embedder.embed(&item.text).into_iter().map(f64::from).collect());
        let name = embedder.id().split('-').next().unwrap_or_default().to_owned();
        all.push(Block { name, train: embed(&bench.train), test: embed(&bench.test) });
    }
    all
}

/// Mean and spread of each number over a task.
fn scale(train: &Set, task: usize) -> Vec<(f64, f64)> {
    let rows: Vec<Vec<f64>> = train.items.iter().filter(|item| item.task == task).map(Item::numbers).collect();
    let of = |column: usize| {
        let count = rows.len().max(1) as f64;
        let mean = rows.iter().map(|row| row[column]).sum::<f64>() / count;
        let spread = (rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / count).sqrt();
        (mean, spread.max(1e-6))
    };
    (0..rows.first().map_or(0, Vec::len)).map(of).collect()
}

/// As many spreads from the mean as it is, 3 at most; all together of about unit length.
pub(crate) fn standardised(item: &Item, scale: &[(f64, f64)]) -> Vec<f64> {
    let length = (scale.len() as f64).sqrt();
    let numbers = item.numbers();
    numbers
        .iter()
        .zip(scale)
        .map(|(value, (mean, spread))| ((value - mean) / spread).clamp(-3.0, 3.0) / length)
        .collect()
}

/// Each block alone at some weights, and in pairs with the numbers or with another embedding. The range
/// is where cross-validation on the train part has its best; more weight is worse than the means.
pub(crate) fn recipes(blocks: usize) -> Vec<Recipe> {
    let mut all: Vec<Recipe> = [0.005, 0.02, 0.06].iter().map(|weight| vec![(0, *weight)]).collect();
    for block in 1..blocks {
        all.extend([0.01, 0.03, 0.1, 0.3].iter().map(|weight| vec![(block, *weight)]));
        all.extend([0.01, 0.1].iter().map(|weight| vec![(0, 0.02), (block, *weight)]));
        all.extend((1..block).map(|other| vec![(other, 0.1), (block, 0.1)]));
    }
    all
}

fn row(blocks: &[&Vec<f64>], recipe: &Recipe) -> Vec<f64> {
    let weighted = blocks.iter().zip(recipe).flat_map(|(block, (_, weight))| {
        let root = weight.sqrt();
        block.iter().map(move |value| value * root)
    });
    weighted.chain([INTERCEPT]).collect()
}

/// Every recipe for every task.
pub(crate) fn fits(bench: &Bench, blocks: &[Block]) -> Vec<Fit> {
    let recipes = recipes(blocks.len());
    let jobs: Vec<(usize, &Recipe)> =
        (0..bench.tasks.len()).flat_map(|task| recipes.iter().map(move |recipe| (task, recipe))).collect();
    let done = parallel(&jobs, |at, (task, recipe)| {
        crate::report::progress(&format!("route: ridge {} of {}", at + 1, jobs.len()));
        let places: Vec<usize> =
            (0..bench.train.items.len()).filter(|place| bench.train.items[*place].task == *task).collect();
        let rows: Vec<Vec<f64>> = places.iter().map(|place| features(blocks, recipe, |b| &b.train[*place])).collect();
        let targets: Vec<Vec<f64>> = places.iter().map(|place| bench.train.quality[*place].clone()).collect();
        let ridge = Ridge::fit(&rows, &targets)?;
        Some(Fit { task: *task, recipe: (*recipe).clone(), places, targets, ridge })
    });
    done.into_iter().flatten().collect()
}

/// What a recipe sees of an item.
pub(crate) fn features<'a>(blocks: &'a [Block], recipe: &Recipe, of: impl Fn(&'a Block) -> &'a Vec<f64>) -> Vec<f64> {
    let parts: Vec<&Vec<f64>> = recipe.iter().map(|(block, _)| of(&blocks[*block])).collect();
    row(&parts, recipe)
}

/// The mean quality of each task and model over some train items, shrunk towards the model's own.
pub(crate) fn means(bench: &Bench, among: impl Fn(usize) -> bool) -> Vec<Vec<f64>> {
    let models = bench.models.len();
    let mut sums = vec![vec![0.0; models]; bench.tasks.len()];
    let mut counts = vec![0.0; bench.tasks.len()];
    for (place, item) in bench.train.items.iter().enumerate().filter(|(place, _)| among(*place)) {
        counts[item.task] += 1.0;
        sums[item.task].iter_mut().zip(&bench.train.quality[place]).for_each(|(sum, quality)| *sum += quality);
    }
    let all: f64 = counts.iter().sum::<f64>().max(1.0);
    let overall: Vec<f64> = (0..models).map(|m| sums.iter().map(|task| task[m]).sum::<f64>() / all).collect();
    let shrunk = |(sums, count): (&Vec<f64>, &f64)| {
        sums.iter().zip(&overall).map(|(sum, mean)| (sum + SHRINKAGE * mean) / (count + SHRINKAGE)).collect()
    };
    sums.iter().zip(&counts).map(shrunk).collect()
}

/// Cost by task and model: a straight line in the prompt's length, at least a tenth of the mean.
pub(crate) fn costs(bench: &Bench, items: &[Item]) -> Vec<Vec<f64>> {
    let line = |task: usize, model: usize| {
        let seen: Vec<(f64, f64)> = (0..bench.train.items.len())
            .filter(|place| bench.train.items[*place].task == task)
            .map(|place| (bench.train.items[place].bytes, bench.train.cost[place][model]))
            .collect();
        let count = seen.len().max(1) as f64;
        let (x, y) = seen.iter().fold((0.0, 0.0), |sum, at| (sum.0 + at.0 / count, sum.1 + at.1 / count));
        let (both, own) =
            seen.iter().fold((0.0, 1e-9), |s, at| (s.0 + (at.0 - x) * (at.1 - y), s.1 + (at.0 - x).powi(2)));
        (x, y, both / own)
    };
    let lines: Vec<Vec<(f64, f64, f64)>> =
        (0..bench.tasks.len()).map(|task| (0..bench.models.len()).map(|model| line(task, model)).collect()).collect();
    let cost = |item: &Item| {
        lines[item.task].iter().map(|(x, y, slope)| (y + slope * (item.bytes - x)).max(0.1 * y)).collect()
    };
    items.iter().map(cost).collect()
}

/// For each task the fit that it uses, by place, or the means.
pub(crate) type Chosen = Vec<Option<usize>>;

/// Chooses by cross-validation: of each task's fits the best, where it is better than the means; all of
/// them only where a paired bootstrap says that together they beat the means.
pub(crate) fn choose(bench: &Bench, fits: &[Fit], seed: u64) -> Chosen {
    let (train, count) = (&bench.train, bench.train.items.len());
    let mut order: Vec<usize> = (0..count).collect();
    SplitMix64::new(seed).shuffle(&mut order);
    let mut fold = vec![0; count];
    order.iter().enumerate().for_each(|(at, place)| fold[*place] = at % FOLDS);
    let by_fold: Vec<Vec<Vec<f64>>> = (0..FOLDS).map(|f| means(bench, |place| fold[place] != f)).collect();
    let base = Predicted {
        quality: (0..count).map(|place| by_fold[fold[place]][train.items[place].task].clone()).collect(),
        cost: costs(bench, &train.items),
    };
    let came = |predicted: &Predicted| Came::of(predicted, &train.quality, &train.cost);
    let ones = vec![1.0; count];
    let span = range(&singles(&train.quality, &train.cost, &ones));
    let plain = came(&base);
    let tried = parallel(fits, |_, fit| {
        let mut predicted = base.clone();
        for (place, said) in left_out(fit, &fold) {
            predicted.quality[place] = said;
        }
        came(&predicted).hull(&ones).area(span)
    });
    let best = |task: usize| {
        let mine = (0..fits.len()).filter(|place| fits[*place].task == task);
        let place = mine.max_by(|a, b| tried[*a].total_cmp(&tried[*b]))?;
        (tried[place] > plain.hull(&ones).area(span)).then_some(place)
    };
    let chosen: Chosen = (0..bench.tasks.len()).map(best).collect();
    let mut together = base;
    for fit in chosen.iter().flatten().map(|place| &fits[*place]) {
        for (place, said) in left_out(fit, &fold) {
            together.quality[place] = said;
        }
    }
    let draws = bootstrap(&[&plain, &came(&together)], (&train.quality, &train.cost), DRAWS, seed);
    let gains: Vec<f64> = draws.iter().map(|areas| areas[1] - areas[0]).collect();
    let beats = baton_stats::quantile(&gains, 1.0 - CONFIDENCE).is_some_and(|least| least > 0.0);
    if beats { chosen } else { vec![None; bench.tasks.len()] }
}

/// What a fit says of each of its train items, by place, had the item's fold been left out.
fn left_out(fit: &Fit, fold: &[usize]) -> Vec<(usize, Vec<f64>)> {
    let of = |f: usize| {
        let inside: Vec<usize> = (0..fit.places.len()).filter(|at| fold[fit.places[*at]] == f).collect();
        let said = fit.ridge.left_out(&inside, &fit.targets).unwrap_or_default();
        inside.into_iter().map(|at| fit.places[at]).zip(said).collect::<Vec<_>>()
    };
    (0..FOLDS).flat_map(of).collect()
}

/// What the chosen predictors say of the test items.
pub(crate) fn predict(bench: &Bench, blocks: &[Block], fits: &[Fit], chosen: &Chosen) -> Predicted {
    let means = means(bench, |_| true);
    let quality = |(place, item): (usize, &Item)| match chosen.get(item.task).copied().flatten() {
        None => means[item.task].clone(),
        Some(fit) => fits[fit].ridge.predict(&features(blocks, &fits[fit].recipe, |block| &block.test[place])),
    };
    Predicted {
        quality: bench.test.items.iter().enumerate().map(quality).collect(),
        cost: costs(bench, &bench.test.items),
    }
}

/// The mean quality of the `k` train items whose vectors are nearest.
pub(crate) fn nearest(bench: &Bench, block: &Block, k: usize) -> Predicted {
    let quality = parallel(&block.test, |_, vector| {
        let dot = |other: &Vec<f64>| other.iter().zip(vector).map(|(a, b)| a * b).sum::<f64>();
        let mut near: Vec<(f64, usize)> = block.train.iter().map(dot).zip(0..).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut sum = vec![0.0; bench.models.len()];
        for (_, place) in near.iter().take(k) {
            sum.iter_mut().zip(&bench.train.quality[*place]).for_each(|(sum, q)| *sum += q / k as f64);
        }
        sum
    });
    Predicted { quality, cost: costs(bench, &bench.test.items) }
}
