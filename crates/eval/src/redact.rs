//! Personal data that can be told by its form, replaced: in records of an intent that stores none, and in
//! cases that go where everybody reads them.
//!
//! The same text is replaced by the same mark throughout a record or case, so that a value of the output is still
//! found in the input. Names and addresses of people have no form of their own: they are left.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What is looked for, the more certain first; of what is found a rule may say that it is something else.
static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let rule = |name, pattern: &str, is: fn(&str) -> bool| {
        // Each is compiled by a test.
        Regex::new(pattern).ok().map(|pattern| Rule { name, pattern, is })
    };
    let any: fn(&str) -> bool = |_| true;
    [
        rule("email", r"(?i)\b[a-z0-9._%+'-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+\b", any),
        rule("secret", r"\b(?:sk|pk|ghp|gho|xox[abp]|AKIA|eyJ)[A-Za-z0-9_\-.]{12,}\b", any),
        rule("secret", r"\b[A-Za-z0-9+/_-]{32,}={0,2}", mixed),
        rule("account", r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b", iban),
        rule("card", r"\b\d(?:[ -]?\d){12,18}\b", luhn),
        rule("ip", r"\b(?:\d{1,3}\.){3}\d{1,3}\b", |text| text.split('.').all(|part| part.parse::<u8>().is_ok())),
        rule("ip", r"(?i)\b[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}\b", |text| text.parse::<Ipv6Addr>().is_ok()),
        rule("phone", r"(?:\+|\b00)\d(?:[ ()./-]{0,2}\d){7,14}\b", any),
        rule("phone", r"\(0\d{1,4}\)(?:[ ./-]?\d){5,10}\b", any),
        rule("phone", r"\b\d{3}[-. ]\d{3}[-. ]\d{4}\b", any),
        rule("phone", r"\b0\d{2,4}[ /-]\d{6,9}\b", any),
        rule("number", r"\b\d{9,}\b", any),
    ]
    .into_iter()
    .flatten()
    .collect()
});

struct Rule {
    name: &'static str,
    pattern: Regex,
    is: fn(&str) -> bool,
}

/// Replaces within one record or case.
#[derive(Default)]
pub struct Redaction {
    /// The mark of each text that was replaced.
    marks: BTreeMap<String, String>,
    /// How many there are of each kind.
    counts: BTreeMap<&'static str, usize>,
}

impl Redaction {
    /// Compiles the rules, which the first that redacts does otherwise: a call would wait for it.
    pub fn compile() {
        LazyLock::force(&RULES);
    }

    /// The value with what was found in its strings replaced: `[email-1]`, `[card-2]`. A whole number that
    /// is one of them becomes its mark, a string. Keys stay.
    #[must_use]
    pub fn of(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.of(item)).collect(),
            Value::Object(fields) => fields.iter().map(|(key, field)| (key.clone(), self.of(field))).collect(),
            Value::Number(number) if number.is_u64() => {
                let text = number.to_string();
                let redacted = self.text(&text);
                if redacted == text { value.clone() } else { Value::String(redacted) }
            }
            other => other.clone(),
        }
    }

    /// How many different texts were replaced, by kind.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<&'static str, usize> {
        &self.counts
    }

    /// The text with what was found in it replaced.
    #[must_use]
    pub fn text(&mut self, text: &str) -> String {
        let mut redacted = text.to_owned();
        for rule in RULES.iter() {
            let found = rule.pattern.replace_all(&redacted, |found: &regex::Captures<'_>| {
                let text = &found[0];
                if (rule.is)(text) { self.mark(rule.name, text) } else { text.to_owned() }
            });
            redacted = found.into_owned();
        }
        redacted
    }

    fn mark(&mut self, kind: &'static str, text: &str) -> String {
        if let Some(known) = self.marks.get(text) {
            return known.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let mark = format!("[{kind}-{count}]");
        self.marks.insert(text.to_owned(), mark.clone());
        mark
    }
}

