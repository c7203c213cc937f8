//! How an execution ended, before it is recorded and told.

use baton_core::{ExecutionId, Failure, ModelId, NanoUsd, Quality, Status, Via};
use baton_wire::{Block, FinishReason};
use serde_json::{Map, Value};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) status: Status,
    pub(crate) via: Option<Via>,
    pub(crate) model: Option<ModelId>,
    pub(crate) output: Value,
    pub(crate) tool_calls: Vec<Value>,
    pub(crate) content: Vec<Block>,
    pub(crate) finish: FinishReason,
    pub(crate) extra: Map<String, Value>,
    pub(crate) reason: Option<String>,
    pub(crate) repairs: Vec<String>,
    pub(crate) simulated: bool,
    pub(crate) verified: bool,
    /// What is known of the answer's quality; `None` where no model was asked.
    pub(crate) quality: Option<Quality>,
    /// The execution that the answer comes from, where it is another.
    pub(crate) source: Option<ExecutionId>,
    /// What it cost when it was given, where it was remembered and that is known.
    pub(crate) saved: Option<NanoUsd>,
    pub(crate) error: Option<Failure>,
    /// An answer that a gate held back: the place of its attempt, and the answer.
    pub(crate) rejected: Option<(usize, Value)>,
    /// Whether text was already given to the readers.
    pub(crate) released: bool,
}

impl Default for Outcome {
    fn default() -> Self {
        Self {
            status: Status::Failed,
            via: None,
            model: None,
            output: Value::Null,
            tool_calls: Vec::new(),
            content: Vec::new(),
            finish: FinishReason::Stop,
            extra: Map::new(),
            reason: None,
            repairs: Vec::new(),
            simulated: false,
            verified: false,
            quality: None,
            source: None,
            saved: None,
            error: None,
            rejected: None,
            released: false,
        }
    }
}

impl Outcome {
    /// A typed error.
    pub(crate) fn failed(error: Failure) -> Self {
        Self { error: Some(error), ..Self::default() }
    }

    /// A typed error after the first bytes were given.
    pub(crate) fn broken(error: Failure) -> Self {
        Self { status: Status::Interrupted, released: true, ..Self::failed(error) }
    }

    /// Nobody waits.
    pub(crate) fn cancelled() -> Self {
        Self { status: Status::Cancelled, ..Self::default() }
    }

    /// All text of the answer.
    pub(crate) fn text(&self) -> String {
        self.content.iter().filter_map(|b| if let Block::Text(t) = b { Some(t.as_str()) } else { None }).collect()
    }
}
