//! SROIE: errors planted into the true fields of a receipt, and what is known of fields without a model.

use std::collections::HashMap;

use baton_eval::Checks;
use baton_stats::SplitMix64;
use serde_json::{Value, json};

use super::scores;
use super::words::{Word, words};
use crate::sroie::inventions::{Kind, invented};
use crate::sroie::receipts::{FIELDS, Fields, Receipt};

/// The kinds of planted errors.
pub(crate) const KINDS: [&str; 13] = [
    "total: one digit changed",
    "total: another amount of the receipt",
    "total: of another receipt",
    "date: one digit changed",
    "date: day and month exchanged",
    "date: of another receipt",
    "company: one word swapped",
    "company: another line of the receipt",
    "company: of another receipt",
    "address: one word swapped",
    "address: other lines of the receipt",
    "address: of another receipt",
    "company and address exchanged",
];

/// The checks of the intent, in order: the helpdesk's two, the first also field by field.
pub(crate) const CHECKS: [&str; 7] = [
    r#"type = "span-in-source", fields = ["company", "date", "address", "total"]"#,
    r#"type = "span-in-source", fields = ["company"]"#,
    r#"type = "span-in-source", fields = ["date"]"#,
    r#"type = "span-in-source", fields = ["address"]"#,
    r#"type = "span-in-source", fields = ["total"]"#,
    r#"type = "regex", field = "total", pattern = '^-?([A-Z]{2,3} ?|[$€£] ?)?(\d{1,3}([.,]\d{3})+|\d+)[.,]\d{2}$'"#,
    r#"type = "regex", field = "date", pattern = '^(0?[1-9]|[12]\d|3[01])[-/. ](0?[1-9]|1[0-2]|[A-Za-z]{3,9})[-/., ]+(20)?\d\d$'"#,
];

/// The signals, the checks first.
pub(crate) const SIGNALS: [&str; 20] = [
    "span-in-source",
    "span-in-source: company",
    "span-in-source: date",
    "span-in-source: address",
    "span-in-source: total",
    "regex: total",
    "regex: date",
    "length ratio",
    "words in source",
    "total: how often in source",
    "total: behind the word total",
    "total: of the greatest amount",
    "date: how often in source",
    "company: how early",
    "address: how early",
    "company: its words in train",
    "address: its words in train",
    "company before address",
    "address: length",
    "company: share of letters",
];

/// How often a random error that says what the truth says is drawn again.
const DRAWS: usize = 20;
/// How far before an amount its label may stand, in words.
const LABEL: usize = 6;

/// An answer with one error of this kind; `None` where the receipt has nothing to be wrong about.
pub(crate) fn plant(kind: usize, at: usize, pool: &[Receipt], random: &mut SplitMix64) -> Option<Fields> {
    const COMPANY: usize = 0;
    const DATE: usize = 1;
    const ADDRESS: usize = 2;
    const TOTAL: usize = 3;
    let receipt = &pool[at];
    let (field, how) = match kind {
        0 => (TOTAL, Some(Kind::Digit)),
        1 => (TOTAL, None),
        2 => (TOTAL, Some(Kind::Receipt)),
        3 => (DATE, Some(Kind::Digit)),
        4 => (DATE, None),
        5 => (DATE, Some(Kind::Receipt)),
        6 => (COMPANY, Some(Kind::Word)),
        8 => (COMPANY, Some(Kind::Receipt)),
        9 => (ADDRESS, Some(Kind::Word)),
        11 => (ADDRESS, Some(Kind::Receipt)),
        10 => (ADDRESS, None),
        _ => (COMPANY, None),
    };
    let truth = receipt.fields.get(field);
    if truth.is_empty() {
        return None;
    }
    let mut fields = receipt.fields.clone();
    if kind == KINDS.len() - 1 {
        fields.set(COMPANY, receipt.fields.get(ADDRESS).to_owned());
        fields.set(ADDRESS, truth.to_owned());
        return (fields != receipt.fields).then_some(fields);
    }
    let made = (0..DRAWS).find_map(|_| {
        let made = match (how, field) {
            (Some(how), _) => invented(how, truth, (pool, field), random),
            (None, TOTAL) => pick(&amounts(&words(&receipt.text)), random).map(|(_, amount)| amount.clone()),
            (None, DATE) => exchanged(truth),
            (None, _) => lines(&receipt.text, if field == ADDRESS { 3 } else { 1 }, random),
        };
        made.filter(|made| differs(made, truth))
    })?;
    fields.set(field, made);
    Some(fields)
}

