//! The engine's review types as OpenAPI describes them; a test holds the two together.
#![allow(dead_code, reason = "only their schemas are used")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An answer to review.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Review)]
pub(crate) struct ReviewSchema {
    /// The execution that gave the answer, and the item's id.
    #[schema(format = "uuid")]
    execution_id: String,
    intent: String,
    /// The intent's version.
    version: String,
    /// When the answer was given, Unix milliseconds.
    started_at_ms: i64,
    /// What it waits for: `open`, `second`, `disputed` or `done`. A reviewer is not told whether they
    /// are the second, nor, having labelled it, whether the other agrees.
    #[schema(examples("open"))]
    state: String,
    /// Where the answer came from; absent where none was given.
    #[schema(nullable = false)]
    via: Option<String>,
    /// The probability with which it was drawn; absent where somebody spoke of it unasked.
    #[schema(nullable = false)]
    probability: Option<f64>,
    /// Whether it is an answer that a gate held back; absent where it is not.
    #[schema(required = false)]
    rejected: bool,
    /// Until when the reviewer has it, Unix milliseconds; absent where they have not.
    #[schema(nullable = false)]
    held_until_ms: Option<i64>,
    /// `stored`, `not_stored` (the intent's privacy), `dropped` (the journal had no room), `gone`
    /// (older than the intent keeps records) or `erased` (whom it was about). Not in lists.
    #[schema(nullable = false, examples("stored"))]
    content: Option<String>,
    /// What was asked, where it is stored.
    #[schema(value_type = Option<Value>)]
    input: Option<Value>,
    /// What was answered, where it is stored.
    #[schema(value_type = Option<Value>)]
    output: Option<Value>,
    /// What is to be decided.
    criteria: Vec<CriterionSchema>,
    /// What was said: all of it once nobody's label is waited for, until then only the reviewer's own.
    labels: Vec<LabelSchema>,
}

/// A question about an answer.
#[derive(Serialize, ToSchema)]
#[schema(as = Criterion)]
pub(crate) struct CriterionSchema {
    id: String,
    /// "Yes" means that the answer passes.
    ask: String,
    /// How to decide.
    #[schema(nullable = false)]
    guideline: Option<String>,
}

/// What one person says about one answer.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Label)]
pub(crate) struct LabelSchema {
    reviewer: String,
    /// Unix milliseconds.
    at_ms: i64,
    /// `review`, `adjudication`, `final_output`, `correction`, `label` or `import`.
    source: String,
    pass: bool,
    /// By criterion: whether the answer passes it.
    #[schema(required = false)]
    criteria: BTreeMap<String, bool>,
    /// What the answer should have been.
    #[schema(value_type = Option<Value>)]
    correction: Option<Value>,
    #[schema(nullable = false)]
    comment: Option<String>,
}

/// Figures of the latest items.
#[derive(Serialize, ToSchema)]
#[schema(as = ReviewStats)]
pub(crate) struct ReviewStatsSchema {
    /// The items that this is made of.
    items: u64,
    intents: BTreeMap<String, IntentReviewsSchema>,
    reviewers: BTreeMap<String, ReviewerStatsSchema>,
}

/// Items of an intent by what they wait for, and what was said.
#[derive(Serialize, ToSchema)]
#[schema(as = IntentReviews)]
pub(crate) struct IntentReviewsSchema {
    open: u64,
    second: u64,
    disputed: u64,
    done: u64,
    /// Those that somebody has now.
    held: u64,
    labelled: u64,
    passed: u64,
    /// On whether answers pass.
    agreement: AgreementSchema,
    /// On each criterion.
    criteria: BTreeMap<String, AgreementSchema>,
}

/// How far independent labels of the same answer agree.
#[derive(Serialize, ToSchema)]
#[schema(as = Agreement)]
pub(crate) struct AgreementSchema {
    /// Krippendorff's alpha; `null` where there is nothing to compare, or nothing that varies.
    #[schema(required = true)]
    alpha: Option<f64>,
    /// Items with two or more independent labels.
    items: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReviewerStats)]
pub(crate) struct ReviewerStatsSchema {
    labels: u64,
    passed: u64,
    skipped: u64,
    held: u64,
}
