//! The conventions' metrics: the newest names, or those on today's dashboards, never both.
//!
//! Sources as in [`crate::genai`]; token metrics from `docs/gen-ai/gen-ai-token-metrics.md` at commit
//! 066d4a7f356f. Left out, because a record does not know them: `time_per_output_chunk` (it has no time of each
//! piece) and tokens written to a provider's cache.

use baton_core::{Record, Status};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::Metric;

use crate::attributes::Attributes;
use crate::genai::{Inference, OPERATION};
use crate::histogram::{Instrument, Measured};
use crate::house::Rooms;
use crate::time::seconds;

/// 0.01 · 2ⁿ seconds.
const SECONDS: &[f64] = &[0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];
/// 4ⁿ tokens.
const TOKENS: &[f64] = &[
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];
const SERVER_FIRST: &[f64] =
    &[0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
const SERVER_EACH: &[f64] = &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5];

const fn seconds_of(name: &'static str, description: &'static str, bounds: &'static [f64]) -> Instrument {
    Instrument { name, unit: "s", description, bounds: Some(bounds) }
}

const fn tokens_of(name: &'static str, description: &'static str, bounds: Option<&'static [f64]>) -> Instrument {
    Instrument { name, unit: "{token}", description, bounds }
}

/// The newest names.
static LATEST: [Instrument; 8] = [
    seconds_of("gen_ai.client.inference.duration", "GenAI client inference operation duration.", SECONDS),
    seconds_of("gen_ai.client.inference.time_to_first_chunk", "Time to receive the first chunk.", SECONDS),
    tokens_of("gen_ai.client.inference.usage.input_tokens", "Input tokens used, cached ones included.", None),
    tokens_of("gen_ai.client.inference.usage.output_tokens", "Output tokens used, reasoning included.", None),
    tokens_of("gen_ai.client.inference.usage.cache_read.input_tokens", "Input tokens from a cache.", None),
    tokens_of("gen_ai.client.inference.usage.reasoning.output_tokens", "Output tokens used for reasoning.", None),
    tokens_of("gen_ai.client.inference.operation.input_tokens", "Input tokens of each operation.", Some(TOKENS)),
    tokens_of("gen_ai.client.inference.operation.output_tokens", "Output tokens of each operation.", Some(TOKENS)),
];

/// Those on today's dashboards.
static TODAY: [Instrument; 5] = [
    seconds_of("gen_ai.client.operation.duration", "GenAI operation duration.", SECONDS),
    tokens_of("gen_ai.client.token.usage", "Number of input and output tokens used.", Some(TOKENS)),
    seconds_of("gen_ai.server.request.duration", "Generative AI server request duration.", SECONDS),
    seconds_of("gen_ai.server.time_to_first_token", "Time to generate the first token.", SERVER_FIRST),
    seconds_of("gen_ai.server.time_per_output_token", "Time per output token after the first.", SERVER_EACH),
];

/// All that was measured since the start, or since the last export.
pub(crate) struct Metrics {
    latest: bool,
    delta: bool,
    since: u64,
    measured: Vec<Measured>,
}

impl Metrics {
    /// Nothing yet, at this time (Unix nanoseconds).
    pub(crate) fn new(latest: bool, delta: bool, now: u64) -> Self {
        let instruments: &'static [Instrument] = if latest { &LATEST } else { &TODAY };
        Self { latest, delta, since: now, measured: instruments.iter().map(Measured::new).collect() }
    }

    pub(crate) fn observe(&mut self, record: &Record, rooms: &Rooms) {
        for attempt in record.attempts.iter().filter(|attempt| attempt.outcome.was_made()) {
            let inference = Inference::new(record, attempt, rooms);
            if self.latest { self.latest(&inference) } else { self.today(&inference) }
        }
        if !self.latest {
            self.served(record, rooms);
        }
    }

    /// What there is to send; what was measured stays, or begins anew where differences are sent.
    pub(crate) fn take(&mut self, now: u64) -> Vec<Metric> {
        let times = (self.since, now);
        let metrics = self.measured.iter_mut().filter_map(|measured| measured.take(times, self.delta)).collect();
        if self.delta {
            self.since = now;
        }
        metrics
    }

    fn record(&mut self, name: &str, attributes: &[KeyValue], value: f64) {
        let found = self.measured.iter_mut().find(|measured| measured.instrument.name == name);
        debug_assert!(found.is_some(), "{name} is no instrument of this set");
        if let Some(measured) = found {
            measured.record(attributes, value);
        }
    }

    fn latest(&mut self, inference: &Inference<'_>) {
        let mut to = Attributes::default();
        inference.common(&mut to);
        let plain = to.0.clone();
        to.text_if("error.type", inference.error());
        self.record("gen_ai.client.inference.duration", &to.0, seconds(inference.attempt.duration_us));
        if let Some(first) = inference.first_chunk_us() {
            self.record("gen_ai.client.inference.time_to_first_chunk", &plain, seconds(first));
        }
        let usage = inference.reported();
        // An intent is text; what a raw call holds is not known. Without usage the count is 0, as the
        // conventions ask.
        let modality = if usage.is_some() && inference.record.intent.is_some() { "text" } else { "unknown" };
        let mut to = Attributes(plain.clone());
        to.text("gen_ai.token.modality", modality);
        let usage = usage.unwrap_or_default();
        let (input, output) = (tokens(usage.input_tokens), tokens(usage.output_tokens));
        self.record("gen_ai.client.inference.usage.input_tokens", &to.0, input);
        self.record("gen_ai.client.inference.usage.output_tokens", &to.0, output);
        self.record("gen_ai.client.inference.usage.cache_read.input_tokens", &to.0, tokens(usage.cached_tokens));
        self.record("gen_ai.client.inference.usage.reasoning.output_tokens", &to.0, tokens(usage.reasoning_tokens));
        if inference.reported().is_some() {
            self.record("gen_ai.client.inference.operation.input_tokens", &plain, input);
            self.record("gen_ai.client.inference.operation.output_tokens", &plain, output);
        }
    }

