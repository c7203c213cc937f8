//! Which answers go with which words: for each answer how many of its inputs have a word, so that a
//! look-up can ask how likely the words of a new input are under it.
//!
//! Vectors say how near two inputs are; this says which of their words matter, by all inputs that were
//! answered, not by the nearest alone. A naive Bayes classifier with a Dirichlet prior at the words'
//! frequency over all answers (McCallum and Nigam, "A Comparison of Event Models for Naive Bayes Text
//! Classification", 1998), over words, pairs of neighbouring words, and the beginnings of words.

use super::numbered::Numbered;

/// What is read of one text at the most: the rest of a long one adds little and costs as much.
const FEATURES_MAX: usize = 128;
/// Characters of a word's beginning, which its forms share.
const BEGINNING: usize = 4;
/// Answers that a look-up asks about: those of its nearest neighbours, each of which costs microseconds.
const ANSWERS_MAX: usize = 12;
/// Inputs that the prior of an answer's words is worth.
const PRIOR: f64 = 2.0;
/// Bytes that a count takes at the most while the table grows: it is at least seven sixteenths full, with
/// eight bytes and one of its own a slot.
const COUNT_BYTES: usize = 21;
/// Bytes of an answer in the table of answers, which is as full: its number, its table's own, a byte of a slot,
/// and the sixteen that each table of its own has at its end.
const ANSWER_BYTES: usize = 130;
/// A table gives room back where it has so many times what it needs.
const ROOM: usize = 3;

/// A text's words as numbers, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(Vec<u32>);

/// What a number stands for.
#[derive(Clone, Copy)]
enum Kind {
    Word = 1,
    Beginning = 2,
    Pair = 3,
}

/// Of 64 bits, all of which change with each bit of both (the finaliser of MurmurHash3).
fn mix(kind: Kind, a: u64, b: u64) -> u64 {
    let mut x = (a ^ (kind as u64) << 56).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b;
    for multiplier in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        x = (x ^ (x >> 33)).wrapping_mul(multiplier);
    }
    x ^ (x >> 33)
}

impl Words {
    /// Reads a text: letters and digits in small letters, an apostrophe within a word being part of it.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let edge = mix(Kind::Word, 0, 0);
        let (mut found, mut before) = (Vec::new(), edge);
        let is_part = |c: char| c.is_alphanumeric() || c == '\'';
        for word in text.split(|c| !is_part(c)).map(|word| word.trim_matches('\'')).filter(|word| !word.is_empty()) {
            let (mut hash, mut beginning, mut count) = (0, 0, 0);
            for c in word.chars().flat_map(char::to_lowercase) {
                hash = mix(Kind::Word, hash, u64::from(c));
                count += 1;
                if count == BEGINNING {
                    beginning = hash;
                }
            }
            found.push(hash as u32);
            if count > BEGINNING {
                found.push(mix(Kind::Beginning, beginning, 0) as u32);
            }
            found.push(mix(Kind::Pair, before, hash) as u32);
            before = hash;
            if found.len() >= FEATURES_MAX {
                break;
            }
        }
        if !found.is_empty() {
            found.push(mix(Kind::Pair, before, edge) as u32);
        }
        found.sort_unstable();
        found.dedup();
        Self(found)
    }
}

/// The counts of one partition.
#[derive(Default)]
pub struct Counts {
    all: Has,
    /// By answer, so that what one look-up asks about an answer lies together in memory.
    of: Numbered<u64, Has>,
    /// How many words there are in all of these.
    words: usize,
}

/// How many inputs there are, and how many of them have a word. Two words that mix to the same number are
/// counted as one, which is rare and harms little: what this says is weighed by evidence.
#[derive(Debug, Default, PartialEq, Eq)]
struct Has {
    inputs: u32,
    counts: Numbered<u32, u32>,
}

impl Has {
    /// Gives how many of the words are new.
    fn add(&mut self, words: &Words) -> usize {
        let before = self.counts.len();
        self.inputs += 1;
        words.0.iter().for_each(|word| *self.counts.entry(*word).or_default() += 1);
        self.counts.len() - before
    }

