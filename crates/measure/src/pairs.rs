//! Do two questions ask the same? Refusals and a regression on what a pair has in common, against the
//! cosine of their vectors alone: precision at the same recall, and recall at the same precision.

use baton_cache::semantic::pair;
use baton_cache::semantic::refuse::{Facts, Reason};
use baton_stats::{Logistic, SplitMix64, quantile};
use serde_json::json;

use crate::mutations::{dot, embedders};
use crate::parallel::parallel;
use crate::qqp;
use crate::report::{Report, line, progress, table};

/// How.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Embeddings; cosine alone means the last one: hashed, wordllama, minilm (weights in BATON_EMBEDDINGS)
    #[arg(long, value_delimiter = ',', default_values_t = ["hashed".to_owned(), "wordllama".to_owned()])]
    embedding: Vec<String>,
    /// Resamples of the test half for intervals
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(20..=10_000))]
    resamples: u64,
    /// Their seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const RECALLS: [f64; 3] = [0.2, 0.5, 0.8];
const PRECISIONS: [f64; 2] = [0.7, 0.8];
/// With fewer pairs above a threshold its precision is chance.
const PREFIX_MIN: f64 = 100.0;
/// What is refused ranks below all else.
const REFUSED: f64 = 1e6;

/// A pair as numbers: what it has in common, then its cosines.
struct Seen {
    features: Vec<f64>,
    refused: bool,
    same: bool,
    test: bool,
}

/// A way to rank pairs.
struct Way {
    name: String,
    /// Positions in the test half, best first.
    order: Vec<usize>,
    /// The mean of its figures on the half that was fitted to: the best one there is the pair decision.
    fitted: f64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    let embedders = embedders::open(&arguments.embedding)?;
    let pairs = qqp::read()?;
    progress(&format!("{} pairs", pairs.len()));
    let seen = parallel(&pairs, |_, pair| {
        let (a, b) = (Facts::of(&pair.a), Facts::of(&pair.b));
        let cosines = embedders.iter().map(|named| dot(&named.embedder.embed(&pair.a), &named.embedder.embed(&pair.b)));
        let features: Vec<f64> = pair::features(&a, &b).into_iter().chain(cosines).collect();
        Seen { features, refused: a.refuses(&b).is_some(), same: pair.same, test: pair.test }
    });
    let (test, train): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|seen| seen.test);
    progress(&format!("fit on {}, tested on {}", train.len(), test.len()));
    let ways = ways(&embedders, &train, &test);
    Ok(report(&arguments, &ways, (&train, &test)))
}

fn ways(embedders: &[embedders::Named], train: &[Seen], test: &[Seen]) -> Vec<Way> {
    let mut ways = Vec::new();
    for (at, named) in embedders.iter().enumerate() {
        let cosine = move |seen: &Seen| seen.features[pair::FEATURES + at];
        ways.push(way(format!("cosine {}", named.name), (train, test), cosine));
        let refusing = move |seen: &Seen| cosine(seen) - if seen.refused { REFUSED } else { 0.0 };
        ways.push(way(format!("cosine {}, refusals", named.name), (train, test), refusing));
    }
    let reasons = Reason::ALL.len();
    type Pick = fn(&[f64], usize) -> Vec<f64>;
    let fits: [(&str, Pick); 3] = [
        ("regression on cosines", |features, _| features[pair::FEATURES..].to_vec()),
        ("regression on cosines and refusals", |features, reasons| {
            features[..reasons].iter().chain(&features[pair::FEATURES..]).copied().collect()
        }),
        ("regression on all", |features, _| features.to_vec()),
    ];
    for (name, pick) in fits {
        let rows: Vec<(Vec<f64>, bool)> = train.iter().map(|seen| (pick(&seen.features, reasons), seen.same)).collect();
        let rows: Vec<(&[f64], bool)> = rows.iter().map(|(row, same)| (row.as_slice(), *same)).collect();
        let model = Logistic::fit(&rows, None);
        let odds = |seen: &Seen| model.log_odds(&pick(&seen.features, reasons));
        ways.push(way(name.to_owned(), (train, test), odds));
        let refusing = |seen: &Seen| odds(seen) - if seen.refused { REFUSED } else { 0.0 };
        ways.push(way(format!("{name}, refused last"), (train, test), refusing));
    }
    ways
}

fn way(name: String, (train, test): (&[Seen], &[Seen]), score: impl Fn(&Seen) -> f64) -> Way {
    let order = |seen: &[Seen]| {
        let scores: Vec<f64> = seen.iter().map(&score).collect();
        let mut order: Vec<usize> = (0..seen.len()).collect();
        order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
        order
    };
    let figures = figures(&order(train), train, &vec![1; train.len()]);
    Way { name, order: order(test), fitted: figures.iter().sum::<f64>() / figures.len() as f64 }
}

