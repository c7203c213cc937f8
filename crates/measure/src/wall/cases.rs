//! The wall, as data: every fault in the forms in which a caller can meet it, and what must come of it.

use serde_json::{Value, json};

use super::truth::Task;

/// One fault in one form.
pub(crate) struct Case {
    /// Its name in the report.
    pub(crate) fault: &'static str,
    /// What the caller asks for: it decides what may be released when.
    pub(crate) task: Task,
    pub(crate) stream: bool,
    pub(crate) does: Does,
    /// How its first attempt must be recorded: one of these.
    pub(crate) outcomes: &'static [&'static str],
    pub(crate) caller: Caller,
    /// Who answers the next call, once the fault is gone.
    pub(crate) next: Next,
    /// Whether ten such calls in a row keep later ones away from the model.
    pub(crate) opens: bool,
}

/// Who misbehaves.
#[derive(Clone)]
pub(crate) enum Does {
    /// The simulated model, so.
    Model(Value),
    /// An address that nobody answers properly at.
    Address(Address),
}

/// Servers that the simulator cannot play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Address {
    /// A closed port.
    Refuses,
    /// A name that does not resolve.
    NoSuchName,
    /// No TLS where TLS is expected.
    NoTls,
    /// A listener whose queue is full: connections are neither taken nor refused.
    Full,
}

/// What the caller must get. An answer must be true in each case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Caller {
    /// The truth, by the fallback.
    Fallback,
    /// The truth, by the model itself: this fault does no harm.
    Itself,
    /// This typed error, and whatever was released before it is the beginning of the truth.
    Error(&'static str),
}

/// See [`Case::next`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// The model itself: one fault does not keep anybody away.
    Itself,
    /// The fallback: it will not get better by itself, or it asked for time.
    Fallback,
}

/// The ways in which a caller can ask.
const UNARY: (Task, bool) = (Task::Classify, false);
/// A stream that is released when its answer passed.
const BEFORE: (Task, bool) = (Task::Classify, true);
/// A stream that is released with its first text.
const AFTER: (Task, bool) = (Task::Reply, true);

const TRANSIENT: &[&str] = &["transient"];
/// Where a hedge won meanwhile, the slow attempt was cancelled.
const SLOW: &[&str] = &["slow", "cancelled"];
const LIMITED: &[&str] = &["rate_limited"];
const DOWN: &[&str] = &["hard_down"];
const BAD: &[&str] = &["bad_answer"];
const PASSED: &[&str] = &["passed"];

impl Case {
    fn of(fault: &'static str, (task, stream): (Task, bool), does: Does, outcomes: &'static [&'static str]) -> Self {
        let quality = outcomes == BAD || outcomes == PASSED;
        Self {
            fault,
            task,
            stream,
            does,
            outcomes,
            caller: if outcomes == PASSED { Caller::Itself } else { Caller::Fallback },
            next: if outcomes == DOWN { Next::Fallback } else { Next::Itself },
            opens: !quality,
        }
    }

    fn gets(self, caller: Caller) -> Self {
        Self { caller, ..self }
    }

    fn opens(self, opens: bool) -> Self {
        Self { opens, ..self }
    }

    fn next(self, next: Next) -> Self {
        Self { next, ..self }
    }

    /// Where the stream stands when the fault comes.
    pub(crate) fn form(&self) -> &'static str {
        match (self.stream, self.task) {
            (false, _) => "unary",
            (true, Task::Reply) if matches!(self.caller, Caller::Error(_)) => "stream, after the commit",
            (true, Task::Reply | Task::Tools) => "stream of text",
            (true, _) => "stream, before the commit",
        }
    }
}

fn fault(fault: Value) -> Does {
    let mut fault = fault;
    fault["share"] = json!(1.0);
    Does::Model(json!({ "first_token_ms": { "fixed": 10 }, "tokens_per_second": 200, "faults": [fault] }))
}

fn status(status: u16) -> Does {
    fault(json!({ "kind": "status", "status": status }))
}

