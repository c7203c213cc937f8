//! Properties: what is written is read back, no bytes panic, no cut stream is whole.

use baton_core::Usage;
use baton_wire::openai::{self, StreamEncoder};
use baton_wire::{
    Block, ChatRequest, Completion, Delta, FinishReason, Message, Params, ResponseFormat, Role, StreamEvent, Tool,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{body, decode};

/// Text with what JSON and server-sent events have to escape.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,12}", any::<String>(), Just("data: [DONE]\n\n\r\n: ".to_owned())]
}

fn some_text() -> impl Strategy<Value = String> {
    text().prop_map(|text| text + ".")
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[a-z]{1,4}", inner), 0..3).prop_map(|fields| Value::Object(fields.into_iter().collect()))
        ]
    })
}

/// Fields that no canonical form knows.
fn extra() -> impl Strategy<Value = Map<String, Value>> {
    vec(("x_[a-z]{1,4}", value()), 0..3).prop_map(|fields| fields.into_iter().collect())
}

fn hundredths() -> impl Strategy<Value = Option<f64>> {
    option::of((0_u8..=200).prop_map(|n| f64::from(n) / 100.0))
}

fn opaque() -> impl Strategy<Value = Block> {
    extra().prop_map(|mut part| {
        part.insert("type".into(), json!("image_url"));
        Block::Opaque(Value::Object(part))
    })
}

fn tool_use() -> impl Strategy<Value = Block> {
    ("[a-z0-9_]{1,8}", "[a-z_]{1,8}", text()).prop_map(|(id, name, arguments)| Block::ToolUse { id, name, arguments })
}

