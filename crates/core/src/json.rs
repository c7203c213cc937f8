//! Writes JSON as `serde_json` does, to the byte, in half the instructions: that looks at each byte of
//! each text for what must be escaped, and this at many at once. What is not text is left to it.

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use serde_json::{Error, Result};

/// Appends a value to `out`, without blanks.
///
/// # Errors
/// What the value says itself, and a key that is neither text nor a number. Part of it is written then.
pub fn write_json(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<()> {
    value.serialize(Writer { out })
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
}

/// A list or an object, up to its end.
struct Open<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
    end: u8,
    /// Whether it stands in the object of an enum's variant, which ends with it.
    in_variant: bool,
}

fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Whether it is so of any of these: each is looked at, of which the compiler makes a few vector instructions.
fn any_is_escaped<const N: usize>(bytes: &[u8; N]) -> bool {
    let one = |any, byte: &u8| any | u8::from(*byte < b' ') | u8::from(*byte == b'"') | u8::from(*byte == b'\\');
    bytes.iter().fold(0, one) != 0
}

/// Where the first byte is that cannot stand in a text as it is.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    let mut plain = bytes.as_chunks::<32>().0.iter().take_while(|many| !any_is_escaped(many)).count() * 32;
    plain += bytes[plain..].as_chunks::<8>().0.iter().take_while(|eight| !any_is_escaped(eight)).count() * 8;
    // What is left behind the last eight is looked at with some of them, again.
    if bytes.len() - plain < 8 && bytes.last_chunk::<8>().is_some_and(|eight| !any_is_escaped(eight)) {
        return None;
    }
    bytes[plain..].iter().position(|byte| is_escaped(*byte)).map(|at| plain + at)
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = first_escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            quoted @ (b'"' | b'\\') => out.extend([b'\\', quoted]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            0x08 => out.extend(b"\\b"),
            0x0c => out.extend(b"\\f"),
            control => out.extend(format!("\\u{control:04x}").into_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// A name that stands in the program. None holds what must be escaped.
fn write_name(out: &mut Vec<u8>, name: &'static str) {
    debug_assert_eq!(first_escaped(name.as_bytes()), None, "{name}");
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
}

impl<'a> Writer<'a> {
    fn open(self, start: u8, end: u8) -> Open<'a> {
        self.out.push(start);
        Open { out: self.out, empty: true, end, in_variant: false }
    }

    /// `{"variant":`, whose `}` is the caller's.
    fn variant(&mut self, variant: &'static str) {
        self.out.push(b'{');
        write_name(self.out, variant);
        self.out.push(b':');
    }
}

macro_rules! left_to_serde_json {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<()> {
            serde_json::to_writer(self.out, &value)
        })*
    };
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Open<'a>;
    type SerializeTuple = Open<'a>;
    type SerializeTupleStruct = Open<'a>;
    type SerializeTupleVariant = Open<'a>;
    type SerializeMap = Open<'a>;
    type SerializeStruct = Open<'a>;
    type SerializeStructVariant = Open<'a>;

    left_to_serde_json! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_f32: f32,
        serialize_f64: f64,
        serialize_char: char,
    }

    fn serialize_str(self, text: &str) -> Result<()> {
        write_text(self.out, text);
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<()> {
        self.collect_seq(bytes)
    }

    fn serialize_none(self) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<()> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<()> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<()> {
        write_name(self.out, variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<()> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<()> {
        self.variant(variant);
        write_json(self.out, value)?;
        self.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Open<'a>> {
        Ok(self.open(b'[', b']'))
    }

    fn serialize_tuple(self, _: usize) -> Result<Open<'a>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Open<'a>> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(mut self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Result<Open<'a>> {
        self.variant(variant);
        Ok(Open { in_variant: true, ..self.open(b'[', b']') })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Open<'a>> {
        Ok(self.open(b'{', b'}'))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Open<'a>> {
        // How `serde_json` marks what only it can write.
        if name.starts_with('$') {
            return Err(Error::custom("raw JSON cannot be written here"));
        }
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Open<'a>> {
        self.variant(variant);
        Ok(Open { in_variant: true, ..self.open(b'{', b'}') })
    }
}

impl Open<'_> {
    fn next(&mut self) {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
    }

    fn item<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<()> {
        self.next();
        write_json(self.out, item)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.next();
        write_name(self.out, name);
        self.out.push(b':');
        write_json(self.out, value)
    }

    #[expect(clippy::unnecessary_wraps, reason = "what each of serde's ends gives")]
    fn close(self) -> Result<()> {
        self.out.push(self.end);
        if self.in_variant {
            self.out.push(b'}');
        }
        Ok(())
    }
}

impl SerializeMap for Open<'_> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.next();
        let start = self.out.len();
        write_json(self.out, key)?;
        match self.out.get(start) {
            Some(b'"') => {}
            // A number, true or false.
            Some(b'-' | b'0'..=b'9' | b't' | b'f') => {
                self.out.insert(start, b'"');
                self.out.push(b'"');
            }
            _ => return Err(Error::custom("a key must be a text or a number")),
        }
        self.out.push(b':');
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        write_json(self.out, value)
    }

    fn end(self) -> Result<()> {
        self.close()
    }
}

