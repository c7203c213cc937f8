//! Pairs of texts that must not get each other's answer: a real text that states a fact, and the same
//! with that fact changed.

use baton_stats::SplitMix64;

use super::kinds::Kind;
use super::lists::{
    BEFORE, BEHIND, COMPANIES, CURRENCIES, DAYS, DENIALS, HOSTS, MOMENTS, MONTHS, OPPOSITES, ORDINALS, PEOPLE, PLACES,
    SIGNS, SPOKEN, Split, THINGS, TRANSLATIONS, UNITS,
};

/// A text and another with one fact changed.
pub(crate) struct Pair {
    /// Something else was said differently too.
    pub(crate) dressed: bool,
    pub(crate) old: String,
    pub(crate) new: String,
}

/// A pair of this kind from a real text, where the text has room for it.
pub(crate) fn pair(kind: Kind, text: &str, held_out: bool, rng: &mut SplitMix64) -> Option<Pair> {
    let mut maker = Maker { rng, half: usize::from(held_out) };
    let (old, new) = match kind {
        Kind::Digits => maker.digits(text),
        Kind::Spoken => maker.two(text, &SPOKEN, &["I did it {} times.", "{} of them are affected.", "I have {} now."]),
        Kind::Ordinal => maker.two(text, &ORDINALS, &["It is my {} one.", "This is the {} time."]),
        Kind::Date => maker.date(text),
        Kind::Clock => maker.clock(text),
        Kind::Day => maker.day(text),
        Kind::Moment => maker.two(text, &MOMENTS, &["It happened {}.", "I noticed it {}.", "It was {} I think."]),
        Kind::Currency => maker.currency(text),
        Kind::Unit => maker.unit(text),
        Kind::Identifier => maker.identifier(text),
        Kind::Address => maker.address(text),
        Kind::Name => maker.name(text),
        Kind::NameInSmallLetters => maker.name(text).map(|(old, new)| (old.to_lowercase(), new.to_lowercase())),
        Kind::Thing => maker.replaced(text, &THINGS),
        Kind::Not => maker.denied(text, false),
        Kind::OtherDenial => maker.denied(text, true),
        Kind::Opposite => maker.opposite(text),
        Kind::Role => maker.role(text),
        Kind::Language => {
            let row = maker.of(TRANSLATIONS);
            Some((row[0].to_owned(), row[1 + maker.rng.below(5) as usize].to_owned()))
        }
        Kind::ReceiptNumber => maker.receipt_number(text),
        Kind::ReceiptDate => maker.receipt_date(text),
        Kind::ReceiptCode => maker.receipt_code(text),
        Kind::ReceiptName => maker.receipt_name(text),
        Kind::ReceiptCurrency => maker.receipt_currency(text),
    }?;
    let whole = Kind::RECEIPTS.contains(&kind) || kind == Kind::Language;
    let dressed = !whole && maker.rng.below(2) == 0;
    let new = if dressed { maker.dress(new) } else { new };
    // By denying what denies a sentence may have been made as it was.
    (old != new).then_some(Pair { dressed, old, new })
}

pub(super) struct Maker<'r> {
    rng: &'r mut SplitMix64,
    /// Which part of the lists.
    half: usize,
}

pub(super) type Two = Option<(String, String)>;

