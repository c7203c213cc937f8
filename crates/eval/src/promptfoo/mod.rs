//! promptfoo's assertions, read with the names and the meaning that they have there.
//!
//! What promptfoo decides by rules alone is read. What asks a model or runs a team's code is refused by
//! name, as is what it reads from files or traces: nothing is passed over in silence.

mod grade;
mod pattern;
mod read;
mod tools;

use serde_json::Value;

use baton_config::Schema;

use crate::text::Dialect;
use crate::text::Refusals;
use crate::text::html::HtmlMarks;

/// The types that are read, each also with `not-` before, `assert-set` aside.
pub const TYPES: [&str; 34] = [
    "assert-set",
    "bleu",
    "contains",
    "contains-all",
    "contains-any",
    "contains-html",
    "contains-json",
    "contains-sql",
    "contains-xml",
    "cost",
    "equals",
    "finish-reason",
    "gleu",
    "guardrails",
    "icontains",
    "icontains-all",
    "icontains-any",
    "is-html",
    "is-json",
    "is-refusal",
    "is-sql",
    "is-valid-function-call",
    "is-valid-openai-function-call",
    "is-valid-openai-tools-call",
    "is-xml",
    "latency",
    "levenshtein",
    "perplexity",
    "perplexity-score",
    "regex",
    "rouge-n",
    "starts-with",
    "tool-call-f1",
    "word-count",
];

/// An assertion, compiled.
#[derive(Debug)]
pub struct Assertion {
    kind: Kind,
    not: bool,
    threshold: Option<f64>,
    /// Its part in the score of its set or test, 1 where nothing is said.
    pub weight: f64,
    /// The name under which its score is added up, where there is one.
    pub metric: Option<String>,
}

/// Why an assertion cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {why}")]
pub struct NotRead {
    /// A JSON pointer into the assertion; empty for all of it.
    pub at: String,
    /// What was expected, and what to do.
    pub why: String,
}

/// What is known of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Text, or structured output such as tool calls.
    pub output: &'a Value,
    /// Milliseconds that it took.
    pub latency_ms: Option<f64>,
    /// What it cost.
    pub cost_usd: Option<f64>,
    /// The provider's reason for the end.
    pub finish_reason: Option<&'a str>,
    /// The logarithms of its tokens' probabilities.
    pub logprobs: &'a [f64],
    /// The tools or functions that were offered, in OpenAI's shape.
    pub tools: Option<&'a Value>,
    /// Whether the provider's guardrails took offence.
    pub flagged: bool,
}

impl<'a> Facts<'a> {
    /// An output of which nothing else is known.
    #[must_use]
    pub fn of(output: &'a Value) -> Self {
        let (latency_ms, cost_usd, finish_reason, tools) = (None, None, None, None);
        Self { output, latency_ms, cost_usd, finish_reason, logprobs: &[], tools, flagged: false }
    }
}

/// What an assertion says of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// Whether it passed.
    pub pass: bool,
    /// 0 to 1.
    pub score: f64,
    /// Why, in words; empty where it passed.
    pub reason: String,
}

#[derive(Debug)]
enum Kind {
    Set(Vec<Assertion>),
    Bleu(Vec<String>),
    Gleu(Vec<String>),
    Rouge(String),
    Contains { parts: Vec<String>, any: bool, fold: bool },
    ContainsHtml(HtmlMarks),
    ContainsJson(Option<Box<Schema>>),
    ContainsSql(Dialect),
    ContainsXml(Vec<String>),
    Cost(f64),
    Equals(Value),
    FinishReason(String),
    FunctionCall,
    Guardrails,
    IsHtml,
    IsJson(Option<Box<Schema>>),
    IsRefusal(Refusals),
    IsSql(Dialect),
    IsXml(Vec<String>),
    Latency(f64),
    Levenshtein(String),
    Perplexity,
    PerplexityScore,
    Regex(regex::Regex),
    StartsWith(String),
    ToolCallF1(Vec<String>),
    ToolsCall,
    WordCount { min: Option<f64>, max: Option<f64> },
}
