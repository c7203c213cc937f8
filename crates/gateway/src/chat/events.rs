//! The chunks of a streamed chat completion.

use std::sync::Arc;

use baton_config::{IntentKind, Plan};
use baton_core::ExecutionId;
use baton_engine::{Delivered, LogEvent};
use baton_wire::openai::StreamEncoder;
use baton_wire::{Block, Delta, StreamEvent};
use serde_json::{Map, json};

use super::answer::{Extras, content, id, model, now};
use crate::error::Problem;
use crate::stream::{Frames, event};

pub(super) struct Writer {
    execution: ExecutionId,
    plan: Option<Arc<Plan>>,
    encoder: StreamEncoder,
    started: bool,
}

impl Writer {
    /// `usage`: whether tokens were asked for.
    pub(super) fn new(execution: ExecutionId, plan: Option<Arc<Plan>>, usage: bool) -> Self {
        Self { execution, plan, encoder: StreamEncoder::new(now(), usage), started: false }
    }

    /// Whether the text is given whole at the end: what was checked is the output, not its pieces.
    fn gathers(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.kind != IntentKind::Generation && !plan.stream_unverified)
    }

    fn put(&mut self, event: &StreamEvent, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.encoder.encode(event));
    }

    fn start(&mut self, model: String, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let id = id(self.execution);
            self.put(&StreamEvent::Start { id, model }, out);
        }
    }

    fn end(&mut self, delivered: &Delivered, out: &mut Vec<u8>) {
        let answer = &delivered.answer;
        self.start(model(answer), out);
        if self.gathers() {
            for delta in deltas(content(delivered, self.plan.as_deref())) {
                self.put(&StreamEvent::Delta(delta), out);
            }
        }
        // Beside a choice that says nothing: clients look for one in every chunk.
        let extras = Map::from_iter([("choices".into(), json!([{}])), ("baton".into(), json!(Extras::of(answer)))]);
        self.put(&StreamEvent::Delta(Delta::Opaque(extras)), out);
        self.put(&StreamEvent::Usage(answer.usage), out);
        self.put(&StreamEvent::End { finish: delivered.finish.clone() }, out);
    }
}

impl Frames for Writer {
    fn write(&mut self, said: LogEvent, out: &mut Vec<u8>) {
        match said {
            LogEvent::Start { model } => self.start(model.to_string(), out),
            LogEvent::Delta(_) if self.gathers() => {}
            LogEvent::Delta(delta) => self.put(&StreamEvent::Delta(delta), out),
            LogEvent::End(delivered) => self.end(&delivered, out),
            LogEvent::Error(failure) => {
                event(out, None, &Problem::of(self.execution, (*failure).clone()).openai_envelope());
            }
        }
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
