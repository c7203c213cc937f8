//! Budgets and rate limits: whoever calls, at the same time or one after the other.

use std::sync::Arc;

use baton_core::{Account, Allowance, AttemptOutcome, ErrorCode, NanoUsd, Record, Status, Via};
use baton_engine::{Call, CallerKey, Orchestrator};
use baton_store::Store;
use futures_util::future::join_all;
use serde_json::json;

use crate::house::{House, Open, SORT, of_team, read, settle, sort, told, write};
use crate::models::{Models, Says};

/// One candidate, no cache, and so much a day.
fn policy(models: &str, budget: &str) -> String {
    format!(
        "models = {models}\n[labels]\nbilling = \"money\"\nbug = \"broken\"\n[params]\nmax_tokens = 40\n[budget]\n{budget}\n"
    )
}

fn spent(house: &Orchestrator, account: &Account) -> (NanoUsd, NanoUsd) {
    let state = house.budgets().into_iter().find(|state| state.account == *account).unwrap();
    (state.standing.spent, state.standing.reserved)
}

fn of_key(mut call: Call, id: &str, allowance: Allowance) -> Call {
    call.caller.key = Some(CallerKey { id: id.into(), allowance });
    call
}

fn cost(records: &[Record]) -> NanoUsd {
    records.iter().map(|record| record.cost).sum()
}

/// What one call of this policy costs.
async fn price_of_one() -> NanoUsd {
    let house = House::sort(&policy("[\"a\"]", "usd_per_day = 1")).open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    house.execute(sort("0")).await.unwrap();
    house.records()[0].cost
}

