//! What a case asks of its answer besides an expected output: promptfoo's assertions and OpenAI's
//! graders, those of them that need no model.

use serde_json::Value;

use crate::read::openai::Grader;
use crate::read::promptfoo::Assertion;

/// One of them.
#[derive(Clone, Debug)]
pub enum Assert {
    /// promptfoo's.
    Assertion(Assertion),
    /// OpenAI's.
    Grader(Grader),
}

/// What came of one.
pub(crate) struct Asserted {
    pub(crate) passed: bool,
    pub(crate) score: f64,
    pub(crate) reason: Option<String>,
}

impl Assert {
    /// What it is called in reports.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Assertion(assertion) => &assertion.name,
            Self::Grader(grader) => &grader.name,
        }
    }

    pub(crate) fn judge(&self, output: &Value, text: &str, input: &Value) -> Asserted {
        match self {
            Self::Assertion(assertion) => assertion.judge(output, text, input),
            Self::Grader(grader) => grader.judge(output, text),
        }
    }
}
