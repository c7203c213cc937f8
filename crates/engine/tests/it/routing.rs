//! Routing: what labels, latencies, budgets and sessions make of the order, and what the record says.

use baton_core::{Basis, NanoUsd, Record, RouteStanding};
use baton_engine::Call;
use serde_json::json;

use crate::house::{House, Open, sort, within};
use crate::models::Says;

/// `a` costs twice what `b` does, whose price the house sets.
const PRICES: &str = r#"
[providers.sim]
kind = "simulated"
scenario = "scenario.toml"
[models.a]
id = "sim/a"
price = { input = "10 USD/M", output = "20 USD/M" }
[models.b]
id = "sim/b"
price = { input = "1 USD/M", output = "2 USD/M" }
"#;

fn policy(route: &str, more: &str) -> String {
    format!(
        "models = [\"a\", \"b\"]\nroute = \"{route}\"\n[labels]\nbilling = \"money\"\nbug = \"broken\"\n[objective]\n\
         quality = 0.8\nlatency_ms = 1000\n[review]\nper_day = 100000\ndouble = 0\n{more}"
    )
}

fn house(route: &str, more: &str) -> Open {
    House::sort(&policy(route, more)).with("baton.toml", PRICES).open()
}

/// So many calls of `sort` of one model, and a reviewer's word on each.
async fn known(house: &Open, model: &str, count: usize) {
    let before = house.records().len();
    for n in 0..count {
        let config = json!({ "models": [model], "cacheTTL": 0 });
        house.execute(within(sort(&format!("{model} {n}")), config)).await.unwrap();
    }
    house.review(&house.records()[before..]).await;
}

async fn asked(house: &Open, call: Call) -> (String, Record) {
    let answer = house.execute(call).await.unwrap();
    (answer.answer.model.clone().unwrap().to_string(), house.records().pop().unwrap())
}

fn right(house: &Open) {
    for model in ["a", "b"] {
        house.models.say(model, &[Says::Text(3, "bug")]);
    }
}

