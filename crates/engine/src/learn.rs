//! Learning: from labels and judgements in the store to what is in force for the next answer. One
//! pass reads, fits and publishes; nothing of it is on the request path, which only looks a
//! calibration up.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use baton_config::Plan;
use baton_core::{AttemptOutcome, ExecutionId, IntentName, Judgement, Quality, Record, TeamId, Unproven, Verdict, Via};
use baton_eval::{Calibration, Features, GivenOn, JudgedAnswer, Known, LabelledAnswer, Seen};
use baton_store::{CalibrationVersion, ExecutionFilter, Label, LabelQuery, Store, StoreError};

use crate::engine::Engine;
use crate::judge::stands_alone;

/// Evidence is looked at over so many days.
pub(crate) const WINDOW_US: i64 = 30 * 24 * 3600 * 1_000_000;
/// Labels of a lineage at the most: those of the latest answers.
const LABELS_MAX: usize = 10_000;
const PAGE: usize = 1000;
/// Recent answers that show what a threshold would let pass.
const TRAFFIC: usize = 300;
/// How often estimates follow the traffic where nobody labels anything.
const REFRESH_US: i64 = 3600 * 1_000_000;
/// Answers whose features are remembered between two passes.
const FEATURES_MAX: usize = 50_000;

/// Whose answers, and of which lineage.
pub(crate) type Of = (TeamId, String);

/// What is in force.
#[derive(Clone, Debug)]
pub struct InForce {
    /// Its version, for the audit.
    pub version: u64,
    /// Since when, Unix microseconds.
    pub since_us: i64,
    /// Whether it stays until a person says otherwise.
    pub pinned: bool,
    /// What it says of answers.
    pub calibration: Calibration,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Learning {
    in_force: ArcSwap<HashMap<Of, Arc<InForce>>>,
    /// Held by the pass that runs: they follow one another.
    pass: tokio::sync::Mutex<Pass>,
}

/// What a pass knows of those before it.
#[derive(Default)]
struct Pass {
    /// The last version that was read.
    version: u64,
    /// As the labels were when they were last fitted.
    mark: Option<(i64, u64)>,
    fitted_us: i64,
    features: HashMap<ExecutionId, Shown>,
}

impl Learning {
    /// What is in force for the answers of a team.
    pub(crate) fn of(&self, team: &TeamId, lineage: &str) -> Option<Arc<InForce>> {
        let all = self.in_force.load();
        if all.is_empty() {
            return None;
        }
        all.get(&(team.clone(), lineage.to_owned())).map(Arc::clone)
    }

    /// Whose answers, and of which lineage, something is in force for.
    pub(crate) fn known(&self) -> Vec<Of> {
        self.in_force.load().keys().cloned().collect()
    }

