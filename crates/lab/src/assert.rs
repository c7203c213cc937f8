//! What a case asks of its answer besides an expected output: promptfoo's assertions and OpenAI's
//! graders, those of them that need no model.

use serde_json::Value;

use crate::Given;
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

    /// How much it weighs in the score.
    pub(crate) fn weight(&self) -> f64 {
        match self {
            Self::Assertion(assertion) => assertion.weight(),
            Self::Grader(_) => 1.0,
        }
    }

    /// `text` stands for the output: the label, the text, or the fields as JSON.
    pub(crate) fn judge(&self, output: &Value, text: &str, given: &Given) -> Asserted {
        match self {
            Self::Assertion(assertion) => assertion.judge(text, given),
            Self::Grader(grader) => grader.judge(output, text),
        }
    }
}
