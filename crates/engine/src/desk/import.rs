//! Labels that were given elsewhere: JSONL in the form of the export.

use baton_core::{ErrorCode, ExecutionId, Failure, LabelSource, Record, ReviewLabel};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Desk, NAME_CHARS_MAX, Verdict, check_words, failed, words};

/// Lines of one import at most.
const LINES_MAX: usize = 10_000;

/// A line of the export. What is not a label is not read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "known, so that a line of the export is one, and not read")]
struct Line {
    execution_id: ExecutionId,
    labels: Vec<LabelLine>,
    intent: Option<IgnoredAny>,
    version: Option<IgnoredAny>,
    started_at_ms: Option<IgnoredAny>,
    state: Option<IgnoredAny>,
    via: Option<IgnoredAny>,
    probability: Option<IgnoredAny>,
    rejected: Option<IgnoredAny>,
    held_until_ms: Option<IgnoredAny>,
    content: Option<IgnoredAny>,
    input: Option<IgnoredAny>,
    output: Option<IgnoredAny>,
    criteria: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LabelLine {
    reviewer: String,
    at_ms: Option<i64>,
    /// Said again by the store.
    #[serde(rename = "source")]
    _source: Option<IgnoredAny>,
    pass: Option<bool>,
    #[serde(default)]
    criteria: std::collections::BTreeMap<String, bool>,
    correction: Option<serde_json::Value>,
    comment: Option<String>,
}

impl Desk {
    /// Takes labels of executions of this team, all of them or, where a line is wrong, none. How many
    /// count: what is known already does not.
    ///
    /// # Errors
    /// `input_invalid`, `unknown_execution` with the line; what the store says.
    pub async fn import(&self, jsonl: &str) -> Result<usize, Failure> {
        let mut labels: Vec<(Record, ReviewLabel)> = Vec::new();
        let lines = jsonl.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        for (count, (n, text)) in lines.enumerate() {
            let place =
                |failure: Failure| Failure { message: format!("line {}: {}", n + 1, failure.message), ..failure };
            if count >= LINES_MAX {
                let message = format!("more than {LINES_MAX} lines: send them in parts");
                return Err(place(Failure::new(ErrorCode::InputInvalid, message)));
            }
            labels.extend(self.line(text).await.map_err(place)?);
        }
        self.store.import_labels(labels).await.map_err(failed)
    }

    async fn line(&self, text: &str) -> Result<Vec<(Record, ReviewLabel)>, Failure> {
        let line: Line = serde_json::from_str(text).map_err(|error| {
            let error = error.to_string();
            let what = error.split(" at line ").next().unwrap_or_default();
            let message =
                format!("not a label: {what}; write {{\"executionId\":…,\"labels\":[{{\"reviewer\":…,\"pass\":…}}]}}");
            Failure::new(ErrorCode::InputInvalid, message)
        })?;
        let id = line.execution_id;
        let record = self.store.execution(&self.reviewer.team, id).await.map_err(failed)?;
        let seen = |record: &Record| match (&self.reviewer.intents, &record.intent) {
            (None, Some(_)) => true,
            (Some(allowed), Some(intent)) => allowed.contains(intent),
            (_, None) => false,
        };
        let unknown = || {
            Failure::new(ErrorCode::UnknownExecution, format!("there is no execution {id} of an intent for this team"))
        };
        let record = record.filter(seen).ok_or_else(unknown)?;
        line.labels.into_iter().map(|label| Ok((record.clone(), self.imported(&record, label)?))).collect()
    }

    fn imported(&self, record: &Record, line: LabelLine) -> Result<ReviewLabel, Failure> {
        let LabelLine { reviewer, at_ms, pass, criteria, correction, comment, .. } = line;
        if reviewer.trim().is_empty() || reviewer.chars().count() > NAME_CHARS_MAX {
            let message = "reviewer: a name of 1 to 256 characters";
            return Err(Failure::new(ErrorCode::InputInvalid, message).at("/reviewer"));
        }
        let intent = record.intent.as_ref().ok_or_else(|| Failure::new(ErrorCode::UnknownIntent, "no intent"))?;
        let verdict = Verdict { pass, criteria, correction, comment };
        let label = self.checked(intent, verdict, LabelSource::Import)?;
        check_words(record, words(&label))?;
        // Without its time it is as old as its answer, so that the same file again says the same.
        let at_us = at_ms.map_or(record.started_at_us, |ms| ms.saturating_mul(1000)).min(self.now_us);
        Ok(ReviewLabel { reviewer, at_us, ..label })
    }
}
