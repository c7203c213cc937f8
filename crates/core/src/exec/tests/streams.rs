//! The limits of streams, before and after the commit.

use std::time::Duration;

use super::scenarios::{START, check, check_end, ms, stream, world};
use crate::{BreakerState, Commit, Decision, Event, Exec, LaneId, Lanes, Policy, StreamLimits};

/// Commits at the second piece; half a second to the first token, 300 ms between pieces, and from the
/// first on ten bytes in each second.
fn limited(p: &mut Policy) {
    stream(p);
    p.stream = Some(StreamLimits {
        first_token: ms(500),
        idle: ms(300),
        total: Duration::from_secs(10),
        bytes_per_second_min: 10,
        grace: Duration::from_secs(1),
    });
}

#[test]
fn without_a_first_token_in_time_the_next_is_asked() {
    check(
        world([("gpt", "hang"), ("claude", "read/9@100 read/90@200 pass@300")]).policy(limited),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 500
          500   woke
          500 cancel 0 Slow: no first token within 500 ms
          500 start 1 claude Fallback within 1495 ms
          500 wait until 1000
          600   1 has 1 chunks
          600 wait until 900
          700   1 has 1 chunks
          700 wait until 1000
          800   1 answered, Pass
          800 commit 1
          800 done: 1 answered, verified
        ",
    );
}

#[test]
fn silence_before_the_commit_falls_back_and_after_it_breaks_the_stream() {
    check(
        world([("gpt", "chunks/1@100"), ("claude", "pass@10")]).policy(limited),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 500
          100   0 has 1 chunks
          100 wait until 400
          400   woke
          400 cancel 0 Slow: its stream was silent for 300 ms
          400 start 1 claude Fallback within 1595 ms
          400 wait until 900
          410   1 answered, Pass
          410 commit 1
          410 done: 1 answered, verified
        ",
    );
    check(
        world([("gpt", "chunks/2@100 chunks/3@400"), ("claude", "pass@10")]).policy(limited),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 500
          100   0 has 2 chunks
          100 commit 0
          100 wait until 400
          400   0 has 3 chunks
          400 wait until 700
          700   woke
          700 cancel 0 Slow: its stream was silent for 300 ms
          700 done: 0 broken, stream_interrupted
        ",
    );
}

#[test]
fn a_trickle_is_under_the_floor_once_its_grace_is_over() {
    let trickle = "chunks/2@100 read/3@350 read/4@600 read/5@850 read/6@1100 pass@1200";
    check_end(world([("gpt", trickle)]).policy(limited), "1100 done: 0 broken, stream_interrupted");
    let enough = "chunks/2@100 read/3@350 read/4@600 read/10@850 read/11@1100 pass@1200";
    check_end(world([("gpt", enough)]).policy(limited), "1200 done: 0 answered, verified");
    let none = |p: &mut Policy| {
        limited(p);
        p.stream = p.stream.map(|limits| StreamLimits { bytes_per_second_min: 0, ..limits });
    };
    check_end(world([("gpt", trickle)]).policy(none), "1200 done: 0 answered, verified");
}

#[test]
fn a_gated_stream_is_limited_like_any_other() {
    let gated = |p: &mut Policy| {
        limited(p);
        p.commit = Commit::AtVerdict;
    };
    let silent = world([("gpt", "chunks/2@100"), ("claude", "pass@10")]).policy(gated);
    check_end(silent, "410 done: 1 answered, verified");
}

#[test]
fn strict_limits_of_one_team_do_not_keep_others_away() {
    for (first_token, opens) in [(50, false), (1000, true)] {
        let strict = |p: &mut Policy| {
            limited(p);
            p.stream = p.stream.map(|limits| StreamLimits { first_token: ms(first_token), ..limits });
        };
        let world = world([("gpt", "hang")]).policy(strict);
        let (mut lanes, candidates) = (Lanes::new(1), [world.models[0].0.clone()]);
        for seed in 0..12 {
            let (mut exec, mut now) = (Exec::new(world.policy.clone(), candidates.clone().into(), seed), START);
            loop {
                match exec.step(now, Event::Woke, &mut lanes) {
                    Decision::Wait(until) => now = until,
                    Decision::Done(_) => break,
                    _ => {}
                }
            }
        }
        assert_eq!(lanes.breaker(LaneId(0)) != BreakerState::Closed, opens, "{first_token} ms");
    }
}
