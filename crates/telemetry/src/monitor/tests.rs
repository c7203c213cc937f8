//! Looks and records in, notices out.

use baton_core::{ErrorCode, Failure, Status};

use super::*;
use crate::fixtures::{START_US, check, house, record};

fn look() -> Look {
    Look { version: "abcd1234".into(), ..Look::default() }
}

fn told(monitor: &mut Monitor, look: Look) -> Vec<String> {
    let snapshot = (house().snapshot)();
    let notices = monitor.look(START_US, &snapshot, look);
    notices.iter().map(|notice| format!("{} {}", notice.kind, notice.data)).collect()
}

#[test]
fn each_thing_is_told_when_it_begins_and_when_it_ends() {
    let mut monitor = Monitor::default();
    assert_eq!(told(&mut monitor, look()), Vec::<String>::new());
    let bad = Look { open: BTreeSet::from(["a/x".into()]), journal: JournalLook::Refusing, refused: true, ..look() };
    let begun =
        [r#"breaker.opened {"model":"a/x"}"#, "journal.refusing {}", r#"configuration.refused {"inForce":"abcd1234"}"#];
    assert_eq!(told(&mut monitor, bad.clone()), begun);
    assert_eq!(told(&mut monitor, bad), Vec::<String>::new());
    let ended = [
        r#"breaker.closed {"model":"a/x"}"#,
        "journal.recovered {}",
        r#"configuration.accepted {"inForce":"abcd1234"}"#,
    ];
    assert_eq!(told(&mut monitor, look()), ended);
    let dropping = Look { journal: JournalLook::DroppingContent, ..look() };
    assert_eq!(told(&mut monitor, dropping), ["journal.dropping_content {}"]);
}

#[test]
fn a_budget_is_told_at_80_and_100_percent_once_a_period() {
    let mut monitor = Monitor::default();
    let mut spent = |period: &str, used: i64| -> Vec<String> {
        let (of, limit) = ("team support".to_owned(), NanoUsd(1_000_000_000));
        let budgets = vec![BudgetUse { of, period: period.into(), used: NanoUsd(used), limit }];
        let told = told(&mut monitor, Look { budgets, ..look() });
        told.iter()
            .map(|told| told.split("\"percent\":").nth(1).unwrap()[..3].trim_end_matches(',').to_owned())
            .collect()
    };
    let nothing: Vec<String> = Vec::new();
    assert_eq!(spent("mon", 799_999_999), nothing);
    assert_eq!(spent("mon", 800_000_000), ["80"]);
    assert_eq!(spent("mon", 700_000_000), nothing);
    assert_eq!(spent("mon", 900_000_000), nothing);
    assert_eq!(spent("mon", 1_000_000_000), ["100"]);
    assert_eq!(spent("tue", 0), nothing);
    assert_eq!(spent("tue", 1_200_000_000), ["80", "100"]);
}

#[test]
fn a_models_end_is_told_at_each_stage_once() {
    let mut monitor = Monitor::default();
    let snapshot = (house().snapshot)();
    let mut told = |today: &str, on: Option<&str>| -> Vec<String> {
        let on = on.map(|day| day.parse().unwrap());
        let retiring = vec![Retiring { model: "a/x".into(), intents: vec!["i".into()], on }];
        let now_us = today.parse::<Day>().unwrap().start_us();
        let notices = monitor.look(now_us, &snapshot, Look { retiring, ..look() });
        notices.iter().map(|notice| format!("{} {}", notice.kind, notice.data["on"])).collect()
    };
    let nothing: Vec<String> = Vec::new();
    assert_eq!(told("2026-01-01", Some("2026-06-01")), nothing);
    assert_eq!(told("2026-03-03", Some("2026-06-01")), [r#"model.retiring "2026-06-01""#]);
    assert_eq!(told("2026-05-01", Some("2026-06-01")), nothing);
    assert_eq!(told("2026-05-02", Some("2026-06-01")), [r#"model.retiring "2026-06-01""#]);
    assert_eq!(told("2026-06-02", Some("2026-06-01")), [r#"model.retired "2026-06-01""#]);
    assert_eq!(told("2026-07-01", Some("2026-06-01")), nothing);
    assert_eq!(told("2026-07-01", Some("2026-07-20")), [r#"model.retiring "2026-07-20""#]);
    assert_eq!(told("2026-07-01", None), ["model.deprecated null"]);
}

#[test]
fn a_models_end_is_said_with_its_day() {
    let says = |on: Option<&str>| {
        let on = on.map(|day| day.parse().unwrap());
        let retiring = Retiring { model: "a/x".into(), intents: vec!["i".into(), "j".into()], on };
        retiring.says("2026-05-31".parse().unwrap())
    };
    assert_eq!(says(Some("2026-06-02")), "`a/x`, used by i, j, is to be turned off on 2026-06-02 or later: in 2 days");
    assert_eq!(says(Some("2026-05-31")), "`a/x`, used by i, j, was to be turned off on 2026-05-31 or later");
    assert_eq!(says(None), "`a/x`, used by i, j, is deprecated by its vendor");
}

fn ended(code: ErrorCode) -> Record {
    let mut record = record();
    record.status = Status::Failed;
    record.error = Some(Failure::new(code, "x"));
    record
}

#[test]
fn what_misses_latency_and_what_misses_quality() {
    assert_eq!(missed(&record()), Some([false, false]));
    assert_eq!(missed(&ended(ErrorCode::DeadlineExceeded)), Some([true, false]));
    assert_eq!(missed(&ended(ErrorCode::AllCandidatesFailed)), Some([true, false]));
    assert_eq!(missed(&ended(ErrorCode::NoAcceptableAnswer)), Some([false, true]));
    for code in [ErrorCode::InputInvalid, ErrorCode::RateLimit, ErrorCode::UpstreamRejected, ErrorCode::InvalidKey] {
        assert_eq!(missed(&ended(code)), None, "{code:?}");
    }
    let mut substitute = record();
    substitute.via = Some(Via::Default);
    assert_eq!(missed(&substitute), Some([false, true]));
    let mut signalled = record();
    signalled.attempts[0].checks = vec![check("length", false)];
    assert_eq!(missed(&signalled), Some([false, true]));
    let mut late = record();
    (late.stream, late.duration_us) = (false, late.deadline_us + 1);
    assert_eq!(missed(&late), Some([true, false]));
    let mut gone = record();
    gone.status = Status::Cancelled;
    assert_eq!(missed(&gone), None);
}

#[test]
fn an_intent_that_is_gone_is_not_watched() {
    let mut monitor = Monitor::default();
    for _ in 0..100 {
        monitor.saw(&ended(ErrorCode::DeadlineExceeded));
    }
    assert_eq!(monitor.burns.len(), 1);
    // The house of these tests has no intents.
    assert_eq!(told(&mut monitor, look()), Vec::<String>::new());
    assert_eq!(monitor.burns.len(), 0);
}
