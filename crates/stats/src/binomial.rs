//! What k failures in n labels say about a rate: the binomial distribution and the
//! intervals that the quality gate and the reports are built on.

/// P(X ≤ k) for X ~ Binomial(n, p), with about nine digits for n up to a million.
///
/// Sums the shorter tail outwards from k, in O(√n) terms. `p` is clamped to [0, 1].
#[must_use]
pub fn binomial_cdf(k: u64, n: u64, p: f64) -> f64 {
    if k >= n || p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    if (k as f64) < n as f64 * p {
        lower_tail(k, n, p)
    } else {
        // P(X > k) is the lower tail of the failures n − X.
        1.0 - lower_tail(n - k - 1, n, 1.0 - p)
    }
}

/// P(X ≤ k) for k at or below the mean: the terms shrink downwards from k.
fn lower_tail(k: u64, n: u64, p: f64) -> f64 {
    let odds = (1.0 - p) / p;
    let (mut term, mut sum) = (1.0, 1.0);
    for i in (1..=k).rev() {
        term *= i as f64 / (n - i + 1) as f64 * odds;
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    let ln_choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let ln_pmf = ln_choose + k as f64 * p.ln() + (n - k) as f64 * (-p).ln_1p();
    (ln_pmf.exp() * sum).clamp(0.0, 1.0)
}

/// ln n!: a product for small n, Stirling's series with three corrections above (error < 1e-13).
fn ln_factorial(n: u64) -> f64 {
    if n < 32 {
        return (2..=n).map(|i| i as f64).product::<f64>().ln();
    }
    let x = n as f64;
    let corrections = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + corrections
}

/// The lower end of the Wilson score interval for `successes` of `n` (Wilson, JASA 1927):
/// `z` standard errors wide on each side (1.96 for 95 % two-sided, 1.645 one-sided).
///
/// 0 where n is 0.
#[must_use]
pub fn wilson_lower(successes: u64, n: u64, z: f64) -> f64 {
    wilson(successes, n, -z)
}

/// The upper end of the Wilson score interval; see [`wilson_lower`]. 1 where n is 0.
#[must_use]
pub fn wilson_upper(successes: u64, n: u64, z: f64) -> f64 {
    wilson(successes, n, z)
}

fn wilson(successes: u64, n: u64, z: f64) -> f64 {
    if n == 0 {
        return if z < 0.0 { 0.0 } else { 1.0 };
    }
    score_bound(successes as f64 / n as f64, n as f64, z)
}

/// Both ends of Wilson's interval of a rate that was estimated with the precision of `n` labels, which
/// need not be whole; 0 and 1 where there are none.
#[must_use]
pub fn wilson_interval(rate: f64, n: f64, z: f64) -> (f64, f64) {
    if n > 0.0 { (score_bound(rate, n, -z), score_bound(rate, n, z)) } else { (0.0, 1.0) }
}

/// Wilson's bound of a rate that was estimated with the precision of `n` labels, which need not
/// be whole.
pub(crate) fn score_bound(rate: f64, n: f64, z: f64) -> f64 {
    let spread = z * (rate * (1.0 - rate) / n + z * z / (4.0 * n * n)).sqrt();
    ((rate + z * z / (2.0 * n) + spread) / (1.0 + z * z / n)).clamp(0.0, 1.0)
}

/// The exact lower bound of a rate after `successes` of `n` (Clopper and Pearson, Biometrika
/// 1934): below the true rate except with probability at most `delta`.
///
/// One-sided; for a two-sided interval give each bound half of delta.
#[must_use]
pub fn clopper_pearson_lower(successes: u64, n: u64, delta: f64) -> f64 {
    if successes == 0 {
        return 0.0;
    }
    // The rate at which this many successes or more have probability delta.
    bisect(|p| 1.0 - binomial_cdf(successes - 1, n, p) >= delta)
}

/// The exact upper bound; see [`clopper_pearson_lower`].
#[must_use]
pub fn clopper_pearson_upper(successes: u64, n: u64, delta: f64) -> f64 {
    if successes >= n {
        return 1.0;
    }
    bisect(|p| binomial_cdf(successes, n, p) <= delta)
}

/// The point of [0, 1] where `reached` turns true.
fn bisect(reached: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if reached(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    0.5 * (low + high)
}

/// The fewest labels, all good, that show a failure rate of at most `alpha` with confidence
/// 1 − `delta`: the smallest n with (1 − alpha)^n ≤ delta.
///
/// `None` where no number of labels can: alpha ≤ 0 or delta ≤ 0 (or NaN).
#[must_use]
pub fn labels_needed(alpha: f64, delta: f64) -> Option<u64> {
    if alpha.is_nan() || delta.is_nan() || alpha <= 0.0 || delta <= 0.0 {
        return None;
    }
    if delta >= 1.0 {
        return Some(0);
    }
    if alpha >= 1.0 {
        return Some(1);
    }
    // A whole quotient must not round up for a last bit: 1 − 0.9 is not quite 0.1.
    Some((delta.ln() / (-alpha).ln_1p() - 1e-9).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(actual: f64, expected: f64, tolerance: f64) {
        assert!((actual - expected).abs() <= tolerance, "{actual} is not {expected}");
    }

    #[test]
    fn cdf_of_known_values() {
        let check = |k, n, p, expected| close(binomial_cdf(k, n, p), expected, 1e-12);
        check(0, 10, 0.5, 1.0 / 1024.0);
        check(5, 10, 0.5, 638.0 / 1024.0);
        check(9, 10, 0.5, 1023.0 / 1024.0);
        check(10, 10, 0.5, 1.0);
        check(0, 45, 0.05, 0.95_f64.powi(45));
        check(3, 7, 0.0, 1.0);
        check(3, 7, 1.0, 0.0);
        check(0, 0, 0.3, 1.0);
        // Symmetric: half of the probability outside of the middle term.
        let n = 1_000_000;
        let middle = (1.0 / (std::f64::consts::PI * n as f64 / 2.0)).sqrt();
        close(binomial_cdf(n / 2, n, 0.5), 0.5 + middle / 2.0, 1e-8);
    }

    #[test]
    fn wilson_of_known_values() {
        let z = 1.959_964;
        close(wilson_lower(5, 10, z), 0.236_593, 1e-6);
        close(wilson_upper(5, 10, z), 0.763_407, 1e-6);
        close(wilson_lower(0, 10, z), 0.0, 1e-12);
        close(wilson_upper(0, 10, z), 0.277_533, 1e-6);
        assert_eq!((wilson_lower(0, 0, z), wilson_upper(0, 0, z)), (0.0, 1.0));
    }

    #[test]
    fn clopper_pearson_of_known_values() {
        close(clopper_pearson_lower(5, 10, 0.025), 0.187_086, 1e-6);
        close(clopper_pearson_upper(5, 10, 0.025), 0.812_914, 1e-6);
        close(clopper_pearson_upper(0, 10, 0.025), 0.308_497, 1e-6);
        close(clopper_pearson_lower(0, 10, 0.025), 0.0, 0.0);
        close(clopper_pearson_upper(10, 10, 0.025), 1.0, 0.0);
        // The rule of three: no failure in n bounds the rate by about 3 / n.
        close(clopper_pearson_upper(0, 1_000, 0.05), 0.002_991_2, 1e-6);
    }

    #[test]
    fn labels_needed_by_the_gate() {
        let check = |alpha, delta, expected| assert_eq!(labels_needed(alpha, delta), expected);
        check(0.05, 0.10, Some(45));
        check(1.0 - 0.95, 1.0 - 0.9, Some(45));
        check(0.10, 0.05, Some(29));
        check(0.5, 0.25, Some(2));
        check(0.1, 0.9, Some(1));
        check(1.0, 0.1, Some(1));
        check(0.05, 1.0, Some(0));
        check(0.0, 0.1, None);
        check(0.05, 0.0, None);
        check(f64::NAN, 0.1, None);
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn cdf_equals_the_sum_of_exact_terms(n in 1_u64..60, k in 0_u64..60, p in 0.001..0.999_f64) {
            let k = k.min(n);
            let mut choose = 1.0;
            let mut sum = 0.0;
            for i in 0..=k {
                sum += choose * p.powi(i as i32) * (1.0 - p).powi((n - i) as i32);
                choose *= (n - i) as f64 / (i + 1) as f64;
            }
            prop_assert!((binomial_cdf(k, n, p) - sum).abs() < 1e-11);
        }

        #[test]
        fn bounds_invert_the_cdf(n in 1_u64..2_000, share in 0.0..1.0_f64, delta in 0.001..0.4_f64) {
            let k = (share * n as f64) as u64;
            let upper = clopper_pearson_upper(k, n, delta);
            let lower = clopper_pearson_lower(k, n, delta);
            let rate = k as f64 / n as f64;
            prop_assert!(lower <= rate && rate <= upper);
            prop_assert!((binomial_cdf(k, n, upper) - delta).abs() < 1e-6);
            if k > 0 {
                prop_assert!((1.0 - binomial_cdf(k - 1, n, lower) - delta).abs() < 1e-6);
            }
        }

        #[test]
        fn labels_needed_is_the_smallest(alpha in 0.001..0.9_f64, delta in 0.001..0.9_f64) {
            let n = labels_needed(alpha, delta).unwrap() as i32;
            prop_assert!((1.0 - alpha).powi(n) <= delta * (1.0 + 1e-6));
            prop_assert!((1.0 - alpha).powi(n - 1) > delta * (1.0 - 1e-6));
        }
    }
}
