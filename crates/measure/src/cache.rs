//! Does the semantic cache keep its promise, and what does it save? Real bank queries as a stream,
//! beside the fixed cosine that every peer asks for, and a threshold for each entry.

mod entries;
mod policy;
mod stream;
mod vectors;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::ensure;
use baton_stats::{clopper_pearson_lower, clopper_pearson_upper};
use serde_json::{Map, Value, json};

use crate::banking77::csv;
use crate::parallel::parallel;
use crate::report::{Report, line, progress, table};
use policy::Way;
use stream::{Order, Queries, Run, play};
use vectors::Vectors;

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Shuffles for each promise and embedding
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    shuffles: u64,
    /// Orders by topic for each promise and embedding
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    drifts: u64,
    /// Embeddings, the best one first
    #[arg(long, value_delimiter = ',', default_value = "minilm,wordllama,hashed")]
    embeddings: Vec<String>,
    /// Where `baton embeddings pull` put the weights
    #[arg(long, env = "BATON_EMBEDDINGS", default_value = "target/embeddings")]
    weights: PathBuf,
    /// The first seed; the others count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Promises, as shares of hits that may be wrong.
const PROMISES: [f64; 3] = [0.01, 0.02, 0.05];
/// Fewest hits at each promise, with the embedding of this name.
const BARS: [(&str, [f64; 3]); 2] = [("minilm", [0.43, 0.57, 0.72]), ("wordllama", [0.35, 0.50, 0.0])];
/// The share of runs that may break a promise.
const BROKEN_MAX: f64 = 0.05;
const COSINES: [f32; 4] = [0.97, 0.95, 0.9, 0.85];
/// vCache's δ.
const DELTAS: [f64; 3] = [0.01, 0.02, 0.05];
/// Shuffles for what is only shown beside.
const BESIDE_MAX: u64 = 10;

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Report> {
    let queries = queries()?;
    let mut report = Report::new("cache");
    let mut shown = table(&["embedding", "way", "order", "runs", "hits", "wrong of hits", "worst", "of all", "broken"]);
    let mut figures = Map::new();
    for name in &arguments.embeddings {
        let vectors = Vectors::of(name, Path::new(&arguments.weights), &queries.texts)?;
        let cells = cells(arguments, &queries, &vectors);
        figures.insert(name.clone(), cells.iter().map(Cell::json).collect());
        cells.iter().for_each(|cell| _ = shown.add_row(cell.row(name)));
        cells.iter().for_each(|cell| cell.bars(name, &mut report));
    }
    line(&shown.to_string());
    report.figure("queries", queries.texts.len());
    report.figure("seed", arguments.seed);
    report.figure("embeddings", Value::Object(figures));
    Ok(report)
}

fn queries() -> anyhow::Result<Queries> {
    let mut rows = Vec::new();
    for file in ["train.csv", "test.csv"] {
        rows.extend(csv::read(&crate::data::file("banking77", file, crate::banking77::SOURCE)?)?);
    }
    ensure!(!rows.is_empty(), "the queries of BANKING77 are empty");
    let mut numbers: BTreeMap<&str, u64> = rows.iter().map(|row| (row.label.as_str(), 0)).collect();
    numbers.values_mut().enumerate().for_each(|(at, number)| *number = at as u64);
    let labels = rows.iter().map(|row| numbers[row.label.as_str()]).collect();
    Ok(Queries { labels, texts: rows.into_iter().map(|row| row.text).collect() })
}

/// One way over all its runs in one kind of order.
struct Cell {
    way: Way,
    order: Order,
    runs: Vec<Run>,
}

