//! Requests: nothing is lost, what is wrong is named, and each vendor gets its own names.

use baton_core::Disposition;
use baton_wire::openai::{self, Dialect, StreamOptions, Structured};
use baton_wire::{Block, ChatRequest, Message, ResponseFormat, Role};
use serde_json::{Value, json};

use crate::support::{fixture, json};

fn request(name: &str) -> ChatRequest {
    openai::decode_request(&fixture(&format!("requests/{name}.json"))).unwrap()
}

#[test]
fn every_field_comes_back_as_it_came() {
    for name in ["plain", "tools", "structured", "images", "unknown_fields"] {
        let original = json(&fixture(&format!("requests/{name}.json")));
        let written = json(&openai::encode_request(&request(name)));
        assert_eq!(written, original, "{name}");
    }
}

#[test]
fn the_canonical_form_says_what_the_fixture_says() {
    let tools = request("tools");
    let use_of = |n: usize| tools.messages[1].content[n].clone();
    let Block::ToolUse { id, name, arguments } = use_of(1) else { panic!("{:?}", use_of(1)) };
    assert_eq!((id.as_str(), name.as_str(), arguments.as_str()), ("call_2", "weather", "{\"city\":\"Graz\"}"));
    assert_eq!(tools.messages[2].content, [Block::ToolResult { id: "call_1".into(), content: "11 °C".into() }]);
    assert_eq!(tools.tools[0].extra["function"]["strict"], json!(true));
    assert_eq!(tools.tools[1].name, "now");

    let structured = request("structured");
    assert!(matches!(structured.response_format, ResponseFormat::Schema { ref name, .. } if name == "receipt"));

    let images = request("images");
    let kinds: Vec<bool> = images.messages[0].content.iter().map(|b| matches!(b, Block::Text(_))).collect();
    assert_eq!(kinds, [true, false, false, false], "text with more than its text is kept whole");

    let unknown = request("unknown_fields");
    assert_eq!(unknown.messages[0].role, Role::System);
    assert_eq!(unknown.messages[5].role, Role::Tool);
    assert_eq!(unknown.tools[0].name, "", "no function");
    assert!(unknown.stream && openai::include_usage(&unknown));
    assert!(!openai::include_usage(&tools));
}

#[test]
fn what_is_wrong_is_named_by_its_pointer() {
    let message = |message: Value| json!({"model": "m", "messages": [{"role": "user", "content": "a"}, message]});
    let with = |name: &str, value: Value| {
        let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
        request[name] = value;
        request
    };
    for (request, pointer) in [
        (json!([]), ""),
        (json!({"messages": []}), "/model"),
        (json!({"model": 7, "messages": []}), "/model"),
        (json!({"model": "m"}), "/messages"),
        (json!({"model": "m", "messages": []}), "/messages"),
        (json!({"model": "m", "messages": {}}), "/messages"),
        (message(json!("b")), "/messages/1"),
        (message(json!({"content": "b"})), "/messages/1/role"),
        (message(json!({"role": "robot"})), "/messages/1/role"),
        (message(json!({"role": "user", "content": 1})), "/messages/1/content"),
        (message(json!({"role": "user", "content": ["b"]})), "/messages/1/content/0"),
        (message(json!({"role": "user", "content": [{"text": "b"}]})), "/messages/1/content/0/type"),
        (message(json!({"role": "tool", "content": "b"})), "/messages/1/tool_call_id"),
        (message(json!({"role": "assistant", "tool_calls": [{}]})), "/messages/1/tool_calls/0/id"),
        (
            message(
                json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]}),
            ),
            "/messages/1/tool_calls/0/function/arguments",
        ),
        (with("temperature", json!("hot")), "/temperature"),
        (with("max_tokens", json!(-1)), "/max_tokens"),
        (with("seed", json!(1.5)), "/seed"),
        (with("stop", json!([1])), "/stop/0"),
        (with("stream", json!("yes")), "/stream"),
        (with("n", json!(2)), "/n"),
        (with("tools", json!([{"type": "function"}])), "/tools/0/function"),
        (with("tools", json!([{"type": "function", "function": {}}])), "/tools/0/function/name"),
        (with("response_format", json!({})), "/response_format/type"),
        (with("response_format", json!({"type": "json_schema"})), "/response_format/json_schema"),
    ] {
        let error = openai::decode_request(request.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(pointer), "{request}: {error}");
        assert_eq!(error.disposition, Disposition::CallersFault);
    }
}

