//! A rollout: a candidate model takes over from the present one by steps of the live traffic. Pure: how it
//! stands and what is known go in, what happens next comes out.

use baton_stats::Rollout;
use serde::{Deserialize, Serialize};

use crate::ModelId;

/// A step or a promotion is wrong at most so often, however often it is looked; a roll-back, too.
pub const ROLLOUT_DELTA: f64 = 0.05;

/// What says how good the answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RolloutBasis {
    /// People, of answers that were drawn for review.
    Labels,
    /// The intent's judge, of answers that were drawn for it.
    Judge,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum RolloutStage {
    /// The candidate has the share of this step.
    Running {
        /// Its place among the steps.
        step: usize,
    },
    /// The candidate is asked before the present model.
    Promoted,
    /// The present model is asked before the candidate, until a person says otherwise.
    RolledBack,
    /// The intent's own route is in force.
    Released,
}

impl RolloutStage {
    /// The name in metrics, and of the event that led there.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running { .. } => "running",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
            Self::Released => "released",
        }
    }
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutState {
    /// When it began, Unix microseconds: what tells it from others of its intent.
    pub began_us: i64,
    /// The present model.
    pub from: ModelId,
    /// The candidate.
    pub to: ModelId,
    /// How much worse still counts as equal, as a share of the answers.
    pub margin: f64,
    /// The candidate's shares, one after the other, each above 0 and below 1.
    pub steps: Vec<f64>,
    /// What says how good answers are.
    pub basis: RolloutBasis,
    /// How far it is.
    #[serde(flatten)]
    pub stage: RolloutStage,
}

/// Who was drawn for one call: part of its record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RolloutDraw {
    /// When the rollout began, Unix microseconds.
    pub began_us: i64,
    /// The present model.
    pub from: ModelId,
    /// The candidate.
    pub to: ModelId,
    /// The probability with which the candidate was to be drawn; 0 and 1 are no draws.
    pub share: f64,
    /// Whether it was.
    pub candidate: bool,
}

impl RolloutState {
    /// The candidate's share of the calls; `None` where the intent's own route is in force.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        match self.stage {
            RolloutStage::Running { step } => self.steps.get(step).copied(),
            RolloutStage::Promoted => Some(1.0),
            RolloutStage::RolledBack => Some(0.0),
            RolloutStage::Released => None,
        }
    }

    /// Draws by a number that is uniform in [0, 1). One that was the candidate's with a smaller share is so
    /// with a larger one.
    #[must_use]
    pub fn draw(&self, uniform: f64) -> Option<RolloutDraw> {
        let share = self.share()?;
        let (began_us, from, to) = (self.began_us, self.from.clone(), self.to.clone());
        Some(RolloutDraw { began_us, from, to, share, candidate: uniform < share })
    }

    /// The share that comes next, and how much worse at most the candidate must be shown to be for that:
    /// so little that with that share the whole intent would lose no more than the margin.
    #[must_use]
    pub fn next(&self) -> Option<(f64, f64)> {
        let RolloutStage::Running { step } = self.stage else { return None };
        let share = self.steps.get(step + 1).copied().unwrap_or(1.0);
        Some((share, (self.margin / share).min(1.0)))
    }
}

impl RolloutDraw {
    /// The model that was drawn.
    #[must_use]
    pub fn drawn(&self) -> &ModelId {
        if self.candidate { &self.to } else { &self.from }
    }
}

