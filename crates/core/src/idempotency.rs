//! What makes a call that is made again the same call.

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, ErrorType};

/// The caller's key for a call and what the call asked, both as hexadecimal hashes: neither is content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// Of the key. It is its team's: another team's is another.
    pub key: String,
    /// Of what was asked. The same key with another is a conflict.
    pub body: String,
}

impl Idempotency {
    /// Whether a call that ended in this error stays ended: where asking again may go better it does not.
    #[must_use]
    pub fn keeps(code: ErrorCode) -> bool {
        match code.error_type() {
            ErrorType::InvalidRequest | ErrorType::TooLarge | ErrorType::UpstreamRejected => true,
            // What is not there or not allowed may be tomorrow, and cost nothing; the others are worth a try.
            ErrorType::NotFound
            | ErrorType::Conflict
            | ErrorType::Authentication
            | ErrorType::Permission
            | ErrorType::RateLimited
            | ErrorType::Overloaded
            | ErrorType::DeadlineExceeded
            | ErrorType::UpstreamFailed
            | ErrorType::Quality
            | ErrorType::Internal => false,
        }
    }
}
