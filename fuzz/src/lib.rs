//! What reads bytes that somebody else wrote, each as a function of those bytes that asserts what
//! must hold for all of them.
//!
//! Ordinary functions rather than binaries of a fuzzer, so that a stable toolchain can replay
//! `fuzz/corpus` on every test run: what a fuzzer found once stays found.

#![expect(clippy::unwrap_used, reason = "a test: a panic is the finding")]

mod answer;
mod checks;
mod configuration;
mod gateway;
mod house;
mod journal;
mod wire;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub use checks::{expression, promptfoo};
pub use configuration::configuration;
pub use gateway::gateway;
pub use journal::journal;
pub use wire::{openai_error, openai_request, openai_response, openai_stream, sse};

/// Takes any bytes; panics where something that must hold does not.
pub type Target = fn(&[u8]);

/// Every target by name, which is also the folder of its corpus.
pub const TARGETS: [(&str, Target); 11] = [
    ("answer", answer),
    ("configuration", configuration),
    ("expression", expression),
    ("gateway", gateway),
    ("journal", journal),
    ("openai_error", openai_error),
    ("openai_request", openai_request),
    ("openai_response", openai_response),
    ("openai_stream", openai_stream),
    ("promptfoo", promptfoo),
    ("sse", sse),
];
