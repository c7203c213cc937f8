//! Simulated worlds: two models whose truth is known, the real rules, looked at again and again.

use baton_core::{RolloutBasis, RolloutKnown, RolloutMove, RolloutStage, RolloutState};
use baton_stats::{RolloutOutcome, SplitMix64, quantile};

use crate::parallel::parallel;

/// The share of answers that somebody says something of.
const LABELLED: f64 = 0.5;
/// Calls between two looks. What was shown at any time between them counts: bets remember their largest.
const LOOK: usize = 100;

/// A world's truth: how often each model serves, and how often it is good; the present one first.
pub(super) struct Truth {
    pub(super) name: &'static str,
    pub(super) served: [f64; 2],
    pub(super) good: [f64; 2],
}

/// The worlds: as good, exactly as bad as the margin, much worse, dead. At the margin a false promotion is
/// likeliest.
pub(super) fn truths(margin: f64) -> [Truth; 4] {
    let truth = |name, candidate: (f64, f64)| Truth { name, served: [0.99, candidate.0], good: [0.9, candidate.1] };
    [
        truth("equal", (0.99, 0.9)),
        truth("worse by the margin", (0.99, 0.9 - margin)),
        truth("a third bad", (0.99, 0.6)),
        truth("dead", (0.0, 0.9)),
    ]
}

/// How the worlds of one truth ended.
pub(super) struct Ends {
    pub(super) worlds: usize,
    pub(super) promoted: usize,
    pub(super) rolled_back: usize,
    /// Calls to the end, of half of those that ended.
    pub(super) calls: Option<f64>,
    /// Of all calls, the share that the candidate had.
    pub(super) exposed: f64,
}

pub(super) fn ends(truth: &Truth, margin: f64, (worlds, calls, seed): (usize, usize, u64)) -> Ends {
    let seeds: Vec<u64> = (0..worlds as u64).map(|world| seed.wrapping_add(world)).collect();
    let played = parallel(&seeds, |_, seed| play(truth, margin, (*seed, calls)));
    let count = |stage| played.iter().filter(|end| end.stage == stage).count();
    let over = |end: &&End| !matches!(end.stage, RolloutStage::Running { .. });
    let took: Vec<f64> = played.iter().filter(over).map(|end| end.calls as f64).collect();
    let (candidate, all) = played.iter().fold((0, 0), |sum, end| (sum.0 + end.candidate, sum.1 + end.calls));
    Ends {
        worlds,
        promoted: count(RolloutStage::Promoted),
        rolled_back: count(RolloutStage::RolledBack),
        calls: quantile(&took, 0.5),
        exposed: candidate as f64 / all.max(1) as f64,
    }
}

struct End {
    stage: RolloutStage,
    calls: usize,
    candidate: usize,
}

fn play(truth: &Truth, margin: f64, (seed, calls): (u64, usize)) -> End {
    let mut rng = SplitMix64::new(seed);
    let (basis, stage) = (RolloutBasis::Labels, RolloutStage::Running { step: 0 });
    let steps = vec![0.05, 0.25, 0.5];
    let mut state = RolloutState { began_us: 1, from: "a".into(), to: "b".into(), margin, steps, basis, stage };
    let (mut known, mut candidate) = (RolloutKnown::default(), 0);
    for call in 1..=calls {
        let Some(draw) = state.draw(rng.next_f64()) else { break };
        let arm = usize::from(draw.candidate);
        candidate += arm;
        let served = rng.next_f64() < truth.served[arm];
        let outcome =
            RolloutOutcome { candidate: draw.candidate, good: f64::from(served), share: draw.share, drawn: 1.0 };
        known.served.push(outcome);
        if served && rng.next_f64() < LABELLED {
            let good = f64::from(rng.next_f64() < truth.good[arm]);
            known.labels.push(RolloutOutcome { good, drawn: LABELLED, ..outcome });
        }
        if call % LOOK == 0 {
            state.stage = match known.decide(&state) {
                None => state.stage,
                Some(RolloutMove::Step(step)) => RolloutStage::Running { step },
                Some(RolloutMove::Promote) => RolloutStage::Promoted,
                Some(RolloutMove::RollBack(_)) => RolloutStage::RolledBack,
            };
            if !matches!(state.stage, RolloutStage::Running { .. }) {
                return End { stage: state.stage, calls: call, candidate };
            }
        }
    }
    End { stage: state.stage, calls, candidate }
}
