//! What attempts may cost, and what they cost: reserved before they begin, settled when it is known.

use baton_core::{At, AttemptKind, Disposition, Event, Exec, Limit, NanoUsd, Need, Prices, Refusal, Usage, Used};
use baton_wire::{Block, ChatRequest, ResponseFormat, WireError};

use super::Drive;
use crate::batch::Bill;
use crate::flying::Flying;
use crate::jobs::Batched;

/// Tokens of an answer where the call sets no limit.
const OUTPUT_TOKENS: u64 = 4096;
/// Bytes of a token, at least, in prose and code of any language: 3.5 to 4.5 characters in English (OpenAI's
/// tokenizer help), about one in Chinese, of three bytes.
const TOKEN_BYTES: usize = 3;
/// Tokens around each message: its role and its end.
const MESSAGE_TOKENS: u64 = 8;
/// Tokens of an image or of another part that is not text: the largest that vendors scale images down to
/// take some 1,600.
const PART_TOKENS: u64 = 2048;

impl Drive<'_> {
    /// Reserves what an attempt may use at most. Where it may not, nobody is asked, and the event says so.
    pub(super) fn reserve(&mut self, number: usize) -> Result<(), Event> {
        let at = At { now: self.engine.clock.now(), unix_us: self.request.started_at_us };
        match self.engine.budgets.reserve(&self.request.quotas, self.need(number), at) {
            Ok(reservation) => {
                self.flights[number].reservation = Some(reservation);
                Ok(())
            }
            Err(refusal) => Err(self.unasked(number, &refusal)),
        }
    }

    fn unasked(&mut self, number: usize, refusal: &Refusal) -> Event {
        let disposition = match refusal.limit {
            Limit::Calls(_) | Limit::Tokens(_) => Disposition::Limited,
            Limit::Money(_) | Limit::UnknownPrice(_) => Disposition::OverBudget,
        };
        if let Some(after) = refusal.retry_after {
            self.fits_after = Some(self.fits_after.map_or(after, |first| first.min(after)));
        }
        let record = self.record(number);
        record.outcome = disposition.into();
        record.error = Some(refusal.to_string());
        Event::Failed { attempt: number, disposition }
    }

    /// Tells the state machine who shares a call: however many do, it is one call of its lane.
    pub(crate) fn share(&self, exec: &mut Exec) {
        for (number, flight) in self.flights.iter().enumerate() {
            if let Some(seat) = &flight.seat {
                exec.shares(number, seat.call());
            }
        }
    }

    /// Charges what the record of an attempt says, once.
    pub(super) fn charge(&mut self, number: usize) {
        let Some(reservation) = self.flights[number].reservation.take() else { return };
        let record = self.record(number);
        let tokens = record.usage.map_or(0, |usage| usage.input_tokens.saturating_add(usage.output_tokens));
        let used = Used { tokens, cost: record.cost.unwrap_or_default() };
        self.engine.budgets.settle(reservation, used);
    }

    pub(super) fn settle(&mut self, number: usize, usage: Usage) {
        if let Some(seat) = &self.flights[number].seat {
            let Bill { usage, cost, share, .. } = seat.bill();
            let record = self.record(number);
            record.usage = (usage != Usage::default()).then_some(usage);
            (record.cost, record.batch) = (cost, share.map(Box::new));
            return self.charge(number);
        }
        let candidate = &self.request.candidates[self.flights[number].attempt.candidate];
        let local = candidate.model.as_str() == "local";
        let cost = if local {
            Some(NanoUsd(0))
        } else {
            candidate.price.as_ref().and_then(|price| price.cost(&usage, self.request.started_at_us))
        };
        let record = self.record(number);
        record.usage = Some(usage);
        record.cost = cost;
        self.charge(number);
    }

    /// As [`estimated`], of the whole conversation.
    pub(super) fn estimate(&self, written: usize) -> Usage {
        estimated(&self.chat, written)
    }

    /// The most that an attempt is thought to use: where a provider reports more, the rest is charged too.
    fn need(&self, number: usize) -> Need {
        let price = self.request.candidates[self.flights[number].attempt.candidate].price.as_ref();
        need(&self.chat, price, self.request.started_at_us)
    }

    /// Takes what a batch answered. It is charged whatever limits say: it was paid for when it was handed in.
    pub(super) fn open_batched(&mut self, number: usize) -> Event {
        let reply = self.call.item.as_ref().and_then(|item| item.reply.as_deref());
        let reply = reply.map_or_else(|| Err(WireError::bad_answer("no batch answered it")), Batched::reply);
        self.record(number).kind = AttemptKind::Batch;
        let at = At { now: self.engine.clock.now(), unix_us: self.request.started_at_us };
        self.flights[number].reservation = self.engine.budgets.hold(&self.request.quotas, NanoUsd(0), at);
        self.flights[number].flying = Flying::Unary(Box::pin(std::future::ready(reply)));
        Event::Woke
    }

    /// The most that the whole execution can cost, where prices are known: what its attempts cost, and what
    /// those in the air hold.
    pub(super) fn reserved(&self) -> NanoUsd {
        let cost: NanoUsd = self.records.iter().filter_map(|record| record.cost).sum();
        let held = (0..self.flights.len()).filter(|number| self.flights[*number].reservation.is_some());
        cost + held.filter_map(|number| self.need(number).cost).sum()
    }
}

/// Four characters a token, where the provider reported nothing.
pub(crate) fn estimated(chat: &ChatRequest, written: usize) -> Usage {
    let blocks = chat.messages.iter().flat_map(|m| &m.content);
    let read: usize = blocks.map(|b| if let Block::Text(t) = b { t.chars().count() } else { 0 }).sum();
    let tokens = |chars: usize| chars.div_ceil(4) as u64;
    Usage { input_tokens: tokens(read), output_tokens: tokens(written), estimated: true, ..Usage::default() }
}

/// The most that an attempt with this request is thought to use at this time, Unix microseconds.
pub(crate) fn need(chat: &ChatRequest, price: Option<&Prices>, unix_us: i64) -> Need {
    let output_tokens = chat.params.max_tokens.unwrap_or(OUTPUT_TOKENS);
    let usage = Usage { input_tokens: read_at_most(chat), output_tokens, ..Usage::default() };
    let tokens = usage.input_tokens.saturating_add(output_tokens);
    Need { tokens, cost: price.and_then(|price| price.cost_at_most(&usage, unix_us)) }
}

fn read_at_most(chat: &ChatRequest) -> u64 {
    let mut bytes = 0;
    let mut tokens = MESSAGE_TOKENS * (chat.messages.len() + chat.tools.len()) as u64;
    for block in chat.messages.iter().flat_map(|message| &message.content) {
        match block {
            Block::Text(text) | Block::Refusal(text) | Block::Thinking { text, .. } => bytes += text.len(),
            Block::ToolUse { name, arguments, .. } => bytes += name.len() + arguments.len(),
            Block::ToolResult { content, .. } => bytes += content.len(),
            Block::Opaque(_) => tokens += PART_TOKENS,
        }
    }
    for tool in &chat.tools {
        let about = tool.description.as_ref().map_or(0, String::len);
        bytes += tool.name.len() + about + tool.parameters.to_string().len();
    }
    if let ResponseFormat::Schema { schema, .. } = &chat.response_format {
        bytes += schema.to_string().len();
    }
    tokens + tokens_at_most(bytes)
}

/// Of so many bytes of text.
pub(crate) fn tokens_at_most(bytes: usize) -> u64 {
    bytes.div_ceil(TOKEN_BYTES) as u64
}
