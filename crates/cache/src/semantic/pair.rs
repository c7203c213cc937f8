//! What two texts have in common, as numbers: for a regression that says whether one's answer may be
//! given to the other, beside the cosine of their vectors.
//!
//! Where refusals are too strict (classification: other words may mean the same label) they are
//! features here, and evidence weighs them.

use super::refuse::{Facts, Reason};

/// How many features there are.
pub const FEATURES: usize = Reason::ALL.len() + 6;

/// The features of a pair: each [`Reason`] as 0 or 1; then of the content words the shares that both have, of
/// all and of the shorter text's, and the count that only one has; of all words the share that both have, and
/// whether the first one is the same; and how much longer one text is. The order of the texts says nothing.
#[must_use]
pub fn features(new: &Facts, old: &Facts) -> [f64; FEATURES] {
    let mut features = [0.0; FEATURES];
    for (feature, reason) in features.iter_mut().zip(Reason::ALL) {
        *feature = f64::from(u8::from(new.differs(old, reason)));
    }
    let overlap = new.overlap(old);
    features[Reason::ALL.len()..].copy_from_slice(&overlap);
    features
}
