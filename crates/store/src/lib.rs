//! What was done, kept: the journal, the records in SQLite, keys, feedback and reports.
//!
//! A record is acknowledged by the [`Journal`] before its answer leaves; a thread of its own copies
//! the journal into SQLite, where the [`Store`] answers from. The store never decides anything.

mod entry;
mod journal;

pub use entry::{Control, ControlEvent, Entry, Feedback, FeedbackKind, Opened};
pub use journal::{Ack, Damage, Journal, JournalError, JournalOptions, JournalState, Recovered};
