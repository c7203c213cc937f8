//! What the journal holds, and how an entry is written down.

use baton_core::{
    ErrorCode, ExecutionId, Failure, IntentName, KeyId, NanoUsd, Quality, Record, Score, Status, SubjectHash, TeamId,
    Usage, write_json,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// An execution gives its first bytes before its record is final.
    Opened(Opened),
    /// The final record of an execution.
    Finished(Box<Record>),
    /// What somebody said about an execution.
    Feedback(Feedback),
    /// What happened to the process itself.
    Control(Control),
    /// What a judge said about an execution, or why it said nothing.
    Score(Box<Score>),
    /// A person was erased.
    Erased(Erased),
}

/// A stream that is about to give its first byte. If the process ends before the record is final,
/// recovery closes it as [`Status::Interrupted`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// The execution.
    pub execution: ExecutionId,
    /// Who called.
    pub team: TeamId,
    /// With which key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// The partition of its scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition: Vec<Option<String>>,
    /// Its intent; `None` for a raw model call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<IntentName>,
    /// Wall clock at the start, Unix microseconds.
    pub started_at_us: i64,
    /// The deadline that it had, in microseconds from the start.
    pub deadline_us: u64,
    /// The most that it can cost: what an interrupted execution is charged.
    pub reserved: NanoUsd,
    /// Whether it was asked for as a stream.
    pub stream: bool,
    /// Whether a simulated model may answer.
    #[serde(default)]
    pub simulated: bool,
    /// Whom it is about, for deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

impl Opened {
    /// Takes out what it says of whom it is about, who was erased.
    pub fn erase(&mut self) {
        self.subject = None;
        self.partition.clear();
    }

    /// The final record of an execution whose process ended before it did. What it cost is unknown;
    /// it is charged at its reservation. How long it ran is unknown too, and stands as 0.
    #[must_use]
    pub fn interrupted(self) -> Record {
        let message = "the server ended before this execution did; it is charged at its reservation";
        Record {
            execution: self.execution,
            intent: self.intent,
            team: self.team,
            key: self.key,
            idempotency: None,
            partition: self.partition,
            version: String::new(),
            answer_hash: String::new(),
            lineage: String::new(),
            started_at_us: self.started_at_us,
            duration_us: 0,
            overhead_us: 0,
            first_token_us: None,
            deadline_us: self.deadline_us,
            status: Status::Interrupted,
            via: None,
            model: None,
            reason: None,
            route: None,
            error: Some(Failure::new(ErrorCode::StreamInterrupted, message)),
            usage: Usage::default(),
            cost: self.reserved,
            cost_known: false,
            attempts: Vec::new(),
            quality: Quality { needed: None, ..Quality::unknown(0, 0) },
            repairs: Vec::new(),
            stream: self.stream,
            simulated: self.simulated,
            source: None,
            saved: None,
            semantic: None,
            parent: None,
            judged: None,
            metadata: Default::default(),
            session: None,
            subject: self.subject,
            trace: None,
            review: None,
            content_dropped: false,
            redacted: false,
            erased_at_us: None,
            input: None,
            output: None,
        }
    }
}

/// What somebody said about an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Feedback {
    /// About which execution.
    pub execution: ExecutionId,
    /// Who may see it: the execution's team.
    pub team: TeamId,
    /// When it was said, Unix microseconds.
    pub at_us: i64,
    /// What was said.
    #[serde(flatten)]
    pub kind: FeedbackKind,
    /// Who said it, as the caller names them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// In their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The kinds of [`Feedback`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeedbackKind {
    /// A number under a name, for example `stars` 4.
    Score {
        /// What was measured.
        name: String,
        /// How much.
        value: f64,
    },
    /// A verdict in one word, for example `good`.
    Label {
        /// The word.
        value: String,
    },
    /// What the answer should have been.
    Correction {
        /// In the shape of the intent's output.
        output: Value,
    },
    /// What the person actually sent in the end.
    FinalOutput {
        /// In the shape of the intent's output.
        output: Value,
    },
}

/// A person was erased: the entries before it lose what they say of them, in this order wherever they are
/// read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// Who, without their name.
    pub subject: SubjectHash,
    /// In which team.
    pub team: TeamId,
    /// When, Unix microseconds.
    pub at_us: i64,
    /// With which key it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<KeyId>,
}

impl Erased {
    /// Whether a name of the team's is theirs.
    pub(crate) fn is(&self, name: &str) -> bool {
        SubjectHash::of(&self.team, name) == self.subject
    }
}

/// Something that happened to the process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// When, Unix microseconds.
    pub at_us: i64,
    /// What.
    pub event: ControlEvent,
}

/// The events of [`Control`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlEvent {
    /// A server took over the folder.
    Started {
        /// The version of the program.
        version: String,
    },
    /// A server left the folder in order.
    Stopped,
}

/// The version of the payloads that this program writes.
pub(crate) const VERSION: u8 = 1;

/// What a frame says that its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Opened = 1,
    Finished = 2,
    Feedback = 3,
    Control = 4,
    Score = 5,
    Erased = 6,
}

impl Entry {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Opened(_) => Kind::Opened,
            Self::Finished(_) => Kind::Finished,
            Self::Feedback(_) => Kind::Feedback,
            Self::Control(_) => Kind::Control,
            Self::Score(_) => Kind::Score,
            Self::Erased(_) => Kind::Erased,
        }
    }

    /// Appends the payload, as JSON, to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        match self {
            Self::Opened(opened) => write_json(out, opened),
            Self::Finished(record) => write_json(out, record),
            Self::Feedback(feedback) => write_json(out, feedback),
            Self::Control(control) => write_json(out, control),
            Self::Score(score) => write_json(out, score),
            Self::Erased(erased) => write_json(out, erased),
        }
    }

    /// Reads a payload of a frame of this kind and version; the error says what was not understood.
    pub(crate) fn decode(kind: u8, version: u8, payload: &[u8]) -> Result<Self, String> {
        fn json<'a, T: Deserialize<'a>>(payload: &'a [u8]) -> Result<T, String> {
            serde_json::from_slice(payload).map_err(|error| error.to_string())
        }
        if version != VERSION {
            return Err(format!("version {version} of entries is not known to this program; use a newer one"));
        }
        match kind {
            kind if kind == Kind::Opened as u8 => json(payload).map(Self::Opened),
            kind if kind == Kind::Finished as u8 => json(payload).map(Self::Finished),
            kind if kind == Kind::Feedback as u8 => json(payload).map(Self::Feedback),
            kind if kind == Kind::Control as u8 => json(payload).map(Self::Control),
            kind if kind == Kind::Score as u8 => json(payload).map(Self::Score),
            kind if kind == Kind::Erased as u8 => json(payload).map(Self::Erased),
            kind => Err(format!("entries of kind {kind} are not known to this program; use a newer one")),
        }
    }

    /// The same record without its content, and labelled so; `None` where there is nothing to drop.
    pub(crate) fn without_content(&self) -> Option<Self> {
        let Self::Finished(record) = self else { return None };
        if record.input.is_none() && record.output.is_none() {
            return None;
        }
        let mut record = record.clone();
        (record.input, record.output, record.content_dropped) = (None, None, true);
        record.review = record.review.as_ref().map(baton_core::ReviewDraw::without_content);
        Some(Self::Finished(record))
    }
}
