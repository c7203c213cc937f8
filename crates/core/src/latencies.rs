//! Percentiles of a lane's recent latencies, with those that were cut short counted as what they
//! are: longer than they lasted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Moment;

/// How many a lane remembers: with 512 the 95th percentile stands on 25 values.
const REMEMBERED: usize = 512;
/// Fewer ends say nothing about a percentile.
const ENDS_MIN: usize = 8;
/// Up to so many, the percentiles are computed for each; from there on, for every so-manieth.
const EACH: usize = 64;
const EVERY: usize = 8;
/// What was seen before a pause of this length says nothing of now: a lane that was passed over
/// for being slow is tried again.
const FORGOTTEN: Duration = Duration::from_secs(300);

/// Percentiles; each `None` before there is data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half take at most this long.
    pub p50: Option<Duration>,
    /// Nine of ten.
    pub p90: Option<Duration>,
    /// Nineteen of twenty.
    pub p95: Option<Duration>,
}

/// The latest latencies. One that was cancelled or ran out of time is right-censored: its true
/// length is unknown, and longer. Percentiles come from the product-limit estimator (Kaplan and
/// Meier, "Nonparametric Estimation from Incomplete Observations", JASA 1958, eq. 2b), so that
/// cancelling slow attempts does not make a lane look fast. Where it does not come down to a
/// percentile, that is the longest time that an answer ever took: a lower bound.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    /// Microseconds, twice, and one more where censored: in order of time, then censored last.
    latest: VecDeque<u64>,
    sorted: Vec<u64>,
    /// How many of them are censored.
    censored: usize,
    since_computed: usize,
    last: Moment,
    percentiles: Percentiles,
}

impl Latencies {
    /// As of now.
    pub(crate) fn at(&self, now: Moment) -> Percentiles {
        if now - self.last > FORGOTTEN { Percentiles::default() } else { self.percentiles }
    }

    /// The probability that one takes at most this long; `None` where too few ended to say.
    pub(crate) fn within(&self, now: Moment, limit: Duration) -> Option<f64> {
        let micros = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX).min(u64::MAX / 2 - 1);
        let (mut survival, mut ends) = (1.0, 0);
        let mut at_risk = u32::try_from(self.sorted.len()).unwrap_or(u32::MAX);
        for entry in &self.sorted {
            if entry % 2 == 0 {
                ends += 1;
                if entry / 2 <= micros {
                    survival *= 1.0 - 1.0 / f64::from(at_risk);
                }
            }
            at_risk -= 1;
        }
        (ends >= ENDS_MIN && now - self.last <= FORGOTTEN).then_some(1.0 - survival)
    }

    pub(crate) fn add(&mut self, now: Moment, elapsed: Duration, censored: bool) {
        if now - self.last > FORGOTTEN {
            *self = Self::default();
        }
        self.last = self.last.max(now);
        if self.latest.len() == REMEMBERED
            && let Some(oldest) = self.latest.pop_front()
            && let Ok(place) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(place);
            self.censored -= usize::from(oldest % 2 == 1);
        }
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX).min(u64::MAX / 2 - 1);
        let entry = micros * 2 + u64::from(censored);
        self.censored += usize::from(censored);
        self.latest.push_back(entry);
        self.sorted.insert(self.sorted.partition_point(|other| *other <= entry), entry);
        self.since_computed += 1;
        if self.sorted.len() <= EACH || self.since_computed >= EVERY {
            self.since_computed = 0;
            self.percentiles = if self.censored == 0 { exact(&self.sorted) } else { product_limit(&self.sorted) };
        }
    }
}

/// The product-limit estimator where nothing is censored.
fn exact(sorted: &[u64]) -> Percentiles {
    let at = |hundredths: usize| {
        let place = (sorted.len() * hundredths).div_ceil(100).checked_sub(1)?;
        sorted.get(place).filter(|_| sorted.len() >= ENDS_MIN).map(|entry| Duration::from_micros(entry / 2))
    };
    Percentiles { p50: at(50), p90: at(90), p95: at(95) }
}

