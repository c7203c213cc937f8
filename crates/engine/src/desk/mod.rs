//! Where people review: the queue of the store, with what a reviewer must see and may say.

mod import;
mod stats;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_config::{Plan, Snapshot, StoreContent};
use baton_core::{ErrorCode, ExecutionId, Failure, IntentName, LabelSource, Record, ReviewItem, ReviewLabel};
use baton_eval::Redaction;
use baton_store::{ReviewAct, ReviewError, ReviewFilter, Reviewer, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use stats::{Agreement, IntentReviews, ReviewStats, ReviewerStats};
pub use view::{Content, CriterionView, LabelView, ReviewView};

/// Characters of a comment at most.
const COMMENT_CHARS_MAX: usize = 4096;
/// Characters of a reviewer's name at most.
const NAME_CHARS_MAX: usize = 256;

/// Which items a list or an export is of.
pub type ItemFilter = ReviewFilter;

/// What a reviewer says of an answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Verdict {
    /// Whether it is acceptable; where absent, whether it passes each criterion that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<bool>,
    /// By criterion: whether it passes it. What is not decided is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub criteria: BTreeMap<String, bool>,
    /// What the answer should have been, in the shape of the intent's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Value>,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// A desk at one moment. Cheap to make.
pub struct Desk {
    store: Store,
    snapshot: Arc<Snapshot>,
    reviewer: Reviewer,
    now_us: i64,
}

impl Desk {
    /// Of this reviewer, at this time in Unix microseconds.
    ///
    /// # Errors
    /// `input_invalid` where their name is empty or too long.
    pub fn new(store: Store, snapshot: Arc<Snapshot>, reviewer: Reviewer, now_us: i64) -> Result<Self, Failure> {
        let name = reviewer.name.trim();
        if name.is_empty() || name != reviewer.name || name.chars().count() > NAME_CHARS_MAX {
            let message = "reviewer: a name of 1 to 256 characters, without space at either end";
            return Err(Failure::new(ErrorCode::InputInvalid, message).at("reviewer"));
        }
        Ok(Self { store, snapshot, reviewer, now_us })
    }

    /// Takes the next item: the one that they have, or else one that waits for somebody like them.
    ///
    /// # Errors
    /// What the store says.
    pub async fn next(&self, intent: Option<&IntentName>) -> Result<Option<ReviewView>, Failure> {
        match self.store.next_review(&self.reviewer, intent, self.now_us).await.map_err(refused)? {
            Some(item) => self.whole(&item).await.map(Some),
            None => Ok(None),
        }
    }

    /// Shows one item.
    ///
    /// # Errors
    /// `unknown_execution`; what the store says.
    pub async fn get(&self, id: ExecutionId) -> Result<ReviewView, Failure> {
        let item = self.item(id).await?;
        self.whole(&item).await
    }

    /// Says what they think of it.
    ///
    /// # Errors
    /// `input_invalid` names the field; `review_conflict` says whose the item is; `unknown_execution`.
    pub async fn label(&self, id: ExecutionId, verdict: Verdict) -> Result<ReviewView, Failure> {
        let item = self.item(id).await?;
        let label = self.checked(&item.intent, verdict, LabelSource::Review)?;
        if words(&label) {
            let record = self.store.execution(&item.team, id).await.map_err(failed)?;
            record.map_or(Ok(()), |record| check_words(&record, true))?;
        }
        self.act(id, ReviewAct::Label(Box::new(label))).await
    }

    /// Passes it over, gives it back, or keeps it for longer.
    ///
    /// # Errors
    /// As [`Desk::label`].
    pub async fn act(&self, id: ExecutionId, act: ReviewAct) -> Result<ReviewView, Failure> {
        let item = self.store.act_on_review(&self.reviewer, id, &act, self.now_us).await.map_err(refused)?;
        self.whole(&item).await
    }

    /// Takes back their last label or skip, and takes the item again.
    ///
    /// # Errors
    /// `review_conflict` where there is nothing to take back, or others have built on it.
    pub async fn undo(&self) -> Result<ReviewView, Failure> {
        let item = self.store.undo_review(&self.reviewer, self.now_us).await.map_err(refused)?;
        self.whole(&item).await
    }

    /// Lists items without their content.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, filter: &ItemFilter) -> Result<Vec<ReviewView>, Failure> {
        let items = self.store.reviews(&self.reviewer, filter).await.map_err(failed)?;
        Ok(items.iter().map(|item| self.view(item)).collect())
    }

    /// The same with content: what is worth keeping outside.
    ///
    /// # Errors
    /// What the store says.
    pub async fn export(&self, filter: &ItemFilter) -> Result<Vec<ReviewView>, Failure> {
        let mut views = Vec::new();
        for item in self.store.reviews(&self.reviewer, filter).await.map_err(failed)? {
            views.push(self.whole(&item).await?);
        }
        Ok(views)
    }

    async fn item(&self, id: ExecutionId) -> Result<ReviewItem, Failure> {
        let found = self.store.review(&self.reviewer, id).await.map_err(failed)?;
        found.ok_or_else(|| refused(ReviewError::Unknown(id)))
    }

    fn view(&self, item: &ReviewItem) -> ReviewView {
        let plan = self.snapshot.intents.get(&item.intent);
        ReviewView::of(item, plan.map(|plan| &**plan), &self.reviewer.name, self.now_us)
    }

    async fn whole(&self, item: &ReviewItem) -> Result<ReviewView, Failure> {
        let record: Option<Record> = self.store.execution(&item.team, item.execution).await.map_err(failed)?;
        Ok(self.view(item).with_content(record))
    }

    /// A label that fits its intent, or what is wrong with it.
    fn checked(&self, intent: &IntentName, verdict: Verdict, source: LabelSource) -> Result<ReviewLabel, Failure> {
        let invalid = |at: String, message: String| Err(Failure::new(ErrorCode::InputInvalid, message).at(at));
        let plan = self.snapshot.intents.get(intent);
        let known: Vec<&str> = plan.iter().flat_map(|plan| &plan.criteria).map(|c| c.id.as_str()).collect();
        if let Some(id) = verdict.criteria.keys().find(|id| !known.contains(&id.as_str())) {
            let known = if known.is_empty() { "it has none".into() } else { format!("it has: {}", known.join(", ")) };
            return invalid(format!("/criteria/{id}"), format!("`{intent}` has no criterion `{id}`; {known}"));
        }
        let failed: Vec<&str> =
            verdict.criteria.iter().filter(|(_, pass)| !**pass).map(|(id, _)| id.as_str()).collect();
        let pass = match (verdict.pass, failed.is_empty()) {
            (Some(true), false) => {
                let message = format!("an answer that fails {} does not pass: leave `pass` out", failed.join(", "));
                return invalid("/pass".into(), message);
            }
            (Some(pass), _) => pass,
            (None, _) if verdict.criteria.is_empty() => {
                return invalid("/pass".into(), "say whether the answer passes: `pass`, or `criteria`".into());
            }
            (None, passes) => passes,
        };
        if let (Some(correction), Some(plan)) = (&verdict.correction, plan) {
            check_output(plan, "correction", correction)?;
        }
        if verdict.comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARS_MAX) {
            return invalid("/comment".into(), format!("comment: at most {COMMENT_CHARS_MAX} characters"));
        }
        let Verdict { criteria, correction, comment, .. } = verdict;
        let comment = comment
            .filter(|comment| !comment.trim().is_empty())
            .map(|comment| kept_comment(plan.map(AsRef::as_ref), comment));
        let reviewer = self.reviewer.name.clone();
        Ok(ReviewLabel { reviewer, at_us: self.now_us, source, pass, criteria, correction, comment })
    }
}

