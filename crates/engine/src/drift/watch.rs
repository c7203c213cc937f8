//! One watch, looked after: begun, fed, alarmed, explained, begun anew.

use std::sync::Arc;

use baton_core::{IntentName, TeamId};
use baton_stats::{Advice, Cause};
use baton_store::StoreError;
use serde_json::{Value, json};

use super::reference::{self, Asked, Short};
use super::standing::{DriftStanding, DriftState, Explained};
use super::state::{Alarm, DriftEvent, State, Watching};
use super::{Watched, gold};
use crate::engine::Engine;

/// How often is looked whether there is enough to begin with.
const BEGIN_US: i64 = 60 * 1_000_000;
/// How often gold answers are judged again.
const GOLD_US: i64 = 24 * 3600 * 1_000_000;

/// See the module.
#[derive(Default)]
pub(super) struct Watch {
    state: State,
    /// When is looked next whether there are references, and what there was too little of.
    begin_us: i64,
    short: Option<Short>,
    explained: Option<Explained>,
}

impl Watch {
    pub(super) fn of(state: State, explained: Option<Explained>) -> Self {
        Self { state, explained, ..Self::default() }
    }

    /// Whether it is worth keeping while its intent is not configured.
    pub(super) fn is_kept(&self) -> bool {
        self.state != State::default()
    }

    pub(super) fn standing(&self, team: &TeamId, intent: &IntentName) -> DriftStanding {
        let state = DriftState::of(&self.state, self.short);
        DriftStanding { team: team.clone(), intent: intent.clone(), state, explained: self.explained }
    }

