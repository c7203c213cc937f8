//! What is asked of the review queue, and what it answers.

use std::collections::BTreeMap;

use baton_core::{
    ExecutionId, IntentName, LabelSource, ReviewItem, ReviewLabel, ReviewRefusal, ReviewState, TeamId, Via,
};

use serde_json::Value;

use crate::StoreError;

/// How long an item stays with who took it, in microseconds: a quarter of an hour from their last act
/// on it.
pub const RESERVATION_US: i64 = 15 * 60 * 1_000_000;

/// Items of one page at most.
pub(crate) const ITEMS_MAX: usize = 1000;

/// Who asks for work.
#[derive(Clone, Debug)]
pub struct Reviewer {
    /// Their name. Labels carry it, and items pass from hand to hand by it.
    pub name: String,
    /// Their team: they see no other's items.
    pub team: TeamId,
    /// The intents that they may see; `None` is all.
    pub intents: Option<Vec<IntentName>>,
}

impl Reviewer {
    /// Whether an item is among what they may see.
    pub(crate) fn sees(&self, item: &ReviewItem) -> bool {
        item.team == self.team && self.intents.as_ref().is_none_or(|intents| intents.contains(&item.intent))
    }
}

/// What somebody does with an item.
#[derive(Clone, Debug)]
pub enum ReviewAct {
    /// Takes it, or keeps it for longer.
    Hold,
    /// Gives it back for others.
    Release,
    /// Passes it over for good.
    Skip,
    /// Says what they think of it. Reviewer and time are those of the act.
    Label(Box<ReviewLabel>),
}

/// Which items a list is of.
#[derive(Clone, Debug, Default)]
pub struct ReviewFilter {
    /// Only of this intent.
    pub intent: Option<IntentName>,
    /// Only those that wait for this.
    pub state: Option<ReviewState>,
    /// Only those that this reviewer has labelled.
    pub labelled_by: Option<String>,
    /// Only those with at least so many labels.
    pub labels_min: usize,
    /// Only those before this execution.
    pub before: Option<ExecutionId>,
    /// How many, at most 1000.
    pub limit: usize,
}

/// Which labels [`crate::Store::labels`] gives.
#[derive(Clone, Debug)]
pub struct LabelQuery {
    /// The evidence that they are part of: the lineage hash of an intent's plan.
    pub lineage: String,
    /// Only of this team; `None` is of all.
    pub team: Option<TeamId>,
    /// Only those whose execution is before this one: to read on.
    pub before: Option<ExecutionId>,
    /// How many at most.
    pub limit: usize,
}

/// What people said about one answer, all labels of it taken together: what calibration learns from.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The execution; its record has scores, checks and model.
    pub execution: ExecutionId,
    /// Whose.
    pub team: TeamId,
    /// The partition of its scope.
    pub partition: Vec<Option<String>>,
    /// Where the answer came from.
    pub via: Option<Via>,
    /// The probability with which it was drawn for review, in (0, 1]. `None` where somebody spoke of
    /// it unasked (feedback, an import): true, and no random sample, so not for unweighted estimates.
    pub probability: Option<f64>,
    /// Whether it is about an answer that a gate held back, and so not about one that was given.
    pub rejected: bool,
    /// Whether the answer is acceptable. While two reviewers disagree: no.
    pub pass: bool,
    /// By criterion; what was not decided, or is disputed, is absent.
    pub criteria: BTreeMap<String, bool>,
    /// Whether no further label is waited for.
    pub settled: bool,
    /// Where the label that decided comes from.
    pub source: LabelSource,
    /// What the answer should have been, where whoever decided said so.
    pub correction: Option<Value>,
    /// When it was given, Unix microseconds.
    pub at_us: i64,
}

impl Label {
    /// Of an item; `None` without labels.
    pub(crate) fn of(item: &ReviewItem) -> Option<Self> {
        let verdict = item.verdict()?;
        let decided = item.labels.iter().rfind(|l| (l.source, l.at_us) == (verdict.source, verdict.at_us));
        Some(Self {
            execution: item.execution,
            team: item.team.clone(),
            partition: item.partition.clone(),
            via: item.via,
            probability: item.draw.as_ref().map(|draw| draw.probability),
            rejected: item.draw.as_ref().is_some_and(|draw| draw.rejected.is_some()),
            pass: verdict.pass,
            criteria: verdict.criteria,
            settled: verdict.settled,
            source: verdict.source,
            correction: decided.and_then(|label| label.correction.clone()),
            at_us: verdict.at_us,
        })
    }
}

/// Why something cannot be done in a review.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The item is not theirs to do this with.
    #[error(transparent)]
    Refused(#[from] ReviewRefusal),
    /// There is no such item for this team.
    #[error("there is no review item {0} for this team")]
    Unknown(ExecutionId),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A change of an item.
pub(crate) type Change<'a> = dyn Fn(&mut ReviewItem) -> Result<(), ReviewRefusal> + Send + Sync + 'a;

/// What an act does to an item.
pub(crate) fn act(item: &mut ReviewItem, name: &str, act: &ReviewAct, now_us: i64) -> Result<(), ReviewRefusal> {
    match act {
        ReviewAct::Hold => item.hold(name, now_us, now_us + RESERVATION_US),
        ReviewAct::Release => {
            item.release(name);
            Ok(())
        }
        ReviewAct::Skip => {
            item.skip(name, now_us);
            Ok(())
        }
        ReviewAct::Label(label) => {
            item.label(ReviewLabel { reviewer: name.to_owned(), at_us: now_us, ..(**label).clone() })
        }
    }
}

/// Whether `next` may give this item to them.
pub(crate) fn is_next(item: &ReviewItem, reviewer: &Reviewer, intent: Option<&IntentName>, now_us: i64) -> bool {
    reviewer.sees(item)
        && intent.is_none_or(|intent| item.intent == *intent)
        && !item.is_skipped_by(&reviewer.name)
        && item.may_label(&reviewer.name, now_us).is_ok()
}

/// The order in which items are given: what one has already, then disputes, then what waits for its
/// second label, then what came after `first`, which an open alarm is explained by, then the rest; of each
/// the oldest first.
pub(crate) fn rank(item: &ReviewItem, name: &str, (now_us, first): (i64, Option<ExecutionId>)) -> impl Ord + use<> {
    let later = first.is_some_and(|first| item.execution <= first);
    (!item.is_held_by(name, now_us), std::cmp::Reverse(item.state()), later, item.execution)
}

impl ReviewFilter {
    pub(crate) fn takes(&self, item: &ReviewItem) -> bool {
        self.intent.as_ref().is_none_or(|intent| item.intent == *intent)
            && self.state.is_none_or(|state| item.state() == state)
            && self.labelled_by.as_ref().is_none_or(|name| item.label_of(name).is_some())
            && item.labels.len() >= self.labels_min
            && self.before.is_none_or(|before| item.execution < before)
    }
}