fn product_limit(sorted: &[u64]) -> Percentiles {
    let mut found = [None; 3];
    let mut left = [0.5, 0.1, 0.05].into_iter().zip(&mut found).peekable();
    let (mut survival, mut ends, mut longest) = (1.0, 0, None);
    let mut at_risk = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
    for entry in sorted {
        if entry % 2 == 0 {
            survival *= 1.0 - 1.0 / f64::from(at_risk);
            ends += 1;
            longest = Some(Duration::from_micros(entry / 2));
            while let Some((_, place)) = left.next_if(|(share, _)| survival <= share + 1e-9) {
                *place = longest;
            }
        }
        at_risk -= 1;
    }
    if ends < ENDS_MIN {
        return Percentiles::default();
    }
    left.for_each(|(_, place)| *place = longest);
    let [p50, p90, p95] = found;
    Percentiles { p50, p90, p95 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(entries: impl IntoIterator<Item = (u64, bool)>) -> (u64, u64, u64) {
        let mut latencies = Latencies::default();
        for (ms, censored) in entries {
            latencies.add(Moment::default(), Duration::from_millis(ms), censored);
        }
        let found = latencies.at(Moment::default());
        let ms = |p: Option<Duration>| p.map_or(0, |p| u64::try_from(p.as_millis()).unwrap());
        (ms(found.p50), ms(found.p90), ms(found.p95))
    }

    #[test]
    fn they_need_data_and_follow_a_change() {
        assert_eq!(of((0..7).map(|_| (100, false))), (0, 0, 0));
        assert_eq!(of((0..8).map(|_| (100, false))), (100, 100, 100));
        assert_eq!(of((1..=104).map(|ms| (ms, false))), (52, 94, 99));
        assert_eq!(of((0..2000).map(|n| (if n < 1400 { 100 } else { 900 }, false))), (900, 900, 900));
    }

    #[test]
    fn what_was_cut_short_counts_as_longer() {
        // One in ten stalls and is cancelled at 200 ms: nine tenths still take up to 100 ms.
        let stalls = |n: u64| if n.is_multiple_of(10) { (200, true) } else { (1 + n % 100, false) };
        let (p50, p90, p95) = of((0..500).map(stalls));
        assert!((54..58).contains(&p50) && p90 >= 99 && p95 <= 100, "{p50} {p90} {p95}");
        // A hedge that lost after 5 ms says nothing about how long it would have taken.
        let early = |n: u64| if n.is_multiple_of(2) { (5, true) } else { (100, false) };
        assert_eq!(of((0..500).map(early)), (100, 100, 100));
        assert_eq!(of((0..500).map(|_| (100, true))), (0, 0, 0), "nobody ever answered");
    }

    #[test]
    fn the_share_in_time_is_of_all_that_began() {
        let within = |entries: &[(u64, bool)], ms: u64| {
            let mut latencies = Latencies::default();
            for (took, censored) in entries {
                latencies.add(Moment::default(), Duration::from_millis(*took), *censored);
            }
            latencies.within(Moment::default(), Duration::from_millis(ms)).map(|p| (p * 1000.0).round())
        };
        let even: Vec<(u64, bool)> = (1..=10).map(|n| (n * 100, false)).collect();
        assert_eq!([50, 100, 899, 900, 5000].map(|ms| within(&even, ms)), [0.0, 100.0, 800.0, 900.0, 1000.0].map(Some));
        // Half of them were cut short after 200 ms, and would have taken longer.
        let cut: Vec<(u64, bool)> = (0..40).map(|n| (if n % 2 == 0 { 100 } else { 200 }, n % 2 == 1)).collect();
        assert_eq!([within(&cut, 150), within(&cut, 9000), within(&even[..7], 500)], [Some(500.0), Some(500.0), None]);
    }

    #[test]
    fn after_a_pause_nothing_is_known() {
        let mut latencies = Latencies::default();
        (0..20).for_each(|_| latencies.add(Moment::default(), Duration::from_secs(9), false));
        let later = Moment::default() + Duration::from_secs(301);
        assert_eq!(latencies.at(later), Percentiles::default());
        latencies.add(later, Duration::from_secs(1), false);
        assert_eq!(latencies.at(later), Percentiles::default());
    }

    proptest! {
        #![proptest_config(crate::test_config(300))]

        /// Whatever comes, percentiles are ordered, are ends that were seen, and memory is bounded.
        #[test]
        fn they_are_ordered_ends(entries in proptest::collection::vec((0..50_u64, any::<bool>()), 0..700)) {
            let mut latencies = Latencies::default();
            for (ms, censored) in &entries {
                latencies.add(Moment::default(), Duration::from_millis(*ms), *censored);
                prop_assert!(latencies.latest.len() <= REMEMBERED);
                prop_assert_eq!(latencies.latest.len(), latencies.sorted.len());
                prop_assert!(latencies.sorted.is_sorted());
                let Percentiles { p50, p90, p95 } = latencies.at(Moment::default());
                prop_assert!(p50 <= p90 && p90 <= p95);
            }
        }

        /// Where nothing is censored, the estimator is a place in the order.
        #[test]
        fn without_censored_ones_they_are_places(mut entries in proptest::collection::vec((0..50_u64).prop_map(|n| n * 2), 0..600)) {
            entries.sort_unstable();
            prop_assert_eq!(exact(&entries), product_limit(&entries));
        }
    }
}
