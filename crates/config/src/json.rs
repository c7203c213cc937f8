//! JSON with places: where in a text a pointer points, and one spelling for equal values.

use std::ops::Range;

use serde_json::Value;

/// The spelling that equal values share: no white space, keys in order of their bytes. Equal inputs
/// hash alike through it.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (n, item) in items.iter().enumerate() {
                text.push_str(if n > 0 { "," } else { "" });
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by(|a, b| a.0.cmp(b.0));
            text.push('{');
            for (n, (key, field)) in fields.into_iter().enumerate() {
                text.push_str(if n > 0 { "," } else { "" });
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write(field, text);
            }
            text.push('}');
        }
        plain => text.push_str(&plain.to_string()),
    }
}

/// The segments of a JSON pointer, unescaped.
pub(crate) fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~"))
}

/// A pointer, one segment longer.
pub(crate) fn child(pointer: &str, segment: &str) -> String {
    format!("{pointer}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

/// A pointer as people write it: `objective.quality`, `models[0]`.
pub(crate) fn dotted(pointer: &str) -> String {
    let mut text = String::new();
    for segment in segments(pointer) {
        if !segment.is_empty() && segment.bytes().all(|b| b.is_ascii_digit()) {
            text.push_str(&format!("[{segment}]"));
        } else {
            text.push_str(if text.is_empty() { "" } else { "." });
            text.push_str(&segment);
        }
    }
    text
}

/// The bytes of valid JSON `text` that `pointer` points at; of its nearest ancestor that is there.
pub(crate) fn locate(text: &str, pointer: &str) -> Range<usize> {
    let bytes = text.as_bytes();
    let mut at = space(bytes, 0);
    for segment in segments(pointer) {
        let inner = match bytes.get(at) {
            Some(b'{') => member(text, at, &segment),
            Some(b'[') => segment.parse().ok().and_then(|index| element(bytes, at, index)),
            _ => None,
        };
        let Some(inner) = inner else { break };
        at = inner;
    }
    at..value_end(bytes, at)
}

fn member(text: &str, object: usize, name: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = space(bytes, object + 1);
    while bytes.get(at) == Some(&b'"') {
        let end = value_end(bytes, at);
        let key: String = serde_json::from_str(text.get(at..end)?).ok()?;
        let value = space(bytes, space(bytes, end) + 1);
        if key == name {
            return Some(value);
        }
        at = space(bytes, space(bytes, value_end(bytes, value)) + 1);
    }
    None
}

fn element(bytes: &[u8], array: usize, index: usize) -> Option<usize> {
    let mut at = space(bytes, array + 1);
    for _ in 0..index {
        at = space(bytes, value_end(bytes, at));
        if bytes.get(at) != Some(&b',') {
            return None;
        }
        at = space(bytes, at + 1);
    }
    (bytes.get(at) != Some(&b']')).then_some(at)
}

fn space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Where the value that starts at `at` ends: after its last bracket, quote or digit.
fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let (mut depth, mut quoted) = (0_usize, false);
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 0 => depth -= 1,
            b',' | b'}' | b']' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
        let closed = depth == 0 && !quoted && matches!(byte, b'"' | b'}' | b']');
        if closed || (depth == 0 && !quoted && bytes.get(at).is_some_and(u8::is_ascii_whitespace)) {
            return at.min(bytes.len());
        }
    }
    at.min(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_its_bytes() {
        let text = r#" {"a": [1, {"b\"~/": "x,]y"} , [ ]], "c" : null , "d":-1.5} "#;
        for (pointer, found) in [
            ("/a/0", "1"),
            ("/a/1", r#"{"b\"~/": "x,]y"}"#),
            (r#"/a/1/b"~0~1"#, r#""x,]y""#),
            ("/a/2", "[ ]"),
            ("/a/3", r#"[1, {"b\"~/": "x,]y"} , [ ]]"#),
            ("/c", "null"),
            ("/d", "-1.5"),
            ("/e", text.trim()),
            ("", text.trim()),
        ] {
            assert_eq!(&text[locate(text, pointer)], found, "{pointer}");
        }
    }

    #[test]
    fn equal_values_are_spelled_alike() {
        let spell = |text: &str| canonical(&serde_json::from_str(text).unwrap());
        assert_eq!(spell(r#"{ "b":[1,"x"],"a":{"d":null,"c":true}}"#), r#"{"a":{"c":true,"d":null},"b":[1,"x"]}"#);
        assert_ne!(spell("[1]"), spell("[\"1\"]"));
    }

    #[test]
    fn pointers_are_shown_as_people_write_them() {
        assert_eq!(dotted("/checks/0/on_fail"), "checks[0].on_fail");
        assert_eq!(child("/labels", "a/b~c"), "/labels/a~1b~0c");
    }
}
