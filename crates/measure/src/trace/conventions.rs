//! What left the system, held against the published conventions: names, requirement levels, types.
//!
//! Written by hand from open-telemetry/semantic-conventions-genai: `docs/gen-ai/client-inference.md` at commit
//! 024a4f944a1291fcb627c9c47da69e79868dd15e, `docs/gen-ai/gen-ai-token-metrics.md` at commit
//! 066d4a7f356f8600de6f10c42874626ab88692fb, `docs/gen-ai/gen-ai-events.md` at commit
//! 002c8a6ea1c8a42b14a4527db83b3cabcded610a; today's names from `docs/gen-ai/gen-ai-metrics.md` at commit
//! 004902b8cb70aa5ae6ca4ae07132b7daabcd3e10 and from open-telemetry/semantic-conventions v1.41.0.

use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use serde_json::Value;

use super::receiver::Received;
use super::tree::{Named, Node, hexadecimal, named};

/// The type of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Type {
    Text,
    Int,
    Double,
    Bool,
    Texts,
}

/// How much an attribute is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Level {
    Required,
    /// Under a condition, recommended, or opted in to.
    Optional,
}

use Level::{Optional, Required};
use Type::{Bool, Double, Int, Text, Texts};

type Row = (&'static str, Level, Type);

/// `gen_ai.client.inference`.
const INFERENCE: &[Row] = &[
    ("gen_ai.operation.name", Required, Text),
    ("gen_ai.provider.name", Required, Text),
    ("error.type", Optional, Text),
    ("gen_ai.conversation.id", Optional, Text),
    ("gen_ai.output.type", Optional, Text),
    ("gen_ai.request.choice.count", Optional, Int),
    ("gen_ai.request.model", Optional, Text),
    ("gen_ai.request.seed", Optional, Int),
    ("gen_ai.request.stream", Optional, Bool),
    ("gen_ai.request.top_k", Optional, Int),
    ("server.port", Optional, Int),
    ("gen_ai.request.frequency_penalty", Optional, Double),
    ("gen_ai.request.max_tokens", Optional, Int),
    ("gen_ai.request.presence_penalty", Optional, Double),
    ("gen_ai.request.previous_response.id", Optional, Text),
    ("gen_ai.request.reasoning.level", Optional, Text),
    ("gen_ai.request.stop_sequences", Optional, Texts),
    ("gen_ai.request.temperature", Optional, Double),
    ("gen_ai.request.top_p", Optional, Double),
    ("gen_ai.response.finish_reasons", Optional, Texts),
    ("gen_ai.response.id", Optional, Text),
    ("gen_ai.response.model", Optional, Text),
    ("gen_ai.response.time_to_first_chunk", Optional, Double),
    ("gen_ai.usage.cache_read.input_tokens", Optional, Int),
    ("gen_ai.usage.cache_write.input_tokens", Optional, Int),
    ("gen_ai.usage.input_tokens", Optional, Int),
    ("gen_ai.usage.output_tokens", Optional, Int),
    ("gen_ai.usage.reasoning.output_tokens", Optional, Int),
    ("server.address", Optional, Text),
];

/// `gen_ai.evaluation.result`.
const EVALUATION: &[Row] = &[
    ("gen_ai.evaluation.name", Required, Text),
    ("error.type", Optional, Text),
    ("gen_ai.evaluation.score.label", Optional, Text),
    ("gen_ai.evaluation.score.value", Optional, Double),
    ("gen_ai.evaluation.explanation", Optional, Text),
    ("gen_ai.response.id", Optional, Text),
];

/// What every metric of inference has.
const METRIC: &[Row] = &[
    ("gen_ai.operation.name", Required, Text),
    ("gen_ai.provider.name", Required, Text),
    ("gen_ai.request.model", Optional, Text),
    ("gen_ai.response.model", Optional, Text),
    ("server.address", Optional, Text),
    ("server.port", Optional, Int),
];

/// A metric: its name, its unit, whether it is a histogram, and what it has besides [`METRIC`].
type Instrument = (&'static str, &'static str, bool, &'static [Row]);

const ERROR: &[Row] = &[("error.type", Optional, Text)];
const MODALITY: &[Row] = &[("gen_ai.token.modality", Required, Text)];
const TOKEN_TYPE: &[Row] = &[("gen_ai.token.type", Required, Text)];

/// What a call without a stream gives, by the newest names.
const LATEST: &[Instrument] = &[
    ("gen_ai.client.inference.duration", "s", true, ERROR),
    ("gen_ai.client.inference.usage.input_tokens", "{token}", false, MODALITY),
    ("gen_ai.client.inference.usage.output_tokens", "{token}", false, MODALITY),
    ("gen_ai.client.inference.usage.cache_read.input_tokens", "{token}", false, MODALITY),
    ("gen_ai.client.inference.usage.reasoning.output_tokens", "{token}", false, MODALITY),
    ("gen_ai.client.inference.operation.input_tokens", "{token}", true, &[]),
    ("gen_ai.client.inference.operation.output_tokens", "{token}", true, &[]),
];

/// And by those on today's dashboards.
const TODAY: &[Instrument] = &[
    ("gen_ai.client.token.usage", "{token}", true, TOKEN_TYPE),
    ("gen_ai.client.operation.duration", "s", true, ERROR),
    ("gen_ai.server.request.duration", "s", true, ERROR),
];

/// 0.01 · 2ⁿ, up to 81.92.
fn seconds() -> Vec<f64> {
    (0..14).map(|n| 0.01 * f64::from(1 << n)).collect()
}

/// What is not as the conventions say.
pub(crate) fn judge(received: &Received, latest: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let tree = received.tree();
    for node in tree.iter().filter(|node| node.name.starts_with("chat ")) {
        attributes(&format!("span `{}`", node.name), &node.attributes, &[INFERENCE], &mut wrong);
        let model = node.text("gen_ai.request.model");
        if node.name != format!("{} {model}", node.text("gen_ai.operation.name")) {
            wrong.push(format!("span `{}` is not named after its operation and model", node.name));
        }
        if node.attributes.contains_key("server.address") != node.attributes.contains_key("server.port") {
            wrong.push(format!("span `{}` has an address without a port, or a port without one", node.name));
        }
        if node.error != node.attributes.contains_key("error.type") {
            wrong.push(format!("span `{}`: its status and error.type do not agree", node.name));
        }
    }
    if received.spans.iter().any(|span| span.name.starts_with("chat ") && span.kind != 3) {
        wrong.push("an attempt that is no CLIENT span".into());
    }
    events(received, &tree, &mut wrong);
    metrics(received, latest, &mut wrong);
    for resource in &received.resources {
        if named(&resource.attributes).get("service.name").and_then(Value::as_str) != Some("baton-measure") {
            wrong.push("a resource without its service.name".into());
        }
    }
    wrong
}

/// Each result is an event of the span that it judges, and the same one on the span itself.
fn events(received: &Received, tree: &[Node], wrong: &mut Vec<String>) {
    if received.events.is_empty() {
        wrong.push("no evaluation events".into());
    }
    for event in &received.events {
        let values = named(&event.attributes);
        if event.event_name != "gen_ai.evaluation.result" {
            wrong.push(format!("an event `{}`", event.event_name));
        }
        attributes("event gen_ai.evaluation.result", &values, &[EVALUATION], wrong);
        let parent = hexadecimal(&event.span_id);
        let span = tree.iter().find(|node| node.id == parent && node.name.starts_with("chat "));
        if !span.is_some_and(|span| span.events.iter().any(|(_, on_span)| *on_span == values)) {
            wrong.push("an evaluation event that belongs to no attempt".into());
        }
    }
}

fn metrics(received: &Received, latest: bool, wrong: &mut Vec<String>) {
    let expected = if latest { LATEST } else { TODAY };
    for name in received.metrics.keys().filter(|name| !expected.iter().any(|(known, ..)| known == name)) {
        wrong.push(format!("a metric `{name}` that is not of this set"));
    }
    for (name, unit, histogram, more) in expected {
        let Some(metric) = received.metrics.get(*name) else {
            wrong.push(format!("no metric `{name}`"));
            continue;
        };
        let points = points(metric);
        if metric.unit != *unit || points.is_empty() || matches!(metric.data, Some(Data::Histogram(_))) != *histogram {
            wrong.push(format!("the metric `{name}` is of another kind, unit or empty"));
        }
        for point in points {
            attributes(&format!("metric {name}"), &point, &[METRIC, more], wrong);
        }
        let bounds = match &metric.data {
            Some(Data::Histogram(all)) => all.data_points.first().map(|point| point.explicit_bounds.clone()),
            _ => None,
        };
        let near = |bounds: &[f64]| bounds.iter().zip(seconds()).all(|(is, must)| (is - must).abs() < 1e-9);
        if *unit == "s" && !bounds.is_some_and(|bounds| bounds.len() == seconds().len() && near(&bounds)) {
            wrong.push(format!("the metric `{name}` has other buckets"));
        }
    }
}

fn points(metric: &Metric) -> Vec<Named> {
    match &metric.data {
        Some(Data::Histogram(all)) => all.data_points.iter().map(|point| named(&point.attributes)).collect(),
        Some(Data::Sum(all)) => all.data_points.iter().map(|point| named(&point.attributes)).collect(),
        _ => Vec::new(),
    }
}

/// Every required attribute is there; every other is known, or ours by its name; each is of its type.
fn attributes(of: &str, values: &Named, rows: &[&[Row]], wrong: &mut Vec<String>) {
    let rows: Vec<&Row> = rows.iter().flat_map(|rows| rows.iter()).collect();
    for (name, _, _) in rows.iter().filter(|(_, level, _)| *level == Required) {
        if !values.contains_key(*name) {
            wrong.push(format!("{of} has no {name}"));
        }
    }
    for (name, value) in values.iter().filter(|(name, _)| !name.starts_with("baton.")) {
        match rows.iter().find(|(known, ..)| known == name) {
            None => wrong.push(format!("{of} has {name}, which the conventions do not know")),
            Some((_, _, kind)) if !is(value, *kind) => wrong.push(format!("{of}: {name} is {value}, no {kind:?}")),
            Some(_) => {}
        }
    }
}

fn is(value: &Value, kind: Type) -> bool {
    match kind {
        Text => value.is_string(),
        Int => value.is_i64() || value.is_u64(),
        Double => value.is_f64(),
        Bool => value.is_boolean(),
        Texts => value.as_array().is_some_and(|all| all.iter().all(Value::is_string)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(values: &[(&str, Value)]) -> Vec<String> {
        let mut wrong = Vec::new();
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        attributes("x", &values, &[EVALUATION], &mut wrong);
        wrong
    }

    #[test]
    fn what_is_missing_unknown_or_of_another_type_is_told() {
        let name = ("gen_ai.evaluation.name", json!("schema"));
        assert_eq!(told(&[name.clone(), ("baton.check.on_fail", json!("gate"))]), Vec::<String>::new());
        assert_eq!(told(&[]), ["x has no gen_ai.evaluation.name"]);
        let unknown = told(&[name.clone(), ("gen_ai.evaluation.score", json!(1))]);
        assert_eq!(unknown, ["x has gen_ai.evaluation.score, which the conventions do not know"]);
        let number = told(&[name, ("gen_ai.evaluation.score.value", json!("1"))]);
        assert_eq!(number, ["x: gen_ai.evaluation.score.value is \"1\", no Double"]);
    }
}
