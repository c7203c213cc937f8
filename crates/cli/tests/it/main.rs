//! The real binary, as a user runs it: in folders of its own, with an environment of its own.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cascade;
mod commands;
mod folder;
mod http;
mod lab;
mod models;
mod prices;
mod reload;
mod rollout;
mod serving;
mod telemetry;
