//! Checks: from a model's text to an output, and what is wrong with it; and which answers people are
//! asked about. Pure, compiled once.

mod ask;
mod calibration;
mod checks;
mod judge;
mod judged;
mod parse;
mod reason;
mod sampling;
mod shape;
mod span;

pub use calibration::{Calibration, Features, JudgedAnswer, Known, LabelledAnswer, QualityEstimate, Seen, Side};
pub use checks::Checks;
pub use judge::{JudgeRate, verdicts};
pub use judged::{Finish, Judged};
pub use sampling::ReviewSampling;
