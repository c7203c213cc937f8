//! What is remembered of each lane between executions.

use std::time::Duration;

use crate::{Admission, Breaker, BreakerState, Disposition, LaneId, Moment};

/// How many latencies a lane remembers: recent enough to follow a change, enough for a p90.
const LATENCIES: usize = 64;
/// Fewer say nothing about a percentile.
const LATENCIES_MIN: usize = 8;

/// One lane's breaker and its recent latencies.
#[derive(Clone, Debug, Default)]
pub struct Lane {
    breaker: Breaker,
    latencies: Vec<Duration>,
    oldest: usize,
    p50: Option<Duration>,
    p90: Option<Duration>,
}

impl Lane {
    /// Half of the recent answers took at most this long; `None` before there is data.
    #[must_use]
    pub fn p50(&self) -> Option<Duration> {
        self.p50
    }

    /// Nine of ten recent answers took at most this long; `None` before there is data.
    #[must_use]
    pub fn p90(&self) -> Option<Duration> {
        self.p90
    }

    fn add_latency(&mut self, elapsed: Duration) {
        if self.latencies.len() < LATENCIES {
            self.latencies.push(elapsed);
        } else {
            self.latencies[self.oldest] = elapsed;
            self.oldest = (self.oldest + 1) % LATENCIES;
        }
        if self.latencies.len() >= LATENCIES_MIN {
            let mut sorted = self.latencies.clone();
            sorted.sort_unstable();
            self.p50 = Some(sorted[sorted.len() / 2]);
            self.p90 = Some(sorted[sorted.len() * 9 / 10]);
        }
    }
}

/// All lanes of a process, by [`LaneId`].
#[derive(Clone, Debug, Default)]
pub struct Lanes(Vec<Lane>);

impl Lanes {
    /// So many lanes, of which nothing is known.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self(vec![Lane::default(); count])
    }

    /// Nothing is known of this lane, which may be one that was not there before.
    pub fn begin(&mut self, lane: LaneId) {
        let place = lane.0 as usize;
        self.0.resize(self.0.len().max(place + 1), Lane::default());
        self.0[place] = Lane::default();
    }

    /// One lane.
    ///
    /// # Panics
    /// Where the id is not of these lanes.
    #[must_use]
    pub fn get(&self, lane: LaneId) -> &Lane {
        &self.0[lane.0 as usize]
    }

    /// Asks the lane's breaker for one call.
    pub fn admit(&mut self, lane: LaneId, now: Moment) -> Admission {
        self.0[lane.0 as usize].breaker.admit(now)
    }

    /// What [`Lanes::admit`] would say, taking nothing.
    #[must_use]
    pub fn peek(&self, lane: LaneId, now: Moment) -> Admission {
        self.get(lane).breaker.peek(now)
    }

    /// Where the lane's breaker stands.
    #[must_use]
    pub fn breaker(&self, lane: LaneId) -> BreakerState {
        self.get(lane).breaker.state()
    }

    /// The one place where an attempt's end is learnt: `failed` is `None` for an answer. `elapsed`
    /// is what it took and `budget` what it was given.
    pub fn observe(
        &mut self,
        lane: LaneId,
        now: Moment,
        failed: Option<Disposition>,
        (elapsed, budget): (Duration, Duration),
    ) {
        let lane = &mut self.0[lane.0 as usize];
        lane.breaker.observe(now, failed, (elapsed, budget));
        if matches!(failed, None | Some(Disposition::BadAnswer)) {
            lane.add_latency(elapsed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_need_data_and_follow_a_change() {
        let mut lanes = Lanes::new(1);
        let mut see = |ms: u64, n: usize| {
            for _ in 0..n {
                let elapsed = Duration::from_millis(ms);
                lanes.observe(LaneId(0), Moment::default(), None, (elapsed, Duration::from_secs(1)));
            }
            (lanes.get(LaneId(0)).p50(), lanes.get(LaneId(0)).p90())
        };
        assert_eq!(see(100, 7), (None, None));
        assert_eq!(see(100, 1), (Some(Duration::from_millis(100)), Some(Duration::from_millis(100))));
        assert_eq!(see(900, 64), (Some(Duration::from_millis(900)), Some(Duration::from_millis(900))));
    }
}
