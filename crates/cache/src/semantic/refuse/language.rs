//! Which language a text is in, where that is clear.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::word::Word;

/// Languages that short texts show by their function words.
const LANGUAGES: [(&str, &str); 7] = [
    (
        "eng",
        "the is my i to how what can do of and for you it that have with are this why not from which was were has does \
        did me when where who be or at by in on your there a been will would should could an but if",
    ),
    (
        "deu",
        "der die das ich ist wie kann nicht und ein eine einen mein meine meiner zu auf wo warum für mit wurde habe sie den \
        dem welche was wird sind im mir mich es da sich haben bei von",
    ),
    (
        "fra",
        "le les je est ma mon mes comment puis pas et une un du des pour pourquoi où sur mais vous dans été ai que quelles \
        quel quelle il y ne la me qui avec mon sont ce cette",
    ),
    (
        "spa",
        "el los las mi es cómo puedo una un para por qué dónde con mis se ha he y que en no del hay cuánto me la fue le son \
        está mi debo",
    ),
    (
        "ita",
        "il gli mia mio è come posso una un per perché dove con sono ho che non di della stato la quali quanto mi le nel \
        nella ha c'è devo",
    ),
    (
        "nld",
        "de het een mijn ik is hoe kan niet en voor waarom waar met op van mag wordt heb welke jullie er dat die ben zijn wat \
        moet in mij",
    ),
    (
        "por",
        "o os as meu minha é como posso uma um para por não onde com eu foi do da que em quais quanto me se são há devo",
    ),
];

/// Fewer function words tell nothing.
const WORDS_MIN: usize = 2;
/// So many characters tell.
const CHARS_MAX: usize = 400;
/// With fewer letters trigrams have nothing to tell by.
const LETTERS_MIN: usize = 24;
/// How sure the guess by trigrams must be.
const CONFIDENCE_MIN: f64 = 0.9;

static FUNCTION_WORDS: LazyLock<HashMap<&'static str, u8>> = LazyLock::new(|| {
    let mut words: HashMap<&str, u8> = HashMap::new();
    for (at, (_, list)) in LANGUAGES.iter().enumerate() {
        for word in list.split_whitespace() {
            *words.entry(word).or_default() |= 1 << at;
        }
    }
    words
});

/// What a text shows of its language.
#[derive(Debug, Clone, Copy)]
pub(super) struct Language {
    /// An ISO 639-3 code, where it is clear.
    code: Option<&'static str>,
    /// Function words of each of [`LANGUAGES`].
    votes: [usize; 7],
}

impl Language {
    /// By function words, else by script and trigrams (Cavnar and Trenkle 1994).
    pub(super) fn of(text: &str, words: &[Word]) -> Self {
        let mut votes = [0; 7];
        for word in words {
            let languages = FUNCTION_WORDS.get(word.text.as_str()).copied().unwrap_or_default();
            for (at, vote) in votes.iter_mut().enumerate() {
                *vote += usize::from(languages >> at & 1 == 1);
            }
        }
        // Only Spanish turns marks round.
        votes[3] += 2 * usize::from(text.contains(['¿', '¡']));
        let best = (0..votes.len()).max_by_key(|at| votes[*at]).unwrap_or_default();
        let second = (0..votes.len()).filter(|at| *at != best).map(|at| votes[at]).max().unwrap_or_default();
        let clear = votes[best] >= WORDS_MIN && votes[best] > second + second / 2;
        let code = if clear { Some(LANGUAGES[best].0) } else { by_trigrams(text) };
        Self { code, votes }
    }

    /// Whether two texts are in different languages.
    pub(super) fn differs(&self, other: &Self) -> bool {
        match (self.code, other.code) {
            (Some(a), Some(b)) => a != b,
            (Some(known), None) => other.is_not(known),
            (None, Some(known)) => self.is_not(known),
            (None, None) => false,
        }
    }

    /// No word speaks for this language, and some do for another.
    fn is_not(&self, code: &str) -> bool {
        let own = LANGUAGES.iter().position(|(name, _)| *name == code);
        own.is_some_and(|own| self.votes[own] == 0) && self.votes.iter().any(|votes| *votes > 0)
    }
}

fn by_trigrams(text: &str) -> Option<&'static str> {
    let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(end, _)| end);
    let text = &text[..end];
    let unspaced = |c: char| ('\u{2e80}'..='\u{9fff}').contains(&c);
    let letters: usize = text.chars().map(|c| if unspaced(c) { 4 } else { usize::from(c.is_alphabetic()) }).sum();
    let info = whatlang::detect(text).filter(|_| letters >= LETTERS_MIN)?;
    (info.confidence() >= CONFIDENCE_MIN).then(|| info.lang().code())
}