macro_rules! items {
    ($($of:ident: $method:ident,)*) => {
        $(impl $of for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<()> {
                self.item(item)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        })*
    };
}

items! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field,
}

macro_rules! fields {
    ($($of:ident,)*) => {
        $(impl $of for Open<'_> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
                self.field(name, value)
            }

            fn end(self) -> Result<()> {
                self.close()
            }
        })*
    };
}

fields! { SerializeStruct, SerializeStructVariant, }

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// Every shape that serde has.
    #[derive(Serialize)]
    enum Shape {
        Unit,
        New(Option<f64>),
        Tuple(i8, u128, f32, char),
        Struct { bytes: Vec<u8>, unit: (), pair: (bool, i128), flags: BTreeMap<bool, Marker> },
    }

    #[derive(Serialize)]
    struct Marker;

    #[track_caller]
    fn check(value: &impl Serialize) {
        let mut written = b"before".to_vec();
        write_json(&mut written, value).unwrap();
        let expected = format!("before{}", serde_json::to_string(value).unwrap());
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }

    #[test]
    fn every_shape_is_written_as_serde_json_does() {
        let flags = BTreeMap::from([(true, Marker), (false, Marker)]);
        check(&[
            Shape::Unit,
            Shape::New(None),
            Shape::New(Some(f64::NAN)),
            Shape::New(Some(1e300)),
            Shape::Tuple(-1, u128::MAX, 0.1, '"'),
            Shape::Struct { bytes: vec![0, 255], unit: (), pair: (true, i128::MIN), flags },
        ]);
        check(&BTreeMap::from([(-5_i64, "a"), (7, "b")]));
        check(&BTreeMap::<String, Vec<u8>>::new());
    }

    #[test]
    fn every_character_is_escaped_as_serde_json_does_wherever_it_stands() {
        for character in (0..=0x2ff_u32).filter_map(char::from_u32) {
            for before in [0, 1, 31, 32, 33, 70] {
                check(&format!("{}{character}{}", "x".repeat(before), "y".repeat(40)));
            }
        }
    }

    #[test]
    fn what_only_serde_json_can_write_and_what_is_no_key_is_refused() {
        let raw = serde_json::value::RawValue::from_string("[1]".into()).unwrap();
        assert!(write_json(&mut Vec::new(), &raw).is_err());
        assert!(write_json(&mut Vec::new(), &BTreeMap::from([(vec![1], 1)])).is_err());
        assert!(write_json(&mut Vec::new(), &BTreeMap::from([(None::<u8>, 1)])).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,80}|[\\x00-\\x7f]{0,80}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 6, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from);
            let object = prop::collection::vec(("[\\x00-\\x7f]{0,12}", inner), 0..6);
            prop_oneof![list, object.prop_map(|fields| json!(fields.into_iter().collect::<BTreeMap<_, _>>()))]
        })
    }

    proptest! {
        #[test]
        fn any_document_is_written_as_serde_json_does(value in any_value()) {
            let mut written = Vec::new();
            write_json(&mut written, &value).unwrap();
            prop_assert_eq!(written, serde_json::to_vec(&value).unwrap());
        }
    }
}