/// A kind without further keys.
fn kind(kind: &str) -> Does {
    fault(json!({ "kind": kind }))
}

/// The whole wall.
pub(crate) fn all() -> Vec<Case> {
    [connections(), statuses(), bodies(), streams(), committed(), answers()].into_iter().flatten().collect()
}

fn connections() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, address, outcomes) in [
        ("connection refused", Address::Refuses, TRANSIENT),
        ("DNS failure", Address::NoSuchName, TRANSIENT),
        ("TLS failure", Address::NoTls, TRANSIENT),
        ("connect hangs", Address::Full, SLOW),
    ] {
        cases.push(Case::of(name, UNARY, Does::Address(address), outcomes));
        cases.push(Case::of(name, BEFORE, Does::Address(address), outcomes));
    }
    for form in [UNARY, BEFORE, AFTER] {
        cases.push(Case::of("connection closed without an answer", form, kind("refuse"), TRANSIENT));
        cases.push(Case::of("accepted, never answers", form, kind("hang"), SLOW));
        cases.push(Case::of("headers, then silence", form, kind("headers_then_silence"), SLOW));
        let comments = fault(json!({ "kind": "keepalive_forever", "every_ms": 100 }));
        cases.push(Case::of("comment-only keep-alives for ever", form, comments, SLOW));
    }
    let trickle = || fault(json!({ "kind": "trickle", "every_ms": 600 }));
    cases.push(Case::of("slow trickle", UNARY, trickle(), SLOW));
    cases.push(Case::of("slow trickle", BEFORE, trickle(), SLOW));
    cases
}

fn statuses() -> Vec<Case> {
    let mut cases = Vec::new();
    for form in [UNARY, AFTER] {
        cases.push(Case::of("500 burst", form, status(500), TRANSIENT));
        cases.push(Case::of("502 burst", form, status(502), TRANSIENT));
        cases.push(Case::of("503 burst", form, status(503), TRANSIENT));
        let held = |name, does| Case::of(name, form, does, LIMITED).next(Next::Fallback);
        let limited = |key: &str| fault(json!({ "kind": "status", "status": 429, key: 3 }));
        cases.push(held("429, Retry-After in seconds", limited("retry_after")));
        cases.push(held("429, Retry-After as a date", limited("retry_after_date")));
        // Without a time to wait there is nothing to hold the model back by.
        cases.push(Case::of("429, no Retry-After", form, status(429), LIMITED).opens(false));
        cases.push(Case::of("529 overloaded", form, status(529), LIMITED).opens(false));
        cases.push(Case::of("401 in the middle of traffic", form, kind("unauthorized"), DOWN));
        cases.push(Case::of("402 in the middle of traffic", form, kind("payment"), DOWN));
        cases.push(Case::of("404 model gone", form, kind("model_gone"), DOWN));
        let mine = Case::of("400 for this caller only", form, status(400), &["callers_fault"]);
        cases.push(mine.gets(Caller::Error("upstream_rejected")).opens(false));
    }
    cases
}

fn bodies() -> Vec<Case> {
    let mut cases = Vec::new();
    for form in [UNARY, BEFORE, AFTER] {
        cases.push(Case::of("200 with an error body", form, kind("error_body_200"), TRANSIENT));
        cases.push(Case::of("200 with HTML", form, kind("html_200"), TRANSIENT));
    }
    for form in [UNARY, BEFORE] {
        cases.push(Case::of("invalid JSON", form, kind("invalid_json"), TRANSIENT));
        cases.push(Case::of("truncated JSON without Content-Length", form, kind("truncated_json"), TRANSIENT));
        cases.push(Case::of("body cut off", form, kind("cut_body"), TRANSIENT));
    }
    cases
}

