//! Spans and evaluation events of one execution, from its final record.
//!
//! One span for the execution, one of kind CLIENT for each attempt under it. A candidate that was passed
//! over is an event, and so is each check's result, on the span that it judges. Their ids are those that
//! the providers were told in `traceparent`.

use baton_core::{AttemptOutcome, AttemptRecord, CheckResult, Record, Severity, SpanId, Status as Ended, Trace};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, SeverityNumber};
use opentelemetry_proto::tonic::trace::v1::span::{Event, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Value, json};

use crate::attributes::Attributes;
use crate::genai::{EVALUATION, Inference, OPERATION};
use crate::house::Rooms;
use crate::time::nanos;

/// A longer text of content stays out: collectors refuse large messages.
const CONTENT_BYTES_MAX: usize = 64 << 10;
/// Of a span's flags: whether its parent is remote is known, and it is.
const REMOTE: u32 = 0x300;
const LOCAL_PARENT: u32 = 0x100;
const SAMPLED: u32 = 1;

/// Derives what leaves the system of one record.
pub(crate) struct Deriver<'a> {
    record: &'a Record,
    rooms: &'a Rooms,
    trace: Trace,
    /// Whether the words of people, models and providers may leave.
    content: bool,
}

impl<'a> Deriver<'a> {
    /// `content`: the operator opted in. That the intent's privacy permits it shows in the record, which
    /// holds none otherwise.
    pub(crate) fn new(record: &'a Record, rooms: &'a Rooms, content: bool) -> Self {
        let content = content && record.input.is_some();
        Self { record, rooms, trace: record.trace(), content }
    }

