//! From checks to a verdict.

use serde::{Deserialize, Serialize};

/// What a failing check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The answer is not given: the next candidate answers.
    Gate,
    /// The answer is given; the failure is a signal for its quality.
    Signal,
}

/// What one check said of one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check's name, for example `schema` or `span-in-source`.
    pub check: String,
    /// What a failure does.
    pub severity: Severity,
    /// Whether the answer passed it.
    pub passed: bool,
    /// How much of what it looks for it found, where that is neither all nor nothing: in (0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What was wrong and where; `None` where it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// May this answer be given?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Evidence says that it is good enough.
    Pass,
    /// A gate check failed.
    Fail,
    /// No gate failed, and there is too little evidence to promise more.
    Undecided,
}

/// A failed gate fails the answer; without calibrated evidence the rest is undecided.
#[must_use]
pub fn verdict(results: &[CheckResult]) -> Verdict {
    if results.iter().any(|r| r.severity == Severity::Gate && !r.passed) { Verdict::Fail } else { Verdict::Undecided }
}
