//! Working on jobs: a task for each that is open, and so many items in the air in all.
//!
//! A job yields: one of its items is always in the air, and more are begun only while the calls of
//! others leave half of the room free.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use baton_core::JobId;
use baton_store::{ItemChange, ItemState, Job, JobItem, StoreError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::item::{self, Batched, Came, Ended, ask};
use super::then::{Then, pause, then};
use super::{Kept, KeptTerms, kept};
use crate::call::Caller;
use crate::orchestrator::Orchestrator;

/// Items of all jobs in the air at a time.
const ITEMS_IN_AIR: usize = 32;
/// Items of a job that are read together.
const READY: u32 = 16;
/// How often jobs are looked for that another process handed in.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a job that yields looks again.
const YIELDS: Duration = Duration::from_millis(20);
/// How soon one looks again whose key may come back.
const KEYLESS: Duration = Duration::from_secs(10);

/// What all jobs of a process share.
pub(crate) struct Working {
    places: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
    /// Another configuration may have more room for those that wait.
    reloaded: watch::Sender<()>,
    handed_in: Notify,
}

impl Default for Working {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(ITEMS_IN_AIR));
        let (stopping, reloaded) = (watch::Sender::new(false), watch::Sender::new(()));
        Self { places, stopping, reloaded, handed_in: Notify::new() }
    }
}

impl Orchestrator {
    /// Works on jobs for as long as it is polled, or until [`Orchestrator::stop_work`]. Run it beside a
    /// long-lived orchestrator whose store is on disk.
    pub async fn work(&self) {
        // What the last process was answered is looked for in the database, not in the whole journal.
        if let Err(error) = self.store().flush().await {
            tracing::error!(%error, "the journal cannot be ingested: resuming jobs takes longer");
        }
        let mut stopping = self.0.jobs.stopping.subscribe();
        let mut tasks = JoinSet::new();
        let mut at_work: BTreeSet<JobId> = BTreeSet::new();
        while !*stopping.borrow() {
            match self.store().open_jobs().await {
                Ok(jobs) => {
                    for job in jobs.into_iter().filter(|job| at_work.insert(job.id)) {
                        let baton = self.clone();
                        tasks.spawn(async move {
                            let id = job.id;
                            (id, AtWork::new(baton, job).run().await)
                        });
                    }
                }
                Err(StoreError::NoJobs) => return,
                Err(error) => tracing::error!(%error, "jobs could not be looked for"),
            }
            tokio::select! {
                Some(ended) = tasks.join_next() => ended_with(&mut at_work, ended),
                () = self.0.jobs.handed_in.notified() => {}
                () = sleep(LOOK) => {}
                () = stopped(&mut stopping) => {}
            }
        }
        while let Some(ended) = tasks.join_next().await {
            ended_with(&mut at_work, ended);
        }
    }

    /// A job was just handed in: it need not wait until [`Orchestrator::work`] looks again.
    pub fn handed_in(&self) {
        self.0.jobs.handed_in.notify_one();
    }

    /// Begins no more items; [`Orchestrator::work`] ends once those in the air have their results.
    pub fn stop_work(&self) {
        self.0.jobs.stopping.send_replace(true);
    }

    pub(super) fn stops(&self) -> bool {
        *self.0.jobs.stopping.borrow()
    }

    /// Another configuration is in force: jobs that wait look again at once.
    pub(crate) fn reloaded(&self) {
        self.0.jobs.reloaded.send_replace(());
    }

    /// Waits so long, unless work ends or another configuration comes into force before.
    pub(super) async fn pause(&self, wait: Duration) {
        let mut reloaded = self.0.jobs.reloaded.subscribe();
        tokio::select! {
            () = sleep(wait) => {}
            () = self.stopped() => {}
            Ok(()) = reloaded.changed() => {}
        }
    }

    pub(super) async fn stopped(&self) {
        stopped(&mut self.0.jobs.stopping.subscribe()).await;
    }

