//! The OpenAPI document: checked in, and true to the types that it describes.

use baton_core::{
    Answer, AnswerAttempt, AnswerBatch, AnswerLatency, AttemptKind, AttemptOutcome, CallConfig, ExecutionId, JobId,
    LabelSource, Quality, ReviewState, Usage, Via,
};
use baton_engine::{
    Agreement, BatchView, Content, CriterionView, IntentReviews, ItemResult, JobInput, JobView, LabelView, ReviewStats,
    ReviewView, ReviewerStats, Within,
};
use serde_json::{Value, json};

use crate::house::Guest;

#[tokio::test]
async fn the_document_is_the_one_that_is_checked_in() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/openapi.json");
    let written = format!("{}\n", baton_gateway::openapi().to_pretty_json().unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(written, golden, "run the test again with UPDATE_GOLDEN=1, and look at the difference");
    let served: Value = Guest::new().get("/openapi.json").await.json();
    assert_eq!(served, serde_json::from_str::<Value>(&golden).unwrap());
    assert!(served["openapi"].as_str().unwrap().starts_with("3.1"));
}

fn document() -> Value {
    serde_json::to_value(baton_gateway::openapi()).unwrap()
}

/// Every field of the value is in the schema, and every required one of the schema is in the value.
#[track_caller]
fn describes(document: &Value, schema: &str, value: &Value) {
    let schema = &document["components"]["schemas"][schema];
    let known = schema["properties"].as_object().unwrap_or_else(|| panic!("{schema}"));
    let value = value.as_object().unwrap();
    for field in value.keys() {
        assert!(known.contains_key(field), "{field} is not in {schema}");
    }
    assert_eq!(known.len(), value.len(), "a full value has every field: {schema} {value:?}");
}

#[track_caller]
fn requires(document: &Value, schema: &str, value: &Value) {
    let required = document["components"]["schemas"][schema]["required"].as_array().cloned().unwrap_or_default();
    for field in &required {
        assert!(value.get(field.as_str().unwrap()).is_some(), "{field} of {schema} is not in {value}");
    }
    assert_eq!(required.len(), value.as_object().unwrap().len(), "a bare value has only what is required: {value}");
}

fn full() -> Answer {
    let quality = Quality {
        score: Some(0.9),
        lower: Some(0.8),
        basis: "checks".into(),
        labels: 7,
        needed: Some(9),
        verified: true,
    };
    let usage = Usage {
        input_tokens: 1,
        output_tokens: 1,
        cached_tokens: 1,
        cache_write_tokens: 1,
        cache_write_1h_tokens: 1,
        reasoning_tokens: 1,
        estimated: true,
    };
    let attempt = AnswerAttempt {
        model: "a/b".into(),
        key: Some(1),
        kind: AttemptKind::Primary,
        outcome: AttemptOutcome::Passed,
        queued_ms: Some(1.0),
        ms: 1.0,
        judged_ms: Some(1.0),
        batch: Some(AnswerBatch {
            id: "x".into(),
            items: 1,
            alone: Some("x".into()),
            tokens_saved: 1,
            saved_usd: Some("1".into()),
        }),
        error: Some("x".into()),
    };
    Answer {
        execution_id: ExecutionId::new(0, [0; 10]),
        intent: Some("x".into()),
        version: "v".into(),
        output: json!({}),
        tool_calls: vec![json!({})],
        quality,
        via: Via::CacheSemantic,
        model: Some("a/b".into()),
        reason: Some("x".into()),
        repairs: vec!["x".into()],
        usage,
        cost_usd: Some("1".into()),
        latency: AnswerLatency { total_ms: 1.0, overhead_ms: 1.0, first_token_ms: Some(1.0) },
        attempts: vec![attempt],
        simulated: true,
    }
}

#[test]
fn the_schemas_of_cores_types_have_cores_fields() {
    let document = document();
    let answer = json!(full());
    describes(&document, "Answer", &answer);
    for (schema, field) in [("Quality", "quality"), ("Usage", "usage"), ("Latency", "latency")] {
        describes(&document, schema, &answer[field]);
    }
    describes(&document, "Attempt", &answer["attempts"][0]);
    let config = CallConfig {
        primary_model: Some("a".into()),
        fallback_model: Some("b".into()),
        models: Some(vec![]),
        cache_ttl: Some(1),
        max_latency_ms: Some(1),
        retries: Some(1),
        semantic_error_max: Some(0.01),
    };
    describes(&document, "CallConfig", &json!(config));
    requires(&document, "CallConfig", &json!(CallConfig::default()));
    let vias = document["components"]["schemas"]["Via"]["enum"].as_array().unwrap();
    let known = [Via::Model, Via::CacheExact, Via::CacheSemantic, Via::Coalesced, Via::Stale, Via::Default];
    assert_eq!(*vias, known.map(|via| json!(via)));
}

