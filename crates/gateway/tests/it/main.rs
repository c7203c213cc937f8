//! The gateway as its clients see it: real requests through the router and over sockets, with an
//! engine whose models are scripted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod auth;
mod budgets;
mod chat;
mod errors;
mod execute;
mod executions;
mod house;
mod jobs;
mod openapi;
mod reviews;
mod server;
mod subjects;
mod surface;
