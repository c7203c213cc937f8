//! A journal without files: bounded, acknowledged at once, the same on every run.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{JournalError, JournalState};
use crate::Entry;

/// Older entries are forgotten.
const ENTRIES_MAX: usize = 65_536;

/// What a simulated journal does with an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// Refuses it, as a full journal does.
    pub refuse: bool,
    /// Acknowledges it so much later, on tokio's clock. It is kept at once all the same.
    pub ack_after: Duration,
}

/// Decides how each entry is handled; asked without one, whether new work is welcome.
pub type JournalScript = Arc<dyn Fn(Option<&Entry>) -> Handling + Send + Sync>;

pub(crate) struct Memory {
    script: Option<JournalScript>,
    kept: Mutex<Kept>,
    pub(crate) written: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<(u64, Entry)>,
    closed: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self { script: None, kept: Mutex::default(), written: watch::Sender::new(0) }
    }
}

const FULL: JournalError = JournalError::Full { bound: 0 };

impl Memory {
    pub(crate) fn scripted(script: JournalScript) -> Self {
        Self { script: Some(script), ..Self::default() }
    }

    fn handling(&self, entry: Option<&Entry>) -> Handling {
        self.script.as_ref().map_or_else(Handling::default, |script| script(entry))
    }

    pub(crate) fn refusal(&self) -> Option<JournalError> {
        self.handling(None).refuse.then_some(FULL)
    }

    /// How much later the entry is to be acknowledged.
    pub(crate) fn append(&self, entry: &Entry) -> Result<Duration, JournalError> {
        let handling = self.handling(Some(entry));
        if handling.refuse {
            return Err(FULL);
        }
        let mut kept = self.lock();
        if kept.closed {
            return Err(JournalError::Closed);
        }
        let sequence = *self.written.borrow() + 1;
        if kept.entries.len() == ENTRIES_MAX {
            kept.entries.pop_front();
        }
        kept.entries.push_back((sequence, entry.clone()));
        self.written.send_replace(sequence);
        Ok(handling.ack_after)
    }

    /// Calls `look` with each entry, the newest first, until it returns false.
    pub(crate) fn each(&self, mut look: impl FnMut(&Entry) -> bool) {
        let kept = self.lock();
        // The last value says whether every entry was wanted, which nobody asks.
        let _ = kept.entries.iter().rev().all(|(_, entry)| look(entry));
    }

    pub(crate) fn entries(&self, after: u64) -> Vec<(u64, Entry)> {
        self.lock().entries.iter().filter(|(sequence, _)| *sequence > after).cloned().collect()
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    pub(crate) fn state(&self) -> JournalState {
        JournalState {
            bytes: 0,
            bound: u64::MAX,
            queued_bytes: 0,
            dropping_content: false,
            refusing: self.lock().closed || self.handling(None).refuse,
            last_error: None,
            written: *self.written.borrow(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
