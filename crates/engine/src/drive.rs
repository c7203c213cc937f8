//! Performs what [`baton_core::Exec`] decides: opens attempts, reads them, releases text. It
//! decides nothing.

mod judging;
mod local;
mod spend;

pub(crate) use spend::{estimated, need, tokens_at_most};

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use baton_core::{
    Attempt, AttemptKind, AttemptOutcome, AttemptRecord, Breach, Candidate, Disposition, Event, ExecutionId, Failure,
    ModelId, Moment, NanoUsd, ProviderResponse, Quality, Reservation, SpanId, Ticket, Usage, Verdict, verdict,
};
use baton_eval::Finish as AnswerFinish;
use baton_provider::Besides;
use baton_wire::{Block, ChatRequest, Completion, Delta, FinishReason, StreamEvent};
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value, json};
use tokio::time::sleep_until;

use crate::assemble::{Assembly, chars_of};
use crate::batch::{Asked, Seat, send};
use crate::call::Call;
use crate::engine::Engine;
use crate::flying::{Arrival, Flying, arrive};
use crate::judge::{self, Asking};
use crate::log::{Delivered, EventLog, LogEvent};
use crate::places::{Waiting, woken};
use crate::probe::{Probe, glance, sent};
use crate::resolve::Request;
use crate::tools;

/// Reasons to stop, besides OpenAI's, that say that the model was done (Anthropic's and Hugging
/// Face's names). Others are known to mean a cut: vLLM's `abort`, DeepSeek's
/// `insufficient_system_resource`, Gemini's `SAFETY`.
const ENDS: [&str; 4] = ["end_turn", "stop_sequence", "eos_token", "function_call"];

/// A whole answer that was judged, and waits for the verdict to be acted on.
pub(crate) struct Given {
    pub(crate) output: Value,
    pub(crate) content: Vec<Block>,
    pub(crate) finish: FinishReason,
    pub(crate) repairs: Vec<String>,
    pub(crate) simulated: bool,
    pub(crate) extra: Map<String, Value>,
    pub(crate) quality: Option<Quality>,
    /// What its model says of how sure it is.
    pub(crate) sure: Option<String>,
}

/// An attempt, in the air or landed.
struct Flight {
    attempt: Attempt,
    /// Its place in `records`.
    place: usize,
    flying: Flying,
    /// What arrived before anybody looked.
    early: Option<Arrival>,
    assembly: Assembly,
    /// Pieces that arrived before the commit.
    held: Vec<Delta>,
    given: Option<Given>,
    /// Whether neither its checks nor labels decided what becomes of it.
    undecided: bool,
    /// The judge that looks at it.
    asking: Option<Asking>,
    /// What it may use at most, until that is settled.
    reservation: Option<Reservation>,
    /// Who keeps its bill, where it may share its call.
    seat: Option<Arc<Seat>>,
}

/// What somebody says to an execution.
#[expect(clippy::large_enum_variant, reason = "it is moved once, and a model speaks far more often")]
enum Heard {
    Model(Arrival),
    Judge(judge::Heard),
}

/// The attempts of one execution.
pub(crate) struct Drive<'a> {
    engine: &'a Arc<Engine>,
    call: &'a Call,
    request: &'a Request,
    log: &'a Arc<EventLog>,
    /// As the last attempt asked.
    chat: Arc<ChatRequest>,
    /// By the attempt's number.
    flights: Vec<Flight>,
    /// The place that is waited for.
    waiting: Option<Waiting<'a>>,
    pub(crate) records: Vec<AttemptRecord>,
    /// The attempt whose pieces go to the readers as they come.
    released: Option<usize>,
    /// What those who were asked in turn came to.
    pub(crate) turn: Option<String>,
    /// The second opinion, once it was heard, and the execution that gave it.
    opinion: Option<(ExecutionId, Arc<Delivered>)>,
    /// The journal could not take the stream: nothing may be released.
    pub(crate) refused: Option<Failure>,
    /// When what a budget or a rate limit stood in the way of may fit.
    pub(crate) fits_after: Option<Duration>,
}

impl<'a> Drive<'a> {
    pub(crate) fn new(
        engine: &'a Arc<Engine>,
        call: &'a Call,
        request: &'a Request,
        log: &'a Arc<EventLog>,
    ) -> Result<Self, Failure> {
        let chat = Arc::new(request.chat(call)?);
        let (flights, records) = (Vec::new(), Vec::new());
        let (waiting, released, turn, opinion, refused, fits_after) = Default::default();
        Ok(Self {
            engine,
            call,
            request,
            log,
            chat,
            flights,
            waiting,
            records,
            released,
            turn,
            opinion,
            refused,
            fits_after,
        })
    }

