//! Secrets do not belong into these files: found, refused, and never shown.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// What to do about a secret in a file.
pub(crate) const INLINE_HELP: &str =
    "write `{ env = \"NAME\" }` or `{ file = \"path\" }`, and replace the secret: it may be in the history";

#[expect(clippy::unwrap_used, reason = "a constant pattern; every test that shows a diagnostic compiles it")]
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    let named = r#"(?:key|token|secret|password)["']?\s*[=:]\s*["']([^"'\n]+)"#;
    let misplaced = r#"env\s*=\s*["']([^"'\n]*[^\w"'][^"'\n]*)"#;
    Regex::new(&format!(r#"(?i){named}|{misplaced}|\b(sk-[\w-]{{6,}})|://([^@/\s"']+)@"#)).unwrap()
});

/// The text with what looks like a secret starred out, byte for byte: snippets get printed.
pub(crate) fn masked(text: &str) -> String {
    let mut shown = text.to_owned();
    for found in SECRETS.captures_iter(text).filter_map(|c| c.iter().skip(1).flatten().next()) {
        shown.replace_range(found.range(), &"*".repeat(found.len()));
    }
    shown
}

/// Whether a text looks like a secret of a known form.
pub(crate) fn looks_secret(text: &str) -> bool {
    text.len() > 8 && text.starts_with("sk-")
}

/// Whether a text can be the name of an environment variable.
pub(crate) fn is_variable(text: &str) -> bool {
    !looks_secret(text)
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a misplaced value is, by its key or by itself, a secret. `api_key` tables are none.
pub(crate) fn is_inline(pointer: &str, value: &Value) -> bool {
    let key = pointer.rsplit('/').next().unwrap_or_default().to_lowercase();
    let named = ["key", "token", "secret", "password"].iter().any(|word| key.ends_with(word));
    value.as_str().is_some_and(|text| named || looks_secret(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_starred_out_byte_for_byte() {
        for (text, shown) in [
            (r#"api_key = "hé""#, r#"api_key = "***""#),
            ("x = 'sk-abcdef12'", "x = '***********'"),
            ("postgres://me:pw@host/db", "postgres://*****@host/db"),
            (r#"api_key = { env = "AIza-x" }"#, r#"api_key = { env = "******" }"#),
            (r#"api_key = { env = "HOUSE_KEY" }"#, r#"api_key = { env = "HOUSE_KEY" }"#),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
