//! The trace that an execution belongs to: W3C Trace Context in and out, and consistent sampling.
//!
//! Nothing here is drawn at random. A trace that nobody began has the execution's id for its own,
//! and every span's id follows from the execution's, so that spans can be derived from the record
//! after the fact, and still be those that the providers were told.

use std::fmt;

use baton_stats::SplitMix64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ExecutionId;

/// What `tracestate` may have: W3C Trace Context, 3.3.1.
const STATE_MEMBERS_MAX: usize = 32;
/// What everybody must be able to pass on: 3.3.1.5.
const STATE_BYTES_MAX: usize = 512;
const SAMPLED: u8 = 1;
/// Level 2: the right 56 bits of the trace id are random.
const RANDOM: u8 = 2;
/// Of a threshold of consistent sampling.
const THRESHOLD_BITS: u32 = 56;

macro_rules! id {
    ($(#[$doc:meta])* $type:ident, $bytes:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $type([u8; $bytes]);

        impl $type {
            /// Parses lowercase hexadecimal digits; all zeros are no id.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let mut bytes = [0; $bytes];
                if text.len() != 2 * $bytes {
                    return None;
                }
                for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
                    *byte = digit(digits[0])? << 4 | digit(digits[1])?;
                }
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// Big-endian, as on the wire.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }

            /// Lowercase hexadecimal.
            fn digits(self) -> [u8; 2 * $bytes] {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                let mut text = [0; 2 * $bytes];
                for (digits, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    (digits[0], digits[1]) = (DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]);
                }
                text
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(text(&self.digits()))
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected lowercase hexadecimal digits"))
            }
        }
    };
}

id! {
    /// Sixteen bytes that a trace's spans share.
    TraceId, 16
}
id! {
    /// Eight bytes that name a span within its trace.
    SpanId, 8
}

/// Digits as text.
fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

impl TraceId {
    /// Of the trace that an execution begins: its own id. Of a UUIDv7 the right 56 bits are random,
    /// which is what consistent sampling asks for.
    #[must_use]
    pub fn of(execution: ExecutionId) -> Self {
        Self(*execution.as_bytes())
    }

    fn randomness(self) -> u64 {
        self.0[9..].iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }
}

impl SpanId {
    /// Of an execution's own span.
    #[must_use]
    pub fn of_execution(execution: ExecutionId) -> Self {
        Self::nth(execution, 0)
    }

    /// Of the attempt at this place of the record's list.
    #[must_use]
    pub fn of_attempt(execution: ExecutionId, place: usize) -> Self {
        Self::nth(execution, place as u64 + 1)
    }

    fn nth(execution: ExecutionId, n: u64) -> Self {
        let id = u128::from_be_bytes(*execution.as_bytes());
        #[expect(clippy::cast_possible_truncation, reason = "the right half holds what is random")]
        let seed = id as u64;
        // Seeds of one execution differ, and the generator's first number is a bijection of them.
        Self(SplitMix64::new(seed.wrapping_add(n)).next_u64().max(1).to_be_bytes())
    }
}

/// What a caller sends in `traceparent` and `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    flags: u8,
    state: String,
}

impl TraceParent {
    /// Parses both headers. `None` where `traceparent` is not valid, as if there were none; a
    /// `tracestate` that is not valid counts as empty.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: &str) -> Option<Self> {
        let traceparent = traceparent.trim_matches([' ', '\t']);
        let mut parts = traceparent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let byte = |text: &str| match text.as_bytes() {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        // Later versions may say more; version 0 may not.
        let known = byte(version)? != 0xff && (version != "00" || parts.next().is_none());
        let (trace, span, flags) = (TraceId::parse(trace)?, SpanId::parse(span)?, byte(flags)?);
        known.then(|| Self { trace, span, flags, state: state(tracestate).unwrap_or_default() })
    }

    /// Whether the caller records its part.
    #[must_use]
    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The members that are passed on; `None` where one is not valid, or a key stands twice.
fn state(text: &str) -> Option<String> {
    let mut members: Vec<(&str, &str)> = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=')?;
        let keyed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-*/@".contains(&b);
        let begins = key.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let printable = |b: u8| (b' '..=b'~').contains(&b) && b != b'=';
        let valid = begins && key.len() <= 256 && key.bytes().all(keyed);
        let valid = valid && (1..=256).contains(&value.len()) && value.bytes().all(printable);
        if !valid || members.iter().any(|(known, _)| *known == key) || members.len() == STATE_MEMBERS_MAX {
            return None;
        }
        members.push((key, value));
    }
    let mut kept = String::new();
    for (key, value) in members {
        if kept.len() + key.len() + value.len() + 2 > STATE_BYTES_MAX {
            break;
        }
        push(&mut kept, key, value);
    }
    Some(kept)
}

