//! How fast an intent's calls use up what its objective allows to miss.
//!
//! Source: "The Site Reliability Workbook" (Beyer et al., 2018), chapter 5, "Alerting on SLOs", approach
//! 6: multiwindow, multi-burn-rate alerts. A burn rate of 1 uses up in 30 days exactly what is allowed. An
//! alert needs the rate over its long window, and over one of a twelfth of it, so that it ends soon after
//! the cause does.

/// Minutes that are kept: the longest window.
const MINUTES: usize = 24 * 60;
/// Fewer calls in the long window say nothing.
const CALLS_MIN: u64 = 20;
/// An objective that allows much can burn too: where half of the calls miss, somebody should look.
const MISSED_MAX: f64 = 0.5;
const PERIOD_HOURS: f64 = 30.0 * 24.0;

/// A pair of windows.
#[derive(Debug)]
pub(crate) struct Window {
    pub(crate) name: &'static str,
    long_min: usize,
    short_min: usize,
    /// The share of 30 days' allowance that is used within the long window when it alerts.
    budget: f64,
}

/// An hour that uses 2 % of the allowance (a burn rate of 14.4), and a day that uses 10 % (3).
pub(crate) const WINDOWS: [Window; 2] = [
    Window { name: "1h", long_min: 60, short_min: 5, budget: 0.02 },
    Window { name: "1d", long_min: 24 * 60, short_min: 2 * 60, budget: 0.10 },
];

impl Window {
    /// Burn rate = share of the allowance × period ÷ window.
    pub(crate) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "at most 1440")]
        let hours = self.long_min as f64 / 60.0;
        self.budget * PERIOD_HOURS / hours
    }

    /// The share of calls that may miss before it alerts.
    fn threshold(&self, allowed: f64) -> f64 {
        (self.rate() * allowed).min(MISSED_MAX)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Minute {
    /// Which: minutes since 1970.
    at: i64,
    calls: u32,
    missed: u32,
}

/// The calls of one intent, of the last day, against one objective.
pub(crate) struct Burn {
    minutes: Box<[Minute]>,
    burning: [bool; WINDOWS.len()],
}

/// A window that began or ceased to burn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Turn {
    pub(crate) window: usize,
    pub(crate) burning: bool,
    /// Of the calls in the long window.
    pub(crate) missed: f64,
    pub(crate) calls: u64,
    /// How often the share that may miss goes into that.
    pub(crate) rate: f64,
}

impl Default for Burn {
    fn default() -> Self {
        Self { minutes: vec![Minute::default(); MINUTES].into(), burning: [false; WINDOWS.len()] }
    }
}

impl Burn {
    pub(crate) fn count(&mut self, minute: i64, missed: bool) {
        let place = usize::try_from(minute.rem_euclid(MINUTES as i64)).unwrap_or_default();
        let slot = &mut self.minutes[place];
        match slot.at.cmp(&minute) {
            std::cmp::Ordering::Less => *slot = Minute { at: minute, ..Minute::default() },
            std::cmp::Ordering::Equal => {}
            // Of a day ago: a clock that was stepped back.
            std::cmp::Ordering::Greater => return,
        }
        slot.calls = slot.calls.saturating_add(1);
        slot.missed = slot.missed.saturating_add(u32::from(missed));
    }

    /// What turned, given the share of calls that may miss.
    pub(crate) fn turns(&mut self, minute: i64, allowed: f64) -> Vec<Turn> {
        let mut turns = Vec::new();
        for (place, window) in WINDOWS.iter().enumerate() {
            let (calls, missed) = self.share(minute, window.long_min);
            let (_, lately) = self.share(minute, window.short_min);
            let threshold = window.threshold(allowed);
            let burning = calls >= CALLS_MIN && missed >= threshold && lately >= threshold;
            if burning != self.burning[place] {
                self.burning[place] = burning;
                let rate = missed / allowed.max(f64::EPSILON);
                turns.push(Turn { window: place, burning, missed, calls, rate });
            }
        }
        turns
    }

    /// Calls of the last minutes, and the share that missed.
    fn share(&self, minute: i64, minutes: usize) -> (u64, f64) {
        let since = minute - i64::try_from(minutes).unwrap_or(i64::MAX);
        let within = self.minutes.iter().filter(|slot| slot.at > since && slot.at <= minute);
        let (calls, missed) = within
            .fold((0, 0), |(calls, missed), slot| (calls + u64::from(slot.calls), missed + u64::from(slot.missed)));
        #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^53")]
        let share = if calls == 0 { 0.0 } else { missed as f64 / calls as f64 };
        (calls, share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 29_000_000;

    /// So many calls a minute, with so many that miss, over these minutes up to now.
    fn burnt(minutes: std::ops::Range<i64>, (calls, missed): (u32, u32)) -> Burn {
        let mut burn = Burn::default();
        for minute in minutes {
            (0..calls).for_each(|n| burn.count(NOW + minute, n < missed));
        }
        burn
    }

    fn names(turns: &[Turn]) -> Vec<(&'static str, bool)> {
        turns.iter().map(|turn| (WINDOWS[turn.window].name, turn.burning)).collect()
    }

    #[test]
    fn the_rates_are_the_workbooks() {
        assert!((WINDOWS[0].rate() - 14.4).abs() < 1e-9);
        assert!((WINDOWS[1].rate() - 3.0).abs() < 1e-9);
        for window in WINDOWS {
            assert_eq!(window.short_min, window.long_min / 12);
        }
    }

    #[test]
    fn an_hour_that_burns_fast_alerts_and_ends_soon_after_its_cause() {
        // 1 % may miss, 20 % do.
        let mut burn = burnt(-59..1, (10, 2));
        let turns = burn.turns(NOW, 0.01);
        assert_eq!(names(&turns), [("1h", true), ("1d", true)]);
        assert!((turns[0].rate - 20.0).abs() < 1e-9 && turns[0].calls == 600);
        assert_eq!(burn.turns(NOW, 0.01), []);
        for minute in 1..=6 {
            (0..10).for_each(|_| burn.count(NOW + minute, false));
        }
        assert_eq!(names(&burn.turns(NOW + 6, 0.01)), [("1h", false)]);
    }

    #[test]
    fn a_slow_burn_is_seen_over_a_day_only() {
        let mut burn = burnt(-1439..1, (20, 1));
        assert_eq!(names(&burn.turns(NOW, 0.01)), [("1d", true)]);
    }

    #[test]
    fn within_the_allowance_nothing_is_said() {
        assert_eq!(burnt(-1439..1, (50, 1)).turns(NOW, 0.05), []);
    }

    #[test]
    fn few_calls_say_nothing() {
        assert_eq!(burnt(-1..1, (5, 5)).turns(NOW, 0.01), []);
        assert_eq!(Burn::default().turns(NOW, 0.01), []);
    }

    #[test]
    fn an_objective_that_allows_much_burns_at_half() {
        assert_eq!(names(&burnt(-59..1, (10, 5)).turns(NOW, 0.2)), [("1h", true), ("1d", true)]);
        assert_eq!(burnt(-59..1, (10, 4)).turns(NOW, 0.2), []);
    }

    #[test]
    fn what_is_a_day_old_is_forgotten_and_a_clock_that_steps_back_harms_nothing() {
        let mut burn = burnt(-60..-1, (10, 10));
        assert_eq!(burn.turns(NOW + 1440, 0.01), []);
        burn.count(NOW + 1440, false);
        burn.count(NOW, true);
        assert_eq!(burn.share(NOW + 1440, 1), (1, 0.0));
    }
}
