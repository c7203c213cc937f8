//! Which answers people are asked about: with which probability, so that estimates from their labels
//! can be weighted back to all answers.
//!
//! An answer is drawn with π = min(1, rate · (floor + (1 − floor) · u / ū)). The rate is the number
//! of reviews a day over the number of answers a day; u = √(g (1 − g)) is the standard deviation of an
//! answer's outcome given its calibrated quality g, and ū is its recent mean: the best rule where
//! labels cost the same (Zrnic and Candès, "Active Statistical Inference", ICML 2024, section 4),
//! mixed with a uniform one (section 4.3), because without the floor the weights 1 / π explode where g
//! is wrong. An answer without a calibrated quality has the mean risk.

use std::time::Duration;

use baton_core::Moment;

/// Answers of the last day are counted by the hour.
const HOURS: usize = 24;
const HOUR: Duration = Duration::from_secs(3600);
/// Answers that the mean risk looks back over, about.
const RISK_WINDOW: f64 = 200.0;
/// No answer is drawn with less: 1 / π stays a number.
const PROBABILITY_MIN: f64 = 1e-6;

/// How many answers a day there are, from those of the last 24 hours. Before there is a day's worth it
/// goes by the hours so far, at least one: at a start it reckons with a busy hour.
#[derive(Clone, Debug, Default)]
struct Traffic {
    /// By hour, modulo [`HOURS`].
    counts: [u64; HOURS],
    /// The hour of the latest answer, and the time of the first.
    latest: Option<(u64, Moment)>,
}

impl Traffic {
    fn count(&mut self, now: Moment) {
        let hour = (now - Moment::default()).as_secs() / HOUR.as_secs();
        let (latest, first) = *self.latest.get_or_insert((hour, now));
        for passed in (latest + 1..=hour).take(HOURS) {
            self.counts[index(passed)] = 0;
        }
        self.latest = Some((hour.max(latest), first));
        self.counts[index(hour.max(latest))] += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "a day has far fewer than 2^53 answers")]
    fn per_day(&self, now: Moment) -> f64 {
        let counted: u64 = self.counts.iter().sum();
        let since = self.latest.map_or(Duration::ZERO, |(_, first)| now - first);
        // The oldest of the 24 hours has gone, and the youngest is not full.
        let whole = HOUR * 23 + Duration::from_secs((now - Moment::default()).as_secs() % HOUR.as_secs());
        let looked_at = since.min(whole).max(HOUR);
        counted as f64 * (HOUR * 24).as_secs_f64() / looked_at.as_secs_f64()
    }
}

fn index(hour: u64) -> usize {
    usize::try_from(hour % HOURS as u64).unwrap_or_default()
}

/// What draws an intent's answers: it sees all of them.
#[derive(Clone, Debug, Default)]
pub struct ReviewSampling {
    traffic: Traffic,
    /// Mean risk, and how many answers it is of, up to the window.
    risk: (f64, f64),
}

impl ReviewSampling {
    /// Counts an answer, and gives the probability in (0, 1] with which it is to be drawn; 0 where
    /// none is to be. `quality` is its calibrated quality, where there is one.
    pub fn probability(&mut self, per_day: f64, floor: f64, quality: Option<f64>, now: Moment) -> f64 {
        self.traffic.count(now);
        let relative = match quality {
            None => 1.0,
            Some(quality) => self.relative_risk(quality.clamp(0.0, 1.0)),
        };
        if per_day <= 0.0 {
            return 0.0;
        }
        let rate = per_day / self.traffic.per_day(now).max(1.0);
        (rate * (floor + (1.0 - floor) * relative)).clamp(PROBABILITY_MIN, 1.0)
    }

