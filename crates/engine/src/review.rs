//! Which answers people are asked about: drawn when an execution ends, from its own seed, and told in
//! its record.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use baton_config::{Plan, ReviewSpec, StoreContent};
use baton_core::{ExecutionId, IntentName, Moment, Record, Rejected, ReviewDraw, Status};
use baton_eval::ReviewSampling;
use baton_stats::SplitMix64;

use crate::drift::Raised;
use crate::outcome::Outcome;
use crate::resolve::Request;

/// Of the reviews of a day, those of answers that a gate held back: without them nobody learns what
/// the gate throws away.
const REJECTED_SHARE: f64 = 0.1;
/// The substream of an execution that drawing uses.
const STREAM: u64 = 0x7265_7669_6577;

/// What draws, by intent. It outlives changes of the configuration.
#[derive(Default)]
pub(crate) struct Reviews(Mutex<HashMap<IntentName, Samplings>>);

#[derive(Default)]
struct Samplings {
    answers: ReviewSampling,
    rejected: ReviewSampling,
}

impl Reviews {
    /// Whether and how this execution is to be reviewed.
    pub(crate) fn draw(
        &self,
        request: &Request,
        (record, outcome): (&Record, &Outcome),
        raised: Option<&Raised>,
        now: Moment,
    ) -> Option<ReviewDraw> {
        let plan = &request.intent.as_ref()?.plan;
        let spec = plan.review.as_ref()?;
        let (answered, rejected) = self.probabilities(plan, spec, (record, outcome), now);
        let raised = raised.filter(|_| answered > 0.0);
        let answered = raised.map_or(answered, |raised| raised.probability(answered));
        let mut dice = SplitMix64::new(seed(record.execution)).fork(STREAM);
        let (first, second, double) = (dice.next_f64(), dice.next_f64(), dice.next_f64() < spec.double);
        let adjudicator = spec.adjudicator.clone();
        if first < answered {
            raised.inspect(|raised| raised.drew());
            return Some(ReviewDraw { probability: answered, double, adjudicator, rejected: None });
        }
        let (attempt, output) = outcome.rejected.as_ref()?;
        let output = (plan.privacy.store != StoreContent::Nothing).then(|| output.clone());
        // One item an execution: it is drawn where the answer was not.
        let probability = (1.0 - answered) * rejected;
        let rejected_draw = second < rejected && probability > 0.0;
        let rejected = Some(Rejected { attempt: *attempt, output });
        rejected_draw.then_some(ReviewDraw { probability, double, adjudicator, rejected })
    }

    /// Of the answer that was given, and of the one that was held back; 0 where there is none.
    fn probabilities(
        &self,
        plan: &Plan,
        spec: &ReviewSpec,
        (record, outcome): (&Record, &Outcome),
        now: Moment,
    ) -> (f64, f64) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let samplings = all.entry(plan.name.clone()).or_default();
        let mut answered = 0.0;
        if record.status == Status::Succeeded {
            answered = samplings.answers.probability(spec.per_day, spec.floor, record.quality.score, now);
        }
        let mut rejected = 0.0;
        if outcome.rejected.is_some() {
            rejected = samplings.rejected.probability(spec.per_day * REJECTED_SHARE, 1.0, None, now);
        }
        (answered, rejected)
    }
}

/// The random half of an execution's id.
pub(crate) fn seed(execution: ExecutionId) -> u64 {
    let [.., a, b, c, d, e, f, g, h] = *execution.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
