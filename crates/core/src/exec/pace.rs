//! What a stream must keep to: when it says its first token, how long it may be silent, and how slow
//! it may be.

use std::fmt;
use std::time::Duration;

use crate::Moment;

/// The limits of a stream. Where one is broken before the commit the next candidate is asked; after
/// it the stream ends with `stream_interrupted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// From an attempt's start to its first token.
    pub first_token: Duration,
    /// From one piece to the next.
    pub idle: Duration,
    /// From the call to the end of its stream.
    pub total: Duration,
    /// The least that a stream writes, in bytes a second; 0 is no floor.
    pub bytes_per_second_min: u32,
    /// The floor is asked of each stretch of this length, from the first token on.
    pub grace: Duration,
}

impl Default for StreamLimits {
    /// So that no model that works runs into them: one that thinks unseen is silent for seconds, and
    /// four bytes a second are about one token.
    fn default() -> Self {
        Self {
            first_token: Duration::from_secs(30),
            idle: Duration::from_secs(20),
            total: Duration::from_secs(600),
            bytes_per_second_min: 4,
            grace: Duration::from_secs(30),
        }
    }
}

/// The limit that a stream broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It said nothing for so long.
    FirstToken(Duration),
    /// It fell silent for so long.
    Idle(Duration),
    /// It wrote less than this.
    Floor {
        /// The least, in bytes a second.
        bytes_per_second: u32,
        /// Over this long.
        over: Duration,
    },
}

impl Breach {
    /// Whether it says something of the lane, and not only of how strict a limit was: `usual` is how
    /// long the lane may be silent before its first token.
    pub(crate) fn is_fair(self, usual: Duration) -> bool {
        let server = StreamLimits::default();
        match self {
            Self::FirstToken(silent) | Self::Idle(silent) => silent >= usual,
            Self::Floor { bytes_per_second, over } => {
                bytes_per_second <= server.bytes_per_second_min && over >= server.grace
            }
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstToken(silent) => write!(f, "no first token within {} ms", silent.as_millis()),
            Self::Idle(silent) => write!(f, "its stream was silent for {} ms", silent.as_millis()),
            Self::Floor { bytes_per_second, over } => {
                write!(f, "its stream wrote less than {bytes_per_second} bytes a second over {} ms", over.as_millis())
            }
        }
    }
}

/// How one attempt's stream stands against its limits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    limits: StreamLimits,
    /// Its start, then its latest piece.
    last: Moment,
    begun: bool,
    /// Bytes so far.
    read: u64,
    /// The stretch that the floor is asked of: since when, and the bytes before it.
    stretch: (Moment, u64),
}

impl Pace {
    pub(super) fn new(now: Moment, limits: StreamLimits) -> Self {
        Self { limits, last: now, begun: false, read: 0, stretch: (now, 0) }
    }

    /// So many bytes have arrived, in all. Not later than [`Pace::due`].
    pub(super) fn progress(&mut self, now: Moment, read: u64) {
        let grace = self.limits.grace;
        if !self.begun {
            (self.begun, self.stretch) = (true, (now, 0));
        } else if now > self.stretch.0 + grace {
            // It was enough, or the attempt had ended: the next one has begun.
            self.stretch = (self.stretch.0 + grace, self.read);
        }
        (self.last, self.read) = (now, self.read.max(read));
    }

    /// Nobody read it for so long: that is not its fault.
    pub(super) fn unread(&mut self, waited: Duration) {
        (self.last, self.stretch.0) = (self.last + waited, self.stretch.0 + waited);
    }

    /// When it breaks a limit if nothing more comes.
    pub(super) fn due(&self) -> Moment {
        let silent = self.last + if self.begun { self.limits.idle } else { self.limits.first_token };
        self.floor().map_or(silent, |floor| floor.min(silent))
    }

    /// Which one that is.
    pub(super) fn breach(&self) -> Breach {
        let StreamLimits { first_token, idle, grace: over, bytes_per_second_min: bytes_per_second, .. } = self.limits;
        match self.floor() {
            Some(floor) if floor < self.last + idle => Breach::Floor { bytes_per_second, over },
            _ if self.begun => Breach::Idle(idle),
            _ => Breach::FirstToken(first_token),
        }
    }

    /// The end of the first stretch that has too little, if nothing more comes.
    fn floor(&self) -> Option<Moment> {
        let StreamLimits { bytes_per_second_min, grace, .. } = self.limits;
        if !self.begun || bytes_per_second_min == 0 {
            return None;
        }
        let needed = u128::from(bytes_per_second_min) * grace.as_millis() / 1000;
        let (since, before) = self.stretch;
        let enough = u128::from(self.read - before) >= needed;
        Some(since + grace * if enough { 2 } else { 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Moment {
        Moment::from_micros(1_000_000 + ms * 1000)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    const LIMITS: StreamLimits = StreamLimits {
        first_token: Duration::from_millis(500),
        idle: Duration::from_millis(800),
        total: Duration::from_secs(60),
        bytes_per_second_min: 10,
        grace: Duration::from_secs(1),
    };

    /// Pieces at these times, of so many bytes; when it breaks which limit after them.
    #[track_caller]
    fn check(limits: StreamLimits, pieces: &[(u64, u64)], due: u64, breach: Breach) {
        let (mut pace, mut read) = (Pace::new(at(0), limits), 0);
        for (ms, bytes) in pieces {
            assert!(at(*ms) <= pace.due(), "it had ended before {ms} ms");
            read += bytes;
            pace.progress(at(*ms), read);
        }
        assert_eq!((pace.due(), pace.breach()), (at(due), breach));
    }

    #[test]
    fn each_limit_is_broken_when_it_is_due() {
        let floor = Breach::Floor { bytes_per_second: 10, over: ms(1000) };
        check(LIMITS, &[], 500, Breach::FirstToken(ms(500)));
        check(LIMITS, &[(500, 10)], 1300, Breach::Idle(ms(800)));
        check(LIMITS, &[(100, 4), (800, 5)], 1100, floor);
        check(LIMITS, &[(100, 4), (800, 6)], 1600, Breach::Idle(ms(800)));
        // A stretch that has enough gives nothing to the next one.
        check(LIMITS, &[(100, 900), (800, 1), (1500, 1), (2000, 1)], 2100, floor);
        check(LIMITS, &[(100, 900), (800, 1), (1500, 9), (2000, 1)], 2800, Breach::Idle(ms(800)));
        check(LIMITS, &[(100, 900), (800, 1), (1101, 9), (1800, 1), (2500, 1), (3000, 1)], 3100, floor);
        let none = StreamLimits { bytes_per_second_min: 0, ..LIMITS };
        check(none, &[(100, 1), (800, 1), (1500, 1), (2200, 0)], 3000, Breach::Idle(ms(800)));
    }

    #[test]
    fn strict_limits_say_nothing_of_a_lane() {
        assert!(!Breach::FirstToken(ms(50)).is_fair(ms(1000)) && Breach::FirstToken(ms(1000)).is_fair(ms(1000)));
        assert!(!Breach::Idle(ms(50)).is_fair(ms(1000)) && Breach::Idle(ms(1000)).is_fair(ms(1000)));
        let floor = |bytes_per_second, over| Breach::Floor { bytes_per_second, over: ms(over) }.is_fair(ms(1000));
        assert_eq!([floor(4, 30_000), floor(5, 30_000), floor(4, 29_999)], [true, false, false]);
    }
}
