//! How many runs of words two texts have in common: BLEU, GLEU and ROUGE-N.

use std::collections::HashMap;

/// The longest run that BLEU and GLEU count.
const ORDER_MAX: usize = 4;
/// Stands for a precision of 0, whose logarithm there is not.
const SMOOTH: f64 = 1e-7;

/// BLEU of a sentence (Papineni et al. 2002): the geometric mean of the clipped precisions of runs of
/// one to four words, orders longer than the text left out, times the brevity penalty against the
/// reference of the nearest length.
pub(crate) fn bleu(text: &str, references: &[String]) -> f64 {
    let text = lower_words(text);
    let references: Vec<Vec<String>> = references.iter().map(|reference| lower_words(reference)).collect();
    let lengths = references.iter().map(Vec::len);
    let nearest = lengths.min_by_key(|length| (length.abs_diff(text.len()), *length)).unwrap_or(0);
    if text.is_empty() {
        return 0.0;
    }
    let orders = ORDER_MAX.min(text.len());
    let mut sum = 0.0;
    for order in 1..=orders {
        let best = references.iter().map(|reference| common(&text, reference, order)).max().unwrap_or(0);
        let precision = ratio(best, text.len() + 1 - order);
        sum += if precision == 0.0 { SMOOTH.ln() } else { precision.ln() };
    }
    let brevity = if text.len() > nearest { 1.0 } else { (1.0 - ratio(nearest, text.len())).exp() };
    brevity * (sum / ratio(orders, 1)).exp()
}

/// GLEU (Wu et al. 2016): of all runs of one to four words, the smaller of precision and recall; the
/// best of the references. Full stops at the ends of words don't count.
pub(crate) fn gleu(text: &str, references: &[String]) -> f64 {
    let bare = |text: &str| -> Vec<String> {
        lower_words(text).iter().map(|word| word.trim_end_matches('.').to_owned()).collect()
    };
    let text = bare(text);
    let score = |reference: &String| {
        let reference = bare(reference);
        if text == reference {
            return 1.0;
        }
        let runs = |words: &[String]| (1..=ORDER_MAX).map(|order| (words.len() + 1).saturating_sub(order)).sum();
        let (given, wanted): (usize, usize) = (runs(&text), runs(&reference));
        let common: usize = (1..=ORDER_MAX).map(|order| common(&text, &reference, order)).sum();
        if given == 0 || wanted == 0 { 0.0 } else { ratio(common, given).min(ratio(common, wanted)) }
    };
    references.iter().map(score).fold(0.0, f64::max)
}

/// ROUGE-1 as an F-score (Lin 2004), on words and marks apart from each other.
pub(crate) fn rouge(text: &str, reference: &str) -> f64 {
    let (text, reference) = (word_tokens(text), word_tokens(reference));
    let common = common(&text, &reference, 1);
    if common == 0 {
        return 0.0;
    }
    let (precision, recall) = (ratio(common, text.len()), ratio(common, reference.len()));
    2.0 * precision * recall / (precision + recall)
}

/// How many runs of this many words both have, each as often as it is in the rarer.
fn common(text: &[String], reference: &[String], order: usize) -> usize {
    let mut left: HashMap<&[String], usize> = HashMap::new();
    for run in reference.windows(order) {
        *left.entry(run).or_default() += 1;
    }
    let mut found = 0;
    for run in text.windows(order) {
        if let Some(count) = left.get_mut(run).filter(|count| **count > 0) {
            *count -= 1;
            found += 1;
        }
    }
    found
}

fn lower_words(text: &str) -> Vec<String> {
    text.to_lowercase().split_whitespace().map(str::to_owned).collect()
}

/// As the Penn Treebank parts words: marks alone, `don't` as `do n't`, `it's` as `it 's`, full stops
/// only at the end. Decimals and abbreviations stay whole.
fn word_tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let text = text.to_lowercase();
    let mut words = text.split_whitespace().peekable();
    while let Some(mut word) = words.next() {
        let mut behind = Vec::new();
        while let Some(c) = word.chars().next().filter(|c| is_mark(*c)) {
            tokens.push(c.to_string());
            word = &word[c.len_utf8()..];
        }
        while let Some(c) = word.chars().next_back() {
            let mark = is_mark(c) || (c == '.' && words.peek().is_none());
            if !mark {
                break;
            }
            behind.push(c.to_string());
            word = &word[..word.len() - c.len_utf8()];
        }
        let split =
            ["n't", "'s", "'re", "'ve", "'ll", "'d", "'m"].iter().find_map(|end| Some((word.strip_suffix(end)?, *end)));
        match split {
            Some((start, end)) if !start.is_empty() => tokens.extend([start.to_owned(), end.to_owned()]),
            _ if !word.is_empty() => tokens.push(word.to_owned()),
            _ => {}
        }
        tokens.extend(behind.into_iter().rev());
    }
    tokens
}

fn is_mark(c: char) -> bool {
    matches!(
        c,
        ',' | ';'
            | ':'
            | '!'
            | '?'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '<'
            | '>'
            | '"'
            | '“'
            | '”'
            | '…'
            | '@'
            | '#'
            | '$'
            | '%'
            | '&'
    )
}

fn ratio(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts of words are far below 2^53")]
    let (part, whole) = (part as f64, whole as f64);
    part / whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-4
    }

    #[test]
    fn scores_worked_out_by_hand() {
        let one = |text: &str| vec![text.to_owned()];
        assert!(near(bleu("the cat sat on the mat", &one("the cat sat on the mat")), 1.0));
        // Precisions 1, 1, 1, 1 and three words of six missing: exp(1 - 8/4).
        assert!(near(bleu("the cat sat on", &one("the cat sat on the mat all day")), (-1.0_f64).exp()));
        assert!(near(bleu("", &one("a")), 0.0));
        // 2 + 1 runs in common of 3 + 2 + 1 on both sides.
        assert!(near(gleu("a b c", &one("a b d")), 0.5));
        assert!(near(gleu("a b.", &one("a b")), 1.0));
        assert!(near(rouge("The cat sat.", "the cat ran."), 0.75));
        assert!(near(rouge("a", "b"), 0.0));
        assert_eq!(word_tokens("It's $5.00, don't!"), ["it", "'s", "$", "5.00", ",", "do", "n't", "!"]);
    }
}
