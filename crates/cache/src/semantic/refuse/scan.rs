//! One pass over a text: its words, and the values that it states.

use super::number::{self, scale_of};
use super::term::{Class, Term};
use super::unit::{self, Place};
use super::word::{Word, stem};
use super::{lexicon, time};

/// So many values of a text are read: what has more differs by its words.
const TERMS_MAX: usize = 400;
/// Where more of the words than this have a capital, capitals do not tell names from other words.
const CAPITALS_MAX: f64 = 0.6;

/// What the pass finds.
pub(super) struct Scan {
    pub(super) terms: Vec<Term>,
    pub(super) words: Vec<Word>,
}

/// A part of a text between white space and marks.
enum Piece<'t> {
    Word(Word, Capitals),
    Number { term: Term, before: &'t str, behind: &'t str },
    Value(Term),
}

/// How a word is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Capitals {
    first: bool,
    /// Behind the first.
    within: bool,
    /// All of two or more.
    all: bool,
    begins: bool,
}

impl Scan {
    pub(super) fn of(text: &str) -> Self {
        let pieces = pieces(text);
        let names = capitals_tell(&pieces);
        let mut reader = Reader { pieces, used: Vec::new(), terms: Vec::new() };
        reader.used = vec![false; reader.pieces.len()];
        reader.read();
        let Reader { pieces, used, terms } = reader;
        let word = |(piece, used): (Piece<'_>, bool)| {
            let Piece::Word(mut word, capitals) = piece else { return None };
            word.valued = used;
            word.acronym = names && capitals.all;
            word.capital = names && capitals.first;
            let written =
                if names { (capitals.first && !capitals.begins) || capitals.within } else { word.text.len() > 1 };
            word.name = written && word.is_content() && !ordinary_capital(&word.text);
            Some(word)
        };
        let words = pieces.into_iter().zip(used).filter_map(word).collect();
        Self { terms, words }
    }
}

/// Words that are written with a capital, or in capitals, and are no names.
fn ordinary_capital(word: &str) -> bool {
    matches!(word, "atm" | "pin" | "ok" | "asap" | "faq" | "id" | "urgent" | "app")
}

fn capitals_tell(pieces: &[Piece<'_>]) -> bool {
    let (mut with, mut all) = (0.0, 0.0);
    for piece in pieces {
        if let Piece::Word(word, capitals) = piece
            && word.text != "i"
        {
            all += 1.0;
            with += f64::from(u8::from(capitals.first));
        }
    }
    all < 4.0 || with <= CAPITALS_MAX * all
}

const EDGES: [char; 24] = [
    '.', ',', ';', ':', '!', '?', '"', '\'', '`', '“', '”', '‘', '’', '(', ')', '[', ']', '{', '}', '<', '>', '*', '…',
    '_',
];

/// Cuts a text up.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut clause = 0;
    let mut groups = Groups::default();
    for line in text.lines() {
        let mut begins = true;
        clause += 1;
        for chunk in line.split_whitespace() {
            let opens = chunk.starts_with(['"', '“', '(', '-', '•', '*']);
            let bare = chunk.trim_start_matches(|c| EDGES.contains(&c) || c == '#').trim_end_matches(EDGES);
            // `.5` is a number.
            let bare = if chunk.starts_with('.') && bare.starts_with(|c: char| c.is_ascii_digit()) && chunk.len() > 1 {
                &chunk[chunk.find(bare).map_or(0, |at| at.saturating_sub(1))..][..bare.len() + 1]
            } else {
                bare
            };
            groups.see(bare, &mut found);
            cut(bare, (begins || opens, clause), &mut found);
            let tail = &chunk[chunk.len() - (chunk.len() - chunk.trim_end_matches(EDGES).len())..];
            let abbreviated = bare.len() < 3 && tail == "." && !bare.is_empty();
            begins = (tail.contains(['.', '!', '?', ':', '…']) && !abbreviated) || (begins && bare.is_empty());
            if begins || tail.contains([',', ';', ')']) {
                clause += 1;
            }
        }
        groups.see("", &mut found);
    }
    found
}

/// Groups of four that are one number: `DE89 3704 0044 0532`.
#[derive(Default)]
struct Groups {
    seen: String,
    count: usize,
    from: usize,
}

impl Groups {
    fn see(&mut self, bare: &str, found: &mut Vec<Piece<'_>>) {
        let digits = bare.bytes().filter(u8::is_ascii_digit).count();
        let whole = bare.len() == 4 && bare.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let rest = self.count >= 3 && bare.len() < 4 && digits == bare.len() && digits > 0;
        if (whole && digits >= 2) || rest {
            if self.count == 0 {
                self.from = found.len();
            }
            self.seen.push_str(&bare.to_ascii_lowercase());
            self.count += 1;
            if !rest {
                return;
            }
            self.count += 100;
            return;
        }
        if self.count >= 3 {
            let after = found.split_off(self.from + self.count % 100);
            found.truncate(self.from);
            found.push(Piece::Value(Term::named(Class::Identifier, &self.seen)));
            found.extend(after);
        }
        *self = Self::default();
    }
}

