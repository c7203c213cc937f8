//! What the trace must look like, wherever it is read.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::{Value, json};

pub(crate) type Named = BTreeMap<String, Value>;

/// A span, as every receiver can tell it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) error: bool,
    pub(crate) attributes: Named,
    pub(crate) events: Vec<(String, Named)>,
}

pub(crate) type Tree = Vec<Node>;

impl Node {
    pub(crate) fn of_span(span: &Span) -> Self {
        Self {
            name: span.name.clone(),
            trace: hexadecimal(&span.trace_id),
            id: hexadecimal(&span.span_id),
            parent: hexadecimal(&span.parent_span_id),
            start_ns: span.start_time_unix_nano,
            end_ns: span.end_time_unix_nano,
            error: span.status.as_ref().is_some_and(|status| status.code == 2),
            attributes: named(&span.attributes),
            events: span.events.iter().map(|event| (event.name.clone(), named(&event.attributes))).collect(),
        }
    }

    pub(crate) fn text(&self, key: &str) -> String {
        self.attributes.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn named(attributes: &[KeyValue]) -> Named {
    attributes.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, plain))).collect()
}

fn plain(value: &AnyValue) -> Value {
    match &value.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(set)) => json!(set),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(list)) => list.values.iter().map(plain).collect(),
        _ => Value::Null,
    }
}

/// Model, kind, outcome, whether it is an error: in the order in which they were asked.
const ATTEMPTS: [(&str, &str, &str, bool); 3] = [
    ("first", "primary", "bad_answer", true),
    ("second", "fallback", "cancelled", false),
    ("third", "hedge", "passed", false),
];

/// What is not as it should be.
pub(crate) fn judge(tree: &Tree, trace: &str, caller: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut must = |holds: bool, told: String| {
        if !holds {
            wrong.push(told);
        }
    };
    must(tree.iter().all(|node| node.trace == trace), "a span of another trace".into());
    must(tree.len() == ATTEMPTS.len() + 1, format!("{} spans instead of {}", tree.len(), ATTEMPTS.len() + 1));
    let Some(execution) = tree.iter().find(|node| node.parent == caller) else {
        wrong.push("no span under the caller's".into());
        return wrong;
    };
    must(execution.name == "execute traced", format!("the execution's span is named `{}`", execution.name));
    for (key, value) in [("baton.intent", "traced"), ("baton.via", "model"), ("baton.model", "sim/third")] {
        must(execution.text(key) == value, format!("{key} is `{}`", execution.text(key)));
    }
    must(!execution.error, "the execution is an error".into());
    let mut attempts: Vec<&Node> = tree.iter().filter(|node| node.parent == execution.id).collect();
    attempts.sort_by_key(|node| node.start_ns);
    must(attempts.len() == ATTEMPTS.len(), format!("{} attempts under it", attempts.len()));
    for (node, (model, kind, outcome, error)) in attempts.iter().zip(ATTEMPTS) {
        must(node.name == format!("chat {model}"), format!("`{}` instead of `chat {model}`", node.name));
        let (is_kind, is_outcome) = (node.text("baton.attempt.kind"), node.text("baton.attempt.outcome"));
        must(is_kind == kind && is_outcome == outcome, format!("{model} is {is_kind}, {is_outcome}"));
        must(node.error == error, format!("{model}: error is {}", node.error));
        let inside = node.start_ns >= execution.start_ns && node.end_ns <= execution.end_ns;
        must(inside, format!("{model} lies outside of its execution"));
    }
    if let [first, second, third] = attempts[..] {
        must(first.end_ns <= second.start_ns, "the fallback began before the first failed".into());
        must(third.start_ns < second.end_ns, "the hedge did not run beside the fallback".into());
        must(label(first) == "fail", format!("the check of the first answer says `{}`", label(first)));
        must(label(third) == "pass", format!("the check of the third answer says `{}`", label(third)));
    }
    wrong
}

/// Of the checks of an attempt: whether one failed, or all passed.
fn label(node: &Node) -> &'static str {
    let labels = node.events.iter().filter(|(name, _)| name == "gen_ai.evaluation.result");
    let labels: Vec<&str> =
        labels.filter_map(|(_, attributes)| attributes.get("gen_ai.evaluation.score.label")?.as_str()).collect();
    match labels[..] {
        [] => "nothing",
        _ if labels.contains(&"fail") => "fail",
        _ => "pass",
    }
}