    /// Gives how many of the words no other input has.
    fn remove(&mut self, words: &Words) -> usize {
        let before = self.counts.len();
        self.inputs = self.inputs.saturating_sub(1);
        for word in &words.0 {
            if let Some(count) = self.counts.get_mut(word) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.counts.remove(word);
                }
            }
        }
        if self.counts.capacity() > ROOM * self.counts.len() {
            self.counts.shrink_to_fit();
        }
        before - self.counts.len()
    }

    fn get(&self, word: u32) -> f64 {
        f64::from(self.counts.get(&word).copied().unwrap_or(0))
    }
}

impl Counts {
    /// An input that has this answer.
    pub fn add(&mut self, words: &Words, answer: u64) {
        self.words += self.all.add(words) + self.of.entry(answer).or_default().add(words);
    }

    /// Takes back what [`Counts::add`] counted.
    pub fn remove(&mut self, words: &Words, answer: u64) {
        let Some(of) = self.of.get_mut(&answer) else { return };
        self.words -= of.remove(words) + self.all.remove(words);
        if of.inputs == 0 {
            self.of.remove(&answer);
        }
    }

    /// What one look-up asks: how likely these words are under an answer, times how frequent it is, as a
    /// logarithm up to what all answers have in common. Counted once for each answer. Beyond the first few answers
    /// it says minus infinity: what is that far from the input is not what it means.
    pub fn under<'a>(&'a self, words: &'a Words) -> impl FnMut(u64) -> f32 {
        let scale = 1.0 / (f64::from(self.all.inputs) + 1.0);
        let each = |word: &u32| (*word, self.all.get(*word));
        // What nobody has is not looked up under each answer.
        let (seen, unseen): (Vec<_>, Vec<_>) = words.0.iter().map(each).partition(|(_, has)| *has > 0.0);
        let seen: Vec<(u32, f64)> = seen.into_iter().map(|(word, has)| (word, (has + 0.5) * scale)).collect();
        let mut known: Vec<(u64, f32)> = Vec::with_capacity(ANSWERS_MAX);
        move |answer| {
            if let Some((_, known)) = known.iter().find(|(other, _)| *other == answer) {
                return *known;
            }
            if known.len() == ANSWERS_MAX {
                return f32::NEG_INFINITY;
            }
            let likelihood = self.log_likelihood((&seen, unseen.len()), answer) as f32;
            known.push((answer, likelihood));
            likelihood
        }
    }

    /// Of words with their frequency over all answers, and of how many that nobody has.
    fn log_likelihood(&self, (words, unseen): (&[(u32, f64)], usize), answer: u64) -> f64 {
        let nothing = Has::default();
        let of = self.of.get(&answer).unwrap_or(&nothing);
        let inputs = f64::from(of.inputs);
        let prior = inputs + PRIOR;
        let each = |(word, all): &(u32, f64)| (of.get(*word) + PRIOR * all) / prior;
        // Some factors at a time, so that few logarithms are taken: each is at least 1e-12.
        let logs = words.chunks(16).map(|some| some.iter().map(each).product::<f64>().ln());
        logs.sum::<f64>() + (inputs + 0.5).ln() - unseen as f64 * prior.ln()
    }

    /// Bytes in use, estimated by what is counted: each input that goes makes it less.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.words * COUNT_BYTES + self.of.len() * ANSWER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use baton_stats::SplitMix64;

    use super::*;

    fn counts(inputs: &[(&str, u64)]) -> Counts {
        let mut counts = Counts::default();
        inputs.iter().for_each(|(text, answer)| counts.add(&Words::of(text), *answer));
        counts
    }

    #[test]
    fn what_is_read_of_a_text() {
        // A word, its pair with the edge before it, and the pair with the edge behind.
        assert_eq!(Words::of("card").0.len(), 3);
        // Its beginning too where it goes on; each once.
        assert_eq!(Words::of("cards").0.len(), 4);
        assert_eq!(Words::of("Lost, 'CARD'!"), Words::of("lost card"));
        assert_ne!(Words::of("lost card"), Words::of("card lost"));
        assert_ne!(Words::of("don't"), Words::of("don t"));
        assert_eq!(Words::of(" ?! "), Words::default());
        let long = "word ".repeat(10_000);
        assert!(Words::of(&long).0.len() <= FEATURES_MAX + 2);
    }

    /// One word, and no other feature, so that it can be reckoned by hand: two of three inputs of answer 1
    /// have it, and one of two of answer 2. All in all three of five.
    #[test]
    fn the_likelihood_is_the_formula() {
        let (has, other) = (Words(vec![7]), Words(vec![8]));
        let mut counts = Counts::default();
        for (words, answer) in [(&has, 1), (&has, 1), (&other, 1), (&has, 2), (&other, 2)] {
            counts.add(words, answer);
        }
        let all = 3.5 / 6.0;
        let expected = |has: f64, inputs: f64| ((has + PRIOR * all) / (inputs + PRIOR) * (inputs + 0.5)).ln();
        let mut under = counts.under(&has);
        for (answer, has, inputs) in [(1, 2.0, 3.0), (2, 1.0, 2.0), (3, 0.0, 0.0)] {
            assert!((f64::from(under(answer)) - expected(has, inputs)).abs() < 1e-6, "{answer}");
        }
        // A word that nobody has says the less for an answer, the more inputs lack it.
        let new = Words(vec![9]);
        let mut under = counts.under(&new);
        let differs = f64::from(under(1) - under(2));
        assert!((differs - (3.5 / 5.0_f64).ln() + (2.5 / 4.0_f64).ln()).abs() < 1e-6, "{differs}");
    }

    #[test]
    fn words_speak_for_the_answers_that_have_them() {
        let counts = counts(&[
            ("where is my card", 1),
            ("my card has not arrived", 1),
            ("when does the card arrive", 1),
            ("what is the exchange rate", 2),
            ("which exchange rate do I get", 2),
        ]);
        let words = Words::of("the card did not arrive");
        let mut under = counts.under(&words);
        assert!(under(1) > under(2) + 2.0, "{} {}", under(1), under(2));
    }

    #[test]
    fn few_answers_are_asked_about() {
        let counts = counts(&[("one", 1)]);
        let words = Words::of("one");
        let mut under = counts.under(&words);
        for answer in 0..ANSWERS_MAX as u64 {
            assert!(under(answer).is_finite());
        }
        assert!(under(99).is_infinite() && under(0).is_finite());
    }

    #[test]
    fn what_is_removed_was_never_there() {
        let mut rng = SplitMix64::new(5);
        let texts: Vec<String> = (0..50).map(|n| format!("a{} b{} c{n}", rng.below(5), rng.below(9))).collect();
        let kept = counts(&[(texts[0].as_str(), 3)]);
        let mut all = Counts::default();
        texts.iter().for_each(|text| all.add(&Words::of(text), 3));
        assert!(all.bytes() > kept.bytes());
        texts.iter().skip(1).for_each(|text| all.remove(&Words::of(text), 3));
        assert_eq!((&all.all, &all.of, all.words), (&kept.all, &kept.of, kept.words));
        all.remove(&Words::of("never added"), 9);
        assert_eq!((&all.all, &all.of, all.bytes()), (&kept.all, &kept.of, kept.bytes()));
    }

    /// Else a partition over its bound would have to forget all.
    #[test]
    fn what_goes_gives_its_memory_back() {
        let texts: Vec<Words> = (0..1_000).map(|n| Words::of(&format!("number {n} of the inputs {}", n * n))).collect();
        let mut counts = Counts::default();
        texts.iter().for_each(|words| counts.add(words, 1));
        let full = counts.bytes();
        texts[..100].iter().for_each(|words| counts.remove(words, 1));
        assert!(counts.bytes() < full * 19 / 20, "{} of {full}", counts.bytes());
        texts[100..900].iter().for_each(|words| counts.remove(words, 1));
        let roomy = |has: &Has| has.counts.capacity() > ROOM * has.counts.len();
        assert!(!roomy(&counts.all) && !counts.of.values().any(roomy) && counts.bytes() < full / 5);
    }
}
