//! How many changes part two texts.

/// The Levenshtein distance in characters (Levenshtein 1966), where it is at most `max`; only the
/// diagonal band that such a distance can use is looked at (Ukkonen 1985), so the work is
/// `max × length`.
pub(crate) fn distance_within(a: &str, b: &str, max: usize) -> Option<usize> {
    if a == b {
        return Some(0);
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > max {
        return None;
    }
    let far = max + 1;
    let mut last: Vec<usize> = (0..=b.len()).map(|j| j.min(far)).collect();
    let mut row = vec![far; b.len() + 1];
    for i in 1..=a.len() {
        let (from, to) = (i.saturating_sub(max).max(1), (i + max).min(b.len()));
        row[from - 1] = if from == 1 { i.min(far) } else { far };
        let mut least = row[from - 1];
        for j in from..=to {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let removed = if j < i + max { last[j] + 1 } else { far };
            row[j] = change.min(removed).min(row[j - 1] + 1).min(far);
            least = least.min(row[j]);
        }
        if to < b.len() {
            row[to + 1] = far;
        }
        if least > max {
            return None;
        }
        std::mem::swap(&mut last, &mut row);
    }
    Some(last[b.len()]).filter(|distance| *distance <= max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::distance_within;

    /// The whole table, as it is defined.
    fn whole(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut last: Vec<usize> = (0..=b.len()).collect();
        for i in 1..=a.len() {
            let mut row = vec![i; b.len() + 1];
            for j in 1..=b.len() {
                row[j] = (last[j - 1] + usize::from(a[i - 1] != b[j - 1])).min(last[j] + 1).min(row[j - 1] + 1);
            }
            last = row;
        }
        last[b.len()]
    }

    #[test]
    fn distances() {
        for (a, b, max, distance) in [
            ("kitten", "sitting", 3, Some(3)),
            ("kitten", "sitting", 2, None),
            ("", "", 0, Some(0)),
            ("", "ab", 2, Some(2)),
            ("ab", "", 1, None),
            ("äöü", "aöü", 1, Some(1)),
        ] {
            assert_eq!(distance_within(a, b, max), distance, "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn the_band_gives_what_the_whole_table_gives(a in "[abc]{0,12}", b in "[abc]{0,12}", max in 0usize..14) {
            let distance = whole(&a, &b);
            prop_assert_eq!(distance_within(&a, &b, max), Some(distance).filter(|d| *d <= max));
        }
    }
}
