//! Jobs as the store keeps them: what they are, their items, and the batches they have at providers.

use baton_core::{IntentName, JobId, NanoUsd, SubjectHash, TeamId};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Its items still arrive.
    Arriving,
    /// It is worked on, or waits its turn.
    Open,
    /// Every item has its result.
    Done,
    /// Somebody cancelled it: what was not begun has no result.
    Cancelled,
}

impl JobState {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Arriving => 0,
            Self::Open => 1,
            Self::Done => 2,
            Self::Cancelled => 3,
        }
    }

    pub(crate) fn of(number: i64) -> Self {
        match number {
            0 => Self::Arriving,
            1 => Self::Open,
            2 => Self::Done,
            _ => Self::Cancelled,
        }
    }

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Open => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A job, without its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Whose.
    pub team: TeamId,
    /// What is asked.
    pub intent: IntentName,
    /// How far it is.
    pub state: JobState,
    /// When it was handed in, Unix microseconds.
    pub created_us: i64,
    /// When it was done or cancelled, Unix microseconds.
    pub ended_us: Option<i64>,
    /// How many items it has.
    pub items: u32,
    /// Items that were answered.
    pub succeeded: u32,
    /// Items that ended in an error.
    pub failed: u32,
    /// The known costs of all executions of its items.
    pub cost: NanoUsd,
    /// Whether all of them are known.
    pub cost_known: bool,
    /// Why none of its items is begun at present.
    pub waits: Option<String>,
    /// Under which name it was handed in, and what, both as hashes.
    pub handed_in: Option<(String, String)>,
    /// On what terms, as JSON.
    pub terms: String,
}

/// What is asked of an item, as JSON, and whom it is about.
pub type ItemInput = (String, Option<SubjectHash>);

/// An item that has no result yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobItem {
    /// Its place in the job, from 0.
    pub place: u32,
    /// Which of its executions comes next, from 0.
    pub round: u32,
    /// Of those before, how many failed and count.
    pub tries: u32,
    /// What is asked, as JSON.
    pub input: String,
    /// What a provider's batch answered, as JSON, until it is judged.
    pub reply: Option<String>,
}

/// How an item ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobResult {
    /// Its place in the job, from 0.
    pub place: u32,
    /// Whether it was answered.
    pub succeeded: bool,
    /// The answer or the error, as JSON.
    pub result: String,
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemChange {
    /// Its place in the job, from 0.
    pub place: u32,
    /// How it stands now.
    pub now: ItemState,
    /// What the execution cost that this comes from.
    pub cost: ItemCost,
}

/// How an item stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// It is to be asked again. What a batch replied is used up.
    Waits {
        /// Which of its executions comes next.
        round: u32,
        /// Of those before, how many failed and count.
        tries: u32,
    },
    /// It has its result.
    Ended(JobResult),
}

/// What an execution of an item cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemCost {
    /// What is known.
    pub cost: NanoUsd,
    /// Whether that is all.
    pub known: bool,
}

/// Items of a job that are handed to a provider together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobBatch {
    /// Which of the job's, from 0.
    pub number: u32,
    /// Who is asked.
    pub model: String,
    /// Its first item's place.
    pub first: u32,
    /// Its last item's place.
    pub last: u32,
    /// How far it is.
    pub state: BatchState,
    /// When it was begun, Unix microseconds.
    pub begun_us: i64,
    /// The most that it is thought to cost, where its price is known.
    pub held: NanoUsd,
    /// The provider's id of the file with its items, once known.
    pub file: Option<String>,
    /// The provider's id of it, once known.
    pub batch: Option<String>,
    /// What the provider said of it last.
    pub told: Option<String>,
}

/// How far a [`JobBatch`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchState {
    /// It is to be handed in; it may have been.
    Begun,
    /// The provider has it.
    HandedIn,
    /// What it answered is kept with the items; the others are asked singly.
    Over,
}

impl BatchState {
    pub(crate) fn number(self) -> i64 {
        match self {
            Self::Begun => 0,
            Self::HandedIn => 1,
            Self::Over => 2,
        }
    }

    pub(crate) fn of(number: i64) -> Self {
        match number {
            0 => Self::Begun,
            1 => Self::HandedIn,
            _ => Self::Over,
        }
    }
}