fn pick<'a, T>(items: &'a [T], random: &mut SplitMix64) -> Option<&'a T> {
    items.get(usize::try_from(random.below(items.len() as u64)).ok()?)
}

/// Another value, not another way to write it; and no part of it, nor it a part.
fn differs(made: &str, truth: &str) -> bool {
    let plain = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let (made, truth) = (plain(made), plain(truth));
    !made.is_empty() && !made.contains(&truth) && !truth.contains(&made)
}

/// Numbers with two decimals, and the word where each stands.
fn amounts(words: &[Word]) -> Vec<(usize, String)> {
    let amount = |word: &Word| {
        let number = word.lower.trim_start_matches(|c: char| c.is_alphabetic());
        let (whole, cents) = number.rsplit_once('.')?;
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == ',');
        (!whole.is_empty() && cents.len() == 2 && digits(whole) && digits(cents)).then(|| number.to_owned())
    };
    words.iter().enumerate().filter_map(|(at, word)| Some((at, amount(word)?))).collect()
}

/// `25/12/2018` as `12/25/2018`.
fn exchanged(date: &str) -> Option<String> {
    let mut parts: Vec<&str> = date.split(['/', '-', '.']).collect();
    let mark = date.chars().find(|c| matches!(c, '/' | '-' | '.'))?;
    let day = parts.iter().take(2).all(|part| part.chars().all(|c| c.is_ascii_digit()) && part.len() <= 2);
    (parts.len() == 3 && day).then(|| {
        parts.swap(0, 1);
        parts.join(&mark.to_string())
    })
}

/// So many lines of the receipt, one behind the other, with letters in each.
fn lines(text: &str, count: usize, random: &mut SplitMix64) -> Option<String> {
    let all: Vec<&str> = text.lines().collect();
    let lettered = |line: &&str| line.chars().filter(|c| c.is_alphabetic()).count() >= 4;
    let runs: Vec<&[&str]> = all.windows(count).filter(|run| run.iter().all(&lettered)).collect();
    Some(pick(&runs, random)?.join(" "))
}

/// How often each word stands in a field's true values and in all of the text, in the other folds.
pub(crate) struct Usage {
    fields: [HashMap<String, f64>; 4],
    text: HashMap<String, f64>,
}

impl Usage {
    pub(crate) fn of<'a>(receipts: impl Iterator<Item = &'a Receipt>) -> Self {
        let mut usage = Self { fields: Default::default(), text: HashMap::new() };
        for receipt in receipts {
            usage.text(&receipt.text, 1.0);
            (0..FIELDS.len()).for_each(|field| usage.field(field, receipt.fields.get(field), 1.0));
        }
        usage
    }

    /// Takes a train receipt out, or puts it in again: what is said of one must not rest on itself.
    pub(crate) fn turn(&mut self, receipt: &Receipt, sign: f64) {
        self.text(&receipt.text, sign);
        (0..FIELDS.len()).for_each(|field| self.field(field, receipt.fields.get(field), sign));
    }

    fn text(&mut self, text: &str, sign: f64) {
        words(text).into_iter().for_each(|word| *self.text.entry(word.lower).or_insert(0.0) += sign);
    }

    fn field(&mut self, field: usize, value: &str, sign: f64) {
        words(value).into_iter().for_each(|word| *self.fields[field].entry(word.lower).or_insert(0.0) += sign);
    }

    /// The mean log-odds that a word of the value is one of the field and not any of the text.
    fn fits(&self, field: usize, value: &[Word]) -> f64 {
        let odds = |word: &Word| {
            let of = |counts: &HashMap<String, f64>| counts.get(&word.lower).copied().unwrap_or(0.0).max(0.0);
            ((of(&self.fields[field]) + 0.2) / (of(&self.text) + 1.0)).ln()
        };
        if value.is_empty() { f64::NAN } else { value.iter().map(odds).sum::<f64>() / value.len() as f64 }
    }
}

