//! Streams: the same events however the bytes arrive, and nothing broken reported complete.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use baton_core::Usage;
use baton_wire::openai::StreamEncoder;
use baton_wire::{BodyStream, Collector, Delta, EVENT_BYTES_MAX, FinishReason, StreamEvent, openai};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::json;

use crate::support::{body, broken_body, decode, fixture, lines};

/// Decodes a fixture in pieces of every size, with each kind of line end.
fn check(name: &str, expected: &[&str]) {
    let unix = fixture(&format!("streams/{name}.sse"));
    let text = String::from_utf8(unix.clone()).unwrap();
    for bytes in [unix, text.replace('\n', "\r\n").into_bytes(), text.replace('\n', "\r").into_bytes()] {
        for sizes in [&[usize::MAX][..], &[1], &[2, 3], &[7, 0, 1], &[64]] {
            assert_eq!(lines(&decode(body(&bytes, sizes))), expected, "{name} in pieces of {sizes:?}");
        }
    }
}

#[test]
fn text_with_usage_in_a_chunk_without_choices() {
    check(
        "plain",
        &[
            "start chatcmpl-1 gpt-4o-mini",
            r#"opaque {"service_tier":"default","system_fingerprint":"fp_1"}"#,
            "text bil",
            "text ling – 请 🧾",
            "usage 312 3 cached 256 reasoning 1",
            "end Stop",
        ],
    );
}

#[test]
fn several_tool_calls_interleaved() {
    check(
        "tools",
        &[
            "start chatcmpl-2 gpt-4o",
            "tool 0 call_1 weather ",
            "tool 0 {\"city\":",
            "tool 1 call_2 now ",
            r#"opaque {"choices":[{"delta":{"tool_calls":[{"extra_content":{"google":{"thought_signature":"c2lnbmVk"}},"index":1}]}}]}"#,
            "tool 0 \"Ghent\"}",
            "tool 1 {}",
            "end ToolUse",
        ],
    );
}

#[test]
fn calls_of_one_index_are_told_apart_by_their_ids_and_done_may_be_missing() {
    check(
        "tools_same_index",
        &[
            "start g-1 gemini",
            "tool 0 a weather {\"city\":\"Ghent\"}",
            "tool 1 b weather {\"city\":\"Graz\"}",
            "tool 2 c now {}",
            "usage 5 29 cached 0 reasoning 0",
            "end ToolUse",
        ],
    );
}

#[test]
fn reasoning_parts_refusal_and_what_is_unknown() {
    check(
        "reasoning",
        &[
            "start ds-1 deepseek-reasoner",
            "thinking They ",
            "thinking ask.",
            r#"opaque {"choices":[{"logprobs":{"content":[{"token":"Yes"}]}}]}"#,
            "text Yes.",
            r#"opaque {"choices":[{"delta":{"content":[{"type":"reference","reference_ids":[1]}]}}]}"#,
            r#"opaque {"usage":{"prompt_cache_miss_tokens":1}}"#,
            "refusal No more.",
            "usage 5 9 cached 4 reasoning 6",
            "end Stop",
        ],
    );
}

#[test]
fn an_error_event_ends_the_stream_with_its_own_disposition() {
    let limited = "error RateLimited { retry_after: None } the provider answered with an error: Rate limited upstream";
    check("error_event", &["start or-1 m", "text bil", limited]);
}

#[test]
fn a_cut_event_is_not_dropped_in_silence() {
    let cut = lines(&decode(body(&fixture("streams/cut.sse"), &[usize::MAX])));
    assert_eq!(cut[..2], ["start chatcmpl-1 m", "text bil"]);
    assert!(cut[2].starts_with("error Transient the stream is broken: an event is cut off"), "{cut:?}");
    check("unterminated", &["start c m", "text billing", "end Stop"]);
}

/// What comes of a stream that is no whole answer.
fn check_broken(bytes: &[u8], expected: &str) {
    for body in [body(bytes, &[usize::MAX]), body(bytes, &[1])] {
        let events = lines(&decode(body));
        let last = events.last().unwrap();
        assert!(last.starts_with(expected), "{}: {events:?}", String::from_utf8_lossy(bytes));
        assert!(!events.iter().any(|event| event.starts_with("end")), "{events:?}");
    }
}

