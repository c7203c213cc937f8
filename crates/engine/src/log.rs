//! The event log of one execution: append-only, bounded, read through cursors.
//!
//! The caller, coalesced followers and replays are all cursors. A reader never holds the writer
//! up: one that falls behind the bound is told so and dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_config::IntentKind;
use baton_core::{Answer, ExecutionId, Failure, ModelId};
use baton_wire::{Block, Delta, FinishReason};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::intent::text_of_output;

/// Text kept for readers that are behind.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a reader gets: one `Start` and deltas (streams only), then one `End` or one `Error`.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// Text begins to flow.
    Start {
        /// Who writes it.
        model: ModelId,
    },
    /// A piece.
    Delta(Delta),
    /// The whole answer, its record acknowledged.
    End(Arc<Delivered>),
    /// A typed error; what came before is not an answer.
    Error(Arc<Failure>),
}

/// An answer, with what surfaces other than `execute` need of it.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// The answer as `execute` gives it.
    pub answer: Answer,
    /// What the model wrote.
    pub content: Vec<Block>,
    /// Why it stopped.
    pub finish: FinishReason,
    /// Fields of the provider's answer that the canonical form does not know, kept for raw calls.
    pub extra: Map<String, Value>,
}

impl Delivered {
    /// What was checked, where an intent answered: its output as text (the label, the generated text,
    /// or the fields as JSON), then the tool calls. What the model wrote around it is left out.
    #[must_use]
    pub fn checked(&self, kind: &IntentKind) -> Vec<Block> {
        let output = &self.answer.output;
        let pending = !self.answer.tool_calls.is_empty() && output.as_object().is_none_or(Map::is_empty);
        let text = if pending { None } else { text_of_output(kind, output) };
        let calls = self.content.iter().filter(|block| matches!(block, Block::ToolUse { .. })).cloned();
        text.map(Block::Text).into_iter().chain(calls).collect()
    }
}

#[derive(Default)]
struct Inner {
    /// Events from number `first` on.
    events: VecDeque<LogEvent>,
    first: usize,
    bytes: usize,
    readers: usize,
    /// The writer saw that nobody reads: it gives up, and nobody may join it any more.
    deserted: bool,
    /// The final record was handed to the journal.
    recorded: bool,
    /// How it ends says nothing to the followers.
    own: bool,
    ended: bool,
}

/// See the module.
pub(crate) struct EventLog {
    /// The execution that writes it.
    pub(crate) execution: ExecutionId,
    inner: Mutex<Inner>,
    grown: Notify,
    left: Notify,
}

impl EventLog {
    /// A log and its first reader.
    pub(crate) fn begin(execution: ExecutionId) -> (Arc<Self>, Cursor) {
        let inner = Mutex::new(Inner { readers: 1, ..Inner::default() });
        let log = Arc::new(Self { execution, inner, grown: Notify::new(), left: Notify::new() });
        let cursor = Cursor { log: Arc::clone(&log), next: 0 };
        (log, cursor)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the writer saw that nobody reads.
    pub(crate) fn is_deserted(&self) -> bool {
        self.lock().deserted
    }

    /// A reader from the start; `None` where the start is no longer kept, or the writer gave up.
    pub(crate) fn reader(self: &Arc<Self>) -> Option<Cursor> {
        let mut inner = self.lock();
        if inner.first > 0 || inner.deserted {
            return None;
        }
        inner.readers += 1;
        Some(Cursor { log: Arc::clone(self), next: 0 })
    }

    /// Appends, unless the last event was written; what no longer fits the bound is lost to readers that are that far behind.
    pub(crate) fn append(&self, event: LogEvent) {
        let mut inner = self.lock();
        if inner.ended {
            return;
        }
        inner.bytes += size(&event);
        inner.ended |= matches!(event, LogEvent::End(_) | LogEvent::Error(_));
        inner.events.push_back(event);
        while inner.bytes > BYTES_MAX && inner.events.len() > 1 {
            let Some(oldest) = inner.events.pop_front() else { break };
            inner.bytes -= size(&oldest);
            inner.first += 1;
        }
        drop(inner);
        self.grown.notify_waiters();
    }

    /// Notes that how it ends comes of its own limits: whoever follows must ask for itself. Before
    /// the last events.
    pub(crate) fn keep_from_followers(&self) {
        self.lock().own = true;
    }

    /// Notes that the execution has its final record.
    pub(crate) fn set_recorded(&self) {
        self.lock().recorded = true;
    }

    /// Whether it has.
    pub(crate) fn is_recorded(&self) -> bool {
        self.lock().recorded
    }

    /// Its last event, where that was written.
    pub(crate) fn last(&self) -> Option<LogEvent> {
        let inner = self.lock();
        inner.events.back().filter(|_| inner.ended).cloned()
    }

    /// Whether its last event was written.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().ended
    }

