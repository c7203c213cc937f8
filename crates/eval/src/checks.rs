//! An intent's checks, compiled, and the order in which they are asked.

use baton_config::{IntentKind, Plan, Schema, StoreContent};
use baton_core::{CheckResult, ScoreResult, Severity};
use serde_json::{Map, Value};

use crate::ask::{Answer, Ask, Evidence};
use crate::judge::compared;
use crate::margin::margin;
use crate::parse::{Labels, Repairs, extract};
use crate::reason::{Quote, bounded};
use crate::shape::Shape;
use crate::{Finish, Given, Judged};

/// The checks of one intent, compiled once and shared.
///
/// Besides the intent's own checks there are gates that every answer meets: `finish` (the model was
/// done), then by the intent's kind `label` (one of the labels), `parse` and `schema` (JSON as the
/// schema says), or `not-empty` (generated text).
#[derive(Debug)]
pub struct Checks {
    kind: Kind,
    asks: Vec<Ask>,
    quote: Quote,
}

enum Kind {
    Labels(Labels),
    Fields { schema: Option<Schema>, shape: Shape },
    Text,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Labels(_) => "Labels",
            Self::Fields { .. } => "Fields",
            Self::Text => "Text",
        })
    }
}

impl Checks {
    /// Compiles the checks of a plan.
    #[must_use]
    pub fn compile(plan: &Plan) -> Self {
        let schema = plan.output_schema.as_ref().map(Schema::json);
        let shape = schema.map(Shape::of);
        let asks = plan.checks.iter().map(|spec| Ask::compile(spec, shape.as_ref())).collect();
        let kind = match &plan.kind {
            IntentKind::Classification(labels) => {
                Kind::Labels(Labels::of(labels.iter().map(|(name, _)| name.as_str())))
            }
            IntentKind::Extraction => {
                // It compiled when the plan did. Were it not to compile again, every answer fails.
                let schema = schema.and_then(|json| Schema::compile(json.clone()).ok());
                Kind::Fields { schema, shape: shape.unwrap_or_default() }
            }
            IntentKind::Generation => Kind::Text,
        };
        Self { kind, asks, quote: Quote { content: plan.privacy.store == StoreContent::Full } }
    }

    /// Whether a check asks for the probabilities of tokens.
    #[must_use]
    pub fn need_probabilities(&self) -> bool {
        self.asks.iter().any(Ask::needs_margin)
    }

    /// Parses the model's text into the intent's output, repairs what it can (marking it), then
    /// runs all checks. `input` is the call's input. What could not be parsed fails `parse` or
    /// `label`, and the intent's own checks are not asked.
    #[must_use]
    pub fn judge(&self, text: &str, input: &Value, finish: Finish) -> Judged {
        self.judge_given(&Given::text(text, finish), input)
    }

    /// As [`judge`](Self::judge), with what else is known of the answer. What checks need and nobody
    /// knows is not asked, and has no result.
    #[must_use]
    pub fn judge_given(&self, given: &Given<'_>, input: &Value) -> Judged {
        let mut checks = vec![self.finish(given.text, given.finish)];
        let (output, repairs) = match self.parse(given.text, given.finish) {
            Ok((output, repairs)) => (output, repairs),
            Err(failed) => {
                checks.push(failed);
                return Judged { output: None, repairs: Vec::new(), checks };
            }
        };
        let evidence = Evidence { finish_reason: given.finish_reason, margin: self.margin(given, &output) };
        checks.extend(self.ask(&output, input, evidence));
        Judged { output: Some(output), repairs: repairs.names(), checks }
    }

    /// Runs all checks on an output that is structured already (`local`, a remembered answer).
    #[must_use]
    pub fn judge_output(&self, output: &Value, input: &Value) -> Vec<CheckResult> {
        self.ask(output, input, Evidence::default())
    }

    /// Holds another answer to the same question against this one; `None` for texts, of which equality says
    /// nothing.
    #[must_use]
    pub fn compare(&self, output: &Value, other: &Value) -> Option<ScoreResult> {
        match &self.kind {
            Kind::Labels(_) => compared(output, other, |name| name == "label"),
            Kind::Fields { shape, .. } => compared(output, other, |name| shape.field(name).is_some()),
            Kind::Text => None,
        }
    }

