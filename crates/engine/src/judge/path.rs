//! A judge in the path: an execution waits for what another one says of its answer.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use baton_core::{CallConfig, ExecutionId, Moment};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::{Heard, call_of, heard, judge_of};
use crate::call::Call;
use crate::close::crashed;
use crate::engine::Engine;
use crate::log::{Cursor, EventLog};
use crate::resolve::Request;
use crate::run::run;

/// A judgement that is waited for. Where it is dropped nobody waits for the judge any more, whose
/// execution is cancelled, and recorded.
pub(crate) struct Asking {
    /// The execution that judges.
    pub(crate) judge: ExecutionId,
    pub(crate) since: Moment,
    pub(crate) said: Pin<Box<dyn Future<Output = Heard> + Send>>,
}

/// Has this answer of this execution judged within this time: an execution like any other, in a task of
/// its own. `None` where there is no judge, or less than a millisecond.
pub(crate) fn ask(
    engine: &Arc<Engine>,
    call: &Call,
    request: &Request,
    (execution, output): (ExecutionId, &Value),
    budget: Duration,
) -> Option<Asking> {
    let intent = request.intent.as_deref()?;
    let of = intent.plan.name.clone();
    let longest = request.live.intent(&judge_of(&of))?.plan.ceilings.latency;
    let ms = u64::try_from(budget.min(longest).as_millis()).ok().filter(|ms| *ms > 0)?;
    let config = CallConfig { max_latency_ms: Some(ms), ..CallConfig::default() };
    let call = Call { config, ..call_of(intent, call, request, (execution, output)) };
    let (judge, events) = apart(engine, call);
    let own = Arc::clone(engine);
    let said = Box::pin(async move { heard(&own, &of, events).await });
    Some(Asking { judge, since: engine.clock.now(), said })
}

/// Runs this call in a task of its own.
pub(super) fn apart(engine: &Arc<Engine>, call: Call) -> (ExecutionId, Cursor) {
    let (log, events) = EventLog::begin(engine.clock.execution_id());
    let execution = log.execution;
    let running = engine.tasks.begin(&call.caller.team);
    let own = Arc::clone(engine);
    tokio::spawn(async move {
        if AssertUnwindSafe(run(&own, &call, &log)).catch_unwind().await.is_err() {
            tracing::error!(execution = %log.execution, "an execution ended in a panic");
            crashed(&own, &call, &log).await;
        }
        drop(running);
    });
    (execution, events)
}
