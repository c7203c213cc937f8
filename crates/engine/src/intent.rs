//! An intent, ready to run: its plan, its checks, and its built-in model.

use std::sync::Arc;

use baton_config::{IntentKind, ModelSpec, Plan, Share, StoreContent};
use baton_core::{Candidate, Quality};
use baton_eval::{Checks, Finish, Given, Judged, Redaction, token_probabilities};
use baton_wire::Completion;
use serde_json::Value;

use crate::BuildError;
use crate::batch::Form;
use crate::cascade::Cascade;

/// See the module.
pub(crate) struct Intent {
    pub(crate) plan: Arc<Plan>,
    /// Those of the plan, on their lanes.
    pub(crate) candidates: Arc<[Candidate]>,
    pub(crate) checks: Checks,
    pub(crate) local: Option<Arc<baton_local::Model>>,
    /// What its batches are made of, where it has some.
    pub(crate) batch: Option<Arc<Form>>,
    /// Whom it asks in turn, where it does.
    pub(crate) cascade: Option<Arc<Cascade>>,
}

impl Intent {
    pub(crate) fn compile(
        plan: &Arc<Plan>,
        candidate: impl Fn(&ModelSpec) -> Candidate,
        (old, now_us): (Option<&Self>, i64),
    ) -> Result<Self, BuildError> {
        let uses_local = plan.candidates.iter().any(|c| c.id.as_str() == "local");
        let local = match old {
            _ if !uses_local => None,
            // The same version has the same cases and the same promise.
            Some(old) if old.plan.hashes.policy == plan.hashes.policy => old.local.clone(),
            _ => train(plan)?.map(Arc::new),
        };
        let candidates = plan.candidates.iter().map(candidate).collect();
        let batch = Form::of(plan).map(Arc::new);
        if plan.privacy.store == StoreContent::Redacted {
            Redaction::compile();
        }
        let cascade = Cascade::compile(plan, now_us).map(Arc::new);
        Ok(Self { plan: Arc::clone(plan), candidates, checks: Checks::compile(plan), local, batch, cascade })
    }

    /// Judges a whole answer by all that its provider says of it.
    pub(crate) fn judge(&self, completion: &Completion, input: &Value, finish: Finish) -> Judged {
        let logprobs = completion.extra.get("choices").and_then(|choices| choices.pointer("/0/logprobs/content"));
        let tokens = logprobs.filter(|_| self.checks.need_probabilities()).map(token_probabilities).unwrap_or_default();
        let text = completion.text();
        let finish_reason = Some(completion.finish.as_str());
        self.checks.judge_given(&Given { text: &text, finish, finish_reason, tokens: &tokens }, input)
    }

    /// What is known of an answer's quality: nothing yet, and how many labels that takes.
    pub(crate) fn quality(&self) -> Quality {
        let objective = &self.plan.objective;
        let needed = baton_stats::labels_needed(1.0 - objective.quality, 1.0 - objective.confidence);
        Quality { needed, ..Quality::unknown(0, 0) }
    }
}

/// Trains on the examples share; `None` where there is nothing to tell apart yet, so that it abstains.
fn train(plan: &Plan) -> Result<Option<baton_local::Model>, BuildError> {
    if !matches!(plan.kind, IntentKind::Classification(_)) {
        return Err(BuildError::LocalNeedsLabels { intent: plan.name.clone() });
    }
    train_with(plan, &[])
}

/// The same, with texts and their labels that are no cases.
pub(crate) fn train_with(plan: &Plan, more: &[(String, String)]) -> Result<Option<baton_local::Model>, BuildError> {
    let cases = plan.cases.iter().filter(|case| case.share == Share::Examples);
    let texts: Vec<(String, &str)> =
        cases.filter_map(|case| Some((read_of(plan, &case.input), case.expected.get("label")?.as_str()?))).collect();
    let texts = texts.iter().map(|(text, label)| (text.as_str(), *label));
    let more = more.iter().map(|(text, label)| (text.as_str(), label.as_str()));
    let examples: Vec<_> = texts.chain(more).map(|(text, label)| baton_local::Example { text, label }).collect();
    let options = baton_local::Options { precision: plan.objective.quality, cut: plan.local.cut, seed: 0 };
    match baton_local::Model::train(&examples, &options) {
        Ok(model) => Ok(Some(model)),
        Err(baton_local::TrainError::NoExamples | baton_local::TrainError::OneLabel { .. }) => Ok(None),
        Err(error) => Err(BuildError::Local { intent: plan.name.clone(), message: error.to_string() }),
    }
}

/// An output as the text that stands for it: the label, the generated text, or the fields as JSON;
/// `None` where there is none yet, beside tool calls.
pub(crate) fn text_of_output(kind: &IntentKind, output: &Value) -> Option<String> {
    match kind {
        IntentKind::Classification(_) => output.get("label").and_then(Value::as_str).map(str::to_owned),
        IntentKind::Generation => output.get("text").and_then(Value::as_str).map(str::to_owned),
        IntentKind::Extraction => Some(output.to_string()),
    }
}

/// What `local` reads of an input: the text of what is stored of it, since from that it learns.
pub(crate) fn read_of(plan: &Plan, input: &Value) -> String {
    match plan.privacy.store {
        StoreContent::Redacted => text_of(&Redaction::default().of(input)),
        StoreContent::Full | StoreContent::Nothing => text_of(input),
    }
}

/// The text of an input, without the names of its fields.
pub(crate) fn text_of(input: &Value) -> String {
    let mut text = String::new();
    collect(input, &mut text);
    text
}

fn collect(value: &Value, text: &mut String) {
    let mut push = |piece: &str| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(piece);
    };
    match value {
        Value::String(s) => push(s),
        Value::Number(n) => push(&n.to_string()),
        Value::Bool(b) => push(if *b { "true" } else { "false" }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, text)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, text)),
        Value::Null => {}
    }
}