    fn ask(&self, output: &Value, input: &Value, evidence: Evidence<'_>) -> Vec<CheckResult> {
        let mut checks = Vec::with_capacity(1 + self.asks.len());
        checks.push(self.own_gate(output));
        let whole = match &self.kind {
            Kind::Labels(_) => &output["label"],
            Kind::Fields { .. } => output,
            Kind::Text => &output["text"],
        };
        let answer = Answer { evidence, ..Answer::new(output, whole, input, self.quote) };
        checks.extend(self.asks.iter().filter_map(|ask| ask.ask(&answer)));
        checks
    }

    fn margin(&self, given: &Given<'_>, output: &Value) -> Option<f64> {
        let Kind::Labels(labels) = &self.kind else { return None };
        if given.tokens.is_empty() || !self.need_probabilities() {
            return None;
        }
        margin(given.tokens, output["label"].as_str()?, labels.names())
    }

    fn finish(&self, text: &str, finish: Finish) -> CheckResult {
        gate(
            "finish",
            match finish {
                Finish::Complete => Ok(()),
                Finish::Truncated => {
                    Err(format!("the answer was cut off after {} bytes; raise max_tokens", text.len()))
                }
                Finish::Refused => Err(format!("the model declined: {}", self.quote.text(text.trim()))),
                Finish::ContentFiltered => Err("the provider's content filter withheld the answer".into()),
                Finish::Unknown => Err("the provider does not say that the model was done".into()),
            },
        )
    }

    fn parse(&self, text: &str, finish: Finish) -> Result<(Value, Repairs), CheckResult> {
        let whole = finish == Finish::Complete;
        match &self.kind {
            Kind::Labels(labels) => match labels.find(text, whole) {
                Ok((label, repairs)) => Ok((field("label", label), repairs)),
                Err(given) => Err(gate("label", Err(format!("{} is not one of the labels", self.quote.text(&given))))),
            },
            Kind::Fields { schema, shape } => {
                let fits = |value: &Value| schema.as_ref().is_none_or(|schema| schema.validate(value).is_ok());
                extract(text, Some(shape), whole, fits).map_err(|why| gate("parse", Err(why)))
            }
            Kind::Text => Ok((field("text", text.to_owned()), Repairs::default())),
        }
    }

    fn own_gate(&self, output: &Value) -> CheckResult {
        match &self.kind {
            Kind::Labels(labels) => gate(
                "label",
                match output["label"].as_str() {
                    Some(label) if labels.has(label) => Ok(()),
                    _ => Err(format!("{} is not one of the labels", self.quote.value(&output["label"]))),
                },
            ),
            Kind::Fields { schema, shape } => gate("schema", self.schema(output, schema.as_ref(), shape)),
            Kind::Text => gate(
                "not-empty",
                match output["text"].as_str() {
                    Some(text) if !text.trim().is_empty() => Ok(()),
                    _ => Err("the answer has no text".into()),
                },
            ),
        }
    }

    fn schema(&self, output: &Value, schema: Option<&Schema>, shape: &Shape) -> Result<(), String> {
        let Some(schema) = schema else { return Err("the intent's output schema could not be compiled".into()) };
        if !output.is_object() {
            return Err("the answer is not a JSON object".into());
        }
        schema.validate(output).map_err(|violation| {
            // Messages show no values, but a name that the schema does not declare is content too.
            let shown = self.quote.content || shape.declares(&violation.pointer);
            let place = if shown { violation.pointer } else { self.quote.text("") };
            format!("{place}: {}", violation.message)
        })
    }
}

fn gate(check: &str, result: Result<(), String>) -> CheckResult {
    let reason = result.err().map(bounded);
    CheckResult { check: check.into(), severity: Severity::Gate, passed: reason.is_none(), score: None, reason }
}

fn field(name: &str, text: String) -> Value {
    Value::Object(Map::from_iter([(name.to_owned(), Value::String(text))]))
}
