//! The built-in model of each scope: what people verified there, learnt beside the intent's cases.
//!
//! The cases are everybody's; a verified answer is of its scope alone, and so is the model that
//! learnt from it. How precise a model is, and so from where on it answers, is found on cases and
//! verified answers alike by models that had not seen them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use baton_config::{IntentKind, Plan};
use baton_core::{IntentName, Scope, TeamId};
use baton_local::Model;
use baton_store::{Label, StoreError};

use crate::engine::Engine;
use crate::intent::{text_of, train_with};
use crate::learn::by_team;

/// Verified answers before a scope has a model of its own.
const VERIFIED_MIN: usize = 10;
/// Verified answers that a model learns from: the latest.
const VERIFIED_MAX: usize = 2_000;
/// It is trained again when this part more, or fewer, are known.
const AGAIN_PART: usize = 10;
/// Scopes of an intent that have a model of their own: those with the most verified answers.
const SCOPES_MAX: usize = 64;
/// Weights of all those models together: 128 MB.
const WEIGHTS_MAX: usize = 32_000_000;

/// One scope's.
struct Taught {
    model: Arc<Model>,
    /// What it was trained for: cases, labels, promise.
    policy: String,
    /// How many verified answers there were.
    verified: usize,
}

type Of = (IntentName, Scope);

/// See the module.
#[derive(Default)]
pub(crate) struct Locals {
    taught: ArcSwap<HashMap<Of, Arc<Taught>>>,
    /// Held by the pass that runs, with what the one before it saw.
    pass: tokio::sync::Mutex<Option<Mark>>,
}

/// The state of the labels, and of the plans that learn.
type Mark = ((i64, u64), Vec<String>);

impl Locals {
    /// The model of a scope, where people verified enough there for one of its own.
    pub(crate) fn of(&self, plan: &Plan, scope: &Scope) -> Option<Arc<Model>> {
        let all = self.taught.load();
        if all.is_empty() {
            return None;
        }
        let taught = all.get(&(plan.name.clone(), scope.clone()))?;
        (taught.policy == plan.hashes.policy).then(|| Arc::clone(&taught.model))
    }
}

/// Trains the models of scopes in which people verified more since.
pub(crate) async fn teach(engine: &Engine) -> Result<(), StoreError> {
    let live = engine.live();
    let learns = |plan: &Plan| {
        matches!(plan.kind, IntentKind::Classification(_)) && plan.candidates.iter().any(|c| c.id.as_str() == "local")
    };
    let plans: Vec<&Arc<Plan>> = live.intents.values().map(|intent| &intent.plan).filter(|plan| learns(plan)).collect();
    if plans.is_empty() {
        return Ok(());
    }
    let mut seen = engine.locals.pass.lock().await;
    let policies = plans.iter().map(|plan| plan.hashes.policy.clone()).collect();
    let mark = (engine.store.labels_mark().await?, policies);
    if seen.as_ref() == Some(&mark) {
        return Ok(());
    }
    let old = engine.locals.taught.load_full();
    let (mut taught, mut weights) = (HashMap::new(), 0);
    for plan in plans {
        for (scope, labels) in most_verified(engine, plan).await? {
            let of = (plan.name.clone(), scope);
            let one = match old.get(&of).filter(|old| still(old, plan, &labels)) {
                Some(old) => Arc::clone(old),
                None => match train(engine, plan, (&of.1.team, labels)).await? {
                    Some(new) => Arc::new(new),
                    None => continue,
                },
            };
            weights += one.model.weights();
            if weights > WEIGHTS_MAX {
                tracing::warn!(intent = %plan.name, "`local` is taught in no further scopes: their models would take more than 128 MB");
                break;
            }
            taught.insert(of, one);
        }
    }
    engine.locals.taught.store(Arc::new(taught));
    *seen = Some(mark);
    Ok(())
}