    /// Opens an attempt. What `local` says is known at once.
    pub(crate) async fn open(&mut self, attempt: Attempt) -> Event {
        let candidate = &self.request.candidates[attempt.candidate];
        let (number, place) = (attempt.number, self.records.len());
        let (assembly, held, flying) = (Assembly::default(), Vec::new(), Flying::Landed);
        debug_assert_eq!(number, self.flights.len());
        let (early, given, undecided, asking, reservation, seat) = (None, None, false, None, None, None);
        let flight =
            Flight { attempt, place, flying, early, assembly, held, given, undecided, asking, reservation, seat };
        self.flights.push(flight);
        let record = self.blank(attempt.candidate, attempt.kind, AttemptOutcome::Cancelled);
        self.records.push(record);
        if candidate.model.as_str() == "local" {
            return self.ask_local(number);
        }
        if Some(candidate.lane) == self.request.live.batched() {
            return self.open_batched(number);
        }
        let Some(provider) = self.request.live.provider(candidate) else {
            let why = format!("provider `{}` is not there", candidate.model.provider());
            return self.failed(number, Disposition::HardDown, why);
        };
        if let Err(refused) = self.reserve(number) {
            return refused;
        }
        let candidate = &self.request.candidates[attempt.candidate];
        if candidate.model.name() != self.chat.model {
            candidate.model.name().clone_into(&mut Arc::make_mut(&mut self.chat).model);
        }
        let chat = Arc::clone(&self.chat);
        // An intent's answer is what its kind says; of the rest, its checks and its judges read log probabilities.
        let known_only = self.request.intent.is_some() && !chat.extra.contains_key("logprobs");
        let besides = Besides { headers: self.trace_headers(place), known_only };
        let flight = &mut self.flights[number];
        (flight.flying, flight.seat) = send(self.engine, self.request, attempt, Asked { provider, chat, besides });
        if attempt.kind == AttemptKind::Probe {
            // It is sent even where another answers before anybody looks at it.
            flight.early = glance(&mut flight.flying).await;
        }
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

    /// Waits in the queue of a candidate's lane.
    pub(crate) fn queue(&mut self, candidate: usize, ticket: Ticket) -> Event {
        self.waiting = Some(self.engine.waiters.join(ticket, candidate, self.engine.clock.now()));
        Event::Woke
    }

    /// Records a candidate that was passed over.
    pub(crate) fn skip(&mut self, candidate: usize, kind: AttemptKind, outcome: AttemptOutcome) -> Event {
        let record = self.blank(candidate, kind, outcome);
        self.records.push(record);
        Event::Woke
    }

    /// Stops an attempt.
    pub(crate) fn cancel(&mut self, number: usize, disposition: Disposition, breach: Option<Breach>) -> Event {
        if self.flights[number].given.is_some() {
            return self.withdraw(number, disposition);
        }
        self.flights[number].flying = Flying::Landed;
        let why = match (breach, disposition) {
            (Some(breach), _) => breach.to_string(),
            (_, Disposition::Slow) => format!("no answer within {} ms", self.elapsed_us(number) / 1000),
            _ if self.log.is_deserted() => "nobody waits for it".to_owned(),
            _ => "another attempt answered first".to_owned(),
        };
        self.failed(number, disposition, why);
        Event::Woke
    }

    /// Lets an attempt go on without this execution: its lane learns whether it is back.
    pub(crate) async fn detach(&mut self, number: usize, disposition: Disposition, times: (Moment, Moment)) -> Event {
        let flight = &mut self.flights[number];
        let (mut flying, early) = (std::mem::replace(&mut flight.flying, Flying::Landed), flight.early.take());
        let lane = self.request.candidates[flight.attempt.candidate].lane;
        let probe = Probe::new(self.engine, &self.request.live, lane, times, self.call.stream);
        // What was not sent yet is sent by this execution.
        let early = if early.is_some() { early } else { sent(&mut flying).await };
        // Nobody reads its bill any more: it is estimated as any other.
        self.flights[number].seat = None;
        tokio::spawn(probe.finish(flying, early));
        self.failed(number, disposition, "it goes on alone, to see whether the model is back".to_owned());
        Event::Woke
    }

    /// Releases what arrived of a stream. A whole answer is released with its record instead.
    pub(crate) async fn commit(&mut self, number: usize) -> Event {
        if self.flights[number].given.is_some() || self.released.is_some() || !self.call.stream {
            return Event::Woke;
        }
        let opened = tokio::select! {
            biased;
            () = self.log.abandoned() => return Event::Abandoned,
            opened = self.engine.journal_opened(self.call, self.request, self.log, self.reserved()) => opened,
        };
        match opened {
            Ok(()) => {
                self.released = Some(number);
                let model = self.request.candidates[self.flights[number].attempt.candidate].model.clone();
                self.log.append(LogEvent::Start { model });
                for delta in self.flights[number].held.drain(..) {
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

    /// The next event, at most until then. Of several attempts that have something to say, the
    /// first that began speaks first.
    pub(crate) async fn next(&mut self, until: Moment) -> Event {
        let flights = &mut self.flights;
        let any = poll_fn(|cx| {
            for (number, flight) in flights.iter_mut().enumerate() {
                let early = flight.early.take().map_or(Poll::Pending, Poll::Ready);
                let arrived = if early.is_ready() { early } else { arrive(&mut flight.flying, cx) };
                if let Poll::Ready(arrival) = arrived {
                    return Poll::Ready((number, Heard::Model(arrival)));
                }
                let said = flight.asking.as_mut().map(|asking| asking.said.as_mut().poll(cx));
                if let Some(Poll::Ready(heard)) = said {
                    return Poll::Ready((number, Heard::Judge(heard)));
                }
            }
            Poll::Pending
        });
        let (number, heard) = tokio::select! {
            biased;
            () = self.log.abandoned() => return Event::Abandoned,
            heard = any => heard,
            () = woken(self.waiting.as_ref()) => return Event::Woke,
            () = sleep_until(self.engine.clock.instant(until)) => return Event::Woke,
        };
        let arrival = match heard {
            Heard::Judge(heard) => return self.judged(number, heard),
            Heard::Model(arrival) => arrival,
        };
        match arrival {
            Arrival::Opened(stream) => {
                self.record(number).simulated = stream.simulated;
                self.flights[number].flying = Flying::Streaming(stream);
                Event::Woke
            }
            Arrival::Piece(event) => self.piece(number, event),
            Arrival::Whole(reply) => {
                self.record(number).simulated = reply.simulated;
                self.whole(number, reply.completion)
            }
            Arrival::Failed(error) => {
                self.flights[number].flying = Flying::Landed;
                self.failed(number, error.disposition, error.message)
            }
        }
    }

    fn piece(&mut self, number: usize, event: StreamEvent) -> Event {
        if let StreamEvent::Delta(delta) = &event {
            if self.released == Some(number) {
                self.log.append(LogEvent::Delta(delta.clone()));
            } else if self.call.stream {
                self.flights[number].held.push(delta.clone());
            }
        }
        let assembly = &mut self.flights[number].assembly;
        let before = assembly.pieces;
        let whole = assembly.take(event);
        let Assembly { chunks, bytes, pieces, read, .. } = *assembly;
        if pieces > before {
            let elapsed = self.elapsed_us(number);
            self.record(number).first_token_us.get_or_insert(elapsed);
        }
        match whole {
            Some(completion) => self.whole(number, completion),
            None if pieces == before => Event::Woke,
            None => Event::Progress { attempt: number, chunks, bytes, read },
        }
    }

    /// A complete answer: price it, judge it.
    fn whole(&mut self, number: usize, mut completion: Completion) -> Event {
        self.flights[number].flying = Flying::Landed;
        let usage = completion.usage.unwrap_or_else(|| self.estimate(chars_of(&completion.content)));
        let simulated = self.record(number).simulated;
        self.settle(number, usage);
        self.record(number).response = Some(ProviderResponse {
            id: completion.id.clone(),
            model: completion.model.clone(),
            finish: completion.finish.as_str().to_owned(),
        });
        let Some(intent) = &self.request.intent else {
            let output = json!({ "text": completion.text() });
            let given = Given::of(completion, output, Vec::new(), simulated);
            return self.answered(number, given, Verdict::Undecided);
        };
        let (input, tools) = (&self.request.input, &self.call.tools);
        let finish = finish_of(&completion, !tools.is_empty());
        let judged = if !tools.is_empty() && finish == AnswerFinish::Complete && tools::asks(&completion) {
            tools::judge(intent, input, tools, &mut completion)
        } else {
            completion.content.retain(|block| !matches!(block, Block::ToolUse { .. }));
            intent.judge(&completion, input, finish)
        };
        let said = verdict(&judged.checks);
        let wrong = judged.checks.iter().find(|c| !c.passed && c.severity == baton_core::Severity::Gate);
        let wrong = wrong.map(|c| format!("{}: {}", c.check, c.reason.as_deref().unwrap_or("failed")));
        let record = self.record(number);
        record.checks = judged.checks;
        record.error = wrong;
        let output = judged.output.unwrap_or(Value::Null);
        self.answered(number, Given::of(completion, output, judged.repairs, simulated), said)
    }

    /// Those that may answer, ranked.
    pub(crate) fn candidates(&self) -> Arc<[Candidate]> {
        Arc::clone(&self.request.candidates)
    }

    /// The execution that is driven.
    pub(crate) fn execution(&self) -> ExecutionId {
        self.log.execution
    }

    /// What comes of it says something of this call's own limits only.
    pub(crate) fn keep_from_followers(&self) {
        self.log.keep_from_followers();
    }

    /// The state machine accepted the answer of this attempt: what is given, and who gave it.
    pub(crate) fn accept(&mut self, number: usize) -> Option<(Given, ModelId)> {
        self.dismiss(number);
        self.excuse(number);
        let record = self.record(number);
        record.outcome = AttemptOutcome::Passed;
        record.error = None;
        let model = record.model.clone();
        Some((self.flights[number].given.take()?, model))
    }

    /// Whether text was given to the readers.
    pub(crate) fn released(&self) -> bool {
        self.released.is_some()
    }

    fn failed(&mut self, number: usize, disposition: Disposition, error: String) -> Event {
        self.close(number, disposition.into());
        let flight = &mut self.flights[number];
        flight.given = None;
        let (read, reported) = (flight.assembly.pieces > 0, flight.assembly.usage());
        let seated = flight.seat.is_some();
        let billed = matches!(disposition, Disposition::Slow | Disposition::Cancelled | Disposition::BadAnswer);
        match self.records[flight.place].usage {
            // A whole answer that may not be given: what it cost is known.
            Some(_) => {}
            None if seated => self.settle(number, Usage::default()),
            // It may well be billed: what was sent and read so far, marked as an estimate where it was
            // not reported.
            None if billed || read || reported.is_some() => {
                let usage = reported.unwrap_or_else(|| self.estimate(self.flights[number].assembly.chars()));
                self.settle(number, usage);
            }
            None => {
                self.record(number).cost = Some(NanoUsd(0));
                self.charge(number);
            }
        }
        self.record(number).error = Some(error);
        Event::Failed { attempt: number, disposition }
    }

    fn close(&mut self, number: usize, outcome: AttemptOutcome) {
        let elapsed = self.elapsed_us(number);
        let record = self.record(number);
        record.duration_us = elapsed;
        record.outcome = outcome;
    }

    fn blank(&mut self, candidate: usize, kind: AttemptKind, outcome: AttemptOutcome) -> AttemptRecord {
        let now = self.engine.clock.now();
        let waited = self.waiting.take_if(|waiting| waiting.candidate == candidate);
        let asked = &self.request.candidates[candidate];
        AttemptRecord {
            model: asked.model.clone(),
            key: asked.key,
            kind,
            outcome,
            start_us: micros(now - self.request.started),
            queued_us: waited.map_or(0, |waiting| micros(now - waiting.since)),
            duration_us: 0,
            first_token_us: None,
            usage: None,
            cost: None,
            error: None,
            response: None,
            checks: Vec::new(),
            judged: None,
            batch: None,
            simulated: false,
        }
    }

    /// The first answer that a gate held back, with the place of its attempt.
    pub(crate) fn rejected(&self) -> Option<(usize, Value)> {
        let held = |flight: &&Flight| self.records[flight.place].outcome == AttemptOutcome::BadAnswer;
        let flight = self.flights.iter().filter(held).find(|flight| flight.given.is_some())?;
        let output = flight.given.as_ref()?.output.clone();
        Some((flight.place, output)).filter(|(_, output)| !output.is_null())
    }

    fn record(&mut self, number: usize) -> &mut AttemptRecord {
        &mut self.records[self.flights[number].place]
    }

    fn elapsed_us(&self, number: usize) -> u64 {
        micros(self.engine.clock.now() - self.request.started) - self.records[self.flights[number].place].start_us
    }
}

impl Given {
    fn of(completion: Completion, output: Value, repairs: Vec<String>, simulated: bool) -> Self {
        let Completion { content, finish, extra, .. } = completion;
        Self { output, content, finish, repairs, simulated, extra, quality: None, sure: None }
    }
}

pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
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
