//! A journal without files: bounded, acknowledged at once, the same on every run.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_core::ExecutionId;
use tokio::sync::watch;

use super::{JournalError, JournalState};
use crate::{Entry, Erased, Feedback, FeedbackKind};

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
    /// The records of those who were erased, until somebody asks.
    erased: Vec<(Erased, Vec<ExecutionId>)>,
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
        if let Entry::Erased(erased) = entry {
            let theirs = erase(&mut kept.entries, erased);
            kept.erased.push((erased.clone(), theirs));
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

    /// The records that lost their content with this entry; once.
    pub(crate) fn take_erased(&self, erased: &Erased) -> Vec<ExecutionId> {
        let mut kept = self.lock();
        let place = kept.erased.iter().position(|(of, _)| of == erased);
        place.map(|place| kept.erased.swap_remove(place).1).unwrap_or_default()
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

/// What ingestion does with the databases.
fn erase(entries: &mut VecDeque<(u64, Entry)>, erased: &Erased) -> Vec<ExecutionId> {
    let mut theirs = HashSet::new();
    for (_, entry) in entries.iter_mut() {
        match entry {
            Entry::Finished(record) if record.subject_hash() == Some(erased.subject) => {
                theirs.insert(record.execution);
                record.erase(erased.at_us);
            }
            Entry::Opened(opened)
                if opened.team == erased.team && opened.subject.as_deref().is_some_and(|s| erased.is(s)) =>
            {
                opened.erase();
            }
            _ => {}
        }
    }
    let wrote = |feedback: &Feedback| {
        matches!(feedback.kind, FeedbackKind::Correction { .. } | FeedbackKind::FinalOutput { .. })
    };
    entries.retain_mut(|(_, entry)| match entry {
        Entry::Feedback(feedback) if theirs.contains(&feedback.execution) => {
            feedback.comment = None;
            feedback.by = feedback.by.take().filter(|by| !erased.is(by));
            !wrote(feedback)
        }
        Entry::Score(score) if theirs.contains(&score.execution) => {
            score.result.erase();
            true
        }
        _ => true,
    });
    theirs.into_iter().collect()
}