/// Precision at each of [`RECALLS`], then recall at each of [`PRECISIONS`], each pair counted so often.
fn figures(order: &[usize], test: &[Seen], counts: &[u32]) -> Vec<f64> {
    let all: f64 = test.iter().zip(counts).filter(|(seen, _)| seen.same).map(|(_, count)| f64::from(*count)).sum();
    let (mut right, mut taken) = (0.0, 0.0);
    let mut at_recall = [f64::NAN; RECALLS.len()];
    let mut at_precision = [0.0; PRECISIONS.len()];
    for at in order {
        let count = f64::from(counts[*at]);
        taken += count;
        right += if test[*at].same { count } else { 0.0 };
        for (precision, recall) in at_recall.iter_mut().zip(RECALLS) {
            if precision.is_nan() && right >= recall * all {
                *precision = right / taken;
            }
        }
        for (recall, precision) in at_precision.iter_mut().zip(PRECISIONS) {
            if taken >= PREFIX_MIN && right >= precision * taken {
                *recall = right / all;
            }
        }
    }
    at_recall.into_iter().chain(at_precision).collect()
}

fn report(arguments: &Arguments, ways: &[Way], (train, test): (&[Seen], &[Seen])) -> Report {
    let share = |seen: &[Seen]| 100.0 * seen.iter().filter(|seen| seen.same).count() as f64 / seen.len().max(1) as f64;
    line(&format!(
        "pairs: {} question pairs to fit ({:.1} % the same), {} to test ({:.1} %); no question is in both halves",
        train.len(),
        share(train),
        test.len(),
        share(test)
    ));
    line("real questions and labels, which are noisy. Refusals rank a pair below all others\n");
    let mut columns = vec!["ranked by".to_owned()];
    columns.extend(RECALLS.map(|recall| format!("precision at recall {recall}")));
    columns.extend(PRECISIONS.map(|precision| format!("recall at precision {precision}")));
    let mut rows = table(&columns.iter().map(String::as_str).collect::<Vec<_>>());
    let once = vec![1; test.len()];
    let values: Vec<Vec<f64>> = ways.iter().map(|way| figures(&way.order, test, &once)).collect();
    for (way, values) in ways.iter().zip(&values) {
        rows.add_row([way.name.clone()].into_iter().chain(values.iter().map(|value| format!("{value:.3}"))));
    }
    line(&rows.to_string());
    let mut report = Report::new("pairs");
    let each = |(way, values): (&Way, &Vec<f64>)| json!({"ranked_by": way.name, "figures": values});
    report.figure("columns", json!(columns[1..]));
    report.figure("ways", ways.iter().zip(&values).map(each).collect::<Vec<_>>());
    compare(&mut report, arguments, ways, test);
    report
}

/// The whole decision against the best cosine alone, on resamples of the test half.
fn compare(report: &mut Report, arguments: &Arguments, ways: &[Way], test: &[Seen]) {
    let named = |name: &str| ways.iter().find(|way| way.name == name);
    let cosine = arguments.embedding.last().and_then(|name| named(&format!("cosine {name}")));
    let decision = ways.iter().max_by(|a, b| a.fitted.total_cmp(&b.fitted));
    let (Some(cosine), Some(decision)) = (cosine, decision) else { return };
    line(&format!("\nthe pair decision, as the half that was fitted to has it: {}", decision.name));
    report.figure("decision", decision.name.as_str());
    let rng = SplitMix64::new(arguments.seed);
    let draws: Vec<u64> = (0..arguments.resamples).collect();
    let differences = parallel(&draws, |_, draw| {
        let (mut rng, mut counts) = (rng.fork(*draw), vec![0_u32; test.len()]);
        (0..test.len()).for_each(|_| counts[rng.below(test.len() as u64) as usize] += 1);
        let (with, without) = (figures(&decision.order, test, &counts), figures(&cosine.order, test, &counts));
        with.into_iter().zip(without).map(|(with, without)| with - without).collect::<Vec<f64>>()
    });
    let names = RECALLS.map(|recall| format!("precision at recall {recall}"));
    let names = names.into_iter().chain(PRECISIONS.map(|precision| format!("recall at precision {precision}")));
    let mut intervals = Vec::new();
    for (at, name) in names.enumerate() {
        let column: Vec<f64> = differences.iter().map(|row| row[at]).collect();
        let (lower, upper) = (quantile(&column, 0.025), quantile(&column, 0.975));
        let (Some(lower), Some(upper)) = (lower, upper) else { continue };
        report.bar(format!("{name}: decision - {} = {lower:+.3} to {upper:+.3} (95 %) > 0", cosine.name), lower > 0.0);
        intervals.push(json!({"figure": name, "lower": lower, "upper": upper}));
    }
    report.figure("differences", intervals);
}