#[test]
fn nothing_broken_is_reported_complete() {
    let chunk = r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let done = "data: [DONE]\n\n";
    let early = "error Transient the stream is broken: it ended before the answer ";
    for (stream, expected) in [
        (String::new(), format!("{early}began")),
        (": keep-alive\n\n".repeat(3), format!("{early}began")),
        ("<html>Please log in</html>".into(), format!("{early}began")),
        (done.into(), format!("{early}began")),
        (format!("{chunk}\n\n"), format!("{early}was complete")),
        (format!("{chunk}\n\n{done}"), format!("{early}was complete")),
        (format!("{chunk}\n\ndata: [DO"), "error Transient the stream is broken: an event is not JSON".into()),
        (format!("{chunk}\n\ndata: [1]\n\n"), "error BadAnswer".into()),
        (format!("{chunk}\n\ndata: {{\"choices\":7}}\n\n"), "error BadAnswer".into()),
        (chunk.replace("\"index\":0", "\"index\":1"), "error BadAnswer".into()),
        (chunk.replace("\"delta\":{\"content\":\"a\"}", "\"finish_reason\":\"error\""), "error Transient".into()),
        (format!("{chunk}\n\ndata: {{\"error\":\"it broke\"}}\n\n{done}"), "error Transient".into()),
        (
            format!("{chunk}\n\nevent: error\ndata: {{\"message\":\"no\",\"type\":\"invalid_request_error\"}}\n\n"),
            "error CallersFault".into(),
        ),
        (
            chunk.replace(r#""content":"a""#, r#""tool_calls":[{"index":0,"function":{"arguments":"{}"}}]"#),
            "error BadAnswer".into(),
        ),
    ] {
        check_broken(stream.as_bytes(), &expected);
    }
    check_broken(b"data: \xff\xfe\n\n", "error Transient the stream is broken");
    let whole = fixture("streams/unterminated.sse");
    let reset = lines(&decode(broken_body(&whole[..whole.len() - 12])));
    assert_eq!(reset.last().unwrap(), "error Transient connection reset", "even after the finish reason");
}

#[test]
fn an_event_without_end_is_bounded_and_many_small_ones_in_one_piece_are_not() {
    let endless = "x".repeat(EVENT_BYTES_MAX + 100_000);
    for bytes in [format!("data: {endless}"), format!(": {endless}"), format!("data: {{}}\n\ndata: {endless}\n\n")] {
        check_broken_once(bytes.as_bytes(), "error BadAnswer an event of the stream is longer than");
    }
    let chunk = r#"data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}"#;
    let many =
        format!("{}{}", format!("{chunk}\n\n").repeat(20_000), r#"data: {"choices":[{"finish_reason":"stop"}]}"#);
    assert!(many.len() > EVENT_BYTES_MAX);
    assert_eq!(decode(body(many.as_bytes(), &[usize::MAX])).len(), 20_002);
}

fn check_broken_once(bytes: &[u8], expected: &str) {
    let events = lines(&decode(body(bytes, &[usize::MAX])));
    assert!(events.last().unwrap().starts_with(expected), "{events:?}");
}

#[test]
fn a_stream_is_bounded_as_a_whole() {
    let piece = Bytes::from(format!(": {}\n\ndata: {{}}\n\n", "x".repeat(100_000)));
    let endless: BodyStream = Box::pin(stream::iter(std::iter::repeat_with(move || Ok(piece.clone()))));
    let events = lines(&decode(endless));
    assert!(events.last().unwrap().starts_with("error BadAnswer the stream is longer than"), "{events:?}");
}

#[test]
fn more_tool_calls_than_anybody_makes_are_refused() {
    let call = |n: usize| {
        format!(
            r#"data: {{"id":"c","choices":[{{"delta":{{"tool_calls":[{{"index":{n},"id":"c{n}","function":{{"name":"f"}}}}]}}}}]}}"#
        )
    };
    let calls: Vec<String> = (0..200).map(call).collect();
    check_broken(calls.join("\n\n").as_bytes(), "error BadAnswer the stream has more than 128 tool calls");
}

#[test]
fn events_come_as_soon_as_their_bytes_do() {
    let bytes =
        Bytes::from_static(b"data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    let open: BodyStream = Box::pin(stream::once(async { Ok(bytes) }).chain(stream::pending()));
    let mut events = openai::decode_stream(open);
    let mut next = || events.next().now_or_never().map(|event| event.unwrap().unwrap());
    assert_eq!(next(), Some(StreamEvent::Start { id: "c".into(), model: "m".into() }));
    assert_eq!(next(), Some(StreamEvent::Delta(Delta::Text("a".into()))));
    assert_eq!(next(), None, "waits");
}

#[test]
fn the_end_does_not_wait_for_the_body_to_end() {
    let text = fixture("streams/plain.sse");
    let open: BodyStream = Box::pin(stream::once(async { Ok(Bytes::from(text)) }).chain(stream::pending()));
    let mut events = openai::decode_stream(open);
    let all = events.by_ref().collect::<Vec<_>>().now_or_never().unwrap();
    assert_eq!(lines(&all).last().unwrap(), "end Stop");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(matches!(events.poll_next_unpin(&mut context), Poll::Ready(None)));
}

#[test]
fn the_bodys_end_is_taken_where_it_is_there_so_that_its_connection_is_free() {
    let (taken, text) = (Arc::new(AtomicBool::new(false)), fixture("streams/plain.sse"));
    let flag = Arc::clone(&taken);
    let end = stream::poll_fn(move |_| {
        flag.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    });
    let mut events = openai::decode_stream(Box::pin(stream::once(async { Ok(Bytes::from(text)) }).chain(end)));
    while !matches!(events.next().now_or_never(), Some(Some(Ok(StreamEvent::End { .. })))) {}
    assert!(taken.load(Ordering::Relaxed));
}

#[test]
fn streams_are_written_as_openai_writes_them() {
    let events = [
        StreamEvent::Start { id: "c".into(), model: "m".into() },
        StreamEvent::Delta(Delta::Text("a\nb".into())),
        StreamEvent::Delta(Delta::ToolUse {
            index: 0,
            id: Some("1".into()),
            name: Some("f".into()),
            arguments: "{".into(),
        }),
        StreamEvent::Delta(Delta::ToolUse { index: 0, id: None, name: None, arguments: "}".into() }),
        StreamEvent::Usage(Usage { input_tokens: 2, output_tokens: 1, ..Usage::default() }),
        StreamEvent::End { finish: FinishReason::ToolUse },
    ];
    let written = |include_usage: bool| {
        let mut encoder = StreamEncoder::new(7, include_usage);
        let bytes: Vec<u8> = events.iter().flat_map(|event| encoder.encode(event)).collect();
        String::from_utf8(bytes).unwrap()
    };
    let chunk = |choices: &str, usage: &str| {
        format!(
            r#"data: {{"id":"c","object":"chat.completion.chunk","created":7,"model":"m","choices":[{choices}]{usage}}}"#
        )
    };
    let choice = |delta: &str, finish: &str| format!(r#"{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}"#);
    let choices = [
        choice(r#""role":"assistant","content":"""#, "null"),
        choice(r#""content":"a\nb""#, "null"),
        choice(
            r#""tool_calls":[{"index":0,"function":{"arguments":"{","name":"f"},"type":"function","id":"1"}]"#,
            "null",
        ),
        choice(r#""tool_calls":[{"index":0,"function":{"arguments":"}"}}]"#, "null"),
        choice("", r#""tool_calls""#),
    ];
    let plain: Vec<String> = choices.iter().map(|choice| chunk(choice, "")).collect();
    assert_eq!(written(false), format!("{}\n\ndata: [DONE]\n\n", plain.join("\n\n")));

    let counted: Vec<String> = choices.iter().map(|choice| chunk(choice, r#","usage":null"#)).collect();
    let usage = r#","usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}"#;
    let expected = format!("{}\n\n{}\n\ndata: [DONE]\n\n", counted.join("\n\n"), chunk("", usage));
    assert_eq!(written(true), expected);
}

#[test]
fn an_error_in_a_stream_is_read_back_as_one() {
    let mut bytes =
        StreamEncoder::new(0, false).encode(&StreamEvent::Start { id: "c".into(), model: "m".into() }).to_vec();
    let error = openai::encode_error("all candidates failed", "upstream_failed", Some("all_candidates_failed"), None);
    bytes.extend_from_slice(&StreamEncoder::error(&error));
    let events = decode(body(&bytes, &[5]));
    let error = events.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.code.as_deref(), Some("all_candidates_failed"));
    assert!(error.message.ends_with("all candidates failed"), "{error}");
}

#[test]
fn a_collected_stream_is_the_whole_answer_with_what_is_unknown() {
    let collect = |name: &str| {
        let mut collector = Collector::default();
        decode(body(&fixture(&format!("streams/{name}.sse")), &[9]))
            .into_iter()
            .for_each(|e| collector.push(e.unwrap()));
        openai::encode_response(&collector.finish().unwrap(), 0)
    };
    let tools = collect("tools");
    assert_eq!(
        tools["choices"][0]["message"]["tool_calls"],
        json!([
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Ghent\"}"}},
            {"id": "call_2", "type": "function", "function": {"name": "now", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "c2lnbmVk"}}},
        ])
    );
    let reasoning = collect("reasoning");
    assert_eq!(reasoning["choices"][0]["logprobs"], json!({"content": [{"token": "Yes"}]}));
    assert_eq!(reasoning["choices"][0]["message"]["content"][1], json!({"type": "reference", "reference_ids": [1]}));
    assert_eq!(reasoning["usage"]["prompt_cache_miss_tokens"], json!(1));
    assert!(Collector::default().finish().is_none(), "not ended, so not whole");
}
