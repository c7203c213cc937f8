//! What turns the sense of a sentence round: negations, opposites, and what a question asks for.

use super::Facts;
use super::lexicon;
use super::word::{Word, same_around, unmatched};

/// A negation reaches so many words ahead.
const REACH: usize = 4;

/// Whether one text denies what the other does not.
pub(super) fn negated(a: &Facts, b: &Facts) -> bool {
    if put_behind_an_auxiliary(a, b) || put_behind_an_auxiliary(b, a) {
        return true;
    }
    let (mine, theirs) = (Denial::of(&a.words), Denial::of(&b.words));
    if (mine.strong > 0) != (theirs.strong > 0) {
        let (with, without) = if mine.strong > 0 { (&mine, &theirs) } else { (&theirs, &mine) };
        let weak = without.weak.saturating_sub(with.weak);
        // `could not pay`, `failed to pay`: another word may stand for it, if the texts are not alike else.
        return weak == 0 || unmatched(a, b).same * 2 > a.content.len().max(b.content.len());
    }
    let denied = |denial: &Denial, facts: &Facts, stem: &str| {
        facts.content.iter().filter(|at| facts.words[**at].stem == stem).all(|at| denial.reached.contains(at))
    };
    let same_number = mine.strong == theirs.strong;
    a.content.iter().any(|at| {
        let stem = a.words[*at].stem.as_str();
        let there = b.content.iter().any(|at| b.words[*at].stem == stem);
        // With as many negations each must deny the same; with more of them one side denies more.
        there && denied(&mine, a, stem) != denied(&theirs, b, stem) && (!same_number || mine.strong > 0)
    }) || (!same_number && mine.strong % 2 != theirs.strong % 2)
}

const AUXILIARIES: [&str; 20] = [
    "do", "does", "did", "is", "are", "was", "were", "am", "be", "been", "has", "have", "had", "can", "could", "will",
    "would", "should", "must", "may",
];
/// So many words may be put there.
const PUT_MAX: usize = 4;

/// Whether a text is as the other but for some words behind `is`, `has`, `can`, where a denial stands,
/// whatever words it is made of: `is far from ready`. Adverbs that only colour it are no such words.
fn put_behind_an_auxiliary(a: &Facts, b: &Facts) -> bool {
    let stem = |facts: &Facts, at: Option<usize>, of: usize| {
        at.and_then(|at| facts.in_clause(at, of)).map(|word| super::term::hash(&word.stem))
    };
    let put = |x: usize, y: usize| {
        let before = stem(a, x.checked_sub(1), x) == stem(b, y.checked_sub(1), y);
        let behind = |by: usize, at: usize| stem(a, Some(x + by + at), x) == stem(b, Some(y + at), y);
        let ends = |by: usize| {
            let next = stem(b, Some(y + 1), y).is_some();
            next && behind(by, 1) && behind(by, 2)
        };
        let denies = |by: usize| !a.words[x + 1..=x + by].iter().all(|word| colours(&word.text));
        before && (1..=PUT_MAX).any(|by| ends(by) && denies(by))
    };
    let auxiliaries = |facts: &Facts| -> Vec<usize> {
        (0..facts.words.len()).filter(|at| AUXILIARIES.contains(&facts.words[*at].text.as_str())).collect()
    };
    let (mine, theirs) = (auxiliaries(a), auxiliaries(b));
    mine.iter().any(|x| theirs.iter().any(|y| a.words[*x].text == b.words[*y].text && put(*x, *y)))
}

/// Words between a verb's parts that leave its sense.
fn colours(word: &str) -> bool {
    word.ends_with("ly") || lexicon::is_filler(word)
}

struct Denial {
    strong: usize,
    weak: usize,
    /// Words that a negation reaches.
    reached: Vec<usize>,
}

