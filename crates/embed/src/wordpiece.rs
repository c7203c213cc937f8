//! WordPiece as BERT's uncased models have it in `tokenizer.json`: controls, accents and case are
//! dropped, words are cut at spaces and punctuation, and each is taken apart greedily, the longest
//! known piece first (Devlin et al. 2019).

use std::collections::HashMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use crate::Error;
use crate::weights::Weights;

/// A longer word is unknown as a whole; the bound is the model's own.
const WORD_CHARACTERS_MAX: usize = 100;
const CONTINUES: &str = "##";
/// What is a word by itself: punctuation, all of ASCII's symbols, and CJK ideographs.
const ALONE: &str = concat!(
    r"\p{P}$+<=>^`|~\u{4E00}-\u{9FFF}\u{3400}-\u{4DBF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}",
    r"\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{F900}-\u{FAFF}\u{2F800}-\u{2FA1F}",
);

pub(crate) struct WordPiece {
    /// Pieces that begin a word, and pieces that go on.
    first: HashMap<String, u32>,
    next: HashMap<String, u32>,
    unknown: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
    dropped: Regex,
    marks: Regex,
    words: Regex,
}

#[derive(Deserialize)]
struct File {
    normalizer: Value,
    pre_tokenizer: Value,
    model: Model,
}

#[derive(Deserialize)]
struct Model {
    r#type: String,
    continuing_subword_prefix: String,
    max_input_chars_per_word: usize,
    vocab: HashMap<String, u32>,
}

impl WordPiece {
    /// Reads a `tokenizer.json` whose tokens are below `tokens`.
    pub(crate) fn new(weights: &Weights, tokens: usize) -> Result<Self, Error> {
        let file: File = serde_json::from_slice(&weights.bytes).map_err(|error| weights.broken(error))?;
        let uncased = json!({ "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true });
        let model = file.model;
        let known = model.r#type == "WordPiece"
            && model.continuing_subword_prefix == CONTINUES
            && model.max_input_chars_per_word == WORD_CHARACTERS_MAX
            && file.normalizer == uncased
            && file.pre_tokenizer == json!({ "type": "BertPreTokenizer" });
        if !known {
            return Err(weights.broken("it is not the WordPiece of an uncased BERT"));
        }
        if let Some((piece, id)) = model.vocab.iter().find(|&(_, &id)| id as usize >= tokens) {
            return Err(weights.broken(format!("`{piece}` has number {id}, and there are {tokens} vectors")));
        }
        let id = |piece: &str| {
            model.vocab.get(piece).copied().ok_or_else(|| weights.broken(format!("its vocabulary lacks `{piece}`")))
        };
        let (unknown, start, end) = (id("[UNK]")?, id("[CLS]")?, id("[SEP]")?);
        let pattern = |pattern: &str| Regex::new(pattern).map_err(|error| weights.broken(error));
        let goes_on = |(piece, &id): (&String, &u32)| Some((piece.strip_prefix(CONTINUES)?.to_owned(), id));
        Ok(Self {
            next: model.vocab.iter().filter_map(goes_on).collect(),
            first: model.vocab,
            unknown,
            start,
            end,
            dropped: pattern(r"[\p{C}\u{FFFD}&&[^\t\n\r]]")?,
            marks: pattern(r"\p{Mn}")?,
            words: pattern(&format!("[{ALONE}]|[^\\s{ALONE}]+"))?,
        })
    }

    /// The tokens of a text, without start and end.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let clean: String = self.dropped.replace_all(text, "").nfd().collect();
        let plain: String = self.marks.replace_all(&clean, "").chars().flat_map(char::to_lowercase).collect();
        let mut tokens = Vec::new();
        for word in self.words.find_iter(&plain) {
            self.pieces(word.as_str(), &mut tokens);
        }
        tokens
    }

    fn pieces(&self, word: &str, tokens: &mut Vec<u32>) {
        let before = tokens.len();
        let mut rest = word;
        let mut known = &self.first;
        while !rest.is_empty() {
            let ends = rest.char_indices().rev().map(|(at, character)| at + character.len_utf8());
            let found = ends.map(|end| rest.split_at(end)).find_map(|(piece, left)| Some((*known.get(piece)?, left)));
            let Some((token, left)) = found.filter(|_| word.chars().nth(WORD_CHARACTERS_MAX).is_none()) else {
                tokens.truncate(before);
                tokens.push(self.unknown);
                return;
            };
            tokens.push(token);
            rest = left;
            known = &self.next;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn tokenizer() -> Value {
        let pieces = ["[UNK]", "[CLS]", "[SEP]", "log", "##in", "##s", "in", "!", "u", "##ber", "日", "本", "l"];
        let vocab: serde_json::Map<String, Value> =
            pieces.into_iter().enumerate().map(|(id, piece)| (piece.to_owned(), json!(id))).collect();
        json!({
            "normalizer": { "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": null, "lowercase": true },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "model": { "type": "WordPiece", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                "vocab": vocab },
        })
    }

    fn read(file: &Value) -> Result<WordPiece, Error> {
        let bytes = file.to_string().into_bytes();
        WordPiece::new(&Weights { name: "minilm", path: PathBuf::from("tokenizer.json"), bytes }, 13)
    }

    #[test]
    fn words_are_cut_and_taken_apart() {
        let pieces = read(&tokenizer()).unwrap();
        let id = |piece: &str| tokenizer()["model"]["vocab"][piece].as_u64().unwrap() as u32;
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(pieces.encode(text), expected.iter().map(|piece| id(piece)).collect::<Vec<_>>(), "{text:?}");
        };
        check("", &[]);
        check("Logins!in", &["log", "##in", "##s", "!", "in"]);
        check("ÜBER\u{200B}\tlog\0in", &["u", "##ber", "log", "##in"]);
        check("日本in", &["日", "本", "in"]);
        check("log logx", &["log", "[UNK]"]);
        // The last piece of 100 characters is known, of 101 nothing is.
        check(&format!("log{} in", "in".repeat(49)), &["[UNK]", "in"]);
        check(&format!("l{}s", "in".repeat(49)), &[&["l"][..], &["##in"; 49], &["##s"]].concat());
    }

    #[test]
    fn what_is_another_tokenizer_is_refused() {
        let check = |edit: &dyn Fn(&mut Value), expected: &str| {
            let mut file = tokenizer();
            edit(&mut file);
            let told = read(&file).err().unwrap().to_string();
            assert!(told.contains(expected) && told.contains("pull minilm"), "{told}");
        };
        check(&|file| file["normalizer"]["lowercase"] = json!(false), "not the WordPiece of an uncased BERT");
        check(&|file| file["model"]["type"] = json!("BPE"), "not the WordPiece of an uncased BERT");
        check(&|file| file["model"]["vocab"]["log"] = json!(13), "there are 13 vectors");
        check(
            &|file| {
                file["model"]["vocab"].as_object_mut().unwrap().remove("[SEP]");
            },
            "lacks `[SEP]`",
        );
    }
}
