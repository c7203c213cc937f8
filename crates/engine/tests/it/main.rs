//! The engine as a library user meets it, with scripted models on the paused clock.

#![expect(clippy::unwrap_used, reason = "tests")]

mod admission;
mod batches;
mod budgets;
mod cascade;
mod departures;
mod drawing;
mod drift;
mod erase;
mod evaluation;
mod flights;
mod house;
mod intents;
mod jobs;
mod journal;
mod judging;
mod models;
mod opinion;
mod paced;
mod redacted;
mod reload;
mod remembered;
mod repeats;
mod review;
mod rollout;
mod routing;
mod semantic;
mod streams;
mod vendor;
