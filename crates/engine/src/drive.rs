//! Performs what [`baton_core::Exec`] decides: opens attempts, reads them, releases text. It
//! decides nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use baton_core::{
    Attempt, AttemptKind, AttemptOutcome, AttemptRecord, Disposition, Event, ExecutionId, Failure, Moment, NanoUsd,
    ProviderResponse, SpanId, Unproven, Usage, Verdict, verdict,
};
use baton_eval::Finish as AnswerFinish;
use baton_provider::{Provider, Reply, ReplyStream};
use baton_wire::{Block, ChatRequest, Completion, Delta, FinishReason, StreamEvent, WireError};
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value, json};
use tokio::time::sleep_until;

use crate::assemble::Assembly;
use crate::call::Call;
use crate::engine::Engine;
use crate::intent::text_of;
use crate::log::{EventLog, LogEvent};
use crate::resolve::Request;
use crate::tools;

/// Reasons to stop, besides OpenAI's, that say that the model was done (Anthropic's and Hugging
/// Face's names). Others are known to mean a cut: vLLM's `abort`, DeepSeek's
/// `insufficient_system_resource`, Gemini's `SAFETY`.
const ENDS: [&str; 4] = ["end_turn", "stop_sequence", "eos_token", "function_call"];

type Opening<T> = Pin<Box<dyn Future<Output = Result<T, WireError>> + Send>>;

/// The attempt in the air.
enum Flying {
    Unary(Opening<Reply>),
    Opening(Opening<ReplyStream>),
    Streaming(ReplyStream),
    /// Nothing; what `local` says is known at once.
    Landed,
}

/// What arrived.
enum Arrival {
    Opened(ReplyStream),
    Piece(StreamEvent),
    Whole(Reply),
    Failed(WireError),
}

/// A whole answer that was judged, and waits for the verdict to be acted on.
pub(crate) struct Given {
    pub(crate) output: Value,
    pub(crate) content: Vec<Block>,
    pub(crate) finish: FinishReason,
    pub(crate) repairs: Vec<String>,
    pub(crate) simulated: bool,
    pub(crate) extra: Map<String, Value>,
}

/// The attempts of one execution.
pub(crate) struct Drive<'a> {
    engine: &'a Engine,
    call: &'a Call,
    request: &'a Request,
    log: &'a Arc<EventLog>,
    chat: ChatRequest,
    flying: Flying,
    /// The attempt in the air and its place in `records`.
    current: (Attempt, usize),
    assembly: Assembly,
    /// Pieces that arrived before the commit.
    held: Vec<Delta>,
    pub(crate) records: Vec<AttemptRecord>,
    pub(crate) given: Option<Given>,
    pub(crate) released: bool,
    /// The journal could not take the stream: nothing may be released.
    pub(crate) refused: Option<Failure>,
}

