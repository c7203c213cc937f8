//! The chunks of a streamed chat completion.

use std::sync::Arc;

use baton_config::{IntentKind, Plan};
use baton_core::ExecutionId;
use baton_engine::{Delivered, LogEvent};
use baton_wire::openai::StreamEncoder;
use baton_wire::{Block, Delta};

use super::answer::{Extras, content, id, model, now};
use crate::error::Problem;
use crate::stream::{Frames, event};

pub(super) struct Writer {
    execution: ExecutionId,
    plan: Option<Arc<Plan>>,
    /// Whether tokens were asked for.
    usage: bool,
    encoder: Option<StreamEncoder>,
}

impl Writer {
    pub(super) fn new(execution: ExecutionId, plan: Option<Arc<Plan>>, usage: bool) -> Self {
        Self { execution, plan, usage, encoder: None }
    }

    /// Whether the text is given whole at the end: what was checked is the output, not its pieces.
    fn gathers(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.kind != IntentKind::Generation && !plan.stream_unverified)
    }

    fn encoder(&mut self, model: impl FnOnce() -> String, out: &mut Vec<u8>) -> &StreamEncoder {
        let execution = self.execution;
        self.encoder.get_or_insert_with(|| {
            let encoder = StreamEncoder::new(id(execution), model(), now());
            data(out, &encoder.start());
            encoder
        })
    }

    fn end(&mut self, delivered: &Delivered, out: &mut Vec<u8>) {
        let answer = &delivered.answer;
        let pieces = if self.gathers() { content(delivered, self.plan.as_deref()) } else { Vec::new() };
        let with_usage = self.usage;
        let encoder = self.encoder(|| model(answer), out);
        for delta in deltas(pieces) {
            data(out, &encoder.delta(&delta));
        }
        extended(out, &encoder.finish(&delivered.finish), &Extras::of(answer));
        if with_usage {
            data(out, &encoder.usage(&answer.usage));
        }
        data(out, StreamEncoder::done());
    }
}

impl Frames for Writer {
    fn write(&mut self, said: LogEvent, out: &mut Vec<u8>) {
        match said {
            LogEvent::Start { model } => drop(self.encoder(|| model.to_string(), out)),
            LogEvent::Delta(_) if self.gathers() => {}
            LogEvent::Delta(delta) => {
                let chunk = self.encoder(|| "unknown".into(), out).delta(&delta);
                data(out, &chunk);
            }
            LogEvent::End(delivered) => self.end(&delivered, out),
            LogEvent::Error(failure) => {
                event(out, None, &Problem::of(self.execution, (*failure).clone()).openai_envelope());
            }
        }
    }
}

fn data(out: &mut Vec<u8>, data: &str) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// A chunk with `baton` beside OpenAI's fields.
fn extended(out: &mut Vec<u8>, chunk: &str, extras: &Extras<'_>) {
    match (chunk.strip_suffix('}'), serde_json::to_string(extras)) {
        (Some(open), Ok(extras)) => data(out, &format!("{open},\"baton\":{extras}}}")),
        _ => data(out, chunk),
    }
}

/// Blocks as a stream would have brought them.
fn deltas(content: Vec<Block>) -> impl Iterator<Item = Delta> {
    let mut calls = 0;
    content.into_iter().filter_map(move |block| match block {
        Block::Text(text) => Some(Delta::Text(text)),
        Block::ToolUse { id, name, arguments } => {
            calls += 1;
            Some(Delta::ToolUse { index: calls - 1, id: Some(id), name: Some(name), arguments })
        }
        _ => None,
    })
}
