//! The exact cache: an answer given before to the same input, in the same scope, by the same plan.
//!
//! Pure and in memory. Moments are arguments, nothing hashes at random, so a simulation replays.

mod entry;
mod exact;
mod key;
pub mod semantic;

pub use entry::Entry;
pub use exact::{ExactCache, Lookup, STALE_MAX};
pub use key::Key;
