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

/// A list of keys, and its items that are texts.
#[expect(clippy::unwrap_used, reason = "a constant pattern; every test that shows a diagnostic compiles it")]
static KEYS: LazyLock<(Regex, Regex)> = LazyLock::new(|| {
    let list = r#"(?i)keys["']?\s*[=:]\s*\[([^\]]*)"#;
    (Regex::new(list).unwrap(), Regex::new(r#"(?:^|,)\s*["']([^"'\n]+)"#).unwrap())
});

/// The text with what looks like a secret starred out, byte for byte: snippets get printed.
pub(crate) fn masked(text: &str) -> String {
    let mut shown = text.to_owned();
    let (list, item) = &*KEYS;
    for list in list.captures_iter(text).filter_map(|c| c.get(1)) {
        for found in item.captures_iter(list.as_str()).filter_map(|c| c.get(1)) {
            let range = list.start() + found.start()..list.start() + found.end();
            shown.replace_range(range, &"*".repeat(found.len()));
        }
    }
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
    let mut segments = pointer.rsplit('/');
    let key = segments.next().unwrap_or_default().to_lowercase();
    let list = segments.next().unwrap_or_default();
    let key = if list == "api_keys" { "key".to_owned() } else { key };
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
            (r#"api_keys = ["one", 'two']"#, r#"api_keys = ["***", '***']"#),
            (r#"api_keys = [{ env = "K" }, "two"]"#, r#"api_keys = [{ env = "K" }, "***"]"#),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