#[test]
fn what_may_be_absent_is_not_required() {
    let document = document();
    let bare = Answer {
        intent: None,
        tool_calls: vec![],
        quality: Quality { score: None, lower: None, basis: "none".into(), labels: 0, needed: None, verified: false },
        model: None,
        reason: None,
        repairs: vec![],
        usage: Usage::default(),
        cost_usd: None,
        latency: AnswerLatency { total_ms: 1.0, overhead_ms: 1.0, first_token_ms: None },
        version: String::new(),
        ..full()
    };
    let answer = json!(bare);
    requires(&document, "Answer", &answer);
    for (schema, field) in [("Quality", "quality"), ("Usage", "usage"), ("Latency", "latency")] {
        requires(&document, schema, &answer[field]);
    }
}

/// An item, and figures, with everything that may be there.
fn reviewed() -> (Value, Value) {
    let label = LabelView {
        reviewer: "ann".into(),
        at_ms: 1,
        source: LabelSource::Review,
        pass: false,
        criteria: [("tone".to_owned(), false)].into(),
        correction: Some(json!({})),
        comment: Some("x".into()),
    };
    let criterion = CriterionView { id: "tone".into(), ask: "x?".into(), guideline: Some("x".into()) };
    let view = ReviewView {
        execution_id: ExecutionId::new(0, [0; 10]),
        intent: "x".into(),
        version: "v".into(),
        started_at_ms: 1,
        state: ReviewState::Open,
        via: Some(Via::Model),
        probability: Some(0.5),
        rejected: true,
        held_until_ms: Some(1),
        content: Some(Content::Stored),
        input: Some(json!({})),
        output: Some(json!({})),
        criteria: vec![criterion],
        labels: vec![label],
    };
    let intent = IntentReviews { criteria: [("tone".to_owned(), Agreement::default())].into(), ..Default::default() };
    let stats = ReviewStats {
        items: 1,
        intents: [("x".to_owned(), intent)].into(),
        reviewers: [("ann".to_owned(), ReviewerStats::default())].into(),
    };
    (json!(view), json!(stats))
}

#[test]
fn the_schemas_of_reviews_have_their_fields() {
    let document = document();
    let (view, stats) = reviewed();
    describes(&document, "Review", &view);
    describes(&document, "Criterion", &view["criteria"][0]);
    describes(&document, "Label", &view["labels"][0]);
    describes(&document, "ReviewStats", &stats);
    describes(&document, "IntentReviews", &stats["intents"]["x"]);
    describes(&document, "Agreement", &stats["intents"]["x"]["agreement"]);
    describes(&document, "ReviewerStats", &stats["reviewers"]["ann"]);
    let bare: ReviewView = serde_json::from_value(json!({
        "executionId": view["executionId"], "intent": "x", "version": "v", "startedAtMs": 1, "state": "open",
        "criteria": [], "labels": [],
    }))
    .unwrap();
    requires(&document, "Review", &json!(bare));
}

#[test]
fn jobs_are_described_as_they_are() {
    let batch =
        BatchView { model: "m".into(), batch: Some("b".into()), status: "over", told: Some("completed".into()) };
    let view = JobView {
        id: JobId::new(1, [1; 10]),
        intent: "classify".into(),
        status: "running",
        created_at_ms: 1,
        ended_at_ms: Some(2),
        items: 3,
        succeeded: 1,
        failed: 1,
        waiting: 1,
        cost_usd: Some("0.1".into()),
        waits: Some("a budget".into()),
        within: Some(Within::Day),
        batches: vec![batch.clone()],
    };
    let item = JobInput {
        input: json!("x"),
        id: Some("x".into()),
        metadata: [("a".into(), "b".into())].into(),
        subject: Some("anna".into()),
    };
    let answer = full();
    let result = ItemResult {
        place: 0,
        id: Some("x"),
        status: "failed",
        erased_at_ms: Some(1),
        answer: Some(&answer),
        error: Some(json!({"a": 1})),
    };
    let document = document();
    describes(&document, "Job", &serde_json::to_value(&view).unwrap());
    describes(&document, "ProviderBatch", &serde_json::to_value(&batch).unwrap());
    describes(&document, "Item", &serde_json::to_value(&item).unwrap());
    describes(&document, "ItemResult", &serde_json::to_value(&result).unwrap());
    let bare = JobView { ended_at_ms: None, waits: None, within: None, batches: Vec::new(), ..view };
    requires(&document, "Job", &serde_json::to_value(&bare).unwrap());
    let bare = BatchView { batch: None, told: None, ..batch };
    requires(&document, "ProviderBatch", &serde_json::to_value(&bare).unwrap());
    let bare = JobInput { id: None, metadata: Default::default(), subject: None, ..item };
    requires(&document, "Item", &serde_json::to_value(&bare).unwrap());
    let bare = ItemResult { id: None, erased_at_ms: None, answer: None, error: None, ..result };
    requires(&document, "ItemResult", &serde_json::to_value(&bare).unwrap());
}
