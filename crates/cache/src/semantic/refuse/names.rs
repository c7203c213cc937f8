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
    let missing =
        |a: &[Word], b: &[Word]| (0..a.len()).any(|at| a[at].name && find(&a[at], b, a.get(at + 1)).is_none());
    missing(a, b) || missing(b, a)
}

/// Where a text has a name, however it is written.
fn find(name: &Word, words: &[Word], _next: Option<&Word>) -> Option<usize> {
    words
        .iter()
        .position(|word| same(name, word))
        .or_else(|| name.acronym.then(|| spelled_out(&name.text, words))?)
        .or_else(|| stands_for(name, words))
}

/// Whether two words are the same name.
fn same(a: &Word, b: &Word) -> bool {
    a.stem == b.stem || lexicon::same_meaning(a, b) || of_one_place(&a.text, &b.text) || fold(&a.text) == fold(&b.text)
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
    let spells = |window: &[Word]| window.iter().zip(&letters).all(|(word, letter)| word.text.starts_with(*letter));
    (letters.len() >= 2).then(|| words.windows(letters.len()).position(spells))?
}

/// `Game` where the text has `GOT`: it has an acronym with the name's letter that the name's own text spells.
fn stands_for(name: &Word, words: &[Word]) -> Option<usize> {
    let first = name.text.chars().next()?;
    words.iter().position(|word| word.acronym && word.text.len() >= 3 && word.text.contains(first) && !name.acronym)
}

/// Whether the same names, or the same words behind `from`, `to`, `by`, `than`, have changed places.
pub(super) fn swapped(a: &Facts, b: &Facts) -> bool {
    names_swapped(&a.words, &b.words) || slots_swapped(a, b) || order_changed(a, b)
}

/// Between these the order says nothing.
const SYMMETRIC: [&str; 9] = ["and", "or", "vs", "versus", "with", "between", "&", "than", "either"];

fn names_swapped(a: &[Word], b: &[Word]) -> bool {
    let names: Vec<usize> = (0..a.len()).filter(|at| a[*at].name).collect();
    let mut before: Option<(usize, usize)> = None;
    for at in names {
        let Some(place) = b.iter().position(|word| same(&a[at], word)) else { continue };
        if let Some((old_at, old_place)) = before {
            let between = &a[old_at + 1..at];
            let joined = between.iter().any(|word| SYMMETRIC[..4].contains(&word.text.as_str()));
            if place < old_place && !joined {
                return true;
            }
        }
        before = Some((at, place));
    }
    false
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

/// Whether a text has the other's content words in another order, and the passive does not explain it.
fn order_changed(a: &Facts, b: &Facts) -> bool {
    if a.content.len() != b.content.len() || a.content.len() < 3 {
        return false;
    }
    let stems = |facts: &Facts| facts.content.iter().map(|at| facts.words[*at].stem.clone()).collect::<Vec<_>>();
    let (a, b) = (stems(a), stems(b));
    let (mut x, mut y) = (a.clone(), b.clone());
    x.sort_unstable();
    y.sort_unstable();
    x == y && a != b
}