fn push(state: &mut String, key: &str, value: &str) {
    if !state.is_empty() {
        state.push(',');
    }
    state.push_str(key);
    state.push('=');
    state.push_str(value);
}

/// Which executions are traced: of those that nobody decided before, a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    share: f64,
    parent_based: bool,
}

impl Sampler {
    /// Traces nothing, and passes on what callers decided.
    pub const OFF: Self = Self { share: 0.0, parent_based: true };

    /// A share from 0 to 1 (others are brought into that range); with `parent_based` only of
    /// traces that begin here, the others as their caller decided.
    #[must_use]
    pub fn new(share: f64, parent_based: bool) -> Self {
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        Self { share, parent_based }
    }

    /// The rejection threshold of OpenTelemetry's consistent probability sampling: traces whose
    /// randomness is at least this are sampled.
    fn threshold(self) -> u64 {
        let all = 1_u64 << THRESHOLD_BITS;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and 2^56, and a float's 53 bits are precise enough for a share"
        )]
        let threshold = ((1.0 - self.share) * all as f64).round() as u64;
        threshold.min(all)
    }
}

/// The trace of one execution, as it is recorded and passed on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// The caller's span, where it sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<SpanId>,
    /// Whether its spans leave the system.
    pub sampled: bool,
    /// With which probability that was decided; `None` where the caller decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// Whether the right 56 bits of the id are random.
    #[serde(default)]
    pub random: bool,
    /// `tracestate`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
}

impl Trace {
    /// The trace of an execution, given what its caller sent.
    #[must_use]
    pub fn begin(execution: ExecutionId, parent: Option<&TraceParent>, sampler: Sampler) -> Self {
        let begun = parent.map_or(
            Self {
                id: TraceId::of(execution),
                parent: None,
                sampled: false,
                probability: None,
                random: true,
                state: String::new(),
            },
            |parent| Self {
                id: parent.trace,
                parent: Some(parent.span),
                sampled: parent.sampled(),
                probability: None,
                random: parent.flags & RANDOM != 0,
                state: parent.state.clone(),
            },
        );
        if parent.is_some() && sampler.parent_based { begun } else { begun.decided(sampler) }
    }

    /// Decides by the trace's own randomness, so that everybody with the same share decides alike.
    fn decided(mut self, sampler: Sampler) -> Self {
        let threshold = sampler.threshold();
        self.sampled = self.id.randomness() >= threshold;
        self.probability = Some(sampler.share);
        let mut others: Vec<&str> = self.state.split(',').filter(|m| !m.is_empty() && !m.starts_with("ot=")).collect();
        let ours;
        if self.sampled && sampler.share < 1.0 {
            ours = format!("ot=th:{}", hexadecimal(threshold));
            others.insert(0, &ours);
            others.truncate(STATE_MEMBERS_MAX);
        }
        self.state = others.join(",");
        self
    }

    /// The header `traceparent` that names this span as the parent of what follows.
    #[must_use]
    pub fn traceparent(&self, span: SpanId) -> String {
        let flags = if self.sampled { SAMPLED } else { 0 } | if self.random { RANDOM } else { 0 };
        // Put together, not formatted: every call says it twice.
        let flags = ["-00", "-01", "-02", "-03"][usize::from(flags)];
        ["00-", text(&self.id.digits()), "-", text(&span.digits()), flags].concat()
    }

    /// Whether it says more than the execution's id does.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.parent.is_some() || self.sampled
    }
}

