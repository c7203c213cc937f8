//! Calls of tools: whether they are ones, and of tools that were offered.

use std::collections::BTreeSet;

use baton_config::Schema;
use serde_json::Value;

/// How many calls are looked at.
const CALLS_MAX: usize = 256;

/// Whether the output is a list of calls of OpenAI's form, each of an offered tool with arguments as its
/// schema says.
///
/// # Errors
/// Why not.
pub(crate) fn tools_call(output: &Value, tools: Option<&Value>) -> Result<(), String> {
    let calls = output.get("tool_calls").unwrap_or(output).as_array().filter(|calls| !calls.is_empty());
    let Some(calls) = calls else { return Err("the output is no list of tool calls".into()) };
    if tools.is_none() {
        return Err("no tools were offered".into());
    }
    if calls.len() > CALLS_MAX {
        return Err(format!("there are more than {CALLS_MAX} calls"));
    }
    calls.iter().try_for_each(|call| function(&call["function"], tools))
}

/// Whether the output is one call of a function that was offered.
///
/// # Errors
/// Why not.
pub(crate) fn function_call(output: &Value, tools: Option<&Value>) -> Result<(), String> {
    function(output.get("function_call").unwrap_or(output), tools)
}

fn function(call: &Value, tools: Option<&Value>) -> Result<(), String> {
    let (Some(name), Some(arguments)) = (call["name"].as_str(), call["arguments"].as_str()) else {
        return Err("a call has no name, or no arguments as text".into());
    };
    let offered =
        tools.and_then(Value::as_array).into_iter().flatten().map(|tool| tool.get("function").unwrap_or(tool));
    let schema = offered.filter(|tool| tool["name"] == name).find_map(|tool| tool.get("parameters"));
    let Some(schema) = schema else { return Err(format!("{name} is not a tool that was offered")) };
    let arguments: Value =
        serde_json::from_str(arguments).map_err(|_| format!("the arguments of {name} are not JSON"))?;
    let schema =
        Schema::compile_with_formats(schema.clone()).map_err(|why| format!("the schema of {name} is none: {why}"))?;
    schema.validate(&arguments).map_err(|violation| format!("the arguments of {name}: {violation}"))
}

/// The harmonic mean of precision and recall of the names of called tools (van Rijsbergen 1979).
pub(crate) fn call_f1(output: &Value, expected: &[String]) -> f64 {
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let mut called = BTreeSet::new();
    match output {
        Value::String(text) => names_in_text(text, &mut called),
        other => names(other, &mut called),
    }
    let common = expected.iter().filter(|name| called.contains(**name)).count();
    if common == 0 {
        return 0.0;
    }
    2.0 * crate::ask::share(common, called.len() + expected.len())
}

fn names_in_text(text: &str, called: &mut BTreeSet<String>) {
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        return names(&value, called);
    }
    for line in text.lines().map(str::trim).filter(|line| line.starts_with(['{', '['])) {
        if let Ok(value) = serde_json::from_str::<Value>(line) {
            names(&value, called);
        }
    }
}

/// Calls as OpenAI, Anthropic and Google write them.
fn names(value: &Value, called: &mut BTreeSet<String>) {
    let mut add = |name: &Value| called.extend(name.as_str().map(str::to_owned));
    if let Some(calls) = value["tool_calls"].as_array() {
        calls.iter().for_each(|call| {
            add(&call["function"]["name"]);
            add(&call["name"]);
        });
    } else if value["type"] == "tool_use" {
        add(&value["name"]);
    } else if value["functionCall"].is_object() {
        add(&value["functionCall"]["name"]);
    } else if let Some(calls) = value["toolCall"]["functionCalls"].as_array() {
        calls.iter().for_each(|call| add(&call["name"]));
    } else if let Some(items) = value.as_array() {
        for item in items {
            let call =
                [&item["functionCall"], &item["function"]].into_iter().find(|call| call.is_object()).unwrap_or(item);
            add(&call["name"]);
        }
    }
}