impl Maker<'_> {
    pub(super) fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.rng.below(list.len() as u64) as usize]
    }

    pub(super) fn word<T: Copy>(&mut self, list: &Split<T>) -> T {
        self.of(list[self.half])
    }

    /// Two different ones.
    fn words(&mut self, list: &Split<&'static str>) -> (&'static str, &'static str) {
        let first = self.word(list);
        loop {
            let second = self.word(list);
            if second != first {
                return (first, second);
            }
        }
    }

    /// The text with a sentence that states each of two facts.
    fn stated(&mut self, text: &str, frames: &[&str], (a, b): (&str, &str)) -> Two {
        let frame = self.of(frames);
        let first = self.rng.below(4) == 0;
        let with = |fact: &str| {
            let sentence = frame.replace("{}", fact);
            let text = text.trim();
            if first {
                return format!("{sentence} {text}");
            }
            let stop = if text.ends_with(['.', '?', '!']) { "" } else { "." };
            format!("{text}{stop} {sentence}")
        };
        Some((with(a), with(b)))
    }

    fn two(&mut self, text: &str, list: &Split<&'static str>, frames: &[&str]) -> Two {
        let pair = self.words(list);
        self.stated(text, frames, pair)
    }

    fn amount(&mut self) -> String {
        let whole = 2 + self.rng.below(9_000);
        match self.rng.below(4) {
            0 => whole.to_string(),
            1 => format!("{whole}.{:02}", self.rng.below(100)),
            2 if whole > 1_000 => format!("{},{:03}", whole / 1_000, whole % 1_000),
            _ => (2 + self.rng.below(98)).to_string(),
        }
    }

    /// Changes a digit, or takes one away.
    pub(super) fn changed(&mut self, number: &str) -> String {
        let at: Vec<usize> = number.char_indices().filter(|(_, c)| c.is_ascii_digit()).map(|(at, _)| at).collect();
        let last_only_zero = number.contains('.') && number.ends_with('0');
        loop {
            let place = self.of(&at);
            let digit = char::from(b'0' + self.rng.below(10) as u8);
            let mut new = number.to_owned();
            new.replace_range(place..=place, &digit.to_string());
            let zero_first = new.starts_with('0') && !number.starts_with('0');
            if new != number && !zero_first && !(last_only_zero && place + 1 == number.len()) {
                return new;
            }
        }
    }

    fn digits(&mut self, text: &str) -> Two {
        if let Some(range) = self.number_in(text) {
            let new = self.changed(&text[range.clone()]);
            return Some((text.to_owned(), format!("{}{new}{}", &text[..range.start], &text[range.end..])));
        }
        let old = self.amount();
        let new = self.changed(&old);
        self.stated(
            text,
            &["The amount was {}.", "I sent {} in total.", "It shows {}.", "({})", "My limit is {}."],
            (&old, &new),
        )
    }

    /// Some number of a text: a run of digits, points and commas.
    pub(super) fn number_in(&mut self, text: &str) -> Option<std::ops::Range<usize>> {
        let mut found: Vec<std::ops::Range<usize>> = Vec::new();
        for (at, c) in text.char_indices() {
            let part =
                c.is_ascii_digit() || (matches!(c, '.' | ',') && found.last().is_some_and(|last| last.end == at));
            match found.last_mut() {
                Some(last) if part && last.end == at => last.end = at + 1,
                _ if c.is_ascii_digit() => found.push(at..at + 1),
                _ => {}
            }
        }
        for range in &mut found {
            while text[range.clone()].ends_with(['.', ',']) {
                range.end -= 1;
            }
        }
        found.retain(|range| range.len() < 9);
        if found.is_empty() { None } else { Some(found[self.rng.below(found.len() as u64) as usize].clone()) }
    }

    fn date(&mut self, text: &str) -> Two {
        let (day, month, year) = (1 + self.rng.below(28), 1 + self.rng.below(12), 2015 + self.rng.below(10));
        let (mut d, mut m, mut y) = (day, month, year);
        match self.rng.below(3) {
            0 => d = 1 + (day + self.rng.below(26)) % 28,
            1 => m = 1 + (month + self.rng.below(10)) % 12,
            _ => y += 1 + self.rng.below(3),
        }
        let style = self.rng.below(if self.half == 0 { 4 } else { 5 }) + if self.half == 0 { 0 } else { 4 };
        let names = [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ];
        let write = |d: u64, m: u64, y: u64| {
            let name = names[m as usize - 1];
            let short = &name[..3];
            match style {
                0 => format!("{d:02}/{m:02}/{y}"),
                1 => format!("{y}-{m:02}-{d:02}"),
                2 => format!("{d} {name} {y}"),
                3 => format!("{name} {d}, {y}"),
                4 => format!("{d}.{m}.{y}"),
                5 => format!("{short} {d} {y}"),
                6 => format!("{d}-{short}-{y}"),
                7 => format!("the {d}th of {name} {y}"),
                _ => format!("{y}/{m:02}/{d:02}"),
            }
        };
        self.stated(
            text,
            &["It was on {}.", "I paid on {}.", "Date: {}.", "It is due {}."],
            (&write(day, month, year), &write(d, m, y)),
        )
    }

    fn clock(&mut self, text: &str) -> Two {
        let minutes = self.rng.below(24 * 60);
        let other = (minutes + 5 + self.rng.below(23 * 60)) % (24 * 60);
        let style = self.rng.below(2) + 2 * self.half as u64;
        let write = |at: u64| {
            let (hour, minute) = (at / 60, at % 60);
            let (half, twelve) = (if hour < 12 { "am" } else { "pm" }, if hour % 12 == 0 { 12 } else { hour % 12 });
            match style {
                0 => format!("{hour:02}:{minute:02}"),
                1 => format!("{twelve}:{minute:02} {half}"),
                2 => format!("{twelve}.{minute:02}{half}"),
                _ => format!("{hour}:{minute:02}:30"),
            }
        };
        self.stated(text, &["It was at {}.", "Time: {}.", "I tried at {}."], (&write(minutes), &write(other)))
    }

    fn day(&mut self, text: &str) -> Two {
        let list = self.of(&[DAYS, MONTHS]);
        self.two(text, &list, &["It was on {}.", "It should come by {}.", "I opened it in {}."])
    }

    fn currency(&mut self, text: &str) -> Two {
        let amount = self.amount();
        let (a, b) = if self.rng.below(2) == 0 {
            let (a, b) = self.words(&SIGNS);
            (format!("{a}{amount}"), format!("{b}{amount}"))
        } else {
            let (a, b) = self.words(&CURRENCIES);
            (format!("{amount} {a}"), format!("{amount} {b}"))
        };
        self.stated(text, &["It cost me {}.", "I paid {}.", "It is about {}."], (&a, &b))
    }

    fn unit(&mut self, text: &str) -> Two {
        let amount = 2 + self.rng.below(90);
        let (a, b) = self.words(&UNITS);
        self.stated(
            text,
            &["It is {}.", "That is {} already.", "It says {}."],
            (&format!("{amount} {a}"), &format!("{amount} {b}")),
        )
    }

    fn identifier(&mut self, text: &str) -> Two {
        let digits =
            |rng: &mut SplitMix64, n: u64| (0..n).map(|_| char::from(b'0' + rng.below(10) as u8)).collect::<String>();
        let mut letters = |n: u64| (0..n).map(|_| char::from(b'A' + self.rng.below(26) as u8)).collect::<String>();
        let (two, three) = (letters(2), letters(3));
        let style = self.rng.below(3) + 3 * self.half as u64;
        let rng = &mut *self.rng;
        let old = match style {
            0 => format!("{two}{}", digits(rng, 8)),
            1 => format!("0{}", digits(rng, 9)),
            2 => format!("#{three}-{}", digits(rng, 4)),
            3 => format!(
                "{two}{} {} {} {} {}",
                digits(rng, 2),
                digits(rng, 4),
                digits(rng, 4),
                digits(rng, 4),
                digits(rng, 2)
            ),
            4 => format!("+44 20 {} {}", digits(rng, 4), digits(rng, 4)),
            _ => format!("{three}/{}/{}-{two}", digits(rng, 3), digits(rng, 3)),
        };
        let new = self.changed(&old);
        self.stated(text, &["My reference is {}.", "The number is {}.", "See {}."], (&old, &new))
    }

    fn address(&mut self, text: &str) -> Two {
        let (a, b) = self.words(&HOSTS);
        let person = self.word(&PEOPLE).to_lowercase().replace([' ', '\''], ".");
        match self.rng.below(3) {
            0 => self.stated(text, &["I pay at {}.", "It was {}."], (a, b)),
            1 => self.stated(
                text,
                &["Write to {}.", "My mail is {}."],
                (&format!("{person}@{a}"), &format!("{person}@{b}")),
            ),
            _ => self.stated(
                text,
                &["See {}.", "I was on {}."],
                (&format!("https://{a}/{person}"), &format!("https://{a}/{person}s")),
            ),
        }
    }

    fn name(&mut self, text: &str) -> Two {
        match self.rng.below(3) {
            0 => self.two(text, &PEOPLE, &["I sent it to {}.", "It is for {} only.", "My partner {} has one too."]),
            1 => self.two(text, &PLACES, &["I am in {} now.", "It happened in {}.", "We moved to {} since."]),
            _ => self.two(text, &COMPANIES, &["It was at {}.", "The merchant is {}.", "I bought it from {}."]),
        }
    }

    /// A word of a list in a text, in place of which its counterpart is put.
    fn replaced(&mut self, text: &str, list: &Split<(&'static str, &'static str)>) -> Two {
        let lower = text.to_lowercase();
        let padded = format!(" {lower} ");
        let whole = |word: &str| {
            let edge = |c: char| !c.is_alphanumeric();
            padded
                .match_indices(word)
                .any(|(at, _)| padded[..at].ends_with(edge) && padded[at + word.len()..].starts_with(edge))
        };
        let both = |(a, b): &(&'static str, &'static str)| [(*a, *b), (*b, *a)];
        let there: Vec<(&str, &str)> =
            list[self.half].iter().flat_map(both).filter(|(a, b)| whole(a) && !whole(b)).collect();
        if there.is_empty() {
            return None;
        }
        let (from, to) = self.of(&there);
        let words: Vec<String> = lower
            .split(' ')
            .map(|word| {
                let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
                if bare == from { word.replace(from, to) } else { word.to_owned() }
            })
            .collect();
        let new = words.join(" ");
        (new != lower).then_some((lower, new))
    }

    fn opposite(&mut self, text: &str) -> Two {
        if self.rng.below(2) == 0
            && let Some(pair) = self.replaced(text, &OPPOSITES)
        {
            return Some(pair);
        }
        let (a, b) = self.word(&OPPOSITES);
        let (a, b) = if self.rng.below(2) == 0 { (a, b) } else { (b, a) };
        self.stated(text, &["I mean {}.", "They said {}.", "It should be {} that."], (a, b))
    }

    fn denied(&mut self, text: &str, other: bool) -> Two {
        let denial = if other { self.word(&DENIALS) } else { self.of(&["not", "never"]) };
        let words: Vec<&str> = text.split_whitespace().collect();
        let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase();
        let subject = |word: &str| {
            matches!(
                bare(word).as_str(),
                "i" | "my" | "you" | "it" | "the" | "we" | "they" | "this" | "that" | "a" | "there"
            )
        };
        // Behind a statement's auxiliary; a question's stands before its subject.
        let places: Vec<usize> = (1..words.len())
            .filter(|at| {
                matches!(
                    bare(words[*at]).as_str(),
                    "is" | "was"
                        | "are"
                        | "can"
                        | "will"
                        | "should"
                        | "would"
                        | "has"
                        | "have"
                        | "am"
                        | "did"
                        | "do"
                        | "does"
                )
            })
            .filter(|at| {
                words
                    .get(at + 1)
                    .is_some_and(|next| !subject(next) && !bare(next).starts_with("no") && bare(next) != "never")
            })
            .filter(|at| words[*at].ends_with(char::is_alphabetic))
            .collect();
        if places.is_empty() {
            return None;
        }
        let at = self.of(&places);
        let contracted = denial == "not"
            && self.half == 1
            && matches!(words[at], "is" | "was" | "are" | "has" | "have" | "did" | "do" | "does" | "would" | "should");
        let mut new: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        if contracted {
            new[at].push_str("n't");
        } else {
            new.insert(at + 1, denial.to_owned());
        }
        let (old, new) = (words.join(" "), new.join(" "));
        // Taken away as often as put there.
        Some(if self.rng.below(2) == 0 { (old, new) } else { (new, old) })
    }

    fn role(&mut self, text: &str) -> Two {
        let list = self.of(&[PEOPLE, PLACES, COMPANIES]);
        let (a, b) = self.words(&list);
        let frames: &[&str] = if self.half == 0 {
            &[
                "It went from {a} to {b}.",
                "{a} owes {b} the money.",
                "It is cheaper at {a} than at {b}.",
                "I changed from {a} to {b}.",
            ]
        } else {
            &[
                "{a} was charged by {b}.",
                "I prefer {a} over {b}.",
                "They sent {a} what belongs to {b}.",
                "Take it out of {a} and put it into {b}.",
                "{a} comes ahead of {b}.",
            ]
        };
        let frame = self.of(frames);
        let say = |a: &str, b: &str| frame.replace("{a}", a).replace("{b}", b);
        self.stated(text, &["{}"], (&say(a, b), &say(b, a)))
    }

    /// The text in other words that change nothing.
    fn dress(&mut self, text: String) -> String {
        match self.rng.below(5) {
            0 => format!("{}{text}", self.of(BEFORE)),
            1 => format!("{text}{}", self.of(BEHIND)),
            2 => text.to_lowercase(),
            3 => text.replace(['?', '!'], "."),
            _ => format!("{}{text}{}", self.of(BEFORE), self.of(BEHIND)),
        }
    }
}
