//! How one model behaves: latency, speed, how often it is wrong, how it fails, and when that changes.

use std::time::Duration;

use serde::Deserialize;

use crate::batches::BatchBehaviour;
use crate::fault::{FaultShare, StatusShare};
use crate::rng::Rng;

/// A share of calls, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "f64")]
pub struct Share(f64);

impl Share {
    /// # Errors
    /// Where `share` is not within 0 and 1.
    pub fn new(share: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&share) {
            return Ok(Self(share));
        }
        Err(format!("a share lies between 0 and 1, not {share}"))
    }

    /// The number, 0 to 1.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;
    fn try_from(share: f64) -> Result<Self, String> {
        Self::new(share)
    }
}

/// How long the first token takes.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawLatency")]
pub enum Latency {
    /// Always this many milliseconds.
    Fixed {
        /// Milliseconds, 0 or more.
        ms: f64,
    },
    /// Lognormal, given by two of its quantiles in milliseconds: exp(ln p50 + z · ln(p99 / p50) / 2.3263).
    Lognormal {
        /// The median, above 0.
        p50_ms: f64,
        /// The 99th percentile, at least the median.
        p99_ms: f64,
    },
}

/// The 99 % quantile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;
/// A day: longer waits are a typing error, or [`crate::Fault::Hang`].
const MS_MAX: f64 = 86_400_000.0;

impl Latency {
    pub(crate) fn draw(self, rng: &mut Rng) -> Duration {
        let ms = match self {
            Self::Fixed { ms } => ms,
            Self::Lognormal { p50_ms, p99_ms } => p50_ms * ((p99_ms / p50_ms).ln() / Z99 * rng.normal()).exp(),
        };
        Duration::from_micros((ms.clamp(0.0, MS_MAX) * 1000.0).round() as u64)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLatency {
    fixed: Option<f64>,
    p50: Option<f64>,
    p99: Option<f64>,
}

impl TryFrom<RawLatency> for Latency {
    type Error = String;
    fn try_from(raw: RawLatency) -> Result<Self, String> {
        match (raw.fixed, raw.p50, raw.p99) {
            (Some(ms), None, None) if (0.0..=MS_MAX).contains(&ms) => Ok(Self::Fixed { ms }),
            (None, Some(p50_ms), Some(p99_ms)) if p50_ms > 0.0 && (p50_ms..=MS_MAX).contains(&p99_ms) => {
                Ok(Self::Lognormal { p50_ms, p99_ms })
            }
            _ => Err("first_token_ms is `{ fixed = 5 }` (0 or more) or `{ p50 = 320, p99 = 1200 }` \
                      (0 < p50 <= p99), in milliseconds, a day at most"
                .to_owned()),
        }
    }
}

/// How one model behaves. The default answers at once, always rightly, and never fails.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Behaviour {
    /// Time to the first token; default `{ fixed = 0 }`.
    pub first_token_ms: Latency,
    /// Speed after the first token, above 0; absent means all at once.
    pub tokens_per_second: Option<Speed>,
    /// Share of answers that differ from the truth, plausible and well-formed. Whether an answer is wrong
    /// depends on (seed, model, input): the same model says the same to the same input.
    pub wrong: Share,
    /// HTTP errors. Together with `faults` their shares are 1 at most.
    pub errors: Vec<StatusShare>,
    /// Other faults. Where the errors of a phase leave too little room for them, the last ones get less.
    pub faults: Vec<FaultShare>,
    /// Calls at a time; one above it is answered 429. Absent means no limit.
    pub concurrency: Option<u32>,
    /// What differs where one prompt has several inputs.
    pub several: InBatch,
    /// What changes with time or call number; where several hold, the last one that says something wins.
    pub phases: Vec<Phase>,
    /// How its batches go; `errors`, `faults` and `concurrency` do not concern them.
    pub batch: BatchBehaviour,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            first_token_ms: Latency::Fixed { ms: 0.0 },
            tokens_per_second: None,
            wrong: Share::default(),
            errors: Vec::new(),
            faults: Vec::new(),
            concurrency: None,
            several: InBatch::default(),
            phases: Vec::new(),
            batch: BatchBehaviour::default(),
        }
    }
}

/// How a model takes a prompt of several inputs, beside how it takes each of them alone.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InBatch {
    /// Share of inputs that are left without an answer.
    pub missing: Share,
    /// Share of answers that differ from those alone, though they look right.
    pub wrong: Share,
    /// An input that has these words makes the model answer all of them with what follows them on their line:
    /// it takes data for instructions.
    pub obeys: Option<String>,
}

/// Tokens a second, above 0.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(try_from = "f64")]
pub struct Speed(f64);

impl Speed {
    /// # Errors
    /// Where it is not a finite number of at least 0.001.
    pub fn new(tokens_per_second: f64) -> Result<Self, String> {
        if tokens_per_second.is_finite() && tokens_per_second >= 0.001 {
            return Ok(Self(tokens_per_second));
        }
        Err(format!("tokens_per_second is 0.001 or more, not {tokens_per_second}"))
    }

