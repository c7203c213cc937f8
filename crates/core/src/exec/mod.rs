//! The request's state machine: what to do next, decided without a clock, a runtime or a socket.
//!
//! The driver calls [`Exec::step`] with what happened, performs the decision, and calls again with
//! [`Event::Woke`] until it is told to wait or is done. Once candidates are ranked, nothing but
//! this decides.
//!
//! Several attempts may be in the air. One is the *main* attempt: primary, retry or fallback; where
//! it fails, the next is chosen. A *hedge* runs beside one that takes unusually long, on another
//! lane, and takes its place where it fails. A *probe* runs beside the others and is waited for
//! only where nobody else is left. The first acceptable answer wins, the others are cancelled.
//!
//! An attempt needs a place at its lane. Where a lane has none, the next candidate that has one is
//! asked; where nobody has one, the machine waits in the queue of the lane that is likely to be free
//! first, as long as an answer may still come in time. Hedges and probes never wait for a place.
//!
//! Where models are asked in turn, an answer is held while another one is asked, and given where nobody
//! else is heard: to ask once more is never a reason to be without an answer.
//!
//! Where the policy names a judge, an answer that nothing is proven of is shown to it before it is
//! given, as long as the deadline has room for what nine of ten verdicts take.

mod choose;
mod held;
mod judging;
mod machine;
mod pace;
#[cfg(test)]
mod tests;
mod wait;

use std::time::Duration;

pub use machine::Exec;
pub use pace::{Breach, StreamLimits};

use crate::{AttemptKind, AttemptOutcome, Claimant, Disposition, ErrorCode, LaneId, Moment, Ticket, Verdict};

/// When the log is released to its readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commit {
    /// When the answer passed: unary calls, and streams with gate checks.
    AtVerdict,
    /// When this much arrived, whichever comes first: streams without gate checks.
    After {
        /// Pieces of text.
        chunks: u32,
        /// Bytes of text.
        bytes: u64,
    },
}

/// What happens to an answer whose quality cannot be promised yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// It is given, marked unverified.
    Pass,
    /// A judge is asked first, where there is time: without its word it is given as with `Pass`.
    Judge,
    /// It is not given.
    Fail,
}

/// What one execution may do.
#[derive(Clone, Debug)]
pub struct Policy {
    /// When the call began.
    pub started: Moment,
    /// No answer is given after it. For streams it bounds the commit.
    pub deadline: Moment,
    /// For streams, the end of what was committed; the deadline where it is earlier.
    pub stream_end: Moment,
    /// Retries on the same lane, over the whole execution.
    pub retries: u32,
    /// When the log is released.
    pub commit: Commit,
    /// What happens to answers without evidence.
    pub unproven: Unproven,
    /// The lane of the judge that is shown them, where one is.
    pub judge: Option<LaneId>,
    /// Where the answer is asked for as a stream: what each attempt's must keep to. Its first token
    /// is the progress that a hedge waits for.
    pub stream: Option<StreamLimits>,
    /// How many hedges a call pays for, in [0, 1]; 0 switches hedging off.
    pub hedge_share: f64,
    /// Who asks for places.
    pub who: Claimant,
}

/// An attempt to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number in this execution, from 0.
    pub number: usize,
    /// Index among the ranked candidates.
    pub candidate: usize,
    /// Why it is made.
    pub kind: AttemptKind,
    /// The time it has; a probe's may be longer than its execution. The machine cancels it; the
    /// driver need not.
    pub budget: Duration,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing but time passed, or the last decision was performed.
    Woke,
    /// So much of an answer arrived, in all. Thinking is progress, too, without any text.
    Progress {
        /// The attempt's number.
        attempt: usize,
        /// Pieces of text.
        chunks: u32,
        /// Bytes of text.
        bytes: u64,
        /// Bytes of anything that the model wrote, thinking included.
        read: u64,
    },
    /// An answer is complete, and its checks said this.
    Answered {
        /// The attempt's number.
        attempt: usize,
        /// What they said.
        verdict: Verdict,
    },
    /// An answer is complete and passed its checks, and those of its models who answered so far are compared.
    Held {
        /// The attempt's number.
        attempt: usize,
        /// Whose answer is given if nobody else is heard.
        give: usize,
        /// Whether evidence says that this one is good enough.
        verified: bool,
        /// The candidate to ask before one is given; `None`: it is given now.
        ask: Option<usize>,
    },
    /// A judge looked at an answer, and this is what it comes to; undecided where it said nothing.
    Judged {
        /// The attempt's number.
        attempt: usize,
        /// What it says.
        verdict: Verdict,
    },
    /// An attempt failed.
    Failed {
        /// The attempt's number.
        attempt: usize,
        /// In which way.
        disposition: Disposition,
    },
    /// No reader is left.
    Abandoned,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Open this attempt.
    Start(Attempt),
    /// It waits in the queue of this candidate's lane from now on. Whoever grants the place, or sends
    /// it away, wakes this ticket; what follows is a `Start` or a `Skip` of the candidate.
    Queue {
        /// Index among the ranked candidates.
        candidate: usize,
        /// Its number in the queue.
        ticket: Ticket,
    },
    /// Record that a candidate was passed over.
    Skip {
        /// Index among the ranked candidates.
        candidate: usize,
        /// What it would have been.
        kind: AttemptKind,
        /// `no_time`, `breaker_open` or `no_room`.
        outcome: AttemptOutcome,
    },
    /// Stop this attempt; it ended so.
    Cancel {
        /// The attempt's number.
        attempt: usize,
        /// `slow` or `cancelled`.
        disposition: Disposition,
        /// The limit of its stream that it broke, where that is why.
        breach: Option<Breach>,
    },
    /// This attempt is no longer waited for, and goes on: it shows whether its lane is back. Its
    /// end, or its first token, is told to [`crate::Lanes::observe`], at `until` as `slow`.
    Detach {
        /// The attempt's number.
        attempt: usize,
        /// Index among the ranked candidates.
        candidate: usize,
        /// What it is to this execution: `slow` or `cancelled`.
        disposition: Disposition,
        /// When it began.
        began: Moment,
        /// When it ends.
        until: Moment,
    },
    /// Show this attempt's answer to the judge. [`Event::Judged`] is waited for so long, and no longer:
    /// no word is no fail.
    Judge {
        /// The attempt's number.
        attempt: usize,
        /// The time that is left.
        budget: Duration,
    },
    /// Release this attempt's text to the readers. At most one attempt is ever committed.
    Commit(usize),
    /// Wait for an event, at most until then.
    Wait(Moment),
    /// The execution is over.
    Done(Finish),
}

/// How an execution ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// This attempt's answer is given.
    Answered {
        /// The attempt's number.
        attempt: usize,
        /// Whether evidence says that it is good enough.
        verified: bool,
    },
    /// No answer: a stale one, a default, or this error.
    Failed {
        /// The error where there is nothing else to give.
        code: ErrorCode,
        /// When it may be better.
        retry_after: Option<Duration>,
    },
    /// A stream broke, ran out of time, or failed its checks after its first bytes were given.
    Broken {
        /// The attempt's number.
        attempt: usize,
        /// `stream_interrupted`, or `no_acceptable_answer` for a failed gate.
        code: ErrorCode,
    },
    /// Nobody waits for an answer.
    Cancelled,
}
