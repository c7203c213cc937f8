//! Checks: from a model's text to an output, and what is wrong with it; and which answers people are
//! asked about. Pure, compiled once.

mod ask;
mod calibration;
mod cascade;
mod checks;
mod judge;
mod judged;
mod kinds;
mod margin;
mod parse;
mod promptfoo;
mod reason;
mod redact;
mod routing;
mod sampling;
mod shape;
mod span;
mod text;

pub use calibration::{
    Calibration, Features, GivenOn, JudgedAnswer, Known, LabelledAnswer, QualityEstimate, Seen, Side,
};
pub use cascade::{cross_validated, described, in_force, in_turn, right_together, walk};
pub use checks::Checks;
pub use judge::{Better, JudgeRate, Paired, better, paired, verdicts};
pub use judged::{Finish, Given, Judged};
pub use margin::{TokenProbability, token_probabilities};
pub use promptfoo::{Assertion, Facts, Grade, NotRead, TYPES as PROMPTFOO_TYPES};
pub use redact::Redaction;
pub use routing::{RoutedOutcome, RoutingKnown, score_meaning};
pub use sampling::ReviewSampling;
