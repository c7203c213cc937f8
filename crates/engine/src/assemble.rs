//! From the pieces of a stream to the whole answer, and how much of it arrived.

use baton_wire::{Collector, Completion, Delta, StreamEvent};

/// What arrived so far.
#[derive(Default)]
pub(crate) struct Assembly {
    collector: Collector,
    /// Pieces of text, tools or refusals.
    pub(crate) chunks: u32,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Assembly {
    /// Takes a piece; gives the whole at the end.
    pub(crate) fn take(&mut self, event: StreamEvent) -> Option<Completion> {
        let ended = matches!(event, StreamEvent::End { .. });
        if let StreamEvent::Delta(delta) = &event {
            let bytes = match delta {
                Delta::Text(text) | Delta::Refusal(text) | Delta::ToolUse { arguments: text, .. } => Some(text.len()),
                Delta::Thinking(_) | Delta::Opaque(_) => None,
            };
            if let Some(bytes) = bytes {
                self.chunks = self.chunks.saturating_add(1);
                self.bytes = self.bytes.saturating_add(bytes as u64);
            }
        }
        self.collector.push(event);
        if ended { std::mem::take(&mut self.collector).finish() } else { None }
    }

    /// The text so far.
    pub(crate) fn text(&self) -> &str {
        self.collector.text()
    }
}