#[test]
fn what_is_no_json_or_too_deep_is_refused() {
    let deep = format!("{{\"model\":\"m\",\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for body in ["", "{", "{\"model\":\"m\",}", "\u{feff}", "{\"model\":\"\\ud800\"}", &deep] {
        let error = openai::decode_request(body.as_bytes()).unwrap_err();
        assert_eq!(error.code.as_deref(), Some("invalid_json"), "{body}");
    }
    assert!(openai::decode_request(b"{\"model\":\"\xff\"}").is_err());
}

#[test]
fn null_counts_as_absent_and_either_name_of_the_limit_will_do() {
    let read = |more: Value| {
        let mut request = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        openai::decode_request(request.to_string().as_bytes())
    };
    let nulls =
        json!({"temperature": null, "stop": null, "tools": null, "n": 1, "stream": null, "response_format": null});
    assert_eq!(read(nulls).unwrap(), read(json!({})).unwrap());
    assert_eq!(read(json!({"stop": "END"})).unwrap().params.stop, ["END"]);
    assert_eq!(read(json!({"max_completion_tokens": 9})).unwrap().params.max_tokens, Some(9));
    assert_eq!(read(json!({"max_completion_tokens": 9, "max_tokens": 9})).unwrap().params.max_tokens, Some(9));
    let error = read(json!({"max_completion_tokens": 9, "max_tokens": 8})).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("/max_tokens"));
}

#[test]
fn params_are_taken_out_of_a_map_and_the_rest_stays() {
    let mut map = json!({"temperature": 0, "max_tokens": 5, "top_k": 3}).as_object().unwrap().clone();
    let params = openai::take_params(&mut map).unwrap();
    assert_eq!((params.temperature, params.max_tokens), (Some(0.0), Some(5)));
    assert_eq!(Value::Object(map), json!({"top_k": 3}));
}

#[test]
fn a_turn_of_several_results_becomes_one_message_each_before_anything_else() {
    let result = |id: &str| Block::ToolResult { id: id.into(), content: id.to_uppercase() };
    let turn = Message {
        role: Role::User,
        content: vec![Block::Text("and now?".into()), result("a"), result("b")],
        extra: serde_json::Map::new(),
    };
    let request = ChatRequest { model: "m".into(), messages: vec![turn], ..ChatRequest::default() };
    let messages = json(&openai::encode_request(&request))["messages"].clone();
    assert_eq!(
        messages,
        json!([
            {"role": "tool", "tool_call_id": "a", "content": "A"},
            {"role": "tool", "tool_call_id": "b", "content": "B"},
            {"role": "user", "content": "and now?"},
        ])
    );
}

#[test]
fn dialects_change_names_and_leave_out_what_is_refused() {
    let mut request = request("structured");
    request.params.max_tokens = Some(5);
    request.params.seed = Some(1);
    request.extra.insert("stream_options".into(), json!({"x": 1}));
    let written = |dialect: Dialect, stream: bool| json(&openai::encode_request_for(&request, &dialect, stream));

    let plain = written(Dialect::PLAIN, true);
    assert_eq!(plain["stream_options"], json!({"x": 1}));
    assert_eq!(plain["stream"], json!(true));
    assert_eq!(written(Dialect::PLAIN, false).get("stream_options"), None, "refused without a stream");

    let openai =
        Dialect { max_tokens: "max_completion_tokens", stream_options: StreamOptions::Usage, ..Dialect::PLAIN };
    assert_eq!(written(openai, true)["max_completion_tokens"], json!(5));
    assert_eq!(written(openai, true).get("max_tokens"), None);
    assert_eq!(written(openai, true)["stream_options"], json!({"x": 1, "include_usage": true}));
    assert_eq!(written(openai, false).get("stream_options"), None);

    let mistral = Dialect { seed: "random_seed", stream_options: StreamOptions::Omit, ..Dialect::PLAIN };
    assert_eq!(written(mistral, true)["random_seed"], json!(1));
    assert_eq!(written(mistral, true).get("stream_options"), None);

    let object = Dialect { structured: Structured::Object, ..Dialect::PLAIN };
    assert_eq!(written(object, false)["response_format"], json!({"type": "json_object"}));
    let none = Dialect { structured: Structured::None, ..Dialect::PLAIN };
    assert_eq!(written(none, false).get("response_format"), None);
}