/// Blocks in the order in which this format has them.
fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let content = prop_oneof![
        Just(vec![]),
        text().prop_map(|text| vec![Block::Text(text)]),
        vec(prop_oneof![text().prop_map(Block::Text), opaque()], 2..4),
    ];
    (option::of(text()), content, option::of(text()), vec(tool_use(), 0..3)).prop_map(
        |(thinking, content, refusal, calls)| {
            let thinking = thinking.map(|text| Block::Thinking { text, signature: None });
            thinking.into_iter().chain(content).chain(refusal.map(Block::Refusal)).chain(calls).collect()
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let role = prop_oneof![Just(Role::System), Just(Role::User), Just(Role::Assistant)];
    let spoken = (role, blocks(), extra()).prop_map(|(role, content, extra)| Message { role, content, extra });
    let result = ("[a-z0-9_]{1,8}", text(), extra()).prop_map(|(id, content, extra)| Message {
        role: Role::Tool,
        content: vec![Block::ToolResult { id, content }],
        extra,
    });
    prop_oneof![3 => spoken, 1 => result]
}

fn tool() -> impl Strategy<Value = Tool> {
    let parameters = prop_oneof![Just(Value::Null), Just(json!({"type": "object"}))];
    ("[a-z_]{1,8}", option::of(text()), parameters, extra()).prop_map(|(name, description, parameters, extra)| Tool {
        name,
        description,
        parameters,
        extra,
    })
}

fn params() -> impl Strategy<Value = Params> {
    (hundredths(), hundredths(), option::of(any::<u64>()), vec(text(), 0..3), option::of(any::<i64>()))
        .prop_map(|(temperature, top_p, max_tokens, stop, seed)| Params { temperature, top_p, max_tokens, stop, seed })
}

fn format() -> impl Strategy<Value = ResponseFormat> {
    prop_oneof![
        Just(ResponseFormat::Text),
        Just(ResponseFormat::Json),
        ("[a-z]{1,8}", extra())
            .prop_map(|(name, schema)| ResponseFormat::Schema { name, schema: Value::Object(schema) })
    ]
}

fn request() -> impl Strategy<Value = ChatRequest> {
    let choice =
        option::of(prop_oneof![Just(json!("auto")), Just(json!({"type": "function", "function": {"name": "f"}}))]);
    (text(), vec(message(), 1..4), params(), vec(tool(), 0..3), choice, format(), any::<bool>(), extra()).prop_map(
        |(model, messages, params, tools, tool_choice, response_format, stream, extra)| ChatRequest {
            model,
            messages,
            params,
            tools,
            tool_choice,
            response_format,
            stream,
            extra,
        },
    )
}

fn usage() -> impl Strategy<Value = Usage> {
    any::<[u32; 5]>().prop_map(|[input, output, cached, written, reasoning]| Usage {
        input_tokens: input.into(),
        output_tokens: output.into(),
        cached_tokens: cached.into(),
        cache_write_tokens: written.into(),
        reasoning_tokens: reasoning.into(),
        ..Usage::default()
    })
}

fn finish() -> impl Strategy<Value = FinishReason> {
    prop_oneof![
        Just(FinishReason::Stop),
        Just(FinishReason::Length),
        Just(FinishReason::ToolUse),
        Just(FinishReason::ContentFilter),
        "[a-z]{3}_[a-z]{3}".prop_map(FinishReason::Other)
    ]
}

fn completion() -> impl Strategy<Value = Completion> {
    (text(), text(), blocks(), finish(), option::of(usage()), extra())
        .prop_map(|(id, model, content, finish, usage, extra)| Completion { id, model, content, finish, usage, extra })
}

/// Deltas as a decoder emits them: none empty, each call begun before it goes on.
fn deltas() -> impl Strategy<Value = Vec<Delta>> {
    let delta = prop_oneof![
        4 => some_text().prop_map(Delta::Text),
        1 => some_text().prop_map(Delta::Thinking),
        1 => some_text().prop_map(Delta::Refusal),
        2 => ("[a-z]{1,6}", text()).prop_map(|(name, arguments)| Delta::ToolUse { index: 0, id: Some(String::new()), name: Some(name), arguments }),
        2 => some_text().prop_map(|arguments| Delta::ToolUse { index: usize::MAX, id: None, name: None, arguments }),
    ];
    vec(delta, 0..12).prop_map(|mut deltas| {
        let mut begun: usize = 0;
        deltas.retain_mut(|delta| match delta {
            Delta::ToolUse { index, id: Some(id), .. } => {
                (*index, *id) = (begun, format!("call_{begun}"));
                begun += 1;
                true
            }
            Delta::ToolUse { index, .. } => {
                *index = begun.saturating_sub(1);
                begun > 0
            }
            _ => true,
        });
        deltas
    })
}

fn events() -> impl Strategy<Value = Vec<StreamEvent>> {
    (some_text(), text(), deltas(), option::of(usage()), finish()).prop_map(|(id, model, deltas, usage, finish)| {
        let mut events = vec![StreamEvent::Start { id, model }];
        events.extend(deltas.into_iter().map(StreamEvent::Delta));
        events.extend(usage.map(StreamEvent::Usage));
        events.push(StreamEvent::End { finish });
        events
    })
}

fn written(events: &[StreamEvent]) -> Vec<u8> {
    let mut encoder = StreamEncoder::new(1, true);
    events.iter().flat_map(|event| encoder.encode(event)).collect()
}

proptest! {
    #[test]
    fn requests_are_read_back(request in request()) {
        let bytes = openai::encode_request(&request);
        prop_assert_eq!(openai::decode_request(&bytes).unwrap(), request);
    }

    #[test]
    fn answers_are_read_back(completion in completion()) {
        let bytes = openai::encode_response(&completion, 1).to_string();
        let known = openai::decode_known(bytes.as_bytes()).unwrap();
        prop_assert_eq!(known, Completion { extra: Default::default(), ..completion.clone() });
        prop_assert_eq!(openai::decode_response(bytes.as_bytes()).unwrap(), completion);
    }

    #[test]
    fn streams_are_read_back_however_their_bytes_arrive(events in events(), sizes in vec(0_usize..40, 1..6)) {
        let sizes: Vec<usize> = sizes.into_iter().chain([1]).collect();
        let read: Result<Vec<_>, _> = decode(body(&written(&events), &sizes)).into_iter().collect();
        prop_assert_eq!(read.unwrap(), events);
    }

    #[test]
    fn a_cut_stream_is_broken_or_has_all_of_its_text(events in events(), cut in any::<prop::sample::Index>()) {
        let bytes = written(&events);
        let read = decode(body(&bytes[..cut.index(bytes.len())], &[17]));
        let is_delta = |event: &&StreamEvent| matches!(event, StreamEvent::Delta(_));
        match read.last() {
            Some(Ok(StreamEvent::End { .. })) => {
                let read: Vec<StreamEvent> = read.into_iter().map(Result::unwrap).collect();
                prop_assert!(read.iter().filter(is_delta).eq(events.iter().filter(is_delta)));
                prop_assert_eq!(read.last(), events.last());
            }
            last => prop_assert!(matches!(last, Some(Err(_))), "{last:?}"),
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200), chunk in value()) {
        let _ = openai::decode_request(&bytes);
        let _ = openai::decode_response(&bytes);
        decode(body(&bytes, &[3]));
        for document in [chunk.clone(), json!({"choices": [chunk]}), json!({"choices": [{"delta": chunk, "message": chunk}], "error": chunk})] {
            let _ = openai::decode_request(document.to_string().as_bytes());
            let _ = openai::decode_response(document.to_string().as_bytes());
            let events = decode(body(format!("data: {document}\n\n").as_bytes(), &[usize::MAX]));
            prop_assert!(matches!(events.last(), Some(Err(_))), "{events:?}");
            let headers = http::HeaderMap::new();
            let _ = openai::decode_error(http::StatusCode::BAD_REQUEST, &headers, document.to_string().as_bytes(), std::time::UNIX_EPOCH);
        }
    }
}
