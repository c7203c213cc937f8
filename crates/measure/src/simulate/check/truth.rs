//! Truth: what is given as a success passed its gates and is what the model said, whole; what is stale
//! or a default says so. Streams: one `End` or one `Error`, nothing after it, nothing missing.

use baton_config::{IntentKind, OnExhausted, Plan};
use baton_core::{AttemptOutcome, ErrorCode, Severity, Status, Via};
use baton_engine::{Delivered, LogEvent};
use baton_eval::Checks;
use baton_wire::{Block, Delta};
use serde_json::{Value, json};

use super::{Case, Verdict, View, hold, lanes, oracle};
use crate::simulate::intents::{FALSE, Kind, text_field};
use crate::simulate::tap::End;

pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    let Some(delivered) = case.delivered() else { return Ok(()) };
    let answer = &delivered.answer;
    hold!(answer.quality.score.is_none() && !answer.quality.verified, "a quality is claimed without evidence");
    let Some(plan) = case.plan else {
        hold!(answer.via == Via::Model, "a raw call was answered via {:?}", answer.via);
        return said(case, delivered, None);
    };
    hold!(answer.quality.needed.is_some_and(|needed| needed > 0), "it does not say how many labels are needed");
    match answer.via {
        Via::Default => {
            let default = matches!(&plan.on_exhausted, OnExhausted::Default(output) if *output == answer.output);
            hold!(default && answer.model.is_none(), "a default that is not the intent's: {}", answer.output);
        }
        Via::Stale => hold!(plan.on_exhausted == OnExhausted::Stale, "a stale answer that the intent does not allow"),
        Via::Model | Via::CacheExact | Via::Coalesced => {}
        Via::CacheSemantic => hold!(plan.cache.semantic.is_some(), "a semantic hit, where there is no semantic cache"),
    }
    if answer.via != Via::Default {
        gates(view, case, plan, &answer.output)?;
        let local = answer.model.as_ref().is_some_and(|model| model.as_str() == "local");
        hold!(answer.simulated != local, "simulated = {} of {:?}", answer.simulated, answer.model);
        hold!(plan.unproven != baton_core::Unproven::Fail, "given without evidence, against the intent's `unproven`");
    }
    match (&answer.model, answer.via) {
        (Some(model), Via::Model) if model.as_str() != "local" => said(case, delivered, Some(plan)),
        _ => Ok(()),
    }
}

/// The checks of the library once more, and simple ones that know nothing of it.
fn gates(view: &View<'_>, case: &Case<'_>, plan: &Plan, output: &Value) -> Verdict {
    let mut input = case.seen.ask.input.clone();
    if let Some(schema) = &plan.input_schema {
        input = schema.with_defaults(input);
    }
    let failed = Checks::compile(plan).judge_output(output, &input);
    let failed = failed.into_iter().find(|check| !check.passed && check.severity == Severity::Gate);
    hold!(failed.is_none(), "its gate `{}` fails: {output}", failed.map(|check| check.check).unwrap_or_default());
    let Some(folder) = view.ran.world.folders.get(plan.name.as_str()) else { return Ok(()) };
    let text = |field: &str| output[field].as_str().unwrap_or_default();
    match folder.kind {
        Kind::Classification => {
            hold!(["billing", "bug", "how-to"].contains(&text("label")), "no label: {output}");
        }
        Kind::Extraction => {
            let source = input[text_field(folder.kind)].as_str().unwrap_or_default();
            for field in ["company", "date", "total"] {
                hold!(output[field].is_string(), "{field} is missing: {output}");
                hold!(oracle::stands_in(text(field), source), "{field} = `{}` is not in the input", text(field));
            }
        }
        Kind::Generation => {
            hold!(!text("text").trim().is_empty(), "an empty text");
            let lie = FALSE.iter().find(|lie| folder.gated && text("text").contains(**lie));
            hold!(lie.is_none(), "its text says `{}`", lie.copied().unwrap_or_default());
        }
    }
    Ok(())
}

