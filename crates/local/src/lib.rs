//! `local`, the model that is embedded: a text classifier that learns an intent's cases at
//! load, answers in microseconds without a network, and abstains below its cut so that the
//! next candidate answers.
//!
//! Words, pairs of words and character n-grams, weighted by tf-idf, feed a softmax regression.
//! Cross-fitting gives each example a score from a model that never saw it; those scores
//! calibrate the confidence and choose the cut. The model keeps hashes, never text.
//!
//! ```
//! use baton_local::{Example, Model, Options};
//!
//! let examples = [
//!     Example { text: "I was charged twice", label: "billing" },
//!     Example { text: "Where is my invoice?", label: "billing" },
//!     Example { text: "The page crashes", label: "bug" },
//!     Example { text: "An error when I save the page", label: "bug" },
//! ];
//! let options = Options { precision: 0.95, cut: Some(0.0), seed: 1 };
//! let model = Model::train(&examples, &options)?;
//! assert_eq!(model.predict("the page shows an error").label, "bug");
//! # Ok::<(), baton_local::TrainError>(())
//! ```

mod cut;
mod features;
mod folds;
mod linear;
mod model;

pub use model::{Example, Model, Options, Prediction, TrainError};
