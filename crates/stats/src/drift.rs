//! Is it the judge or the quality that moved? Two charts and one question: a frozen gold set judged
//! again isolates the judge, a chart of the judge's scores trips on either, and then people look at
//! some more calls.

use serde::{Deserialize, Serialize};

use crate::moments::Moments;
use crate::needs::LABELS_MIN;
use crate::{Needs, binomial_cdf, normal_cdf};

/// The exact two-sided p-value of McNemar's test (Psychometrika 1947): of paired verdicts that
/// changed, did as many change one way as the other?
#[must_use]
pub fn mcnemar(gained: u64, lost: u64) -> f64 {
    (2.0 * binomial_cdf(gained.min(lost), gained + lost, 0.5)).min(1.0)
}

/// The two-sided cumulative sum chart (Page, Biometrika 1954): trips when scores have lain beyond
/// their reference for long enough.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    mean: f64,
    deviation: f64,
    above: f64,
    below: f64,
}

/// Half of the shift, in standard deviations of a score, that the chart is quickest to find.
const SLACK: f64 = 0.125;
/// Standard deviations beyond which it trips: about one false alarm in 200,000 scores by Siegmund's
/// approximation (1985), which leaves room for the error of the reference mean.
const LIMIT: f64 = 45.0;
/// Scores that a reference takes: its mean is then off by at most a fifth of the slack or so.
const REFERENCE_MIN: u64 = 500;

impl Cusum {
    /// A chart that knows what scores are like while all is well.
    ///
    /// # Errors
    /// Below 500 finite scores.
    pub fn new(reference: &[f64]) -> Result<Self, Needs> {
        let moments: Moments = reference.iter().copied().filter(|score| score.is_finite()).collect();
        let has = moments.count() as u64;
        if has < REFERENCE_MIN {
            return Err(Needs { needed: REFERENCE_MIN, has });
        }
        // A judge that always said the same must not trip on rounding.
        let deviation = moments.variance().sqrt().max(1e-9);
        Ok(Self { mean: moments.mean(), deviation, above: 0.0, below: 0.0 })
    }

    /// Takes a score; true where the chart trips. Scores that are not finite say nothing.
    pub fn push(&mut self, score: f64) -> bool {
        if score.is_finite() {
            let beyond = (score - self.mean) / self.deviation;
            self.above = (self.above + beyond - SLACK).max(0.0);
            self.below = (self.below - beyond - SLACK).max(0.0);
        }
        self.above.max(self.below) > LIMIT
    }

    fn reset(&mut self) {
        (self.above, self.below) = (0.0, 0.0);
    }
}

/// What moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A false alarm.
    Nothing,
    /// People pass fewer answers than before, or more; the judge is as it was.
    Quality,
    /// The judge scores the same gold answers differently; people pass as many as before.
    Judge,
    /// Both.
    Both,
}

impl Cause {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Quality => "quality",
            Self::Judge => "judge",
            Self::Both => "both",
        }
    }
}

/// What the caller is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing.
    Watch,
    /// Judge the gold set again now, and have people look at the next calls until this many
    /// labels have come.
    Raise {
        /// Labels still wanted.
        labels: u64,
    },
    /// The alarm is explained. After anything but [`Cause::Nothing`] the references are out of
    /// date: fit anew and start another monitor.
    Explained(Cause),
}

/// Watches one intent's judge. Written down and read again it goes on where it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Monitor {
    cusum: Cusum,
    before: Tally,
    judge_moved: bool,
    /// Labels since the alarm, while there is one.
    alarm: Option<Tally>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Tally {
    good: u64,
    labels: u64,
}

/// Calls that people look at after an alarm.
const RAISED_LABELS: u64 = 100;
/// One gold test in this many cries wolf: daily, less than two a year.
const GOLD_ALPHA: f64 = 0.005;
const QUALITY_ALPHA: f64 = 0.02;

impl Monitor {
    /// From judge scores, and `good` of `labels` uniformly drawn answers that people passed, all of
    /// a time when all was well.
    ///
    /// # Errors
    /// With too few scores or labels.
    pub fn new(scores: &[f64], good: u64, labels: u64) -> Result<Self, Needs> {
        if labels < LABELS_MIN {
            return Err(Needs { needed: LABELS_MIN, has: labels });
        }
        let before = Tally { good: good.min(labels), labels };
        Ok(Self { cusum: Cusum::new(scores)?, before, judge_moved: false, alarm: None })
    }

    /// The judge's score of one call.
    pub fn score(&mut self, score: f64) -> Advice {
        if self.alarm.is_none() && self.cusum.push(score) {
            self.alarm = Some(Tally::default());
        }
        self.advice()
    }

    /// The gold set judged again: of its verdicts, `gained` turned from fail to pass since the gold
    /// set was frozen, and `lost` from pass to fail.
    pub fn gold(&mut self, gained: u64, lost: u64) -> Advice {
        self.judge_moved = mcnemar(gained, lost) < GOLD_ALPHA;
        if self.judge_moved && self.alarm.is_none() {
            self.alarm = Some(Tally::default());
        }
        self.advice()
    }

