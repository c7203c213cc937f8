//! What the judge and people said while all was well: what a watch begins with.

use std::collections::HashMap;

use baton_core::{ExecutionId, Score, TeamId};
use baton_stats::{Cusum, Monitor};
use baton_store::{Label, LabelQuery, Store, StoreError};

use super::state::Gold;
use crate::learn::WINDOW_US;

/// Labels that are read at the most.
const LABELS_MAX: usize = 10_000;
const PAGE: usize = 1000;
/// Gold answers at the most, the latest.
pub(super) const GOLD_MAX: usize = 200;
/// From here on a judge's score is a pass.
pub(super) const PASSES_FROM: f64 = 0.5;

/// Of which answers, and since when.
pub(super) struct Asked<'a> {
    pub(super) team: &'a TeamId,
    pub(super) lineage: &'a str,
    pub(super) evaluator: &'a str,
    pub(super) since_us: i64,
    pub(super) now_us: i64,
}

/// What was said.
pub(super) struct Reference {
    pub(super) monitor: Monitor,
    /// Labelled and judged, the latest first; whether their content is stored is not known here.
    pub(super) gold: Vec<Gold>,
    /// When the last of the scores was given.
    pub(super) scores_us: i64,
}

/// Too little was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short {
    /// `scores` or `labels`.
    pub(super) what: &'static str,
    pub(super) needed: u64,
    pub(super) has: u64,
}

/// What was said of these answers since, in the last 30 days.
pub(super) async fn read(store: &Store, asked: &Asked<'_>) -> Result<Result<Reference, Short>, StoreError> {
    let since_us = asked.since_us.max(asked.now_us - WINDOW_US);
    let scores = store.evidence(asked.team, asked.lineage, since_us).await?;
    let values: Vec<f64> = scores.iter().filter_map(|score| drawn(score, asked.evaluator)).collect();
    let of = |what| move |needs: baton_stats::Needs| Short { what, needed: needs.needed, has: needs.has };
    if let Err(short) = Cusum::new(&values).map_err(of("scores")) {
        return Ok(Err(short));
    }
    let labels = labels(store, (asked.team, asked.lineage), since_us).await?;
    let (good, count) = uniform(&labels);
    let monitor = match Monitor::new(&values, good, count).map_err(of("labels")) {
        Ok(monitor) => monitor,
        Err(short) => return Ok(Err(short)),
    };
    let own = scores.iter().filter(|score| score.evaluator == asked.evaluator);
    let said: HashMap<ExecutionId, f64> = own.filter_map(|s| Some((s.execution, s.result.value()?))).collect();
    let judged = labels.iter().rev().filter_map(|label| {
        let passed = *said.get(&label.execution)? >= PASSES_FROM;
        Some(Gold { execution: label.execution, passed })
    });
    let scores_us = scores.last().map_or(since_us, |score| score.at_us);
    Ok(Ok(Reference { monitor, gold: judged.take(GOLD_MAX).collect(), scores_us }))
}

/// A score of a random answer by this judge. One that was judged because people were to see it is of a
/// riskier kind, and there are more of those during an alarm.
pub(super) fn drawn(score: &Score, evaluator: &str) -> Option<f64> {
    (score.drawn && score.evaluator == evaluator).then(|| score.result.value()).flatten()
}

/// The settled labels of drawn answers that were given since, the oldest answer first; of very many the latest.
pub(super) async fn labels(
    store: &Store,
    (team, lineage): (&TeamId, &str),
    since_us: i64,
) -> Result<Vec<Label>, StoreError> {
    let first = ExecutionId::new(u64::try_from(since_us / 1000).unwrap_or_default(), [0; 10]);
    let (lineage, team) = (lineage.to_owned(), Some(team.clone()));
    let mut query = LabelQuery { lineage, team, before: None, limit: PAGE };
    let mut all: Vec<Label> = Vec::new();
    loop {
        let page = store.labels(&query).await?;
        let last = page.last().map(|label| label.execution).filter(|last| page.len() == PAGE && *last > first);
        let since = page.into_iter().filter(|label| label.execution > first);
        all.extend(since.filter(|label| label.settled && !label.rejected && label.probability.is_some()));
        match last.filter(|_| all.len() < LABELS_MAX) {
            Some(last) => query.before = Some(last),
            None => break,
        }
    }
    all.reverse();
    Ok(all)
}

/// Of how many uniformly drawn answers these labels are worth, and how many of those are good: weighted
/// by 1 / π, with Kish's effective sample size (Survey Sampling, 1965, section 11.7).
fn uniform(labels: &[Label]) -> (u64, u64) {
    let weight = |label: &Label| 1.0 / label.probability.unwrap_or(1.0).max(1e-6);
    let (mut sum, mut squares, mut good) = (0.0, 0.0, 0.0);
    for label in labels {
        let weight = weight(label);
        sum += weight;
        squares += weight * weight;
        good += if label.pass { weight } else { 0.0 };
    }
    if sum <= 0.0 {
        return (0, 0);
    }
    // What rounding took from a whole number is no label less.
    let worth = (sum * sum / squares + 1e-9).floor();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not above the number of labels")]
    let counts = ((worth * good / sum).round() as u64, worth as u64);
    counts
}

#[cfg(test)]
mod tests {
    use baton_core::LabelSource;

    use super::*;

    fn label(pass: bool, probability: f64) -> Label {
        Label {
            execution: ExecutionId::new(1, [0; 10]),
            team: TeamId::new("default"),
            partition: Vec::new(),
            via: None,
            probability: Some(probability),
            rejected: false,
            pass,
            criteria: Default::default(),
            settled: true,
            source: LabelSource::Review,
            correction: None,
            at_us: 0,
        }
    }

    #[test]
    fn labels_weigh_by_how_rarely_they_are_drawn() {
        let even: Vec<Label> = (0..30).map(|n| label(n % 3 != 0, 0.2)).collect();
        assert_eq!(uniform(&even), (20, 30));
        // Ten bad ones drawn four times as often as thirty good ones: they stand for 2.5 of 32.5.
        let bad = (0..10).map(|_| label(false, 0.4));
        let risky: Vec<Label> = (0..30).map(|_| label(true, 0.1)).chain(bad).collect();
        // Weights 300 + 25, squares 3000 + 62.5: worth 34.49.
        assert_eq!(uniform(&risky), (31, 34));
        assert_eq!(uniform(&[]), (0, 0));
    }
}
