//! A journal without files: bounded, acknowledged at once, the same on every run.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use super::{JournalError, JournalState};
use crate::Entry;

/// Older entries are forgotten.
const ENTRIES_MAX: usize = 65_536;

pub(crate) struct Memory {
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
        Self { kept: Mutex::default(), written: watch::Sender::new(0) }
    }
}

impl Memory {
    pub(crate) fn append(&self, entry: &Entry) -> Result<(), JournalError> {
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
        Ok(())
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
            refusing: self.lock().closed,
            last_error: None,
            written: *self.written.borrow(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
