//! The texts of the stream as vectors, and for each its nearest among all others: found once for
//! each embedding, whatever order the texts then arrive in.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use baton_cache::semantic::accept::{NEIGHBOURS, Neighbour};
use baton_cache::semantic::words::{Counts, Words};

use crate::parallel::parallel;
use crate::report::progress;

/// Neighbours kept of each text. Where fewer of them than a look reads are in the cache, all of the
/// cache is scanned, so that a look always sees the true nearest.
const KEPT: usize = 1_000;
/// Texts that a thread takes at once.
const BLOCK: usize = 64;

/// One embedding of all texts.
pub(super) struct Vectors {
    pub(super) name: String,
    dimensions: usize,
    values: Vec<f32>,
    /// `KEPT` for each text, nearest first.
    near: Vec<Vec<(u32, f32)>>,
    pub(super) words: Vec<Words>,
}

impl Vectors {
    /// # Errors
    /// Weights that are not there, with the command that fetches them.
    pub(super) fn of(name: &str, weights: &Path, texts: &[String]) -> anyhow::Result<Self> {
        let embedder = baton_embed::open(name, weights)?;
        let dimensions = embedder.dimensions();
        let kept = place(embedder.id(), texts);
        let values = match std::fs::read(&kept) {
            Ok(bytes) if bytes.len() == texts.len() * dimensions * 4 => {
                bytes.chunks_exact(4).map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]])).collect()
            }
            _ => {
                progress(&format!("cache: {name}: {} texts to vectors", texts.len()));
                let values = parallel(texts, |_, text| embedder.embed(text)).concat();
                keep(&kept, &values)?;
                values
            }
        };
        progress(&format!("cache: {name}: nearest neighbours"));
        let words = texts.iter().map(|text| Words::of(text)).collect();
        Ok(Self { words, ..Self::near(name, dimensions, values) })
    }

    fn near(name: &str, dimensions: usize, values: Vec<f32>) -> Self {
        let count = values.len() / dimensions;
        let starts: Vec<usize> = (0..count).step_by(BLOCK).collect();
        let row = |at: usize| &values[at * dimensions..(at + 1) * dimensions];
        let block = |_: usize, start: &usize| -> Vec<Vec<(u32, f32)>> {
            let nearest = |text: usize| {
                let others = (0..count).filter(|other| *other != text);
                let mut all: Vec<(u32, f32)> = others.map(|other| (other as u32, dot(row(text), row(other)))).collect();
                if all.len() > KEPT {
                    all.select_nth_unstable_by(KEPT, order);
                    all.truncate(KEPT);
                }
                all.sort_unstable_by(order);
                all
            };
            (*start..count.min(start + BLOCK)).map(nearest).collect()
        };
        let near = parallel(&starts, block).into_iter().flatten().collect();
        Self { name: name.to_owned(), dimensions, values, near, words: vec![Words::default(); count] }
    }

    /// The nearest that `cache` holds, as a look-up reads them.
    pub(super) fn nearest(&self, text: usize, cache: &Present, labels: &[u64]) -> Vec<Neighbour> {
        let mut words = cache.counts.under(&self.words[text]);
        let neighbour = |(entry, cosine): (u32, f32)| {
            let (age, answer) = (cache.entries.len() as u32 - cache.taken[entry as usize], labels[entry as usize]);
            Neighbour { entry: u64::from(entry), cosine, answer, age, words: words(answer) }
        };
        let known = self.near[text].iter().filter(|(entry, _)| cache.taken[*entry as usize] > 0);
        let found: Vec<(u32, f32)> = known.take(NEIGHBOURS).copied().collect();
        if found.len() == NEIGHBOURS || found.len() == cache.entries.len() {
            return found.into_iter().map(neighbour).collect();
        }
        let row = |at: usize| &self.values[at * self.dimensions..(at + 1) * self.dimensions];
        let mut all: Vec<(u32, f32)> =
            cache.entries.iter().map(|entry| (*entry, dot(row(text), row(*entry as usize)))).collect();
        all.sort_unstable_by(order);
        all.into_iter().take(NEIGHBOURS).map(neighbour).collect()
    }
}

/// Which texts the cache holds.
pub(super) struct Present {
    /// For each text, which in order it was taken in, from 1 up; 0 where it was not.
    taken: Vec<u32>,
    entries: Vec<u32>,
    counts: Counts,
}

impl Present {
    pub(super) fn none(of: usize) -> Self {
        Self { taken: vec![0; of], entries: Vec::new(), counts: Counts::default() }
    }

    pub(super) fn insert(&mut self, text: usize, (words, answer): (&Words, u64)) {
        self.counts.add(words, answer);
        self.entries.push(text as u32);
        self.taken[text] = self.entries.len() as u32;
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Nearest first; equally near ones by their number.
fn order(a: &(u32, f32), b: &(u32, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// In eight sums, which the compiler makes one vector of.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

/// Where the vectors of these texts are kept: MiniLM takes minutes.
fn place(id: &str, texts: &[String]) -> PathBuf {
    let mut hash = blake3::Hasher::new();
    for part in std::iter::once(id).chain(texts.iter().map(String::as_str)) {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/vectors");
    folder.join(format!("{}.f32", &hash.finalize().to_hex()[..32]))
}

fn keep(path: &Path, values: &[f32]) -> anyhow::Result<()> {
    let folder = path.parent().context("no folder")?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the lists answer or the scan does, the nearest of those present are the same.
    #[test]
    fn the_lists_and_the_scan_agree() {
        let mut rng = baton_stats::SplitMix64::new(1);
        let (count, dimensions) = (3_000, 8);
        let values: Vec<f32> = (0..count * dimensions).map(|_| rng.next_f64() as f32 - 0.5).collect();
        let vectors = Vectors::near("random", dimensions, values);
        let labels: Vec<u64> = (0..count as u64).collect();
        for share in [0.01, 0.1, 0.9] {
            let mut cache = Present::none(count);
            (1..count)
                .filter(|_| rng.next_f64() < share)
                .collect::<Vec<_>>()
                .into_iter()
                .for_each(|i| cache.insert(i, (&vectors.words[i], labels[i])));
            let row = |at: usize| &vectors.values[at * dimensions..(at + 1) * dimensions];
            let mut all: Vec<(u32, f32)> =
                cache.entries.iter().map(|entry| (*entry, dot(row(0), row(*entry as usize)))).collect();
            all.sort_unstable_by(order);
            let expected: Vec<u64> = all.iter().take(NEIGHBOURS).map(|(entry, _)| u64::from(*entry)).collect();
            let found: Vec<u64> = vectors.nearest(0, &cache, &labels).iter().map(|n| n.entry).collect();
            assert_eq!(found, expected);
        }
    }
}
