//! An attempt at `local`: what it says is known at once.

use std::sync::Arc;

use baton_core::{Disposition, Event, Usage, verdict};
use baton_wire::{Block, FinishReason};
use serde_json::{Map, json};

use super::{Drive, Given};
use crate::intent::{Intent, read_of};

impl Drive<'_> {
    pub(super) fn ask_local(&mut self, number: usize) -> Event {
        let of_scope = |intent: &Arc<Intent>| {
            let learnt = self.engine.locals.of(&intent.plan, &self.request.scope);
            Some((Arc::clone(intent), learnt.or_else(|| intent.local.clone())?))
        };
        let Some((intent, model)) = self.request.intent.as_ref().and_then(of_scope) else {
            let why = "it has no cases of two labels to learn from".into();
            return self.failed(number, Disposition::Abstained, why);
        };
        let prediction = model.predict(&read_of(&intent.plan, &self.request.input));
        self.settle(number, Usage::default());
        if prediction.abstained {
            let why = if model.cut() > 1.0 {
                "its cases do not support the promised quality at any cut yet".to_owned()
            } else {
                format!("{:.2} < {:.2}", prediction.confidence, model.cut())
            };
            return self.failed(number, Disposition::Abstained, why);
        }
        let output = json!({ "label": prediction.label });
        let checks = intent.checks.judge_output(&output, &self.request.input);
        let said = verdict(&checks);
        self.record(number).checks = checks;
        let given = Given {
            content: vec![Block::Text(prediction.label)],
            output,
            finish: FinishReason::Stop,
            repairs: Vec::new(),
            simulated: false,
            extra: Map::new(),
            quality: None,
            sure: Some(format!("local is {:.2} sure; it answers from {:.2} on", prediction.confidence, model.cut())),
        };
        self.answered(number, given, said)
    }
}
