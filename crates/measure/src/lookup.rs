//! How long does it take to find an input's neighbours, how much memory, and who else waits?
//!
//! Timed is what a look-up computes: embedding the text, and the index of its partition. Texts are
//! real (BANKING77, QQP); beyond their number entries are copies of their vectors with noise.

mod others;
mod texts;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_cache::semantic::index::Index;
use baton_embed::Embedder;
use serde_json::{Value, json};

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

/// Neighbours asked for: as many as the acceptance model reads.
const NEIGHBOURS: usize = 50;
/// Texts that are looked up and not in the index.
const ASKED: usize = 1000;
/// Entries, and the time that 99 of 100 look-ups with static embeddings take at most.
const BARS: [(usize, Duration); 2] = [(100_000, Duration::from_micros(300)), (1_000_000, Duration::from_millis(3))];
/// Look-ups compared with all vectors in single precision.
const COMPARED: usize = 30;

struct Cell {
    embedding: String,
    entries: usize,
    /// Microseconds, sorted: embedding, index, both.
    times: [Vec<f64>; 3],
    bytes: usize,
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
    let mut index = Index::new(embedder.dimensions(), entries);
    for entry in 0..entries as u64 {
        // A text without a word has no direction, and no place.
        let _nothing = index.insert(entry, &texts.vector(entry));
    }
    let mut times = [Vec::new(), Vec::new(), Vec::new()];
    for text in texts.asked().cycle().take(lookups as usize) {
        let start = Instant::now();
        let vector = embedder.embed(text);
        let embedded = start.elapsed();
        std::hint::black_box(index.nearest(&vector, NEIGHBOURS));
        let both = start.elapsed();
        for (times, took) in times.iter_mut().zip([embedded, both - embedded, both]) {
            times.push(took.as_secs_f64() * 1e6);
        }
    }
    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
    let (recall, bytes) = (recall(&index, embedder.as_ref(), texts, entries), index.bytes());
    let asked = texts.asked().map(str::to_owned).collect();
    let others = others::measure(Arc::clone(embedder), Arc::new(index), asked)?;
    Ok(Cell { embedding: embedder.id().to_owned(), entries, times, bytes, recall, others })
}

/// Against the cosines of all vectors in single precision: an entry counts as found if what was
/// found is as near, since copies tie.
fn recall(index: &Index, embedder: &dyn Embedder, texts: &Texts<'_>, entries: usize) -> [f64; 2] {
    /// What bytes may be off.
    const OFF: f32 = 0.002;
    let asked: Vec<Vec<f32>> = texts.asked().take(COMPARED).map(|text| embedder.embed(text)).collect();
    let mut truth = vec![Vec::with_capacity(entries); asked.len()];
    for entry in 0..entries as u64 {
        let vector = texts.vector(entry);
        truth.iter_mut().zip(&asked).for_each(|(truth, asked)| truth.push(cosine(asked, &vector)));
    }
    let mut found = [0.0; 2];
    for (mut truth, asked) in truth.into_iter().zip(&asked) {
        truth.sort_by(|a, b| b.total_cmp(a));
        let near = index.nearest(asked, NEIGHBOURS);
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
    let columns =
        ["embedding", "entries", "embed p50", "index p50", "both p50", "both p99", "bytes/entry", "found of 1, 10"];
    let mut figures = table(&columns);
    let mut waits =
        table(&["embedding", "entries", "p99 of others: idle", "scans on the pool", "scans on their threads"]);
    let mut rows: Vec<Value> = Vec::new();
    for cell in cells {
        let micros = |times: usize, share| format!("{:.0} µs", quantile(&cell.times[times], share));
        let [one, ten] = cell.recall;
        let (id, entries, each) = (cell.embedding.clone(), cell.entries.to_string(), cell.bytes / cell.entries);
        let (embed, index) = (micros(0, 0.5), micros(1, 0.5));
        let found = format!("{one:.3}, {ten:.3}");
        figures.add_row([&id, &entries, &embed, &index, &micros(2, 0.5), &micros(2, 0.99), &each.to_string(), &found]);
        let others::Waits { idle, pool, inline } = cell.others;
        let wait = |wait: f64| format!("{wait:.0} µs");
        waits.add_row([id, entries, wait(idle), wait(pool), wait(inline)]);
        rows.push(json!({ "embedding": cell.embedding, "entries": cell.entries, "bytes_per_entry": each,
            "embed_p50_us": quantile(&cell.times[0], 0.5), "index_p50_us": quantile(&cell.times[1], 0.5),
            "p50_us": quantile(&cell.times[2], 0.5), "p99_us": quantile(&cell.times[2], 0.99),
            "recall_1": one, "recall_10": ten, "others_idle_p99_us": idle, "others_p99_us": pool,
            "others_inline_p99_us": inline }));
    }
    line(&format!("{figures}\n\n{waits}"));
    for (entries, most) in BARS {
        let of = |cell: &&Cell| cell.entries == entries && cell.embedding.starts_with("wordllama");
        if let Some(cell) = cells.iter().find(of) {
            let p99 = quantile(&cell.times[2], 0.99);
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
