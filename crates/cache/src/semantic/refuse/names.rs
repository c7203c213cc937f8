//! Names, as far as capitals show them, and who does what to whom.

use super::Facts;
use super::lexicon;
use super::word::Word;

/// Endings that make the people of a country, its language or its things of its name.
const OF_PLACES: [&str; 8] = ["", "n", "an", "ian", "ese", "ish", "s", "ns"];
/// A name shorter than this has no such endings.
const PLACE_MIN: usize = 4;

/// Whether a name of one text is missing in the other.
pub(super) fn differ(a: &[Word], b: &[Word]) -> bool {
    let missing = |a: &[Word], b: &[Word]| (0..a.len()).any(|at| a[at].name && !has(b, (a, at)));
    missing(a, b) || missing(b, a)
}

/// Whether a text has a name of another text, however it is written.
fn has(words: &[Word], (from, at): (&[Word], usize)) -> bool {
    let name = &from[at];
    let abbreviated = |short: &Word| {
        let there = (short.acronym && !name.acronym).then(|| spelled_out(&short.text, from)).flatten();
        there.is_some_and(|there| (there..there + short.text.chars().count()).contains(&at))
    };
    words.iter().any(|word| same(name, word))
        || (name.acronym && spelled_out(&name.text, words).is_some())
        || words.iter().any(abbreviated)
}

/// Shorter names are other names with a letter more.
const SLIP_MIN: usize = 6;

/// Whether two words are the same name.
fn same(a: &Word, b: &Word) -> bool {
    a.stem == b.stem
        || lexicon::same_meaning(a, b)
        || of_one_place(&a.text, &b.text)
        || (a.text.len().min(b.text.len()) >= SLIP_MIN && fold(&a.text) == fold(&b.text))
}

fn of_one_place(a: &str, b: &str) -> bool {
    let shared = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>();
    shared >= PLACE_MIN && OF_PLACES.contains(&&a[shared..]) && OF_PLACES.contains(&&b[shared..])
}

/// Without doubled letters and marks of Latin letters: `Philippines` is often misspelled.
fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for c in name.chars() {
        let c = match c {
            'á' | 'à' | 'â' | 'ä' | 'ã' | 'å' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'ö' | 'õ' | 'ø' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            _ => c,
        };
        if !folded.ends_with(c) || c.is_ascii_digit() {
            folded.push(c);
        }
    }
    folded
}

/// `GOT` where the text has `Game of Thrones`.
fn spelled_out(acronym: &str, words: &[Word]) -> Option<usize> {
    let letters: Vec<char> = acronym.chars().collect();
    // Some words in a row of a long text begin with any letters.
    if words.len() > SHARED_MAX {
        return None;
    }
    let one = |window: &[Word]| window.first().map(|word| word.clause) == window.last().map(|word| word.clause);
    let spells = |window: &[Word]| {
        one(window) && window.iter().zip(&letters).all(|(word, letter)| word.text.starts_with(*letter))
    };
    (letters.len() >= 2).then(|| words.windows(letters.len()).position(spells))?
}

/// In longer texts the order is looked at up to here.
const SHARED_MAX: usize = 60;

/// Whether the same names, or the same words behind `from`, `to`, `by`, `than`, have changed places.
pub(super) fn swapped(a: &Facts, b: &Facts) -> bool {
    names_swapped(&a.words, &b.words) || names_swapped(&b.words, &a.words) || slots_swapped(a, b) || order_changed(a, b)
}

/// Where these stand between two names their order says nothing.
const SYMMETRIC: [&str; 6] = ["and", "or", "vs", "versus", "with", "between"];

fn names_swapped(a: &[Word], b: &[Word]) -> bool {
    let only = |words: &[Word], stem: &str| words.iter().filter(|word| word.stem == stem).count() == 1;
    let place = |at: usize| {
        let word = &a[at];
        let plain = word.capital && word.is_content() && !word.acronym && only(a, &word.stem) && only(b, &word.stem);
        plain.then(|| b.iter().position(|other| other.stem == word.stem).map(|place| (at, place)))?
    };
    let places: Vec<(usize, usize)> = (0..a.len()).filter_map(place).collect();
    let joined = |words: &[Word], from: usize, upto: usize| {
        upto == from + 1 || words[from + 1..upto].iter().any(|word| SYMMETRIC.contains(&word.text.as_str()))
    };
    places.windows(2).any(|pair| {
        let [(x, there_x), (y, there_y)] = [pair[0], pair[1]];
        there_y < there_x && !joined(a, x, y) && !joined(b, there_y, there_x)
    })
}

/// What stands behind these has a part of its own.
const SLOTS: [&str; 12] =
    ["from", "to", "into", "onto", "by", "than", "for", "with", "of", "over", "against", "instead"];

/// The next content word behind each of [`SLOTS`].
fn slots(facts: &Facts) -> Vec<(&str, &Word)> {
    let behind = |at: usize| {
        let slot = SLOTS.iter().find(|slot| facts.words[at].text == **slot)?;
        let next = facts.content.iter().find(|next| **next > at && **next <= at + 3)?;
        Some((*slot, &facts.words[*next]))
    };
    (0..facts.words.len()).filter_map(behind).collect()
}

fn slots_swapped(a: &Facts, b: &Facts) -> bool {
    let mutual = |word: &Word| word.text.starts_with("differ") || word.text == "between";
    if a.words.iter().any(mutual) && b.words.iter().any(mutual) {
        return false;
    }
    let (mine, theirs) = (slots(a), slots(b));
    let has = |facts: &Facts, stem: &str| facts.content.iter().any(|at| facts.words[*at].stem == stem);
    let only = |list: &[(&str, &Word)], slot: &str| list.iter().filter(|other| other.0 == slot).count() == 1;
    mine.iter().any(|(slot, word)| {
        theirs.iter().any(|(other, counter)| {
            slot == other
                && word.stem != counter.stem
                && only(&mine, slot)
                && only(&theirs, slot)
                && has(a, &counter.stem)
                && has(b, &word.stem)
                && !matches!(*slot, "of" | "for" | "with")
        })
    })
}

/// Whether two words that are not next to each other have changed places, all else that both have being in
/// order.
fn order_changed(a: &Facts, b: &Facts) -> bool {
    let count = |facts: &Facts, stem: &str| facts.content.iter().filter(|at| facts.words[**at].stem == stem).count();
    let shared = |of: &'_ Facts, other: &Facts| -> Vec<usize> {
        let once = |at: &usize| count(of, &of.words[*at].stem) == 1 && count(other, &of.words[*at].stem) == 1;
        of.content.iter().copied().take(SHARED_MAX).filter(once).collect()
    };
    let (mine, theirs) = (shared(a, b), shared(b, a));
    if mine.len() != theirs.len() || mine.len() < 3 || 2 * mine.len() < a.content.len().max(b.content.len()) {
        return false;
    }
    let stem = |facts: &'_ Facts, at: usize| -> u64 { super::term::hash(&facts.words[at].stem) };
    let mine: Vec<u64> = mine.into_iter().map(|at| stem(a, at)).collect();
    let theirs: Vec<u64> = theirs.into_iter().map(|at| stem(b, at)).collect();
    let moved: Vec<usize> = (0..mine.len()).filter(|at| mine[*at] != theirs[*at]).take(3).collect();
    let [x, y] = moved[..] else { return false };
    y > x + 1 && mine[x] == theirs[y] && mine[y] == theirs[x]
}
