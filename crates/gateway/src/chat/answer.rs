//! A delivered answer as OpenAI's chat completion, with what Baton knows besides under `baton`.

use std::time::{SystemTime, UNIX_EPOCH};

use baton_config::Plan;
use baton_core::{Answer, AnswerAttempt, AnswerLatency, ExecutionId, IntentName, Quality, Via};
use baton_engine::Delivered;
use baton_wire::{Block, Completion, openai};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Map;

/// What an answer says that OpenAI's shape has no place for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Extras<'a> {
    execution_id: ExecutionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<&'a IntentName>,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    via: Via,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    quality: &'a Quality,
    cost_usd: Option<&'a str>,
    latency: &'a AnswerLatency,
    attempts: &'a [AnswerAttempt],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    repairs: &'a [String],
    simulated: bool,
}

impl<'a> Extras<'a> {
    pub(super) fn of(answer: &'a Answer) -> Self {
        Self {
            execution_id: answer.execution_id,
            intent: answer.intent.as_ref(),
            version: &answer.version,
            via: answer.via,
            reason: answer.reason.as_deref(),
            quality: &answer.quality,
            cost_usd: answer.cost_usd.as_deref(),
            latency: &answer.latency,
            attempts: &answer.attempts,
            repairs: &answer.repairs,
            simulated: answer.simulated,
        }
    }
}

/// OpenAI's envelope around what it does not know.
pub(super) struct Extended<'a> {
    completion: Completion,
    baton: Extras<'a>,
}

impl Serialize for Extended<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        openai::write_response(&self.completion, now(), &mut map)?;
        map.serialize_entry("baton", &self.baton)?;
        map.end()
    }
}

/// The body of a whole answer.
pub(super) fn completion<'a>(delivered: &'a Delivered, plan: Option<&Plan>) -> Extended<'a> {
    let answer = &delivered.answer;
    let completion = Completion {
        id: id(answer.execution_id),
        model: model(answer),
        content: content(delivered, plan),
        finish: delivered.finish.clone(),
        usage: Some(answer.usage),
        // Of a raw call, what its provider says besides.
        extra: if plan.is_none() { delivered.extra.clone() } else { Map::new() },
    };
    Extended { completion, baton: Extras::of(answer) }
}

/// What the model wrote; of an intent, what was checked.
pub(super) fn content(delivered: &Delivered, plan: Option<&Plan>) -> Vec<Block> {
    plan.map_or_else(|| delivered.content.clone(), |plan| delivered.checked(&plan.kind))
}

pub(super) fn id(execution: ExecutionId) -> String {
    format!("chatcmpl-{execution}")
}

/// Who answered; nobody did where the intent's default was given.
pub(super) fn model(answer: &Answer) -> String {
    answer.model.as_ref().map_or("default", |model| model.as_str()).to_owned()
}

/// Unix seconds.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
