//! What does routing by learnt quality gain? On the RouterBench slice: predictors fitted and chosen on
//! the train part alone, one report on the test part, beside what needs no learning and beside who
//! knows every outcome. And what a second opinion gains, and asking several models in turn, where only
//! their agreement is seen, in the reading that is worst for them.

mod bench;
mod cascade;
mod curve;
mod learn;
mod opinion;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use baton_embed::{Embedder, Hashed};
use serde_json::json;

use crate::report::{Report, line, progress, table};
use bench::Bench;
use curve::{Came, Hull, Predicted, bootstrap, pick, range, singles};
use learn::{Block, Chosen, Fit};

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seeds of folds and of draws
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Draws of the paired bootstrap on the test part, each with every seed's router
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(100..=20_000))]
    draws: u64,
    /// A folder with weights of embeddings (`wordllama/`, `minilm/`) for the ridges to see prompts by;
    /// without it they see counts and hashed n-grams
    #[arg(long)]
    weights: Option<PathBuf>,
    /// Report on this fifth of the train part in place of the test part, to choose by without looking there
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..5))]
    fold: Option<u64>,
}

/// Neighbours of the nearest-neighbour router.
const NEIGHBOURS: usize = 60;
/// The bars of the design, USD for 1,000 calls and microseconds.
const COST_BAR: f64 = 4.0;
const DECISION_BAR_US: f64 = 100.0;
/// What it aims at.
const AIMS: (f64, f64) = (0.875, 3.20);
/// The price of quality at which a decision's time is taken: any is the same work.
const PRICE: f64 = 0.02;

/// One line of the table.
struct Line {
    name: String,
    area: f64,
    /// USD for 1,000 calls at the dearest model's quality.
    cost: Option<f64>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    let bench = Bench::read(arguments.fold)?;
    let blocks = learn::blocks(&bench, &embedders(arguments.weights.as_deref())?);
    let fits = learn::fits(&bench, &blocks);
    let mut chosen: Vec<Chosen> = Vec::new();
    for seed in 0..arguments.seeds {
        progress(&format!("route: choosing with seed {seed}"));
        chosen.push(learn::choose(&bench, &fits, seed));
    }
    let mut report = Report::new("route");
    judge(&mut report, &arguments, (&bench, &blocks, &fits), &chosen);
    Ok(report)
}

/// Hashed n-grams, and whatever the folder holds.
fn embedders(weights: Option<&std::path::Path>) -> anyhow::Result<Vec<Arc<dyn Embedder>>> {
    let mut all: Vec<Arc<dyn Embedder>> = vec![Arc::new(Hashed::new())];
    for name in baton_embed::NAMES.iter().filter(|name| **name != "hashed") {
        if let Some(folder) = weights.filter(|folder| folder.join(name).is_dir()) {
            all.push(baton_embed::open(name, folder).with_context(|| format!("the weights of {name}"))?);
        }
    }
    Ok(all)
}

/// The world of one report: what there is, and what was chosen with each seed.
struct World<'a> {
    bench: &'a Bench,
    blocks: &'a [Block],
    fits: &'a [Fit],
    chosen: &'a [Chosen],
    /// Cost and quality of each model alone.
    alone: Vec<(f64, f64)>,
    /// From the cheapest model's cost to the dearest's.
    span: (f64, f64),
    dearest: (f64, f64),
}

impl World<'_> {
    fn came(&self, predicted: &Predicted) -> Came {
        Came::of(predicted, &self.bench.test.quality, &self.bench.test.cost)
    }

    fn line(&self, name: &str, hull: &Hull) -> Line {
        Line { name: name.to_owned(), area: hull.area(self.span), cost: hull.cost_of(self.dearest.1) }
    }

    fn predicted(&self, chosen: &Chosen) -> Came {
        self.came(&learn::predict(self.bench, self.blocks, self.fits, chosen))
    }

    /// What needs no learning, or knows everything; and what was chosen, on average over the seeds.
    fn lines(&self, means: &Came, routers: &Routers) -> Vec<Line> {
        let ones = vec![1.0; self.bench.test.items.len()];
        let cheapest =
            self.alone.iter().copied().fold(self.dearest, |best, one| if one.0 < best.0 { one } else { best });
        let mut lines = vec![
            self.line("random mix of the cheapest and the dearest", &Hull::of(vec![cheapest, self.dearest])),
            self.line("single models, mixed", &Hull::of(self.alone.clone())),
        ];
        for block in &self.blocks[1..] {
            let name = format!("{NEIGHBOURS} nearest neighbours ({})", block.name);
            lines.push(self.line(&name, &self.came(&learn::nearest(self.bench, block, NEIGHBOURS)).hull(&ones)));
        }
        lines.push(self.line(MEANS, &means.hull(&ones)));
        for (name, routers) in [(CHOSEN, &routers.chosen), (OPINION, &routers.opinion), (IN_TURN, &routers.in_turn)] {
            let each: Vec<Line> = routers.iter().map(|router| self.line("", &router.hull(&ones))).collect();
            let mean = |sum: f64| sum / each.len() as f64;
            lines.push(Line {
                name: name.into(),
                area: mean(each.iter().map(|line| line.area).sum()),
                cost: each.iter().map(|line| line.cost).sum::<Option<f64>>().map(mean),
            });
        }
        let test = &self.bench.test;
        let oracle = Predicted { quality: test.quality.clone(), cost: test.cost.clone() };
        lines.push(self.line("who knows every outcome", &self.came(&oracle).hull(&ones)));
        lines
    }
}

