//! What goes into a judgement and what comes out of it.

use baton_core::CheckResult;
use serde_json::Value;

use crate::TokenProbability;

/// How the model's answer ended. Anything but `Complete` fails the gate check `finish`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model was done.
    Complete,
    /// It ran into its token limit, or the stream broke: the answer is cut off.
    Truncated,
    /// The model declined.
    Refused,
    /// The provider withheld the answer.
    ContentFiltered,
    /// It stopped for a reason that is not known to be an end.
    Unknown,
}

/// A model's answer, as it came.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// Its text.
    pub text: &'a str,
    /// How it ended.
    pub finish: Finish,
    /// The provider's own word for that, for the check `finish-reason`.
    pub finish_reason: Option<&'a str>,
    /// Its tokens, where the provider gives their probabilities, for the check `label-margin`.
    pub tokens: &'a [TokenProbability],
}

impl<'a> Given<'a> {
    /// Text of which nothing else is known.
    #[must_use]
    pub fn text(text: &'a str, finish: Finish) -> Self {
        Self { text, finish, finish_reason: None, tokens: &[] }
    }
}

/// An answer, parsed and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// `{label}`, the schema's fields, or `{text}`; `None` where the text could not be parsed.
    pub output: Option<Value>,
    /// What was repaired on the way, each kind once, for example `fenced` or `trailing-comma`.
    pub repairs: Vec<String>,
    /// What each check said, in order: finish, parsing and schema, then the intent's own.
    pub checks: Vec<CheckResult>,
}