/// Whether an output that a person wrote has the shape of the intent's outputs, without which nothing
/// could learn from it, and holds nothing that the intent does not store. `field` is the field of the request that holds it.
///
/// # Errors
/// `input_invalid` with the place.
pub fn check_output(plan: &Plan, field: &str, output: &Value) -> Result<(), Failure> {
    let mut redaction = Redaction::default();
    if plan.privacy.store == StoreContent::Redacted && redaction.of(output) != *output {
        let found = redaction.counts().keys().copied().collect::<Vec<_>>().join(", ");
        let message = format!(
            "{field}: it holds what privacy.store = \"redacted\" keeps out ({found}), and could not be compared with \
             what is stored: write the marks that the record has in its place, or say pass or fail alone"
        );
        return Err(Failure::new(ErrorCode::InputInvalid, message).at(format!("/{field}")));
    }
    let Some(schema) = &plan.output_schema else { return Ok(()) };
    schema.validate(output).map_err(|violation| {
        let message = format!("{field}{violation}; it must have the shape of the intent's output");
        Failure::new(ErrorCode::InputInvalid, message).at(format!("/{field}{}", violation.pointer))
    })
}

/// Whether what people say of an execution may hold words of theirs (`words`: it does): of one whose person
/// was erased they would stay, and nothing would lead to them any more.
///
/// # Errors
/// `input_invalid`.
pub fn check_words(record: &Record, words: bool) -> Result<(), Failure> {
    if !words || record.erased_at_us.is_none() {
        return Ok(());
    }
    let message = "whom this execution is about was erased: say pass or fail alone, without a comment or an output";
    Err(Failure::new(ErrorCode::InputInvalid, message))
}

fn words(label: &ReviewLabel) -> bool {
    label.comment.is_some() || label.correction.is_some()
}

/// What is kept of a comment, as the intent's privacy says.
#[must_use]
pub fn kept_comment(plan: Option<&Plan>, comment: String) -> String {
    match plan.map(|plan| plan.privacy.store) {
        Some(StoreContent::Redacted) => Redaction::default().text(&comment),
        Some(StoreContent::Full | StoreContent::Nothing) | None => comment,
    }
}

/// For `map_err`: the caller is told what is theirs, the log what is ours.
fn failed(error: StoreError) -> Failure {
    tracing::error!(%error, "the store could not answer a reviewer");
    Failure::new(ErrorCode::Internal, "the store could not answer; the log says why")
}

fn refused(error: ReviewError) -> Failure {
    match error {
        ReviewError::Refused(refusal) => Failure::new(ErrorCode::ReviewConflict, refusal.to_string()),
        ReviewError::Unknown(id) => {
            let message = format!("there is no review item for execution {id}: it was not drawn, or is another team's");
            Failure::new(ErrorCode::UnknownExecution, message).at("id")
        }
        ReviewError::Store(error) => failed(error),
    }
}
