//! Refusals before similarity: facts on which two inputs must agree before the answer to one may be
//! given to the other, however near their vectors are.
//!
//! An embedding hears what a text is about and hardly what it says: `pay 50 euros` lies next to `pay
//! 60 euros`, `before` next to `after`, `I can` next to `I cannot`. What can be read without a model
//! is read here, by rules and word lists (English ones, besides what is written in digits), so a
//! refusal says why. It is symmetric, and a text never differs from itself.
//!
//! These rules err on the side of asking the model: they also refuse some inputs that mean the same
//! (`cargo xtask measure mutations` says how many). They cannot see what takes knowledge of the world:
//! that two words mean the same, that a name in small letters is one, what a rephrased text leaves out.

mod language;
mod lexicon;
mod names;
mod number;
mod opposites;
mod scan;
mod term;
mod time;
mod unit;
mod word;

use language::Language;
use scan::Scan;
use term::{Class, Term};
use word::Word;

/// What two inputs do not agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A number, in digits or words.
    Number,
    /// A date, a time of the day, or a word such as `yesterday`.
    Time,
    /// A unit or currency.
    Unit,
    /// A code, address or number of an order, an account, a telephone.
    Identifier,
    /// A name: a word with a capital within a sentence.
    Name,
    /// One denies what the other does not.
    Negation,
    /// One says `more` where the other says `less`.
    Opposite,
    /// The same words in other parts: `from A to B`, `from B to A`.
    Role,
    /// One asks who, where the other asks when.
    Question,
    /// They are in different languages.
    Language,
    /// Alike but for a word that is no other way to say the same, as far as is known.
    Word,
}

impl Reason {
    /// All of them, in the order in which they are looked for.
    pub const ALL: [Self; 11] = [
        Self::Language,
        Self::Number,
        Self::Time,
        Self::Unit,
        Self::Identifier,
        Self::Name,
        Self::Negation,
        Self::Opposite,
        Self::Role,
        Self::Question,
        Self::Word,
    ];
}

/// Whether the answer to `old` must not be given to `new`, whatever their similarity, and why.
///
/// Where many pairs share a text take its [`Facts`] once.
#[must_use]
pub fn refuses(new: &str, old: &str) -> Option<Reason> {
    if new == old { None } else { Facts::of(new).refuses(&Facts::of(old)) }
}

/// So many bytes of a text are read; two longer texts agree on nothing.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What was read in one text.
#[derive(Debug, Clone)]
pub struct Facts {
    terms: Vec<Term>,
    words: Vec<Word>,
    /// The words that mean something by themselves: positions in `words`.
    content: Vec<usize>,
    language: Language,
    too_long: bool,
}

impl Facts {
    /// Reads a text: some microseconds a sentence.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let too_long = text.len() > TEXT_BYTES_MAX;
        let text = if too_long { "" } else { text };
        let Scan { terms, words } = Scan::of(text);
        let content = (0..words.len()).filter(|at| words[*at].is_content()).collect();
        let language = Language::of(text, &words);
        Self { terms, words, content, language, too_long }
    }

    /// A word of the same clause as another, courtesies left out.
    fn in_clause(&self, at: usize, of: usize) -> Option<&Word> {
        let courteous = |word: &&Word| {
            matches!(word.text.as_str(), "please" | "thanks" | "thank" | "kindly" | "hi" | "hello" | "hey")
        };
        self.words.get(at).filter(|word| word.clause == self.words[of].clause && !courteous(word))
    }

    /// Whether the text with these facts and another one say different things, whatever their vectors say. What
    /// carries a digit is compared first: that is quick, and tells most of them apart.
    #[must_use]
    pub fn keep_apart(&self, own: &str, other: &str) -> bool {
        fn numbers(text: &str) -> Vec<&str> {
            let words = text.split(|c: char| c.is_whitespace() || ",;()[]\"'".contains(c));
            let mut numbers: Vec<&str> = words
                .map(|word| word.trim_end_matches(['.', '!', '?', ':']))
                .filter(|w| w.contains(|c: char| c.is_ascii_digit()))
                .collect();
            numbers.sort_unstable();
            numbers
        }
        own != other && (numbers(own) != numbers(other) || self.refuses(&Facts::of(other)).is_some())
    }

    /// The first reason why the answer to one must not be given to the other.
    #[must_use]
    pub fn refuses(&self, other: &Self) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| self.differs(other, *reason))
    }

    /// What they have in common, as [`super::pair::features`] says.
    pub(super) fn overlap(&self, other: &Self) -> [f64; 6] {
        let left = word::unmatched(self, other);
        let (mine, theirs) = (self.content.len() as f64, other.content.len() as f64);
        let same = left.same as f64;
        let share = |of: f64| if of > 0.0 { same / of } else { 0.0 };
        let apart = (left.mine.len() + left.theirs.len()) as f64;
        let [words, first] = word::common(&self.words, &other.words);
        let (long, short) = (self.words.len().max(other.words.len()), self.words.len().min(other.words.len()));
        let length = (1.0 + long as f64).ln() - (1.0 + short as f64).ln();
        [share(mine + theirs - same), share(mine.min(theirs)), apart.ln_1p(), words, first, length]
    }

    /// Whether they differ in this.
    #[must_use]
    pub fn differs(&self, other: &Self, reason: Reason) -> bool {
        let terms = |class| !term::agree(&self.terms, &other.terms, class);
        match reason {
            Reason::Number => terms(Class::Number) || terms(Class::Ordinal),
            Reason::Time => terms(Class::Date) || terms(Class::Clock) || terms(Class::Relative),
            Reason::Unit => terms(Class::Currency) || terms(Class::Measure),
            Reason::Identifier => terms(Class::Identifier),
            Reason::Name => names::differ(&self.words, &other.words),
            Reason::Negation => opposites::negated(self, other),
            Reason::Opposite => opposites::opposed(self, other),
            Reason::Role => term::reordered(&self.terms, &other.terms) || names::swapped(self, other),
            Reason::Question => opposites::asks(&self.words, &other.words),
            Reason::Language => self.language.differs(&other.language),
            Reason::Word => self.too_long || other.too_long || word::substituted(self, other),
        }
    }
}

#[cfg(test)]
mod tests;
