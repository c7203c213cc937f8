//! An answer that asks for tools: given only where its caller could run them.

use std::collections::HashSet;

use baton_config::{IntentKind, Schema};
use baton_core::{CheckResult, Severity};
use baton_eval::{Finish, Judged};
use baton_wire::{Block, Completion, FinishReason, Tool};
use serde_json::{Map, Value, json};

use crate::intent::Intent;

/// Whether this answer asks for tools. Some vendors say `stop` where the caller named the tool.
pub(crate) fn asks(completion: &Completion) -> bool {
    completion.finish == FinishReason::ToolUse || completion.content.iter().any(|b| matches!(b, Block::ToolUse { .. }))
}

/// Judges it. Generated text beside the calls meets the intent's checks as any other; text that
/// would have to be a label or fields is no output yet, and is not given.
pub(crate) fn judge(intent: &Intent, input: &Value, tools: &[Tool], completion: &mut Completion) -> Judged {
    let text = completion.text();
    let mut judged = if intent.plan.kind == IntentKind::Generation && !text.trim().is_empty() {
        intent.judge(completion, input, Finish::Complete)
    } else {
        completion.content.retain(|block| !matches!(block, Block::Text(_)));
        Judged { output: Some(json!({})), repairs: Vec::new(), checks: Vec::new() }
    };
    let reason = offence(&completion.content, tools);
    let check = "tool-calls".to_owned();
    judged.checks.push(CheckResult { check, severity: Severity::Gate, passed: reason.is_none(), score: None, reason });
    judged
}

/// What is wrong with the calls, if anything is. Names are not quoted: they may be content.
fn offence(content: &[Block], tools: &[Tool]) -> Option<String> {
    let mut ids = HashSet::new();
    for block in content {
        let Block::ToolUse { id, name, arguments } = block else { continue };
        let nth = ids.len() + 1;
        let Some(tool) = tools.iter().find(|tool| tool.name == *name) else {
            return Some(format!("call {nth} is of a tool that was not offered"));
        };
        // None at all stands for no arguments.
        let arguments = if arguments.is_empty() { "{}" } else { arguments };
        let Ok(arguments) = serde_json::from_str::<Map<String, Value>>(arguments) else {
            return Some(format!("the arguments of call {nth} are not a JSON object"));
        };
        if let Some(why) = misfit(tool, arguments) {
            return Some(format!("the arguments of call {nth} are not as the tool's schema says: {why}"));
        }
        if !ids.insert(id) {
            return Some(format!("call {nth} has the id of one before it"));
        }
    }
    ids.is_empty().then(|| "the answer stopped to call tools, and calls none".into())
}

/// How arguments are not as the tool's schema says. A schema that is none, or points elsewhere, is the
/// caller's fault and not the answer's: nothing is held against it.
fn misfit(tool: &Tool, arguments: Map<String, Value>) -> Option<String> {
    let schema = tool.parameters.is_object().then(|| Schema::compile(tool.parameters.clone()).ok()).flatten()?;
    schema.validate(&Value::Object(arguments)).err().map(|violation| violation.message)
}
