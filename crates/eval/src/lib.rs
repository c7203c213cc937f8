//! Checks: from a model's text to an output, and what is wrong with it. Pure, compiled once.

mod checks;
mod judged;

pub use checks::Checks;
pub use judged::{Finish, Judged};
