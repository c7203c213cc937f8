//! The codec from outside: fixtures as vendors send them, what is broken, and properties.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod errors;
mod properties;
mod requests;
mod responses;
mod streams;
mod support;
