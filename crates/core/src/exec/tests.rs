//! `Exec` as a whole: scenarios that read as transcripts, and properties over random worlds.

// mod properties;
mod places;
mod scenarios;
mod shared;
mod streams;
// mod watch;
