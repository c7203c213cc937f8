//! Words: their stems, which of them mean something by themselves, and the rule of the single word.

use super::Facts;
use super::lexicon;

/// A word of a text.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// In small letters, without `'s`.
    pub(super) text: String,
    /// Without endings.
    pub(super) stem: String,
    /// It is written as a name.
    pub(super) name: bool,
    /// It has a capital, where capitals tell something.
    pub(super) capital: bool,
    /// It is written in capitals: it may stand for the words that begin with them.
    pub(super) acronym: bool,
    /// Part of a number, a moment, a unit: compared by its value.
    pub(super) valued: bool,
    /// Clauses are numbered: a negation reaches no further than its own.
    pub(super) clause: u32,
}

impl Word {
    /// Whether it means something by itself.
    pub(super) fn is_content(&self) -> bool {
        !self.valued && !lexicon::is_function_word(&self.text)
    }
}

/// Takes the ends of English words off, so that `charged`, `charges` and `charging` are one. Not a
/// dictionary's stem, only the same for most forms of a word.
pub(super) fn stem(word: &str) -> String {
    let mut stem = word.replace("our", "or");
    let ends = |stem: &String, end: &str, least: usize| stem.len() >= least + end.len() && stem.ends_with(end);
    if ends(&stem, "ies", 2) {
        stem.truncate(stem.len() - 3);
        stem.push('y');
    } else if ["sses", "shes", "ches", "xes", "zes"].iter().any(|end| ends(&stem, end, 1)) {
        stem.truncate(stem.len() - 2);
    } else if ends(&stem, "s", 3) && !["ss", "us", "is"].iter().any(|end| stem.ends_with(end)) {
        stem.pop();
    }
    for end in ["ing", "ed"] {
        if ends(&stem, end, 3) {
            stem.truncate(stem.len() - end.len());
            undouble(&mut stem);
            break;
        }
    }
    if ends(&stem, "ly", 3) {
        stem.truncate(stem.len() - 2);
    }
    if ends(&stem, "e", 3) {
        stem.pop();
    }
    if ends(&stem, "is", 3) {
        stem.pop();
        stem.push('z');
    }
    if ends(&stem, "y", 2) {
        stem.pop();
        stem.push('i');
    }
    stem
}

fn undouble(stem: &mut String) {
    let mut back = stem.bytes().rev();
    if let (Some(last), Some(before)) = (back.next(), back.next())
        && last == before
        && last.is_ascii_alphabetic()
        && !matches!(last, b'l' | b's' | b'e')
    {
        stem.pop();
    }
}

/// So many words may differ on a side for the texts to count as alike but for those.
const DIFFERENT_MAX: usize = 5;

/// Whether words of one text stand in the place of other words, and none of them is known to say the same:
/// what stands before and behind is the same, and nearly all of the rest.
///
/// What changes the meaning of a sentence and nothing else in it is one word in the place of another. So
/// where nearly all is the same the difference counts, whatever words they are.
pub(super) fn substituted(a: &Facts, b: &Facts) -> bool {
    let left = unmatched(a, b);
    let (mine, theirs) = (left.mine.len(), left.theirs.len());
    let (fewer, most) = (mine.min(theirs), mine.max(theirs));
    if fewer == 0 || most > DIFFERENT_MAX {
        return false;
    }
    // Where few words mean something by themselves, more of what is around must be the same.
    let reach = if left.same < fewer { 2 } else { 1 };
    let runs = |facts: &Facts, left: &[usize]| left.iter().flat_map(|at| around(facts, left, *at)).collect::<Vec<_>>();
    let (mine, theirs) = (runs(a, &left.mine), runs(b, &left.theirs));
    mine.iter().any(|x| theirs.iter().any(|y| same_around((a, x.0, x.1), (b, y.0, y.1), reach)))
}

/// The first and last word of what may stand in the place of something else: words that only one text has,
/// and the prepositions that belong to them (`ahead of`, `at the weekend`).
fn around(facts: &Facts, left: &[usize], at: usize) -> Vec<(usize, usize)> {
    let end = (at..).take_while(|at| left.contains(at)).last().unwrap_or(at);
    let idle = |at: usize| facts.words.get(at).is_some_and(|word| !word.is_content());
    let preposition = |at: &usize| facts.words.get(*at).is_some_and(|word| lexicon::is_preposition(&word.text));
    let before = at.checked_sub(1).filter(preposition);
    let further = at.checked_sub(2).filter(|before| preposition(before) && idle(before + 1));
    let starts = [Some(at), before, further];
    let ends = [Some(end), Some(end + 1).filter(preposition)];
    starts.into_iter().flatten().flat_map(|start| ends.into_iter().flatten().map(move |end| (start, end))).collect()
}

