//! What else the cache that serves calls asks of an acceptance.

use super::{Acceptance, Look, POINTS_MIN};

impl Acceptance {
    /// The estimated chance that a look-up's answer is not the model's; `None` before there is evidence.
    /// Changes nothing: for a call whose own limit is below the promise.
    #[must_use]
    pub fn risk(&self, look: &Look) -> Option<f64> {
        self.model.as_ref().map(|model| self.curve.rate(model.log_odds(look)))
    }

    /// Keeps to another promise from now on, by the same evidence.
    pub fn keep_to(&mut self, promise: f64) {
        if self.kept.promise.to_bits() != promise.to_bits() {
            self.kept.promise = promise;
            if self.kept.points.len() >= POINTS_MIN {
                self.refit();
            }
        }
    }
}