fn usd(nano: i64) -> String {
    format!("usd_per_day = {}", NanoUsd(nano))
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_cannot_overrun_a_days_money() {
    // Room for what is held by a few at a time, and for nine in the end.
    let limit = 9 * price_of_one().await.0 + 100_000;
    let house = House::sort(&policy("[\"a\"]", &usd(limit))).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    let account = Account::Intent("sort".into());
    let mut served = 0;
    for round in 0..20 {
        let calls = (0..25).map(|n| house.told(sort(&format!("{}", n + round % 2))));
        for end in join_all(calls).await {
            match end {
                Ok((_, via)) => served += usize::from(via == Via::Model),
                Err(code) => assert_eq!(code, ErrorCode::BudgetExhausted),
            }
        }
        let (is, held) = spent(&house.orchestrator, &account);
        assert!(is.0 <= limit && held == NanoUsd(0), "{is} spent, {held} held");
        assert_eq!(is, cost(&house.records()));
    }
    assert_eq!(served, 9);
    let refused = house.orchestrator.budgets()[0].refused;
    assert_eq!(refused, 20 * 25 - 9, "each refusal is counted");
}

#[tokio::test(start_paused = true)]
async fn a_budget_steers_to_a_candidate_that_fits_before_it_refuses() {
    let house =
        House::sort(&policy("[\"a\", \"b\"]", "usd_per_day = 0.0005")).with("baton.toml", &dear_and_cheap()).open();
    house.models.say("b", &[Says::Text(5, "billing")]);
    assert_eq!(house.told(sort("x")).await, Ok((json!({ "label": "billing" }), Via::Model)));
    let record = &house.records()[0];
    let outcomes: Vec<_> = record.attempts.iter().map(|a| (a.outcome, a.cost.is_some())).collect();
    assert_eq!(outcomes, [(AttemptOutcome::OverBudget, false), (AttemptOutcome::Passed, true)]);
    let told = record.attempts[0].error.as_deref().unwrap();
    assert_eq!(told, "intent `sort` may spend 0.0005 USD a day (UTC), and this one alone may cost more");
    assert!(record.reason.as_deref().unwrap().contains("over budget"), "{:?}", record.reason);
    assert_eq!(house.models.order(), ["b"]);
}

fn dear_and_cheap() -> String {
    let model = |name: &str, usd: u32| {
        format!(
            "[models.{name}]\nid = \"sim/{name}\"\nprice = {{ input = \"{usd} USD/M\", output = \"{usd} USD/M\" }}\n"
        )
    };
    let sim = "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n";
    format!("{sim}{}{}[models.free]\nid = \"sim/free\"\n", model("a", 9000), model("b", 1))
}

#[tokio::test(start_paused = true)]
async fn a_model_without_a_price_is_not_asked_where_money_is_limited() {
    let house = House::sort(&policy("[\"free\"]", "usd_per_day = 5")).with("baton.toml", &dear_and_cheap()).open();
    let error = house.execute(sort("x")).await.unwrap_err().failure;
    assert_eq!((error.code, error.retry_after_ms), (ErrorCode::BudgetExhausted, None));
    assert!(error.message.contains("sim/free over budget") && error.message.contains("price is not known"), "{error}");
    let house = House::sort(&policy("[\"free\"]", "calls_per_minute = 5")).with("baton.toml", &dear_and_cheap()).open();
    house.models.say("free", &[Says::Text(0, "bug")]);
    house.execute(sort("x")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_are_limited_by_key_team_and_intent_and_told_when_to_come_back() {
    let house =
        House::sort(SORT).with("baton.toml", &format!("{}[teams.small]\ncalls_per_minute = 3\n", dear_and_cheap()));
    let house = house.open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    let key = Allowance { calls_per_minute: Some(2), ..Allowance::default() };
    let small = |n: u32, id: &str| of_key(of_team(sort(&n.to_string()), "small"), id, key);
    for n in 0..2 {
        house.told(small(n, "one")).await.unwrap();
    }
    let refused = house.execute(small(2, "one")).await.unwrap_err().failure;
    assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::RateLimit, "key one may make 2 calls a minute"));
    assert_eq!(refused.retry_after_ms, Some(61_000), "what is in second 0 counts until second 61");
    house.told(small(3, "two")).await.unwrap();
    assert_eq!(told(house.execute(small(4, "two")).await), Err(ErrorCode::RateLimit), "the team's three are used");
    house.told(of_team(sort("5"), "big")).await.unwrap();
    assert_eq!(house.statuses().iter().filter(|status| **status == Status::Failed).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn hits_and_followers_pay_nothing() {
    let house = House::sort(&format!("{SORT}[budget]\nusd_per_day = 1\n")).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    join_all((0..10).map(|_| house.execute(sort("same")))).await;
    house.execute(sort("same")).await.unwrap();
    let (is, _) = spent(&house.orchestrator, &Account::Intent("sort".into()));
    assert_eq!((is, house.models.order().len()), (cost(&house.records()[..1]), 1));
}

#[tokio::test(start_paused = true)]
async fn a_follower_with_money_is_not_refused_for_its_leader() {
    let house = House::sort(SORT).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    let broke = Allowance { usd_per_day: Some(NanoUsd(0)), ..Allowance::default() };
    let rich = Allowance { usd_per_day: Some(NanoUsd(1_000_000_000)), ..Allowance::default() };
    let calls = [("x", broke), ("y", broke), ("z", broke), ("w", rich)];
    let ends = join_all(calls.map(|(id, allowance)| house.told(of_key(sort("same"), id, allowance)))).await;
    assert!(ends[3].is_ok(), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn tokens_of_a_minute_are_held_and_given_back() {
    let house = House::sort(&policy("[\"a\"]", "tokens_per_minute = 400")).open();
    house.models.say("a", &[Says::Text(20, "bug")]);
    let ends = join_all((0..40).map(|n| house.told(sort(&n.to_string())))).await;
    let served = ends.iter().filter(|end| end.is_ok()).count();
    assert!(ends.iter().all(|end| end.is_ok() || *end == Err(ErrorCode::RateLimit)), "{ends:?}");
    let used: u64 = house.records().iter().map(|r| r.usage.input_tokens + r.usage.output_tokens).sum();
    let state = &house.orchestrator.budgets()[0];
    assert!(served > 0 && used <= 400 && state.standing.tokens == used, "{served} served, {used} tokens, {state:?}");
    let record = house.records().into_iter().find(|record| record.status == Status::Failed).unwrap();
    assert_eq!(record.attempts[0].outcome, AttemptOutcome::Limited);
    assert!(record.error.unwrap().retry_after_ms.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_failed_or_was_cancelled_settles_at_its_record() {
    let house =
        House::write("models = [\"a\", \"b\"]\n[budget]\nusd_per_day = 1\n[objective]\nlatency_ms = 1000\n").open();
    house.models.say("a", &[Says::Status(5, 500), Says::Hangs, Says::Broken(&[(5, "half a text"), (5, " more")])]);
    house.models.say("b", &[Says::Text(5, "fine")]);
    for topic in ["one", "two", "three"] {
        let execution = house.orchestrator.start(write(topic));
        read(execution.events).await;
    }
    let gone = house.orchestrator.start(write("four"));
    settle().await;
    drop(gone);
    house.orchestrator.idle().await;
    let (is, held) = spent(&house.orchestrator, &Account::Intent("write".into()));
    assert_eq!((is, held), (cost(&house.records()), NanoUsd(0)));
    assert!(is.0 > 0 && house.records().len() == 4);
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_give_a_budget_back() {
    let limit = 3 * price_of_one().await.0 + 100_000;
    let (store, models) = (Store::memory(), Models::default());
    models.say("a", &[Says::Text(0, "bug")]);
    let mut served = 0;
    for _ in 0..4 {
        let orchestrator =
            Orchestrator::builder(House::sort(&policy("[\"a\"]", &usd(limit))).snapshot(), store.clone())
                .transport("sim", Arc::new(models.clone()))
                .simulated(7)
                .build()
                .unwrap();
        for n in 0..2 {
            served += usize::from(orchestrator.execute(sort(&n.to_string())).await.is_ok());
        }
    }
    assert_eq!(served, 3);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_was_spent_and_takes_the_new_limit() {
    let one = price_of_one().await.0;
    let house: Open = House::sort(&policy("[\"a\"]", &usd(one + 100_000))).open();
    house.models.say("a", &[Says::Text(0, "bug")]);
    house.execute(sort("1")).await.unwrap();
    assert_eq!(house.told(sort("2")).await, Err(ErrorCode::BudgetExhausted));
    house.orchestrator.reload(House::sort(&policy("[\"a\"]", &usd(2 * one + 100_000))).snapshot()).unwrap();
    house.execute(sort("2")).await.unwrap();
    assert_eq!(house.told(sort("3")).await, Err(ErrorCode::BudgetExhausted));
    let state = &house.orchestrator.budgets()[0];
    assert_eq!((state.standing.spent, state.refused), (NanoUsd(2 * one), 2));
    assert!(state.spent_share().unwrap() > 0.6, "{state:?}");
}
