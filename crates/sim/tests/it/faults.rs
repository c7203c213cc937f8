//! The wall of faults, byte by byte: what each fault sends, streamed and not.

use std::fmt::Write;
use std::time::Duration;

use baton_sim::{Ending, Opening, Script};
use serde_json::Value;

use crate::support::{TICKET, body, bytes_of, sim};

const FAULTS: [&str; 33] = [
    "kind = \"refuse\"",
    "kind = \"hang\"",
    "kind = \"headers_then_silence\"",
    "kind = \"trickle\", every_ms = 50",
    "kind = \"status\", status = 503",
    "kind = \"status\", status = 400, body = '{\"detail\":\"no\"}'",
    "kind = \"status\", status = 429, retry_after = 2",
    "kind = \"status\", status = 529, retry_after_date = 90",
    "kind = \"model_gone\"",
    "kind = \"unauthorized\"",
    "kind = \"payment\"",
    "kind = \"error_body_200\"",
    "kind = \"html_200\"",
    "kind = \"invalid_json\"",
    "kind = \"truncated_json\"",
    "kind = \"cut_body\"",
    "kind = \"error_event\", after_tokens = 0",
    "kind = \"error_event\", after_tokens = 1",
    "kind = \"cut_stream\", after_tokens = 1",
    "kind = \"no_terminal\"",
    "kind = \"no_usage\"",
    "kind = \"malformed_chunk\", after_tokens = 1",
    "kind = \"huge_chunk\", bytes = 12",
    "kind = \"keepalive_forever\", every_ms = 1000",
    "kind = \"stall\", after_tokens = 1",
    "kind = \"stall\", after_tokens = 1, every_ms = 1000",
    "kind = \"length\"",
    "kind = \"empty\"",
    "kind = \"refusal\"",
    "kind = \"wrong_schema\"",
    "kind = \"invented\"",
    "kind = \"fenced\"",
    "kind = \"duplicate_tool_calls\"",
];

fn script(fault: &str, stream: bool) -> Script {
    let sim = sim(&format!(
        "[models.gpt-4]\nfirst_token_ms = {{ fixed = 100 }}\ntokens_per_second = 100\n\
         faults = [{{ {fault}, share = 1.0 }}]"
    ));
    sim.script(&body(TICKET, stream), 0, Duration::ZERO)
}

/// The script for a reader: what repeats in every frame is left out.
fn render(script: &Script) -> String {
    let mut out = String::new();
    match &script.opening {
        Opening::Respond { at, status, headers } => {
            let shown = ["content-type", "content-length", "retry-after"];
            let shown =
                shown.iter().filter_map(|name| Some(format!("{name}: {}", headers.get(*name)?.to_str().unwrap())));
            writeln!(out, "  {at:?} {status} {}", Vec::from_iter(shown).join(", ")).unwrap();
            assert_eq!(headers["x-baton-simulated"], "true");
        }
        other => writeln!(out, "  {other:?}").unwrap(),
    }
    if script.body.len() > 50 {
        let (first, last) = (script.body[0].at, script.body[script.body.len() - 1].at);
        writeln!(out, "  {first:?} to {last:?} {} pieces of {}", script.body.len(), brief(&bytes_of(script))).unwrap();
    } else {
        for piece in &script.body {
            writeln!(out, "  {:?} {}", piece.at, brief(std::str::from_utf8(&piece.bytes).unwrap())).unwrap();
        }
    }
    if script.ending != Ending::Finish {
        writeln!(out, "  {:?}", script.ending).unwrap();
    }
    out
}

/// An event or body by what is particular in it; as it is where it is none.
fn brief(text: &str) -> String {
    let json = text.strip_prefix("data: ").unwrap_or(text);
    let Ok(value) = serde_json::from_str::<Value>(json) else { return text.trim_end().escape_debug().to_string() };
    let Some(choices) = value["choices"].as_array() else { return value.to_string() };
    assert_eq!(value["system_fingerprint"], "baton-simulated");
    let mut parts = Vec::new();
    for choice in choices {
        let said = if choice["delta"].is_object() { &choice["delta"] } else { &choice["message"] };
        parts.push(format!("{said} finish {}", choice["finish_reason"]));
    }
    parts.push(match &value["usage"] {
        Value::Null => String::new(),
        usage => format!("usage {}+{}", usage["prompt_tokens"], usage["completion_tokens"]),
    });
    parts.join(" ").trim_end().to_owned()
}

fn all(stream: bool) -> String {
    FAULTS.iter().map(|fault| format!("{fault}\n{}", render(&script(fault, stream)))).collect()
}

#[test]
fn streamed() {
    insta::assert_snapshot!(all(true));
}

#[test]
fn whole() {
    insta::assert_snapshot!(all(false));
}

#[test]
fn a_clean_stream_to_the_byte() {
    let sim = sim("[models.gpt-4]");
    insta::assert_snapshot!(bytes_of(&sim.script(&body(TICKET, true), 0, Duration::ZERO)));
}

#[test]
fn a_clean_answer_to_the_byte() {
    let sim = sim("[models.gpt-4]");
    insta::assert_snapshot!(bytes_of(&sim.script(&body(TICKET, false), 0, Duration::ZERO)));
}

#[test]
fn split_utf8_splits_every_character_and_nothing_else() {
    for stream in [true, false] {
        let split = script("kind = \"split_utf8\"", stream);
        assert!(split.body.iter().all(|piece| piece.bytes.len() == 1));
        let clean = script("kind = \"no_usage\"", stream);
        let said = |script: &Script| bytes_of(script).matches("ing\"").count();
        assert_eq!(said(&split), said(&clean));
        assert!(!stream || split.body.iter().any(|piece| !piece.bytes.is_ascii()));
    }
}

#[test]
fn usage_is_sent_only_where_asked_for() {
    let sim = sim("[models.gpt-4]");
    let request = r#"{"model": "gpt-4", "stream": true, "messages": [{"role": "user", "content": "hi"}]}"#;
    let bytes = bytes_of(&sim.script(request.as_bytes(), 0, Duration::ZERO));
    assert!(!bytes.contains("usage") && bytes.ends_with("data: [DONE]\n\n"), "{bytes}");
}

#[test]
fn bad_requests_and_unknown_models_are_refused_as_the_vendor_does() {
    let sim = sim("[models.gpt-4]");
    for (request, status, fault, says) in [
        ("{", 400, "bad_request", "could not parse the JSON body"),
        ("[]", 400, "bad_request", "you must provide a model parameter"),
        (r#"{"model": "gpt-4"}"#, 400, "bad_request", "Invalid 'messages'"),
        (r#"{"model": "gpt-4", "messages": []}"#, 400, "bad_request", "Invalid 'messages'"),
        (r#"{"model": "none", "messages": [{"role": "user"}]}"#, 404, "unknown_model", "model_not_found"),
    ] {
        let script = sim.script(request.as_bytes(), 0, Duration::ZERO);
        assert!(matches!(&script.opening, Opening::Respond { status: s, .. } if s.as_u16() == status), "{request}");
        assert_eq!(script.fault, Some(fault));
        assert!(bytes_of(&script).contains(says), "{}", bytes_of(&script));
    }
}
