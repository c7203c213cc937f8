//! When the same lane is tried again.

use std::time::Duration;

const BASE: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(5);

/// Full-jitter exponential back-off: uniform in [0, min(cap, base · 2ⁿ)).
///
/// `retry` counts from 0, `random` is uniform in [0, 1). Source: M. Brooker, "Exponential Backoff
/// And Jitter", AWS Architecture Blog, 2015.
#[must_use]
pub fn full_jitter(retry: u32, random: f64) -> Duration {
    let ceiling = BASE.saturating_mul(1_u32.checked_shl(retry.min(16)).unwrap_or(u32::MAX)).min(CAP);
    ceiling.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let ceilings: Vec<u128> = (0..8).map(|n| full_jitter(n, 1.0).as_millis()).collect();
        assert_eq!(ceilings, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(full_jitter(40, 0.0), Duration::ZERO);
    }
}