/// Fourteen digits, without the zeros at their end.
fn hexadecimal(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    let short = digits.trim_end_matches('0');
    if short.is_empty() { "0".into() } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn execution(n: u8) -> ExecutionId {
        let mut random = [0x5a; 10];
        random[9] = n;
        ExecutionId::new(1_800_000_000_000, random)
    }

    #[track_caller]
    fn check(traceparent: &str, valid: bool) {
        assert_eq!(TraceParent::parse(traceparent, "").is_some(), valid, "{traceparent}");
    }

    #[test]
    fn a_traceparent_is_as_the_recommendation_says() {
        check(&format!("00-{TRACE}-{SPAN}-01"), true);
        check(&format!(" 00-{TRACE}-{SPAN}-00\t"), true);
        check(&format!("00-{TRACE}-{SPAN}-01-more"), false);
        check(&format!("cc-{TRACE}-{SPAN}-01-more"), true);
        check(&format!("cc-{TRACE}-{SPAN}-01.more"), false);
        check(&format!("ff-{TRACE}-{SPAN}-01"), false);
        check(&format!("0-{TRACE}-{SPAN}-01"), false);
        check(&format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), false);
        check(&format!("00-{}-{SPAN}-01", "0".repeat(32)), false);
        check(&format!("00-{TRACE}-{}-01", "0".repeat(16)), false);
        check(&format!("00-{TRACE}-{SPAN}"), false);
        check(&format!("00-{TRACE}-{SPAN}-1"), false);
        check("", false);
    }

    #[track_caller]
    fn check_state(given: &str, kept: &str) {
        let parent = TraceParent::parse(&format!("00-{TRACE}-{SPAN}-01"), given).unwrap();
        assert_eq!(parent.state, kept);
    }

    #[test]
    fn a_tracestate_that_is_not_valid_counts_as_empty() {
        check_state("a=1, b=2,,c@d=x y", "a=1,b=2,c@d=x y");
        check_state("a=1,a=2", "");
        check_state("A=1", "");
        check_state("a=", "");
        check_state("a", "");
        check_state("a=1=2", "");
        let many: Vec<String> = (0..33).map(|n| format!("k{n}=v")).collect();
        check_state(&many.join(","), "");
        let (first, second) = (format!("a={}", "x".repeat(250)), format!("b={}", "y".repeat(250)));
        check_state(&format!("{first},{second},c={}", "z".repeat(100)), &format!("{first},{second}"));
    }

    #[test]
    fn the_callers_trace_goes_on_and_a_new_one_has_the_executions_id() {
        let id = execution(1);
        let parent = TraceParent::parse(&format!("00-{TRACE}-{SPAN}-01"), "a=1").unwrap();
        let goes_on = Trace::begin(id, Some(&parent), Sampler::OFF);
        assert!(goes_on.sampled && goes_on.probability.is_none());
        let span = SpanId::of_attempt(id, 0);
        assert_eq!(goes_on.traceparent(span), format!("00-{TRACE}-{span}-01"));
        assert_eq!(goes_on.state, "a=1");

        let new = Trace::begin(id, None, Sampler::new(1.0, true));
        assert_eq!(new.id.to_string(), id.to_string().replace('-', ""));
        assert_eq!(new.traceparent(span), format!("00-{}-{span}-03", new.id));
        assert_eq!((new.probability, new.state.as_str()), (Some(1.0), ""));
        assert!(!Trace::begin(id, None, Sampler::OFF).is_told());
        let unsampled = TraceParent::parse(&format!("00-{TRACE}-{SPAN}-00"), "").unwrap();
        assert!(!Trace::begin(id, Some(&unsampled), Sampler::new(1.0, true)).sampled);
        assert!(Trace::begin(id, Some(&unsampled), Sampler::new(1.0, false)).sampled);
    }

    #[test]
    fn the_threshold_is_written_as_opentelemetry_reads_it() {
        let threshold = |share| hexadecimal(Sampler::new(share, true).threshold());
        assert_eq!(threshold(1.0), "0");
        assert_eq!(threshold(0.5), "8");
        assert_eq!(threshold(0.25), "c");
        assert_eq!(threshold(0.01), "fd70a3d70a3d7");
    }

    #[test]
    fn a_record_keeps_it() {
        let parent = TraceParent::parse(&format!("00-{TRACE}-{SPAN}-03"), "ot=th:8").unwrap();
        let trace = Trace::begin(execution(1), Some(&parent), Sampler::OFF);
        let text = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<Trace>(&text).unwrap(), trace);
        assert!(serde_json::from_str::<Trace>(&text.replace(SPAN, "zz")).is_err());
    }

    proptest! {
        #![proptest_config(crate::test_config(300))]

        #[test]
        fn spans_of_an_execution_differ(random: [u8; 10]) {
            let id = ExecutionId::new(1_800_000_000_000, random);
            let mut spans: Vec<SpanId> = (0..40).map(|place| SpanId::of_attempt(id, place)).collect();
            spans.push(SpanId::of_execution(id));
            let distinct: std::collections::HashSet<_> = spans.iter().collect();
            prop_assert_eq!(distinct.len(), spans.len());
        }

        /// Whoever samples a smaller share samples nothing that a larger one leaves out.
        #[test]
        fn sampling_is_consistent(random: [u8; 10], less in 0.0..1.0_f64, more in 0.0..1.0_f64) {
            let id = ExecutionId::new(1_800_000_000_000, random);
            let (less, more) = (less.min(more), less.max(more));
            let sampled = |share| Trace::begin(id, None, Sampler::new(share, true)).sampled;
            prop_assert!(!sampled(less) || sampled(more));
            prop_assert!(sampled(1.0) && !sampled(0.0));
        }

        #[test]
        fn nothing_that_arrives_panics(parent in "\\PC{0,80}", state in "\\PC{0,80}") {
            if let Some(parsed) = TraceParent::parse(&parent, &state) {
                prop_assert!(parsed.state.len() <= STATE_BYTES_MAX);
            }
        }
    }
}
