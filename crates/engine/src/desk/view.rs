//! A review item as its reviewer sees it: blind while two labels are to be independent.

use std::collections::BTreeMap;

use baton_config::Plan;
use baton_core::{ExecutionId, IntentName, LabelSource, Record, ReviewItem, ReviewLabel, ReviewState, Via};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewView {
    /// The execution that gave the answer.
    pub execution_id: ExecutionId,
    /// Its intent.
    pub intent: IntentName,
    /// The intent's version.
    pub version: String,
    /// When the answer was given, Unix milliseconds.
    pub started_at_ms: i64,
    /// What it waits for. Whoever has given one of two labels is not told whether they agree.
    pub state: ReviewState,
    /// Where the answer came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The probability with which it was drawn; absent where somebody spoke of it unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Whether it is an answer that a gate held back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rejected: bool,
    /// Whether the reviewer has it, and until when, Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until_ms: Option<i64>,
    /// Whether input and output are here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// What was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// What is to be decided.
    pub criteria: Vec<CriterionView>,
    /// What was said, as far as this reviewer may see it.
    pub labels: Vec<LabelView>,
}

/// Whether the content of an item is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// It is.
    Stored,
    /// It is, with personal data replaced by marks: the intent's privacy says so.
    Redacted,
    /// The intent's privacy keeps it out of the store: look the execution up where its content is.
    NotStored,
    /// The journal had no room for it.
    Dropped,
    /// The record is as old as the intent keeps them, and gone.
    Gone,
    /// Whom it is about was erased.
    Erased,
}

/// A criterion of the intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriterionView {
    /// Its name in labels.
    pub id: String,
    /// The question; "yes" means that the answer passes.
    pub ask: String,
    /// How to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guideline: Option<String>,
}

/// A label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelView {
    /// Who says it.
    pub reviewer: String,
    /// When, Unix milliseconds.
    pub at_ms: i64,
    /// Where it comes from.
    pub source: LabelSource,
    /// Whether the answer is acceptable.
    pub pass: bool,
    /// By criterion.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub criteria: BTreeMap<String, bool>,
    /// What the answer should have been.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Value>,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl From<&ReviewLabel> for LabelView {
    fn from(label: &ReviewLabel) -> Self {
        Self {
            reviewer: label.reviewer.clone(),
            at_ms: label.at_us / 1000,
            source: label.source,
            pass: label.pass,
            criteria: label.criteria.clone(),
            correction: label.correction.clone(),
            comment: label.comment.clone(),
        }
    }
}

impl ReviewView {
    /// Without content.
    pub(super) fn of(item: &ReviewItem, plan: Option<&Plan>, name: &str, now_us: i64) -> Self {
        let own = item.label_of(name).is_some();
        // Two labels are independent while neither sees the other; who decides between them sees both.
        let open = match item.state() {
            ReviewState::Done => true,
            ReviewState::Disputed => !own || item.may_label(name, now_us).is_ok(),
            ReviewState::Open | ReviewState::Second => false,
        };
        let state = if own && !open { ReviewState::Second } else { item.state() };
        let criterion = |c: &baton_config::Criterion| CriterionView {
            id: c.id.clone(),
            ask: c.ask.clone(),
            guideline: c.guideline.clone(),
        };
        let held = item.holds.iter().find(|(holder, until_us)| holder == name && *until_us > now_us);
        Self {
            execution_id: item.execution,
            intent: item.intent.clone(),
            version: item.version.clone(),
            started_at_ms: item.started_at_us / 1000,
            // A second reviewer does not know that they are one.
            state: if !own && state == ReviewState::Second { ReviewState::Open } else { state },
            via: item.via,
            probability: item.draw.as_ref().map(|draw| draw.probability),
            rejected: item.draw.as_ref().is_some_and(|draw| draw.rejected.is_some()),
            held_until_ms: held.map(|(_, until_us)| until_us / 1000),
            content: None,
            input: None,
            output: None,
            criteria: plan.iter().flat_map(|plan| &plan.criteria).map(criterion).collect(),
            labels: item.labels.iter().filter(|l| open || l.reviewer == name).map(LabelView::from).collect(),
        }
    }

    /// With what its record holds.
    pub(super) fn with_content(mut self, record: Option<Record>) -> Self {
        let Some(record) = record else { return Self { content: Some(Content::Gone), ..self } };
        let held_back = record.review.and_then(|draw| draw.rejected).and_then(|rejected| rejected.output);
        self.output = if self.rejected { held_back } else { record.output };
        self.input = record.input;
        self.content = Some(match (&self.input, record.content_dropped) {
            (Some(_), _) if record.redacted => Content::Redacted,
            (Some(_), _) => Content::Stored,
            (None, _) if record.erased_at_us.is_some() => Content::Erased,
            (None, true) => Content::Dropped,
            (None, false) => Content::NotStored,
        });
        self
    }
}
