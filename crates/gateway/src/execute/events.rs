//! The events of a streamed `execute`.

use baton_core::{ExecutionId, ModelId};
use baton_engine::LogEvent;
use baton_wire::Delta;
use serde::Serialize;

use crate::error::Problem;
use crate::stream::{Frames, event};

pub(super) struct Writer {
    execution: ExecutionId,
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
    pub(super) fn new(execution: ExecutionId) -> Self {
        Self { execution }
    }
}

impl Frames for Writer {
    fn write(&mut self, said: LogEvent, out: &mut Vec<u8>) {
        match said {
            LogEvent::Start { model } => {
                event(out, Some("start"), &Start { execution_id: self.execution, model: &model });
            }
            LogEvent::Delta(Delta::Text(text)) => event(out, Some("delta"), &Piece { text: &text }),
            // The rest of an answer stands in its end.
            LogEvent::Delta(_) => {}
            LogEvent::End(delivered) => event(out, Some("end"), &delivered.answer),
            LogEvent::Error(failure) => {
                let problem = Problem::of(self.execution, (*failure).clone());
                event(out, Some("error"), &problem.envelope());
            }
        }
    }
}
