//! A call that was started: its events, and its end.

use std::sync::Arc;

use baton_core::ExecutionId;

use crate::ExecuteError;
use crate::engine::Engine;
use crate::log::{Cursor, Delivered, LogEvent};

/// A started call.
pub struct Execution {
    /// Its id.
    pub id: ExecutionId,
    /// What happens, from the start.
    pub events: Cursor,
}

impl Execution {
    /// Waits for its end.
    ///
    /// # Errors
    /// As [`crate::Orchestrator::execute`].
    pub async fn end(self) -> Result<Arc<Delivered>, ExecuteError> {
        let Self { id: execution, mut events } = self;
        loop {
            match events.next().await {
                Some(LogEvent::End(delivered)) => return Ok(delivered),
                Some(LogEvent::Error(failure)) => return Err(ExecuteError { execution, failure: (*failure).clone() }),
                Some(LogEvent::Start { .. } | LogEvent::Delta(_)) => {}
                None => return Err(ExecuteError { execution, failure: Engine::crashed(execution) }),
            }
        }
    }
}
