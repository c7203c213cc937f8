//! From the pieces of a stream to the whole answer, counted for the commit point.

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
        let text = match &event {
            StreamEvent::Delta(Delta::Text(text) | Delta::Refusal(text)) => Some(text),
            StreamEvent::Delta(Delta::ToolUse { arguments, .. }) => Some(arguments),
            _ => None,
        };
        if let Some(text) = text {
            self.chunks = self.chunks.saturating_add(1);
            self.bytes = self.bytes.saturating_add(text.len() as u64);
        }
        let ended = matches!(event, StreamEvent::End { .. });
        self.collector.push(event);
        if ended { self.collector.clone().finish() } else { None }
    }

    /// The text so far.
    pub(crate) fn text(&self) -> String {
        self.collector.text().to_owned()
    }
}