impl<'a> Drive<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        call: &'a Call,
        request: &'a Request,
        log: &'a Arc<EventLog>,
    ) -> Result<Self, Failure> {
        let nothing =
            Attempt { number: usize::MAX, candidate: 0, kind: AttemptKind::Primary, budget: std::time::Duration::ZERO };
        Ok(Self {
            engine,
            call,
            request,
            log,
            chat: request.chat(call)?,
            flying: Flying::Landed,
            current: (nothing, 0),
            assembly: Assembly::default(),
            held: Vec::new(),
            records: Vec::new(),
            given: None,
            released: false,
            refused: None,
        })
    }

    /// Opens an attempt. What `local` says is known at once.
    pub(crate) fn open(&mut self, attempt: Attempt) -> Event {
        let candidate = &self.request.candidates[attempt.candidate];
        self.current = (attempt, self.records.len());
        self.assembly = Assembly::default();
        self.held.clear();
        self.given = None;
        self.records.push(self.blank(attempt.candidate, attempt.kind, AttemptOutcome::Cancelled));
        if candidate.model.as_str() == "local" {
            return self.ask_local(attempt);
        }
        let Some(provider) = self.request.live.provider(&candidate.model) else {
            return self
                .failed(Disposition::HardDown, format!("provider `{}` is not there", candidate.model.provider()));
        };
        let mut chat = self.chat.clone();
        candidate.model.name().clone_into(&mut chat.model);
        self.flying = fly(provider, chat, self.trace_headers(self.current.1));
        Event::Woke
    }

    /// What tells a provider which span the attempt at this place is.
    fn trace_headers(&self, place: usize) -> HeaderMap {
        let trace = self.engine.trace(self.call, self.log.execution);
        let span = SpanId::of_attempt(self.log.execution, place);
        let told = [("traceparent", trace.traceparent(span)), ("tracestate", trace.state)];
        let told = told.into_iter().filter(|(_, text)| !text.is_empty());
        told.filter_map(|(name, text)| Some((HeaderName::from_static(name), text.parse().ok()?))).collect()
    }

    /// Records a candidate that was passed over.
    pub(crate) fn skip(&mut self, candidate: usize, kind: AttemptKind, outcome: AttemptOutcome) -> Event {
        let record = self.blank(candidate, kind, outcome);
        self.records.push(record);
        Event::Woke
    }

    /// Stops the attempt in the air.
    pub(crate) fn cancel(&mut self, disposition: Disposition) -> Event {
        self.flying = Flying::Landed;
        let why = match disposition {
            Disposition::Slow => format!("no answer within {} ms", self.current.0.budget.as_millis()),
            _ => "nobody waits for it".to_owned(),
        };
        self.failed(disposition, why);
        Event::Woke
    }

    /// Releases what arrived of a stream. A whole answer is released with its record instead.
    pub(crate) async fn commit(&mut self) -> Event {
        if self.given.is_some() || self.released || !self.call.stream {
            return Event::Woke;
        }
        let opened = tokio::select! {
            biased;
            () = self.log.abandoned() => return Event::Abandoned,
            opened = self.engine.journal_opened(self.call, self.request, self.log, self.reserved()) => opened,
        };
        match opened {
            Ok(()) => {
                self.released = true;
                let model = self.request.candidates[self.current.0.candidate].model.clone();
                self.log.append(LogEvent::Start { model });
                for delta in self.held.drain(..) {
                    self.log.append(LogEvent::Delta(delta));
                }
                Event::Woke
            }
            Err(failure) => {
                self.refused = Some(failure);
                Event::Abandoned
            }
        }
    }

    /// The next event, at most until then.
    pub(crate) async fn next(&mut self, until: Moment) -> Event {
        let arrival = tokio::select! {
            biased;
            () = self.log.abandoned() => return Event::Abandoned,
            arrival = arrive(&mut self.flying) => arrival,
            () = sleep_until(self.engine.clock.instant(until)) => return Event::Woke,
        };
        match arrival {
            Arrival::Opened(stream) => {
                self.record().simulated = stream.simulated;
                self.flying = Flying::Streaming(stream);
                Event::Woke
            }
            Arrival::Piece(event) => self.piece(event),
            Arrival::Whole(reply) => {
                self.record().simulated = reply.simulated;
                self.whole(reply.completion)
            }
            Arrival::Failed(error) => {
                self.flying = Flying::Landed;
                self.failed(error.disposition, error.message)
            }
        }
    }

    fn piece(&mut self, event: StreamEvent) -> Event {
        if let StreamEvent::Delta(delta) = &event {
            let elapsed = self.elapsed_us();
            self.record().first_token_us.get_or_insert(elapsed);
            if self.released {
                self.log.append(LogEvent::Delta(delta.clone()));
            } else if self.call.stream {
                self.held.push(delta.clone());
            }
        }
        match self.assembly.take(event) {
            Some(completion) => self.whole(completion),
            None if self.assembly.chunks == 0 => Event::Woke,
            None => Event::Progress {
                attempt: self.current.0.number,
                chunks: self.assembly.chunks,
                bytes: self.assembly.bytes,
            },
        }
    }

    /// A complete answer: price it, judge it.
    fn whole(&mut self, mut completion: Completion) -> Event {
        self.flying = Flying::Landed;
        let usage = completion.usage.unwrap_or_else(|| self.estimate(&completion.text()));
        let simulated = self.record().simulated;
        self.settle(usage);
        self.record().response = Some(ProviderResponse {
            id: completion.id.clone(),
            model: completion.model.clone(),
            finish: completion.finish.as_str().to_owned(),
        });
        let Some(intent) = &self.request.intent else {
            let output = json!({ "text": completion.text() });
            return self.answered(Given::of(completion, output, Vec::new(), simulated), Verdict::Undecided);
        };
        let (input, tools) = (&self.request.input, &self.call.tools);
        let finish = finish_of(&completion, !tools.is_empty());
        let judged = if !tools.is_empty() && finish == AnswerFinish::Complete && tools::asks(&completion) {
            tools::judge(intent, input, tools, &mut completion)
        } else {
            completion.content.retain(|block| !matches!(block, Block::ToolUse { .. }));
            intent.checks.judge(&completion.text(), input, finish)
        };
        let said = verdict(&judged.checks);
        let wrong = judged.checks.iter().find(|c| !c.passed && c.severity == baton_core::Severity::Gate);
        let wrong = wrong.map(|c| format!("{}: {}", c.check, c.reason.as_deref().unwrap_or("failed")));
        let record = self.record();
        record.checks = judged.checks;
        record.error = wrong;
        let output = judged.output.unwrap_or(Value::Null);
        self.answered(Given::of(completion, output, judged.repairs, simulated), said)
    }

    fn ask_local(&mut self, attempt: Attempt) -> Event {
        let Some((intent, model)) = self.request.intent.as_ref().and_then(|i| Some((i, i.local.as_ref()?))) else {
            return self.failed(Disposition::Abstained, "it has no cases of two labels to learn from".into());
        };
        let prediction = model.predict(&text_of(&self.request.input));
        self.settle(Usage::default());
        if prediction.abstained {
            let why = if model.cut() > 1.0 {
                "its cases do not support the promised quality at any cut yet".to_owned()
            } else {
                format!("{:.2} < {:.2}", prediction.confidence, model.cut())
            };
            return self.failed(Disposition::Abstained, why);
        }
        let output = json!({ "label": prediction.label });
        let checks = intent.checks.judge_output(&output, &self.request.input);
        let said = verdict(&checks);
        self.records[self.current.1].checks = checks;
        debug_assert_eq!(attempt.number, self.current.0.number);
        let given = Given {
            content: vec![Block::Text(prediction.label)],
            output,
            finish: FinishReason::Stop,
            repairs: Vec::new(),
            simulated: false,
            extra: Map::new(),
        };
        self.answered(given, said)
    }

    /// Until the state machine accepts it, an answer counts as a bad one.
    fn answered(&mut self, given: Given, verdict: Verdict) -> Event {
        let fails = self.request.intent.as_ref().is_some_and(|intent| intent.plan.unproven == Unproven::Fail);
        if verdict == Verdict::Undecided && fails {
            self.record().error = Some("its quality is not known yet, and `unproven` is \"fail\"".into());
        }
        self.close(AttemptOutcome::BadAnswer);
        self.given = Some(given);
        Event::Answered { attempt: self.current.0.number, verdict }
    }

    /// The execution that is driven.
    pub(crate) fn execution(&self) -> ExecutionId {
        self.log.execution
    }

    /// What comes of it says something of this call's own limits only.
    pub(crate) fn keep_from_followers(&self) {
        self.log.keep_from_followers();
    }

    /// The state machine accepted the answer of this attempt.
    pub(crate) fn accept(&mut self) {
        let record = self.record();
        record.outcome = AttemptOutcome::Passed;
        record.error = None;
    }

    fn failed(&mut self, disposition: Disposition, error: String) -> Event {
        self.close(disposition.into());
        self.given = None;
        let read = self.assembly.chunks > 0;
        let billed = matches!(disposition, Disposition::Slow | Disposition::Cancelled | Disposition::BadAnswer);
        match self.record().usage {
            // A whole answer that may not be given: what it cost is known.
            Some(_) => {}
            // It may well be billed: what was sent and read so far, marked as an estimate.
            None if billed || read => self.settle(self.estimate(self.assembly.text())),
            None => self.record().cost = Some(NanoUsd(0)),
        }
        self.record().error = Some(error);
        Event::Failed { attempt: self.current.0.number, disposition }
    }

    fn close(&mut self, outcome: AttemptOutcome) {
        let elapsed = self.elapsed_us();
        let record = self.record();
        record.duration_us = elapsed;
        record.outcome = outcome;
    }

    fn settle(&mut self, usage: Usage) {
        let candidate = &self.request.candidates[self.current.0.candidate];
        let local = candidate.model.as_str() == "local";
        let cost = if local { Some(NanoUsd(0)) } else { candidate.price.map(|price| price.cost(&usage)) };
        let record = self.record();
        record.usage = Some(usage);
        record.cost = cost;
    }

    /// Four characters a token, where the provider reported nothing.
    fn estimate(&self, written: &str) -> Usage {
        let blocks = self.chat.messages.iter().flat_map(|m| &m.content);
        let read: usize = blocks.map(|b| if let Block::Text(t) = b { t.chars().count() } else { 0 }).sum();
        let tokens = |chars: usize| chars.div_ceil(4) as u64;
        Usage {
            input_tokens: tokens(read),
            output_tokens: tokens(written.chars().count()),
            estimated: true,
            ..Usage::default()
        }
    }

    /// The most that the attempt in the air can cost, where its price is known.
    fn reserved(&self) -> NanoUsd {
        const OUTPUT_TOKENS: u64 = 4096;
        let output_tokens = self.chat.params.max_tokens.unwrap_or(OUTPUT_TOKENS);
        let usage = Usage { output_tokens, ..self.estimate("") };
        let price = self.request.candidates[self.current.0.candidate].price;
        price.map_or(NanoUsd(0), |price| price.cost(&usage))
    }

    fn blank(&self, candidate: usize, kind: AttemptKind, outcome: AttemptOutcome) -> AttemptRecord {
        AttemptRecord {
            model: self.request.candidates[candidate].model.clone(),
            kind,
            outcome,
            start_us: micros(self.engine.clock.now() - self.request.started),
            duration_us: 0,
            first_token_us: None,
            usage: None,
            cost: None,
            error: None,
            response: None,
            checks: Vec::new(),
            simulated: false,
        }
    }

    fn record(&mut self) -> &mut AttemptRecord {
        &mut self.records[self.current.1]
    }

    fn elapsed_us(&self) -> u64 {
        micros(self.engine.clock.now() - self.request.started) - self.records[self.current.1].start_us
    }
}