    /// Whether calls leave half of the room free: of the executions that may run, and of the places at
    /// each model that this intent may ask.
    fn leaves_room(&self, job: &Job) -> bool {
        let live = self.0.live();
        if self.running() * 2 >= live.snapshot.server.max_running {
            return false;
        }
        let Some(intent) = live.intent(&job.intent) else { return true };
        // Items that were just begun are not at their lane yet.
        let begun = ITEMS_IN_AIR - self.0.jobs.places.available_permits();
        let lanes = self.0.lanes();
        let free = |lane: &baton_core::LaneId| {
            let gate = lanes.get(*lane).gate();
            let busy = (gate.limiter().in_flight() as usize).max(begun);
            gate.waiting() == 0 && busy * 2 < gate.limiter().limit() as usize
        };
        intent.candidates.iter().all(|candidate| match live.pool(&candidate.model) {
            Some(pool) => pool.iter().any(free),
            None => free(&candidate.lane),
        })
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender lives as long as the engine.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

type Joined<T> = Result<Result<T, StoreError>, JoinError>;

fn ended_with(at_work: &mut BTreeSet<JobId>, ended: Result<(JobId, Result<(), StoreError>), JoinError>) {
    match ended {
        Ok((id, result)) => {
            if let Err(error) = result {
                tracing::error!(%error, job = %id, "a job is begun again: its items could not be kept");
            }
            at_work.remove(&id);
        }
        Err(error) => tracing::error!(%error, "a job ended in a panic: it goes on after a restart"),
    }
}

/// One job, while it is worked on.
pub(super) struct AtWork {
    pub(super) baton: Orchestrator,
    pub(super) job: Arc<Job>,
    /// Whether items may have been asked before, by whoever worked on it then.
    resumed: bool,
    air: JoinSet<Result<Landed, StoreError>>,
    /// Read, and not begun yet.
    ready: VecDeque<JobItem>,
    /// The places of those in the air.
    in_air: BTreeSet<u32>,
    /// Those of them that were asked before the configuration changed: what stood in their way may not any more.
    outdated: BTreeSet<u32>,
    /// The place of the last item that was begun.
    last: Option<u32>,
    /// Nothing is begun before.
    until: Option<Instant>,
    in_a_row: u32,
    /// A limit stood in the way: one item finds out whether it still does.
    limited: bool,
    /// What it says that it waits for.
    said: Option<String>,
}

/// An item that is not in the air any more. It keeps its place until its result is kept.
type Landed = (Ended, OwnedSemaphorePermit);

/// What is done next.
enum Next {
    Begin(Box<JobItem>, OwnedSemaphorePermit),
    /// Looked at again then, or once an item ends.
    Look(Duration),
    /// Every item is begun; some are in the air.
    Wait,
    Over,
}

impl AtWork {
    fn new(baton: Orchestrator, job: Job) -> Self {
        let (said, job) = (job.waits.clone(), Arc::new(job));
        let (air, ready, in_air) = (JoinSet::new(), VecDeque::new(), BTreeSet::new());
        let (outdated, last, until, in_a_row, limited) = Default::default();
        Self { baton, job, resumed: true, air, ready, in_air, outdated, last, until, in_a_row, limited, said }
    }

    async fn run(mut self) -> Result<(), StoreError> {
        let worked = self.items().await;
        // Their calls are paid for, whatever went wrong.
        while let Some(landed) = self.air.join_next().await {
            self.landed(landed).await?;
        }
        worked?;
        self.baton.store().end_job(self.job.id, self.baton.0.clock.unix_us()).await
    }

    async fn items(&mut self) -> Result<(), StoreError> {
        let Ok(Kept { key, terms }) = kept(&self.job) else { return Ok(()) };
        self.resumed = !self.baton.store().take_job(self.job.id).await?;
        if terms.within.is_some() && !self.through_batches((key.as_ref(), &terms)).await? {
            return Ok(());
        }
        let terms = Arc::new(terms);
        let mut stopping = self.baton.0.jobs.stopping.subscribe();
        let mut reloaded = self.baton.0.jobs.reloaded.subscribe();
        loop {
            if *stopping.borrow() {
                return Ok(());
            }
            if let Some(landed) = self.air.try_join_next() {
                self.landed(landed).await?;
                continue;
            }
            let wait = match self.next().await? {
                Next::Over => return Ok(()),
                Next::Wait => None,
                Next::Look(wait) => Some(Instant::now() + wait),
                Next::Begin(item, place) => match self.caller(key.as_ref()).await? {
                    Ok(caller) => {
                        self.begin(*item, (Arc::clone(&terms), caller), place);
                        continue;
                    }
                    Err(why) => {
                        drop(place);
                        self.says(Some(&why)).await?;
                        Some(Instant::now() + KEYLESS)
                    }
                },
            };
            tokio::select! {
                biased;
                () = stopped(&mut stopping) => {}
                Some(landed) = self.air.join_next() => self.landed(landed).await?,
                Ok(()) = reloaded.changed() => (self.until, self.outdated) = (None, self.in_air.clone()),
                () = sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {}
                else => {}
            }
        }
    }

    async fn next(&mut self) -> Result<Next, StoreError> {
        let now = Instant::now();
        if let Some(until) = self.until.filter(|until| *until > now) {
            return Ok(Next::Look(until - now));
        }
        // After failures in a row one item finds out whether it goes better.
        let one = self.limited || pause(self.in_a_row).is_some();
        if !self.in_air.is_empty() && (one || !self.baton.leaves_room(&self.job)) {
            return Ok(if one { Next::Wait } else { Next::Look(YIELDS) });
        }
        let Ok(place) = Arc::clone(&self.baton.0.jobs.places).try_acquire_owned() else {
            return self.place().await;
        };
        self.item(place).await
    }

    /// Waits in turn for a place, beside what is in the air.
    async fn place(&mut self) -> Result<Next, StoreError> {
        let places = Arc::clone(&self.baton.0.jobs.places);
        if self.in_air.is_empty() {
            let Ok(place) = places.acquire_owned().await else { return Ok(Next::Over) };
            return self.item(place).await;
        }
        Ok(Next::Look(YIELDS))
    }

    /// The next item that waits and is not in the air; from the start again after the last.
    async fn item(&mut self, place: OwnedSemaphorePermit) -> Result<Next, StoreError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Next::Begin(Box::new(item), place));
            }
            let page = self.baton.store().next_items(self.job.id, self.last, READY).await?;
            match page.last() {
                Some(last) => {
                    self.last = Some(last.place);
                    self.ready.extend(page.into_iter().filter(|item| !self.in_air.contains(&item.place)));
                }
                // Those before may have been put back.
                None if self.last.is_some() && self.in_air.is_empty() => self.last = None,
                None if self.in_air.is_empty() => return Ok(Next::Over),
                None => return Ok(Next::Wait),
            }
        }
    }

    /// Who asks: the key as it is now. Why it may not, where it is gone.
    pub(super) async fn caller(&self, key: Option<&baton_core::KeyId>) -> Result<Result<Caller, String>, StoreError> {
        let snapshot = self.baton.snapshot();
        let Some(id) = key else { return Ok(Ok(Caller::of_team(&self.job.team, &snapshot))) };
        let key = self.baton.store().key(id.as_str()).await?;
        Ok(match key.filter(|key| key.team == self.job.team) {
            Some(key) => Ok(Caller::of(&key, &snapshot)),
            None => Err(format!("key {id}, with which it was handed in, is expired or revoked: cancel it")),
        })
    }

    fn begin(&mut self, item: JobItem, on: (Arc<KeptTerms>, Caller), place: OwnedSemaphorePermit) {
        self.in_air.insert(item.place);
        let (baton, job) = (self.baton.clone(), Arc::clone(&self.job));
        let reply = item.reply.as_deref().and_then(|reply| serde_json::from_str::<Batched>(reply).ok()).map(Arc::new);
        let resumed = self.resumed;
        self.air.spawn(async move {
            let ended = ask(baton, job, on, (item, reply, resumed)).await?;
            Ok((ended, place))
        });
    }

    /// Keeps what came of an item, and of those that landed with it.
    async fn landed(&mut self, first: Joined<Landed>) -> Result<(), StoreError> {
        let (mut changes, mut places, mut said, mut next) = (Vec::new(), Vec::new(), None, Some(first));
        while let Some(landed) = next {
            let (ended, place) = landed.map_err(|error| {
                // Which ones are in the air is not known any more: the job is begun again.
                tracing::error!(%error, job = %self.job.id, "an item ended in a panic");
                StoreError::Closed
            })??;
            places.push(place);
            self.in_air.remove(&ended.item.place);
            let until = self.until;
            let (now, says) = self.came(&ended.item, ended.came);
            if self.outdated.remove(&ended.item.place) {
                self.until = until;
            }
            said = says.or(said);
            changes.push(ItemChange { place: ended.item.place, now, cost: ended.cost });
            next = self.air.try_join_next();
        }
        self.baton.store().change_items(self.job.id, &changes).await?;
        match said {
            Some(said) => self.says(said.as_deref()).await,
            None => Ok(()),
        }
    }

    /// How an item stands after an execution of it, and what the job says of it, where that is something.
    fn came(&mut self, item: &JobItem, came: Came) -> (ItemState, Option<Option<String>>) {
        let failure = match came {
            Came::Answered(result) => {
                (self.in_a_row, self.limited) = (0, false);
                return (ItemState::Ended(result), Some(None));
            }
            Came::Failed(failure) => failure,
            Came::Nothing => return (ItemState::Waits { round: item.round + 1, tries: item.tries }, None),
        };
        match then(&failure, item.tries) {
            Then::Ends => {
                let result = item::unanswered(item, &failure, item::execution(&self.job, item));
                (ItemState::Ended(result), None)
            }
            Then::Again => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                let wait = pause(self.in_a_row);
                let says = wait.map(|wait| {
                    self.until = Some(Instant::now() + wait);
                    Some(format!("nothing is answered, and it looks again in {} s: {failure}", wait.as_secs()))
                });
                (ItemState::Waits { round: item.round + 1, tries: item.tries + 1 }, says)
            }
            Then::Waits(wait) => {
                self.limited = true;
                let until = Instant::now() + wait;
                self.until = Some(self.until.map_or(until, |other| other.max(until)));
                (ItemState::Waits { round: item.round + 1, tries: item.tries }, Some(Some(failure.to_string())))
            }
        }
    }

    /// Says why it waits, where that is news.
    pub(super) async fn says(&mut self, why: Option<&str>) -> Result<(), StoreError> {
        if self.said.as_deref() == why {
            return Ok(());
        }
        self.said = why.map(str::to_owned);
        self.baton.store().job_waits(self.job.id, why).await
    }
}
