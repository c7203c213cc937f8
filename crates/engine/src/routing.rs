//! What routing knows: read from the store beside the request path, which only looks it up; and who
//! answered a session last.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use baton_config::Plan;
use baton_core::{ExecutionId, ModelId, NanoUsd, Prices, Record, Strategy, TeamId, Usage, Via};
use baton_eval::{RoutedOutcome, RoutingKnown, score_meaning};
use baton_store::{ExecutionFilter, Label, Store, StoreError};

use crate::call::Call;
use crate::engine::Engine;
use crate::learn::{WINDOW_US, by_team};
use crate::resolve::Request;

/// How often what is known follows the traffic where nobody labels anything.
const REFRESH_US: i64 = 30 * 1_000_000;
/// Recent answers whose tokens say what the next one takes.
const RECENT: usize = 300;
/// Judgements of a team's intent that are looked at: the latest.
const SCORES_MAX: usize = 2000;
/// Answers of which it is remembered who gave them.
const MODELS_MAX: usize = 50_000;
/// Sessions that are remembered in each of two generations.
const SESSIONS_MAX: usize = 16_384;

/// What is known of one intent's models, for one team.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) routing: RoutingKnown,
    /// Tokens of an answer by model, on average.
    tokens: HashMap<ModelId, Usage>,
    /// The same of all models, for one that was not asked of late.
    all: Option<Usage>,
}

impl Known {
    /// What an answer of a model is expected to cost.
    pub(crate) fn cost(&self, model: &ModelId, prices: &Prices, unix_us: i64) -> Option<NanoUsd> {
        prices.cost(self.tokens.get(model).or(self.all.as_ref())?, unix_us)
    }
}

/// See the module. Of each team and lineage.
#[derive(Default)]
pub(crate) struct Routing {
    known: ArcSwap<HashMap<(TeamId, String), Arc<Known>>>,
    pass: tokio::sync::Mutex<Pass>,
    sessions: Mutex<Sessions>,
}

/// What a pass knows of those before it.
#[derive(Default)]
struct Pass {
    /// As the labels were, and when that was.
    seen: Option<((i64, u64), i64)>,
    models: HashMap<ExecutionId, ModelId>,
}

/// Who answered a session last. The older of two generations is forgotten when the younger is full.
#[derive(Default)]
struct Sessions {
    young: HashMap<u64, ModelId>,
    old: HashMap<u64, ModelId>,
}

impl Routing {
    /// What is known for a team's calls.
    pub(crate) fn of(&self, team: &TeamId, lineage: &str) -> Option<Arc<Known>> {
        let all = self.known.load();
        if all.is_empty() { None } else { all.get(&(team.clone(), lineage.to_owned())).map(Arc::clone) }
    }

    /// Who answered this session of the intent last.
    pub(crate) fn last(&self, session: u64) -> Option<ModelId> {
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.young.get(&session).or_else(|| sessions.old.get(&session)).cloned()
    }

    /// An answer was given: where its session is to stay, it is known by whom.
    pub(crate) fn answered(&self, call: &Call, request: &Request, record: &Record) {
        let (Some(session), Some(model)) = (session(call, request), &record.model) else { return };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.young.len() >= SESSIONS_MAX {
            sessions.old = std::mem::take(&mut sessions.young);
        }
        sessions.young.insert(session, model.clone());
    }
}

/// A call's session in its team and intent, where the intent's sessions stay with a model.
pub(crate) fn session(call: &Call, request: &Request) -> Option<u64> {
    let plan = &request.intent.as_ref().filter(|intent| intent.plan.route.sticky)?.plan;
    let mut hasher = DefaultHasher::new();
    (&request.scope.team, &plan.name, call.session.as_ref()?).hash(&mut hasher);
    Some(hasher.finish())
}

/// Reads what labels and judges say of the models of every intent that is routed by it.
pub(crate) async fn refresh(engine: &Engine) -> Result<(), StoreError> {
    let live = engine.live();
    let by_quality = |plan: &Plan| matches!(plan.route.strategy, Strategy::Cheapest | Strategy::Fastest);
    if !live.intents.values().any(|intent| by_quality(&intent.plan)) {
        return Ok(());
    }
    let mut pass = engine.routing.pass.lock().await;
    let (mark, now_us) = (engine.store.labels_mark().await?, engine.clock.unix_us());
    if pass.seen.is_some_and(|(seen, at)| seen == mark && now_us - at < REFRESH_US) {
        return Ok(());
    }
    let mut known = HashMap::new();
    for intent in live.intents.values().filter(|intent| by_quality(&intent.plan)) {
        let plan = &intent.plan;
        for (team, labels) in by_team(&engine.store, plan, now_us).await? {
            let of = gathered(engine, &mut pass.models, plan, (&team, &labels)).await?;
            known.insert((team, plan.hashes.lineage.clone()), Arc::new(of));
        }
    }
    engine.routing.known.store(Arc::new(known));
    pass.seen = Some((mark, now_us));
    Ok(())
}

