//! What was done, kept: the journal, the records in SQLite, keys, feedback, reviews and reports.
//!
//! A record is acknowledged by the [`Journal`] before its answer leaves; a thread of its own copies
//! the journal into SQLite, where the [`Store`] answers from. The store never decides anything.

mod digest;
mod entry;
mod error;
mod feedback;
mod jobs;
mod journal;
mod keys;
mod latencies;
mod report;
mod reviews;
mod spend;
mod store;
mod tally;

pub use entry::{Control, ControlEvent, Entry, Erased, Feedback, FeedbackKind, Opened};
pub use error::StoreError;
pub use jobs::{BatchState, ItemChange, ItemCost, ItemInput, ItemState, Job, JobBatch, JobItem, JobResult, JobState};
pub use journal::{
    Ack, Damage, Handling, Journal, JournalError, JournalOptions, JournalScript, JournalState, Recovered,
};
pub use keys::{KeyInfo, NewKey, Permission};
pub use latencies::Latencies;
pub use report::{ExecutionFilter, Report, ReportQuery};
pub use reviews::{Label, LabelQuery, RESERVATION_US, ReviewAct, ReviewError, ReviewFilter, Reviewer};
pub use spend::{REPEATS_KEPT, Repeat, Spend};
pub use store::{
    CalibrationVersion, DriftEntry, ErasedCounts, Ingestion, Past, Retention, RolloutEntry, SemanticChanges,
    SemanticEntry, SemanticEvidence, Store,
};
pub use tally::{BatchTally, CallTally, ModelTally, Tally};