impl Denial {
    fn of(words: &[Word]) -> Self {
        let mut denial = Self { strong: 0, weak: 0, reached: Vec::new() };
        for (at, word) in words.iter().enumerate() {
            let before = at.checked_sub(1).map_or("", |before| words[before].text.as_str());
            let behind = words.get(at + 1).map_or("", |behind| behind.text.as_str());
            // `if not`, `or not` ask both ways; `not only` denies nothing.
            let idle = word.valued
                || matches!(before, "if" | "or") && word.text.starts_with("no")
                || (behind == "only" && word.text == "not" && words.iter().any(|word| word.text == "but"))
                || before == "at";
            if idle || !lexicon::is_negation(&word.text) {
                denial.weak += usize::from(lexicon::is_weak_negation(&word.text));
                continue;
            }
            denial.strong += 1;
            let mut content = 0;
            for (next, other) in words.iter().enumerate().skip(at + 1).take(2 * REACH) {
                if other.clause != word.clause || content == 2 {
                    break;
                }
                if other.is_content() {
                    denial.reached.push(next);
                    content += 1;
                }
            }
        }
        denial
    }
}

/// Whether one text has a word where the other has its opposite.
pub(super) fn opposed(a: &Facts, b: &Facts) -> bool {
    // The same words in the same order are no opposites, whatever they are: `to to from from`.
    if a.words.iter().map(|word| &word.text).eq(b.words.iter().map(|word| &word.text)) {
        return false;
    }
    if turned(a, b) {
        return true;
    }
    let (a, b) = (&a.words, &b.words);
    let (mine, theirs) = (sides(a), sides(b));
    let opposite = mine.iter().any(|(axis, side)| {
        let all = |sides: &[(u16, bool)], wanted: bool| sides.iter().filter(|s| s.0 == *axis).all(|s| s.1 == wanted);
        theirs.iter().any(|(other, there)| other == axis && side != there) && all(&mine, *side) && all(&theirs, !side)
    });
    opposite || prefixed(a, b) || prefixed(b, a)
}

/// Whether a word such as `on` stands where the other text has `off`, whatever else they say.
fn turned(a: &Facts, b: &Facts) -> bool {
    let turning = |facts: &Facts| -> Vec<usize> {
        let of = |word: &Word| lexicon::may_turn(&word.text) || !lexicon::sides(&word.stem).is_empty();
        (0..facts.words.len()).filter(|at| of(&facts.words[*at])).collect()
    };
    let turns = |x: &Word, y: &Word| {
        let opposite = |side: &(u16, bool)| lexicon::sides(&y.stem).contains(&(side.0, !side.1));
        x.stem != y.stem && (lexicon::turns(&x.text, &y.text) || lexicon::sides(&x.stem).iter().any(opposite))
    };
    let (mine, theirs) = (turning(a), turning(b));
    mine.iter()
        .any(|x| theirs.iter().any(|y| turns(&a.words[*x], &b.words[*y]) && same_around((a, *x, *x), (b, *y, *y), 1)))
}

/// Axes and sides of the words of a text.
fn sides(words: &[Word]) -> Vec<(u16, bool)> {
    words.iter().filter(|word| !word.valued).flat_map(|word| lexicon::sides(&word.stem)).copied().collect()
}

/// Beginnings that deny.
const PREFIXES: [&str; 9] = ["un", "in", "im", "il", "ir", "dis", "non", "de", "mis"];

/// Whether `a` has `unblock` where `b` has `block` and not `unblock`.
fn prefixed(a: &[Word], b: &[Word]) -> bool {
    let has = |words: &[Word], stem: &str| words.iter().any(|word| word.stem == stem);
    a.iter().any(|word| {
        let base = |prefix: &str| word.stem.strip_prefix(prefix).filter(|base| base.len() >= 4);
        PREFIXES
            .iter()
            .filter_map(|prefix| base(prefix))
            .any(|base| has(b, base) && !has(b, &word.stem) && !has(a, base))
    })
}

/// Whether they ask for different things: who, when, where.
pub(super) fn asks(a: &[Word], b: &[Word]) -> bool {
    let (mine, theirs) = (lexicon::asked(a), lexicon::asked(b));
    mine != 0 && theirs != 0 && mine & theirs == 0
}
