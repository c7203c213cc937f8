//! How long does it take to find an input's neighbours, how much memory, and who else waits?
//!
//! Timed is all that a look-up computes: embedding the text, the neighbours in its partition, the acceptance's
//! features of them and its decision. Texts are real (BANKING77, QQP); beyond their number entries are copies
//! of their vectors with noise. Answers are drawn, and what the acceptance learnt from is made up.

mod others;
mod partition;
mod texts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_embed::Embedder;
use serde_json::{Value, json};

use crate::lookup::partition::{Partition, Times};
use crate::lookup::texts::{Texts, cosine};
use crate::report::{Report, line, progress, table};

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The embeddings to look up with; MiniLM would take an hour to embed all texts
    #[arg(long, value_delimiter = ',', default_value = "hashed,wordllama")]
    embeddings: Vec<String>,
    /// Entries of the index
    #[arg(long, value_delimiter = ',', default_value = "1000,100000,1000000")]
    entries: Vec<usize>,
    /// Look-ups timed at each size
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    lookups: u64,
}

/// Texts that are looked up and not in the index.
const ASKED: usize = 1000;
/// Entries, and the time that 99 of 100 look-ups with static embeddings take at most.
const BARS: [(usize, Duration); 2] = [(100_000, Duration::from_micros(300)), (1_000_000, Duration::from_millis(3))];
/// Look-ups before the first that is timed.
const WARM_UP: usize = 100;
/// Look-ups compared with all vectors in single precision.
const COMPARED: usize = 30;

struct Cell {
    embedding: String,
    entries: usize,
    /// Microseconds, sorted: embedding, neighbours, decision, all; and all where neighbours must agree on facts.
    times: [Vec<f64>; 5],
    bytes: u64,
    /// Share of the true nearest 1 and 10 that are found.
    recall: [f64; 2],
    others: others::Waits,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let texts = texts::read()?;
    let folder = std::env::var_os("BATON_EMBEDDINGS").map_or_else(|| "target/embeddings".into(), PathBuf::from);
    let mut cells = Vec::new();
    for name in &arguments.embeddings {
        let embedder = open(name, &folder)?;
        progress(&format!("lookup: {name}: embedding {} texts", texts.len()));
        let texts = Texts::new(&texts, embedder.as_ref(), ASKED)?;
        for &entries in &arguments.entries {
            progress(&format!("lookup: {name}: {entries} entries"));
            cells.push(cell(&embedder, &texts, entries, arguments.lookups)?);
        }
    }
    Ok(report(&cells))
}

fn open(name: &str, folder: &Path) -> Result<Arc<dyn Embedder>> {
    let hint = || format!("weights are read from BATON_EMBEDDINGS, here {0}: add `--at {0}`", folder.display());
    baton_embed::open(name, folder).with_context(hint)
}

fn cell(embedder: &Arc<dyn Embedder>, texts: &Texts<'_>, entries: usize, lookups: u64) -> Result<Cell> {
    let partition = Partition::new(embedder, texts, entries);
    let mut times: [Vec<f64>; 5] = Default::default();
    let asked = || texts.asked().cycle();
    // Not the first of all: a scan that was never run is not what a server does all day.
    asked().take(WARM_UP).for_each(|text| _ = partition.look_up(text, false));
    for text in asked().take(lookups as usize) {
        let Times { embedding, neighbours, decision, all } = partition.look_up(text, false);
        times.iter_mut().zip([embedding, neighbours, decision, all]).for_each(|(times, took)| times.push(took));
    }
    times[4] = asked().take(lookups as usize).map(|text| partition.look_up(text, true).all).collect();
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let (recall, bytes) = (recall(&partition, embedder.as_ref(), texts, entries), partition.bytes());
    let asked = texts.asked().map(str::to_owned).collect();
    let others = others::measure(Arc::new(partition), asked)?;
    Ok(Cell { embedding: embedder.id().to_owned(), entries, times, bytes, recall, others })
}

