//! Another configuration in force, the whole of it or nothing, while calls run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use baton_config::{Changes, Snapshot};
use baton_core::{Lanes, Moment};

use crate::BuildError;
use crate::connect::{Connections, Pool};
use crate::lane_ids::LaneIds;
use crate::live::{Live, lane_keys};

/// How the configuration stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Of the one in force: [`Snapshot::hash`].
    pub hash: String,
    /// Since when it is in force, Unix microseconds.
    pub since_us: i64,
    /// Whether the last one that was given was refused.
    pub refused: Option<Refused>,
    /// How many were put in force, the first one aside.
    pub applied: u64,
    /// How many were as the one in force.
    pub unchanged: u64,
    /// How many were refused.
    pub refusals: u64,
}

/// A configuration that is not in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Since when no good one was given, Unix microseconds.
    pub since_us: i64,
    /// What is wrong with the last one.
    pub reason: String,
}

/// What new calls run on, and how it is replaced.
pub(crate) struct Configured {
    live: ArcSwap<Live>,
    connections: Connections,
    /// Held by the one who reloads, for as long as it takes: they follow one another.
    ids: Mutex<LaneIds>,
    state: Mutex<Configuration>,
}

impl Configured {
    pub(crate) fn new(
        snapshot: Arc<Snapshot>,
        connections: Connections,
        lanes: &mut Lanes,
        now_us: i64,
    ) -> Result<Self, BuildError> {
        let providers = connections.providers(&snapshot)?;
        let mut ids = LaneIds::default();
        let (all, begun) = ids.of(lane_keys(&snapshot, &providers));
        begun.into_iter().for_each(|lane| lanes.begin(lane));
        let hash = snapshot.hash();
        let live = Arc::new(Live::prepare(snapshot, providers, all, (None, now_us))?);
        live.bounds().for_each(|(lane, bounds)| lanes.set_bounds(lane, Moment::default(), bounds));
        ids.in_force(&live);
        let (live, ids) = (ArcSwap::new(live), Mutex::new(ids));
        let (applied, unchanged, refusals, refused) = Default::default();
        let state = Mutex::new(Configuration { hash, since_us: now_us, refused, applied, unchanged, refusals });
        Ok(Self { live, connections, ids, state })
    }

    /// What a call that begins now runs on.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, Configuration> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another configuration in force, for calls that begin from then on; where anything of it
    /// is wrong, nothing changes but the report.
    pub(crate) fn reload(
        &self,
        snapshot: Snapshot,
        lanes: (&Mutex<Lanes>, Moment),
        now_us: i64,
    ) -> Result<Changes, BuildError> {
        let reloaded = self.replace(snapshot, lanes, now_us);
        if let Err(error) = &reloaded {
            self.refuse(error.to_string(), now_us);
        }
        reloaded
    }

    /// Somebody else found that the configuration they wanted cannot be.
    pub(crate) fn refuse(&self, reason: String, now_us: i64) {
        let mut state = self.state();
        state.refusals += 1;
        let since_us = state.refused.as_ref().map_or(now_us, |refused| refused.since_us);
        state.refused = Some(Refused { since_us, reason });
    }

    fn replace(
        &self,
        snapshot: Snapshot,
        (lanes, now): (&Mutex<Lanes>, Moment),
        now_us: i64,
    ) -> Result<Changes, BuildError> {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.live();
        let mut providers = self.connections.providers(&snapshot)?;
        let mut changes = snapshot.changes_since(&old.snapshot);
        changes.providers = keep_alike(&mut providers, &old.providers);
        if changes.is_empty() {
            let mut state = self.state();
            state.unchanged += 1;
            state.refused = None;
            return Ok(changes);
        }
        let hash = snapshot.hash();
        let (all, begun) = ids.of(lane_keys(&snapshot, &providers));
        let lanes = || lanes.lock().unwrap_or_else(PoisonError::into_inner);
        begun.into_iter().for_each(|lane| lanes().begin(lane));
        let live = Arc::new(Live::prepare(Arc::new(snapshot), providers, all, (Some(&old), now_us))?);
        live.bounds().for_each(|(lane, bounds)| lanes().set_bounds(lane, now, bounds));
        ids.in_force(&live);
        self.live.store(live);
        let mut state = self.state();
        *state = Configuration { hash, since_us: now_us, refused: None, applied: state.applied + 1, ..state.clone() };
        Ok(changes)
    }
}

/// A provider that is reached as before stays the one it was, with what it knows; names the others.
fn keep_alike(new: &mut BTreeMap<String, Pool>, old: &BTreeMap<String, Pool>) -> Vec<String> {
    let mut others = Vec::new();
    for (name, pool) in new {
        let alike = |before: &Pool| before.len() == pool.len() && before.iter().zip(&*pool).all(|(a, b)| a.is_like(b));
        match old.get(name) {
            Some(before) if alike(before) => pool.clone_from(before),
            Some(_) => others.push(name.clone()),
            None => {}
        }
    }
    others
}
