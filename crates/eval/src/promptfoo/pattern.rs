//! Regular expressions of JavaScript, as far as Rust's have them.

use regex::Regex;

/// The longest pattern, in bytes.
const LENGTH_MAX: usize = 10_000;

/// Compiles a pattern of JavaScript, without its flags. The two languages differ in what classes
/// like `\d` hold, in how braces and brackets may stand alone, and in look-around and
/// back-references, which Rust's do not have.
///
/// # Errors
/// Why it cannot be compiled.
pub(crate) fn translate(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LENGTH_MAX {
        return Err(format!("the pattern has {} bytes; at most {LENGTH_MAX} are read", pattern.len()));
    }
    if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| pattern.contains(look)) {
        return Err(
            "look-around (`(?=`, `(?!`) is not supported: write the pattern without it, or two assertions".into()
        );
    }
    Regex::new(&rewritten(pattern)).map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("not a regular expression that is supported: {last}")
    })
}

fn rewritten(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut chars = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str(if class { "0-9" } else { "[0-9]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str(if class { "A-Za-z0-9_" } else { "[A-Za-z0-9_]" }),
                Some('W') => out.push_str("[^A-Za-z0-9_]"),
                Some('b') if class => out.push_str("\\x08"),
                Some('b') => out.push_str("(?-u:\\b)"),
                Some('B') => out.push_str("(?-u:\\B)"),
                Some('u') if chars.peek().is_some_and(char::is_ascii_hexdigit) => {
                    let digits: String = (0..4).filter_map(|_| chars.next_if(char::is_ascii_hexdigit)).collect();
                    out.push_str(&format!("\\x{{{digits}}}"));
                }
                // `\-`, `\/` and the like; a letter that means nothing stands for itself.
                Some(escaped) if escaped.is_ascii_alphabetic() && !"nrtfvxsSpPc".contains(escaped) => out.push(escaped),
                Some(escaped) => out.extend(['\\', escaped]),
                None => out.push_str("\\\\"),
            },
            '[' if class => out.push_str("\\["),
            '[' => {
                class = true;
                out.push('[');
                if chars.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => out.extend(['\\', c]),
            '{' if !class && !is_count(&mut chars.clone()) => out.push_str("\\{"),
            other => out.push(other),
        }
    }
    out
}

/// Whether `2}`, `2,}` or `2,3}` follows.
fn is_count(rest: &mut impl Iterator<Item = char>) -> bool {
    let mut digits = 0;
    for c in rest {
        match c {
            '0'..='9' => digits += 1,
            ',' if digits > 0 => {}
            '}' => return digits > 0,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn patterns_mean_what_they_mean_in_javascript() {
        for (pattern, text, matches) in [
            (r"^\d{3}-\d{4}$", "555-1234", true),
            (r"\d", "٣", false),
            (r"[\w.]+@[\w.]+", "a.b@c.de", true),
            (r"\bcat\b", "a cat.", true),
            (r"{name}", "hi {name}", true),
            (r"[[a]", "[", true),
            (r"a\/b", "a/b", true),
            (r"\u00e9", "é", true),
            (r"[^\d\s]+", "12 3", false),
            (r"(?:a|b)+?c", "abc", true),
        ] {
            assert_eq!(translate(pattern).unwrap().is_match(text), matches, "{pattern} {text}");
        }
        for pattern in ["(?=a)", "(a)\\1", "(", "[b-a]"] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}
