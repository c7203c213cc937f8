//! Real bank queries through `execute` with the built-in model: accuracy when forced to answer, precision
//! and coverage at the cut that the train part chose, and the same with fewer cases a label.

pub(crate) mod csv;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use baton_core::ErrorCode;
use baton_engine::Call;
use baton_stats::{SplitMix64, quantile, wilson_lower};
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::report::{Report, line, progress, table};
use csv::Row;

pub(crate) const SOURCE: &str = "BANKING77 (PolyAI, CC BY 4.0), 10,003 train and 3,080 test queries";
const INTENT: &str = "classify-query";
/// One-sided, 95 %.
const Z95: f64 = 1.645;
/// Cases a label of the curve; `None` is all of them.
const SIZES: [Option<usize>; 4] = [Some(10), Some(30), Some(100), None];

/// How much, and how strictly.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Random subsets for each size of the curve
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// The first seed of the subsets; the others count up from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// objective.quality: the precision that the cut is chosen for, on train data alone
    #[arg(long, default_value_t = 0.97)]
    quality: f64,
}

/// What came of all test queries in one configuration.
#[derive(Default)]
struct Outcome {
    asked: usize,
    answered: usize,
    right: usize,
    ms: Vec<f64>,
    records: u64,
    load: Duration,
    build: Duration,
}

/// One row of the curve: its subsets together.
#[derive(Default)]
struct Point {
    subsets: u64,
    cases: usize,
    forced: Outcome,
    cut: Outcome,
    /// Of each subset: accuracy forced, coverage, and precision where anything was answered.
    each: Vec<[Option<f64>; 3]>,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    ensure!(arguments.quality > 0.0 && arguments.quality < 1.0, "--quality lies between 0 and 1");
    let train = csv::read(&crate::data::file("banking77", "train.csv", SOURCE)?)?;
    let test = csv::read(&crate::data::file("banking77", "test.csv", SOURCE)?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut points = Vec::new();
    for size in SIZES {
        // With all cases there is one subset only.
        let subsets = if size.is_some() { arguments.seeds } else { 1 };
        let mut point = Point { subsets, ..Point::default() };
        for seed in (arguments.seed..).take(usize::try_from(subsets)?) {
            let cases = subset(&train, size, seed);
            point.cases = point.cases.max(cases.len());
            let forced = runtime.block_on(ask(&cases, &test, arguments.quality, Some(0.0)))?;
            let cut = runtime.block_on(ask(&cases, &test, arguments.quality, None))?;
            progress(&format!(
                "{} cases a label, seed {seed}: {} cases, accuracy {:.4}, coverage {:.4}, precision {}",
                name(size),
                cases.len(),
                forced.right_share().unwrap_or_default(),
                cut.coverage(),
                share(cut.right_share()),
            ));
            point.each.push([forced.right_share(), Some(cut.coverage()), cut.right_share()]);
            point.forced.add(forced);
            point.cut.add(cut);
        }
        points.push((size, point));
    }
    Ok(report(&arguments, &test, &points))
}

/// The cases of one subset: up to `size` of each label, in random order.
fn subset(train: &[Row], size: Option<usize>, seed: u64) -> Vec<&Row> {
    let mut rows: Vec<&Row> = train.iter().collect();
    let Some(size) = size else { return rows };
    SplitMix64::new(seed).shuffle(&mut rows);
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    rows.retain(|row| {
        let taken = taken.entry(&row.label).or_default();
        *taken += 1;
        *taken <= size
    });
    rows
}

/// The intent's folder: all labels, `local` alone, every case in the examples share. Nobody else answers,
/// so that a query on which `local` abstains counts as not covered.
fn folder(cases: &[&Row], quality: f64, cut: Option<f64>) -> anyhow::Result<Vec<(String, String)>> {
    let labels: BTreeSet<&str> = cases.iter().map(|row| row.label.as_str()).collect();
    let mut intent = format!("models = [\"local\"]\n\n[objective]\nquality = {quality:?}\n\n");
    if let Some(cut) = cut {
        write!(intent, "[local]\ncut = {cut:?}\n\n")?;
    }
    intent.push_str("[labels]\n");
    for label in labels {
        // A JSON string of plain characters is a TOML key.
        writeln!(intent, "{} = {}", json!(label), json!(label.replace('_', " ")))?;
    }
    let mut lines = String::new();
    for row in cases {
        let case = json!({ "input": input(row), "expected": { "label": row.label }, "share": "examples" });
        writeln!(lines, "{case}")?;
    }
    let path = |file: &str| format!("intents/{INTENT}/{file}");
    Ok(vec![(path("intent.toml"), intent), (path("cases.jsonl"), lines)])
}

fn input(row: &Row) -> Value {
    json!({ "query": row.text })
}

/// Runs all test queries, one at a time.
async fn ask(cases: &[&Row], test: &[Row], quality: f64, cut: Option<f64>) -> anyhow::Result<Outcome> {
    let ground = Ground::open(&folder(cases, quality, cut)?, Vec::new()).await?;
    let mut outcome = Outcome { load: ground.load, build: ground.build, ..Outcome::default() };
    for row in test {
        let input = input(row);
        let started = Instant::now();
        let result = ground.engine.execute(Call::intent(INTENT, input)).await;
        outcome.ms.push(started.elapsed().as_secs_f64() * 1e3);
        outcome.asked += 1;
        match result {
            Ok(delivered) => {
                let label = delivered.answer.output["label"].as_str().context("an answer without a label")?;
                outcome.answered += 1;
                outcome.right += usize::from(label == row.label);
            }
            Err(error) if cut.is_none() && error.failure.code == ErrorCode::NoAcceptableAnswer => {}
            Err(error) => bail!("a query failed, which none should: {error}"),
        }
    }
    outcome.records = ground.close().await?;
    Ok(outcome)
}

impl Outcome {
    /// Of those answered.
    fn right_share(&self) -> Option<f64> {
        (self.answered > 0).then(|| self.right as f64 / self.answered as f64)
    }