    /// How long after the first token the token of this index (from 0) arrives.
    pub(crate) fn until(self, token: usize) -> Duration {
        Duration::from_micros((token as f64 / self.0 * 1e6) as u64)
    }
}

impl TryFrom<f64> for Speed {
    type Error = String;
    fn try_from(tokens_per_second: f64) -> Result<Self, String> {
        Self::new(tokens_per_second)
    }
}

/// A stretch of time or calls in which a model behaves otherwise. What is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phase {
    /// First call of the phase; a model's calls are counted from 0.
    pub from_call: Option<u64>,
    /// First call after the phase.
    pub to_call: Option<u64>,
    /// Begin, in milliseconds since the simulator's first request.
    pub from_ms: Option<u64>,
    /// End (not part of the phase), likewise.
    pub to_ms: Option<u64>,
    /// Replaces [`Behaviour::first_token_ms`].
    pub first_token_ms: Option<Latency>,
    /// Replaces [`Behaviour::tokens_per_second`].
    pub tokens_per_second: Option<Speed>,
    /// Replaces [`Behaviour::wrong`].
    pub wrong: Option<Share>,
    /// Replaces [`Behaviour::errors`].
    pub errors: Option<Vec<StatusShare>>,
    /// Replaces [`Behaviour::faults`].
    pub faults: Option<Vec<FaultShare>>,
    /// Replaces [`Behaviour::concurrency`].
    pub concurrency: Option<u32>,
}

impl Phase {
    fn holds(&self, call: u64, at: Duration) -> bool {
        let ms = at.as_millis() as u64;
        call >= self.from_call.unwrap_or(0)
            && call < self.to_call.unwrap_or(u64::MAX)
            && ms >= self.from_ms.unwrap_or(0)
            && ms < self.to_ms.unwrap_or(u64::MAX)
    }

    fn apply(&self, to: &mut Behaviour) {
        fn set<T: Clone>(to: &mut T, from: Option<&T>) {
            if let Some(value) = from {
                to.clone_from(value);
            }
        }
        set(&mut to.first_token_ms, self.first_token_ms.as_ref());
        set(&mut to.wrong, self.wrong.as_ref());
        set(&mut to.errors, self.errors.as_ref());
        set(&mut to.faults, self.faults.as_ref());
        to.tokens_per_second = self.tokens_per_second.or(to.tokens_per_second);
        to.concurrency = self.concurrency.or(to.concurrency);
    }
}

impl Behaviour {
    /// What holds for the call of this number at this time since the simulator's first request.
    #[must_use]
    pub fn during(&self, call: u64, at: Duration) -> Self {
        let mut now = Self { phases: Vec::new(), ..self.clone() };
        for phase in self.phases.iter().filter(|p| p.holds(call, at)) {
            phase.apply(&mut now);
        }
        now
    }

    /// Checks what its parts cannot check by themselves: that shares are of one whole, and that every
    /// phase has a beginning before its end.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let errors = |errors: &[StatusShare]| errors.iter().map(|e| e.share.get()).sum::<f64>();
        let faults = |faults: &[FaultShare]| faults.iter().map(|f| f.share.get()).sum::<f64>();
        at_most_one(errors(&self.errors) + faults(&self.faults))?;
        for (n, phase) in self.phases.iter().enumerate() {
            let place = |e: String| format!("phase {}: {e}", n + 1);
            // Each by itself: errors of a phase may leave no room for the faults of the model.
            at_most_one(phase.errors.as_deref().map_or(0.0, errors)).map_err(place)?;
            at_most_one(phase.faults.as_deref().map_or(0.0, faults)).map_err(place)?;
            let empty = |from: Option<u64>, to: Option<u64>| to.is_some_and(|to| to <= from.unwrap_or(0));
            if empty(phase.from_call, phase.to_call) || empty(phase.from_ms, phase.to_ms) {
                return Err(place("it ends before it begins".to_owned()));
            }
        }
        Ok(())
    }

    /// The fault of a call that drew `u` (0 ≤ u < 1), if it has one.
    pub(crate) fn fault(&self, u: f64) -> Option<crate::Fault> {
        let mut upper = 0.0;
        let statuses = self.errors.iter().map(|e| (e.share, e.fault()));
        let faults = self.faults.iter().map(|f| (f.share, f.fault.clone()));
        statuses.chain(faults).find_map(|(share, fault)| {
            upper += share.get();
            (u < upper).then_some(fault)
        })
    }
}

fn at_most_one(sum: f64) -> Result<(), String> {
    // A little over, for tenths that do not sum exactly.
    if sum <= 1.0 + 1e-9 {
        return Ok(());
    }
    Err(format!("the shares of errors and faults sum to {sum}, above 1"))
}
