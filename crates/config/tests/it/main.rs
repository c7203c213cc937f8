//! Folders in, snapshots or diagnostics out.
#![expect(clippy::unwrap_used, reason = "test helpers outside of test functions")]

mod cascade;
mod compiles;
mod content;
mod folder;
mod fuzz;
mod golden;
mod hashes;
mod mistakes;
mod settings;
