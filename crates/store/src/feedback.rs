//! Feedback as labels: what a product hears from people counts as evidence too.

use baton_core::{LabelSource, Record, ReviewItem, ReviewLabel, says_the_same};
use serde_json::Value;

use crate::{Feedback, FeedbackKind};

/// Verdicts in one word, as products say them.
const PASS: [&str; 12] =
    ["pass", "passed", "good", "ok", "correct", "right", "yes", "true", "accept", "accepted", "up", "👍"];
const FAIL: [&str; 12] =
    ["fail", "failed", "bad", "wrong", "incorrect", "no", "false", "reject", "rejected", "down", "thumbs-down", "👎"];

/// Who said it where nobody is named.
const ANONYMOUS: &str = "feedback";

/// The label that feedback on this record is; `None` where it says nothing that can be decided: a
/// score, a word that is no verdict, a correction of an output that is not stored.
pub(crate) fn label(feedback: &Feedback, record: &Record) -> Option<ReviewLabel> {
    // A text may be sent back as it is, without its field.
    let judged = |output: &Value| {
        let given = record.output.as_ref()?;
        let text = given.get("text").filter(|_| output.is_string());
        Some(says_the_same(text.unwrap_or(given), output))
    };
    let (source, pass, correction) = match &feedback.kind {
        FeedbackKind::Score { .. } => return None,
        FeedbackKind::Label { value } => (LabelSource::Label, word(value)?, None),
        FeedbackKind::Correction { output } => (LabelSource::Correction, judged(output)?, Some(output)),
        FeedbackKind::FinalOutput { output } => (LabelSource::FinalOutput, judged(output)?, Some(output)),
    };
    Some(ReviewLabel {
        reviewer: feedback.by.clone().unwrap_or_else(|| ANONYMOUS.into()),
        at_us: feedback.at_us,
        source,
        pass,
        criteria: Default::default(),
        correction: correction.filter(|_| !pass).cloned(),
        comment: feedback.comment.clone(),
    })
}

/// The item of a record, with this label heard; `None` for a raw model call.
pub(crate) fn item(record: &Record) -> Option<ReviewItem> {
    // What was said is about the answer that was given, not about one that was held back.
    let about_rejected = record.review.as_ref().is_some_and(|draw| draw.rejected.is_some());
    ReviewItem::of(record).filter(|_| !about_rejected)
}

fn word(value: &str) -> Option<bool> {
    let value = value.trim().to_lowercase();
    let among = |words: &[&str]| words.contains(&value.as_str());
    if among(&PASS) { Some(true) } else { among(&FAIL).then_some(false) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_in_a_word() {
        for (value, expected) in [("Good", Some(true)), (" no ", Some(false)), ("👎", Some(false)), ("billing", None)]
        {
            assert_eq!(word(value), expected, "{value}");
        }
    }
}
