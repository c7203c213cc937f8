//! Where the model starts to answer: the lowest confidence at which held-out answers were
//! precise enough.

use baton_stats::wilson_lower;

/// A cut that no confidence reaches: the model always abstains.
pub(crate) const NEVER: f64 = 2.0;

/// One standard error (84 % one-sided). The cut is chosen where the evidence looks best, so
/// taking the observed precision as it stands would promise too much; without a single
/// error it asks for n / (n + 1) ≥ precision: 19 answers for 95 %.
const Z: f64 = 1.0;

/// The lowest confidence c such that of the `judged` (confidence, right?) with confidence ≥ c
/// a share of at least `precision` was right, by the lower Wilson bound. [`NEVER`] where
/// there is none.
pub(crate) fn choose(judged: &[(f64, bool)], precision: f64) -> f64 {
    let mut sorted = judged.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut answered, mut cut) = (0, 0, NEVER);
    for equal in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        answered += equal.len() as u64;
        right += equal.iter().filter(|(_, right)| *right).count() as u64;
        // 19 / 20 must count as 0.95, whatever the last bit of the bound.
        if wilson_lower(right, answered, Z) >= precision - 1e-9 {
            cut = equal[0].0;
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers with confidences 1.0, 0.99, 0.98 … of which those listed in `wrong` are wrong.
    fn check(answers: usize, wrong: &[usize], precision: f64, expected: f64) {
        let judged: Vec<_> = (0..answers).map(|i| (1.0 - i as f64 / 100.0, !wrong.contains(&i))).collect();
        let cut = choose(&judged, precision);
        assert!((cut - expected).abs() < 1e-9, "{cut} is not {expected}");
    }

    #[test]
    fn the_lowest_cut_that_keeps_the_promise() {
        check(0, &[], 0.95, NEVER);
        check(18, &[], 0.95, NEVER);
        check(19, &[], 0.95, 0.82);
        check(40, &[], 0.95, 0.61);
        check(40, &[30, 31, 32, 33, 34, 35], 0.95, 0.71);
        check(40, &[0], 0.95, NEVER);
        check(100, &[5], 0.95, 0.01);
        check(100, &[], 1.0, NEVER);
    }

    #[test]
    fn equal_confidences_stand_or_fall_together() {
        let mut judged = vec![(0.9, true); 30];
        judged.extend([(0.8, true), (0.8, false), (0.8, false), (0.8, false)]);
        assert!((choose(&judged, 0.95) - 0.9).abs() < 1e-12);
        judged.reverse();
        assert!((choose(&judged, 0.95) - 0.9).abs() < 1e-12);
    }
}