/// What the product routes by.
const MEANS: &str = "shrunk means of the task (ships)";
/// Means or ridges.
const CHOSEN: &str = "ridges chosen by cross-validation (does not ship)";
/// `[judge]` with `second_opinion`, in the path: its three models by what each task's labels say.
const OPINION: &str = "second opinion, worst reading (ships)";
/// `route = "cascade"`, with what a right answer is worth and how many are asked by what each task's cases say.
const IN_TURN: &str = "asking in turn, worst reading (ships)";

/// What came of each seed's.
struct Routers {
    chosen: Vec<Came>,
    opinion: Vec<Came>,
    in_turn: Vec<Came>,
}

/// A mean gain over the means of the task and its 95 % interval.
type Gain = (f64, f64, f64);

fn judge(
    report: &mut Report,
    arguments: &Arguments,
    (bench, blocks, fits): (&Bench, &[Block], &[Fit]),
    chosen: &[Chosen],
) {
    let (quality, cost) = (&bench.test.quality, &bench.test.cost);
    let alone = singles(quality, cost, &vec![1.0; quality.len()]);
    let dearest = alone.iter().copied().fold((0.0, 0.0), |best, one| if one.0 > best.0 { one } else { best });
    let world = World { bench, blocks, fits, chosen, span: range(&alone), alone, dearest };
    let means = world.predicted(&Vec::new());
    let routers = Routers {
        chosen: chosen.iter().map(|chosen| world.predicted(chosen)).collect(),
        opinion: cascade::routers(bench, &means, arguments.seeds, opinion::outcomes),
        in_turn: cascade::routers(bench, &means, arguments.seeds, cascade::outcomes),
    };
    let lines = world.lines(&means, &routers);
    show(bench, &world.alone, &lines);
    for (seed, chosen) in chosen.iter().enumerate() {
        line(&format!("seed {seed}: {}", told(bench, blocks, fits, chosen)));
    }
    let all = std::iter::once(&means).chain(&routers.chosen).chain(&routers.opinion).chain(&routers.in_turn);
    let draws = bootstrap(&all.collect::<Vec<_>>(), (quality, cost), arguments.draws as usize, 1);
    let each = routers.chosen.len();
    bars(report, &world, &lines, [0, 1, 2].map(|n| gain(&draws, 1 + n * each..1 + (n + 1) * each)));
}

/// The mean of some routers' areas less the first's, over the draws.
fn gain(draws: &[Vec<f64>], routers: std::ops::Range<usize>) -> Gain {
    let count = routers.len() as f64;
    let gains: Vec<f64> =
        draws.iter().map(|areas| areas[routers.clone()].iter().sum::<f64>() / count - areas[0]).collect();
    let at = |q: f64| baton_stats::quantile(&gains, q).unwrap_or_default();
    (gains.iter().sum::<f64>() / gains.len() as f64, at(0.025), at(0.975))
}

