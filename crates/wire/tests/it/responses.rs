//! Whole answers: nothing is lost, and what is no answer is told apart by whose fault it is.

use baton_core::Disposition::{BadAnswer, CallersFault, HardDown, RateLimited, TooLong, Transient};
use baton_core::{Disposition, Usage};
use baton_wire::{Block, Collector, Completion, FinishReason, openai};
use serde_json::json;

use crate::support::{fixture, json};

const ALL: [&str; 4] = ["plain", "tools", "refusal", "unknown_fields"];

fn response(name: &str) -> Completion {
    openai::decode_response(&fixture(&format!("responses/{name}.json"))).unwrap()
}

#[test]
fn every_field_comes_back_as_it_came() {
    for name in ALL {
        let original = json(&fixture(&format!("responses/{name}.json")));
        assert_eq!(openai::encode_response(&response(name), 1_700_000_000), original, "{name}");
    }
}

#[test]
fn a_whole_answer_survives_as_a_stream() {
    for name in ALL {
        let whole = response(name);
        let mut collector = Collector::default();
        whole.clone().into_events().into_iter().for_each(|event| collector.push(event));
        let mut again = collector.finish().unwrap();
        // A stream has an order of its own.
        let order = |block: &Block| matches!(block, Block::Opaque(_));
        let mut expected = whole;
        expected.content.sort_by_key(order);
        again.content.sort_by_key(order);
        assert_eq!(again, expected, "{name}");
    }
}

#[test]
fn the_canonical_form_says_what_the_fixture_says() {
    let plain = response("plain");
    assert_eq!(plain.text(), "billing");
    let usage = Usage { input_tokens: 312, output_tokens: 3, cached_tokens: 256, ..Usage::default() };
    assert_eq!(plain.usage, Some(usage));
    assert_eq!(plain.finish, FinishReason::Stop);
    assert_eq!(plain.extra, serde_json::Map::new());

    let tools = response("tools");
    assert_eq!(tools.finish, FinishReason::ToolUse);
    assert!(matches!(&tools.content[2], Block::ToolUse { arguments, .. } if arguments == "{\"city\":"));

    assert_eq!(response("refusal").content, [Block::Refusal("I can't help with that.".into())]);

    let unknown = response("unknown_fields");
    assert_eq!(unknown.text(), "Yes.");
    assert_eq!(unknown.content[0], Block::Thinking { text: "Short.".into(), signature: None });
    assert_eq!(unknown.finish, FinishReason::Other("insufficient_system_resource".into()));
    assert_eq!(unknown.extra["usage"]["prompt_tokens_details"], json!({"audio_tokens": 2}));
}

#[test]
fn tokens_beyond_prompt_and_completion_are_output() {
    // xAI's reasoning; Gemini's thinking; DeepSeek's cache.
    for (usage, expected) in [
        (
            json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35, "completion_tokens_details": {"reasoning_tokens": 20}}),
            (10, 25, 0, 20),
        ),
        (json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 25}), (10, 15, 0, 0)),
        (json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 8}), (10, 5, 8, 0)),
        (json!({"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}), (u64::MAX, u64::MAX, 0, 0)),
    ] {
        let mut document = json(&fixture("responses/plain.json"));
        document["usage"] = usage.clone();
        let u = openai::decode_response(document.to_string().as_bytes()).unwrap().usage.unwrap();
        assert_eq!((u.input_tokens, u.output_tokens, u.cached_tokens, u.reasoning_tokens), expected, "{usage}");
    }
}

/// As OpenAI and OpenRouter say it, and as Anthropic does.
#[test]
fn tokens_that_were_written_to_a_cache_are_counted() {
    let anthropic = json!({"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4, "new": 1});
    for (usage, expected) in [
        (json!({"prompt_tokens": 10, "prompt_tokens_details": {"cache_write_tokens": 7}}), (7, 0)),
        (json!({"prompt_tokens": 10, "cache_creation": anthropic}), (7, 4)),
        (json!({"prompt_tokens": 10, "cache_creation": 7}), (0, 0)),
    ] {
        let mut document = json(&fixture("responses/plain.json"));
        document["usage"] = usage.clone();
        let completion = openai::decode_response(document.to_string().as_bytes()).unwrap();
        let u = completion.usage.unwrap();
        assert_eq!((u.cache_write_tokens, u.cache_write_1h_tokens), expected, "{usage}");
        // And what we do not know of it passes through.
        assert_eq!(
            completion.extra.get("usage").and_then(|left| left.get("cache_creation")),
            usage.get("cache_creation")
        );
    }
}

#[test]
fn what_is_no_answer_says_whose_fault_it_is() {
    let limited = RateLimited { retry_after: None };
    let choice = |choice: &str| format!(r#"{{"id":"c","choices":[{choice}]}}"#);
    let error = |error: &str| format!(r#"{{"error":{error}}}"#);
    let cases: Vec<(String, Disposition)> = vec![
        // The path is broken.
        (String::new(), Transient),
        ("<!DOCTYPE html><html>Please log in</html>".into(), Transient),
        ("upstream connect error".into(), Transient),
        (r#"{"id":"c","choices":[{"index":0,"message":{"content":"bil"#.into(), Transient),
        // It is whole, and no completion.
        ("[]".into(), BadAnswer),
        ("\"billing\"".into(), BadAnswer),
        ("{}".into(), BadAnswer),
        (r#"{"choices":[]}"#.into(), BadAnswer),
        (choice(r#"{"finish_reason":"stop"}"#), BadAnswer),
        (choice(r#"{"message":{"content":"a"}}"#), BadAnswer),
        (choice(r#"{"message":{"content":"a"},"finish_reason":null}"#), BadAnswer),
        (choice(r#"{"message":{"content":7},"finish_reason":"stop"}"#), BadAnswer),
        (choice(r#"{"message":{},"finish_reason":"stop"},{"message":{},"finish_reason":"stop"}"#), BadAnswer),
        (r#"{"choices":[{"message":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":-1}}"#.into(), BadAnswer),
        // It is an error after all.
        (choice(r#"{"message":{"content":""},"finish_reason":"error"}"#), Transient),
        (choice(r#"{"error":{"code":502,"message":"upstream"},"finish_reason":"error"}"#), Transient),
        (error(r#"{"message":"no","type":"invalid_request_error"}"#), CallersFault),
        (error(r#"{"message":"no","code":"context_length_exceeded"}"#), TooLong),
        (error(r#"{"message":"slow down","type":"rate_limit_error"}"#), limited),
        (error(r#"{"message":"slow down","code":429}"#), limited),
        (error(r#"{"message":"overloaded","type":"overloaded_error"}"#), limited),
        (error(r#"{"message":"withheld","code":"content_filter"}"#), BadAnswer),
        (error(r#"{"message":"who?","type":"authentication_error"}"#), HardDown),
        (error(r#"{"message":"no money","code":402}"#), HardDown),
        (error(r#"{"message":"oops","type":"server_error"}"#), Transient),
        (error(r#""it broke""#), Transient),
        (error("{}"), Transient),
    ];
    for (body, expected) in cases {
        let error = openai::decode_response(body.as_bytes()).unwrap_err();
        assert_eq!(error.disposition, expected, "{body}: {error}");
    }
    let null_error = r#"{"error":null,"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
    assert_eq!(openai::decode_response(null_error.as_bytes()).unwrap().text(), "a");
}