/// Against the cosines of all vectors in single precision: an entry counts as found if what was
/// found is as near, since copies tie.
fn recall(partition: &Partition, embedder: &dyn Embedder, texts: &Texts<'_>, entries: usize) -> [f64; 2] {
    /// What bytes may be off.
    const OFF: f32 = 0.002;
    let asked: Vec<(&str, Vec<f32>)> = texts.asked().take(COMPARED).map(|text| (text, embedder.embed(text))).collect();
    let mut truth = vec![Vec::with_capacity(entries); asked.len()];
    for entry in 0..entries as u64 {
        let vector = texts.vector(entry);
        truth.iter_mut().zip(&asked).for_each(|(truth, (_, asked))| truth.push(cosine(asked, &vector)));
    }
    let mut found = [0.0; 2];
    for (mut truth, (text, asked)) in truth.into_iter().zip(&asked) {
        truth.sort_by(|a, b| b.total_cmp(a));
        let near = partition.near((text, asked), false);
        for (found, count) in found.iter_mut().zip([1, 10]) {
            let hits = near.iter().take(count).filter(|near| near.cosine > truth[count - 1] - OFF).count();
            *found += hits as f64 / (count * COMPARED) as f64;
        }
    }
    found
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn report(cells: &[Cell]) -> Report {
    let mut report = Report::new("lookup");
    let mut figures = table(&[
        "embedding",
        "entries",
        "p50: embed",
        "neighbours",
        "decide",
        "all",
        "p99: all",
        "p50, p99 with facts",
        "bytes/entry",
        "found of 1, 10",
    ]);
    let mut waits =
        table(&["embedding", "entries", "p99 of others: idle", "scans on the pool", "scans on their threads"]);
    let mut rows: Vec<Value> = Vec::new();
    for cell in cells {
        let micros = |times: usize, share| format!("{:.0} µs", quantile(&cell.times[times], share));
        let [one, ten] = cell.recall;
        let (id, entries, each) = (cell.embedding.clone(), cell.entries.to_string(), cell.bytes / cell.entries as u64);
        figures.add_row([
            id.clone(),
            entries.clone(),
            micros(0, 0.5),
            micros(1, 0.5),
            micros(2, 0.5),
            micros(3, 0.5),
            micros(3, 0.99),
            format!("{}, {}", micros(4, 0.5), micros(4, 0.99)),
            each.to_string(),
            format!("{one:.3}, {ten:.3}"),
        ]);
        let others::Waits { idle, pool, inline } = cell.others;
        let wait = |wait: f64| format!("{wait:.0} µs");
        waits.add_row([id, entries, wait(idle), wait(pool), wait(inline)]);
        let [embed, neighbours, decide, all, facts] = [0, 1, 2, 3, 4].map(|times| quantile(&cell.times[times], 0.5));
        rows.push(json!({ "embedding": cell.embedding, "entries": cell.entries, "bytes_per_entry": each,
            "embed_p50_us": embed, "neighbours_p50_us": neighbours, "decide_p50_us": decide, "p50_us": all,
            "p99_us": quantile(&cell.times[3], 0.99), "facts_p50_us": facts,
            "facts_p99_us": quantile(&cell.times[4], 0.99), "recall_1": one, "recall_10": ten,
            "others_idle_p99_us": idle, "others_p99_us": pool, "others_inline_p99_us": inline }));
    }
    line(&format!("{figures}\n\n{waits}"));
    for (entries, most) in BARS {
        let of = |cell: &&Cell| cell.entries == entries && cell.embedding.starts_with("wordllama");
        if let Some(cell) = cells.iter().find(of) {
            let p99 = quantile(&cell.times[3], 0.99);
            let bar = format!("static embeddings at {entries}: p99 {p99:.0} µs, at most {} µs", most.as_micros());
            report.bar(bar, p99 <= most.as_secs_f64() * 1e6);
        }
    }
    let least = cells.iter().map(|cell| cell.recall[1]).fold(1.0, f64::min);
    report.bar(format!("of the true ten nearest {least:.3} are found, at least .98"), least >= 0.98);
    report.figure("lookups", cells.first().map_or(0, |cell| cell.times[0].len()));
    report.figure("cells", rows);
    report
}
