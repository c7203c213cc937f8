//! What is known of one answer before anybody looked at it, as numbers.

use baton_config::Plan;
use baton_core::{CheckResult, ModelId, Severity};

/// What an answer showed of itself.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Who gave it.
    pub model: &'a ModelId,
    /// What its checks said.
    pub checks: &'a [CheckResult],
    /// Whether it had to be repaired.
    pub repaired: bool,
    /// The judge's score, in [0, 1], where there is one.
    pub judge: Option<f64>,
}

/// The same numbers in the same order for all answers of a lineage.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// The judge's score, in [0, 1].
    pub judge: Option<f64>,
    /// Whether it had to be repaired.
    pub repaired: bool,
    /// What each check that is a signal said, in [0, 1]; NaN where it was not asked.
    pub signals: Vec<f64>,
    /// Who gave it: its place among the candidates.
    pub model: Option<usize>,
    pub(super) models: usize,
}

/// A score of 0 or 1 is that of a verdict without a probability: no odds are infinite.
const JUDGE_EDGE: f64 = 0.01;

impl Features {
    /// Of an answer of this plan.
    #[must_use]
    pub fn of(plan: &Plan, seen: &Seen<'_>) -> Self {
        let declared = plan.checks.iter().filter(|check| check.on_fail == Severity::Signal).count();
        let said = seen.checks.iter().filter(|check| check.severity == Severity::Signal);
        let mut signals: Vec<f64> = said.map(|check| check.score.unwrap_or(f64::from(check.passed))).collect();
        signals.resize(declared, f64::NAN);
        Self {
            judge: seen.judge,
            repaired: seen.repaired,
            signals,
            model: plan.candidates.iter().position(|candidate| candidate.id == *seen.model),
            models: plan.candidates.len(),
        }
    }

    /// The same answer with what a judge said of it.
    #[must_use]
    pub fn with_judge(self, judge: Option<f64>) -> Self {
        Self { judge, ..self }
    }

    /// Ranks answers before any label says how: the judge's score first, then the share of signals
    /// that passed. What says nothing of an answer is the same for all of them.
    #[must_use]
    pub fn rank(&self) -> f64 {
        let asked: Vec<f64> = self.signals.iter().copied().filter(|signal| signal.is_finite()).collect();
        #[expect(clippy::cast_precision_loss, reason = "a number of checks")]
        let passed = if asked.is_empty() { 1.0 } else { asked.iter().sum::<f64>() / asked.len() as f64 };
        self.judge.unwrap_or(0.0) + 0.1 * passed - if self.repaired { 0.05 } else { 0.0 }
    }

    /// For the fusion; NaN is unknown.
    #[must_use]
    pub fn numbers(&self) -> Vec<f64> {
        let odds = |p: f64| {
            let p = p.clamp(JUDGE_EDGE, 1.0 - JUDGE_EDGE);
            (p / (1.0 - p)).ln()
        };
        let model = (0..self.models).map(|place| f64::from(self.model == Some(place)));
        [self.judge.map_or(f64::NAN, odds), f64::from(self.repaired)]
            .into_iter()
            .chain(self.signals.iter().copied())
            .chain(model)
            .collect()
    }
}