    /// A reviewer's verdict on a uniformly drawn call made since the alarm. Without one it is not
    /// needed here.
    pub fn label(&mut self, good: bool) -> Advice {
        let Some(after) = &mut self.alarm else { return Advice::Watch };
        after.good += u64::from(good);
        after.labels += 1;
        if after.labels < RAISED_LABELS {
            return self.advice();
        }
        let quality_moved = differs(self.before, *after);
        self.alarm = None;
        self.cusum.reset();
        Advice::Explained(match (quality_moved, self.judge_moved) {
            (false, false) => Cause::Nothing,
            (true, false) => Cause::Quality,
            (false, true) => Cause::Judge,
            (true, true) => Cause::Both,
        })
    }

    /// What is to be done as things stand.
    #[must_use]
    pub fn advice(&self) -> Advice {
        self.alarm.map_or(Advice::Watch, |after| Advice::Raise { labels: RAISED_LABELS - after.labels })
    }
}

/// Two-sided test of two rates with the pooled variance.
fn differs(before: Tally, after: Tally) -> bool {
    let [n, m] = [before.labels as f64, after.labels as f64];
    let pooled = (before.good + after.good) as f64 / (n + m);
    let error = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    let beyond = (before.good as f64 / n - after.good as f64 / m).abs();
    error > 0.0 && 2.0 * normal_cdf(-beyond / error) < QUALITY_ALPHA
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;

    #[test]
    fn mcnemar_of_known_values() {
        let check = |gained, lost, expected: f64| {
            let p = mcnemar(gained, lost);
            assert!((p - expected).abs() < 1e-9, "{p} is not {expected}");
            assert!((p - mcnemar(lost, gained)).abs() < 1e-12);
        };
        check(0, 0, 1.0);
        check(5, 5, 1.0);
        check(0, 5, 2.0 / 32.0);
        check(1, 9, 2.0 * 11.0 / 1024.0);
        check(2, 12, 2.0 * 106.0 / 16_384.0);
    }

    fn scores(seed: u64, count: usize, shift: f64) -> Vec<f64> {
        let mut rng = SplitMix64::new(seed);
        (0..count).map(|_| rng.next_f64() + shift).collect()
    }

    #[test]
    fn the_chart_trips_as_page_counts() {
        // A mean of 0.5 and a deviation of 1: each score of 2.6 adds 2.1 − SLACK.
        let reference: Vec<f64> = (0..1_000).map(|i| if i % 2 == 0 { -0.5 } else { 1.5 }).collect();
        let chart = Cusum::new(&reference).unwrap();
        let trips = |score: f64| {
            let mut chart = chart;
            (1..100).find(|_| chart.push(score))
        };
        let expected = Some((LIMIT / (2.1 - SLACK)).ceil() as u64);
        assert_eq!((trips(2.6), trips(-1.6)), (expected, expected));
        assert_eq!((trips(0.5), trips(0.6), trips(f64::NAN)), (None, None, None));
        assert_eq!(Cusum::new(&reference[..400]), Err(Needs { needed: 500, has: 400 }));
    }

    #[test]
    fn an_alarm_is_explained_by_gold_and_people() {
        let monitor = Monitor::new(&scores(1, 2_000, 0.0), 360, 400).unwrap();
        let check = |gold: (u64, u64), good: u64, expected| {
            let mut monitor = monitor.clone();
            assert_eq!(monitor.label(false), Advice::Watch, "no alarm, no need");
            let tripped = scores(2, 2_000, -0.2).into_iter().find(|s| monitor.score(*s) != Advice::Watch);
            assert!(tripped.is_some());
            assert_eq!(monitor.gold(gold.0, gold.1), Advice::Raise { labels: 100 });
            let last = (0..100).map(|i| monitor.label(i < good)).last();
            assert_eq!(last, Some(Advice::Explained(expected)));
            assert_eq!(monitor.score(0.5), Advice::Watch, "the chart starts again");
        };
        check((3, 4), 91, Cause::Nothing);
        check((3, 4), 70, Cause::Quality);
        check((2, 30), 88, Cause::Judge);
        check((30, 2), 60, Cause::Both);
    }

    #[test]
    fn a_moved_gold_set_is_an_alarm_by_itself() {
        let mut monitor = Monitor::new(&scores(1, 2_000, 0.0), 360, 400).unwrap();
        assert_eq!(monitor.gold(4, 9), Advice::Watch);
        assert_eq!(monitor.gold(1, 15), Advice::Raise { labels: 100 });
        assert_eq!(monitor.label(true), Advice::Raise { labels: 99 });
        assert!(Monitor::new(&scores(1, 2_000, 0.0), 5, 10).is_err());
    }
}