    fn publish(&self, versions: Vec<CalibrationVersion>) {
        if versions.is_empty() {
            return;
        }
        let mut all = HashMap::clone(&self.in_force.load());
        for CalibrationVersion { version, team, lineage, at_us, pinned, calibration, intent, .. } in versions {
            match serde_json::from_str(&calibration) {
                Ok(calibration) => {
                    let in_force = InForce { version, since_us: at_us, pinned, calibration };
                    all.insert((team, lineage), Arc::new(in_force));
                }
                Err(error) => {
                    tracing::error!(%error, version, %intent, "a calibration cannot be read; it is passed over")
                }
            }
        }
        self.in_force.store(Arc::new(all));
    }
}

/// One pass: puts in force what other processes decided, then fits what has new labels. How many
/// calibrations were fitted and put in force.
pub(crate) async fn pass(engine: &Engine) -> Result<usize, StoreError> {
    let mut pass = engine.learning.pass.lock().await;
    let store = &engine.store;
    let now_us = engine.clock.unix_us();
    take_over(engine, &mut pass).await?;
    let mark = store.labels_mark().await?;
    if pass.mark == Some(mark) && now_us - pass.fitted_us < REFRESH_US {
        return Ok(0);
    }
    let live = engine.live();
    let mut fitted = 0;
    for intent in live.intents.values() {
        let plan = &intent.plan;
        if plan.criteria.is_empty() && plan.review.is_none() {
            continue;
        }
        for (team, labels) in by_team(store, plan, now_us).await? {
            fitted += usize::from(refit(engine, &mut pass, plan, (team, labels)).await?);
        }
    }
    (pass.mark, pass.fitted_us) = (Some(mark), now_us);
    if fitted > 0 {
        take_over(engine, &mut pass).await?;
    }
    Ok(fitted)
}

async fn take_over(engine: &Engine, pass: &mut Pass) -> Result<(), StoreError> {
    let versions = engine.store.calibrations_since(pass.version).await?;
    pass.version = versions.iter().map(|version| version.version).fold(pass.version, u64::max);
    engine.learning.publish(versions);
    Ok(())
}

/// The settled labels of an intent's lineage, by team, in the order in which they were given: of the
/// window, and about answers that were then at most a window old.
pub(crate) async fn by_team(
    store: &Store,
    plan: &Plan,
    now_us: i64,
) -> Result<HashMap<TeamId, Vec<Label>>, StoreError> {
    let mut teams: HashMap<TeamId, Vec<Label>> = HashMap::new();
    let first_ms = u64::try_from((now_us - 2 * WINDOW_US) / 1000).unwrap_or_default();
    let first = ExecutionId::new(first_ms, [0; 10]);
    let mut query = LabelQuery { lineage: plan.hashes.lineage.clone(), team: None, before: None, limit: PAGE };
    let mut read = 0;
    while read < LABELS_MAX {
        let page = store.labels(&query).await?;
        read += page.len();
        let last = page.last().map(|label| label.execution).filter(|last| page.len() == PAGE && *last > first);
        let fresh = |label: &Label| label.settled && !label.rejected && label.at_us >= now_us - WINDOW_US;
        for label in page.into_iter().filter(fresh) {
            teams.entry(label.team.clone()).or_default().push(label);
        }
        match last {
            Some(last) => query.before = Some(last),
            None => break,
        }
    }
    for labels in teams.values_mut() {
        labels.sort_by_key(|label| (label.at_us, label.execution));
    }
    Ok(teams)
}

/// Fits a team's labels; true where that put something new in force.
async fn refit(
    engine: &Engine,
    pass: &mut Pass,
    plan: &Plan,
    (team, labels): (TeamId, Vec<Label>),
) -> Result<bool, StoreError> {
    let old = engine.learning.of(&team, &plan.hashes.lineage);
    if old.as_ref().is_some_and(|old| old.pinned) {
        return Ok(false);
    }
    let known = known(engine, pass, plan, (&team, &labels)).await?;
    let (alpha, delta) = (1.0 - plan.objective.quality, 1.0 - plan.objective.confidence);
    // Milliseconds to seconds of arithmetic: not on a thread that answers calls, where there is another.
    let fit = move || Calibration::fit(&known, alpha, delta);
    let calibration = match engine.clock.is_simulated() {
        true => fit(),
        false => tokio::task::spawn_blocking(fit).await.map_err(|_| StoreError::Closed)?,
    };
    if old.as_ref().is_some_and(|old| old.calibration == calibration) {
        return Ok(false);
    }
    let why = told(old.as_ref().map(|old| &old.calibration), &calibration);
    let json = serde_json::to_string(&calibration)
        .map_err(|error| StoreError::Corrupt { what: "a calibration".into(), reason: error.to_string() })?;
    let new = CalibrationVersion {
        version: 0,
        team,
        intent: plan.name.clone(),
        lineage: plan.hashes.lineage.clone(),
        at_us: engine.clock.unix_us(),
        by: "baton".into(),
        why: why.clone(),
        pinned: false,
        calibration: json,
    };
    let version = engine.store.add_calibration(&new).await?;
    tracing::info!(intent = %plan.name, team = %new.team, version, "{why}");
    Ok(true)
}

/// What changed, in a sentence.
fn told(old: Option<&Calibration>, new: &Calibration) -> String {
    let gate = |calibration: &Calibration| {
        let of = |name: &str, side: &baton_eval::Side| match (side.threshold, side.passing) {
            (Some(least), Some(passing)) => format!("{name} pass from {least:.3} on ({:.0} %)", passing * 100.0),
            (Some(least), None) => format!("{name} pass from {least:.3} on"),
            (None, _) => format!("{name} undecided (next look at {} labels, {} so far)", side.next_look, side.tested),
        };
        format!("{}, {}", of("judged answers", &calibration.judged), of("others", &calibration.plain))
    };
    let before = old.map(|old| format!("; before, with {} labels: {}", old.labels, gate(old))).unwrap_or_default();
    format!("{} labels: {}{before}", new.labels, gate(new))
}

/// All that the store knows of a team's answers.
async fn known(
    engine: &Engine,
    pass: &mut Pass,
    plan: &Plan,
    (team, labels): (&TeamId, &[Label]),
) -> Result<Known, StoreError> {
    let (store, since_us) = (&engine.store, engine.clock.unix_us() - WINDOW_US);
    let said_by_judges = store.evidence(team, &plan.hashes.lineage, since_us).await?;
    // Of several judges of one answer the latest counts.
    let scores: HashMap<ExecutionId, f64> =
        said_by_judges.iter().filter_map(|score| Some((score.execution, score.result.value()?))).collect();
    if pass.features.len() > FEATURES_MAX {
        pass.features.clear();
    }
    // Of an answer that was given again and again the word on itself counts, or else the first on any of them.
    let mut counted: HashSet<ExecutionId> = labels.iter().map(|label| label.execution).collect();
    let mut labelled = Vec::with_capacity(labels.len());
    for label in labels {
        let shown = match pass.features.get(&label.execution) {
            Some(shown) => shown.clone(),
            None => {
                let Some(shown) = shown_of(store, plan, (team, label.execution)).await? else { continue };
                pass.features.insert(label.execution, shown.clone());
                shown
            }
        };
        let own = shown.answer == label.execution;
        if !own && !counted.insert(shown.answer) {
            continue;
        }
        let judge = scores.get(&shown.answer).copied();
        labelled.push(LabelledAnswer {
            features: shown.features.with_judge(judge),
            given: shown.given,
            good: label.pass,
            // What is asked for often is labelled sooner: such a word is no sample of answers.
            probability: label.probability.filter(|_| own),
            half: shown.answer.as_bytes()[15] & 1 == 1,
        });
    }
    let said: HashMap<ExecutionId, (bool, Option<f64>)> =
        labels.iter().map(|label| (label.execution, (label.pass, label.probability))).collect();
    let judged = said_by_judges.iter().filter_map(|score| {
        let label = said.get(&score.execution).and_then(|(good, pi)| Some((*good, (*pi)?)));
        let value = score.result.value()?;
        Some(JudgedAnswer { value, probability: score.probability, drawn: score.drawn, label })
    });
    let filter = ExecutionFilter { intent: Some(plan.name.clone()), limit: TRAFFIC, ..ExecutionFilter::default() };
    let recent = store.executions(team, filter).await?;
    let traffic = recent.iter().filter(|record| record.lineage == plan.hashes.lineage).filter_map(|record| {
        let judge = scores.get(&record.execution).copied();
        let shown = shown(plan, record).filter(|shown| shown.given != GivenOn::Nothing)?;
        Some(shown.features.with_judge(judge))
    });
    let answered = store.answered(team, (&plan.name, &plan.hashes.lineage), since_us).await?;
    Ok(Known { labels: labelled, judged: judged.collect(), answered, traffic: traffic.collect() })
}

/// What an answer showed of itself.
#[derive(Clone)]
struct Shown {
    /// The execution in which a model gave it.
    answer: ExecutionId,
    features: Features,
    given: GivenOn,
}

/// What the answer of an execution showed; of one that was remembered for the same input, when a model gave
/// it. `None` where there is none, and where it was to a similar input: that its answer is bad here says
/// nothing of it there.
async fn shown_of(
    store: &Store,
    plan: &Plan,
    (team, execution): (&TeamId, ExecutionId),
) -> Result<Option<Shown>, StoreError> {
    let Some(record) = store.execution(team, execution).await? else { return Ok(None) };
    let same = matches!(record.via, Some(Via::CacheExact | Via::Coalesced | Via::Stale));
    let Some(source) = record.source.filter(|_| same) else { return Ok(shown(plan, &record)) };
    let given = store.execution(team, source).await?.filter(|given| given.lineage == plan.hashes.lineage);
    Ok(given.and_then(|given| shown(plan, &given)))
}

/// `None` where no model gave an answer.
fn shown(plan: &Plan, record: &Record) -> Option<Shown> {
    let place = record.attempts.iter().position(|attempt| attempt.outcome == AttemptOutcome::Passed)?;
    let attempt = &record.attempts[place];
    let (model, checks) = (&attempt.model, attempt.checks.as_slice());
    let seen = Seen { model, checks, repaired: !record.repairs.is_empty(), judge: None };
    let given = match attempt.judged.as_ref().and_then(Judgement::value) {
        Some(_) if stands_alone(plan, &record.attempts, place) => GivenOn::Nothing,
        Some(_) => GivenOn::Judge,
        None => GivenOn::Checks,
    };
    Some(Shown { answer: record.execution, features: Features::of(plan, &seen), given })
}

/// What is known of one answer's quality, and what that means for it.
pub(crate) fn decided(in_force: &InForce, plan: &Plan, seen: &Seen<'_>) -> (Quality, Verdict) {
    let features = Features::of(plan, seen);
    if plan.unproven == Unproven::Judge && seen.judge.is_none() {
        return in_force.calibration.before_judge(&features);
    }
    in_force.calibration.decide(&features)
}

/// Why a version cannot be put back in force.
#[derive(Debug, thiserror::Error)]
pub enum RollBackError {
    /// There is none to go back to.
    #[error("intent `{intent}` of team `{team}` has no calibration{}: `baton calibration list` shows those that it had", version.map(|v| format!(" {v}")).unwrap_or_else(|| " before the one in force".into()))]
    Unknown {
        /// The intent.
        intent: IntentName,
        /// The team.
        team: TeamId,
        /// The one that was asked for; `None` is the one before.
        version: Option<u64>,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Versions that a roll-back looks through.
const HISTORY: usize = 1000;

/// Puts an older version back in force, pinned: nothing is fitted over it until it is released. `to`:
/// which; `None` is the one before the one in force. Gives what is in force then.
///
/// # Errors
/// See [`RollBackError`].
pub async fn roll_back(
    store: &Store,
    (team, intent): (&TeamId, &IntentName),
    to: Option<u64>,
    (by, now_us): (&str, i64),
) -> Result<CalibrationVersion, RollBackError> {
    let all = store.calibrations_of(team, intent, HISTORY).await?;
    let unknown = || RollBackError::Unknown { intent: intent.clone(), team: team.clone(), version: to };
    let current = all.first().ok_or_else(unknown)?;
    let before = |version: &&CalibrationVersion| {
        version.lineage == current.lineage && version.calibration != current.calibration
    };
    let chosen = match to {
        Some(to) => all.iter().find(|version| version.version == to),
        None => all.iter().skip(1).find(before),
    };
    let chosen = chosen.ok_or_else(unknown)?;
    let why = format!("rolled back to version {}", chosen.version);
    put(store, CalibrationVersion { pinned: true, why, ..chosen.clone() }, (by, now_us)).await
}

/// Ends a pin: the next pass fits again.
///
/// # Errors
/// As [`roll_back`].
pub async fn release(
    store: &Store,
    (team, intent): (&TeamId, &IntentName),
    (by, now_us): (&str, i64),
) -> Result<CalibrationVersion, RollBackError> {
    let all = store.calibrations_of(team, intent, 1).await?;
    let unknown = || RollBackError::Unknown { intent: intent.clone(), team: team.clone(), version: None };
    let current = all.into_iter().next().ok_or_else(unknown)?;
    let why = "released: fitted again with the next labels".to_owned();
    put(store, CalibrationVersion { pinned: false, why, ..current }, (by, now_us)).await
}

async fn put(
    store: &Store,
    new: CalibrationVersion,
    (by, at_us): (&str, i64),
) -> Result<CalibrationVersion, RollBackError> {
    let new = CalibrationVersion { by: by.to_owned(), at_us, ..new };
    let version = store.add_calibration(&new).await?;
    Ok(CalibrationVersion { version, ..new })
}