    fn today(&mut self, inference: &Inference<'_>) {
        let mut to = Attributes::default();
        inference.common(&mut to);
        let plain = to.0.clone();
        to.text_if("error.type", inference.error());
        self.record("gen_ai.client.operation.duration", &to.0, seconds(inference.attempt.duration_us));
        let Some(usage) = inference.reported() else { return };
        for (kind, count) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
            let mut to = Attributes(plain.clone());
            to.text("gen_ai.token.type", kind);
            self.record("gen_ai.client.token.usage", &to.0, tokens(count));
        }
    }

    /// Baton as the server that it is to its callers.
    fn served(&mut self, record: &Record, rooms: &Rooms) {
        let mut to = Attributes::default();
        to.text("gen_ai.operation.name", OPERATION);
        let provider = record.model.as_ref().map_or_else(|| "baton".to_owned(), |model| rooms.provider(model).name);
        to.text("gen_ai.provider.name", provider);
        to.text_if("gen_ai.request.model", record.model.as_ref().map(|model| model.name()));
        let plain = to.0.clone();
        to.text_if("error.type", record.error.as_ref().map(|error| error.code.as_str()));
        self.record("gen_ai.server.request.duration", &to.0, seconds(record.duration_us));
        let Some(first) = record.first_token_us.filter(|_| record.status == Status::Succeeded) else { return };
        self.record("gen_ai.server.time_to_first_token", &plain, seconds(first));
        let answered = record.attempts.iter().find(|attempt| attempt.outcome == baton_core::AttemptOutcome::Passed);
        let Some(rest) = answered.and_then(|attempt| {
            let after = attempt.duration_us.checked_sub(attempt.first_token_us?)?;
            let more = attempt.usage.filter(|usage| !usage.estimated)?.output_tokens.checked_sub(1)?;
            (more > 0).then(|| seconds(after) / tokens(more))
        }) else {
            return;
        };
        self.record("gen_ai.server.time_per_output_token", &plain, rest);
    }
}

fn tokens(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "tokens are far below 2^53")]
    let count = count as f64;
    count
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use baton_core::{AttemptKind, AttemptOutcome, Usage};
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;

    use super::*;
    use crate::fixtures::{attempt, record, rooms, shown};

    fn measured(latest: bool, record: &Record) -> BTreeMap<String, Metric> {
        let mut metrics = Metrics::new(latest, false, 1);
        metrics.observe(record, &rooms());
        metrics.take(2).into_iter().map(|metric| (metric.name.clone(), metric)).collect()
    }

    #[test]
    fn one_set_of_names_or_the_other() {
        let (today, latest) = (measured(false, &record()), measured(true, &record()));
        assert_eq!(today.len(), TODAY.len());
        assert_eq!(latest.len(), LATEST.len());
        assert!(today.keys().all(|name| !latest.contains_key(name)));
    }

    #[test]
    fn what_was_not_made_is_not_measured_and_estimates_are_no_usage() {
        let mut record = record();
        let mut guessed = attempt("sim/a", AttemptKind::Primary, AttemptOutcome::Slow);
        guessed.usage = Some(Usage { input_tokens: 9, estimated: true, ..Usage::default() });
        record.attempts = vec![guessed, attempt("sim/b", AttemptKind::Fallback, AttemptOutcome::BreakerOpen)];
        let today = measured(false, &record);
        assert!(!today.contains_key("gen_ai.client.token.usage"));
        let Data::Histogram(durations) = today["gen_ai.client.operation.duration"].data.clone().unwrap() else {
            panic!("no histogram");
        };
        assert_eq!(durations.data_points.len(), 1);
        assert_eq!(shown(&durations.data_points[0].attributes, "error.type"), "slow");
        let Data::Sum(sum) =
            measured(true, &record)["gen_ai.client.inference.usage.input_tokens"].data.clone().unwrap()
        else {
            panic!("no sum");
        };
        assert_eq!(shown(&sum.data_points[0].attributes, "gen_ai.token.modality"), "unknown");
    }

    #[test]
    fn labels_are_names_and_never_ids() {
        for latest in [false, true] {
            for metric in measured(latest, &record()).values() {
                let attributes = match metric.data.clone().unwrap() {
                    Data::Histogram(all) => all.data_points[0].attributes.clone(),
                    Data::Sum(all) => all.data_points[0].attributes.clone(),
                    other => panic!("{other:?}"),
                };
                for pair in attributes {
                    let value = pair.value.unwrap().value.unwrap();
                    assert!(matches!(value, Value::StringValue(_) | Value::IntValue(_)), "{}", pair.key);
                    assert!(!pair.key.ends_with(".id") && !pair.key.starts_with("baton"), "{}", pair.key);
                }
            }
        }
    }
}
