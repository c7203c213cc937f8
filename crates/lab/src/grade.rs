//! Whether an answer is right: the expected output, the intent's checks, the case's own assertions.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_config::{IntentKind, Plan, canonical};
use baton_core::{ErrorCode, Severity};
use baton_eval::Checks;
use serde::Serialize;
use serde_json::Value;

use crate::{Case, Given, Refusal};

/// The longest reason shown of one thing that was wrong, in characters.
const REASON_CHARS_MAX: usize = 300;

/// What came of one answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Grade {
    /// An answer was given, equals what is expected, and holds every gate and assertion.
    pub passed: bool,
    /// The share of what was asked that holds, in [0, 1]; 0 without an answer.
    pub score: f64,
    /// Of an extraction: whether each expected field is equal.
    pub fields: BTreeMap<String, bool>,
    /// The intent's own checks and the case's assertions.
    pub checks: BTreeMap<String, bool>,
    /// What was wrong.
    pub reasons: Vec<String>,
}

/// Grades the answers of one intent.
pub struct Grader {
    plan: Arc<Plan>,
    checks: Checks,
}

/// Gathers a grade.
#[derive(Default)]
struct Parts {
    grade: Grade,
    /// With their weights.
    scores: Vec<(f64, f64)>,
    failed: bool,
}

impl Grader {
    /// For this plan.
    #[must_use]
    pub fn new(plan: &Arc<Plan>) -> Self {
        Self { plan: Arc::clone(plan), checks: Checks::compile(plan) }
    }

    /// Grades what was given.
    #[must_use]
    pub fn grade(&self, case: &Case, given: &Given) -> Grade {
        let Some(output) = &given.output else {
            let refusal = given.refusal.as_ref();
            let reason = refusal.map_or_else(|| "no answer".into(), |r| format!("{}: {}", r.code, r.message));
            return Grade { reasons: vec![bounded(&reason)], ..Grade::default() };
        };
        let mut parts = Parts::default();
        if let Some(expected) = &case.expected {
            self.expected(output, expected, &mut parts);
        }
        self.checked(output, &case.input, &mut parts);
        let text = text_of(&self.plan.kind, output);
        for assert in &case.asserts {
            let asserted = assert.judge(output, &text, given);
            parts.note(assert.name(), asserted.passed, asserted.reason.as_deref());
            parts.scores.push((asserted.score, assert.weight()));
            parts.failed |= !asserted.passed;
        }
        parts.finish()
    }

    /// A kept answer as it would be given now: one that fails a gate that was not there is none.
    pub(crate) fn under_todays_checks(&self, case: &Case, given: Given) -> Given {
        let Some(output) = &given.output else { return given };
        let results = self.checks.judge_output(output, &case.input);
        let Some(failed) = results.into_iter().find(|r| r.severity == Severity::Gate && !r.passed) else {
            return given;
        };
        let message = format!("{}: {}", failed.check, failed.reason.unwrap_or_default());
        let code = ErrorCode::NoAcceptableAnswer.as_str().to_owned();
        Given { output: None, refusal: Some(Refusal { code, message, quality: true }), ..given }
    }

    fn expected(&self, output: &Value, expected: &Value, parts: &mut Parts) {
        match &self.plan.kind {
            IntentKind::Classification(_) => {
                let right = output.get("label") == expected.get("label");
                parts.scores.push((f64::from(right), 1.0));
                if !right {
                    parts.wrong(&format!("{} where {} is expected", shown(output, "label"), shown(expected, "label")));
                }
            }
            IntentKind::Extraction => {
                let Some(fields) = expected.as_object() else { return };
                for (name, value) in fields {
                    let given = output.get(name).unwrap_or(&Value::Null);
                    let right = canonical(given) == canonical(value);
                    parts.grade.fields.insert(name.clone(), right);
                    if !right {
                        parts.wrong(&format!("{name}: {given} where {value} is expected"));
                    }
                }
                let right = parts.grade.fields.values().filter(|right| **right).count();
                parts.scores.push((right as f64 / (fields.len() as f64).max(1.0), 1.0));
            }
            // A good text need not be the one that was written down: checks grade it.
            IntentKind::Generation => {}
        }
    }

    fn checked(&self, output: &Value, input: &Value, parts: &mut Parts) {
        let scored = self.plan.kind == IntentKind::Generation;
        // The first is the form that every answer has to have; the others are the intent's own.
        for (n, result) in self.checks.judge_output(output, input).into_iter().enumerate() {
            if n > 0 {
                parts.note(&result.check, result.passed, None);
            }
            if scored {
                parts.scores.push((result.score.unwrap_or(f64::from(result.passed)), 1.0));
            }
            if !result.passed {
                let reason = result.reason.unwrap_or_default();
                let signal = if result.severity == Severity::Gate { "" } else { " (signal)" };
                parts.grade.reasons.push(bounded(&format!("{}{signal}: {reason}", result.check)));
                parts.failed |= result.severity == Severity::Gate;
            }
        }
    }
}

impl Parts {
    fn wrong(&mut self, reason: &str) {
        self.failed = true;
        self.grade.reasons.push(bounded(reason));
    }

    /// A check that is there twice holds where both do.
    fn note(&mut self, name: &str, passed: bool, reason: Option<&str>) {
        let held = self.grade.checks.entry(name.to_owned()).or_insert(true);
        *held &= passed;
        if let Some(reason) = reason.filter(|_| !passed) {
            self.grade.reasons.push(bounded(&format!("{name}: {reason}")));
        }
    }

    fn finish(self) -> Grade {
        let Self { mut grade, scores, failed } = self;
        grade.passed = !failed;
        let weight: f64 = scores.iter().map(|(_, weight)| weight).sum();
        let score: f64 = scores.iter().map(|(score, weight)| score * weight).sum();
        grade.score = if weight > 0.0 { score / weight } else { f64::from(!failed) };
        grade
    }
}

fn shown(output: &Value, field: &str) -> String {
    output.get(field).and_then(Value::as_str).map_or_else(|| "nothing".into(), |text| format!("“{text}”"))
}

/// An output as the text that assertions look at.
pub(crate) fn text_of(kind: &IntentKind, output: &Value) -> String {
    let field = match kind {
        IntentKind::Classification(_) => output.get("label"),
        IntentKind::Generation => output.get("text"),
        IntentKind::Extraction => None,
    };
    field.and_then(Value::as_str).map_or_else(|| output.to_string(), str::to_owned)
}

/// A reason, shortened.
pub(crate) fn bounded(reason: &str) -> String {
    match reason.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &reason[..end]),
        None => reason.to_owned(),
    }
}
