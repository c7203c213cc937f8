//! One seed: builds its world, lets its traffic through the engine, and collects everything that is
//! to be checked.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use baton_core::{ExecutionId, Record, Score};
use baton_engine::{BudgetState, LaneState, Orchestrator};
use baton_sim::Stats;
use baton_store::{Entry, Opened, Store};
use tokio::time::Instant;

use crate::simulate::journal::{Append, Appends};
use crate::simulate::tap::{Exchange, Tap};
use crate::simulate::traffic::{self, Seen};
use crate::simulate::world::{self, World};

/// 2026-01-01: where the engine's simulated wall clock begins, in Unix microseconds.
const EPOCH_US: i64 = 1_767_225_600_000_000;

/// A record that the engine told its observer about.
pub(crate) struct Observed {
    pub(crate) record: Record,
    pub(crate) at_us: u64,
}

/// A seed that was run.
pub(crate) struct Ran {
    pub(crate) world: World,
    /// In order of arrival.
    pub(crate) seen: Vec<Seen>,
    /// In the order in which they ended.
    pub(crate) observed: Vec<Observed>,
    /// By execution, in the order in which they began.
    pub(crate) exchanges: HashMap<ExecutionId, Vec<Exchange>>,
    /// Those whose execution is not known: none, where every execution is observed.
    pub(crate) strays: usize,
    pub(crate) appends: Vec<Append>,
    /// What the journal holds, as written.
    pub(crate) journal: Vec<String>,
    /// Its records.
    pub(crate) records: Vec<Record>,
    /// What judges said, as it was journalled.
    pub(crate) scores: Vec<Score>,
    /// Its openings.
    pub(crate) opened: Vec<Opened>,
    /// Executions that still ran when all traffic was over.
    pub(crate) running: usize,
    /// How all stood who are limited, at the end.
    pub(crate) budgets: Vec<BudgetState>,
    /// The lanes as they stood then.
    pub(crate) lanes: Vec<LaneState>,
    /// By model.
    pub(crate) stats: std::collections::BTreeMap<String, Stats>,
}

/// Runs one seed on a runtime of its own.
pub(crate) fn seed(seed: u64, calls: usize) -> anyhow::Result<Ran> {
    let dir = tempfile::tempdir().context("cannot make a folder for the simulated intents")?;
    let (world, snapshot) = world::build(seed, dir.path())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(traffic_of(seed, calls, world, snapshot))
}

type Notes = Arc<Mutex<Vec<(Option<tokio::task::Id>, Observed)>>>;

async fn traffic_of(seed: u64, calls: usize, world: World, snapshot: baton_config::Snapshot) -> anyhow::Result<Ran> {
    let origin = Instant::now();
    let tap = Tap::new(world.sim.transport(), world.places.clone(), origin);
    let (appends, notes) = (Appends::default(), Notes::default());
    let store = Store::scripted(appends.script(world.journal.clone(), origin));
    let observer = notes.clone();
    let orchestrator = Orchestrator::builder(snapshot, store.clone())
        .transport("sim", Arc::new(tap.clone()))
        .simulated(seed)
        .on_record(Arc::new(move |record| {
            let observed = Observed { record: record.clone(), at_us: origin.elapsed().as_micros() as u64 };
            observer.lock().unwrap_or_else(PoisonError::into_inner).push((tokio::task::try_id(), observed));
        }))
        .build()?;
    let seen = traffic::run(&orchestrator, traffic::plan(seed, &world, calls), origin).await;
    // Streams may go on for ten minutes after all clients left; nothing may go on for longer.
    tokio::time::sleep(Duration::from_secs(900)).await;
    let (running, budgets, lanes) = (orchestrator.running(), orchestrator.budgets(), orchestrator.lanes());
    drop(orchestrator);

    let notes = std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner));
    let tasks: HashMap<_, _> = notes.iter().filter_map(|(task, o)| Some(((*task)?, o.record.execution))).collect();
    let mut exchanges: HashMap<ExecutionId, Vec<Exchange>> = HashMap::new();
    let mut strays = 0;
    for exchange in tap.exchanges() {
        match exchange.task.and_then(|task| tasks.get(&task)) {
            Some(execution) => exchanges.entry(*execution).or_default().push(exchange),
            None => strays += 1,
        }
    }
    let (mut journal, mut records, mut opened, mut scores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (_, entry) in store.journal().entries(0)? {
        match entry {
            Entry::Finished(record) => {
                journal.push(serde_json::to_string(&record)?);
                records.push(*record);
            }
            Entry::Opened(entry) => {
                journal.push(serde_json::to_string(&entry)?);
                opened.push(entry);
            }
            Entry::Score(score) => {
                journal.push(serde_json::to_string(&score)?);
                scores.push(*score);
            }
            Entry::Feedback(_) | Entry::Control(_) | Entry::Erased(_) => {}
        }
    }
    let observed = notes.into_iter().map(|(_, observed)| observed).collect();
    let (appends, stats) = (appends.all(), world.sim.stats());
    Ok(Ran {
        world,
        seen,
        observed,
        exchanges,
        strays,
        appends,
        journal,
        records,
        scores,
        opened,
        running,
        budgets,
        lanes,
        stats,
    })
}

/// Microseconds from the beginning of the simulation to a record's start.
pub(crate) fn started_us(record: &Record) -> u64 {
    u64::try_from(record.started_at_us - EPOCH_US).unwrap_or(u64::MAX)
}

/// Likewise, to its end.
pub(crate) fn ended_us(record: &Record) -> u64 {
    started_us(record) + record.duration_us
}
