//! "Did you mean": the known word that is nearest to a mistyped one.

/// The candidate with the fewest edits from `word`, if that is few for its length.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = (word.chars().count() / 3).clamp(1, 3);
    let word = word.to_lowercase();
    let scored = candidates.into_iter().map(|c| (edits(&word, &c.to_lowercase()), c));
    scored.filter(|(edits, _)| *edits <= bound).min().map(|(_, candidate)| candidate)
}

/// ` Did you mean …?` to follow a sentence, or nothing.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, candidates).map(|c| format!("did you mean `{c}`? ")).unwrap_or_default()
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours
/// (Damerau 1964). Long words are far from everything.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 3 || a.len() > 100 {
        return usize::MAX;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let differs = usize::from(a[i - 1] != b[j - 1]);
                let one = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + differs);
                let swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                if swapped { one.min(rows[i - 2][j - 2] + 1) } else { one }
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_within_a_third_of_its_length() {
        let keys = ["models", "route", "labels", "retry"];
        for (word, near) in
            [("model", Some("models")), ("lables", Some("labels")), ("ruote", Some("route")), ("temperature", None)]
        {
            assert_eq!(nearest(word, keys), near, "{word}");
        }
        assert_eq!(nearest("Models", keys), Some("models"));
        assert_eq!(nearest("x", ["y"]), Some("y"));
        assert_eq!(nearest("", ["models"]), None);
    }
}
