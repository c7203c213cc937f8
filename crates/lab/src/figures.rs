//! What a candidate's answers add up to: quality with its interval, cost, latency.

use std::collections::BTreeMap;

use baton_config::Plan;
use baton_core::NanoUsd;
use baton_stats::{clopper_pearson_lower, clopper_pearson_upper, quantile};
use serde::Serialize;

use crate::Column;

/// A candidate in figures.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// The candidate.
    pub candidate: String,
    /// How many cases.
    pub cases: usize,
    /// Calls: cases × repetitions.
    pub calls: usize,
    /// Calls that a model answered.
    pub answered: usize,
    /// Calls whose answer is right.
    pub passed: usize,
    /// The share of calls whose answer is right.
    pub quality: f64,
    /// Its exact interval, at the comparison's confidence, with cases as what is counted.
    pub quality_interval: (f64, f64),
    /// The mean score.
    pub score: f64,
    /// Of an extraction: how many calls had each field right, of how many.
    pub fields: BTreeMap<String, (usize, usize)>,
    /// How many calls held each check or assertion, of how many.
    pub checks: BTreeMap<String, (usize, usize)>,
    /// Calls without an answer, by the error's code.
    pub errors: BTreeMap<String, usize>,
    /// What all calls cost, whenever they were made, in dollars; of those whose cost is known.
    pub cost_usd: String,
    /// What this run spent of it.
    pub spent_usd: String,
    /// Calls whose cost is not known.
    pub cost_unknown: usize,
    /// Median milliseconds.
    pub p50_ms: Option<f64>,
    /// Milliseconds that 95 of 100 calls stay within.
    pub p95_ms: Option<f64>,
    /// Calls that an earlier run had made.
    pub cached: usize,
    /// Whether simulated models answered.
    pub simulated: bool,
    /// The intent's promise, held against this.
    pub objective: Objective,
}

/// The intent's objective: the share of the given answers that are right.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Objective {
    /// What is promised.
    pub quality: f64,
    /// With which confidence.
    pub confidence: f64,
    /// The share of right answers among those given.
    pub observed: Option<f64>,
    /// The exact upper bound of that share.
    pub at_most: f64,
    /// Whether the promise is shown not to be kept.
    pub missed: bool,
}

/// Adds a candidate's answers up.
#[must_use]
pub fn figures(column: &Column, plan: &Plan, repeat: u32, confidence: f64) -> Figures {
    let cells = &column.cells;
    let calls = cells.len();
    let cases = calls / repeat.max(1) as usize;
    let passed = cells.iter().filter(|cell| cell.grade.passed).count();
    let (mut fields, mut checks) = (BTreeMap::new(), BTreeMap::new());
    let mut errors = BTreeMap::new();
    for cell in cells {
        count(&mut fields, &cell.grade.fields);
        count(&mut checks, &cell.grade.checks);
        if let Some(refusal) = &cell.given.refusal {
            *errors.entry(refusal.code.clone()).or_insert(0) += 1;
        }
    }
    let cost = |cached_too: bool| -> NanoUsd {
        cells.iter().filter(|cell| cached_too || !cell.cached).filter_map(|cell| cell.given.cost).sum()
    };
    let ms: Vec<f64> = cells.iter().map(|cell| cell.given.ms).collect();
    Figures {
        candidate: column.name.clone(),
        cases,
        calls,
        answered: cells.iter().filter(|cell| cell.given.answered()).count(),
        passed,
        quality: share(passed, calls).unwrap_or_default(),
        quality_interval: interval(passed, calls, cases, confidence),
        score: cells.iter().map(|cell| cell.grade.score).sum::<f64>() / (calls as f64).max(1.0),
        fields,
        checks,
        errors,
        cost_usd: cost(true).to_string(),
        spent_usd: cost(false).to_string(),
        cost_unknown: cells.iter().filter(|cell| cell.given.cost.is_none()).count(),
        p50_ms: quantile(&ms, 0.5),
        p95_ms: quantile(&ms, 0.95),
        cached: cells.iter().filter(|cell| cell.cached).count(),
        simulated: cells.iter().any(|cell| cell.given.simulated),
        objective: objective(column, plan, repeat),
    }
}

/// What was promised of the answers that are given, and whether these show that it is not kept.
fn objective(column: &Column, plan: &Plan, repeat: u32) -> Objective {
    let (quality, confidence) = (plan.objective.quality, plan.objective.confidence);
    let given = || column.cells.iter().filter(|cell| cell.given.answered());
    let (answered, right) = (given().count(), given().filter(|cell| cell.grade.passed).count());
    let (right_cases, cases) = in_cases(right, answered, answered / repeat.max(1) as usize);
    let at_most = clopper_pearson_upper(right_cases, cases, 1.0 - confidence);
    Objective { quality, confidence, observed: share(right, answered), at_most, missed: at_most < quality }
}

fn count(into: &mut BTreeMap<String, (usize, usize)>, of: &BTreeMap<String, bool>) {
    for (name, holds) in of {
        let (held, all) = into.entry(name.clone()).or_insert((0, 0));
        *held += usize::from(*holds);
        *all += 1;
    }
}

fn share(part: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// Repetitions of a case say little more than one: cases are what is counted.
fn in_cases(passed: usize, calls: usize, cases: usize) -> (u64, u64) {
    let right = share(passed, calls).unwrap_or_default() * cases as f64;
    (right.round() as u64, cases as u64)
}

fn interval(passed: usize, calls: usize, cases: usize, confidence: f64) -> (f64, f64) {
    let delta = 0.5 * (1.0 - confidence);
    let (right, cases) = in_cases(passed, calls, cases);
    (clopper_pearson_lower(right, cases, delta), clopper_pearson_upper(right, cases, delta))
}
