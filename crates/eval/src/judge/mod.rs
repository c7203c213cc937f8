//! Judges: what is drawn for them, and what their answers mean. Pure; a judge itself is an intent.

mod opinion;
mod pairs;
mod rate;
mod verdicts;

pub(crate) use opinion::compared;
pub use pairs::{Better, Paired, better, paired};
pub use rate::JudgeRate;
pub use verdicts::verdicts;
