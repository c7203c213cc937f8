//! The events of a streamed `execute`.

use std::sync::Arc;

use baton_config::Plan;
use baton_core::{ExecutionId, ModelId};
use baton_engine::LogEvent;
use baton_wire::{Block, Delta};
use serde::Serialize;

use crate::error::Problem;
use crate::stream::{Frames, event, gathers};

pub(super) struct Writer {
    execution: ExecutionId,
    plan: Option<Arc<Plan>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    execution_id: ExecutionId,
    model: &'a ModelId,
}

#[derive(Serialize)]
struct Piece<'a> {
    text: &'a str,
}

impl Writer {
    pub(super) fn new(execution: ExecutionId, plan: Option<Arc<Plan>>) -> Self {
        Self { execution, plan }
    }

    /// The plan of an intent whose text is given whole.
    fn gathering(&self) -> Option<&Plan> {
        self.plan.as_deref().filter(|plan| gathers(plan))
    }
}

impl Frames for Writer {
    fn write(&mut self, said: LogEvent, out: &mut Vec<u8>) {
        match said {
            LogEvent::Start { model } => {
                event(out, Some("start"), &Start { execution_id: self.execution, model: &model });
            }
            LogEvent::Delta(_) if self.gathering().is_some() => {}
            LogEvent::Delta(Delta::Text(text)) => event(out, Some("delta"), &Piece { text: &text }),
            // The rest of an answer stands in its end.
            LogEvent::Delta(_) => {}
            LogEvent::End(delivered) => {
                let checked = self.gathering().map(|plan| delivered.checked(&plan.kind)).unwrap_or_default();
                for block in &checked {
                    if let Block::Text(text) = block {
                        event(out, Some("delta"), &Piece { text });
                    }
                }
                event(out, Some("end"), &delivered.answer);
            }
            LogEvent::Error(failure) => {
                let problem = Problem::of(self.execution, (*failure).clone());
                event(out, Some("error"), &problem.envelope());
            }
        }
    }
}