#[tokio::test(start_paused = true)]
async fn cheapest_is_as_written_and_says_so_until_there_is_evidence() {
    let house = house("cheapest", "[routing]\nexplore = 0\n");
    right(&house);
    let (model, record) = asked(&house, sort("it broke")).await;
    let route = record.route.unwrap();
    assert_eq!((model.as_str(), route.basis), ("sim/a", Basis::NoEvidence));
    let says = "first in the intent's order: there is no evidence yet to route `cheapest` by";
    assert_eq!(record.reason.as_deref(), Some(says));
    known(&house, "a", 40).await;
    // `b` is cheaper, and nobody knows how good it is.
    assert_eq!(asked(&house, sort("again")).await.0, "sim/a");
    known(&house, "b", 40).await;
    let (model, record) = asked(&house, sort("and again")).await;
    let route = record.route.unwrap();
    assert_eq!((model.as_str(), route.basis), ("sim/b", Basis::Cheapest));
    assert!(record.reason.unwrap().starts_with("the cheapest whose quality is known to reach 0.800 (quality "));
    let [first, second] = route.candidates.as_slice() else { panic!("{route:?}") };
    assert_eq!((first.standing, second.standing), (RouteStanding::Above, RouteStanding::Above));
    assert!(first.cost.unwrap() < second.cost.unwrap() && first.cost.unwrap() > NanoUsd(0), "{route:?}");
    assert_eq!((first.propensity, second.propensity, first.in_time), (1.0, 0.0, Some(1.0)));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_turns_bad_is_left_and_nothing_of_another_team_counts() {
    let house = house("cheapest", "[routing]\nexplore = 0\n");
    right(&house);
    known(&house, "a", 60).await;
    known(&house, "b", 60).await;
    assert_eq!(asked(&house, sort("one")).await.0, "sim/b");
    let other = crate::house::of_team(sort("one"), "other");
    assert_eq!(asked(&house, other).await.1.route.unwrap().basis, Basis::NoEvidence);
    house.models.say("b", &[Says::Text(3, "billing")]);
    known(&house, "b", 30).await;
    let (model, record) = asked(&house, sort("two")).await;
    assert_eq!((model.as_str(), record.route.unwrap().dual > 0.0), ("sim/a", true));
}

#[tokio::test(start_paused = true)]
async fn who_is_too_slow_for_the_deadline_or_too_dear_for_the_day_is_not_first() {
    let house = house("cheapest", "[routing]\nexplore = 0\n");
    right(&house);
    house.models.say("b", &[Says::Text(300, "bug")]);
    known(&house, "a", 40).await;
    known(&house, "b", 40).await;
    assert_eq!(asked(&house, sort("one")).await.0, "sim/b");
    let hurried = within(sort("two"), json!({ "maxLatencyMs": 200 }));
    let (model, record) = asked(&house, hurried).await;
    let late = record.route.unwrap().candidates[1].in_time.unwrap();
    assert_eq!((model.as_str(), late < 0.1), ("sim/a", true), "{late}");
}

#[tokio::test(start_paused = true)]
async fn fastest_goes_by_what_was_measured() {
    let house = house("fastest", "[routing]\nexplore = 0\n");
    house.models.say("a", &[Says::Text(50, "bug")]);
    house.models.say("b", &[Says::Text(5, "bug")]);
    assert_eq!(asked(&house, sort("one")).await.1.route.unwrap().basis, Basis::NoEvidence);
    for model in ["a", "b"] {
        for n in 0..8 {
            let config = json!({ "models": [model], "cacheTTL": 0 });
            house.execute(within(sort(&format!("{model} {n}")), config)).await.unwrap();
        }
    }
    let (model, record) = asked(&house, sort("two")).await;
    assert_eq!((model.as_str(), record.route.unwrap().basis), ("sim/b", Basis::Fastest));
    assert_eq!(record.reason.as_deref(), Some("the fastest (half of its answers take at most 5 ms)"));
}

#[tokio::test(start_paused = true)]
async fn weights_are_kept_to_and_sessions_stay() {
    let house = house("weighted", "[routing]\nsticky = true\n[routing.weights]\na = 3\nb = 1\n");
    right(&house);
    let mut firsts = [0, 0];
    for n in 0..400 {
        let (model, record) = asked(&house, sort(&format!("ticket {n}"))).await;
        let first = usize::from(model == "sim/b");
        firsts[first] += 1;
        let propensity = record.route.unwrap().candidates[0].propensity;
        assert!((propensity - [0.75, 0.25][first]).abs() < 1e-12, "{propensity}");
    }
    assert!((80..120).contains(&firsts[1]), "{firsts:?}");
    let mut seen = std::collections::BTreeSet::new();
    for session in 0..12 {
        let of = |n: usize| Call { session: Some(format!("s{session}")), ..sort(&format!("{session} {n}")) };
        let first = asked(&house, of(0)).await.0;
        for n in 1..5 {
            assert_eq!(asked(&house, of(n)).await.0, first);
        }
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_budget_steers_before_it_refuses() {
    let dear = PRICES.replace("10 USD/M", "1000 USD/M").replace("20 USD/M", "1000 USD/M");
    let more = "[routing]\nexplore = 0\n[budget]\nusd_per_day = 50\n[params]\nmax_tokens = 5\n";
    let house = House::sort(&policy("fastest", more)).with("baton.toml", &dear).open();
    right(&house);
    house.models.say("b", &[Says::Text(30, "bug")]);
    known(&house, "a", 10).await;
    known(&house, "b", 10).await;
    let mut firsts = Vec::new();
    for n in 0..100 {
        let (model, record) = asked(&house, sort(&format!("ticket {n}"))).await;
        let over = record.route.unwrap().candidates.iter().any(|one| one.model.as_str() == "sim/a" && one.over_pace);
        assert_eq!((model == "sim/b", record.attempts.len()), (over, 1));
        firsts.push(model);
    }
    assert_eq!((firsts[0].as_str(), firsts[99].as_str()), ("sim/a", "sim/b"));
    let spent: NanoUsd = house.records().iter().map(|record| record.cost).sum();
    assert!(spent < NanoUsd(5_500_000_000), "a tenth of the day's money, and a little: {spent}");
}

#[tokio::test(start_paused = true)]
async fn explaining_asks_nobody_and_refuses_what_a_call_would_be_refused() {
    let house = house("cheapest", "");
    right(&house);
    let told = house.orchestrator.explain(&sort("it broke")).unwrap();
    assert_eq!((told.basis, house.models.asked().len(), house.records().len()), (Basis::NoEvidence, 0, 0));
    let refused = house.orchestrator.explain(&within(sort("x"), json!({ "maxLatencyMs": 1001 }))).unwrap_err();
    assert_eq!(refused.param.as_deref(), Some("/config/maxLatencyMs"));
    assert!(house.orchestrator.explain(&Call::intent("none", json!(1))).is_err());
}
