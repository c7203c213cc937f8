//! What can go wrong in the store.

use baton_core::ExecutionId;

use crate::JournalError;

/// Why the store could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The database.
    #[error("could not {action}: {message}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// The database's words.
        message: String,
    },
    /// What is stored is not what was written.
    #[error("{what} cannot be read: {reason}")]
    Corrupt {
        /// What it is.
        what: String,
        /// Why.
        reason: String,
    },
    /// There is no such execution for this team.
    #[error("there is no execution {0} for this team")]
    UnknownExecution(ExecutionId),
    /// The operating system gave no random bits.
    #[error("no random bits for a key: {0}")]
    Random(String),
    /// Everything is in memory.
    #[error("jobs need a store on disk: what ends with the process cannot be resumed")]
    NoJobs,
    /// More people were erased of late than can be known in memory.
    #[error("{0} people were erased within the last hour, and no more can be: try again later")]
    ErasuresFull(usize),
    /// The store was closed, or was opened for reading only.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// For `map_err`: what was tried when the database failed.
    pub(crate) fn database(action: &'static str) -> impl Fn(sqlx::Error) -> Self {
        move |error| Self::Database { action, message: error.to_string() }
    }

    pub(crate) fn corrupt(what: impl Into<String>) -> impl FnOnce(serde_json::Error) -> Self {
        let what = what.into();
        move |error| Self::Corrupt { what, reason: error.to_string() }
    }
}
