//! Byte-pair encoding as a SentencePiece model in `tokenizer.json` has it: spaces become `▁`, one is
//! put before the text, characters that the vocabulary lacks become bytes, and then the pair that
//! was learnt first merges first (Sennrich et al. 2016), the leftmost of equals.
//!
//! Own code: the crate `tokenizers` builds thirty crates for these lines, and keeps offsets that
//! nobody here asks for. Marks such as `</s>` inside a text are text here; there they would be marks.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::Error;
use crate::weights::Weights;

const SPACE: char = '▁';
const NONE: u32 = u32::MAX;

pub(crate) struct Bpe {
    characters: HashMap<char, u32>,
    /// The token of each byte, for characters that have none.
    bytes: [u32; 256],
    /// Two neighbours: when they merge (low first), and into what.
    merges: HashMap<(u32, u32), (u32, u32)>,
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
    byte_fallback: bool,
    vocab: HashMap<String, u32>,
    merges: Vec<Merge>,
}

/// Both spellings that `tokenizer.json` has for a pair.
#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Spaced(String),
    Pair(String, String),
}

impl Merge {
    fn pair(&self) -> Option<(&str, &str)> {
        match self {
            Self::Spaced(text) => text.split_once(' '),
            Self::Pair(left, right) => Some((left, right)),
        }
    }
}

