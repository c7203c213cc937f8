//! Plans with nothing in them but what the checks read.

use std::sync::Arc;
use std::time::Duration;

use baton_config::{
    CacheSpec, CheckKind, CheckSpec, Hashes, IntentKind, LocalSpec, Objective, OnExhausted, Plan, Privacy, Prompt,
    Route, Schema, StoreContent,
};
use baton_core::{IntentName, SERVER_CEILINGS, Severity, Unproven};
use serde_json::{Map, Value, json};

pub(crate) fn plan(kind: IntentKind, schema: Option<Value>, checks: Vec<CheckSpec>) -> Plan {
    Plan {
        name: IntentName::new("test"),
        kind,
        hashes: Hashes { answer: String::new(), policy: String::new(), lineage: String::new() },
        candidates: Arc::from([]),
        ceilings: SERVER_CEILINGS,
        route: Route::default(),
        prompt: Prompt::compile(vec![]).unwrap(),
        input_schema: None,
        output_schema: schema.map(|json| Schema::compile(json).unwrap()),
        params: Map::new(),
        examples: vec![],
        objective: Objective { quality: 0.95, confidence: 0.9 },
        unproven: Unproven::Pass,
        on_exhausted: OnExhausted::Error,
        checks,
        criteria: Vec::new(),
        review: None,
        judge: None,
        cache: CacheSpec::default(),
        batch: None,
        allowance: baton_core::Allowance::default(),
        local: LocalSpec::default(),
        privacy: Privacy { store: StoreContent::Full, keep: Duration::from_secs(1) },
        stream_unverified: false,
        stream: baton_core::StreamLimits::default(),
        hedge_share: 0.0,
        cases: vec![],
    }
}

pub(crate) fn check(name: &str, field: Option<&str>, kind: CheckKind) -> CheckSpec {
    CheckSpec {
        name: name.into(),
        field: field.map(Into::into),
        kind,
        not: false,
        on_fail: Severity::Gate,
        weight: 1.0,
        threshold: 1.0,
    }
}

/// The fields of a receipt, as in the SROIE data.
#[allow(dead_code, reason = "the example shares this file with the tests")]
pub(crate) fn receipt(checks: Vec<CheckSpec>) -> Plan {
    let text = json!({ "type": ["string", "null"] });
    let schema = json!({
        "type": "object",
        "properties": { "company": text, "date": text, "address": text, "total": text },
        "required": ["company", "date", "total"],
        "additionalProperties": false
    });
    plan(IntentKind::Extraction, Some(schema), checks)
}
