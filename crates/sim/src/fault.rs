//! The wall of faults: everything that a server can do wrong, by name.

use std::time::Duration;

use crate::behaviour::Share;

/// How a rate-limited answer says when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// `retry-after: 2`.
    Seconds(u64),
    /// `retry-after: Sun, 06 Nov 1994 08:49:37 GMT`, this many seconds after the response's `date` header.
    Date(u64),
}

/// One way for a call to go wrong. `docs/simulator.md` says what each sends, streamed and not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No connection (in memory), or a connection closed without an answer (over sockets).
    Refuse,
    /// Accepted, never answered.
    Hang,
    /// Status and headers of a success, then nothing.
    HeadersThenSilence,
    /// The right answer, an event (streamed) or a byte (otherwise) at a time.
    Trickle {
        /// Between two of them.
        every: Duration,
    },
    /// An HTTP error.
    Status {
        /// 400 to 599.
        status: u16,
        /// When to come back, if it says so.
        retry_after: Option<RetryAfter>,
        /// The body; absent means OpenAI's error envelope.
        body: Option<String>,
    },
    /// 404: the model was withdrawn.
    ModelGone,
    /// 401: the key is no longer good.
    Unauthorized,
    /// 402: the account is not paid.
    Payment,
    /// Status 200, its body an error envelope.
    ErrorBody200,
    /// Status 200, its body a web page.
    Html200,
    /// Status 200, its body not JSON though its content type says so.
    InvalidJson,
    /// The body stops in the middle of its JSON and nothing in the transport says so.
    TruncatedJson,
    /// The body stops short of its `content-length` and the connection closes.
    CutBody,
    /// An error event in the stream.
    ErrorEvent {
        /// Tokens before it; 0 means before the first.
        after_tokens: usize,
    },
    /// The connection closes in the middle of the stream.
    CutStream {
        /// Tokens before it.
        after_tokens: usize,
    },
    /// The stream ends in good order, without finish reason, usage and `[DONE]`.
    NoTerminal,
    /// The usage that was asked for is missing.
    NoUsage,
    /// An event that is not JSON; the stream goes on after it.
    MalformedChunk {
        /// Tokens before it.
        after_tokens: usize,
    },
    /// One huge piece of content instead of the answer.
    HugeChunk {
        /// Its size.
        bytes: usize,
    },
    /// The right answer one byte at a time: every character of more than one byte is split.
    SplitUtf8,
    /// Comments that keep the connection alive, and nothing else, for ever.
    KeepaliveForever {
        /// Between two of them.
        every: Duration,
    },
    /// The stream stops moving after some tokens; the connection stays. Not streamed: as [`Fault::HeadersThenSilence`].
    Stall {
        /// Tokens before it.
        after_tokens: usize,
        /// Comments at this distance, for ever; `None` means silence.
        every: Option<Duration>,
    },
    /// Half the answer, finish reason `length`.
    Length,
    /// An answer without content, finish reason `stop`.
    Empty,
    /// A refusal instead of content.
    Refusal,
    /// Well-formed, but not of the form that was asked for.
    WrongSchema,
    /// The form that was asked for, with values that are not true.
    Invented,
    /// The right answer in a code fence, with prose around it.
    Fenced,
    /// Two calls of the first tool that the request offers, both of one id, instead of the answer.
    DuplicateToolCalls,
}

impl Fault {
    /// Its name in scenario files and statistics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::HeadersThenSilence => "headers_then_silence",
            Self::Trickle { .. } => "trickle",
            Self::Status { .. } => "status",
            Self::ModelGone => "model_gone",
            Self::Unauthorized => "unauthorized",
            Self::Payment => "payment",
            Self::ErrorBody200 => "error_body_200",
            Self::Html200 => "html_200",
            Self::InvalidJson => "invalid_json",
            Self::TruncatedJson => "truncated_json",
            Self::CutBody => "cut_body",
            Self::ErrorEvent { .. } => "error_event",
            Self::CutStream { .. } => "cut_stream",
            Self::NoTerminal => "no_terminal",
            Self::NoUsage => "no_usage",
            Self::MalformedChunk { .. } => "malformed_chunk",
            Self::HugeChunk { .. } => "huge_chunk",
            Self::SplitUtf8 => "split_utf8",
            Self::KeepaliveForever { .. } => "keepalive_forever",
            Self::Stall { .. } => "stall",
            Self::Length => "length",
            Self::Empty => "empty",
            Self::Refusal => "refusal",
            Self::WrongSchema => "wrong_schema",
            Self::Invented => "invented",
            Self::Fenced => "fenced",
            Self::DuplicateToolCalls => "duplicate_tool_calls",
        }
    }
}

/// A fault and how many calls it befalls.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultShare {
    /// Share of calls.
    pub share: Share,
    /// What happens.
    pub fault: Fault,
}

/// An HTTP error and how many calls it befalls.
#[derive(Clone, Debug, PartialEq)]
pub struct StatusShare {
    /// Share of calls.
    pub share: Share,
    /// 400 to 599.
    pub status: u16,
    /// When to come back, if it says so.
    pub retry_after: Option<RetryAfter>,
    /// The body; absent means OpenAI's error envelope.
    pub body: Option<String>,
}

impl StatusShare {
    /// The same as a [`Fault`].
    #[must_use]
    pub fn fault(&self) -> Fault {
        Fault::Status { status: self.status, retry_after: self.retry_after, body: self.body.clone() }
    }
}