impl Given {
    fn of(completion: Completion, output: Value, repairs: Vec<String>, simulated: bool) -> Self {
        let Completion { content, finish, extra, .. } = completion;
        Self { output, content, finish, repairs, simulated, extra }
    }
}

pub(crate) fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

fn fly(provider: &Arc<Provider>, chat: ChatRequest, headers: HeaderMap) -> Flying {
    let provider = Arc::clone(provider);
    if chat.stream {
        Flying::Opening(Box::pin(async move { provider.stream_with(&chat, &headers).await }))
    } else {
        Flying::Unary(Box::pin(async move { provider.complete_with(&chat, &headers).await }))
    }
}

/// Cancel-safe: what it awaits stays in `flying`.
async fn arrive(flying: &mut Flying) -> Arrival {
    match flying {
        Flying::Landed => std::future::pending().await,
        Flying::Unary(reply) => reply.await.map_or_else(Arrival::Failed, Arrival::Whole),
        Flying::Opening(stream) => stream.await.map_or_else(Arrival::Failed, Arrival::Opened),
        Flying::Streaming(stream) => match stream.events.next().await {
            Some(Ok(event)) => Arrival::Piece(event),
            Some(Err(error)) => Arrival::Failed(error),
            None => Arrival::Failed(WireError::new(
                Disposition::Transient,
                "the stream ended before its answer was complete",
            )),
        },
    }
}

/// `tools`: whether any were offered.
fn finish_of(completion: &Completion, tools: bool) -> AnswerFinish {
    let refused = completion.content.iter().any(|b| matches!(b, Block::Refusal(_)));
    match &completion.finish {
        _ if refused => AnswerFinish::Refused,
        FinishReason::Length => AnswerFinish::Truncated,
        FinishReason::ContentFilter => AnswerFinish::ContentFiltered,
        FinishReason::ToolUse if !tools => AnswerFinish::Unknown,
        FinishReason::Stop | FinishReason::ToolUse => AnswerFinish::Complete,
        FinishReason::Other(name) if ENDS.contains(&name.as_str()) => AnswerFinish::Complete,
        FinishReason::Other(_) => AnswerFinish::Unknown,
    }
}
