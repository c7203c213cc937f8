//! `Exec` as a whole: scenarios that read as transcripts, and an observer over random worlds.

mod hedges;
mod held;
mod judging;
mod places;
mod scenarios;
mod streams;
mod watch;
mod worlds;
