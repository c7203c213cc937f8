//! Cases from recorded calls: what real users asked, of one team, where privacy kept it.

use std::collections::{BTreeMap, BTreeSet};

use baton_config::{Plan, canonical};
use baton_core::{ExecutionId, IntentName, Status, TeamId};
use baton_store::{ExecutionFilter, FeedbackKind, LabelQuery, Store, StoreError};
use serde_json::Value;

use crate::Case;
use crate::case::Keys;

/// Records asked for at a time.
const PAGE: usize = 500;
/// The most records looked through.
const LOOKED_MAX: usize = 100_000;

/// Whose calls, and how many.
pub struct Wanted {
    /// The team: nothing crosses it.
    pub team: TeamId,
    /// The intent.
    pub intent: IntentName,
    /// At most so many different inputs, the latest first.
    pub limit: usize,
    /// Whether calls of which nobody said what is right are wanted too.
    pub unreviewed: bool,
}

/// What the records gave.
#[derive(Default)]
pub struct Drawn {
    /// The cases; `expected` where somebody said what is right.
    pub cases: Vec<Case>,
    /// The answer that was given then, by the case's key.
    pub given: BTreeMap<String, Value>,
    /// Records without content.
    pub without_content: usize,
    /// Records whose input is not of today's form.
    pub outdated: usize,
    /// Records of an input that a later one has.
    pub repeated: usize,
    /// Records of which nobody said what is right, where those were not wanted.
    pub unreviewed: usize,
}

/// Makes cases of the latest successful calls whose content was kept. What somebody corrected, or
/// sent in the end, is what is expected; else the answer itself, where reviewers passed it.
///
/// # Errors
/// What the store says.
pub async fn from_traffic(store: &Store, plan: &Plan, wanted: &Wanted) -> Result<Drawn, StoreError> {
    let mut drawn = Drawn::default();
    let mut keys = Keys::default();
    let mut seen = BTreeSet::new();
    let passed = passed(store, plan, &wanted.team).await?;
    let (mut before, mut looked) = (None, 0);
    while drawn.cases.len() < wanted.limit && looked < LOOKED_MAX {
        let filter = ExecutionFilter {
            intent: Some(wanted.intent.clone()),
            status: Some(Status::Succeeded),
            limit: PAGE,
            before,
        };
        let page = store.executions(&wanted.team, filter).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.execution);
        looked += page.len();
        for record in page {
            if drawn.cases.len() == wanted.limit {
                break;
            }
            let (Some(input), Some(output)) = (record.input, record.output) else {
                drawn.without_content += 1;
                continue;
            };
            if plan.input_schema.as_ref().is_some_and(|schema| schema.validate(&input).is_err()) {
                drawn.outdated += 1;
                continue;
            }
            if !seen.insert(canonical(&input)) {
                drawn.repeated += 1;
                continue;
            }
            let feedback = store.feedback_of(&wanted.team, record.execution).await?;
            let right = feedback.into_iter().rev().find_map(|feedback| match feedback.kind {
                FeedbackKind::Correction { output } | FeedbackKind::FinalOutput { output } => Some(output),
                FeedbackKind::Score { .. } | FeedbackKind::Label { .. } => None,
            });
            let right = right.or_else(|| passed.contains(&record.execution).then(|| output.clone()));
            let expected = right.filter(|right| fits(plan, right));
            if expected.is_none() && !wanted.unreviewed {
                drawn.unreviewed += 1;
                continue;
            }
            let key = keys.next(&input);
            drawn.given.insert(key.clone(), output);
            let name = record.execution.to_string();
            drawn.cases.push(Case { key, name, input, expected, asserts: Vec::new() });
        }
    }
    Ok(drawn)
}

/// The executions whose answer reviewers passed, with nobody left to ask.
async fn passed(store: &Store, plan: &Plan, team: &TeamId) -> Result<BTreeSet<ExecutionId>, StoreError> {
    let mut passed = BTreeSet::new();
    let (mut before, mut looked) = (None, 0);
    while looked < LOOKED_MAX {
        let lineage = plan.hashes.lineage.clone();
        let query = LabelQuery { lineage, team: Some(team.clone()), before, limit: PAGE };
        let page = store.labels(&query).await?;
        let Some(last) = page.last() else { break };
        before = Some(last.execution);
        looked += page.len();
        passed.extend(page.iter().filter(|label| label.pass && label.settled).map(|label| label.execution));
    }
    Ok(passed)
}

/// A correction of an older form says nothing of today's.
fn fits(plan: &Plan, output: &Value) -> bool {
    plan.output_schema.as_ref().is_none_or(|schema| schema.validate(output).is_ok())
}