/// Whether it is the address of a page or a person.
fn is_address(piece: &str) -> bool {
    piece.contains("://")
        || piece.starts_with("www.")
        || piece.find('@').is_some_and(|at| at > 0 && piece[at..].contains('.'))
        || dotted(piece)
}

/// `example.com`: letters on both sides of a point.
fn dotted(piece: &str) -> bool {
    let Some((before, end)) = piece.rsplit_once('.') else { return false };
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let plain = before.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    (2..=6).contains(&end.len())
        && letters(end)
        && end == end.to_ascii_lowercase()
        && plain
        && before.len() > 1
        && !before.split('.').any(|part| part.len() < 2)
}

/// Between these the parts of a piece stand for themselves.
const CUTS: [char; 13] = [',', ';', '/', '(', ')', '&', ':', '*', '=', '|', '+', '<', '>'];

fn cut<'t>(piece: &'t str, at: (bool, u32), found: &mut Vec<Piece<'t>>) {
    if piece.is_empty() {
        return;
    }
    let numbered = ["no.", "No.", "NO.", "nr.", "Nr."].iter().find_map(|sign| piece.strip_prefix(sign));
    if let Some(number) = numbered.filter(|number| number.starts_with(|c: char| c.is_ascii_digit())) {
        return cut(number, at, found);
    }
    if is_address(piece) {
        let lower = piece.to_lowercase();
        let bare = lower.trim_start_matches("https://").trim_start_matches("http://").trim_start_matches("www.");
        found.push(Piece::Value(Term::named(Class::Identifier, bare.trim_end_matches('/'))));
    } else if !piece.contains(|c: char| c.is_ascii_digit()) {
        letters(piece, at, found);
    } else if let Some(term) = time::written(piece).or_else(|| time::clock(piece, None)) {
        found.push(Piece::Value(term));
    } else if let Some(number) = number::written(piece).filter(|number| is_quantity(number)) {
        found.push(Piece::Number { term: number.term, before: number.before, behind: number.behind });
    } else if let Some((head, tail)) = piece.split_once(CUTS) {
        cut(head.trim_matches(EDGES), at, found);
        cut(tail.trim_matches(EDGES), (false, at.1), found);
    } else if let Some((head, tail)) = hyphened(piece) {
        cut(head, at, found);
        cut(tail, (false, at.1), found);
    } else {
        let bare: String = piece.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let short = bare.len() < 5;
        found.push(Piece::Value(Term::named(Class::Identifier, if short { piece } else { &bare })));
    }
}

/// Whether what touches a number is a unit; else letters and digits together name something.
fn is_quantity(number: &number::Written<'_>) -> bool {
    let known = |text: &str| {
        let lower = text.to_lowercase();
        text.is_empty() || unit::unit(&lower, Place::AtNumber).is_some()
    };
    known(number.before) && known(number.behind)
}

/// `3-5`, `2-day`: not `07-3507405`.
fn hyphened(piece: &str) -> Option<(&str, &str)> {
    let (head, tail) = piece.split_once(['-', '–', '—'])?;
    let number = |text: &str| {
        (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with("00")
    };
    let word = |text: &str| text.chars().all(|c| c.is_lowercase() || c == '-' || c == '–') && !text.is_empty();
    let short = |text: &str| number(text) && !(text.starts_with('0') && text.len() > 1);
    let single = !tail.contains(['-', '–', '—']);
    ((short(head) && short(tail) && single) || (number(head) && word(tail)) || (word(head) && number(tail)))
        .then_some((head, tail))
}

fn letters<'t>(piece: &'t str, (mut begins, clause): (bool, u32), found: &mut Vec<Piece<'t>>) {
    // `C++`, `C#`: the marks are the name.
    let marked = piece.len() <= 3 && piece.ends_with(['+', '#']);
    if piece.contains(unit::is_sign) || piece == "%" {
        let name = piece.to_lowercase();
        let (class, name) = unit::unit(&name, Place::AtNumber).unwrap_or((Class::Currency, &name));
        found.push(Piece::Value(Term::named(class, name)));
        return;
    }
    let parts = piece
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '\'' | '’' | '.') || marked && matches!(c, '+' | '#')));
    for part in parts.map(|part| part.trim_matches(['\'', '’', '.'])) {
        if part.is_empty() {
            continue;
        }
        let inner: Vec<&str> =
            if part.contains('.') && !is_initials(part) { part.split('.').collect() } else { vec![part] };
        for part in inner.into_iter().filter(|part| !part.is_empty()) {
            let upper = |c: char| c.is_uppercase();
            let own = part.strip_suffix("'s").or_else(|| part.strip_suffix("’s")).unwrap_or(part);
            let first = part.starts_with(upper);
            let within = own.chars().skip(1).any(upper)
                && (!own.contains(['\'', '’']) || own.chars().filter(|c| upper(*c)).count() > 1);
            let all = own.chars().filter(|c| c.is_alphabetic()).count() > 1 && !own.chars().any(char::is_lowercase);
            let lower = part.to_lowercase().replace('’', "'");
            let kept = lexicon::is_function_word(&lower) || lower.ends_with("n't");
            let text = if kept { lower } else { own.to_lowercase().replace(['.', '’', '\''], "") };
            found.push(Piece::Word(plain_word(text, clause), Capitals { first, within, all, begins }));
            begins = false;
        }
    }
}

