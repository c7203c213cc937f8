//! What a review looked for from outside: wrong answers given as right ones, ends that are late.

use std::time::Duration;

use baton_core::{AttemptOutcome, ErrorCode, Via};
use baton_engine::{Call, Caller};
use baton_wire::Tool;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::house::{House, SORT, WRITE, read, settle, sort, within, write};
use crate::models::Says;

const GATE: &str = "[[checks]]\ntype = \"contains\"\nvalue = \"guarantee\"\nnot = true\n";

fn look_up(id: &str, name: &str, arguments: &str) -> Value {
    json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

/// A whole answer with tool calls, and why it stopped.
fn calls(text: Option<&str>, calls: &[Value], finish: &str) -> Says {
    let message = json!({ "role": "assistant", "content": text, "tool_calls": calls });
    let choice = json!({ "index": 0, "finish_reason": finish, "message": message });
    Says::Verbatim(json!({ "id": "1", "model": "m", "choices": [choice] }).to_string())
}

pub(crate) fn with_tool(call: Call) -> Call {
    let tool =
        Tool { name: "look_up".into(), description: None, parameters: Value::Null, extra: serde_json::Map::new() };
    Call { tools: vec![tool], ..call }
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_is_an_answer_only_where_it_can_be_made() {
    let good = || look_up("t1", "look_up", "{\"id\":7}");
    for (why, says, call) in [
        ("no tools were offered", calls(None, &[good()], "tool_calls"), sort("x")),
        ("there is none", calls(Some("bug?"), &[], "tool_calls"), with_tool(sort("x"))),
        ("not this one", calls(None, &[look_up("t1", "delete", "{}")], "tool_calls"), with_tool(sort("x"))),
        ("cut off", calls(None, &[look_up("t1", "look_up", "{\"id\":")], "tool_calls"), with_tool(sort("x"))),
        ("too long", calls(None, &[good()], "length"), with_tool(sort("x"))),
        ("the same id twice", calls(None, &[good(), good()], "tool_calls"), with_tool(sort("x"))),
    ] {
        let house = House::sort(SORT).open();
        house.models.say("a", &[says]);
        house.models.say("b", &[Says::Text(0, "billing")]);
        let delivered = house.execute(call).await.unwrap();
        assert_eq!(delivered.answer.output, json!({ "label": "billing" }), "{why}");
        let attempt = &delivered.answer.attempts[0];
        assert_eq!(attempt.outcome, AttemptOutcome::BadAnswer, "{why}");
        assert!(attempt.error.is_some(), "{why}: says what was wrong");
    }
}

#[tokio::test(start_paused = true)]
async fn arguments_are_as_the_tools_schema_says() {
    let schema = json!({ "type": "object", "properties": { "id": { "type": "integer" } }, "required": ["id"] });
    let with_schema = |schema: &Value| {
        let mut call = with_tool(sort("x"));
        call.tools[0].parameters = schema.clone();
        call
    };
    // A schema that is none is not the answer's fault.
    let broken = json!({ "type": "objekt" });
    for (arguments, schema, given) in
        [("{\"id\":7}", &schema, true), ("{\"id\":\"7\"}", &schema, false), ("", &schema, false), ("{}", &broken, true)]
    {
        let house = House::sort(SORT).open();
        house.models.say("a", &[calls(None, &[look_up("t1", "look_up", arguments)], "tool_calls")]);
        house.models.say("b", &[Says::Text(0, "billing")]);
        let delivered = house.execute(with_schema(schema)).await.unwrap();
        let answer = &delivered.answer;
        assert_eq!(answer.tool_calls.len(), usize::from(given), "{arguments}");
        if !given {
            let error = answer.attempts[0].error.as_deref().unwrap();
            assert!(
                error.starts_with("tool-calls: the arguments of call 1 are not as the tool's schema says:"),
                "{error}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_label_that_is_hardly_more_probable_than_the_next_fails_its_gate() {
    let says = |p: f64| {
        let top = json!([{ "token": "bug", "logprob": p.ln() }, { "token": "billing", "logprob": (1.0 - p).ln() }]);
        let token = json!({ "token": "bug", "logprob": p.ln(), "top_logprobs": top });
        let message = json!({ "role": "assistant", "content": "bug" });
        let choice =
            json!({ "index": 0, "finish_reason": "stop", "message": message, "logprobs": { "content": [token] } });
        Says::Verbatim(json!({ "id": "1", "model": "m", "choices": [choice] }).to_string())
    };
    let policy = format!("{SORT}\n[[checks]]\ntype = \"label-margin\"\nmin = 0.5\n");
    for (p, label) in [(0.9, "bug"), (0.6, "billing")] {
        let house = House::sort(&policy).open();
        house.models.say("a", &[says(p)]);
        house.models.say("b", &[Says::Text(0, "billing")]);
        let delivered = house.execute(sort("x")).await.unwrap();
        assert_eq!(delivered.answer.output, json!({ "label": label }), "{p}");
        assert_eq!(house.models.asked()[0].top_logprobs, Some(5));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_comes_back_whatever_its_vendor_calls_the_end() {
    for finish in ["tool_calls", "stop"] {
        let house = House::sort(SORT).open();
        // OpenAI says `stop` where the caller named the tool.
        house.models.say("a", &[calls(None, &[look_up("t1", "look_up", "")], finish)]);
        let delivered = house.execute(with_tool(sort("x"))).await.unwrap();
        assert_eq!((&delivered.answer.output, delivered.answer.tool_calls.len()), (&json!({}), 1), "{finish}");
    }
}

#[tokio::test(start_paused = true)]
async fn text_beside_a_tool_call_meets_the_gates_or_is_not_given() {
    let good = || look_up("t1", "look_up", "{}");
    let house = House::write(&format!("{WRITE}{GATE}")).open();
    house.models.say("a", &[calls(Some("We guarantee it. A moment"), &[good()], "tool_calls")]);
    house.models.say("b", &[calls(Some("A moment"), &[good()], "tool_calls")]);
    let delivered = house.execute(with_tool(write("x"))).await.unwrap();
    assert_eq!(delivered.answer.output, json!({ "text": "A moment" }));
    assert_eq!(delivered.answer.model.as_ref().unwrap().as_str(), "sim/b");

    let house = House::sort(SORT).open();
    house.models.say("a", &[calls(Some("billing, I guess"), &[good()], "tool_calls")]);
    let call = Call { stream: true, ..with_tool(sort("x")) };
    assert_eq!(read(house.orchestrator.start(call).events).await, ["start sim/a", "end model"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_after_an_empty_answer_flows_within_its_deadline() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[])]);
    house.models.say("b", &[Says::Pieces(&[(10, "Dear "), (10, "all")])]);
    let events = read(house.orchestrator.start(write("x")).events).await;
    assert_eq!(events, ["start sim/b", "Dear ", "all", "end model"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_record_is_never_acknowledged_ends_all_the_same() {
    let house = House::write(WRITE).open();
    house.models.say("a", &[Says::Pieces(&[(10, "Dear "), (10, "all")])]);
    let mut execution = house.orchestrator.start(write("x"));
    execution.events.next().await.unwrap();
    house.journal(false, 24 * 3_600_000);
    let events = read(execution.events).await;
    assert_eq!(events.last().unwrap(), ErrorCode::DeadlineExceeded.as_str());
    assert!(house.now_ms() <= 600_000, "{} ms", house.now_ms());
}

#[tokio::test(start_paused = true)]
async fn a_default_that_a_hurried_leader_got_is_not_its_followers() {
    let default = "on_exhausted = { default = { label = \"nobody\" } }\n";
    let house = House::sort(&format!("{default}{}", SORT.replace("[\"a\", \"b\"]", "[\"a\"]"))).open();
    house.models.say("a", &[Says::Text(300, "bug")]);
    let leader = house.orchestrator.start(within(sort("same"), json!({ "maxLatencyMs": 50 })));
    settle().await;
    let follower = house.orchestrator.start(sort("same"));
    assert_eq!(read(leader.events).await, ["end default"]);
    assert_eq!(read(follower.events).await, ["end model"]);
}

#[tokio::test(start_paused = true)]
async fn a_default_that_is_followed_keeps_its_reason() {
    let default = "on_exhausted = { default = { label = \"nobody\" } }\n";
    let house = House::sort(&format!("{default}{}", SORT.replace("[\"a\", \"b\"]", "[\"a\"]"))).open();
    house.models.say("a", &[Says::Status(20, 401)]);
    let leader = house.orchestrator.start(sort("same"));
    settle().await;
    let followed = house.execute(sort("same")).await.unwrap();
    assert_eq!(followed.answer.via, Via::Default);
    let why = followed.answer.reason.as_deref().unwrap();
    assert!(why.starts_with("nobody answered"), "{why}");
    drop(leader);
}

#[tokio::test(start_paused = true)]
async fn an_end_that_is_not_known_to_be_one_is_none() {
    for (finish, answered) in [
        ("stop", "sim/a"),
        ("eos_token", "sim/a"),
        ("end_turn", "sim/a"),
        ("insufficient_system_resource", "sim/b"),
        ("abort", "sim/b"),
        ("max_tokens", "sim/b"),
        ("SAFETY", "sim/b"),
    ] {
        let house = House::sort(SORT).open();
        let choice =
            json!({ "index": 0, "finish_reason": finish, "message": { "role": "assistant", "content": "bug" } });
        house.models.say("a", &[Says::Verbatim(json!({ "id": "1", "model": "m", "choices": [choice] }).to_string())]);
        house.models.say("b", &[Says::Text(0, "bug")]);
        let delivered = house.execute(sort("x")).await.unwrap();
        assert_eq!(delivered.answer.model.as_ref().unwrap().as_str(), answered, "{finish}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_text_of_a_checked_stream_is_what_was_checked() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(0, "```\n\"Bug\".\n```")]);
    let call = || Call { stream: true, ..sort("x") };
    assert_eq!(read(house.orchestrator.start(call()).events).await, ["start sim/a", "bug", "end model"]);
    assert_eq!(read(house.orchestrator.start(call()).events).await, ["start sim/a", "bug", "end cache-exact"]);

    let fields =
        r#"{"type":"object","properties":{"label":{"type":"string"},"n":{"type":"integer"}},"required":["label","n"]}"#;
    let default = "on_exhausted = { default = { label = \"none\", n = 0 } }\nmodels = [\"a\"]\n[retry]\nmax = 0\n";
    let house = House::sort(SORT)
        .with("intents/pull/intent.toml", default)
        .with("intents/pull/output.schema.json", fields)
        .with("intents/pull/prompt.md", "## user\n\n{{ input }}\n")
        .open();
    house.models.say("a", &[Says::Text(0, "Here: {\"label\": \"x\", \"n\": 7,}"), Says::Status(0, 500)]);
    let call = || Call { stream: true, ..Call::intent("pull", json!("y")) };
    let whole = r#"{"label":"x","n":7}"#;
    assert_eq!(read(house.orchestrator.start(call()).events).await, ["start sim/a", whole, "end model"]);
    let whole = r#"{"label":"none","n":0}"#;
    assert_eq!(read(house.orchestrator.start(call()).events).await, ["start default", whole, "end default"]);
}

#[tokio::test(start_paused = true)]
async fn a_limited_caller_learns_of_no_other_intents() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    let caller = Caller { intents: Some([baton_core::IntentName::new("mine")].into()), ..Caller::default() };
    for name in ["sort", "nowhere"] {
        let call = Call { caller: caller.clone(), ..Call::intent(name, json!("x")) };
        let error = house.execute(call).await.unwrap_err();
        assert_eq!(error.failure.code, ErrorCode::IntentNotAllowed, "{name}");
    }
    let call = Call { caller, ..Call::intent("mine", json!("x")) };
    let error = house.execute(call).await.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::UnknownIntent);
    assert!(!error.failure.message.contains("sort"), "{}", error.failure.message);
    sleep(Duration::from_millis(1)).await;
}