    /// The execution's span, then those of the attempts that were made.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let made = self.record.attempts.iter().enumerate().filter(|(_, attempt)| attempt.outcome.was_made());
        let attempts = made.map(|(place, attempt)| self.attempt(place, attempt));
        std::iter::once(self.execution()).chain(attempts).collect()
    }

    /// Each check's result, as an event of its own: its parent is the span that it judges.
    pub(crate) fn evaluations(&self) -> Vec<LogRecord> {
        let mut all = Vec::new();
        for (place, attempt) in self.record.attempts.iter().enumerate() {
            let at = self.end_of(attempt);
            let event = |check: &CheckResult| LogRecord {
                time_unix_nano: at,
                observed_time_unix_nano: at,
                severity_number: SeverityNumber::Info.into(),
                event_name: EVALUATION.to_owned(),
                attributes: self.evaluation(attempt, check).0,
                trace_id: self.trace.id.as_bytes().to_vec(),
                span_id: SpanId::of_attempt(self.record.execution, place).as_bytes().to_vec(),
                flags: u32::from(self.trace.sampled),
                ..LogRecord::default()
            };
            all.extend(attempt.checks.iter().map(event));
        }
        all
    }

    fn execution(&self) -> Span {
        let record = self.record;
        let name = record.intent.as_ref().map_or_else(|| "execute".to_owned(), |intent| format!("execute {intent}"));
        let parent = self.trace.parent;
        let skipped = record.attempts.iter().filter(|attempt| !attempt.outcome.was_made());
        let failed = matches!(record.status, Ended::Failed | Ended::Interrupted);
        Span {
            span_id: SpanId::of_execution(record.execution).as_bytes().to_vec(),
            parent_span_id: parent.map(|span| span.as_bytes().to_vec()).unwrap_or_default(),
            flags: SAMPLED | if parent.is_some() { REMOTE } else { LOCAL_PARENT },
            name,
            kind: if parent.is_some() { SpanKind::Server } else { SpanKind::Internal }.into(),
            start_time_unix_nano: nanos(record.started_at_us, 0),
            end_time_unix_nano: nanos(record.started_at_us, record.duration_us),
            attributes: self.of_execution().0,
            events: skipped.map(|attempt| self.skip(attempt)).collect(),
            status: status(failed),
            ..self.blank()
        }
    }

    fn of_execution(&self) -> Attributes {
        let (record, mut to) = (self.record, Attributes::default());
        to.text("baton.execution_id", record.execution.to_string());
        to.text_if("baton.intent", record.intent.as_ref().map(|intent| intent.as_str()));
        to.text_if("baton.plan_hash", Some(record.version.as_str()));
        to.text("baton.status", record.status.as_str());
        to.text_if("baton.via", record.via.map(|via| via.as_str()));
        to.text_if("baton.model", record.model.as_ref().map(|model| model.as_str()));
        to.text_if("baton.source_execution_id", record.source.map(|id| id.to_string()));
        if record.cost_known {
            to.int("baton.cost_nanousd", record.cost.0);
        }
        if let Some(score) = record.quality.score {
            to.double("baton.quality", score);
        }
        if let Some(lower) = record.quality.lower {
            to.double("baton.quality_lower", lower);
        }
        to.text("baton.quality_basis", record.quality.basis.as_str());
        to.int("baton.deadline_ms", record.deadline_us / 1000);
        to.int("baton.overhead_us", record.overhead_us);
        to.flag("baton.simulated", record.simulated);
        // Of several attempts the reason repeats what providers said.
        let plain = record.attempts.iter().all(|attempt| attempt.error.is_none());
        to.text_if("baton.route.reason", record.reason.as_deref().filter(|_| plain || self.content));
        to.text_if("gen_ai.conversation.id", record.session.as_deref());
        to.text_if("error.type", record.error.as_ref().map(|error| error.code.as_str()));
        if self.content {
            self.messages(&mut to);
        }
        to
    }

    /// Input and output of the intent, in the conventions' shape. On the execution's span: what each
    /// model was sent, the prompt around it, is not in the record.
    fn messages(&self, to: &mut Attributes) {
        let part = |value: &Value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            json!([{ "type": "text", "content": text }])
        };
        let input = self.record.input.as_ref().map(|value| json!([{ "role": "user", "parts": part(value) }]));
        let output = self.record.output.as_ref().map(|value| json!([{ "role": "assistant", "parts": part(value) }]));
        for (name, messages) in [("gen_ai.input.messages", input), ("gen_ai.output.messages", output)] {
            let Some(text) = messages.map(|messages| messages.to_string()) else { continue };
            if text.len() > CONTENT_BYTES_MAX {
                to.flag("baton.content_too_long", true);
            } else {
                to.text(name, text);
            }
        }
    }

    fn attempt(&self, place: usize, attempt: &AttemptRecord) -> Span {
        let inference = Inference::new(self.record, attempt, self.rooms);
        let kind = if attempt.model.as_str() == "local" { SpanKind::Internal } else { SpanKind::Client };
        let mut to = Attributes::default();
        inference.common(&mut to);
        inference.request(&mut to);
        inference.response(&mut to);
        to.text_if("gen_ai.conversation.id", self.record.session.as_deref());
        to.text_if("error.type", inference.error());
        to.text("baton.attempt.kind", attempt.kind.as_str());
        to.text("baton.attempt.outcome", attempt.outcome.as_str());
        if let Some(cost) = attempt.cost {
            to.int("baton.cost_nanousd", cost.0);
        }
        if attempt.queued_us > 0 {
            to.int("baton.attempt.queued_us", attempt.queued_us);
        }
        to.flag("baton.simulated", attempt.simulated);
        let mut status = status(inference.error().is_some());
        if let (Some(status), Some(words), true) = (&mut status, &attempt.error, self.content) {
            status.message.clone_from(words);
        }
        Span {
            span_id: SpanId::of_attempt(self.record.execution, place).as_bytes().to_vec(),
            parent_span_id: SpanId::of_execution(self.record.execution).as_bytes().to_vec(),
            flags: SAMPLED | LOCAL_PARENT,
            name: format!("{OPERATION} {}", attempt.model.name()),
            kind: kind.into(),
            start_time_unix_nano: nanos(self.record.started_at_us, attempt.start_us),
            end_time_unix_nano: self.end_of(attempt),
            attributes: to.0,
            events: attempt.checks.iter().map(|check| self.check(attempt, check)).collect(),
            status,
            ..self.blank()
        }
    }

    fn check(&self, attempt: &AttemptRecord, check: &CheckResult) -> Event {
        let attributes = self.evaluation(attempt, check).0;
        Event { time_unix_nano: self.end_of(attempt), name: EVALUATION.to_owned(), attributes, ..Event::default() }
    }

    fn evaluation(&self, attempt: &AttemptRecord, check: &CheckResult) -> Attributes {
        let mut to = Attributes::default();
        to.text("gen_ai.evaluation.name", check.check.as_str());
        let whole = if check.passed { 1.0 } else { 0.0 };
        to.double("gen_ai.evaluation.score.value", check.score.unwrap_or(whole));
        to.text("gen_ai.evaluation.score.label", if check.passed { "pass" } else { "fail" });
        // It quotes the answer.
        to.text_if("gen_ai.evaluation.explanation", check.reason.as_deref().filter(|_| self.content));
        to.text_if("gen_ai.response.id", attempt.response.as_ref().map(|response| response.id.clone()));
        to.text("baton.check.on_fail", if check.severity == Severity::Gate { "gate" } else { "signal" });
        to
    }

    fn skip(&self, attempt: &AttemptRecord) -> Event {
        let mut to = Attributes::default();
        to.text("gen_ai.provider.name", self.rooms.provider(&attempt.model).name);
        to.text("gen_ai.request.model", attempt.model.name());
        to.text("baton.attempt.kind", attempt.kind.as_str());
        to.text("baton.attempt.outcome", attempt.outcome.as_str());
        if attempt.outcome == AttemptOutcome::BreakerOpen {
            to.text("baton.breaker.state", "open");
        }
        Event {
            time_unix_nano: nanos(self.record.started_at_us, attempt.start_us),
            name: "baton.attempt.skipped".to_owned(),
            attributes: to.0,
            ..Event::default()
        }
    }

    fn end_of(&self, attempt: &AttemptRecord) -> u64 {
        nanos(self.record.started_at_us, attempt.start_us.saturating_add(attempt.duration_us))
    }

    fn blank(&self) -> Span {
        Span { trace_id: self.trace.id.as_bytes().to_vec(), trace_state: self.trace.state.clone(), ..Span::default() }
    }
}

