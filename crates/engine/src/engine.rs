//! What all executions of a process share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_cache::ExactCache;
use baton_core::{At, Decision, ErrorCode, Event, Exec, ExecutionId, Failure, Lanes, NanoUsd, Record, Sampler, Trace};
use baton_store::{Ack, Entry, JournalError, Opened, Store};
use tokio::time::timeout_at;

use crate::batch::Batches;
use crate::budgets::Budgets;
use crate::call::Call;
use crate::clock::Clock;
use crate::drift::Drift;
use crate::erase::{About, Erasures};
use crate::flights::Flights;
use crate::jobs::Working;
use crate::judge::Judges;
use crate::learn::Learning;
use crate::live::Live;
use crate::local::Locals;
use crate::log::EventLog;
use crate::places::Waiters;
use crate::reload::Configured;
use crate::repeats::Repeats;
use crate::resolve::Request;
use crate::review::Reviews;
use crate::rollout::Rollouts;
use crate::routing::Routing;
use crate::semantic::Semantic;
use crate::tasks::Tasks;

/// Sees every record before it is journalled: metrics and logs derive from it.
pub type Observer = Arc<dyn Fn(&Record) + Send + Sync>;

/// See the module.
pub(crate) struct Engine {
    /// What new calls run on. A running one keeps its own, in its `Request`.
    pub(crate) configured: Configured,
    /// Of all versions of the configuration.
    pub(crate) lanes: Mutex<Lanes>,
    pub(crate) waiters: Waiters,
    pub(crate) cache: ExactCache,
    pub(crate) flights: Flights,
    pub(crate) batches: Arc<Batches>,
    pub(crate) budgets: Budgets,
    pub(crate) repeats: Repeats,
    pub(crate) store: Store,
    pub(crate) erasures: Erasures,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
    pub(crate) on_record: Option<Observer>,
    pub(crate) sampler: Sampler,
    pub(crate) reviews: Reviews,
    pub(crate) judges: Judges,
    pub(crate) learning: Learning,
    pub(crate) locals: Locals,
    pub(crate) routing: Routing,
    pub(crate) drift: Drift,
    pub(crate) rollouts: Rollouts,
    pub(crate) semantic: Semantic,
    pub(crate) jobs: Working,
}

impl Engine {
    /// What a call that begins now runs on.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.configured.live()
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trace of a call's execution.
    pub(crate) fn trace(&self, call: &Call, execution: ExecutionId) -> Trace {
        Trace::begin(execution, call.trace.as_ref(), self.sampler)
    }

    /// One step of the state machine, on what all executions know of the lanes.
    pub(crate) fn decide(&self, exec: &mut Exec, event: Event) -> Decision {
        self.change(|lanes| exec.step(self.clock.now(), event, lanes))
    }

    /// Changes what is known of the lanes, and wakes whoever that concerns.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Lanes) -> T) -> T {
        let mut lanes = self.lanes();
        let (changed, woken) = (change(&mut lanes), lanes.take_woken());
        drop(lanes);
        self.waiters.wake(&woken);
        changed
    }

    /// Whether there is room to record one more execution, and whether one more may be made now.
    pub(crate) fn admit(&self, request: &Request) -> Result<(), Failure> {
        self.store.journal().refusal().map_or(Ok(()), |error| Err(full(&error)))?;
        self.budgets.call(&request.quotas, At { now: self.clock.now(), unix_us: request.started_at_us })
    }

    /// Journals that a stream begins, acknowledged before its first byte leaves. `reserved` is the
    /// most that it can cost.
    pub(crate) async fn journal_opened(
        &self,
        call: &Call,
        request: &Request,
        log: &EventLog,
        reserved: NanoUsd,
    ) -> Result<(), Failure> {
        let simulated = |candidate: &baton_core::Candidate| {
            request.live.snapshot.providers.get(candidate.model.provider()).is_some_and(|spec| spec.kind == "simulated")
        };
        let mut opened = Opened {
            execution: log.execution,
            team: request.scope.team.clone(),
            key: call.caller.key.as_ref().map(|key| key.id.clone()),
            intent: request.intent.as_ref().map(|intent| intent.plan.name.clone()),
            started_at_us: request.started_at_us,
            reserved,
            deadline_us: crate::drive::micros(request.deadline - request.started),
            stream: call.stream,
            partition: request.scope.partition.clone(),
            simulated: request.candidates.iter().any(simulated),
            subject: call.subject.clone(),
        };
        let ack = self.erasures.journalling(&request.about, |erased| {
            if erased.is_some() {
                opened.erase();
            }
            self.store.journal().append(&Entry::Opened(opened))
        });
        self.acknowledged(ack, request.deadline).await
    }

    /// Journals a record, without its content where whom it is about was erased meanwhile.
    pub(crate) fn journal_record(
        &self,
        mut record: Box<Record>,
        about: &About,
    ) -> (Box<Record>, Result<Ack, JournalError>) {
        self.erasures.journalling(about, |erased| {
            if let Some(at_us) = erased.filter(|_| record.erased_at_us.is_none()) {
                record.erase(at_us);
            }
            let entry = Entry::Finished(record);
            let ack = self.store.journal().append(&entry);
            let Entry::Finished(record) = entry else { unreachable!("made above") };
            (record, ack)
        })
    }

    /// Waits for an entry's acknowledgement, until the deadline.
    pub(crate) async fn acknowledged(
        &self,
        appended: Result<Ack, JournalError>,
        deadline: baton_core::Moment,
    ) -> Result<(), Failure> {
        let ack = appended.map_err(|error| full(&error))?;
        match timeout_at(self.clock.instant(deadline), ack).await {
            Ok(written) => written.map_err(|error| full(&error)),
            Err(_) => Err(Failure::new(
                ErrorCode::DeadlineExceeded,
                "the record could not be acknowledged before the deadline; it follows",
            )),
        }
    }

    /// A fault of ours ended an execution: nobody may wait for ever.
    pub(crate) fn crashed(execution: ExecutionId) -> Failure {
        Failure::new(
            ErrorCode::Internal,
            format!("a fault of Baton's own ended execution {execution}; please report it"),
        )
    }
}

fn full(error: &JournalError) -> Failure {
    Failure::new(ErrorCode::JournalFull, format!("the answer cannot be recorded, so none is given: {error}"))
}
