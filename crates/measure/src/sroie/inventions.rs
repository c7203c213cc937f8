//! What the simulated model claims that is not true: a stated set besides the simulator's own.

use std::fmt;

use baton_stats::SplitMix64;

use super::receipts::{FIELDS, Fields, Receipt, words};

/// How a value was invented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// One digit of the true value is another one.
    Digit,
    /// One word of the true value is one of another receipt's.
    Word,
    /// The value of another receipt.
    Receipt,
    /// The simulator's own: one to four fields, half of them from another receipt, half made up.
    Simulator,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digit => "one digit changed",
            Self::Word => "one word swapped",
            Self::Receipt => "of another receipt",
            Self::Simulator => "the simulator's own",
        })
    }
}

/// What one answer invents: the kind, and which of [`FIELDS`] where it is only one.
pub(crate) type Invention = (Kind, Option<usize>);

/// The stated set, dealt out in turn.
const STATED: [(Kind, usize); 8] = [
    (Kind::Digit, 3),
    (Kind::Word, 0),
    (Kind::Receipt, 1),
    (Kind::Word, 2),
    (Kind::Receipt, 3),
    (Kind::Digit, 1),
    (Kind::Receipt, 0),
    (Kind::Receipt, 2),
];

/// How often a random invention that says what the true value says is drawn again.
const DRAWS: usize = 50;

/// What the model answers to each receipt: the true fields, or for a share of them one invented value.
/// Nothing is chosen by whether it stands in the text: that is for the oracle to say.
pub(crate) fn answers(pool: &[Receipt], share: f64, seed: u64) -> Vec<(Fields, Option<Invention>)> {
    let mut random = SplitMix64::new(seed);
    let mut turn = usize::try_from(random.below(STATED.len() as u64)).unwrap_or_default();
    let mut said: Vec<(Fields, Option<Invention>)> = Vec::new();
    for (n, receipt) in pool.iter().enumerate() {
        // The model repeats itself: the same text (two receipts are there twice) gets the same answer.
        if let Some(twin) = pool[..n].iter().position(|other| other.text == receipt.text) {
            said.push(said[twin].clone());
            continue;
        }
        let mut fields = receipt.fields.clone();
        let mut invention = None;
        if random.next_f64() < share {
            let (kind, field) = STATED[turn % STATED.len()];
            turn += 1;
            let made = (0..DRAWS).find_map(|_| invented(kind, receipt.fields.get(field), (pool, field), &mut random));
            if let Some(made) = made {
                fields.set(field, made);
                invention = Some((kind, Some(field)));
            }
        }
        said.push((fields, invention));
    }
    said
}

/// A value that says something else than the true one; `None` where this draw gave none.
pub(crate) fn invented(
    kind: Kind,
    truth: &str,
    (pool, field): (&[Receipt], usize),
    random: &mut SplitMix64,
) -> Option<String> {
    let other = pick(pool, random)?.fields.get(field);
    let made = match kind {
        Kind::Digit => {
            let digits: Vec<usize> = truth.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
            let at = *pick(&digits, random)?;
            let mut made = truth.to_owned();
            made.replace_range(at..=at, &random.below(10).to_string());
            made
        }
        Kind::Word => {
            let mut parts: Vec<&str> = truth.split(' ').collect();
            let swappable: Vec<usize> = (0..parts.len()).filter(|at| is_word(parts[*at])).collect();
            let donors: Vec<&str> = other.split(' ').filter(|part| is_word(part)).collect();
            parts[*pick(&swappable, random)?] = pick(&donors, random)?;
            parts.join(" ")
        }
        Kind::Receipt | Kind::Simulator => other.to_owned(),
    };
    // Punctuation and case are no invention.
    (!made.is_empty() && words(&made) != words(truth)).then_some(made)
}

/// Letters, no digits: what a swapped word takes the place of and is.
fn is_word(part: &str) -> bool {
    part.chars().filter(|c| c.is_alphabetic()).count() >= 2 && !part.contains(|c: char| c.is_ascii_digit())
}

fn pick<'a, T>(items: &'a [T], random: &mut SplitMix64) -> Option<&'a T> {
    items.get(usize::try_from(random.below(items.len() as u64)).ok()?)
}

/// What an invention is called in a table.
pub(crate) fn name((kind, field): Invention) -> String {
    field.map_or_else(|| kind.to_string(), |field| format!("{}: {kind}", FIELDS[field]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Vec<Receipt> {
        let receipt = |n: usize, company: &str, date: &str| {
            let fields = [("company", company), ("date", date), ("address", "NO 1 JALAN SATU"), ("total", "9.00")];
            let fields: serde_json::Map<_, _> = fields.map(|(k, v)| (k.to_owned(), v.into())).into_iter().collect();
            serde_json::from_value(
                serde_json::json!({ "id": n.to_string(), "text": format!("text {n}"), "fields": fields }),
            )
        };
        (0..200)
            .map(|n| receipt(n, ["ACME BHD", "BESTA SDN"][n % 2], ["01/02/2018", "3 MAY 2017"][n % 2]).unwrap())
            .collect()
    }

    #[test]
    fn a_stated_share_invents_one_field_each_and_the_seed_repeats_it() {
        let pool = pool();
        let said = answers(&pool, 0.3, 7);
        assert_eq!(said, answers(&pool, 0.3, 7));
        assert_ne!(said, answers(&pool, 0.3, 8));
        let mut invented = 0;
        for ((fields, invention), receipt) in said.iter().zip(&pool) {
            let differ: Vec<_> = (0..4).filter(|field| fields.get(*field) != receipt.fields.get(*field)).collect();
            assert_eq!(differ, Vec::from_iter(invention.and_then(|(_, field)| field)));
            invented += differ.len();
        }
        assert!((30..=80).contains(&invented), "{invented} of 200");
    }

    #[test]
    fn without_a_share_all_is_true() {
        assert!(answers(&pool(), 0.0, 1).iter().zip(&pool()).all(|((f, i), r)| *f == r.fields && i.is_none()));
    }

    #[test]
    fn each_kind_changes_what_it_says() {
        let pool = pool();
        let mut random = SplitMix64::new(1);
        let mut made =
            |kind, truth: &str, field| (0..DRAWS).find_map(|_| invented(kind, truth, (&pool, field), &mut random));
        let digit = made(Kind::Digit, "9.00", 3).unwrap();
        assert_eq!(digit.chars().zip("9.00".chars()).filter(|(a, b)| a != b).count(), 1);
        assert_eq!(made(Kind::Digit, "none", 3), None);
        let word = made(Kind::Word, "ACME BHD", 0).unwrap();
        assert_eq!(word.split(' ').zip(["ACME", "BHD"]).filter(|(a, b)| a != b).count(), 1);
        assert_eq!(made(Kind::Receipt, "ACME BHD", 0).unwrap(), "BESTA SDN");
        assert_eq!(made(Kind::Receipt, "9.00", 3), None, "every receipt has the same");
    }
}