impl Bpe {
    /// Reads a `tokenizer.json` whose tokens are below `tokens`.
    pub(crate) fn new(weights: &Weights, tokens: usize) -> Result<Self, Error> {
        let file: File = serde_json::from_slice(&weights.bytes).map_err(|error| weights.broken(error))?;
        let spaces = json!({ "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" },
            { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
        ] });
        let known = file.model.r#type == "BPE" && file.model.byte_fallback;
        if !known || file.normalizer != spaces || !file.pre_tokenizer.is_null() {
            return Err(weights.broken("it is not byte-pair encoding with `▁` for spaces and bytes as a fallback"));
        }
        let vocabulary = &file.model.vocab;
        if let Some((token, id)) = vocabulary.iter().find(|&(_, &id)| id as usize >= tokens) {
            return Err(weights.broken(format!("`{token}` has number {id}, and there are {tokens} vectors")));
        }
        let id = |token: &str| {
            vocabulary.get(token).copied().ok_or_else(|| weights.broken(format!("its vocabulary lacks `{token}`")))
        };
        let mut merges = HashMap::with_capacity(file.model.merges.len());
        for (rank, merge) in (0..).zip(&file.model.merges) {
            let (left, right) = merge.pair().ok_or_else(|| weights.broken("a merge is not a pair"))?;
            let made = id(&format!("{left}{right}"))?;
            merges.entry((id(left)?, id(right)?)).or_insert((rank, made));
        }
        let mut bytes = [0; 256];
        for (byte, token) in bytes.iter_mut().enumerate() {
            *token = id(&format!("<0x{byte:02X}>"))?;
        }
        let single = |(token, &id): (&String, &u32)| {
            let mut characters = token.chars();
            characters.next().filter(|_| characters.next().is_none()).map(|character| (character, id))
        };
        Ok(Self { characters: vocabulary.iter().filter_map(single).collect(), bytes, merges })
    }

    /// The tokens of a text; none of an empty one.
    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::with_capacity(text.len() + 3);
        if text.is_empty() {
            return tokens;
        }
        for character in std::iter::once(SPACE).chain(text.chars()) {
            let character = if character == ' ' { SPACE } else { character };
            match self.characters.get(&character) {
                Some(&token) => tokens.push(token),
                None => {
                    let mut buffer = [0; 4];
                    let encoded = character.encode_utf8(&mut buffer).bytes();
                    tokens.extend(encoded.map(|byte| self.bytes[usize::from(byte)]));
                }
            }
        }
        self.merge(&mut tokens);
        tokens
    }

    /// Merges in place. A heap of the pairs that may merge, over a linked list of what is left:
    /// n·log n, also for a text without a space.
    fn merge(&self, tokens: &mut Vec<u32>) {
        let count = tokens.len() as u32;
        let mut before: Vec<u32> = (0..count).map(|place| place.wrapping_sub(1)).collect();
        let mut after: Vec<u32> = (1..=count).map(|place| if place == count { NONE } else { place }).collect();
        let candidate = |tokens: &[u32], left: u32, right: u32| {
            let pair = (tokens[left as usize], tokens[right as usize]);
            self.merges.get(&pair).map(|&(rank, made)| Reverse((rank, left, pair, made)))
        };
        let mut heap: BinaryHeap<_> = (1..count).filter_map(|right| candidate(tokens, right - 1, right)).collect();
        while let Some(Reverse((_, left, pair, made))) = heap.pop() {
            let right = after[left as usize];
            if right == NONE || (tokens[left as usize], tokens[right as usize]) != pair {
                continue;
            }
            tokens[left as usize] = made;
            tokens[right as usize] = NONE;
            let next = after[right as usize];
            after[left as usize] = next;
            after[right as usize] = NONE;
            if next != NONE {
                before[next as usize] = left;
                heap.extend(candidate(tokens, left, next));
            }
            let previous = before[left as usize];
            if previous != NONE {
                heap.extend(candidate(tokens, previous, left));
            }
        }
        tokens.retain(|&token| token != NONE);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A vocabulary of a few words, in which `log` merges before `in`, and `gi` would undo it.
    pub(crate) fn tokenizer() -> Value {
        let mut vocab: Vec<String> = (0..256).map(|byte| format!("<0x{byte:02X}>")).collect();
        vocab.extend(["▁", "l", "o", "g", "i", "n", "lo", "log", "in", "▁log", "gi"].map(str::to_owned));
        let vocab: serde_json::Map<String, Value> =
            vocab.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
        json!({
            "normalizer": { "type": "Sequence", "normalizers": [
                { "type": "Prepend", "prepend": "▁" },
                { "type": "Replace", "pattern": { "String": " " }, "content": "▁" },
            ] },
            "pre_tokenizer": null,
            "model": { "type": "BPE", "byte_fallback": true, "vocab": vocab,
                "merges": ["l o", "lo g", ["i", "n"], "g i", "▁ log"] },
        })
    }

    fn read(file: &Value) -> Result<Bpe, Error> {
        let bytes = file.to_string().into_bytes();
        Bpe::new(&Weights { name: "wordllama", path: PathBuf::from("tokenizer.json"), bytes }, 267)
    }

    #[test]
    fn the_pair_learnt_first_merges_first() {
        let bpe = read(&tokenizer()).unwrap();
        let id = |token: &str| tokenizer()["model"]["vocab"][token].as_u64().unwrap() as u32;
        let check = |text: &str, expected: &[&str]| {
            assert_eq!(bpe.encode(text), expected.iter().map(|token| id(token)).collect::<Vec<_>>(), "{text:?}");
        };
        check("", &[]);
        check("log", &["▁log"]);
        check("login", &["▁log", "in"]);
        check("gin gi", &["▁", "g", "in", "▁", "gi"]);
        check(" log  in", &["▁", "▁log", "▁", "▁", "in"]);
        check("lé\n", &["▁", "l", "<0xC3>", "<0xA9>", "<0x0A>"]);
        check("<0x0A>", &["▁", "<0x3C>", "<0x30>", "<0x78>", "<0x30>", "<0x41>", "<0x3E>"]);
    }

    #[test]
    fn what_is_another_tokenizer_is_refused() {
        let check = |edit: &dyn Fn(&mut Value), expected: &str| {
            let mut file = tokenizer();
            edit(&mut file);
            let told = read(&file).err().unwrap().to_string();
            assert!(told.contains(expected) && told.contains("pull wordllama"), "{told}");
        };
        check(&|file| file["model"]["type"] = json!("Unigram"), "not byte-pair encoding");
        check(&|file| file["pre_tokenizer"] = json!({}), "not byte-pair encoding");
        check(&|file| file["model"]["merges"] = json!(["l q"]), "lacks `lq`");
        check(&|file| file["model"]["merges"] = json!(["lq"]), "not a pair");
        check(&|file| file["model"]["vocab"]["lo"] = json!(267), "there are 267 vectors");
        check(&|file| *file = json!([]), "invalid");
    }

    proptest::proptest! {
        /// Slow and plain: the lowest rank, the leftmost of it, one at a time.
        #[test]
        fn the_heap_merges_as_one_pair_at_a_time_would(text in "[login é]{0,40}") {
            let bpe = read(&tokenizer()).unwrap();
            let characters = Bpe { merges: HashMap::new(), ..read(&tokenizer()).unwrap() };
            let mut plain = characters.encode(&text);
            let rank = |pair: &[u32]| bpe.merges.get(&(pair[0], pair[1])).copied();
            while let Some((place, (_, made))) = plain.windows(2).enumerate()
                .filter_map(|(place, pair)| rank(pair).map(|found| (place, found)))
                .min_by_key(|&(place, (rank, _))| (rank, place))
            {
                plain.splice(place..place + 2, [made]);
            }
            proptest::prop_assert_eq!(bpe.encode(&text), plain);
        }
    }
}
