//! Asking in turn: an answer is held while another model is asked, and what they agree in is given.

use std::time::Duration;

use baton_core::{Account, AttemptKind, AttemptOutcome, ErrorCode, NanoUsd, Status, Via};
use baton_engine::Call;
use futures_util::future::join;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::house::{House, Open, read, settle, sort, within};
use crate::models::Says;
use crate::review::with_tool;

/// `c` costs ten times what the others do.
const BATON: &str = r#"
[providers.sim]
kind = "simulated"
scenario = "scenario.toml"
[models.a]
id = "sim/a"
price = { input = "1 USD/M", output = "1 USD/M" }
[models.b]
id = "sim/b"
price = { input = "1 USD/M", output = "1 USD/M" }
[models.c]
id = "sim/c"
price = { input = "10 USD/M", output = "10 USD/M" }
"#;

const SORT: &str = r#"
models = ["a", "b", "c"]
route = "cascade"
[routing]
right_usd = 0.04
[labels]
billing = "money"
bug = "broken"
how-to = "asks how"
[objective]
latency_ms = 1000
[retry]
max = 0
[cache]
ttl = "10s"
"#;

/// `a` is right in seven of nine cases, `b` in six, `c` in all; what they say is said after 3 ms.
fn house(words: [&'static str; 3]) -> Open {
    says(words.map(|word| Says::Text(3, word)))
}

fn says(says: [Says; 3]) -> Open {
    with("", says.map(|says| vec![says]))
}

/// With more in its policy, and what each says one after the other.
pub(crate) fn with(more: &str, says: [Vec<Says>; 3]) -> Open {
    let policy = format!("{SORT}{more}");
    let of = |policy: &str| House::sort(policy).with("baton.toml", BATON);
    let snapshot = of(&policy).snapshot();
    let answer = &snapshot.intents.values().next().unwrap().hashes.answer[..16];
    let models: Vec<Value> = ["a", "b", "c"]
        .map(|model| json!({ "model": format!("sim/{model}"), "inputTokens": 1000, "outputTokens": 0 }))
        .into();
    let right = json!({ "111": 100, "101": 40, "011": 20, "001": 20 });
    let together = json!({ "answer": answer, "models": models, "right": right });
    let house = of(&policy).with("intents/sort/cascade.json", &together.to_string()).open();
    for (model, says) in ["a", "b", "c"].into_iter().zip(says) {
        house.models.say(model, &says);
    }
    house
}

fn ends(house: &Open) -> Vec<(AttemptKind, AttemptOutcome)> {
    let [record] = <[_; 1]>::try_from(house.records()).unwrap();
    record.attempts.iter().map(|attempt| (attempt.kind, attempt.outcome)).collect()
}

fn label(name: &str) -> Value {
    json!({ "label": name })
}

#[tokio::test(start_paused = true)]
async fn where_two_agree_a_third_is_not_asked() {
    let house = house(["bug", "bug", "billing"]);
    let delivered = house.execute(sort("it broke")).await.unwrap();
    assert_eq!((&delivered.answer.output, delivered.answer.via), (&label("bug"), Via::Model));
    assert_eq!(delivered.answer.reason.as_deref(), Some("2 of 2 who answered in turn agree: sim/a, sim/b"));
    assert_eq!((house.models.order(), house.now_ms()), (vec!["a".into(), "b".into()], 6));
    let (primary, escalation) = (AttemptKind::Primary, AttemptKind::Escalation);
    assert_eq!(ends(&house), [(primary, AttemptOutcome::Passed), (escalation, AttemptOutcome::Held)]);
    // Both are paid for.
    let [record] = <[_; 1]>::try_from(house.records()).unwrap();
    let each: Vec<NanoUsd> = record.attempts.iter().map(|attempt| attempt.cost.unwrap()).collect();
    assert!(each.iter().all(|cost| *cost > NanoUsd(0)) && record.cost == each.into_iter().sum());
    assert_eq!(record.route.unwrap().to_string(), "the first of those who are asked in turn");
    // What is remembered is what was given.
    let again = house.execute(sort("it broke")).await.unwrap();
    assert_eq!((&again.answer.output, again.answer.via), (&label("bug"), Via::CacheExact));
}

#[tokio::test(start_paused = true)]
async fn where_they_differ_the_dear_one_is_asked_and_the_likelier_answer_is_given() {
    for (says, given, reason) in [
        (["bug", "billing", "billing"], "billing", "2 of 3 who answered in turn agree: sim/b, sim/c"),
        (["bug", "billing", "bug"], "bug", "2 of 3 who answered in turn agree: sim/a, sim/c"),
        // It is always right, as far as is known.
        (["bug", "billing", "how-to"], "how-to", "of 3 who answered in turn sim/c is the likeliest to be right"),
    ] {
        let house = house(says);
        let delivered = house.execute(sort("it broke")).await.unwrap();
        assert_eq!(delivered.answer.output, label(given));
        assert_eq!(delivered.answer.reason.as_deref(), Some(reason));
        assert_eq!(house.models.order(), ["a", "b", "c"]);
        let passed = ends(&house).iter().filter(|(_, end)| *end == AttemptOutcome::Passed).count();
        assert_eq!(passed, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_given_where_nobody_else_is_heard() {
    for b in [Says::Status(3, 500), Says::Text(3, "I would rather not say."), Says::Hangs] {
        let house = says([Says::Text(3, "bug"), b, Says::Text(3, "billing")]);
        let delivered = house.execute(sort("it broke")).await.unwrap();
        assert_eq!(delivered.answer.output, label("bug"));
        assert!(house.now_ms() <= 1000 && house.models.open() == 0, "at {} ms", house.now_ms());
        assert!(!house.models.order().contains(&"c".to_owned()), "{:?}", house.models.order());
        let reason = delivered.answer.reason.as_deref().unwrap();
        assert!(reason.starts_with("asked in turn, sim/a alone answered; sim/b "), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_answers_in_the_firsts_place_is_held_as_it_would_be() {
    let house = house(["no idea", "bug", "bug"]);
    let delivered = house.execute(sort("it broke")).await.unwrap();
    assert_eq!(delivered.answer.output, label("bug"));
    let first = (AttemptKind::Primary, AttemptOutcome::BadAnswer);
    assert_eq!((ends(&house)[0], ends(&house)[1].0), (first, AttemptKind::Fallback));
    // As in the cases: who gave no answer was asked, and stands against it.
    assert_eq!(house.models.order(), ["a", "b", "c"]);
    let house = self::house(["no idea", "neither", "nor I"]);
    let error = house.execute(sort("it broke")).await.unwrap_err();
    assert_eq!(error.failure.code, ErrorCode::NoAcceptableAnswer);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_names_models_is_answered_by_the_first() {
    let house = house(["bug", "billing", "billing"]);
    house.execute(within(sort("it broke"), json!({ "models": ["c", "a"] }))).await.unwrap();
    assert_eq!(house.models.order(), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_when_it_is_known_who_is_given() {
    let house = house(["bug", "billing", "billing"]);
    let call = Call { stream: true, ..sort("it broke") };
    let read = read(house.orchestrator.start(call).events).await;
    assert_eq!(read, ["start sim/b", "billing", "end model"]);
    assert_eq!(house.now_ms(), 9);
}

#[tokio::test(start_paused = true)]
async fn without_evidence_it_is_as_written() {
    let house = House::sort(SORT).with("baton.toml", BATON).open();
    house.models.say("a", &[Says::Text(3, "bug")]);
    let delivered = house.execute(sort("it broke")).await.unwrap();
    assert_eq!(house.models.order(), ["a"]);
    let reason = delivered.answer.reason.as_deref().unwrap();
    assert_eq!(reason, "first in the intent's order: there is no evidence yet to route `cascade` by");
}

#[tokio::test(start_paused = true)]
async fn a_call_with_tools_is_answered_as_written_and_says_so() {
    let house = house(["bug", "billing", "billing"]);
    let delivered = house.execute(with_tool(sort("it broke"))).await.unwrap();
    assert_eq!((&delivered.answer.output, house.models.order()), (&label("bug"), vec!["a".into()]));
    let [record] = <[_; 1]>::try_from(house.records()).unwrap();
    assert!(record.route.is_none(), "{:?}", record.route);
    assert_eq!(record.reason.as_deref(), Some("first in the intent's order"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_an_answer_is_held_gets_none_and_all_is_paid_for() {
    let house = with("[budget]\nusd_per_day = 1\n", [vec![Says::Text(3, "bug")], vec![Says::Hangs], vec![]]);
    let execution = house.orchestrator.start(sort("it broke"));
    sleep(Duration::from_millis(20)).await;
    drop(execution.events);
    settle().await;
    assert_eq!((house.models.open(), house.orchestrator.running()), (0, 0));
    let [record] = <[_; 1]>::try_from(house.records()).unwrap();
    assert_eq!((record.status, record.via, record.model, record.output), (Status::Cancelled, None, None, None));
    let ends: Vec<AttemptOutcome> = record.attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(ends, [AttemptOutcome::Held, AttemptOutcome::Cancelled]);
    assert!(record.attempts.iter().all(|attempt| attempt.cost.is_some_and(|cost| cost > NanoUsd(0))));
    let states = house.orchestrator.budgets();
    let of_intent = states.iter().find(|state| state.account == Account::Intent("sort".into())).unwrap();
    assert_eq!((of_intent.standing.spent, of_intent.standing.reserved), (record.cost, NanoUsd(0)));
    // Nothing of it is remembered.
    house.models.replace("b", &[Says::Text(3, "billing")]);
    house.models.say("c", &[Says::Text(3, "billing")]);
    assert_eq!(house.execute(sort("it broke")).await.unwrap().answer.output, label("billing"));
}

#[tokio::test(start_paused = true)]
async fn who_has_no_room_in_the_budget_is_not_asked_beside_an_answer_that_is_held() {
    // Room for what `a` and `b` may take at most, and not for `c`.
    let budget = "[params]\nmax_tokens = 100\n[budget]\nusd_per_day = 0.0008\n";
    let text = |word| vec![Says::Text(3, word)];
    let house = with(budget, [text("bug"), text("billing"), text("billing")]);
    let delivered = house.execute(sort("it broke")).await.unwrap();
    assert_eq!(delivered.answer.output, label("bug"));
    let ends: Vec<AttemptOutcome> = ends(&house).into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, [AttemptOutcome::Passed, AttemptOutcome::Held, AttemptOutcome::OverBudget]);
    let [record] = <[_; 1]>::try_from(house.records()).unwrap();
    let states = house.orchestrator.budgets();
    let standing = &states.iter().find(|state| state.account == Account::Intent("sort".into())).unwrap().standing;
    assert_eq!((standing.spent, standing.reserved), (record.cost, NanoUsd(0)));
}

#[tokio::test(start_paused = true)]
async fn a_call_with_less_time_does_not_wait_for_one_that_holds_an_answer() {
    let house = says([Says::Text(3, "bug"), Says::Hangs, Says::Text(3, "billing")]);
    let hurried = async {
        sleep(Duration::from_millis(10)).await;
        house.execute(within(sort("it broke"), json!({ "maxLatencyMs": 200 }))).await
    };
    let (patient, hurried) = join(house.execute(sort("it broke")), hurried).await;
    assert_eq!(patient.unwrap().answer.output, label("bug"));
    assert_eq!(hurried.unwrap().answer.output, label("bug"));
    // With as much time they make one call, and what is held at its end is given to both.
    for b in [Says::Text(3, "bug"), Says::Hangs] {
        let house = says([Says::Text(3, "bug"), b, Says::Text(3, "billing")]);
        let (one, other) = join(house.execute(sort("it broke")), house.execute(sort("it broke"))).await;
        assert_eq!((one.unwrap().answer.via, other.unwrap().answer.via), (Via::Model, Via::Coalesced));
        assert_eq!(house.models.order(), ["a", "b"]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_quality_of_an_answer_is_its_own() {
    // Labels know `a` as always right, and `b` as right in half of the cases.
    let b = |asked: &str| if asked.contains("odd") { "billing" } else { "bug" };
    let review = "[review]\nper_day = 100000\ndouble = 0\n";
    let house = with(review, [vec![Says::Text(3, "bug")], vec![Says::Of(3, b)], vec![Says::Text(3, "bug")]]);
    let alone = |model: &str, ticket: &str| within(sort(ticket), json!({ "models": [model], "cacheTTL": 0 }));
    for n in 0..120 {
        let ticket = format!("ticket {n} {}", if n % 4 < 2 { "even" } else { "odd" });
        house.execute(alone(if n % 2 == 0 { "a" } else { "b" }, &ticket)).await.unwrap();
    }
    house.review(&house.records()).await;
    let quality = async |call: Call| house.execute(call).await.map(|delivered| delivered.answer.quality.score);
    let (of_a, of_b) = (quality(alone("a", "even")).await.unwrap(), quality(alone("b", "even")).await);
    assert!(of_a.is_some() && of_b.as_ref().ok() != Some(&of_a), "{of_a:?} {of_b:?}");
    let given = house.execute(within(sort("even"), json!({ "cacheTTL": 0 }))).await.unwrap();
    assert_eq!((given.answer.model.as_ref().unwrap().as_str(), given.answer.quality.score), ("sim/a", of_a));
}
