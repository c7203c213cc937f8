//! OpenAI's evals: graders that need no model (`string_check`, `text_similarity` by ROUGE), over
//! `{"item": {…}}` lines or an eval's inline content. <https://platform.openai.com/docs/guides/graders>

use baton_config::Plan;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Draft, Wrong};
use crate::Assert;
use crate::assert::Asserted;
use crate::similarity::{rouge_l, rouge_n};

/// A grader as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Written {
    StringCheck {
        #[serde(default)]
        name: String,
        input: String,
        reference: String,
        operation: Operation,
    },
    TextSimilarity {
        #[serde(default)]
        name: String,
        input: String,
        reference: String,
        evaluation_metric: String,
        #[serde(default)]
        pass_threshold: Option<f64>,
    },
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operation {
    Eq,
    Ne,
    Like,
    Ilike,
}

#[derive(Clone, Copy, Debug)]
enum Metric {
    RougeN(usize),
    RougeL,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Check(Operation),
    Similarity(Metric, f64),
}

/// A grader of every case.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    name: String,
    input: String,
    reference: String,
    how: How,
}

/// A grader of one case: what it looks at in the answer is still open.
#[derive(Clone, Debug)]
pub struct Grader {
    pub(crate) name: String,
    input: Vec<Piece>,
    reference: Vec<Piece>,
    how: How,
}

/// A part of a filled template.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    /// The answer as text.
    Output,
    /// A field of the answer, as a JSON pointer.
    Field(String),
}

/// Why a type of grader is not supported.
const MODELS: [&str; 3] = ["score_model", "label_model", "multi"];

/// The graders of a file: one, a list, or an eval's `testing_criteria`.
pub(crate) fn graders_of(text: &str) -> Result<Vec<Template>, Wrong> {
    let value: Value = serde_json::from_str(text).map_err(|error| (String::new(), format!("not JSON: {error}")))?;
    let value = value.get("testing_criteria").unwrap_or(&value);
    let one = [value.clone()];
    let all = value.as_array().map_or(&one[..], Vec::as_slice);
    all.iter().enumerate().map(|(n, grader)| template(grader).map_err(|why| (format!("grader {n}"), why))).collect()
}

fn template(value: &Value) -> Result<Template, String> {
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    if MODELS.contains(&kind) {
        return Err(format!("a grader of type `{kind}` asks a model, which is not supported here: take it out"));
    }
    if !["string_check", "text_similarity"].contains(&kind) {
        return Err(format!("a grader of type `{kind}` is not supported; string_check and text_similarity are"));
    }
    let written: Written = serde_json::from_value(value.clone()).map_err(|error| error.to_string())?;
    let (name, input, reference, how) = match written {
        Written::StringCheck { name, input, reference, operation } => (name, input, reference, How::Check(operation)),
        Written::TextSimilarity { name, input, reference, evaluation_metric, pass_threshold } => {
            let Some(threshold) = pass_threshold.filter(|threshold| (0.0..=1.0).contains(threshold)) else {
                return Err("`pass_threshold` is missing: from which similarity on, 0 to 1, does it pass?".into());
            };
            (name, input, reference, How::Similarity(metric(&evaluation_metric)?, threshold))
        }
    };
    let name = if name.is_empty() { kind.to_owned() } else { name };
    Ok(Template { name, input, reference, how })
}

fn metric(name: &str) -> Result<Metric, String> {
    match name {
        "rouge_1" => Ok(Metric::RougeN(1)),
        "rouge_2" => Ok(Metric::RougeN(2)),
        "rouge_3" => Ok(Metric::RougeN(3)),
        "rouge_4" => Ok(Metric::RougeN(4)),
        "rouge_5" => Ok(Metric::RougeN(5)),
        "rouge_l" => Ok(Metric::RougeL),
        _ => Err(format!("the metric `{name}` is not supported; rouge_1 to rouge_5 and rouge_l are")),
    }
}

/// An eval with its items inside: `testing_criteria`, and `data_source.source.content`.
pub(super) fn read_eval(value: &Value, plan: &Plan) -> Result<Vec<Draft>, Wrong> {
    let graders = graders_of(&value.to_string())?;
    let at = "/data_source/source/content";
    let Some(items) = value.pointer(at).and_then(Value::as_array) else {
        let why = "there are no items: give them here as [{\"item\": {…}}], or lines of them with --cases \
                   FILE.jsonl and this file with --graders";
        return Err((at.into(), why.into()));
    };
    let item = |(n, line): (usize, &Value)| {
        let place = format!("{at}/{n}");
        match line.get("item") {
            Some(inner) => item(inner, place, &graders, plan),
            None => Err((place, "an item is {\"item\": {…}}".into())),
        }
    };
    items.iter().enumerate().map(item).collect()
}