/// Unset where nothing failed, as instrumentations leave it.
fn status(failed: bool) -> Option<Status> {
    failed.then(|| Status { code: StatusCode::Error.into(), message: String::new() })
}

#[cfg(test)]
mod tests {
    use baton_core::{AttemptKind, SpanId};

    use super::*;
    use crate::fixtures::{CONTENT, SECRETS, attempt, check, record, rooms, shown};

    fn derive(record: &Record, content: bool) -> Vec<Span> {
        Deriver::new(record, &rooms(), content).spans()
    }

    #[test]
    fn an_execution_and_its_attempts_are_one_tree() {
        let mut record = record();
        record.attempts = vec![
            attempt("sim/a", AttemptKind::Primary, AttemptOutcome::BadAnswer),
            attempt("sim/b", AttemptKind::Fallback, AttemptOutcome::BreakerOpen),
            attempt("openai/c", AttemptKind::Fallback, AttemptOutcome::Cancelled),
            attempt("xai/d", AttemptKind::Hedge, AttemptOutcome::Passed),
        ];
        let spans = derive(&record, false);
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["execute sort", "chat a", "chat c", "chat d"]);
        assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
        assert!(spans[1..].iter().all(|span| span.parent_span_id == spans[0].span_id));
        assert_eq!(spans[3].span_id, SpanId::of_attempt(record.execution, 3).as_bytes());
        assert!(spans[1..].iter().all(|span| span.kind == SpanKind::Client as i32));
        assert_eq!(spans[0].events.len(), 1);
        assert_eq!(shown(&spans[0].events[0].attributes, "baton.attempt.outcome"), "breaker_open");
        let errors: Vec<String> = spans.iter().map(|span| shown(&span.attributes, "error.type")).collect();
        assert_eq!(errors, ["", "bad_answer", "", ""]);
        let providers: Vec<String> = spans.iter().map(|span| shown(&span.attributes, "gen_ai.provider.name")).collect();
        assert_eq!(providers, ["", "sim", "openai", "x_ai"]);
        assert_eq!(shown(&spans[2].attributes, "server.address"), "api.openai.com");
        assert_eq!(shown(&spans[2].attributes, "server.port"), "443");
    }

    #[test]
    fn checks_are_told_on_the_span_that_they_judge() {
        let mut record = record();
        let mut judged = attempt("sim/a", AttemptKind::Primary, AttemptOutcome::BadAnswer);
        judged.checks = vec![check("schema", true), check("span-in-source", false)];
        record.attempts = vec![attempt("sim/z", AttemptKind::Primary, AttemptOutcome::Slow), judged];
        let (spans, rooms) = (derive(&record, false), rooms());
        let events = Deriver::new(&record, &rooms, false).evaluations();
        assert_eq!(events.len(), 2);
        for (event, on_span) in events.iter().zip(&spans[2].events) {
            assert_eq!((event.event_name.as_str(), on_span.name.as_str()), (EVALUATION, EVALUATION));
            assert_eq!((&event.span_id, &event.trace_id), (&spans[2].span_id, &spans[2].trace_id));
            assert_eq!(event.attributes, on_span.attributes);
        }
        assert_eq!(shown(&events[1].attributes, "gen_ai.evaluation.name"), "span-in-source");
        assert_eq!(shown(&events[1].attributes, "gen_ai.evaluation.score.label"), "fail");
        assert_eq!(shown(&events[1].attributes, "gen_ai.evaluation.score.value"), "0.0");
    }

    /// Everything that a record can say in somebody's words.
    fn wordy() -> Record {
        let mut record = record();
        let mut failed = attempt("sim/a", AttemptKind::Primary, AttemptOutcome::BadAnswer);
        failed.error = Some(format!("the provider said {}", CONTENT[0]));
        failed.checks = vec![check("contains", false)];
        record.attempts = vec![failed, attempt("sim/b", AttemptKind::Fallback, AttemptOutcome::Passed)];
        record.reason = Some(format!("sim/a bad answer: the provider said {}", CONTENT[0]));
        record
    }

    #[test]
    fn no_content_leaves_without_the_operators_word() {
        let record = wordy();
        let rooms = rooms();
        let quiet = Deriver::new(&record, &rooms, false);
        let told = format!("{:?}{:?}", quiet.spans(), quiet.evaluations());
        for word in CONTENT.iter().chain(&SECRETS) {
            assert!(!told.contains(word), "{word} leaves the system");
        }
    }

    #[test]
    fn content_leaves_where_the_operator_and_the_intent_permit_it() {
        let mut record = wordy();
        let told = format!("{:?}", derive(&record, true));
        assert!(told.contains("gen_ai.input.messages") && told.contains(CONTENT[0]));
        assert!(told.contains("gen_ai.output.messages") && told.contains(CONTENT[1]));
        // `privacy = none`: the record holds neither.
        (record.input, record.output) = (None, None);
        let told = format!("{:?}", derive(&record, true));
        assert!(!CONTENT.iter().any(|word| told.contains(word)));
    }

    #[test]
    fn a_long_content_stays_out_and_says_so() {
        let mut record = record();
        record.input = Some(json!("x".repeat(CONTENT_BYTES_MAX)));
        let spans = derive(&record, true);
        assert_eq!(shown(&spans[0].attributes, "gen_ai.input.messages"), "");
        assert_eq!(shown(&spans[0].attributes, "baton.content_too_long"), "true");
    }

    #[test]
    fn a_callers_span_is_the_parent() {
        let mut record = record();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = baton_core::TraceParent::parse(parent, "a=1").unwrap();
        record.trace = Some(Trace::begin(record.execution, Some(&parent), baton_core::Sampler::OFF));
        let span = derive(&record, false).remove(0);
        assert_eq!(span.parent_span_id, [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]);
        assert_eq!((span.kind, span.trace_state.as_str()), (SpanKind::Server as i32, "a=1"));
    }
}
