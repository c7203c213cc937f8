//! Mean and variance, kept up one value at a time.

use serde::{Deserialize, Serialize};

/// Count, mean and sum of squared deviations (Welford, Technometrics 1962).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    pub(crate) fn push(&mut self, value: f64) {
        self.count += 1.0;
        let beyond = value - self.mean;
        self.mean += beyond / self.count;
        self.squares += beyond * (value - self.mean);
    }

    pub(crate) fn count(&self) -> f64 {
        self.count
    }

    /// 0 without values.
    pub(crate) fn mean(&self) -> f64 {
        self.mean
    }

    /// With n − 1 below the line; 0 for fewer than two.
    pub(crate) fn variance(&self) -> f64 {
        self.squares / (self.count - 1.0).max(1.0)
    }

    pub(crate) fn standard_error(&self) -> f64 {
        (self.variance() / self.count.max(1.0)).sqrt()
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        values.into_iter().for_each(|value| moments.push(value));
        moments
    }
}
