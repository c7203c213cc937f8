//! Which language a text is in, where that is clear.

use super::word::Word;

/// Languages that short texts show by their function words.
const LANGUAGES: &[(&str, &[&str])] = &[
    (
        "eng",
        &[
            "the", "is", "my", "i", "to", "how", "what", "can", "do", "of", "and", "for", "you", "it", "that", "have",
            "with", "are", "this", "why", "not", "from",
        ],
    ),
    (
        "deu",
        &[
            "der", "die", "das", "ich", "ist", "wie", "kann", "nicht", "und", "ein", "eine", "einen", "mein", "meine",
            "meiner", "zu", "auf", "wo", "warum", "für", "mit", "wurde", "habe", "sie", "den", "dem",
        ],
    ),
    (
        "fra",
        &[
            "le", "les", "je", "est", "ma", "mon", "mes", "comment", "puis", "pas", "et", "une", "un", "du", "des",
            "pour", "pourquoi", "où", "sur", "mais", "vous", "dans", "été", "ai", "que",
        ],
    ),
    (
        "spa",
        &[
            "el", "los", "las", "mi", "es", "cómo", "puedo", "una", "un", "para", "por", "qué", "dónde", "con", "mis",
            "se", "ha", "he", "y", "que", "en", "no", "del",
        ],
    ),
    (
        "ita",
        &[
            "il", "gli", "mia", "mio", "è", "come", "posso", "una", "un", "per", "perché", "dove", "con", "sono", "ho",
            "che", "non", "di", "della", "stato",
        ],
    ),
    (
        "nld",
        &[
            "de", "het", "een", "mijn", "ik", "is", "hoe", "kan", "niet", "en", "voor", "waarom", "waar", "met", "op",
            "van", "mag", "wordt", "heb",
        ],
    ),
    (
        "por",
        &[
            "o", "os", "as", "meu", "minha", "é", "como", "posso", "uma", "um", "para", "por", "não", "onde", "com",
            "eu", "foi", "do", "da", "que", "em",
        ],
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

/// An ISO 639-3 code.
pub(super) type Language = &'static str;

/// By function words, else by script and trigrams (Cavnar and Trenkle 1994).
pub(super) fn of(text: &str, words: &[Word]) -> Option<Language> {
    let votes = LANGUAGES.iter().map(|(code, list)| {
        let vote = words.iter().filter(|word| list.contains(&word.text.as_str())).count();
        (vote, *code)
    });
    let (mut best, mut second) = ((0, ""), 0);
    for vote in votes {
        if vote.0 > best.0 {
            (second, best) = (best.0, vote);
        } else {
            second = second.max(vote.0);
        }
    }
    if best.0 >= WORDS_MIN && best.0 >= 2 * second {
        return Some(best.1);
    }
    let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(end, _)| end);
    let text = &text[..end];
    let unspaced = |c: char| ('\u{2e80}'..='\u{9fff}').contains(&c);
    let letters: usize = text.chars().map(|c| if unspaced(c) { 4 } else { usize::from(c.is_alphabetic()) }).sum();
    let info = whatlang::detect(text).filter(|_| letters >= LETTERS_MIN)?;
    (info.confidence() >= CONFIDENCE_MIN).then(|| info.lang().code())
}
