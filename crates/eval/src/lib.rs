//! Checks: from a model's text to an output, and what is wrong with it; and which answers people are
//! asked about. Pure, compiled once.

mod ask;
mod checks;
mod judged;
mod parse;
mod reason;
mod sampling;
mod shape;
mod span;

pub use checks::Checks;
pub use judged::{Finish, Judged};
pub use sampling::ReviewSampling;