/// Streams of labels, released when they passed; and of text, broken before its first piece.
fn streams() -> Vec<Case> {
    let mut cases = Vec::new();
    for (form, after_tokens) in [(BEFORE, 0), (BEFORE, 1), (AFTER, 0)] {
        let after = |kind: &str| fault(json!({ "kind": kind, "after_tokens": after_tokens }));
        let when = |first: &'static str, later: &'static str| if after_tokens == 0 { first } else { later };
        let name = when("error event before the first token", "error event after the first token");
        cases.push(Case::of(name, form, after("error_event"), TRANSIENT));
        let name = when("connection cut before the first token", "connection cut after the first token");
        cases.push(Case::of(name, form, after("cut_stream"), TRANSIENT));
        let name = when("malformed chunk before the first token", "malformed chunk after the first token");
        cases.push(Case::of(name, form, after("malformed_chunk"), TRANSIENT));
        let name = when("silence before the first token", "silence after the first token");
        cases.push(Case::of(name, form, after("stall"), SLOW));
    }
    cases.push(Case::of("no terminal event", BEFORE, kind("no_terminal"), TRANSIENT));
    for form in [BEFORE, AFTER] {
        cases.push(Case::of("terminal event missing usage", form, kind("no_usage"), PASSED));
        cases.push(Case::of("split inside a UTF-8 character", form, kind("split_utf8"), PASSED));
        let huge = fault(json!({ "kind": "huge_chunk", "bytes": 1_250_000 }));
        cases.push(Case::of("huge chunk", form, huge, BAD));
    }
    cases
}

/// Streams of text that break after some of it was released.
fn committed() -> Vec<Case> {
    let after = |kind: &str| fault(json!({ "kind": kind, "after_tokens": 4 }));
    let comments = fault(json!({ "kind": "stall", "after_tokens": 4, "every_ms": 100 }));
    let broken = |name, does, outcomes| Case::of(name, AFTER, does, outcomes).gets(Caller::Error("stream_interrupted"));
    let bad = |name, does| Case::of(name, AFTER, does, BAD).gets(Caller::Error("no_acceptable_answer"));
    vec![
        broken("error event after the first token", after("error_event"), TRANSIENT),
        broken("connection cut after the first token", after("cut_stream"), TRANSIENT),
        broken("malformed chunk after the first token", after("malformed_chunk"), TRANSIENT),
        broken("truncated event", kind("truncated_json"), TRANSIENT),
        broken("no terminal event", kind("no_terminal"), TRANSIENT),
        broken("silence after the first token", after("stall"), SLOW),
        broken("comment-only keep-alives for ever", comments, SLOW),
        // Its floor is stricter than the default, which says nothing to others about the model.
        broken("slow trickle", fault(json!({ "kind": "trickle", "every_ms": 600 })), SLOW).opens(false),
        bad("finish reason length", kind("length")),
    ]
}

fn answers() -> Vec<Case> {
    let mut cases = Vec::new();
    for stream in [false, true] {
        for task in [Task::Classify, Task::Extract] {
            let form = (task, stream);
            cases.push(Case::of("finish reason length on structured output", form, kind("length"), BAD));
            cases.push(Case::of("empty content", form, kind("empty"), BAD));
            cases.push(Case::of("refusal", form, kind("refusal"), BAD));
            cases.push(Case::of("wrong schema", form, kind("wrong_schema"), BAD));
        }
        let extract = (Task::Extract, stream);
        cases.push(Case::of("right schema with invented values", extract, kind("invented"), BAD));
        let tools = (Task::Tools, stream);
        let calls = Case::of("duplicate tool call ids", tools, kind("duplicate_tool_calls"), BAD);
        // A stream of text is open by the time that the second call comes.
        cases.push(if stream { calls.gets(Caller::Error("no_acceptable_answer")) } else { calls });
    }
    for fault in ["empty", "refusal"] {
        let name = if fault == "empty" { "empty content" } else { "refusal" };
        cases.push(Case::of(name, (Task::Reply, false), kind(fault), BAD));
        let streamed = Case::of(name, AFTER, kind(fault), BAD);
        // What a refusal says is text, too: it is given before it is known for one.
        cases.push(if fault == "refusal" { streamed.gets(Caller::Error("no_acceptable_answer")) } else { streamed });
    }
    cases
}
