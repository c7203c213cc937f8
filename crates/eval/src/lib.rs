//! Checks: from a model's text to an output, and what is wrong with it. Pure, compiled once.

mod ask;
mod checks;
mod judged;
mod parse;
mod reason;
mod shape;
mod span;

pub use checks::Checks;
pub use judged::{Finish, Judged};
