//! Providers from outside: over a scripted transport, and over real sockets on this machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod asking;
mod setting_up;
mod sockets;
mod support;
