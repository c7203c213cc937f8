//! Pairs of questions, with what people said about whether they are the same (Quora question pairs).

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};

use anyhow::Context as _;
use serde::Deserialize;

/// Two questions.
pub(crate) struct Pair {
    pub(crate) a: String,
    pub(crate) b: String,
    /// People called them the same. The labels are noisy.
    pub(crate) same: bool,
    /// It belongs to the half that nothing is tuned on. Pairs that share a question, or are linked by such
    /// pairs, are in one half.
    pub(crate) test: bool,
}

#[derive(Deserialize)]
struct Line {
    text_a: String,
    text_b: String,
    label: u8,
}

/// All pairs.
///
/// # Errors
/// Where the file is missing or no such file.
pub(crate) fn read() -> anyhow::Result<Vec<Pair>> {
    let path = crate::data::file("qqp", "pairs.jsonl.gz", "40,427 Quora question pairs")?;
    let file = std::fs::File::open(&path).with_context(|| path.display().to_string())?;
    let mut lines: Vec<Line> = Vec::new();
    for (n, line) in BufReader::new(flate2::read::GzDecoder::new(file)).lines().enumerate() {
        let at = || format!("{} line {}", path.display(), n + 1);
        lines.push(serde_json::from_str(&line.with_context(at)?).with_context(at)?);
    }
    let test = halves(&lines);
    let pair = |(line, test): (Line, bool)| Pair { a: line.text_a, b: line.text_b, same: line.label == 1, test };
    Ok(lines.into_iter().zip(test).map(pair).collect())
}

/// Which half each pair is in: by the hash of the first question of all that are linked to it.
fn halves(lines: &[Line]) -> Vec<bool> {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut parents: Vec<usize> = Vec::new();
    let mut texts: Vec<&str> = Vec::new();
    let mut roots = Vec::with_capacity(lines.len());
    for line in lines {
        let [a, b] = [&line.text_a, &line.text_b].map(|text| {
            *numbers.entry(text).or_insert_with(|| {
                parents.push(parents.len());
                texts.push(text);
                parents.len() - 1
            })
        });
        let (a, b) = (root(&mut parents, a), root(&mut parents, b));
        parents[a.max(b)] = a.min(b);
        roots.push(a);
    }
    let half = |at: usize| {
        let at = root(&mut parents, at);
        texts[at]
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
            >> 40
            & 1
            == 1
    };
    roots.into_iter().map(half).collect()
}

/// The first of the linked ones, with shorter ways on the way.
fn root(parents: &mut [usize], mut at: usize) -> usize {
    while parents[at] != at {
        parents[at] = parents[parents[at]];
        at = parents[at];
    }
    at
}