    fn coverage(&self) -> f64 {
        self.answered as f64 / self.asked.max(1) as f64
    }

    fn add(&mut self, other: Self) {
        self.asked += other.asked;
        self.answered += other.answered;
        self.right += other.right;
        self.ms.extend(other.ms);
        self.records += other.records;
        self.load += other.load;
        self.build += other.build;
    }
}

impl Point {
    /// The lowest and the highest of its subsets.
    fn range(&self, figure: usize) -> Option<[f64; 2]> {
        let all: Vec<f64> = self.each.iter().filter_map(|each| each[figure]).collect();
        let (low, high) = (all.iter().copied().reduce(f64::min)?, all.iter().copied().reduce(f64::max)?);
        Some([low, high])
    }

    fn ms(&self, q: f64) -> f64 {
        let all = [self.forced.ms.as_slice(), &self.cut.ms].concat();
        quantile(&all, q).unwrap_or_default()
    }

    /// Mean seconds of training, over all configurations.
    fn train_s(&self) -> f64 {
        (self.forced.build + self.cut.build).as_secs_f64() / (2 * self.subsets) as f64
    }

    fn json(&self, size: Option<usize>) -> Value {
        json!({
            "cases_per_label_max": size,
            "cases": self.cases,
            "subsets": self.subsets,
            "accuracy_forced": self.forced.right_share(),
            "accuracy_forced_range": self.range(0),
            "coverage": self.cut.coverage(),
            "coverage_range": self.range(1),
            "precision": self.cut.right_share(),
            "precision_range": self.range(2),
            "train_s": self.train_s(),
            "p50_ms": self.ms(0.5),
            "p99_ms": self.ms(0.99),
        })
    }
}

fn name(size: Option<usize>) -> String {
    size.map_or("all".to_owned(), |size| size.to_string())
}

fn share(value: Option<f64>) -> String {
    value.map_or("none answered".to_owned(), |value| format!("{value:.4}"))
}

fn with_range(value: Option<f64>, range: Option<[f64; 2]>) -> String {
    match range {
        Some([low, high]) if high > low => format!("{} ({low:.3} to {high:.3})", share(value)),
        _ => share(value),
    }
}

fn report(arguments: &Arguments, test: &[Row], points: &[(Option<usize>, Point)]) -> Report {
    let seeds = arguments.seed..arguments.seed + arguments.seeds;
    line(&format!("banking77: {} real test queries through execute; nothing is simulated", test.len()));
    line(&format!(
        "objective.quality {}, subsets with seeds {} to {} (range over them in brackets), records in SQLite",
        arguments.quality,
        seeds.start,
        seeds.end - 1
    ));
    line("a query on which `local` abstains is not answered: there is no second candidate\n");
    let mut rows =
        table(&["cases a label", "cases", "accuracy forced", "precision", "coverage", "training", "p50", "p99"]);
    for (size, point) in points {
        rows.add_row([
            name(*size),
            point.cases.to_string(),
            with_range(point.forced.right_share(), point.range(0)),
            with_range(point.cut.right_share(), point.range(2)),
            with_range(Some(point.cut.coverage()), point.range(1)),
            format!("{:.2} s", point.train_s()),
            format!("{:.2} ms", point.ms(0.5)),
            format!("{:.2} ms", point.ms(0.99)),
        ]);
    }
    line(&rows.to_string());
    let mut report = Report::new("banking77");
    report.figure("simulated", false);
    report.figure("test_queries", test.len());
    report.figure("objective_quality", arguments.quality);
    report.figure("seeds", seeds.collect::<Vec<_>>());
    report.figure("curve", points.iter().map(|(size, point)| point.json(*size)).collect::<Vec<_>>());
    if let Some((_, whole)) = points.iter().find(|(size, _)| size.is_none()) {
        judge(&mut report, whole);
    }
    let executions: usize = points.iter().map(|(_, p)| p.forced.asked + p.cut.asked).sum();
    let records: u64 = points.iter().map(|(_, p)| p.forced.records + p.cut.records).sum();
    report.figure("executions", executions);
    report.figure("records", records);
    report.bar(format!("{executions} executions, {records} records"), executions as u64 == records);
    report
}

/// The bars, on all train data; the aims are told beside them.
fn judge(report: &mut Report, whole: &Point) {
    let accuracy = whole.forced.right_share().unwrap_or_default();
    let (precision, coverage) = (whole.cut.right_share().unwrap_or_default(), whole.cut.coverage());
    let lower = wilson_lower(whole.cut.right as u64, whole.cut.answered as u64, Z95);
    let p99 = whole.ms(0.99);
    line(&format!(
        "\nwith all cases: folder read in {:.2} s, trained in {:.2} s; {} of {} answered at the cut are right \
         (at least {lower:.4} with 95 % confidence)",
        whole.cut.load.as_secs_f64(),
        whole.train_s(),
        whole.cut.right,
        whole.cut.answered,
    ));
    let mut aims = serde_json::Map::new();
    for (name, value, bar, aim) in [
        ("accuracy_forced", accuracy, 0.85, 0.90),
        ("precision", precision, 0.96, 0.97),
        ("coverage", coverage, 0.60, 0.75),
    ] {
        report.figure(name, value);
        aims.insert(name.into(), json!({ "aim": aim, "reached": value >= aim }));
        let aimed = if value >= aim { "reached" } else { "not reached" };
        report.bar(format!("{name} {value:.4} >= {bar:.2} (aim {aim:.2} {aimed})"), value >= bar);
    }
    report.figure("aims", aims);
    // What else the machine does shows in the slowest of the executions.
    if let Some(load) = load_average() {
        line(&format!("the machine's load: {load} runnable tasks on average over the last minute"));
        report.figure("load_average", load);
    }
    report.figure("precision_lower_95", lower);
    report.figure("p50_ms", whole.ms(0.5));
    report.figure("p99_ms", p99);
    report.figure("train_s", whole.train_s());
    report.bar(format!("p99 {p99:.2} ms <= 5 ms for one execution, one at a time"), p99 <= 5.0);
}

/// Runnable tasks, over the last minute; `None` where the system does not say so.
fn load_average() -> Option<f64> {
    let all = std::fs::read_to_string("/proc/loadavg").ok()?;
    all.split(' ').next()?.parse().ok()
}
