//! A JSON reader that forgives form (quotes, commas, brackets) and never content.

use serde_json::{Map, Number, Value};

use super::{DEPTH_MAX, Repairs};
use crate::shape::Shape;

/// Why a text is not JSON, and the byte where it stops being so.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NotJson {
    pub(crate) at: usize,
    pub(crate) why: &'static str,
}

/// Reads one value from the start of a text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// Whether brackets that are still open at the end of the text may be closed.
    may_close: bool,
    /// Whether the name of a field was read: what is here is an object, not braces in prose.
    pub(crate) is_object: bool,
    pub(crate) repairs: Repairs,
}

type Read<T> = Result<T, NotJson>;

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str, at: usize, may_close: bool) -> Self {
        Self { text, at, depth: 0, may_close, is_object: false, repairs: Repairs::default() }
    }

    /// The byte behind what was read.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Reads a value; `shape` is what the schema wants here, where that is known.
    pub(crate) fn value(&mut self, shape: Option<&Shape>) -> Read<Value> {
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.nested(|reader| reader.object(shape)),
            Some(b'[') => self.nested(|reader| reader.array(shape)),
            Some(b'"' | b'\'') => {
                let text = self.string()?;
                Ok(self.text_leaf(text, shape))
            }
            Some(b'-' | b'0'..=b'9') => self.number(shape),
            Some(_) => self.word(),
            None => self.fail("the text ends where a value should stand"),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Read<Value>) -> Read<Value> {
        if self.depth == DEPTH_MAX {
            return self.fail("it is nested deeper than 64 levels");
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self, shape: Option<&Shape>) -> Read<Value> {
        let mut fields = Map::new();
        let mut comma = false;
        loop {
            self.skip_space();
            match self.peek() {
                Some(b'}') => {
                    self.end_bracket(comma);
                    return Ok(Value::Object(fields));
                }
                None => return self.end_of_text(comma, fields.values().next_back()).map(|()| Value::Object(fields)),
                Some(_) if !comma && !fields.is_empty() => return self.fail("a comma is missing between two fields"),
                Some(_) => {}
            }
            let quoted = matches!(self.peek(), Some(b'"' | b'\''));
            let name = self.name()?;
            self.skip_space();
            self.is_object |= quoted || self.peek() == Some(b':');
            if !self.eat(b':') {
                return self.fail("a colon is missing after a field's name");
            }
            let value = self.value(shape.and_then(|shape| shape.field(&name)))?;
            if fields.insert(name, value).is_some() {
                return self.fail("a field stands there twice");
            }
            self.skip_space();
            comma = self.eat(b',');
        }
    }

    fn array(&mut self, shape: Option<&Shape>) -> Read<Value> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.skip_space();
            match self.peek() {
                Some(b']') => {
                    self.end_bracket(comma);
                    return Ok(Value::Array(items));
                }
                None => return self.end_of_text(comma, items.last()).map(|()| Value::Array(items)),
                Some(_) if !comma && !items.is_empty() => return self.fail("a comma is missing between two items"),
                Some(_) => {}
            }
            items.push(self.value(shape.and_then(Shape::items))?);
            self.skip_space();
            comma = self.eat(b',');
        }
    }

    fn end_bracket(&mut self, comma: bool) {
        if comma {
            self.repairs.mark("trailing-comma");
        }
        self.at += 1;
    }

    /// The text ended inside of a bracket. That may be mended only where everything that was begun
    /// is whole: not after a comma or with nothing inside (more was to come), nor after a number
    /// (its digits may have been cut off).
    fn end_of_text(&mut self, comma: bool, last: Option<&Value>) -> Read<()> {
        if !self.may_close || comma || matches!(last, None | Some(Value::Number(_))) {
            return self.fail("the text ends before its brackets are closed");
        }
        self.repairs.mark("unclosed");
        Ok(())
    }

    fn name(&mut self) -> Read<String> {
        if matches!(self.peek(), Some(b'"' | b'\'')) {
            return self.string();
        }
        let name = self.take_while(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if name.is_empty() {
            return self.fail("a field's name should stand here");
        }
        self.repairs.mark("unquoted-name");
        Ok(name.to_owned())
    }

    fn string(&mut self) -> Read<String> {
        let quote = self.text.as_bytes()[self.at];
        if quote == b'\'' {
            self.repairs.mark("single-quotes");
        }
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let plain = self.take_while(|c| c != '\\' && c != char::from(quote));
            if plain.bytes().any(|byte| byte < b' ') {
                self.repairs.mark("control-character");
            }
            text.push_str(plain);
            match self.peek() {
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => {
                    self.at += 1;
                    return Ok(text);
                }
                None => return Err(NotJson { at: start, why: "a text is opened here and never closed" }),
            }
        }
    }

    fn escape(&mut self) -> Read<char> {
        let code = self.text.as_bytes().get(self.at + 1).copied();
        self.at += 2;
        Ok(match code {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(mark @ (b'"' | b'\\' | b'/')) => char::from(mark),
            Some(b'\'') => {
                self.repairs.mark("escape");
                '\''
            }
            Some(b'u') => return self.unicode_escape(),
            _ => {
                self.at -= 2;
                return self.fail("a backslash is followed by nothing that JSON knows");
            }
        })
    }

    fn unicode_escape(&mut self) -> Read<char> {
        let first = self.hex4()?;
        let mut code = char::from_u32(first);
        if (0xD800..0xDC00).contains(&first) && self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.hex4()?;
            let is_pair = (0xDC00..0xE000).contains(&second);
            code = char::from_u32(0x10000 + ((first & 0x3FF) << 10) + (second & 0x3FF)).filter(|_| is_pair);
        }
        code.map_or_else(|| self.fail("half of a pair of surrogates stands alone"), Ok)
    }

    fn hex4(&mut self) -> Read<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => self.fail("four hexadecimal digits should follow"),
        }
    }

    /// A number, or its very digits as text where the schema wants text: `9.00` stays `9.00`.
    fn number(&mut self, shape: Option<&Shape>) -> Read<Value> {
        let start = self.at;
        let digits = self.take_while(|c| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E'));
        let Some(number) = plain_number(digits) else {
            return Err(NotJson { at: start, why: "a number is not written as JSON writes it" });
        };
        if shape.is_some_and(Shape::only_text) {
            self.repairs.mark("text-from-number");
            if self.at == self.text.len() {
                return self.fail("the text ends before its brackets are closed");
            }
            return Ok(Value::String(digits.to_owned()));
        }
        Ok(Value::Number(number))
    }

    /// Text, or the number that it spells where the schema wants only a number.
    fn text_leaf(&mut self, text: String, shape: Option<&Shape>) -> Value {
        if shape.is_some_and(Shape::only_number)
            && let Some(number) = plain_number(text.trim())
        {
            self.repairs.mark("number-from-text");
            return Value::Number(number);
        }
        Value::String(text)
    }

    fn word(&mut self) -> Read<Value> {
        let start = self.at;
        let word = self.take_while(char::is_alphabetic);
        let value = match word {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" => Value::Null,
            _ => return Err(NotJson { at: start, why: "no value of JSON begins so" }),
        };
        if word.starts_with(char::is_uppercase) {
            self.repairs.mark("python-literal");
        }
        Ok(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn skip_space(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn fail<T>(&self, why: &'static str) -> Read<T> {
        Err(NotJson { at: self.at, why })
    }
}

/// A number as JSON writes it, finite.
pub(crate) fn plain_number(text: &str) -> Option<Number> {
    let first = text.bytes().find(|b| *b != b'-')?;
    if !first.is_ascii_digit() { None } else { serde_json::from_str(text).ok() }
}