    /// Returns when no reader is left; from then on there will be none.
    pub(crate) async fn abandoned(&self) {
        loop {
            let left = self.left.notified();
            {
                let mut inner = self.lock();
                if inner.readers == 0 {
                    inner.deserted = true;
                    return;
                }
            }
            left.await;
        }
    }
}

fn size(event: &LogEvent) -> usize {
    let text = match event {
        LogEvent::Delta(Delta::Text(t) | Delta::Thinking(t) | Delta::Refusal(t)) => t.len(),
        LogEvent::Delta(Delta::ToolUse { arguments, .. }) => arguments.len(),
        LogEvent::Delta(Delta::Opaque(fields)) => fields.len() * 64,
        LogEvent::Start { .. } | LogEvent::End(_) | LogEvent::Error(_) => 0,
    };
    text + size_of::<LogEvent>()
}

/// A reader's place in a log. Dropping it is how a caller leaves.
pub struct Cursor {
    log: Arc<EventLog>,
    next: usize,
}

impl Cursor {
    /// The execution that is read.
    #[must_use]
    pub fn execution(&self) -> ExecutionId {
        self.log.execution
    }

    /// Whether how it ends says nothing to who follows.
    pub(crate) fn is_anothers(&self) -> bool {
        self.log.lock().own
    }

    /// The next event; `None` where the reader fell behind the bound, or after the last event.
    pub async fn next(&mut self) -> Option<LogEvent> {
        loop {
            let grown = self.log.grown.notified();
            {
                let inner = self.log.lock();
                let place = self.next.checked_sub(inner.first)?;
                if let Some(event) = inner.events.get(place) {
                    self.next += 1;
                    return Some(event.clone());
                }
                if inner.ended {
                    return None;
                }
            }
            grown.await;
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut inner = self.log.lock();
        inner.readers -= 1;
        let last = inner.readers == 0;
        drop(inner);
        if last {
            self.log.left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> (Arc<EventLog>, Cursor) {
        EventLog::begin(ExecutionId::new(0, [0; 10]))
    }

    fn text(text: &str) -> LogEvent {
        LogEvent::Delta(Delta::Text(text.into()))
    }

    #[tokio::test]
    async fn every_reader_reads_everything_from_the_start() {
        let (log, mut early) = begin();
        log.append(text("a"));
        let mut late = log.reader().unwrap();
        log.append(LogEvent::Error(Arc::new(Failure::new(baton_core::ErrorCode::Internal, "x"))));
        for reader in [&mut early, &mut late] {
            assert!(matches!(reader.next().await, Some(LogEvent::Delta(Delta::Text(t))) if t == "a"));
            assert!(matches!(reader.next().await, Some(LogEvent::Error(_))));
            assert!(reader.next().await.is_none());
        }
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_is_dropped_and_the_writer_goes_on() {
        let (log, mut slow) = begin();
        let big = "x".repeat(BYTES_MAX / 3);
        for _ in 0..8 {
            log.append(text(&big));
        }
        assert!(slow.next().await.is_none());
        assert!(log.reader().is_none(), "the start is gone");
        assert!(log.lock().bytes <= BYTES_MAX);
    }

    #[tokio::test]
    async fn the_last_reader_to_leave_is_noticed() {
        let (log, one) = begin();
        let two = log.reader().unwrap();
        drop(one);
        let mut abandoned = Box::pin(log.abandoned());
        assert!(futures_util::poll!(&mut abandoned).is_pending());
        drop(two);
        abandoned.await;
    }
}
