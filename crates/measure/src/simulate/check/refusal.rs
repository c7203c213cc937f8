//! Refusals: a call that asks for what it may not is refused by name, before any model is asked; no
//! other call is.

use std::time::Duration;

use baton_core::{CallConfig, Ceilings, ErrorCode, ModelId, SERVER_CEILINGS};
use baton_engine::LogEvent;
use serde_json::Value;

use super::{Case, Verdict, View, hold};
use crate::simulate::intents::text_field;

const REFUSALS: [ErrorCode; 7] = [
    ErrorCode::UnknownIntent,
    ErrorCode::UnknownModel,
    ErrorCode::IntentNotAllowed,
    ErrorCode::OverrideNotPermitted,
    ErrorCode::InputInvalid,
    ErrorCode::JournalFull,
    ErrorCode::RateLimit,
];

pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    let expected = expected(view, case);
    let told = case.record.error.as_ref().map(|error| error.code);
    let refused = told.filter(|code| REFUSALS.contains(code));
    if let Some(code) = refused {
        hold!(case.exchanges.is_empty() || code == ErrorCode::JournalFull, "{code:?}, after a model was asked");
    }
    let left_at_once = case.seen.events.is_empty() && case.seen.left_us.is_some();
    match (&expected[..], refused) {
        ([], None) => Ok(()),
        ([], Some(ErrorCode::JournalFull)) => {
            let full = view.ran.world.journal.full.is_some();
            hold!(full, "journal_full, and the journal never was");
            Ok(())
        }
        // Whose limit it is is asked in `budget`.
        ([], Some(ErrorCode::RateLimit)) => Ok(()),
        // Without a schema the prompt decides whether it can be rendered.
        ([], Some(ErrorCode::InputInvalid)) if case.plan.is_some_and(|plan| plan.input_schema.is_none()) => Ok(()),
        ([], Some(code)) => Err(format!("refused as {code:?}, and nothing was wrong: {:?}", case.record.error)),
        (expected, Some(code)) => {
            hold!(expected.contains(&code), "refused as {code:?}, expected was {expected:?}");
            hold!(case.record.attempts.is_empty(), "refused, after attempts");
            let named =
                code == ErrorCode::UnknownIntent || case.record.error.as_ref().is_some_and(|e| e.param.is_some());
            hold!(named, "refused without naming the field");
            let at_once = case.seen.events.iter().all(|(_, event)| matches!(event, LogEvent::Error(_)));
            hold!(at_once, "refused, and text was given");
            Ok(())
        }
        (_, None) if left_at_once => Ok(()),
        (expected, None) => Err(format!("not refused ({told:?}), expected was one of {expected:?}")),
    }
}

/// Every reason to refuse this call.
fn expected(view: &View<'_>, case: &Case<'_>) -> Vec<ErrorCode> {
    let (ask, mut codes) = (&case.seen.ask, Vec::new());
    let config = &ask.config;
    let Some(name) = &ask.intent else {
        // Who is limited to intents may not go around them.
        if ask.allowed.is_some() {
            return vec![ErrorCode::IntentNotAllowed];
        }
        let model = ask.input["model"].as_str().unwrap_or_default();
        if !view.ran.world.aliases.contains_key(model) {
            codes.push(ErrorCode::UnknownModel);
        }
        // Who is limited to intents calls no models.
        if ask.allowed.is_some() {
            codes.push(ErrorCode::IntentNotAllowed);
        }
        codes.extend(over(config, &SERVER_CEILINGS, |_| false));
        return codes;
    };
    // A caller that is limited to intents learns of no others.
    let unknown = if ask.allowed.is_some() { ErrorCode::IntentNotAllowed } else { ErrorCode::UnknownIntent };
    let Some(plan) = case.plan else { return vec![unknown] };
    if ask.allowed.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
        codes.push(ErrorCode::IntentNotAllowed);
    }
    let known = |name: &String| {
        let id = view.ran.world.aliases.get(name).cloned().unwrap_or_else(|| ModelId::new(name));
        plan.candidates.iter().any(|candidate| candidate.id == id)
    };
    codes.extend(over(config, &plan.ceilings, known));
    let empty = config.models.as_ref().is_some_and(Vec::is_empty);
    let folder = view.ran.world.folders.get(name);
    let field = folder.map_or("", |folder| text_field(folder.kind));
    if empty || plan.input_schema.is_some() && !valid(&ask.input, field) {
        codes.push(ErrorCode::InputInvalid);
    }
    codes
}

/// Where the call asks for more than it may.
fn over(config: &CallConfig, ceilings: &Ceilings, known: impl Fn(&String) -> bool) -> Option<ErrorCode> {
    let mut names = config.models.iter().flatten().chain(&config.primary_model).chain(&config.fallback_model);
    let over = config.max_latency_ms.is_some_and(|ms| ms == 0 || u128::from(ms) > ceilings.latency.as_millis())
        || config.retries.is_some_and(|retries| retries > ceilings.retries)
        || config.cache_ttl.is_some_and(|ttl| Duration::from_secs(ttl) > ceilings.ttl)
        || config.semantic_error_max.is_some_and(|asked| asked > ceilings.semantic_error.unwrap_or(0.0))
        || !names.all(known);
    over.then_some(ErrorCode::OverrideNotPermitted)
}

/// What the input schemas of `intents.rs` say, in other words.
fn valid(input: &Value, field: &str) -> bool {
    let Some(fields) = input.as_object() else { return false };
    let text = fields.get(field).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let language = fields.get("language").is_none_or(Value::is_string);
    text && language && fields.keys().all(|key| key == field || key == "language")
}
