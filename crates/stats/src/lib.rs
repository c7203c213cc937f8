//! Pure numbers: seeded random streams, quantiles and latency sketches, intervals, calibration,
//! the gate's threshold, drift, comparisons and agreement. This crate knows nothing of models or
//! requests, so that the statistics every decision rests on can be tested against known values by
//! themselves.

mod agreement;
mod betting;
mod binomial;
mod cascade;
mod classes;
mod compare;
mod drift;
mod estimate;
mod fusion;
mod gate;
mod isotonic;
mod logistic;
mod matched;
mod moments;
mod needs;
mod normal;
mod platt;
mod quantile;
mod ridge;
mod rng;
mod rollout;

pub use agreement::krippendorff_alpha;
pub use betting::{Weighted, betting_lower, betting_upper, wealth};
pub use binomial::{
    binomial_cdf, clopper_pearson_lower, clopper_pearson_upper, labels_needed, wilson_interval, wilson_lower,
    wilson_upper,
};
pub use cascade::{Cascade, Policy, Step};
pub use classes::{ANSWERERS_MAX, LatentClasses};
pub use compare::{Difference, PairedTally, Verdict, paired_bootstrap, paired_mean};
pub use drift::{Advice, Cause, Cusum, Monitor, mcnemar};
pub use estimate::{Estimate, Method, NoEstimate, Observation, estimate};
pub use fusion::{Example, Fusion, NoFusion, Quality};
pub use gate::{Gate, GateHistory, Labelled, Promise};
pub use isotonic::Isotonic;
pub use logistic::Logistic;
pub use needs::Needs;
pub use normal::{normal_cdf, normal_quantile, t_quantile};
pub use platt::Platt;
pub use quantile::{Sketch, quantile};
pub use ridge::Ridge;
pub use rng::SplitMix64;
pub use rollout::{Rollout, RolloutOutcome};