/// A case of an item: its input are the item's fields that the intent's input has; without an input
/// schema its `input`. All of its fields are there for the graders.
pub(super) fn item(item: &Value, place: String, graders: &[Template], plan: &Plan) -> Result<Draft, Wrong> {
    let Some(fields) = item.as_object() else { return Err((place, "`item` is an object".into())) };
    let declared = plan.input_schema.as_ref().and_then(|schema| schema.json().get("properties")?.as_object());
    let input = match declared {
        Some(properties) => {
            let named = fields.iter().filter(|(name, _)| properties.contains_key(name.as_str()));
            Value::Object(named.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
        }
        None => match fields.get("input") {
            Some(input) => input.clone(),
            None => return Err((place, "the intent has no input schema, so `item.input` is its input".into())),
        },
    };
    if graders.is_empty() {
        return Err((place, "no grader says what is right: give --graders FILE".into()));
    }
    let asserts = graders.iter().map(|grader| grader.of(item).map(Assert::Grader)).collect::<Result<_, _>>();
    Ok(Draft { name: None, input, expected: None, asserts: asserts.map_err(|why| (place.clone(), why))?, place })
}

impl Template {
    /// The grader of one case, its `{{ item.… }}` filled in.
    pub(crate) fn of(&self, item: &Value) -> Result<Grader, String> {
        let at = |field: &str, why: String| format!("grader `{}`, `{field}`: {why}", self.name);
        let input = pieces(&self.input, item).map_err(|why| at("input", why))?;
        let reference = pieces(&self.reference, item).map_err(|why| at("reference", why))?;
        Ok(Grader { name: self.name.clone(), input, reference, how: self.how })
    }
}

/// A template with what the item says filled in; what the answer says stays open.
fn pieces(text: &str, item: &Value) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, tail)) = rest.split_once("{{") {
        let Some((path, after)) = tail.split_once("}}") else { return Err("a `{{` is never closed".into()) };
        pieces.push(Piece::Text(before.to_owned()));
        pieces.push(piece(path.trim(), item)?);
        rest = after;
    }
    pieces.push(Piece::Text(rest.to_owned()));
    Ok(pieces)
}

fn piece(path: &str, item: &Value) -> Result<Piece, String> {
    let pointer = |field: &str| format!("/{}", field.replace('.', "/"));
    if path == "sample.output_text" {
        return Ok(Piece::Output);
    }
    if let Some(field) = path.strip_prefix("sample.output_json.") {
        return Ok(Piece::Field(pointer(field)));
    }
    let Some(field) = path.strip_prefix("item.") else {
        return Err(format!("`{path}` is not known; item.…, sample.output_text and sample.output_json.… are"));
    };
    let found = item.pointer(&pointer(field));
    found.map(|value| Piece::Text(plain(value))).ok_or_else(|| format!("the item has no field `{field}`"))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Grader {
    pub(crate) fn judge(&self, output: &Value, text: &str) -> Asserted {
        let fill = |pieces: &[Piece]| -> Result<String, String> {
            let said = |piece: &Piece| match piece {
                Piece::Text(text) => Ok(text.clone()),
                Piece::Output => Ok(text.to_owned()),
                Piece::Field(at) => output.pointer(at).map(plain).ok_or_else(|| format!("the answer has no {at}")),
            };
            pieces.iter().map(said).collect()
        };
        let (input, reference) = match (fill(&self.input), fill(&self.reference)) {
            (Ok(input), Ok(reference)) => (input, reference),
            (Err(why), _) | (_, Err(why)) => return Asserted { passed: false, score: 0.0, reason: Some(why) },
        };
        let (score, threshold) = match self.how {
            How::Check(operation) => (f64::from(holds(operation, &input, &reference)), 1.0),
            How::Similarity(Metric::RougeL, threshold) => (rouge_l(&input, &reference), threshold),
            How::Similarity(Metric::RougeN(n), threshold) => (rouge_n(&input, &reference, n), threshold),
        };
        let passed = score >= threshold;
        let reason = || match self.how {
            How::Check(operation) => format!("“{input}” {operation:?} “{reference}” does not hold"),
            How::Similarity(..) => format!("similarity {score:.3} is below {threshold}"),
        };
        Asserted { passed, score, reason: (!passed).then(reason) }
    }
}

/// `like` is that the reference occurs in the input.
fn holds(operation: Operation, input: &str, reference: &str) -> bool {
    match operation {
        Operation::Eq => input == reference,
        Operation::Ne => input != reference,
        Operation::Like => input.contains(reference),
        Operation::Ilike => input.to_lowercase().contains(&reference.to_lowercase()),
    }
}