/// `U.S`, `p.m`.
fn is_initials(part: &str) -> bool {
    part.split('.').all(|letter| letter.chars().count() <= 1)
}

fn plain_word(text: String, clause: u32) -> Word {
    Word { stem: stem(&text), text, name: false, capital: false, acronym: false, valued: false, clause }
}

/// Joins pieces to values.
struct Reader<'t> {
    pieces: Vec<Piece<'t>>,
    used: Vec<bool>,
    terms: Vec<Term>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut at = 0;
        while at < self.pieces.len() && self.terms.len() < TERMS_MAX {
            self.number_sign(at);
            at +=
                self.date(at).or_else(|| self.number(at)).or_else(|| self.spoken(at)).unwrap_or_else(|| self.other(at));
        }
    }

    /// `no. 5` denies nothing.
    fn number_sign(&mut self, at: usize) {
        let value = !matches!(self.pieces[at], Piece::Word(..));
        if value && at > 0 && matches!(self.text(at - 1), Some("no" | "nr" | "num" | "number")) {
            self.used[at - 1] = true;
        }
    }

    fn text(&self, at: usize) -> Option<&str> {
        match self.pieces.get(at)? {
            Piece::Word(word, _) => Some(word.text.as_str()),
            _ => None,
        }
    }

    fn capital(&self, at: usize) -> bool {
        matches!(self.pieces.get(at), Some(Piece::Word(_, capitals)) if capitals.first && !capitals.begins)
    }

    /// A whole number without a unit, within limits.
    fn whole(&self, at: usize, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let Piece::Number { term, before: "", behind: "" } = self.pieces.get(at)? else { return None };
        let value = f64::from_bits(term.value);
        (term.shape == 0 && value.fract() == 0.0 && value >= 0.0).then_some(value as u64).filter(|v| range.contains(v))
    }

    fn push(&mut self, term: Term, from: usize, upto: usize) -> usize {
        self.terms.push(term);
        self.used[from..upto].iter_mut().for_each(|used| *used = true);
        upto - from
    }

    /// `25 December 2018`, `25th of Dec`, `December 25, 2018`, `December`.
    fn date(&mut self, at: usize) -> Option<usize> {
        let day = self.whole(at, 1..=31);
        let mut next = at + usize::from(day.is_some());
        next += usize::from(day.is_some() && self.text(next) == Some("of"));
        let name = self.text(next)?;
        let month = time::month(name)?;
        let within = next.checked_sub(1).and_then(|before| self.text(before));
        let within = matches!(within, Some("in" | "by" | "since" | "until" | "till" | "during"));
        let plain = time::is_plainly_month(name) || self.capital(next) || within;
        let mut end = next + 1;
        let behind = if day.is_none() { self.whole(end, 1..=31) } else { None };
        end += usize::from(behind.is_some());
        let year = self.whole(end, 1000..=2999);
        end += usize::from(year.is_some());
        let numbered = day.or(behind).or(year).is_some();
        // `may`, `march`, `mar`: months only next to a number, or with a capital and in full.
        if !(numbered && (plain || day.is_some() || name.len() > 3 || (behind.is_some() && year.is_some())))
            && !(plain && name.len() > 3 || within || time::is_plainly_month(name))
        {
            return None;
        }
        let term = time::date(day.or(behind).unwrap_or(0), month, year.unwrap_or(0));
        Some(self.push(term, at, end))
    }

    /// A number in digits with its unit, and a time of the day such as `8 pm`.
    fn number(&mut self, at: usize) -> Option<usize> {
        let Piece::Number { term, before, behind } = *self.pieces.get(at)? else { return None };
        if let Some(half) = self.text(at + 1).and_then(time::half)
            && let Some(clock) = self.whole(at, 1..=12).and_then(|hour| time::clock(&hour.to_string(), Some(half)))
        {
            return Some(self.push(clock, at, at + 2));
        }
        let mut term = term;
        let scale = self.text(at + 1).and_then(scale_of);
        if let Some(scale) = scale {
            [term.value, term.other] = [term.value, term.other].map(|value| (f64::from_bits(value) * scale).to_bits());
        }
        let end = at + 1 + usize::from(scale.is_some());
        self.push(term, at, end);
        [before, behind].into_iter().for_each(|text| self.unit(&text.to_lowercase()));
        if before.is_empty() && behind.is_empty() && term.class == Class::Number {
            return Some(end - at + self.units_around(at, end));
        }
        Some(end - at)
    }

    /// The unit behind a number, else the currency before it. How many pieces were taken behind it.
    fn units_around(&mut self, from: usize, end: usize) -> usize {
        if let Some((name, place)) = self.near_number(end)
            && let Some((class, name)) = unit::unit(&name, place)
            && !(name == "inch" && self.text(end) == Some("in"))
        {
            self.terms.push(Term::named(class, name));
            self.used[end] = true;
            return 1;
        }
        if let Some((name, place)) = from.checked_sub(1).and_then(|before| self.near_number(before))
            && let Some((class @ Class::Currency, name)) = unit::unit(&name, place)
        {
            self.terms.push(Term::named(class, name));
            self.used[from - 1] = true;
        }
        0
    }

    /// A word next to a number, and whether it may be a code.
    fn near_number(&self, at: usize) -> Option<(String, Place)> {
        let Piece::Word(word, capitals) = self.pieces.get(at)? else { return None };
        Some((word.text.clone(), if capitals.all { Place::CapitalsAtNumber } else { Place::AtNumber }))
    }

    fn unit(&mut self, name: &str) {
        if let Some((class, name)) = unit::unit(name, Place::AtNumber) {
            self.terms.push(Term::named(class, name));
        }
    }

    /// A number in words.
    fn spoken(&mut self, at: usize) -> Option<usize> {
        let (value, ordinal, taken) = number::spoken(|behind| self.text(at + behind))?;
        let first = self.text(at)?.to_owned();
        // `the one that`, `first of all`, `a second`: they count little by themselves.
        let weak = taken == 1 && matches!(first.as_str(), "one" | "first" | "second" | "zero");
        let term = Term { class: if ordinal { Class::Ordinal } else { Class::Number }, ..Term::number(value) };
        self.push(if weak { term.weak() } else { term }, at, at + taken);
        Some(taken + if ordinal || weak { 0 } else { self.units_around(at, at + taken) })
    }

    /// A value as it stands, a word for a moment, a unit by itself.
    fn other(&mut self, at: usize) -> usize {
        if let Piece::Value(term) = self.pieces[at] {
            return match self.text(at + 1).and_then(time::half) {
                Some(true) if term.class == Class::Clock => self.push(
                    Term { value: term.other.max(term.value), shape: 0, other: term.other.max(term.value), ..term },
                    at,
                    at + 2,
                ),
                Some(false) if term.class == Class::Clock => {
                    self.push(Term { other: term.value, shape: 0, ..term }, at, at + 2)
                }
                _ => self.push(term, at, at + 1),
            };
        }
        let Some(name) = self.text(at).map(str::to_owned) else { return 1 };
        if let Some(direction) = time::direction(&name)
            && let Some(period) = self.text(at + 1).and_then(|next| {
                unit::of_time(next).or_else(|| time::weekday(next, false)).or_else(|| time::relative(next))
            })
        {
            let term = Term::named(Class::Relative, &format!("{direction} {period}"));
            return self.push(if direction == "every" { term.weak() } else { term }, at, at + 2);
        }
        if let Some(often) = time::every(&name) {
            return self.push(Term::named(Class::Relative, often).weak(), at, at + 1);
        }
        if let Some(moment) = time::weekday(&name, self.capital(at)).or_else(|| time::relative(&name)) {
            return self.push(Term::named(Class::Relative, moment), at, at + 1);
        }
        let weak = match name.as_str() {
            "once" => Some(1.0),
            "twice" => Some(2.0),
            "thrice" => Some(3.0),
            "half" => Some(0.5),
            "couple" => Some(2.0),
            _ => None,
        };
        if let Some(value) = weak {
            return self.push(Term::number(value).weak(), at, at + 1);
        }
        if let Some((class, unit)) = unit::unit(&name, Place::Alone) {
            let term = Term::named(class, unit);
            return self.push(if class == Class::Currency { term } else { term.weak() }, at, at + 1);
        }
        1
    }
}
