//! Which of two candidates' answers a judge prefers, where nobody said which is right: each pair is shown
//! in both orders, and one that goes by the order counts as a tie.

use std::collections::BTreeMap;

use baton_config::{PAIR_SUFFIX, Plan, canonical};
use baton_core::CallConfig;
use baton_engine::{Call, Orchestrator};
use baton_eval::{Better, Paired, better, paired};
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::grade::text_of;
use crate::{Case, Column};

/// What a judge said of the pairs that it was shown.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Preferences {
    /// By the place of the case; `None` where the judge gave no verdict.
    #[serde(skip)]
    pub by_case: BTreeMap<usize, Option<Paired>>,
    /// Pairs of which it prefers the baseline's answer in both orders.
    pub baseline_better: usize,
    /// Pairs of which it prefers the candidate's.
    pub candidate_better: usize,
    /// Pairs of which it prefers neither in both orders.
    pub ties: usize,
    /// Pairs of which it says something else when their order is turned round.
    pub order_decides: usize,
    /// Pairs of which it said nothing: no verdict is no verdict.
    pub no_verdict: usize,
    /// Pairs beyond the most that are shown.
    pub not_shown: usize,
}

/// How pairs are shown.
#[derive(Clone, Copy, Debug)]
pub struct Shown {
    /// Pairs at the most: each costs two calls.
    pub pairs_max: usize,
    /// Calls at a time, at least 1.
    pub max_concurrency: usize,
}

/// Has the intent's judge compare the two answers of each of these cases, where they differ. The
/// orchestrator has to be of a configuration where the intent has a judge.
pub async fn prefer(
    (baton, plan): (&Orchestrator, &Plan),
    cases: &[Case],
    (baseline, candidate): (&Column, &Column),
    wanted: impl Fn(&Case) -> bool,
    shown: Shown,
) -> Preferences {
    let pairs = baseline.cells.iter().zip(&candidate.cells).filter_map(|(a, b)| {
        let case = cases.get(a.case).filter(|case| wanted(case))?;
        let (Some(ours), Some(theirs)) = (&a.given.output, &b.given.output) else { return None };
        let both = a.grade.passed && b.grade.passed && canonical(ours) != canonical(theirs);
        both.then(|| (a.case, case, text_of(&plan.kind, ours), text_of(&plan.kind, theirs)))
    });
    let pairs: Vec<(usize, &Case, String, String)> = pairs.collect();
    let mut said = Preferences { not_shown: pairs.len().saturating_sub(shown.pairs_max), ..Preferences::default() };
    let work = pairs.into_iter().take(shown.pairs_max).map(|(place, case, ours, theirs)| async move {
        let asked = plan.messages(&case.input).unwrap_or_default();
        let asked = asked.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n\n");
        let ask = async |first: &str, second: &str| compared(baton, plan, (&asked, first, second)).await;
        (place, paired(ask(&ours, &theirs).await, ask(&theirs, &ours).await))
    });
    let mut done = futures_util::stream::iter(work).buffer_unordered(shown.max_concurrency.max(1));
    while let Some((place, verdict)) = done.next().await {
        let count = match verdict {
            Some(Paired::A) => &mut said.baseline_better,
            Some(Paired::B) => &mut said.candidate_better,
            Some(Paired::Tie) => &mut said.ties,
            Some(Paired::Disagrees) => &mut said.order_decides,
            None => &mut said.no_verdict,
        };
        *count += 1;
        said.by_case.insert(place, verdict);
    }
    said
}

async fn compared(baton: &Orchestrator, plan: &Plan, (asked, first, second): (&str, &str, &str)) -> Option<Better> {
    let input: Value = json!({ "asked": asked, "first": first, "second": second });
    let config = CallConfig { cache_ttl: Some(0), ..CallConfig::default() };
    let call = Call { config, ..Call::intent(&format!("{}{PAIR_SUFFIX}", plan.name), input) };
    let delivered = baton.execute(call).await.ok()?;
    better(&delivered.answer.output)
}

impl Preferences {
    /// In a sentence.
    #[must_use]
    pub fn told(&self, judge: &str) -> String {
        let pairs = self.by_case.len();
        let mut told = format!(
            "{judge} compared {pairs} pairs of answers in both orders: the candidate's is better in {}, the \
             baseline's in {}, neither in {}; in {} the order decided, which counts as a tie.",
            self.candidate_better, self.baseline_better, self.ties, self.order_decides
        );
        for (count, why) in [(self.no_verdict, "had no verdict"), (self.not_shown, "were not shown to it")] {
            if count > 0 {
                told.push_str(&format!(" {count} {why}: either may be better."));
            }
        }
        told.push_str(" That is a judge's word, not people's.");
        told
    }
}