/// Whether the words before and behind two runs of words are the same, so many on each side; what a clause
/// begins or ends with is one thing, and so are the words of courtesy there.
pub(super) fn same_around(
    (a, x, end_x): (&Facts, usize, usize),
    (b, y, end_y): (&Facts, usize, usize),
    reach: usize,
) -> bool {
    let (before, behind) = (|at: usize, by: usize| at.checked_sub(by), |at: usize, by: usize| at.checked_add(by));
    let same = |x: usize, y: usize, step: fn(usize, usize) -> Option<usize>| {
        for by in 1..=reach {
            match (step(x, by).and_then(|at| a.in_clause(at, x)), step(y, by).and_then(|at| b.in_clause(at, y))) {
                (None, None) => return true,
                (Some(x), Some(y)) if x.stem == y.stem => {}
                _ => return false,
            }
        }
        true
    };
    same(x, y, before) && same(end_x, end_y, behind)
}

/// The content words that only one of two texts has, by their positions.
pub(super) struct Unmatched {
    pub(super) mine: Vec<usize>,
    pub(super) theirs: Vec<usize>,
    /// Content words that both have.
    pub(super) same: usize,
}

/// Pairs the content words off: the same stem first, then what says the same.
pub(super) fn unmatched(a: &Facts, b: &Facts) -> Unmatched {
    let (mut mine, mut theirs) = (a.content.clone(), b.content.clone());
    let mut same = 0;
    for alike in [same_stem, lexicon::same_meaning, same_but_for_a_slip] {
        mine.retain(|at| {
            let found = theirs.iter().position(|other| alike(&a.words[*at], &b.words[*other]));
            same += usize::from(found.is_some());
            found.map(|at| theirs.swap_remove(at)).is_none()
        });
        // What is far apart is compared no further.
        if mine.len().max(theirs.len()) > 4 * DIFFERENT_MAX {
            break;
        }
    }
    Unmatched { mine, theirs, same }
}

/// The share of all words that both texts have, and whether the first one is the same.
pub(super) fn common(a: &[Word], b: &[Word]) -> [f64; 2] {
    let stems = |words: &'_ [Word]| -> Vec<u64> {
        let mut stems: Vec<u64> = words.iter().map(|word| super::term::hash(&word.stem)).collect();
        stems.sort_unstable();
        stems.dedup();
        stems
    };
    let (mine, theirs) = (stems(a), stems(b));
    let both = mine.iter().filter(|stem| theirs.binary_search(stem).is_ok()).count();
    let all = mine.len() + theirs.len() - both;
    let first = a.first().map(|word| &word.stem) == b.first().map(|word| &word.stem);
    [if all == 0 { 0.0 } else { both as f64 / all as f64 }, f64::from(u8::from(first))]
}

fn same_stem(a: &Word, b: &Word) -> bool {
    a.stem == b.stem
}

/// Words of this length are one where a single letter is missing, other or swapped.
const SLIP_MIN: usize = 6;

/// Whether one is the other but for a slip of the fingers. Not where a name is concerned.
fn same_but_for_a_slip(a: &Word, b: &Word) -> bool {
    let (x, y) = (a.text.as_bytes(), b.text.as_bytes());
    if a.name || b.name || x.len().min(y.len()) < SLIP_MIN || x.len().abs_diff(y.len()) > 1 {
        return false;
    }
    let ahead = x.iter().zip(y).take_while(|(x, y)| x == y).count();
    let behind = x.iter().rev().zip(y.iter().rev()).take_while(|(x, y)| x == y).count();
    let (rest_x, rest_y) = (x.len().saturating_sub(ahead + behind), y.len().saturating_sub(ahead + behind));
    let swapped = rest_x == 2 && rest_y == 2 && x[ahead] == y[ahead + 1] && x[ahead + 1] == y[ahead];
    // A letter in front turns the sense: `typical`, `atypical`.
    ahead > 0 && (rest_x.max(rest_y) <= 1 || swapped)
}