/// Each signal of one answer.
pub(crate) fn signals(checks: &Checks, usage: &Usage, receipt: &Receipt, fields: &Fields) -> Vec<f64> {
    let output = fields.output();
    let input: Value = json!({ "text": receipt.text });
    let mut signals = scores(checks, &output, &input, CHECKS.len());
    let source = words(&receipt.text);
    let [company, date, address, total] = [0, 1, 2, 3].map(|field| words(fields.get(field)));
    let said: Vec<&Word> = [&company, &date, &address, &total].into_iter().flatten().collect();
    signals.push((said.len() as f64 / source.len() as f64).ln());
    let there = |word: &&&Word| source.iter().any(|other| other.lower == word.lower);
    signals.push(said.iter().filter(there).count() as f64 / said.len().max(1) as f64);
    signals.extend(of_total(&source, fields.get(3)));
    signals.push(receipt.text.matches(fields.get(1)).count().min(3) as f64);
    let (first, then) = (how_early(&source, &company), how_early(&source, &address));
    signals.extend([first, then, usage.fits(0, &company), usage.fits(2, &address)]);
    signals.push(f64::from(first >= then));
    signals.push((1.0 + address.len() as f64).ln());
    let name = fields.get(0);
    let letters = name.chars().filter(|c| c.is_alphabetic()).count();
    signals.push(letters as f64 / name.chars().filter(|c| !c.is_whitespace()).count().max(1) as f64);
    signals
}

/// How often the total is printed, how often right behind a word `total`, and its share of the greatest amount.
fn of_total(source: &[Word], total: &str) -> [f64; 3] {
    let value = |amount: &str| amount.replace(',', "").parse::<f64>().ok();
    let number = total.trim_matches(|c: char| !c.is_ascii_digit());
    let Some(mine) = value(number) else { return [f64::NAN; 3] };
    let amounts = amounts(source);
    let same: Vec<usize> =
        amounts.iter().filter(|(_, amount)| value(amount) == Some(mine)).map(|(at, _)| *at).collect();
    let labelled = |at: &&usize| {
        let label = source[at.saturating_sub(LABEL)..**at].iter().rev();
        label.take(LABEL).any(|word| word.lower.contains("total") && word.lower != "subtotal")
    };
    let greatest = amounts.iter().filter_map(|(_, amount)| value(amount)).fold(0.0, f64::max);
    let share = if greatest > 0.0 { (mine / greatest).min(2.0) } else { f64::NAN };
    [same.len().min(5) as f64, same.iter().filter(labelled).count().min(3) as f64, share]
}

/// Where the value's words begin in the source: 1 for the first word, towards 0 for the last. The median
/// over its words of the first place of each.
fn how_early(source: &[Word], value: &[Word]) -> f64 {
    let place = |word: &Word| source.iter().position(|other| other.lower == word.lower);
    let mut places: Vec<usize> = value.iter().filter_map(place).collect();
    places.sort_unstable();
    places.get(places.len() / 2).map_or(f64::NAN, |at| 1.0 - *at as f64 / source.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Vec<Receipt> {
        let receipt = |id: &str, company: &str, date: &str, address: &str, total: &str| {
            let text = format!(
                "{company}\n{address}\nINVOICE OF TODAY\n{date}\nTEA 4.00\nTOTAL {total}\nTHANK YOU\nCOME AGAIN\nGOODS SOLD\nARE KEPT"
            );
            let fields = json!({ "company": company, "date": date, "address": address, "total": total });
            serde_json::from_value(json!({ "id": id, "text": text, "fields": fields })).unwrap()
        };
        vec![
            receipt("1", "ACME TRADING", "25/12/2018", "12 JALAN SATU, IPOH", "19.00"),
            receipt("2", "BESTA FOODS", "03/04/2017", "7 LORONG DUA, MELAKA", "8.50"),
        ]
    }

    #[test]
    fn each_kind_changes_what_it_says_and_the_seed_repeats_it() {
        let pool = pool();
        for (kind, name) in KINDS.iter().enumerate() {
            let made = |seed| plant(kind, 0, &pool, &mut SplitMix64::new(seed));
            let said = made(1).unwrap_or_else(|| panic!("no {name}"));
            assert_ne!(said, pool[0].fields, "{name}");
            assert_eq!(Some(said), made(1));
        }
        assert_eq!(exchanged("25/12/2018").as_deref(), Some("12/25/2018"));
        assert_eq!(exchanged("25 DEC 2018"), None);
    }

    #[test]
    fn a_total_is_known_by_its_label() {
        let source = words(&pool()[0].text);
        let near = |said: [f64; 3], right: [f64; 3]| said.iter().zip(right).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near(of_total(&source, "19.00"), [1.0, 1.0, 1.0]));
        assert!(near(of_total(&source, "RM4.00"), [1.0, 0.0, 4.0 / 19.0]));
        assert!(of_total(&source, "none")[0].is_nan());
    }
}