/// What is known of both, each as outcomes of calls that were drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RolloutKnown {
    /// Whether the model that was drawn gave an answer in time that passed the intent's checks.
    pub served: Rollout,
    /// What people said of its answers.
    pub labels: Rollout,
    /// What the judge said of its answers.
    pub judge: Rollout,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolloutMove {
    /// To the next share.
    Step(usize),
    /// The candidate takes over.
    Promote,
    /// It does not: this shows that it is worse by more than the margin.
    RollBack(&'static str),
}

impl RolloutKnown {
    /// What says how good the answers are.
    #[must_use]
    pub fn quality(&self, basis: RolloutBasis) -> &Rollout {
        match basis {
            RolloutBasis::Labels => &self.labels,
            RolloutBasis::Judge => &self.judge,
        }
    }

    /// What this means for a rollout; `None` is that it goes on as it does.
    ///
    /// A candidate that is worse by the margin or more, in what is served or in quality, is promoted with
    /// probability at most [`ROLLOUT_DELTA`], for each of the two must be shown. One that is not is rolled
    /// back with at most the same, divided among the three that may show it.
    #[must_use]
    pub fn decide(&self, state: &RolloutState) -> Option<RolloutMove> {
        let RolloutStage::Running { step } = state.stage else { return None };
        let all = [("answers served in time", &self.served), ("labels", &self.labels), ("the judge", &self.judge)];
        let each = ROLLOUT_DELTA / all.len() as f64;
        if let Some((what, _)) = all.iter().find(|(_, known)| known.worse(state.margin, each)) {
            return Some(RolloutMove::RollBack(what));
        }
        let (_, least) = state.next()?;
        let shown = [&self.served, self.quality(state.basis)].iter().all(|known| known.not_worse(least, ROLLOUT_DELTA));
        let last = step + 1 >= state.steps.len();
        shown.then_some(if last { RolloutMove::Promote } else { RolloutMove::Step(step + 1) })
    }
}

#[cfg(test)]
mod tests {
    use baton_stats::{RolloutOutcome, SplitMix64};

    use super::*;

    fn state(margin: f64) -> RolloutState {
        RolloutState {
            began_us: 1,
            from: "sim/a".into(),
            to: "sim/b".into(),
            margin,
            steps: vec![0.05, 0.25, 0.5],
            basis: RolloutBasis::Labels,
            stage: RolloutStage::Running { step: 0 },
        }
    }

    /// A rollout of up to `calls`, looked at after each, half of whose answers are labelled. Both serve and
    /// are good with their probabilities. The end, and after how many calls.
    fn played(seed: u64, [a, b]: [(f64, f64); 2], margin: f64, calls: usize) -> (RolloutStage, usize) {
        let (mut rng, mut state, mut known) = (SplitMix64::new(seed), state(margin), RolloutKnown::default());
        for call in 0..calls {
            let draw = state.draw(rng.next_f64()).unwrap();
            let (served, good) = if draw.candidate { b } else { a };
            let served = rng.next_f64() < served;
            let one =
                RolloutOutcome { candidate: draw.candidate, good: f64::from(served), share: draw.share, drawn: 1.0 };
            known.served.push(one);
            if served && rng.next_f64() < 0.5 {
                known.labels.push(RolloutOutcome { good: f64::from(rng.next_f64() < good), drawn: 0.5, ..one });
            }
            // Looking costs a pass over all outcomes; what is shown once stays shown.
            if call % 50 == 49 {
                state.stage = match known.decide(&state) {
                    None => state.stage,
                    Some(RolloutMove::Step(step)) => RolloutStage::Running { step },
                    Some(RolloutMove::Promote) => return (RolloutStage::Promoted, call + 1),
                    Some(RolloutMove::RollBack(_)) => return (RolloutStage::RolledBack, call + 1),
                };
            }
        }
        (state.stage, calls)
    }

    fn ends(truth: [(f64, f64); 2], worlds: u64, calls: usize) -> (usize, usize) {
        let all: Vec<RolloutStage> = (0..worlds).map(|seed| played(seed, truth, 0.1, calls).0).collect();
        let count = |stage| all.iter().filter(|other| **other == stage).count();
        (count(RolloutStage::Promoted), count(RolloutStage::RolledBack))
    }

    #[test]
    fn equal_models_are_promoted_and_worse_ones_rolled_back() {
        let (promoted, back) = ends([(0.99, 0.9), (0.99, 0.9)], 30, 6_000);
        assert!(promoted >= 28 && back <= 1, "{promoted} {back}");
        // A third of the answers are bad.
        let (promoted, back) = ends([(0.99, 0.9), (0.99, 0.6)], 30, 6_000);
        assert!(promoted == 0 && back >= 29, "{promoted} {back}");
    }

    #[test]
    fn a_dead_model_is_rolled_back_at_its_first_step_without_a_label() {
        for seed in 0..30 {
            let (stage, calls) = played(seed, [(0.99, 0.9), (0.0, 0.9)], 0.05, 2_000);
            assert!(stage == RolloutStage::RolledBack && calls <= 800, "{stage:?} after {calls}");
        }
    }

    #[test]
    fn without_a_word_on_quality_it_stays_where_it_is() {
        let mut known = RolloutKnown::default();
        for n in 0..5_000 {
            known.served.push(RolloutOutcome { candidate: n % 20 == 0, good: 1.0, share: 0.05, drawn: 1.0 });
        }
        assert_eq!(known.decide(&state(0.05)), None);
    }

    #[test]
    fn steps_risk_no_more_than_the_margin_for_the_whole_intent() {
        let at = |step| RolloutState { stage: RolloutStage::Running { step }, ..state(0.02) }.next().unwrap();
        assert_eq!([at(0), at(1), at(2)], [(0.25, 0.08), (0.5, 0.04), (1.0, 0.02)]);
        for (stage, share) in
            [(RolloutStage::Promoted, Some(1.0)), (RolloutStage::RolledBack, Some(0.0)), (RolloutStage::Released, None)]
        {
            let ended = RolloutState { stage, ..state(0.02) };
            assert_eq!((ended.share(), ended.next()), (share, None));
            assert_eq!(RolloutKnown::default().decide(&ended), None);
        }
    }
}
