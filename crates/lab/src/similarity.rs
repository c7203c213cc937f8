//! How much of one text another has: ROUGE (Lin, "ROUGE: A Package for Automatic Evaluation of
//! Summaries", 2004), as F1 over lower-case words.

use std::collections::BTreeMap;

fn words(text: &str) -> Vec<String> {
    let split = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    split.map(str::to_lowercase).collect()
}

fn f1(shared: usize, candidate: usize, reference: usize) -> f64 {
    if shared == 0 { 0.0 } else { 2.0 * shared as f64 / (candidate + reference) as f64 }
}

/// ROUGE-N: shared runs of `n` words.
pub(crate) fn rouge_n(candidate: &str, reference: &str, n: usize) -> f64 {
    let (candidate, reference) = (words(candidate), words(reference));
    let count = |words: &'_ [String]| {
        let mut counts: BTreeMap<Vec<String>, usize> = BTreeMap::new();
        words.windows(n.max(1)).for_each(|run| *counts.entry(run.to_vec()).or_default() += 1);
        counts
    };
    let (ours, theirs) = (count(&candidate), count(&reference));
    let shared = ours.iter().map(|(run, count)| theirs.get(run).map_or(0, |other| *count.min(other))).sum();
    f1(shared, ours.values().sum(), theirs.values().sum())
}

/// ROUGE-L: the longest common subsequence of words.
pub(crate) fn rouge_l(candidate: &str, reference: &str) -> f64 {
    let (candidate, reference) = (words(candidate), words(reference));
    let mut row = vec![0_usize; reference.len() + 1];
    for word in &candidate {
        let mut diagonal = 0;
        for (n, other) in reference.iter().enumerate() {
            let above = row[n + 1];
            row[n + 1] = if word == other { diagonal + 1 } else { above.max(row[n]) };
            diagonal = above;
        }
    }
    f1(row.last().copied().unwrap_or_default(), candidate.len(), reference.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the paper: "police killed the gunman" against "police kill the gunman" and "the
    /// gunman kill police", whose ROUGE-L are 3/4 and 2/4, and whose ROUGE-2 is 1/3 for both.
    #[test]
    fn the_papers_example() {
        let reference = "police killed the gunman";
        let check = |text: &str, l: f64, two: f64| {
            assert!((rouge_l(text, reference) - l).abs() < 1e-12, "{}", rouge_l(text, reference));
            assert!((rouge_n(text, reference, 2) - two).abs() < 1e-12, "{}", rouge_n(text, reference, 2));
        };
        check("police kill the gunman", 0.75, 1.0 / 3.0);
        check("the gunman kill police", 0.5, 1.0 / 3.0);
        check("", 0.0, 0.0);
    }
}