    /// Keeps what was seen, and tells it.
    async fn tell(
        &self,
        engine: &Engine,
        watched: &Watched,
        (kind, mut data): (&'static str, Value),
    ) -> Result<(), StoreError> {
        data["intent"] = json!(watched.intent.plan.name);
        data["team"] = json!(watched.of.0);
        tracing::info!(event = kind, %data, "the watch for drift");
        let short = kind.trim_start_matches("drift.");
        if matches!(short, "alarm" | "explained") {
            engine.drift.tell(DriftEvent { kind, data: data.clone() });
        }
        self.state.keep(engine, watched, (short, &data)).await
    }
}

/// One look at one watch.
pub(super) async fn look(engine: &Arc<Engine>, watched: &Watched, watch: &mut Watch) -> Result<(), StoreError> {
    if watch.state.watching.as_ref().is_some_and(|watching| watching.evaluator != watched.evaluator) {
        // Another judge: an open alarm was about the one before.
        engine.drift.raise(&watched.of, None);
        (watch.state.watching, watch.begin_us) = (None, 0);
    }
    if watch.state.watching.is_none() {
        return begin(engine, watched, watch).await;
    }
    let tripped = scores(engine, watched, watch).await?;
    let now_us = engine.clock.unix_us();
    let Some(watching) = &watch.state.watching else { return Ok(()) };
    // At once on an alarm, and before its labels are counted: they explain it together.
    let since = watching.alarm.as_ref().map_or(i64::MIN, |alarm| alarm.since_us);
    if tripped || watching.gold_us < since || now_us - watching.gold_us >= GOLD_US {
        gold(engine, watched, watch).await?;
    }
    labels(engine, watched, watch).await
}

async fn begin(engine: &Engine, watched: &Watched, watch: &mut Watch) -> Result<(), StoreError> {
    let now_us = engine.clock.unix_us();
    if now_us < watch.begin_us {
        return Ok(());
    }
    watch.begin_us = now_us + BEGIN_US;
    let (team, lineage) = (&watched.of.0, watched.of.1.as_str());
    let asked = Asked { team, lineage, evaluator: &watched.evaluator, since_us: watch.state.since_us, now_us };
    let reference = match reference::read(&engine.store, &asked).await? {
        Ok(reference) => reference,
        Err(short) => {
            watch.short = Some(short);
            return Ok(());
        }
    };
    watch.short = None;
    let gold = gold::freeze(engine, watched, reference.gold).await?;
    let answers = gold.len();
    watch.state.watching = Some(Watching {
        begun_us: now_us,
        evaluator: watched.evaluator.clone(),
        monitor: reference.monitor,
        gold,
        gold_us: now_us,
        scores_us: reference.scores_us,
        alarm: None,
    });
    watch.tell(engine, watched, ("drift.begun", json!({ "gold": answers }))).await
}

/// Feeds what the judge said since; true where that set the alarm off.
async fn scores(engine: &Engine, watched: &Watched, watch: &mut Watch) -> Result<bool, StoreError> {
    let Some(watching) = &mut watch.state.watching else { return Ok(false) };
    let (team, lineage) = &watched.of;
    let scores = engine.store.evidence(team, lineage, watching.scores_us + 1).await?;
    let before = watching.alarm.is_some();
    for score in &scores {
        watching.scores_us = score.at_us;
        let Some(value) = reference::drawn(score, &watched.evaluator) else { continue };
        watching.monitor.score(value);
    }
    let tripped = !before && watching.monitor.advice() != Advice::Watch;
    if tripped {
        alarm(engine, watched, (watch, "scores"), json!({})).await?;
    }
    Ok(tripped)
}

async fn alarm(
    engine: &Engine,
    watched: &Watched,
    (watch, by): (&mut Watch, &str),
    mut data: Value,
) -> Result<(), StoreError> {
    let wanted = watch.state.wanted();
    let Some(watching) = &mut watch.state.watching else { return Ok(()) };
    let since_us = engine.clock.unix_us();
    watching.alarm = Some(Alarm { since_us, by: by.to_owned(), counted: Default::default() });
    if by == "gold" {
        // They spoke already.
        watching.gold_us = since_us;
    }
    engine.drift.raise(&watched.of, wanted);
    // Not only when the gold answers have been judged, which takes a while.
    engine.drift.show(watch.standing(&watched.of.0, &watched.intent.plan.name));
    data["by"] = json!(by);
    data["labelsWanted"] = json!(wanted);
    watch.tell(engine, watched, ("drift.alarm", data)).await
}

async fn gold(engine: &Arc<Engine>, watched: &Watched, watch: &mut Watch) -> Result<(), StoreError> {
    let Some(watching) = &mut watch.state.watching else { return Ok(()) };
    let turned = gold::judged(engine, watched, &watching.gold).await?;
    watching.gold_us = engine.clock.unix_us();
    let alarmed = watching.alarm.is_some();
    if turned.judged > 0 {
        watching.monitor.gold(turned.gained, turned.lost);
    }
    let data = json!({ "gold": turned });
    if !alarmed && watching.monitor.advice() != Advice::Watch {
        return alarm(engine, watched, (watch, "gold"), data).await;
    }
    watch.tell(engine, watched, ("drift.gold", data)).await
}

/// Counts the labels of answers that were given since the alarm, and explains it when there are enough.
async fn labels(engine: &Engine, watched: &Watched, watch: &mut Watch) -> Result<(), StoreError> {
    let Some(Watching { alarm: Some(alarm), monitor, .. }) = &mut watch.state.watching else { return Ok(()) };
    let mut labels = reference::labels(&engine.store, (&watched.of.0, &watched.of.1), alarm.since_us).await?;
    labels.sort_by_key(|label| (label.at_us, label.execution));
    for label in labels {
        if !alarm.counted.insert(label.execution) {
            continue;
        }
        if let Advice::Explained(cause) = monitor.label(label.pass) {
            return explain(engine, watched, watch, cause).await;
        }
    }
    Ok(())
}

async fn explain(engine: &Engine, watched: &Watched, watch: &mut Watch, cause: Cause) -> Result<(), StoreError> {
    let at_us = engine.clock.unix_us();
    let alarm = watch.state.watching.as_mut().and_then(|watching| watching.alarm.take());
    engine.drift.raise(&watched.of, None);
    watch.explained = Some(Explained { at_us, cause });
    if cause != Cause::Nothing {
        // What was said before is of other answers, or by what is another judge now.
        watch.state = State { since_us: alarm.as_ref().map_or(at_us, |alarm| alarm.since_us), watching: None };
        watch.begin_us = 0;
    }
    let by = alarm.map(|alarm| alarm.by);
    watch.tell(engine, watched, ("drift.explained", json!({ "cause": cause, "by": by }))).await
}