/// Forgets what was learnt in a team, where somebody was erased whose words may be in it: the next pass
/// learns what is left, and until then the cases answer.
pub(crate) async fn forget(engine: &Engine, team: &TeamId) {
    let mut seen = engine.locals.pass.lock().await;
    let old = engine.locals.taught.load_full();
    let others = old.iter().filter(|((_, scope), _)| scope.team != *team);
    engine.locals.taught.store(Arc::new(others.map(|(of, taught)| (of.clone(), Arc::clone(taught))).collect()));
    *seen = None;
}

/// The scopes with the most labels that say what is right, and these.
async fn most_verified(engine: &Engine, plan: &Plan) -> Result<Vec<(Scope, Vec<Label>)>, StoreError> {
    let mut scopes: BTreeMap<Scope, Vec<Label>> = BTreeMap::new();
    for (team, labels) in by_team(&engine.store, plan, engine.clock.unix_us()).await? {
        for label in labels.into_iter().filter(|label| label.pass || label.correction.is_some()) {
            let scope = Scope { team: team.clone(), partition: label.partition.clone() };
            scopes.entry(scope).or_default().push(label);
        }
    }
    let mut scopes: Vec<_> = scopes.into_iter().filter(|(_, labels)| labels.len() >= VERIFIED_MIN).collect();
    scopes.sort_by_key(|(_, labels)| std::cmp::Reverse(labels.len()));
    scopes.truncate(SCOPES_MAX);
    Ok(scopes)
}

/// Whether a model need not be trained again.
fn still(old: &Taught, plan: &Plan, labels: &[Label]) -> bool {
    let changed = old.verified.abs_diff(labels.len());
    old.policy == plan.hashes.policy && changed * AGAIN_PART < labels.len().max(VERIFIED_MIN * AGAIN_PART)
}

/// `None` where there is nothing to tell apart, or nothing of it is stored.
async fn train(
    engine: &Engine,
    plan: &Arc<Plan>,
    (team, labels): (&TeamId, Vec<Label>),
) -> Result<Option<Taught>, StoreError> {
    let verified = labels.len();
    let texts = texts(engine, plan, (team, &labels)).await?;
    let count = texts.len();
    if count < VERIFIED_MIN {
        return Ok(None);
    }
    let mine = Arc::clone(plan);
    let fit = move || train_with(&mine, &texts);
    // Seconds of arithmetic where cases are many: not on a thread that answers calls.
    let fitted = match engine.clock.is_simulated() {
        true => fit(),
        false => tokio::task::spawn_blocking(fit).await.map_err(|_| StoreError::Closed)?,
    };
    match fitted {
        Ok(Some(model)) => {
            tracing::info!(intent = %plan.name, %team, verified = count, "`local` learnt verified answers of a scope");
            Ok(Some(Taught { model: Arc::new(model), policy: plan.hashes.policy.clone(), verified }))
        }
        Ok(None) => Ok(None),
        Err(error) => {
            tracing::warn!(intent = %plan.name, %team, %error, "`local` could not learn verified answers; it goes on with the cases");
            Ok(None)
        }
    }
}

/// What was verified, and its label: of equal texts the last word counts.
async fn texts(
    engine: &Engine,
    plan: &Plan,
    (team, labels): (&TeamId, &[Label]),
) -> Result<Vec<(String, String)>, StoreError> {
    let IntentKind::Classification(known) = &plan.kind else { return Ok(Vec::new()) };
    let mut texts = BTreeMap::new();
    for label in &labels[labels.len().saturating_sub(VERIFIED_MAX)..] {
        let Some(record) = engine.store.execution(team, label.execution).await? else { continue };
        let right = if label.pass { record.output.as_ref() } else { label.correction.as_ref() };
        let right = right.and_then(|output| output.get("label")?.as_str());
        let (Some(input), Some(right)) = (&record.input, right) else { continue };
        if known.iter().any(|(name, _)| name == right) {
            texts.insert(text_of(input), right.to_owned());
        }
    }
    Ok(texts.into_iter().collect())
}
