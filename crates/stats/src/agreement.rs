//! How far people who label the same things agree beyond chance.

use std::collections::BTreeMap;

/// Krippendorff's α for nominal data: 1 is perfect agreement, 0 what chance gives, below it systematic
/// disagreement. A unit holds the values that it was given, by whomever; one with fewer than two says
/// nothing and is left out, so values may be missing.
///
/// `None` where nothing can be compared: no unit has two values, or all values are the same.
///
/// With the coincidences o_ck of values within units, each pair of a unit of m values weighted
/// 1 / (m − 1), their margins n_c and the total n:
/// α = 1 − (n − 1) · Σ_{c≠k} o_ck / Σ_{c≠k} n_c n_k
/// (Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C).
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 values")]
pub fn krippendorff_alpha<T: Ord>(units: &[Vec<T>]) -> Option<f64> {
    let mut margins: BTreeMap<&T, f64> = BTreeMap::new();
    let mut observed = 0.0;
    for unit in units.iter().filter(|unit| unit.len() > 1) {
        let mut counts: BTreeMap<&T, f64> = BTreeMap::new();
        for value in unit {
            *counts.entry(value).or_default() += 1.0;
            *margins.entry(value).or_default() += 1.0;
        }
        let size = unit.len() as f64;
        let same: f64 = counts.values().map(|count| count * (count - 1.0)).sum();
        observed += (size * (size - 1.0) - same) / (size - 1.0);
    }
    let total: f64 = margins.values().sum();
    let expected = total * total - margins.values().map(|margin| margin * margin).sum::<f64>();
    (expected > 0.0).then(|| 1.0 - (total - 1.0) * observed / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of a table as units: one row an observer, `.` where a value is missing.
    fn alpha(rows: &[&str]) -> Option<f64> {
        let rows: Vec<Vec<&str>> = rows.iter().map(|row| row.split(' ').collect()).collect();
        let unit = |n: usize| rows.iter().map(|row| row[n]).filter(|value| *value != ".").collect();
        krippendorff_alpha(&(0..rows[0].len()).map(unit).collect::<Vec<Vec<&str>>>())
    }

    #[track_caller]
    fn check(rows: &[&str], expected: f64) {
        let alpha = alpha(rows).unwrap();
        assert!((alpha - expected).abs() < 0.0005, "{alpha}, not {expected}");
    }

    /// The worked examples A, B and C of Krippendorff's paper.
    #[test]
    fn the_examples_of_the_literature() {
        check(&["0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"], 0.095);
        check(&["a a b b d c c c e d d a", "b a b b b c c c e d d d"], 0.692);
        check(
            &[
                "1 2 3 3 2 1 4 1 2 . . .",
                "1 2 3 3 2 2 4 1 2 5 . 3",
                ". 3 3 3 2 3 4 2 2 5 1 .",
                "1 2 3 3 2 4 4 1 2 5 1 .",
            ],
            0.743,
        );
    }

    #[test]
    fn the_ends() {
        check(&["a b a", "a b a"], 1.0);
        assert!(alpha(&["a b a b", "b a b a"]).unwrap() < -0.5, "always the other");
        assert_eq!(alpha(&["a a a", "a a a"]), None, "nothing varies");
        assert_eq!(alpha(&["a . b", ". a ."]), None, "nothing can be compared");
        assert_eq!(krippendorff_alpha::<bool>(&[]), None);
    }

    /// Who labels by chance agrees by chance.
    #[test]
    fn chance_is_nought() {
        let mut rng = crate::SplitMix64::new(3);
        let units: Vec<Vec<bool>> = (0..20_000).map(|_| vec![rng.next_f64() < 0.1, rng.next_f64() < 0.1]).collect();
        assert!(krippendorff_alpha(&units).unwrap().abs() < 0.03);
    }
}
