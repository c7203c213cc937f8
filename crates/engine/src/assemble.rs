//! From the pieces of a stream to the whole answer, and how much of it arrived.

use baton_core::Usage;
use baton_wire::{Block, Collector, Completion, Delta, StreamEvent};

/// What arrived so far.
#[derive(Default)]
pub(crate) struct Assembly {
    collector: Collector,
    /// Pieces of text, tools or refusals.
    pub(crate) chunks: u32,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Pieces of anything that the model wrote: thinking too, and parts that its vendor alone knows.
    /// Comments, empty chunks and fields about the stream are none: they show no progress.
    pub(crate) pieces: u32,
    /// Their bytes.
    pub(crate) read: u64,
    chars: usize,
    usage: Option<Usage>,
}

impl Assembly {
    /// Takes a piece; gives the whole at the end.
    pub(crate) fn take(&mut self, event: StreamEvent) -> Option<Completion> {
        let ended = matches!(event, StreamEvent::End { .. });
        match &event {
            StreamEvent::Delta(delta) => self.note(delta),
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Start { .. } | StreamEvent::End { .. } => {}
        }
        self.collector.push(event);
        if ended { std::mem::take(&mut self.collector).finish() } else { None }
    }

    fn note(&mut self, delta: &Delta) {
        let text = match delta {
            Delta::Text(text) | Delta::Refusal(text) | Delta::ToolUse { arguments: text, .. } => text,
            Delta::Thinking(text) => return self.wrote(text.len(), text.chars().count()),
            Delta::Opaque(fields) => {
                let part = fields.get("choices").and_then(|choices| choices.get(0)?.get("delta"));
                let bytes = part.map(|part| part.to_string().len());
                return bytes.into_iter().for_each(|bytes| self.wrote(bytes, 0));
            }
        };
        self.chunks = self.chunks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        self.wrote(text.len(), text.chars().count());
    }

    fn wrote(&mut self, bytes: usize, chars: usize) {
        self.pieces = self.pieces.saturating_add(1);
        self.read = self.read.saturating_add(bytes as u64);
        self.chars = self.chars.saturating_add(chars);
    }

    /// The usage that was reported, where the stream broke after it.
    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Characters that the model wrote so far, thinking and tool calls included.
    pub(crate) fn chars(&self) -> usize {
        self.chars
    }
}

/// Likewise, of a whole answer.
pub(crate) fn chars_of(content: &[Block]) -> usize {
    let of = |block: &Block| match block {
        Block::Text(text) | Block::Refusal(text) | Block::Thinking { text, .. } => text.chars().count(),
        Block::ToolUse { arguments, .. } => arguments.chars().count(),
        Block::ToolResult { .. } | Block::Opaque(_) => 0,
    };
    content.iter().map(of).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn fields(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn what_is_about_the_stream_is_no_progress() {
        let mut assembly = Assembly::default();
        for opaque in [json!({ "provider": "x" }), json!({ "choices": [{ "logprobs": { "content": [] } }] })] {
            assembly.take(StreamEvent::Delta(Delta::Opaque(fields(opaque))));
        }
        assert_eq!((assembly.pieces, assembly.read), (0, 0));
        assembly.take(StreamEvent::Delta(Delta::Thinking("hm".into())));
        let audio = json!({ "choices": [{ "delta": { "audio": "aGk=" } }] });
        assembly.take(StreamEvent::Delta(Delta::Opaque(fields(audio))));
        assert_eq!((assembly.pieces, assembly.chunks, assembly.chars()), (2, 0, 2));
        assembly.take(StreamEvent::Delta(Delta::Text("größer".into())));
        assert_eq!((assembly.pieces, assembly.chunks, assembly.bytes, assembly.chars()), (3, 1, 8, 8));
    }
}