/// Every way in every order, all runs on both threads.
fn cells(arguments: &Arguments, queries: &Queries, vectors: &Vectors) -> Vec<Cell> {
    let mut plan: Vec<(Way, Order, u64)> = Vec::new();
    for promise in PROMISES {
        let way = Way::Baton(promise);
        plan.push((way, Order::Shuffled, arguments.shuffles));
        plan.push((way, Order::Short, arguments.shuffles));
        plan.push((way, Order::Drift, arguments.drifts));
    }
    let beside = COSINES.map(Way::Static).into_iter().chain(DELTAS.map(Way::Entries));
    plan.extend(beside.map(|way| (way, Order::Shuffled, arguments.shuffles.min(BESIDE_MAX))));
    let jobs: Vec<(Way, Order, u64)> = plan
        .iter()
        .flat_map(|(way, order, runs)| (0..*runs).map(|run| (*way, *order, arguments.seed.wrapping_add(run))))
        .collect();
    let mut runs = parallel(&jobs, |at, (way, order, seed)| {
        if at % 50 == 0 {
            progress(&format!("cache: {}: stream {} of {}", vectors.name, at + 1, jobs.len()));
        }
        play(queries, vectors, *way, *order, *seed)
    })
    .into_iter();
    let cell = |(way, order, count): (Way, Order, u64)| Cell {
        way,
        order,
        runs: runs.by_ref().take(count as usize).collect(),
    };
    plan.into_iter().map(cell).collect()
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

impl Cell {
    fn mean(&self, of: impl Fn(&Run) -> f64) -> f64 {
        self.runs.iter().map(of).sum::<f64>() / self.runs.len().max(1) as f64
    }

    fn hits(&self) -> f64 {
        self.mean(|run| run.hits as f64 / run.queries as f64)
    }

    fn of_all(&self) -> f64 {
        self.mean(|run| run.wrong as f64 / run.queries as f64)
    }

    fn worst(&self) -> f64 {
        self.runs.iter().map(Run::error).fold(0.0, f64::max)
    }

    /// Runs that broke the promise, and the two-sided 95 % interval of their share.
    fn broken(&self) -> Option<(u64, f64, f64)> {
        let Way::Baton(promise) = self.way else { return None };
        let (broken, all) =
            (self.runs.iter().filter(|run| run.error() > promise).count() as u64, self.runs.len() as u64);
        Some((broken, clopper_pearson_lower(broken, all, 0.025), clopper_pearson_upper(broken, all, 0.025)))
    }

    fn row(&self, embedding: &str) -> Vec<String> {
        let broken = self.broken().map(|(broken, low, high)| {
            format!("{broken} of {} ({:.1} to {:.1} %)", self.runs.len(), 100.0 * low, 100.0 * high)
        });
        vec![
            embedding.to_owned(),
            self.way.name(),
            self.order.name().to_owned(),
            self.runs.len().to_string(),
            format!("{:.1} %", 100.0 * self.hits()),
            percent(self.mean(Run::error)),
            percent(self.worst()),
            percent(self.of_all()),
            broken.unwrap_or_default(),
        ]
    }

    fn json(&self) -> Value {
        let broken = self.broken().map(|(broken, low, high)| json!([broken, low, high]));
        json!({
            "way": self.way.name(), "order": self.order.name(), "runs": self.runs.len(), "hits": self.hits(),
            "wrong_of_hits": self.mean(Run::error), "worst": self.worst(), "wrong_of_all": self.of_all(), "broken": broken,
        })
    }

    fn bars(&self, embedding: &str, report: &mut Report) {
        let (Way::Baton(promise), Some((broken, _, high))) = (self.way, self.broken()) else { return };
        let (what, runs) = (format!("{embedding}, {}, {}", self.way.name(), self.order.name()), self.runs.len());
        let told = format!("{what}: broken in at most 5 % of runs: {broken} of {runs} (up to {:.1} %)", 100.0 * high);
        report.bar(told, broken as f64 <= BROKEN_MAX * runs as f64);
        let bars = BARS.iter().find(|(name, _)| *name == embedding).map(|(_, bars)| bars);
        let at = PROMISES.iter().position(|other| (other - promise).abs() < 1e-9);
        let bar = bars.zip(at).map_or(0.0, |(bars, at)| bars[at]);
        if self.order == Order::Shuffled && bar > 0.0 {
            let hits = self.hits();
            report.bar(format!("{what}: at least {:.0} % hits: {:.1} %", 100.0 * bar, 100.0 * hits), hits >= bar);
        }
    }
}