/// The answer is what the bytes say, and they say all of it.
fn said(case: &Case<'_>, delivered: &Delivered, plan: Option<&Plan>) -> Verdict {
    let exchanges = lanes::pairs((case.record, case.exchanges))?;
    let passed = exchanges.into_iter().find(|(attempt, _)| attempt.outcome == AttemptOutcome::Passed);
    let Some((_, exchange)) = passed else { return Err("a model's answer, and no model was asked".into()) };
    hold!(exchange.end != End::Failed, "the exchange broke, and was given as a success");
    let said = oracle::read(exchange);
    hold!(said.sound, "the bytes are broken, and were given as a success");
    hold!(said.finish.is_some(), "the model never finished, and its answer was given as a success");
    let text = text_of(delivered);
    hold!(text == said.text, "the model said `{}`, the caller got `{text}`", said.text);
    let output = &delivered.answer.output;
    let Some(plan) = plan else {
        hold!(*output == json!({ "text": text }), "the output is {output}");
        return Ok(());
    };
    hold!(!said.refused, "a refusal was given as a success");
    hold!(said.finish.as_deref() == Some("stop"), "finish reason {:?} was given as a success", said.finish);
    match &plan.kind {
        IntentKind::Generation => hold!(output["text"] == text, "the output is {output}"),
        IntentKind::Classification(_) => {
            let label = output["label"].as_str().unwrap_or_default();
            hold!(text.to_lowercase().contains(label), "`{text}` was read as {label}");
        }
        IntentKind::Extraction => {
            let json = text.find('{').zip(text.rfind('}')).and_then(|(from, to)| text.get(from..=to));
            let json = json.and_then(|json| serde_json::from_str::<Value>(json).ok());
            hold!(json.as_ref() == Some(output), "`{text}` was read as {output}");
        }
    }
    Ok(())
}

/// Exactly one last event; text only in streams, and not before the verdict where a gate holds it.
pub(super) fn stream(case: &Case<'_>) -> Verdict {
    hold!(!case.seen.dropped, "the log ended without a last event");
    let events: Vec<&LogEvent> = case.seen.events.iter().map(|(_, event)| event).collect();
    let last = |event: &LogEvent| matches!(event, LogEvent::End(_) | LogEvent::Error(_));
    let ends = events.iter().filter(|event| last(event)).count();
    let ended = events.last().is_some_and(|event| last(event));
    hold!(ends == usize::from(ended), "{ends} last events, the last one of them last: {ended}");
    hold!(ended || case.seen.left_us.is_some(), "no last event");
    let starts = events.iter().filter(|event| matches!(event, LogEvent::Start { .. })).count();
    let deltas = events.iter().any(|event| matches!(event, LogEvent::Delta(_)));
    let first = matches!(events.first(), Some(LogEvent::Start { .. }));
    hold!(starts <= 1 && (starts == 1) == first && (first || !deltas), "text without a start before it");
    hold!(case.seen.ask.stream || starts == 0, "text in a call that is no stream");
    hold!(case.seen.ask.stream || !case.released(), "opened, and it is no stream");
    if let Some(plan) = case.plan {
        let gated = !matches!(plan.kind, IntentKind::Generation)
            || plan.checks.iter().any(|check| check.on_fail == Severity::Gate);
        let held = (gated || plan.unproven != baton_core::Unproven::Pass) && !plan.stream_unverified;
        hold!(!(held && case.released()), "text was given before the verdict, which the intent does not allow");
    }
    if let Some(LogEvent::Error(failure)) = events.last() {
        let interrupted = case.record.status == Status::Interrupted;
        let late = matches!(failure.code, ErrorCode::DeadlineExceeded | ErrorCode::JournalFull);
        hold!(starts == 0 || interrupted || late, "text was given, and the record says {:?}", case.record.status);
    }
    streamed(case, &events)
}

/// The pieces are the answer: as the model wrote it where they flowed, as it was checked where they waited.
fn streamed(case: &Case<'_>, events: &[&LogEvent]) -> Verdict {
    let Some(delivered) = case.delivered().filter(|_| case.seen.ask.stream) else { return Ok(()) };
    hold!(matches!(events.first(), Some(LogEvent::Start { .. })), "an answered stream without a start");
    let pieces: String = events
        .iter()
        .filter_map(|event| if let LogEvent::Delta(Delta::Text(text)) = event { Some(text.as_str()) } else { None })
        .collect();
    let output = &delivered.answer.output;
    let text = match case.plan.filter(|_| !case.released()) {
        None => text_of(delivered),
        Some(plan) => match plan.kind {
            IntentKind::Classification(_) => output["label"].as_str().unwrap_or_default().to_owned(),
            IntentKind::Generation => output["text"].as_str().unwrap_or_default().to_owned(),
            IntentKind::Extraction => output.to_string(),
        },
    };
    hold!(pieces == text, "the pieces say `{pieces}`, the answer `{text}`");
    Ok(())
}

fn text_of(delivered: &Delivered) -> String {
    let text = |block: &Block| if let Block::Text(text) = block { Some(text.clone()) } else { None };
    delivered.content.iter().filter_map(text).collect()
}
