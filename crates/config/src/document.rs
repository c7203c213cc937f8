//! A TOML file as JSON, with the place of each of its keys and values.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostics::{Place, Sink, Source};
use crate::effective::Origin;
use crate::json::child;

/// A parsed file: its value, and where each part of it is written.
pub(crate) struct Document {
    pub(crate) source: Source,
    pub(crate) value: Value,
    places: BTreeMap<String, Spans>,
    overrides: BTreeMap<String, (Source, Origin)>,
    /// What a syntax error leaves is guesswork, and not worth further remarks.
    pub(crate) broken: bool,
}

struct Spans {
    key: Range<usize>,
    value: Range<usize>,
}

impl Document {
    /// Parses a file. Syntax errors are collected.
    pub(crate) fn parse(source: Source, sink: &mut Sink) -> Self {
        let (places, overrides) = Default::default();
        let mut document = Self { source, value: Value::Null, places, overrides, broken: false };
        let text = document.source.text.clone();
        let (table, errors) = DeTable::parse_recoverable(&text);
        document.broken = !errors.is_empty();
        let mut errors: Vec<_> = errors.iter().map(|e| (e.span().unwrap_or(0..0), e)).collect();
        errors.sort_by_key(|(span, _)| span.start);
        errors.dedup_by_key(|(span, _)| document.source.position(span.start).0);
        // One bracket left open is an error in each line that follows.
        for (span, error) in errors.into_iter().take(3) {
            let at = document.source.place(span);
            sink.error(at, format!("not valid TOML: {}", error.message()), "correct the syntax");
        }
        document.value = document.table(table.get_ref(), "", sink);
        document
    }

    fn table(&mut self, table: &DeTable<'_>, pointer: &str, sink: &mut Sink) -> Value {
        let mut fields = Map::new();
        for (key, value) in table {
            let pointer = child(pointer, key.get_ref());
            if let Some(field) = self.convert(value, key.span(), &pointer, sink) {
                fields.insert(key.get_ref().clone().into_owned(), field);
            }
        }
        Value::Object(fields)
    }

    fn convert(&mut self, of: &Spanned<DeValue<'_>>, key: Range<usize>, at: &str, sink: &mut Sink) -> Option<Value> {
        self.places.insert(at.to_owned(), Spans { key, value: of.span() });
        let refused = match of.get_ref() {
            DeValue::String(text) => return Some(Value::from(text.as_ref())),
            DeValue::Boolean(yes) => return Some(Value::from(*yes)),
            DeValue::Table(table) => return Some(self.table(table, at, sink)),
            DeValue::Array(items) => {
                let items = items.iter().enumerate();
                let items = items.filter_map(|(n, i)| self.convert(i, i.span(), &child(at, &n.to_string()), sink));
                return Some(Value::Array(items.collect()));
            }
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => return Some(Value::from(number)),
                Err(_) => "a number of more than 64 bits",
            },
            DeValue::Float(number) => match number.as_str().parse().ok().and_then(Number::from_f64) {
                Some(number) => return Some(Value::Number(number)),
                None => "not a finite number",
            },
            DeValue::Datetime(_) => "a date or time, which no setting is",
        };
        let place = self.source.place(of.span());
        sink.error(place, format!("`{}` is {refused}", crate::json::dotted(at)), "write another value");
        None
    }

    /// Puts a value of the environment or a flag over the file's. `pointer` has two segments, the
    /// first of them a table.
    pub(crate) fn override_with(&mut self, pointer: &str, text: &str, origin: Origin) {
        let mut segments = crate::json::segments(pointer);
        let (Some(section), Some(key)) = (segments.next(), segments.next()) else { return };
        let Some(root) = self.value.as_object_mut() else { return };
        let section = root.entry(section).or_insert_with(|| Value::Object(Map::new()));
        if let Some(section) = section.as_object_mut() {
            section.insert(key, Value::from(text));
            self.overrides.insert(pointer.to_owned(), (Source::new(origin.to_string(), text), origin));
        }
    }

    /// The place of the value at a pointer; of its nearest ancestor that is written.
    pub(crate) fn at(&self, pointer: &str) -> Place<'_> {
        self.find(pointer, |spans| spans.value.clone())
    }

    /// The place of the key at a pointer.
    pub(crate) fn key(&self, pointer: &str) -> Place<'_> {
        self.find(pointer, |spans| spans.key.clone())
    }

    fn find(&self, pointer: &str, span: impl Fn(&Spans) -> Range<usize>) -> Place<'_> {
        if let Some((source, _)) = self.overrides.get(pointer) {
            return source.place(0..source.text.len());
        }
        let mut pointer = pointer;
        loop {
            if let Some(spans) = self.places.get(pointer) {
                return self.source.place(span(spans));
            }
            match pointer.rsplit_once('/') {
                Some((parent, _)) => pointer = parent,
                None => return self.source.start(),
            }
        }
    }

    /// Where a setting comes from.
    pub(crate) fn origin(&self, pointer: &str) -> Origin {
        if let Some((_, origin)) = self.overrides.get(pointer) {
            return origin.clone();
        }
        match self.places.get(pointer) {
            Some(spans) => {
                let (line, _) = self.source.position(spans.value.start);
                Origin::File { file: self.source.name.clone(), line }
            }
            None => Origin::Default,
        }
    }
}
