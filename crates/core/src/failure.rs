//! The errors that a caller can get: one table, used by every surface.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, $type:ident;)*) => {
        /// What went wrong, as a caller can match on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ErrorCode { $($(#[$doc])* #[serde(rename = $name)] $code,)* }

        impl ErrorCode {
            /// Every code, in the order of the table.
            pub const ALL: &[ErrorCode] = &[$(Self::$code),*];

            /// The code on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// The type that the code belongs to.
            #[must_use]
            pub fn error_type(self) -> ErrorType {
                match self { $(Self::$code => ErrorType::$type,)* }
            }
        }
    };
}

codes! {
    /// The body is not JSON.
    InvalidJson = "invalid_json", InvalidRequest;
    /// The input or a field of the call is not as declared.
    InputInvalid = "input_invalid", InvalidRequest;
    /// A limit that would loosen the intent's or the key's.
    OverrideNotPermitted = "override_not_permitted", InvalidRequest;
    /// Known, and not built in this version.
    UnsupportedFeature = "unsupported_feature", InvalidRequest;
    /// The route is there, for other methods.
    MethodNotAllowed = "method_not_allowed", InvalidRequest;
    /// No such route.
    UnknownRoute = "unknown_route", NotFound;
    /// No such intent.
    UnknownIntent = "unknown_intent", NotFound;
    /// No such model.
    UnknownModel = "unknown_model", NotFound;
    /// No such execution, for this team.
    UnknownExecution = "unknown_execution", NotFound;
    /// No such job, for this team.
    UnknownJob = "unknown_job", NotFound;
    /// The idempotency key was used with another body.
    IdempotencyConflict = "idempotency_conflict", Conflict;
    /// The review item is not the reviewer's to do this with.
    ReviewConflict = "review_conflict", Conflict;
    /// The body is over the limit.
    BodyTooLarge = "body_too_large", TooLarge;
    /// No candidate has room for the context.
    ContextTooLong = "context_too_long", TooLarge;
    /// No key was given.
    MissingKey = "missing_key", Authentication;
    /// The key is unknown, expired or revoked.
    InvalidKey = "invalid_key", Authentication;
    /// The key may not do this.
    PermissionMissing = "permission_missing", Permission;
    /// The key may not use this intent.
    IntentNotAllowed = "intent_not_allowed", Permission;
    /// Too many calls.
    RateLimit = "rate_limit", RateLimited;
    /// No money left.
    BudgetExhausted = "budget_exhausted", RateLimited;
    /// A queue is at its bound.
    QueueFull = "queue_full", Overloaded;
    /// The deadline cannot be met.
    DeadlineUnreachable = "deadline_unreachable", Overloaded;
    /// The journal is at its bound.
    JournalFull = "journal_full", Overloaded;
    /// The deadline passed.
    DeadlineExceeded = "deadline_exceeded", DeadlineExceeded;
    /// Every candidate failed.
    AllCandidatesFailed = "all_candidates_failed", UpstreamFailed;
    /// A stream broke after its first bytes were given.
    StreamInterrupted = "stream_interrupted", UpstreamFailed;
    /// The provider refused the request itself.
    UpstreamRejected = "upstream_rejected", UpstreamRejected;
    /// Answers came, and none may be given.
    NoAcceptableAnswer = "no_acceptable_answer", Quality;
    /// A fault of ours.
    Internal = "internal", Internal;
}

/// The families of [`ErrorCode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is described by its codes")]
pub enum ErrorType {
    InvalidRequest,
    NotFound,
    Conflict,
    TooLarge,
    Authentication,
    Permission,
    RateLimited,
    Overloaded,
    DeadlineExceeded,
    UpstreamFailed,
    UpstreamRejected,
    Quality,
    Internal,
}

/// A typed error: what was wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Failure {
    /// Which error.
    pub code: ErrorCode,
    /// What was wrong, what was expected, what to do.
    pub message: String,
    /// The field, as a JSON pointer or a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// When to come back, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A failure without a field.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, retry_after_ms: None }
    }

    /// Names the field.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }
}
