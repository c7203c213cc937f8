//! Places at lanes, told as transcripts: who passes by, who waits, who is turned away.

use std::sync::Arc;

use super::scenarios::{START, check, ms, world};
use crate::{Candidate, Decision, Disposition, Event, Exec, LaneId, Lanes, Observation};

#[test]
fn where_the_next_has_room_nobody_waits() {
    check(
        world([("gpt", ""), ("claude", "pass@100")]).busy(0, 10, [(5000, None)]),
        "
            0 skip gpt Primary no_room
            0 start 0 claude Fallback within 1995 ms
            0 wait until 1995
          100   0 answered, Pass
          100 commit 0
          100 done: 0 answered, verified
        ",
    );
}

#[test]
fn where_nobody_has_room_it_waits_for_who_is_free_first() {
    let busy = world([("gpt", ""), ("claude", "pass@100")]);
    // Of claude it is known that a place is held for 50 ms, of gpt for 800 ms.
    let busy = busy.history(0, 1, None, 800).history(1, 1, None, 50);
    check(
        busy.busy(0, 10, [(5000, None)]).busy(1, 10, [(300, None)]),
        "
            0 skip gpt Primary no_room
            0 queue at claude
            0 wait until 1995
          300   woke
          300 start 0 claude Fallback within 1695 ms
          300 wait until 1995
          400   0 answered, Pass
          400 commit 0
          400 done: 0 answered, verified
        ",
    );
}

#[test]
fn a_wait_that_leaves_no_time_for_an_answer_is_refused_at_once() {
    check(
        world([("gpt", "")]).history(0, 8, None, 1200).busy(0, 10, [(5000, None)]),
        "
            0 skip gpt Primary no_room
            0 done: deadline_unreachable, retry after 405 ms
        ",
    );
}

#[test]
fn a_place_that_comes_too_late_is_not_waited_for() {
    // Nine of ten answers take 700 ms, a place comes free that often, and this time it does not.
    check(
        world([("gpt", "")]).history(0, 8, None, 700).busy(0, 10, [(1400, None)]),
        "
            0 queue at gpt
            0 wait until 1295
         1295   woke
         1295 skip gpt Primary no_room
         1295 done: deadline_unreachable, retry after 100 ms
        ",
    );
}

#[test]
fn a_full_queue_turns_away() {
    check(
        world([("gpt", "")]).busy(0, 0, [(100, None)]),
        "
            0 skip gpt Primary no_room
            0 done: queue_full, retry after 100 ms
        ",
    );
}

#[test]
fn who_waits_is_sent_away_when_the_lane_goes_down() {
    check(
        world([("gpt", "")]).busy(0, 10, [(200, Some(Disposition::HardDown))]),
        "
            0 queue at gpt
            0 wait until 1995
          200   woke
          200 skip gpt Primary breaker_open
          200 done: all_candidates_failed, retry after 5000 ms
        ",
    );
}

#[test]
fn a_pause_that_the_lane_asks_for_is_waited_out() {
    let limited = Some(Disposition::RateLimited { retry_after: Some(ms(500)) });
    check(
        world([("gpt", "pass@100")]).busy(0, 10, [(200, limited)]),
        "
            0 queue at gpt
            0 wait until 1995
          200   woke
          200 wait until 700
          700   woke
          700 start 0 gpt Primary within 1295 ms
          700 wait until 1995
          800   0 answered, Pass
          800 commit 0
          800 done: 0 answered, verified
        ",
    );
}

#[test]
fn a_lane_that_is_paused_is_waited_for_where_nobody_else_may_answer() {
    let limited = Some(Disposition::RateLimited { retry_after: Some(ms(300)) });
    check(
        world([("gpt", "pass@100")]).history(0, 1, limited, 10),
        "
            0 queue at gpt
            0 wait until 300
          300   woke
          300 start 0 gpt Primary within 1695 ms
          300 wait until 1995
          400   0 answered, Pass
          400 commit 0
          400 done: 0 answered, verified
        ",
    );
    let limited = Some(Disposition::RateLimited { retry_after: Some(ms(9000)) });
    check(
        world([("gpt", "")]).history(0, 1, limited, 10),
        "
            0 skip gpt Primary breaker_open
            0 done: all_candidates_failed, retry after 9000 ms
        ",
    );
}

#[test]
fn a_hedge_never_waits_for_a_place() {
    let hedged = world([("gpt", "pass@900"), ("claude", "")]).policy(|policy| policy.hedge_share = 1.0);
    check(
        hedged.history(0, 8, None, 100).busy(1, 10, [(5000, None)]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 100
          100   woke
          100 wait until 1197
          900   0 answered, Pass
          900 commit 0
          900 done: 0 answered, verified
        ",
    );
}

#[test]
fn who_was_passed_over_gets_its_turn_when_the_others_failed() {
    check(
        world([("gpt", "pass@100"), ("claude", "bad_answer@400")]).busy(0, 10, [(300, None)]),
        "
            0 skip gpt Primary no_room
            0 start 0 claude Fallback within 1995 ms
            0 wait until 1995
          400   0 failed, BadAnswer
          400 start 1 gpt Fallback within 1595 ms
          400 wait until 1995
          500   1 answered, Pass
          500 commit 1
          500 done: 1 answered, verified
        ",
    );
}

#[test]
fn a_pause_that_is_over_does_not_say_when_a_place_comes_free() {
    let limited = Some(Disposition::RateLimited { retry_after: Some(ms(300)) });
    let busy = world([("gpt", "")]).history(0, 8, None, 700).busy(0, 10, [(1900, None)]);
    check(
        busy.history(0, 1, limited, 10),
        "
            0 queue at gpt
            0 wait until 300
          300   woke
          300 wait until 1295
         1295   woke
         1295 skip gpt Primary no_room
         1295 done: deadline_unreachable, retry after 100 ms
        ",
    );
}

#[test]
fn a_fault_of_the_driver_gives_back_what_was_to_go_on_alone() {
    let world = world([("gpt", ""), ("claude", ""), ("llama", "")]);
    let candidates: Arc<[Candidate]> = world.models.iter().map(|(candidate, _)| candidate.clone()).collect();
    let (mut lanes, down) = (Lanes::new(3), START - ms(6000));
    for lane in [LaneId(0), LaneId(1)] {
        lanes.admit(lane, down, &world.policy.who, false);
        let (failed, elapsed) = (Some(Disposition::HardDown), ms(0));
        let seen = Observation {
            failed,
            elapsed,
            budget: ms(1000),
            stream: false,
            first_token: None,
            breach: None,
            call: None,
        };
        lanes.observe(lane, down, &seen);
    }
    let mut exec = Exec::new(world.policy.clone(), candidates, 1);
    while !matches!(exec.step(START, Event::Woke, &mut lanes), Decision::Wait(_)) {}
    let in_use = |lanes: &Lanes| [0, 1, 2].map(|lane| lanes.get(LaneId(lane)).gate().limiter().in_flight());
    assert_eq!(in_use(&lanes), [1, 1, 1], "two probes beside the one that answers");
    let first = exec.step(START, Event::Abandoned, &mut lanes);
    assert!(matches!(first, Decision::Detach { attempt: 0, .. }), "{first:?}");
    exec.give_back(START, &mut lanes);
    assert_eq!(in_use(&lanes), [1, 0, 0], "the first is the driver's");
}
