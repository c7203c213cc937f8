//! What the conventions say of one attempt, for spans and metrics alike.
//!
//! Source: open-telemetry/semantic-conventions-genai, `docs/gen-ai/client-inference.md` at commit
//! 024a4f944a12 (2026), and for today's dashboards open-telemetry/semantic-conventions v1.41.0. The
//! status of all of it is "Development".

use baton_config::{IntentKind, Plan};
use baton_core::{AttemptOutcome, AttemptRecord, Record, Usage};
use serde_json::Value;

use crate::attributes::Attributes;
use crate::house::{Provider, Rooms};

/// All that Baton asks of models today.
pub(crate) const OPERATION: &str = "chat";
/// The name of the event that tells a check's result.
pub(crate) const EVALUATION: &str = "gen_ai.evaluation.result";

/// An attempt that was made, and what the house knows of it.
pub(crate) struct Inference<'a> {
    pub(crate) record: &'a Record,
    pub(crate) attempt: &'a AttemptRecord,
    pub(crate) provider: Provider,
    pub(crate) plan: Option<&'a Plan>,
}

impl<'a> Inference<'a> {
    pub(crate) fn new(record: &'a Record, attempt: &'a AttemptRecord, rooms: &'a Rooms) -> Self {
        Self { record, attempt, provider: rooms.provider(&attempt.model), plan: rooms.plan(record) }
    }

    /// Operation, provider, model, address and error: what metrics have too.
    pub(crate) fn common(&self, to: &mut Attributes) {
        to.text("gen_ai.operation.name", OPERATION);
        to.text("gen_ai.provider.name", &*self.provider.name);
        to.text("gen_ai.request.model", self.attempt.model.name());
        let answered = self.attempt.response.as_ref().map(|response| response.model.clone());
        to.text_if("gen_ai.response.model", answered);
        if let (Some(host), Some(port)) = (&self.provider.host, self.provider.port) {
            to.text("server.address", host.as_str());
            to.int("server.port", port);
        }
    }

    /// What the request asked for. Of a raw call the record knows only whether it streamed.
    pub(crate) fn request(&self, to: &mut Attributes) {
        to.flag("gen_ai.request.stream", self.record.stream);
        let Some(plan) = self.plan else { return };
        let json = plan.kind != IntentKind::Generation;
        to.text("gen_ai.output.type", if json { "json" } else { "text" });
        let number = |key: &str| plan.params.get(key).and_then(Value::as_f64);
        let whole = |key: &str| plan.params.get(key).and_then(Value::as_i64);
        for (name, key) in [
            ("gen_ai.request.temperature", "temperature"),
            ("gen_ai.request.top_p", "top_p"),
            ("gen_ai.request.frequency_penalty", "frequency_penalty"),
            ("gen_ai.request.presence_penalty", "presence_penalty"),
        ] {
            if let Some(value) = number(key) {
                to.double(name, value);
            }
        }
        for (name, key) in [("gen_ai.request.max_tokens", "max_tokens"), ("gen_ai.request.seed", "seed")] {
            if let Some(value) = whole(key) {
                to.int(name, value);
            }
        }
        let stop = plan.params.get("stop").and_then(Value::as_array);
        let stop = stop.into_iter().flatten().filter_map(|text| Some(text.as_str()?.to_owned()));
        let stop: Vec<String> = stop.collect();
        if !stop.is_empty() {
            to.texts("gen_ai.request.stop_sequences", stop);
        }
        let level = plan.params.get("reasoning_effort").and_then(Value::as_str);
        to.text_if("gen_ai.request.reasoning.level", level);
    }

    /// What came back.
    pub(crate) fn response(&self, to: &mut Attributes) {
        let response = self.attempt.response.as_ref();
        to.text_if("gen_ai.response.id", response.map(|response| response.id.clone()));
        // A reason that was expected and did not come is `error`.
        let finish = response.map_or("error", |response| response.finish.as_str());
        to.texts("gen_ai.response.finish_reasons", [finish.to_owned()]);
        if let Some(first) = self.first_chunk_us() {
            to.double("gen_ai.response.time_to_first_chunk", crate::time::seconds(first));
        }
        let Some(usage) = self.reported() else { return };
        to.int("gen_ai.usage.input_tokens", usage.input_tokens);
        to.int("gen_ai.usage.output_tokens", usage.output_tokens);
        if usage.cached_tokens > 0 {
            to.int("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens);
        }
        if usage.reasoning_tokens > 0 {
            to.int("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens);
        }
    }

    /// The conventions have it for streams only.
    pub(crate) fn first_chunk_us(&self) -> Option<u64> {
        self.attempt.first_token_us.filter(|_| self.record.stream)
    }

    /// Tokens as the provider reported them; ours are no figure of its.
    pub(crate) fn reported(&self) -> Option<Usage> {
        self.attempt.usage.filter(|usage| !usage.estimated)
    }

    pub(crate) fn error(&self) -> Option<&'static str> {
        error_type(self.attempt.outcome)
    }
}

/// What ended in an error, as `error.type`. An attempt that lost to another, and a model that said that
/// it does not know, did not.
pub(crate) fn error_type(outcome: AttemptOutcome) -> Option<&'static str> {
    use AttemptOutcome::{Abstained, Cancelled};
    (!outcome.answered() && !matches!(outcome, Cancelled | Abstained)).then(|| outcome.as_str())
}
