//! Texts that say something else than a text they nearly are: may the answer to one be given to the other?
//! And beside it what caution costs: texts that mean the same and are refused.

pub(crate) mod embedders;
mod kinds;
mod lists;
mod mutate;
mod receipts;

use anyhow::ensure;
use baton_cache::semantic::refuse::Facts;
use baton_stats::{SplitMix64, wilson_upper};
use serde_json::{Value, json};

use crate::banking77::csv;
use crate::parallel::parallel;
use crate::report::{Report, line, progress, table};
use crate::{qqp, sroie};
use kinds::Kind;
use mutate::pair;

/// How many.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Mutations of each kind, from words that the refuser was developed against, and again from others
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    each: u64,
    /// A pair counts as similar from this cosine on
    #[arg(long, default_value_t = 0.8)]
    cosine: f64,
    /// Embeddings, each beside the others: hashed, wordllama, minilm (weights in BATON_EMBEDDINGS)
    #[arg(long, value_delimiter = ',', default_values_t = ["hashed".to_owned(), "wordllama".to_owned()])]
    embedding: Vec<String>,
    /// The seed of all mutations
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const OVERALL_MAX: f64 = 0.005;
const BANKING: &str = "BANKING77 (PolyAI, CC BY 4.0)";
/// Queries whose nearest neighbours are looked at.
const NEIGHBOURS_OF: usize = 1_000;
/// One of so many texts does not take a mutation of every kind.
const TRIES: u64 = 50;

/// One kind, one half of its words.
struct Tally {
    kind: Kind,
    held_out: bool,
    made: u64,
    dressed: u64,
    /// Refusals let them pass.
    passed: u64,
    /// And they are similar, by any of the embeddings.
    served: u64,
    /// They are similar, whatever the refusals say.
    similar: u64,
}

/// Texts that mean the same, or are said to.
struct Caution {
    what: &'static str,
    pairs: u64,
    refused: u64,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    ensure!((-1.0..=1.0).contains(&arguments.cosine), "--cosine lies between -1 and 1");
    let embedders = embedders::open(&arguments.embedding)?;
    let train = csv::read(&crate::data::file("banking77", "train.csv", BANKING)?)?;
    let test = csv::read(&crate::data::file("banking77", "test.csv", BANKING)?)?;
    let receipts = sroie::receipts::read(&crate::data::file("sroie", "receipts.jsonl", "SROIE (MIT)")?)?;
    let (mut queries, mut papers) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    queries[0].extend(train.iter().map(|row| row.text.as_str()));
    queries[1].extend(test.iter().map(|row| row.text.as_str()));
    for (at, receipt) in receipts.iter().enumerate() {
        papers[at % 2].push(receipt.text.as_str());
    }
    let mut jobs: Vec<(Kind, bool)> = Vec::new();
    for kind in Kind::QUERIES.into_iter().chain(Kind::RECEIPTS) {
        jobs.extend([(kind, false), (kind, true)]);
    }
    progress(&format!("{} mutations", jobs.len() as u64 * arguments.each));
    let tallies = parallel(&jobs, |at, (kind, held_out)| {
        let texts = if Kind::RECEIPTS.contains(kind) { &papers } else { &queries };
        let rng = SplitMix64::new(arguments.seed).fork(at as u64);
        tally((*kind, *held_out), &texts[usize::from(*held_out)], &arguments, (&embedders, rng))
    });
    progress("texts that mean the same");
    let mut caution = duplicates(&embedders, arguments.cosine)?;
    caution.extend(neighbours(&embedders, (&train, &test)));
    Ok(report(&arguments, &tallies, &caution))
}

fn tally(
    (kind, held_out): (Kind, bool),
    texts: &[&str],
    arguments: &Arguments,
    (embedders, mut rng): (&[embedders::Named], SplitMix64),
) -> Tally {
    let mut tally = Tally { kind, held_out, made: 0, dressed: 0, passed: 0, served: 0, similar: 0 };
    for _ in 0..arguments.each * TRIES {
        if tally.made == arguments.each {
            break;
        }
        let text = texts[rng.below(texts.len() as u64) as usize];
        let Some(pair) = pair(kind, text, held_out, &mut rng) else { continue };
        let passes = Facts::of(&pair.new).refuses(&Facts::of(&pair.old)).is_none();
        let near = |named: &embedders::Named| cosine(named, &pair.new, &pair.old) >= arguments.cosine;
        let similar = embedders.iter().any(near);
        tally.made += 1;
        tally.dressed += u64::from(pair.dressed);
        tally.passed += u64::from(passes);
        tally.similar += u64::from(similar);
        tally.served += u64::from(passes && similar);
    }
    tally
}

fn cosine(named: &embedders::Named, a: &str, b: &str) -> f64 {
    dot(&named.embedder.embed(a), &named.embedder.embed(b))
}

pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Question pairs that people called the same, in the part of QQP that nothing was tuned on.
fn duplicates(embedders: &[embedders::Named], least: f64) -> anyhow::Result<Vec<Caution>> {
    let mut all = Caution { what: "QQP test pairs called the same", pairs: 0, refused: 0 };
    let mut near = Caution { what: "  of those, similar ones", pairs: 0, refused: 0 };
    let mut other = Caution { what: "QQP test pairs called different, similar", pairs: 0, refused: 0 };
    let pairs: Vec<qqp::Pair> = qqp::read()?.into_iter().filter(|pair| pair.test).collect();
    let seen = parallel(&pairs, |_, pair| {
        let similar = embedders.iter().any(|named| cosine(named, &pair.a, &pair.b) >= least);
        (similar, Facts::of(&pair.a).refuses(&Facts::of(&pair.b)).is_some())
    });
    for (pair, (similar, refused)) in pairs.iter().zip(seen) {
        let of: Vec<&mut Caution> = match (pair.same, similar) {
            (true, true) => vec![&mut all, &mut near],
            (true, false) => vec![&mut all],
            (false, true) => vec![&mut other],
            (false, false) => Vec::new(),
        };
        for caution in of {
            caution.pairs += 1;
            caution.refused += u64::from(refused);
        }
    }
    Ok(vec![all, near, other])
}

