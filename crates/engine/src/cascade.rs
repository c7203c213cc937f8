//! Asking in turn: after each answer, whether another model is asked before one is given, by who is right
//! together and by which answers are the same.

use baton_config::Plan;
use baton_core::ModelId;
use baton_eval::{Checks, in_force};
use baton_stats::{LatentClasses, Policy, Step};
use serde_json::Value;

/// What an intent with `route = "cascade"` follows.
pub(crate) struct Cascade {
    /// By their bits in the policy.
    models: Vec<ModelId>,
    together: LatentClasses,
    policy: Policy,
}

/// What is made of the answers so far, by their places.
#[derive(Debug, PartialEq)]
pub(crate) struct Turn {
    /// The one that is given, unless another is heard that is better.
    pub(crate) give: usize,
    /// Those that say the same, itself included.
    pub(crate) same: Vec<usize>,
    /// Who is asked before one is given.
    pub(crate) ask: Option<ModelId>,
}

impl Cascade {
    /// At the prices of this time; `None` where the intent has another route, or nothing to learn from.
    pub(crate) fn compile(plan: &Plan, unix_us: i64) -> Option<Self> {
        let (known, together, policy) = in_force(plan, unix_us)?;
        Some(Self { models: known.models.clone(), together, policy })
    }

    /// Who is asked first.
    pub(crate) fn first(&self) -> Option<&ModelId> {
        match self.policy.step(0, 0)? {
            Step::Ask(place) => self.models.get(place),
            Step::Answer(_) => None,
        }
    }

    /// What is made of these answers, at least one, in the order in which they came.
    pub(crate) fn turn(&self, checks: &Checks, answers: &[(&ModelId, &Value)]) -> Turn {
        let bit = |model: &ModelId| Some(1_u16 << self.models.iter().position(|known| known == model)?);
        let same = |a: &Value, b: &Value| checks.compare(a, b).is_some_and(|compared| compared.failed().is_empty());
        let mut camps: Vec<Vec<usize>> = Vec::new();
        for (place, (_, output)) in answers.iter().enumerate() {
            match camps.iter_mut().find(|camp| same(answers[camp[0]].1, output)) {
                Some(camp) => camp.push(place),
                None => camps.push(vec![place]),
            }
        }
        let set = |places: &[usize]| places.iter().map(|place| bit(answers[*place].0)).sum::<Option<u16>>();
        let asked = set(&(0..answers.len()).collect::<Vec<_>>());
        // Of whom nothing is known, nothing is compared: who answered last is given.
        let Some(asked) = asked else {
            let give = answers.len().saturating_sub(1);
            return Turn { give, same: vec![give], ask: None };
        };
        let right = |camp: &Vec<usize>| set(camp).map_or(0.0, |camp| self.together.probability(camp, asked & !camp));
        let best = camps.into_iter().reduce(|best, camp| if right(&camp) > right(&best) { camp } else { best });
        let same = best.unwrap_or_default();
        let ask = match self.policy.step(asked, set(&same).unwrap_or_default()) {
            Some(Step::Ask(place)) => self.models.get(place).cloned(),
            Some(Step::Answer(_)) | None => None,
        };
        Turn { give: same.first().copied().unwrap_or_default(), same, ask }
    }
}
