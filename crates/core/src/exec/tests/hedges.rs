//! Hedges, told as transcripts: what becomes of one that nobody was asked for.

use std::sync::Arc;

use super::scenarios::{START, World, check, check_end, ms, world};
use crate::{Candidate, Decision, Disposition, ErrorCode, Event, Exec, Finish, LaneId, Lanes, ModelId, Observation};

/// Of gpt it is known that it is fast; its calls paid for a hedge.
fn hedged<const N: usize>(models: [(&'static str, &'static str); N]) -> World {
    let hedged = world(models).history(0, 20, None, 100).policy(|p| (p.hedge_share, p.retries) = (1.0, 0));
    hedged.paid(0)
}

#[test]
fn one_that_does_not_fit_may_still_be_the_fallback() {
    check(
        hedged([("gpt", "transient@400"), ("claude", "over_budget@0; pass@100")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 100
          100   woke
          100 start 1 claude Hedge within 1895 ms
          100 wait until 1995
          100   1 failed, OverBudget
          100 wait until 1995
          400   0 failed, Transient
          400 start 2 claude Fallback within 1595 ms
          400 wait until 1995
          500   2 answered, Pass
          500 commit 2
          500 done: 2 answered, verified
        ",
    );
}

/// It is refused because of what the other one holds, which is given back when that one ends.
#[test]
fn so_may_one_that_is_the_last_hope_when_it_turns_out_not_to_fit() {
    check(
        hedged([("gpt", "transient@200"), ("claude", "over_budget@150; pass@100")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 100
          100   woke
          100 start 1 claude Hedge within 1895 ms
          100 wait until 1995
          200   0 failed, Transient
          200 wait until 1995
          250   1 failed, OverBudget
          250 start 2 claude Fallback within 1745 ms
          250 wait until 1995
          350   2 answered, Pass
          350 commit 2
          350 done: 2 answered, verified
        ",
    );
    // In its turn it is refused for good, and other keys of its model with it.
    let refused = hedged([("gpt", "fail@200"), ("claude", "over_budget@150; over_budget@0")]);
    check_end(refused, "250 done: all_candidates_failed");
}

fn of(model: &str, lane: u32, key: Option<u32>) -> Candidate {
    Candidate { model: ModelId::new(model), lane: LaneId(lane), key, timeout: ms(60_000), price: None }
}

fn seen(failed: Option<Disposition>, elapsed: u64) -> Observation {
    let (elapsed, budget) = (ms(elapsed), ms(1000));
    Observation { failed, elapsed, budget, stream: false, first_token: None, breach: None, call: None }
}

/// A probe says that the request itself is wrong: who is asked already may answer, and nobody else is asked.
#[test]
fn nobody_hedges_a_request_that_is_wrong() {
    let candidates: Arc<[Candidate]> = Arc::from([of("down", 0, None), of("gpt", 1, None), of("claude", 2, None)]);
    let mut lanes = Lanes::new(3);
    let before = START - ms(6000);
    (0..8).for_each(|_| lanes.observe(LaneId(0), before, &seen(Some(Disposition::Transient), 0)));
    (0..20).for_each(|_| lanes.observe(LaneId(1), START, &seen(None, 100)));
    lanes.called(LaneId(1), 1.0);
    let mut exec = Exec::new(hedged([("gpt", "")]).policy, candidates, 7);
    let mut at = |after, event| exec.step(START + ms(after), event, &mut lanes);
    assert!(matches!(at(0, Event::Woke), Decision::Start(probe) if probe.candidate == 0));
    assert!(matches!(at(0, Event::Woke), Decision::Start(main) if main.candidate == 1));
    assert!(matches!(at(0, Event::Woke), Decision::Wait(_)));
    let wrong = Event::Failed { attempt: 0, disposition: Disposition::CallersFault };
    assert!(matches!(at(50, wrong), Decision::Wait(_)));
    let slow = at(150, Event::Woke);
    assert!(matches!(slow, Decision::Wait(_)), "{slow:?}");
    let ended = at(200, Event::Failed { attempt: 1, disposition: Disposition::Transient });
    assert_eq!(ended, Decision::Done(Finish::Failed { code: ErrorCode::UpstreamRejected, retry_after: None }));
}

/// What another key of its model said meanwhile holds for it, too.
#[test]
fn one_of_whose_model_enough_is_known_is_not_asked_again() {
    let candidates: Arc<[Candidate]> = Arc::from([of("gpt", 0, Some(1)), of("gpt", 1, Some(2)), of("claude", 2, None)]);
    let mut lanes = Lanes::new(3);
    (0..20).for_each(|_| lanes.observe(LaneId(0), START, &seen(None, 100)));
    (0..20).for_each(|_| lanes.observe(LaneId(1), START, &seen(None, 100)));
    lanes.called(LaneId(0), 1.0);
    let policy = hedged([("gpt", "")]).policy;
    let mut exec = Exec::new(policy, candidates, 7);
    let mut at = |after, event| exec.step(START + ms(after), event, &mut lanes);
    assert!(matches!(at(0, Event::Woke), Decision::Start(first) if first.candidate == 0));
    assert!(matches!(at(0, Event::Woke), Decision::Wait(_)));
    assert!(matches!(at(100, Event::Woke), Decision::Start(hedge) if hedge.candidate == 1));
    let failed = |attempt, disposition| Event::Failed { attempt, disposition };
    assert!(matches!(at(150, failed(0, Disposition::BadAnswer)), Decision::Wait(_)));
    let next = at(200, failed(1, Disposition::OverBudget));
    assert!(matches!(next, Decision::Start(last) if last.candidate == 2), "{next:?}");
    let ended = at(300, failed(2, Disposition::BadAnswer));
    let none = Decision::Done(Finish::Failed { code: ErrorCode::NoAcceptableAnswer, retry_after: None });
    assert_eq!(ended, none, "its budget is not why");
}

/// Its lane took a place away with the refusal, and another call has the last one.
#[test]
fn a_retry_of_one_waits_for_a_place_as_any_does() {
    let busy = || {
        hedged([("gpt", "fail@150"), ("claude", "429@100; pass@50")]).policy(|p| p.retries = 1).busy(
            1,
            5,
            [(50, None), (700, None)],
        )
    };
    let transcript = busy().transcript();
    assert!(transcript.contains("queue at claude"), "{transcript}");
    check_end(busy(), "750 done: 2 answered, verified");
}