/// Long words are letters alone, long numbers digits alone; keys mix them.
fn mixed(text: &str) -> bool {
    let has = |of: fn(&u8) -> bool| text.as_bytes().iter().any(of);
    has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
}

/// The check digit of card numbers (ISO/IEC 7812-1).
fn luhn(text: &str) -> bool {
    let digits = text.chars().rev().filter_map(|c| c.to_digit(10));
    let doubled = |(n, digit): (usize, u32)| match n % 2 {
        0 => digit,
        _ if digit > 4 => digit * 2 - 9,
        _ => digit * 2,
    };
    digits.enumerate().map(doubled).sum::<u32>() % 10 == 0
}

/// The check digits of account numbers (ISO 13616: the rearranged number modulo 97 is 1).
fn iban(text: &str) -> bool {
    let compact: String = text.chars().filter(char::is_ascii_alphanumeric).collect();
    let Some((head, tail)) = compact.split_at_checked(4) else { return false };
    let value = |rest: u32, c: char| {
        let digit = c.to_digit(36).unwrap_or_default();
        (if digit > 9 { rest * 100 + digit } else { rest * 10 + digit }) % 97
    };
    (15..=34).contains(&compact.len()) && tail.chars().chain(head.chars()).fold(0, value) == 1
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, redacted: &str) {
        assert_eq!(Redaction::default().of(&json!(text)), json!(redacted));
    }

    #[test]
    fn what_has_a_form_is_replaced() {
        assert_eq!(RULES.len(), 12, "each pattern is one");
        check("write to ana.b+x@mail.example.org, please", "write to [email-1], please");
        check("card 4111 1111 1111 1111 was charged", "card [card-1] was charged");
        check("pay to GB29 NWBK 6016 1331 9268 19 today", "pay to [account-1] today");
        check("call +49 30 1234567 or (030) 123456", "call [phone-1] or [phone-2]");
        check("555-123-4567", "[phone-1]");
        check("0171/1234567 or 030 12345678", "[phone-1] or [phone-2]");
        check("from 192.168.17.4 and 2001:db8::8a2e:370:7334", "from [ip-1] and [ip-2]");
        check("insured under 65170839001", "insured under [number-1]");
        check("key sk-abcDEF1234567890xyz", "key [secret-1]");
        check("a 0f9c3a7b1d5e4f60718293a4b5c6d7e8f", "a [secret-1]");
    }

    #[test]
    fn what_only_looks_like_it_stays() {
        for plain in [
            "TOTAL 1,204.50 on 25/12/2018 16:41",
            "invoice 4111 1111 1111 1112",
            "order 2024-000017, ticket 00114 555",
            "version 1.2.3.999",
            "Pneumonoultramicroscopicsilicovolcanoconiosis",
            "GB29 NWBK 6016 1331 9268 18",
            "a@b",
            "at 16:41:03, order 12345678",
        ] {
            check(plain, plain);
        }
    }

    #[test]
    fn a_number_of_them_is_replaced_as_its_digits_are() {
        let mut redaction = Redaction::default();
        let given = json!({ "card": 4111111111111111_u64, "same": "4111111111111111", "total": 1204.5, "n": 12345678 });
        let expected = json!({ "card": "[card-1]", "same": "[card-1]", "total": 1204.5, "n": 12345678 });
        assert_eq!(redaction.of(&given), expected);
    }

    #[test]
    fn the_same_text_has_the_same_mark_throughout_a_case() {
        let mut redaction = Redaction::default();
        let input = redaction.of(&json!({ "text": "I am a@x.org, not b@x.org", "n": 7 }));
        let expected = redaction.of(&json!({ "from": "a@x.org", "to": ["b@x.org"] }));
        assert_eq!(input, json!({ "text": "I am [email-1], not [email-2]", "n": 7 }));
        assert_eq!(expected, json!({ "from": "[email-1]", "to": ["[email-2]"] }));
        assert_eq!(redaction.counts(), &BTreeMap::from([("email", 2)]));
    }
}
