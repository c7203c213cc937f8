//! The simulator from outside: its bytes, its clock, its chances, its sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod batches;
mod chance;
mod clock;
mod decoded;
mod faults;
mod prompts;
mod scenario;
mod sockets;
mod support;