fn bars(report: &mut Report, world: &World<'_>, lines: &[Line], [ridges, opinion, in_turn]: [Gain; 3]) {
    let of =
        |name: &str| lines.iter().find(|line| line.name == name).map_or((0.0, None), |line| (line.area, line.cost));
    let (area, cost) = of(IN_TURN);
    let decision = decision_us(world.bench, world.blocks, world.fits, world.chosen);
    let told = |(mean, lower, upper): Gain| format!("{mean:+.4}, 95 % interval {lower:+.4} to {upper:+.4} (paired)");
    line(&format!(
        "\ngain over the means: {CHOSEN} {}\n{OPINION} {}\n{IN_TURN} {}\na decision without its embedding: p50 {:.1} µs, p99 {:.1} \
         µs\naims: AIQ {:.3}, here {area:.4}; {:.2} USD",
        told(ridges),
        told(opinion),
        told(in_turn),
        decision.0,
        decision.1,
        AIMS.0,
        AIMS.1
    ));
    report.figure("aiq", area);
    report.figure("gain", json!(in_turn));
    report.figure("ridgesGain", json!(ridges));
    report.figure("opinionGain", json!(opinion));
    report.figure("costAtDearestQuality", json!(cost));
    report.figure("decisionUs", json!([decision.0, decision.1]));
    report.figure("table", json!(lines.iter().map(|l| json!([l.name, l.area, l.cost])).collect::<Vec<_>>()));
    let (gain, lower, _) = in_turn;
    report.bar(
        format!("AIQ above the means of the task by a paired bootstrap, {IN_TURN}: {gain:+.4}, from {lower:+.4}"),
        lower > 0.0,
    );
    let means = of(MEANS).1;
    report.figure("meansCostAtDearestQuality", json!(means));
    for (name, cost) in [(MEANS, means), (IN_TURN, cost)] {
        let told = cost.map_or("never reached".to_owned(), |cost| format!("{cost:.2}"));
        let holds = cost.is_some_and(|cost| cost <= COST_BAR);
        let named = format!("the dearest model's quality for at most {COST_BAR:.2} USD per 1,000 by {name}: {told}");
        report.bar(named, holds);
    }
    report
        .bar(format!("a decision within {DECISION_BAR_US} µs (p99): {:.1}", decision.1), decision.1 <= DECISION_BAR_US);
}

fn show(bench: &Bench, alone: &[(f64, f64)], lines: &[Line]) {
    line(&format!(
        "{} train and {} test prompts, {} models\n",
        bench.train.items.len(),
        bench.test.items.len(),
        alone.len()
    ));
    let mut models = table(&["single model", "quality", "USD per 1,000"]);
    let mut order: Vec<usize> = (0..alone.len()).collect();
    order.sort_by(|a, b| alone[*a].0.total_cmp(&alone[*b].0));
    for place in order {
        models.add_row([
            bench.models[place].clone(),
            format!("{:.3}", alone[place].1),
            format!("{:.2}", alone[place].0),
        ]);
    }
    line(&models.to_string());
    let mut routers = table(&["router", "AIQ", "USD per 1,000 at the dearest model's quality"]);
    for one in lines {
        let cost = one.cost.map_or("never".to_owned(), |cost| format!("{cost:.2}"));
        routers.add_row([one.name.clone(), format!("{:.4}", one.area), cost]);
    }
    line(&format!("\n{routers}\n"));
}

/// What each task is predicted by.
fn told(bench: &Bench, blocks: &[Block], fits: &[Fit], chosen: &Chosen) -> String {
    let of = |(task, fit): (&String, &Option<usize>)| {
        let parts = fit.map(|fit| {
            let part = |(block, weight): &(usize, f64)| format!("{} × {weight}", blocks[*block].name);
            fits[fit].recipe.iter().map(part).collect::<Vec<_>>().join(" and ")
        });
        format!("{task}: {}", parts.map_or("means".to_owned(), |parts| format!("ridge on {parts}")))
    };
    bench.tasks.iter().zip(chosen).map(of).collect::<Vec<_>>().join("; ")
}

/// Median and 99th percentile of what one decision takes once its embedding is there, microseconds:
/// counting, predicting, choosing; or all decisions of asking in turn, where those are slower.
fn decision_us(bench: &Bench, blocks: &[Block], fits: &[Fit], chosen: &[Chosen]) -> (f64, f64) {
    let Some(chosen) = chosen.first() else { return (f64::NAN, f64::NAN) };
    let means = learn::means(bench, |_| true);
    let costs = learn::costs(bench, &bench.test.items);
    let mut times = Vec::new();
    for _ in 0..5 {
        for (place, item) in bench.test.items.iter().enumerate() {
            let began = Instant::now();
            let numbers = item.numbers();
            let quality = match chosen[item.task] {
                None => means[item.task].clone(),
                Some(fit) => {
                    fits[fit].ridge.predict(&learn::features(blocks, &fits[fit].recipe, |block| &block.test[place]))
                }
            };
            let picked = pick(&quality, &costs[place], PRICE);
            times.push(began.elapsed().as_secs_f64() * 1e6);
            std::hint::black_box((numbers, picked));
        }
    }
    let in_turn = cascade::decisions_us(bench);
    let at = |q: f64| [&times, &in_turn].map(|times| baton_stats::quantile(times, q).unwrap_or(f64::NAN));
    let slower = |q: f64| at(q).into_iter().fold(0.0, f64::max);
    (slower(0.5), slower(0.99))
}
