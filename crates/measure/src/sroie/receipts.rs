//! The receipts, and an oracle of its own for whether a value stands in a receipt's text.

use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};

/// The fields of an answer, in the order of its schema.
pub(crate) const FIELDS: [&str; 4] = ["company", "date", "address", "total"];

/// One receipt: what was printed, and the true fields. One receipt of the set has no address and one no
/// total: theirs are empty.
#[derive(Deserialize)]
pub(crate) struct Receipt {
    pub(crate) id: String,
    pub(crate) text: String,
    pub(crate) fields: Fields,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    company: String,
    date: String,
    address: String,
    total: String,
}

impl Fields {
    pub(crate) fn get(&self, field: usize) -> &str {
        [&self.company, &self.date, &self.address, &self.total][field]
    }

    pub(crate) fn set(&mut self, field: usize, value: String) {
        *[&mut self.company, &mut self.date, &mut self.address, &mut self.total][field] = value;
    }

    pub(crate) fn output(&self) -> Value {
        json!({ "company": self.company, "date": self.date, "address": self.address, "total": self.total })
    }
}

/// Reads `receipts.jsonl`. Two texts are there twice, one of them with a space more in its address: a model
/// cannot tell such copies apart, so they share the fields of the first.
///
/// # Errors
/// The line at fault.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Receipt>> {
    let lines = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut receipts: Vec<Receipt> = Vec::new();
    for (n, line) in lines.lines().enumerate() {
        let mut receipt: Receipt =
            serde_json::from_str(line).with_context(|| format!("{} line {}", path.display(), n + 1))?;
        if let Some(first) = receipts.iter().find(|first| first.text == receipt.text) {
            receipt.fields = first.fields.clone();
        }
        receipts.push(receipt);
    }
    Ok(receipts)
}

/// Whether a value stands in a text, by a rule that shares nothing with the check's and forgives less.
///
/// - A value without letters, besides a sign of money before or behind it, stands there if its characters
///   do, with no digit right before or behind them (`9.00` is not in `19.00`).
/// - Any other value stands there if its words (runs of letters and digits, in lower case) do, one right
///   behind the other, whatever else stands between them.
pub(crate) fn occurs(value: &str, text: &str) -> bool {
    if let Some(number) = number(value) {
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        return text
            .match_indices(number)
            .any(|(at, _)| !digit(text[..at].chars().next_back()) && !digit(text[at + number.len()..].chars().next()));
    }
    let (value, text) = (words(value), words(text));
    !value.is_empty() && text.windows(value.len()).any(|window| window == value)
}

/// Whether the words of a value that is no number all stand in a text, wherever each of them is.
pub(crate) fn words_occur(value: &str, text: &str) -> bool {
    let text = words(text);
    number(value).is_none() && words(value).iter().all(|word| text.contains(word))
}

/// A value that is a number or a date of digits, without the sign of money around it.
fn number(value: &str) -> Option<&str> {
    let number = value.trim_matches(|c: char| !c.is_ascii_digit());
    let around = value.len() - number.len();
    let letters = value.chars().filter(|c| c.is_alphabetic()).count();
    (!number.is_empty() && !number.contains(char::is_alphabetic) && letters <= 3 && around <= 5).then_some(number)
}

pub(crate) fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_occur_literally_and_text_word_by_word() {
        let text = "ACME TRADING (M) SDN. BHD.\n12, JALAN SATU\n25/12/2018 8:13\nTOTAL RM 19.00\nROUNDED 7.40";
        let check = |value, expected| assert_eq!(occurs(value, text), expected, "{value}");
        check("9.00", false);
        check("19.00", true);
        check("RM 19.00", true);
        check("RM7.40", true);
        check("$7.41", false);
        check("25/12/2018", true);
        check("25/12/18", false);
        check("25 DEC 2018", false);
        check("Acme Trading (M) Sdn Bhd", true);
        check("ACME TRADING SDN BHD", false);
        check("12 JALAN SATU", true);
        check("12 JALAN DUA", false);
        check("", false);
        assert!(words_occur("JALAN ACME", text) && !occurs("JALAN ACME", text));
        assert!(!words_occur("JALAN ACMES", text) && !words_occur("00.19", text));
    }
}
