//! `Exec` as a whole: scenarios that read as transcripts, and properties over random worlds.

// mod properties;
mod scenarios;
mod streams;
// mod watch;
