//! The exact cache from outside: what is the same call, what is found, what is forgotten.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod exact;
mod key;