/// BANKING77 test queries, each with its nearest train query, by the last embedding.
fn neighbours(embedders: &[embedders::Named], (train, test): (&[csv::Row], &[csv::Row])) -> [Caution; 2] {
    let mut same = Caution { what: "BANKING77 nearest neighbour of the same label", pairs: 0, refused: 0 };
    let mut other = Caution { what: "BANKING77 nearest neighbour of another label", pairs: 0, refused: 0 };
    let Some(named) = embedders.last() else { return [same, other] };
    let vectors = parallel(train, |_, row| named.embedder.embed(&row.text));
    let step = (test.len() / NEIGHBOURS_OF).max(1);
    let asked: Vec<&csv::Row> = test.iter().step_by(step).collect();
    let found = parallel(&asked, |_, row| {
        let vector = named.embedder.embed(&row.text);
        let near = (0..vectors.len()).max_by(|a, b| dot(&vector, &vectors[*a]).total_cmp(&dot(&vector, &vectors[*b])));
        near.map(|near| {
            let near = &train[near];
            (near.label == row.label, Facts::of(&row.text).refuses(&Facts::of(&near.text)).is_some())
        })
    });
    for (alike, refused) in found.into_iter().flatten() {
        let caution = if alike { &mut same } else { &mut other };
        caution.pairs += 1;
        caution.refused += u64::from(refused);
    }
    [same, other]
}

fn percent(count: u64, of: u64) -> String {
    format!("{:.2} %", 100.0 * count as f64 / of.max(1) as f64)
}

fn report(arguments: &Arguments, tallies: &[Tally], caution: &[Caution]) -> Report {
    line(&format!(
        "mutations: {} of each kind and half, of BANKING77 queries and SROIE receipts; seed {}; embeddings {}",
        arguments.each,
        arguments.seed,
        arguments.embedding.join(", ")
    ));
    line("real texts; made by programs: the changes. The generator shares no code and no list with the refuser. In");
    line("`known` the refuser was developed against its words and texts, in `held out` against neither: other words,");
    line("formats and texts. passed: not refused. served: passed, and similar by any embedding. similar: what a");
    line(&format!("threshold of {} alone would serve\n", arguments.cosine));
    let mut rows = table(&["kind", "checked by", "words", "made", "reworded", "similar", "passed", "served"]);
    for tally in tallies {
        rows.add_row([
            format!("{:?}", tally.kind),
            if tally.kind.machine_can_check() { "machine" } else { "-" }.to_owned(),
            if tally.held_out { "held out" } else { "known" }.to_owned(),
            tally.made.to_string(),
            percent(tally.dressed, tally.made),
            percent(tally.similar, tally.made),
            percent(tally.passed, tally.made),
            percent(tally.served, tally.made),
        ]);
    }
    line(&rows.to_string());
    line("\nwhat the refusals cost: pairs that mean the same, as far as their labels say");
    let mut rows = table(&["pairs", "number", "refused"]);
    for caution in caution {
        rows.add_row([caution.what.to_owned(), caution.pairs.to_string(), percent(caution.refused, caution.pairs)]);
    }
    line(&rows.to_string());
    let mut report = Report::new("mutations");
    judge(&mut report, tallies);
    report.figure("kinds", tallies.iter().map(Tally::json).collect::<Vec<_>>());
    let costs = |c: &Caution| json!({"pairs": c.what.trim(), "number": c.pairs, "refused": c.refused});
    report.figure("false_refusals", caution.iter().map(costs).collect::<Vec<_>>());
    report
}

fn judge(report: &mut Report, tallies: &[Tally]) {
    let sum = |of: fn(&Tally) -> u64, which: &dyn Fn(&Tally) -> bool| -> u64 {
        tallies.iter().filter(|tally| which(tally)).map(of).sum()
    };
    let made = sum(|t| t.made, &|_| true);
    let checked = |tally: &Tally| tally.kind.machine_can_check();
    let (checked_made, checked_passed) = (sum(|t| t.made, &checked), sum(|t| t.passed, &checked));
    report.figure("made", made);
    report.bar(format!("{made} mutations >= 10,000"), made >= 10_000);
    report.bar(
        format!(
            "where a machine can check: {checked_passed} of {checked_made} not refused, whatever the similarity = 0"
        ),
        checked_passed == 0,
    );
    for (name, half) in [("overall", None), ("known words", Some(false)), ("held-out words", Some(true))] {
        let of = |tally: &Tally| half.is_none_or(|half| tally.held_out == half);
        let (made, served, passed) = (sum(|t| t.made, &of), sum(|t| t.served, &of), sum(|t| t.passed, &of));
        let share = served as f64 / made.max(1) as f64;
        let upper = wilson_upper(served, made, 1.645);
        report.figure(&format!("served {name}"), json!([served, made, share, upper]));
        report.figure(&format!("passed {name}"), passed);
        let said = format!("{name}: served {:.2} % of {made}", share * 100.0);
        if half.is_none() {
            report.bar(format!("{said} <= .5 %"), share <= OVERALL_MAX);
        } else {
            line(&said);
        }
    }
}

impl Tally {
    fn json(&self) -> Value {
        json!({
            "kind": format!("{:?}", self.kind), "held_out": self.held_out, "made": self.made, "similar": self.similar,
            "passed": self.passed, "served": self.served, "machine_can_check": self.kind.machine_can_check(),
        })
    }
}