/// All that the store knows of a team's answers to an intent.
async fn gathered(
    engine: &Engine,
    models: &mut HashMap<ExecutionId, ModelId>,
    plan: &Plan,
    (team, labels): (&TeamId, &[Label]),
) -> Result<Known, StoreError> {
    let (store, now_us) = (&engine.store, engine.clock.unix_us());
    if models.len() > MODELS_MAX {
        models.clear();
    }
    let filter = ExecutionFilter { intent: Some(plan.name.clone()), limit: RECENT, ..ExecutionFilter::default() };
    let mut recent = store.executions(team, filter).await?;
    recent.retain(|record| record.lineage == plan.hashes.lineage);
    for record in recent.iter().filter(|record| record.via == Some(Via::Model)) {
        models.extend(record.model.clone().map(|model| (record.execution, model)));
    }
    let mut labelled = Vec::new();
    for label in labels {
        // Only what was drawn is a sample of the answers.
        let Some(pi) = label.probability else { continue };
        if let Some(model) = model_of(store, models, team, label.execution).await? {
            labelled.push(RoutedOutcome { model, at_us: label.at_us, good: f64::from(label.pass), weight: 1.0 / pi });
        }
    }
    let scores = store.evidence(team, &plan.hashes.lineage, now_us - WINDOW_US).await?;
    let said: HashMap<ExecutionId, bool> = labels.iter().map(|label| (label.execution, label.pass)).collect();
    let both = scores.iter().filter_map(|score| Some((score.result.value()?, *said.get(&score.execution)?)));
    let mut judged = Vec::new();
    if let Some(meaning) = score_meaning(&both.collect::<Vec<_>>()) {
        for score in scores.iter().rev().filter(|score| score.drawn).take(SCORES_MAX) {
            let Some(value) = score.result.value() else { continue };
            if let Some(model) = model_of(store, models, team, score.execution).await? {
                let (good, weight) = (meaning.apply(value), 1.0 / score.probability);
                judged.push(RoutedOutcome { model, at_us: score.at_us, good, weight });
            }
        }
    }
    let objective = &plan.objective;
    let routing = RoutingKnown::of(vec![labelled, judged], now_us, objective.quality, objective.confidence);
    let (tokens, all) = tokens(&recent);
    Ok(Known { routing, tokens, all })
}

/// Who gave an answer; nobody, where it was remembered: an answer that is asked for often is one all the same.
async fn model_of(
    store: &Store,
    models: &mut HashMap<ExecutionId, ModelId>,
    team: &TeamId,
    execution: ExecutionId,
) -> Result<Option<ModelId>, StoreError> {
    if let Some(model) = models.get(&execution) {
        return Ok(Some(model.clone()));
    }
    let model = store
        .execution(team, execution)
        .await?
        .filter(|record| record.via == Some(Via::Model))
        .and_then(|record| record.model);
    models.extend(model.clone().map(|model| (execution, model)));
    Ok(model)
}

/// Tokens of an answer on average, by model and of all.
fn tokens(recent: &[Record]) -> (HashMap<ModelId, Usage>, Option<Usage>) {
    let mut sums: HashMap<ModelId, (Usage, u64)> = HashMap::new();
    let mut all = (Usage::default(), 0);
    let add = |sum: &mut (Usage, u64), usage: Usage| {
        sum.0 += usage;
        sum.1 += 1;
    };
    for attempt in recent.iter().flat_map(|record| &record.attempts) {
        let Some(usage) = attempt.usage.filter(|_| attempt.outcome.answered()) else {
            continue;
        };
        let sum = sums.entry(attempt.model.clone()).or_default();
        add(sum, usage);
        // What answers inside this process takes no tokens.
        if attempt.model.as_str() != "local" {
            add(&mut all, usage);
        }
    }
    let mean = |(sum, count): (Usage, u64)| Usage {
        input_tokens: sum.input_tokens.div_ceil(count),
        output_tokens: sum.output_tokens.div_ceil(count),
        cached_tokens: sum.cached_tokens / count,
        ..Usage::default()
    };
    let by_model = sums.into_iter().map(|(model, sum)| (model, mean(sum))).collect();
    (by_model, (all.1 > 0).then(|| mean(all)))
}
