//! Which language a text is in.

/// So many characters tell.
const CHARS_MAX: usize = 400;
/// With fewer letters there is nothing to tell by.
const LETTERS_MIN: usize = 24;
/// How sure the guess must be.
const CONFIDENCE_MIN: f64 = 0.8;

/// The ISO 639-3 code of the language, where that is clear: by script, else by trigrams (Cavnar and
/// Trenkle 1994).
pub(crate) fn language(text: &str) -> Option<&'static str> {
    let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(end, _)| end);
    let text = &text[..end];
    let unspaced = |c: char| ('\u{2e80}'..='\u{9fff}').contains(&c);
    let letters: usize = text.chars().map(|c| if unspaced(c) { 4 } else { usize::from(c.is_alphabetic()) }).sum();
    let info = whatlang::detect(text).filter(|_| letters >= LETTERS_MIN)?;
    (info.confidence() >= CONFIDENCE_MIN).then(|| info.lang().code())
}

#[cfg(test)]
mod tests {
    use super::language;

    #[test]
    fn the_configuration_knows_all_languages() {
        let mut codes: Vec<_> = whatlang::Lang::all().iter().map(whatlang::Lang::code).collect();
        codes.sort_unstable();
        assert_eq!(codes, baton_config::LANGUAGES);
    }

    #[test]
    fn languages() {
        for (text, code) in [
            ("Your parcel was handed to the neighbour and should be there by now.", Some("eng")),
            ("Ihr Paket wurde beim Nachbarn abgegeben und sollte inzwischen dort sein.", Some("deu")),
            ("Votre colis a été remis au voisin et devrait maintenant être chez lui.", Some("fra")),
            ("您的包裹已经交给邻居了，现在应该在那里。", Some("cmn")),
            ("OK", None),
            ("", None),
        ] {
            assert_eq!(language(text), code, "{text}");
        }
    }
}
