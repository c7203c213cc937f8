//! Changes of receipts: long texts in capitals, most of them numbers.

use super::lists::{COMPANIES, PEOPLE, PLACES, SIGNS};
use super::mutate::{Maker, Two};

impl Maker<'_> {
    pub(super) fn receipt_number(&mut self, text: &str) -> Two {
        let range = self.number_in(text)?;
        let new = self.changed(&text[range.clone()]);
        Some((text.to_owned(), format!("{}{new}{}", &text[..range.start], &text[range.end..])))
    }

    /// A line's word that fits, in place of which another one is put.
    fn line_word(
        &mut self,
        text: &str,
        fits: impl Fn(&str) -> bool,
        change: impl FnOnce(&mut Self, &str) -> String,
    ) -> Two {
        let words: Vec<&str> = text.split([' ', '\n']).filter(|word| fits(word)).collect();
        if words.is_empty() {
            return None;
        }
        let word = self.of(&words);
        let at = word.as_ptr() as usize - text.as_ptr() as usize;
        let new = change(self, word);
        Some((text.to_owned(), format!("{}{new}{}", &text[..at], &text[at + word.len()..])))
    }

    pub(super) fn receipt_date(&mut self, text: &str) -> Two {
        let fits = |word: &str| {
            word.len() >= 8
                && word.matches('/').count() == 2
                && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'/')
        };
        self.line_word(text, fits, Self::changed)
    }

    pub(super) fn receipt_code(&mut self, text: &str) -> Two {
        let fits = |word: &str| {
            word.len() >= 6
                && word.bytes().any(|byte| byte.is_ascii_uppercase())
                && word.bytes().filter(u8::is_ascii_digit).count() >= 3
        };
        self.line_word(text, fits, Self::changed)
    }

    pub(super) fn receipt_name(&mut self, text: &str) -> Two {
        let name = self.of(&[PEOPLE, PLACES, COMPANIES]);
        let name = self.word(&name).to_uppercase();
        let fits = |word: &str| word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        self.line_word(text, fits, |_, _| name)
    }

    pub(super) fn receipt_currency(&mut self, text: &str) -> Two {
        let sign = self.word(&SIGNS).trim().to_owned();
        self.line_word(text, |word| word == "RM", |_, _| sign)
    }
}
