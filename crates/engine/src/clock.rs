//! The engine's clock and its source of ids: real, or simulated and repeatable.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_core::{ExecutionId, Moment};
use baton_stats::SplitMix64;
use tokio::time::Instant;

/// 2026-01-01, where simulated time begins.
const SIMULATED_EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// Monotonic time from tokio (so that a paused clock works), wall time, and random numbers.
pub(crate) struct Clock {
    origin: Instant,
    simulated: bool,
    random: Mutex<SplitMix64>,
}

impl Clock {
    pub(crate) fn real() -> Self {
        // The process's own randomness is enough: ids are names, not secrets.
        let seed =
            std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), std::process::id());
        Self { origin: Instant::now(), simulated: false, random: Mutex::new(SplitMix64::new(seed)) }
    }

    /// Wall time follows the paused clock; ids and back-offs come from the seed.
    pub(crate) fn simulated(seed: u64) -> Self {
        Self { origin: Instant::now(), simulated: true, random: Mutex::new(SplitMix64::new(seed)) }
    }

    /// Whether nothing may happen on another thread.
    pub(crate) fn is_simulated(&self) -> bool {
        self.simulated
    }

    pub(crate) fn now(&self) -> Moment {
        self.moment(Instant::now())
    }

    pub(crate) fn moment(&self, instant: Instant) -> Moment {
        Moment::default() + instant.saturating_duration_since(self.origin)
    }

    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        // Far enough to be never, near enough for tokio's timer.
        const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
        self.origin + (moment - Moment::default()).min(NEVER)
    }

    /// Wall clock, Unix microseconds.
    pub(crate) fn unix_us(&self) -> i64 {
        let since = if self.simulated {
            SIMULATED_EPOCH + self.origin.elapsed()
        } else {
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
        };
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    }

    /// The wall clock at a moment that has passed.
    pub(crate) fn unix_us_at(&self, moment: Moment) -> i64 {
        let since = (self.now() - moment).as_micros();
        self.unix_us() - i64::try_from(since).unwrap_or_default()
    }

    /// The moment of a time by the wall clock, Unix microseconds; the first of this process for any before it.
    pub(crate) fn moment_at(&self, unix_us: i64) -> Moment {
        let ago = self.unix_us().saturating_sub(unix_us);
        self.now() - Duration::from_micros(u64::try_from(ago).unwrap_or_default())
    }

    pub(crate) fn random(&self) -> u64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).next_u64()
    }

    pub(crate) fn execution_id(&self) -> ExecutionId {
        let mut bytes = [0; 10];
        let (a, b) = (self.random(), self.random());
        bytes[..8].copy_from_slice(&a.to_le_bytes());
        bytes[8..].copy_from_slice(&b.to_le_bytes()[..2]);
        ExecutionId::new(u64::try_from(self.unix_us() / 1000).unwrap_or_default(), bytes)
    }
}
