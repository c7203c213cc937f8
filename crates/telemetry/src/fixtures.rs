//! A record for the tests, with words in it that must not leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_config::{Durability, ServerSpec, Snapshot, StoreSpec};
use baton_core::{
    AttemptKind, AttemptOutcome, AttemptRecord, CheckResult, ExecutionId, NanoUsd, ProviderResponse, Quality, Record,
    Sampler, Severity, Status, Trace, Usage, Via,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::json;

use crate::house::{House, Rooms};

/// What a person and a model said.
pub(crate) const CONTENT: [&str; 2] = ["my-input-words", "my-output-words"];
/// What nobody may read.
pub(crate) const SECRETS: [&str; 2] = ["s3cret-metadata", "s3cret-subject"];
/// The wall clock of it all, Unix microseconds.
pub(crate) const START_US: i64 = 1_767_225_600_000_000;

pub(crate) fn record() -> Record {
    let execution = ExecutionId::new(1_767_225_600_000, [7; 10]);
    Record {
        execution,
        intent: Some("sort".into()),
        key: None,
        idempotency: None,
        team: "default".into(),
        partition: Vec::new(),
        version: "abcd1234".into(),
        answer_hash: String::new(),
        lineage: String::new(),
        started_at_us: START_US,
        duration_us: 900_000,
        overhead_us: 120,
        first_token_us: Some(300_000),
        deadline_us: 2_000_000,
        status: Status::Succeeded,
        via: Some(Via::Model),
        model: Some("sim/a".into()),
        reason: Some("first in the intent's order".into()),
        route: None,
        error: None,
        usage: Usage::default(),
        cost: NanoUsd(1500),
        cost_known: true,
        attempts: vec![attempt("sim/a", AttemptKind::Primary, AttemptOutcome::Passed)],
        quality: Quality::unknown(0, 30),
        repairs: Vec::new(),
        stream: true,
        simulated: false,
        source: None,
        saved: None,
        semantic: None,
        parent: None,
        judged: None,
        metadata: BTreeMap::from([("customer".into(), SECRETS[0].into())]),
        session: Some("session-1".into()),
        subject: Some(SECRETS[1].into()),
        trace: Some(Trace::begin(execution, None, Sampler::new(1.0, true))),
        review: None,
        content_dropped: false,
        redacted: false,
        erased_at_us: None,
        input: Some(json!({ "text": CONTENT[0] })),
        output: Some(json!({ "text": CONTENT[1] })),
    }
}

pub(crate) fn attempt(model: &str, kind: AttemptKind, outcome: AttemptOutcome) -> AttemptRecord {
    let answered = outcome == AttemptOutcome::Passed;
    AttemptRecord {
        model: model.into(),
        key: None,
        kind,
        outcome,
        start_us: 100_000,
        queued_us: 0,
        duration_us: 700_000,
        first_token_us: answered.then_some(200_000),
        usage: answered.then_some(Usage {
            input_tokens: 120,
            output_tokens: 11,
            cached_tokens: 20,
            ..Usage::default()
        }),
        cost: answered.then_some(NanoUsd(1500)),
        error: None,
        checks: Vec::new(),
        judged: None,
        batch: None,
        response: answered.then(|| ProviderResponse {
            id: "chatcmpl-1".into(),
            model: "a-2026".into(),
            finish: "stop".into(),
        }),
        simulated: false,
    }
}

pub(crate) fn check(name: &str, passed: bool) -> CheckResult {
    let reason = (!passed).then(|| format!("“{}” is not in the input", CONTENT[1]));
    CheckResult { check: name.into(), severity: Severity::Gate, passed, score: None, reason }
}

/// A house that knows nothing but the built-in address of one provider.
pub(crate) fn rooms() -> Rooms {
    house().look()
}

pub(crate) fn house() -> House {
    let snapshot = Arc::new(Snapshot {
        intents: BTreeMap::new(),
        models: Vec::new(),
        aliases: BTreeMap::new(),
        providers: BTreeMap::new(),
        teams: BTreeMap::new(),
        store: StoreSpec { dir: "/nowhere".into(), durability: Durability::Process },
        server: ServerSpec { max_running: 1, queue_max: 1 },
        webhooks: Vec::new(),
        settings: serde_json::Map::new(),
    });
    let address = |kind: &str| match kind {
        "openai" => Some("https://api.openai.com/v1"),
        "xai" => Some("https://api.x.ai/v1"),
        _ => None,
    };
    House { snapshot: Arc::new(move || Arc::clone(&snapshot)), address }
}

/// The value of an attribute, as text; empty where there is none.
pub(crate) fn shown(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|pair| pair.key == key).and_then(|pair| pair.value.clone()?.value);
    match found {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => format!("{number:?}"),
        Some(Value::BoolValue(set)) => set.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}
