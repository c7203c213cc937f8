//! Pure numbers: seeded random streams, quantiles and latency sketches, binomial intervals
//! and calibration. This crate knows nothing of models or requests, so that the
//! statistics every decision rests on can be tested against known values by themselves.

mod binomial;
mod isotonic;
mod matched;
mod normal;
mod platt;
mod quantile;
mod rng;

pub use binomial::{
    binomial_cdf, clopper_pearson_lower, clopper_pearson_upper, labels_needed, wilson_lower, wilson_upper,
};
pub use isotonic::Isotonic;
pub use matched::{Difference, Matched, paired_bootstrap};
pub use normal::{normal_cdf, normal_quantile, t_quantile};
pub use platt::Platt;
pub use quantile::{Sketch, quantile};
pub use rng::SplitMix64;
