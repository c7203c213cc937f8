//! Real texts, their vectors, and copies of those with noise.

use std::io::{BufRead as _, BufReader};

use anyhow::{Context as _, Result, ensure};
use baton_embed::Embedder;
use baton_stats::SplitMix64;
use serde::Deserialize;

#[derive(Deserialize)]
struct Pair {
    text_a: String,
    text_b: String,
}

/// The queries of BANKING77 and the questions of QQP, shuffled.
pub(super) fn read() -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for part in ["train.csv", "test.csv"] {
        let path = crate::data::file("banking77", part, "BANKING77 (PolyAI, 13,083 queries to a bank)")?;
        texts.extend(crate::banking77::csv::read(&path)?.into_iter().map(|row| row.text));
    }
    let path = crate::data::file("qqp", "pairs.jsonl.gz", "QQP (40,427 pairs of questions from Quora)")?;
    let file = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
    for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
        let pair: Pair = serde_json::from_str(&line?).with_context(|| path.display().to_string())?;
        texts.extend([pair.text_a, pair.text_b]);
    }
    texts.sort_unstable();
    texts.dedup();
    SplitMix64::new(1).shuffle(&mut texts);
    Ok(texts)
}

/// Texts to look up, and the vectors of the others.
pub(super) struct Texts<'a> {
    asked: &'a [String],
    others: &'a [String],
    vectors: Vec<Vec<f32>>,
}

impl<'a> Texts<'a> {
    /// The first `asked` texts are kept out of the index.
    pub(super) fn new(texts: &'a [String], embedder: &dyn Embedder, asked: usize) -> Result<Self> {
        ensure!(texts.len() > asked, "{} texts are too few to look up {asked} of them", texts.len());
        let (asked, others) = texts.split_at(asked);
        Ok(Self { asked, others, vectors: others.iter().map(|text| embedder.embed(text)).collect() })
    }

    pub(super) fn asked(&self) -> impl Iterator<Item = &str> + Clone {
        self.asked.iter().map(String::as_str)
    }

    /// The text of an entry.
    pub(super) fn text(&self, entry: u64) -> &'a str {
        &self.others[(entry % self.others.len() as u64) as usize]
    }

    /// The vector of an entry: a text's, or the same with noise, at a cosine of .8 to 1.
    pub(super) fn vector(&self, entry: u64) -> Vec<f32> {
        let count = self.vectors.len() as u64;
        let mut vector = self.vectors[(entry % count) as usize].clone();
        if entry >= count {
            let mut rng = SplitMix64::new(entry);
            // The noise's length is up to .75 of the vector's.
            let most = 0.75 * rng.next_f64() * (12.0 / vector.len() as f64).sqrt();
            vector.iter_mut().for_each(|value| *value += ((rng.next_f64() - 0.5) * most) as f32);
        }
        vector
    }
}

/// In single precision; 0 with a vector that has no direction.
pub(super) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let lanes = |a: &[f32], b: &[f32]| {
        let mut sums = [0.0_f32; 16];
        for (a, b) in a.chunks(16).zip(b.chunks(16)) {
            sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
        }
        sums.iter().sum::<f32>()
    };
    let length = (lanes(a, a) * lanes(b, b)).sqrt();
    if length > 0.0 { lanes(a, b) / length } else { 0.0 }
}
