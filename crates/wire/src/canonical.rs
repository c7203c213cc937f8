//! The canonical form that every wire format converts to and from.
//!
//! Shaped so that Anthropic's content blocks, tool use and structured output fit without change.

use baton_core::Usage;
use serde_json::{Map, Value};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions (`system` and `developer`).
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

/// A piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text.
    Text(String),
    /// The model asks for a tool to be run. `arguments` is JSON as the model wrote it.
    ToolUse {
        /// The call's id.
        id: String,
        /// The tool.
        name: String,
        /// JSON text, not parsed: it is the caller's to judge.
        arguments: String,
    },
    /// What a tool gave.
    ToolResult {
        /// The call that it answers.
        id: String,
        /// Its result, as text.
        content: String,
    },
    /// The model's reasoning, with the signature that the provider wants back.
    Thinking {
        /// The text.
        text: String,
        /// The provider's signature.
        signature: Option<String>,
    },
    /// The model declines.
    Refusal(String),
    /// Anything else, kept as it came (images, audio, documents).
    Opaque(Value),
}

/// One turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What.
    pub content: Vec<Block>,
    /// Fields that the canonical form does not know, kept as they came.
    pub extra: Map<String, Value>,
}

impl Message {
    /// A turn of plain text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, content: vec![Block::Text(text.into())], extra: Map::new() }
    }
}

/// How the model should write.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// 0 to 2.
    pub temperature: Option<f64>,
    /// 0 to 1.
    pub top_p: Option<f64>,
    /// The most tokens to write.
    pub max_tokens: Option<u64>,
    /// Where to stop.
    pub stop: Vec<String>,
    /// For repeatable sampling, where the provider has it.
    pub seed: Option<i64>,
}

/// A tool that the model may ask for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// JSON Schema of its arguments.
    pub parameters: Value,
    /// Fields that the canonical form does not know.
    pub extra: Map<String, Value>,
}

/// The form of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ResponseFormat {
    /// Text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON of this schema.
    Schema {
        /// A name for it.
        name: String,
        /// JSON Schema.
        schema: Value,
    },
}

/// A request for one completion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatRequest {
    /// The model's name, as the provider knows it.
    pub model: String,
    /// The conversation.
    pub messages: Vec<Message>,
    /// How to write.
    pub params: Params,
    /// Tools that may be asked for.
    pub tools: Vec<Tool>,
    /// Which tool must be used, as it came.
    pub tool_choice: Option<Value>,
    /// The form of the answer.
    pub response_format: ResponseFormat,
    /// Whether to answer as a stream.
    pub stream: bool,
    /// Fields that the canonical form does not know, kept as they came.
    pub extra: Map<String, Value>,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It was done.
    Stop,
    /// It ran into `max_tokens`: the answer is cut off.
    Length,
    /// It asks for tools.
    ToolUse,
    /// The provider withheld the answer.
    ContentFilter,
    /// Something else, as it came.
    Other(String),
}

impl FinishReason {
    /// The name, as OpenAI's API has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolUse => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(name) => name,
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The provider's id for it.
    pub id: String,
    /// The model that answered, as the provider names it.
    pub model: String,
    /// What it wrote.
    pub content: Vec<Block>,
    /// Why it stopped.
    pub finish: FinishReason,
    /// Tokens, where reported.
    pub usage: Option<Usage>,
    /// What the canonical form does not know, nested as it came in the provider's own document.
    pub extra: Map<String, Value>,
}

impl Completion {
    /// All text, joined.
    #[must_use]
    pub fn text(&self) -> String {
        self.content.iter().filter_map(|b| if let Block::Text(t) = b { Some(t.as_str()) } else { None }).collect()
    }
}

/// A piece of an answer as it arrives.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// Text.
    Text(String),
    /// Reasoning.
    Thinking(String),
    /// A piece of a refusal.
    Refusal(String),
    /// A piece of a tool call.
    ToolUse {
        /// Which call of this answer.
        index: usize,
        /// The call's id, with its first piece.
        id: Option<String>,
        /// The tool, with its first piece.
        name: Option<String>,
        /// A piece of the arguments' JSON text.
        arguments: String,
    },
    /// What the canonical form does not know, nested as it came in the provider's own chunk.
    Opaque(Map<String, Value>),
}

/// What a stream decoder emits: one `Start`, deltas, at most one `Usage`, one `End`. A stream that
/// ends without `End` is broken.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// The answer begins.
    Start {
        /// The provider's id for it.
        id: String,
        /// The model that answers.
        model: String,
    },
    /// A piece.
    Delta(Delta),
    /// Tokens.
    Usage(Usage),
    /// The answer is complete.
    End {
        /// Why the model stopped.
        finish: FinishReason,
    },
}
