//! Route: the candidates in the order to ask.

use std::sync::Arc;
use std::time::Duration;

use baton_config::Plan;
use baton_core::{
    Admission, Candidate, ExecutionId, LaneId, Lanes, Moment, NanoUsd, Prospect, RouteRecord, Strategy, Terms, rank,
};
use baton_stats::SplitMix64;

use crate::call::Call;
use crate::engine::Engine;
use crate::resolve::Request;
use crate::review::seed;
use crate::routing::{Known, session};

/// The substream of an execution that ranking uses, and that of a rollout's draw.
const STREAM: u64 = 0x726f_7574_6500;
const ROLLOUT: u64 = 0x726f_6c6c_6f75;

/// Ranked as the intent declares, or in the order that the call names; with the ranking, where there is
/// one. A model whose provider has several keys stands once for each, the least busy first.
pub(crate) fn route(
    engine: &Engine,
    call: &Call,
    request: &Request,
    execution: ExecutionId,
) -> (Arc<[Candidate]>, Option<RouteRecord>) {
    let declared = request.intent.as_ref().filter(|_| request.limits.models.is_none()).map(|intent| &intent.plan);
    let rolled = |plan: &Arc<Plan>| engine.rollouts.of(&request.scope.team, &plan.name).is_some();
    match declared.filter(|plan| plan.route.strategy != Strategy::Ordered || rolled(plan)) {
        None => (spread(engine, request, &request.candidates), None),
        Some(plan) => {
            let ranking = ranked(engine, call, request, (plan, execution));
            let ordered: Vec<Candidate> =
                ranking.order.iter().map(|place| request.candidates[*place].clone()).collect();
            (spread(engine, request, &ordered), Some(ranking.record))
        }
    }
}

fn spread(engine: &Engine, request: &Request, candidates: &[Candidate]) -> Arc<[Candidate]> {
    let pooled = |candidate: &Candidate| request.live.pool(&candidate.model).is_some();
    if !candidates.iter().any(pooled) {
        return Arc::from(candidates);
    }
    let (lanes, now, seed) = (engine.lanes(), engine.clock.now(), engine.clock.random());
    let spread = |candidate: &Candidate| match request.live.pool(&candidate.model) {
        None => vec![candidate.clone()],
        Some(pool) => {
            let keyed = |place: usize| {
                let key = u32::try_from(place + 1).ok();
                Candidate { lane: pool[place], key, ..candidate.clone() }
            };
            lanes.spread(pool, now, seed).into_iter().map(keyed).collect()
        }
    };
    candidates.iter().flat_map(spread).collect()
}

/// What is known of the candidates, and what the intent makes of that. Reads nothing but memory.
pub(crate) fn ranked(
    engine: &Engine,
    call: &Call,
    request: &Request,
    (plan, execution): (&Plan, ExecutionId),
) -> baton_core::Ranking {
    let known = engine.routing.of(&request.scope.team, &plan.hashes.lineage);
    let session = session(call, request);
    // A session's calls are drawn together, so that they stay together.
    let drawn = SplitMix64::new(session.unwrap_or_else(|| seed(execution)));
    let mut dice = drawn.fork(STREAM);
    let last = session.and_then(|session| engine.routing.last(session));
    let prospects = prospects(engine, request, plan, known.as_deref());
    let terms = Terms {
        strategy: plan.route.strategy,
        floor: plan.objective.quality,
        dual: known.as_ref().map_or(0.0, |known| known.routing.dual),
        in_time: plan.route.in_time,
        explore: plan.route.explore,
        last: last.and_then(|model| prospects.iter().position(|prospect| prospect.model == model)),
        turn: request.cascade.as_ref().and_then(|cascade| {
            let first = cascade.first()?;
            prospects.iter().position(|prospect| prospect.model == *first)
        }),
        dice: (dice.next_f64(), dice.next_f64()),
    };
    let ranking = rank(&prospects, &terms);
    let rollout = engine.rollouts.of(&request.scope.team, &plan.name);
    match rollout.and_then(|rollout| rollout.draw(drawn.fork(ROLLOUT).next_f64())) {
        Some(draw) => ranking.drawn(draw),
        None => ranking,
    }
}

fn prospects(engine: &Engine, request: &Request, plan: &Plan, known: Option<&Known>) -> Vec<Prospect> {
    let spare = engine.budgets.spare(&request.quotas, request.started_at_us);
    let now = engine.clock.now();
    let left = request.answer_by() - now;
    let (lanes, who) = (engine.lanes(), request.policy(false).who);
    let prospect = |(place, candidate): (usize, &Candidate)| {
        let local = candidate.model.as_str() == "local";
        let price = candidate.price.as_ref();
        let cost = if local {
            Some(NanoUsd(0))
        } else {
            price.and_then(|price| known?.cost(&candidate.model, price, request.started_at_us))
        };
        let own = [candidate.lane];
        let pool = request.live.pool(&candidate.model).unwrap_or(&own);
        let wait = |lane: &LaneId| lanes.predicted_wait(*lane, now, &who);
        let speeds = pool
            .iter()
            .filter(|lane| is_open(&lanes, **lane, now))
            .map(|lane| speed(&lanes, (*lane, wait(lane)), now, left));
        let fastest = speeds.min_by_key(|speed| (speed.0.is_none(), speed.0));
        let (latency, in_time) = fastest.unwrap_or_default();
        Prospect {
            model: candidate.model.clone(),
            quality: known.and_then(|known| known.routing.models.get(&candidate.model).copied()),
            careful: local,
            in_time: if local { None } else { in_time },
            latency: if local { Some(Duration::ZERO) } else { latency },
            within_pace: !spare.zip(cost).is_some_and(|(spare, cost)| cost > spare && cost > NanoUsd(0)),
            cost,
            open: fastest.is_some(),
            weight: plan.route.weights.get(place).copied().unwrap_or_default(),
        }
    };
    request.candidates.iter().enumerate().map(prospect).collect()
}

fn is_open(lanes: &Lanes, lane: LaneId, now: Moment) -> bool {
    lanes.peek(lane, now) == Admission::Allowed || lanes.held(lane, now).is_some()
}

/// How long half of a lane's answers take at most, and the probability of one in what is left, each
/// after the wait for a place.
fn speed(
    lanes: &Lanes,
    (lane, wait): (LaneId, Duration),
    now: Moment,
    left: Duration,
) -> (Option<Duration>, Option<f64>) {
    let state = lanes.get(lane);
    let latency = state.answers(now).p50.map(|half| half + wait);
    (latency, state.answers_within(now, left.saturating_sub(wait)))
}
