//! Attributes as OTLP has them.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};

/// A list that grows by what is there: `None` adds nothing.
#[derive(Default)]
pub(crate) struct Attributes(pub(crate) Vec<KeyValue>);

impl Attributes {
    pub(crate) fn text(&mut self, key: &str, text: impl Into<String>) {
        self.0.push(pair(key, Value::StringValue(text.into())));
    }

    pub(crate) fn text_if(&mut self, key: &str, text: Option<impl Into<String>>) {
        if let Some(text) = text.map(Into::into).filter(|text: &String| !text.is_empty()) {
            self.text(key, text);
        }
    }

    pub(crate) fn texts(&mut self, key: &str, texts: impl IntoIterator<Item = String>) {
        let values = texts.into_iter().map(|text| AnyValue { value: Some(Value::StringValue(text)) }).collect();
        self.0.push(pair(key, Value::ArrayValue(ArrayValue { values })));
    }

    pub(crate) fn int(&mut self, key: &str, number: impl TryInto<i64>) {
        self.0.push(pair(key, Value::IntValue(number.try_into().unwrap_or(i64::MAX))));
    }

    pub(crate) fn double(&mut self, key: &str, number: f64) {
        self.0.push(pair(key, Value::DoubleValue(number)));
    }

    /// Where it is true.
    pub(crate) fn flag(&mut self, key: &str, set: bool) {
        if set {
            self.0.push(pair(key, Value::BoolValue(true)));
        }
    }
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}
