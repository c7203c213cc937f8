//! What people say about answers, and the rules by which an answer passes from hand to hand until
//! enough of them have said it.
//!
//! Pure: the store keeps [`ReviewItem`]s, and changes one only by asking it.

mod item;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use item::ReviewItem;

/// That an execution was drawn for review, and how: part of its record, so that nothing that was
/// drawn is lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewDraw {
    /// The probability with which it was drawn, in (0, 1]. Without it no estimate is unbiased.
    pub probability: f64,
    /// Whether two people are to label it, neither seeing what the other says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub double: bool,
    /// Who decides where they disagree; `None` is anybody who gave neither label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adjudicator: Option<String>,
    /// What is reviewed, where it is not the answer that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejected>,
}

impl ReviewDraw {
    /// The same without the answer that a gate held back.
    #[must_use]
    pub fn without_content(&self) -> Self {
        let rejected = self.rejected.as_ref().map(|rejected| Rejected { output: None, ..*rejected });
        Self { rejected, adjudicator: self.adjudicator.clone(), ..*self }
    }
}

/// An answer that a gate held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// Its attempt: the place among the record's.
    pub attempt: usize,
    /// The answer, where privacy allows storing it. In the record only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
}

/// Where a label comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelSource {
    /// A reviewer.
    Review,
    /// Who decided between two reviewers.
    Adjudication,
    /// Feedback: what the person really sent.
    FinalOutput,
    /// Feedback: what the answer should have been.
    Correction,
    /// Feedback: a verdict in one word.
    Label,
    /// A file.
    Import,
}

impl LabelSource {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Adjudication => "adjudication",
            Self::FinalOutput => "final_output",
            Self::Correction => "correction",
            Self::Label => "label",
            Self::Import => "import",
        }
    }

    /// Whether it was given in a review, and so may be taken back in one.
    #[must_use]
    pub fn is_review(self) -> bool {
        matches!(self, Self::Review | Self::Adjudication)
    }
}

/// What one person says about one answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewLabel {
    /// Who says it.
    pub reviewer: String,
    /// When, Unix microseconds.
    pub at_us: i64,
    /// Where it comes from.
    pub source: LabelSource,
    /// Whether the answer is acceptable.
    pub pass: bool,
    /// By criterion: whether the answer passes it. One that was not decided is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub criteria: BTreeMap<String, bool>,
    /// What the answer should have been, in the shape of the intent's output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Value>,
    /// In the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// What an item waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewState {
    /// Nothing: enough people have said what they think.
    Done,
    /// A label.
    Open,
    /// A second label, of somebody who does not see the first.
    Second,
    /// Somebody who decides between two labels.
    Disputed,
}

impl ReviewState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Done, Self::Open, Self::Second, Self::Disputed];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Open => "open",
            Self::Second => "second",
            Self::Disputed => "disputed",
        }
    }
}

/// Why an item is not somebody's to label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewRefusal {
    /// Somebody else has it.
    #[error("somebody else is reviewing this item: ask for the next one")]
    Held,
    /// They said what they think already.
    #[error("you have labelled this item: undo your label to change it")]
    Labelled,
    /// Nobody need say more.
    #[error("this item has all the labels that it needs")]
    Done,
    /// Another is to decide.
    #[error("two labels disagree, and `{0}` decides between them")]
    NotAdjudicator(String),
    /// Others have built on it.
    #[error("somebody else has labelled this item since: your label stays")]
    TooLate,
    /// There is nothing to take back.
    #[error("there is nothing of yours to undo")]
    NothingToUndo,
}

/// What all labels of one answer come to.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewVerdict {
    /// Whether the answer is acceptable. While two labels disagree: no, so that nothing is promised
    /// on the strength of one of them.
    pub pass: bool,
    /// By criterion; those that labels disagree on are absent.
    pub criteria: BTreeMap<String, bool>,
    /// Whether no more labels are waited for.
    pub settled: bool,
    /// Where the label that decided comes from.
    pub source: LabelSource,
    /// When it was given, Unix microseconds.
    pub at_us: i64,
}
