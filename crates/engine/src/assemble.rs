//! From the pieces of a stream to the whole answer.

use baton_core::Usage;
use baton_wire::{Block, Completion, Delta, FinishReason, StreamEvent};

/// What arrived so far.
#[derive(Default)]
pub(crate) struct Assembly {
    id: String,
    model: String,
    text: String,
    thinking: String,
    refusal: String,
    tools: Vec<(String, String, String)>,
    usage: Option<Usage>,
    /// Pieces of text, tools or refusals.
    pub(crate) chunks: u32,
    /// Their bytes.
    pub(crate) bytes: u64,
}

impl Assembly {
    /// Takes a piece; gives the whole at the end.
    pub(crate) fn take(&mut self, event: StreamEvent) -> Option<Completion> {
        match event {
            StreamEvent::Start { id, model } => (self.id, self.model) = (id, model),
            StreamEvent::Usage(usage) => self.usage = Some(usage),
            StreamEvent::Delta(delta) => self.piece(delta),
            StreamEvent::End { finish } => return Some(self.whole(finish)),
        }
        None
    }

    fn piece(&mut self, delta: Delta) {
        let bytes = match delta {
            Delta::Text(text) => push(&mut self.text, &text),
            Delta::Thinking(text) => return self.thinking.push_str(&text),
            Delta::Refusal(text) => push(&mut self.refusal, &text),
            Delta::ToolUse { index, id, name, arguments } => {
                // A gap in the numbering is filled with nothing; the bound keeps nonsense small.
                let index = index.min(127);
                if self.tools.len() <= index {
                    self.tools.resize_with(index + 1, Default::default);
                }
                let tool = &mut self.tools[index];
                tool.0.push_str(&id.unwrap_or_default());
                tool.1.push_str(&name.unwrap_or_default());
                push(&mut tool.2, &arguments)
            }
        };
        self.chunks = self.chunks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// The text so far.
    pub(crate) fn text(&self) -> String {
        self.text.clone()
    }

    fn whole(&mut self, finish: FinishReason) -> Completion {
        let mut content = Vec::new();
        let thinking = std::mem::take(&mut self.thinking);
        if !thinking.is_empty() {
            content.push(Block::Thinking { text: thinking, signature: None });
        }
        if !self.text.is_empty() {
            content.push(Block::Text(self.text.clone()));
        }
        if !self.refusal.is_empty() {
            content.push(Block::Refusal(std::mem::take(&mut self.refusal)));
        }
        let tools = std::mem::take(&mut self.tools);
        content.extend(tools.into_iter().map(|(id, name, arguments)| Block::ToolUse { id, name, arguments }));
        Completion {
            id: std::mem::take(&mut self.id),
            model: std::mem::take(&mut self.model),
            content,
            finish,
            usage: self.usage,
        }
    }
}

fn push(text: &mut String, piece: &str) -> u64 {
    text.push_str(piece);
    piece.len() as u64
}