    fn relative_risk(&mut self, quality: f64) -> f64 {
        let risk = (quality * (1.0 - quality)).sqrt();
        let (mean, count) = &mut self.risk;
        *count = (*count + 1.0).min(RISK_WINDOW);
        *mean += (risk - *mean) / *count;
        if *mean > 0.0 { risk / *mean } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use baton_stats::SplitMix64;

    use super::*;

    /// A day of evenly spread answers after `warm` days of them: the sum of their probabilities.
    fn drawn_on_a_day(per_day: f64, answers: u64, warm: u64, quality: impl Fn(u64) -> Option<f64>) -> f64 {
        let mut sampling = ReviewSampling::default();
        let mut sum = 0.0;
        for n in 0..answers * (warm + 1) {
            let now = Moment::default() + Duration::from_secs(86_400 * n / answers);
            let probability = sampling.probability(per_day, 0.7, quality(n), now);
            if n >= answers * warm {
                sum += probability;
            }
        }
        sum
    }

    #[test]
    fn about_as_many_are_drawn_as_are_asked_for() {
        for answers in [100, 1000, 20_000] {
            let sum = drawn_on_a_day(50.0, answers, 1, |_| None);
            assert!((47.0..53.0).contains(&sum), "{answers} a day: {sum}");
            let first = drawn_on_a_day(50.0, answers, 0, |_| None);
            assert!((45.0..75.0).contains(&first), "{answers} on the first day: {first}");
        }
        assert!((drawn_on_a_day(50.0, 20, 0, |_| None) - 20.0).abs() < 1.0, "fewer than asked for: nearly all");
    }

    #[test]
    fn risk_moves_the_drawing_and_not_its_sum() {
        let mixed = |n: u64| Some(if n.is_multiple_of(10) { 0.5 } else { 0.99 });
        let sum = drawn_on_a_day(50.0, 2000, 1, mixed);
        assert!((46.0..54.0).contains(&sum), "{sum}");

        let mut sampling = ReviewSampling::default();
        let mut last = [0.0; 2];
        for n in 0..1000_u64 {
            let now = Moment::default() + Duration::from_secs(n * 60);
            let risky = usize::from(n.is_multiple_of(10));
            last[risky] = sampling.probability(5.0, 0.7, mixed(n), now);
        }
        let [safe, risky] = last;
        // √(.5 · .5) = .5 and √(.99 · .01) = .0995: a mean of .1395, so .7 + .3 · 3.58 against .7 + .3 · .713.
        assert!((risky / safe - 1.775 / 0.914).abs() < 0.1, "{safe} {risky}");
    }

    #[test]
    fn every_answer_may_be_drawn_and_none_where_none_is_asked_for() {
        let mut sampling = ReviewSampling::default();
        for n in 0..10_000 {
            let now = Moment::default() + Duration::from_millis(n);
            let probability = sampling.probability(0.5, 0.1, Some(1.0), now);
            assert!(probability > 0.0 && probability <= 1.0, "{probability}");
            assert!(sampling.probability(0.0, 0.7, None, now).abs() < f64::EPSILON);
        }
    }

    /// The weights 1 / π undo the drawing: the Horvitz-Thompson mean is right, the plain one is not.
    #[test]
    fn weighted_back_the_sample_is_all_answers() {
        let (mut weighted, mut plain, mut drawn, mut truth) = (0.0, 0.0, 0.0, 0.0);
        let mut rng = SplitMix64::new(7);
        let mut sampling = ReviewSampling::default();
        let answers = 40_000_u64;
        for n in 0..answers {
            let now = Moment::default() + Duration::from_secs(n * 30);
            let quality = if rng.next_f64() < 0.2 { 0.5 } else { 0.98 };
            let bad = f64::from(u8::from(rng.next_f64() >= quality));
            truth += bad;
            let probability = sampling.probability(400.0, 0.3, Some(quality), now);
            if rng.next_f64() < probability {
                weighted += bad / probability;
                plain += bad;
                drawn += 1.0;
            }
        }
        let of_all = |sum: f64| sum / answers as f64;
        let (truth, weighted, plain) = (of_all(truth), of_all(weighted), plain / drawn);
        assert!((weighted - truth).abs() < 0.01, "{weighted} against {truth}");
        assert!(plain - truth > 0.03, "{plain} against {truth}: there is something to undo");
    }
}
