//! A judge in the path.

use super::scenarios::{World, check, check_end, ms, stream, world};
use crate::{LaneId, Policy, Unproven};

/// Answers without evidence are shown to a judge, which is the last model: nobody asks it for answers.
fn judged<const N: usize>(models: [(&'static str, &'static str); N]) -> World {
    judged_in(models, 0)
}

/// Nine of ten of its verdicts take so long, in ms.
fn judged_in<const N: usize>(models: [(&'static str, &'static str); N], takes: u64) -> World {
    let world = world(models).policy(|p: &mut Policy| {
        p.unproven = Unproven::Judge;
        p.judge = Some(LaneId(u32::try_from(N).unwrap() - 1));
    });
    let mut world = if takes > 0 { world.history(N - 1, 10, None, takes) } else { world };
    world.models.pop();
    world
}

#[test]
fn an_answer_is_given_on_the_judges_word() {
    check(
        judged([("gpt", "undecided@300 judged_pass@500"), ("claude", ""), ("judge", "")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          300   0 answered, Undecided
          300 judge 0 within 1695 ms
          300 wait until 1995
          500   0 judged, Pass
          500 commit 0
          500 done: 0 answered, verified
        ",
    );
    // What evidence speaks for needs no judge.
    check_end(judged([("gpt", "pass@300"), ("judge", "")]), "300 done: 0 answered, verified");
}

#[test]
fn what_the_judge_fails_falls_back() {
    check(
        judged([("gpt", "undecided@300 judged_fail@500"), ("claude", "undecided@100 judged_pass@200"), ("judge", "")]),
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 1197
          300   0 answered, Undecided
          300 judge 0 within 1695 ms
          300 wait until 1995
          500   0 judged, Fail
          500 start 1 claude Fallback within 1495 ms
          500 wait until 1995
          600   1 answered, Undecided
          600 judge 1 within 1395 ms
          600 wait until 1995
          700   1 judged, Pass
          700 commit 1
          700 done: 1 answered, verified
        ",
    );
    let alone = judged([("gpt", "undecided@300 judged_fail@500"), ("judge", "")]);
    check_end(alone, "500 done: no_acceptable_answer");
}

#[test]
fn no_verdict_is_no_fail() {
    check_end(judged([("gpt", "undecided@300 no_verdict@500"), ("judge", "")]), "500 done: 0 answered");
    // Nothing came before the time was up.
    check_end(judged([("gpt", "undecided@300"), ("claude", "pass@1"), ("judge", "")]), "1995 done: 0 answered");
}

#[test]
fn without_time_for_a_verdict_nobody_is_asked_for_one() {
    check(
        judged_in([("gpt", "undecided@1300 judged_fail@1400"), ("judge", "")], 800),
        "
            0 start 0 gpt Primary within 1995 ms
            0 wait until 1995
         1300   0 answered, Undecided
         1300 commit 0
         1300 done: 0 answered
        ",
    );
}

#[test]
fn the_time_for_a_verdict_is_kept_beside_the_fallbacks() {
    let models = [("gpt", "hang"), ("claude", "undecided@100 judged_pass@200"), ("judge", "")];
    check(
        judged_in(models, 300).history(1, 10, None, 200),
        "
            0 start 0 gpt Primary within 1495 ms
            0 wait until 1495
         1495   woke
         1495 cancel 0 Slow
         1495 start 1 claude Fallback within 500 ms
         1495 wait until 1995
         1595   1 answered, Undecided
         1595 judge 1 within 400 ms
         1595 wait until 1995
         1695   1 judged, Pass
         1695 commit 1
         1695 done: 1 answered, verified
        ",
    );
}

#[test]
fn a_hedge_that_passes_ends_the_judgement_of_the_other() {
    let models = [("gpt", "undecided@300 judged_pass@900"), ("claude", "pass@250"), ("judge", "")];
    let hedged = judged(models).history(0, 20, None, 100).policy(|p| p.hedge_share = 1.0);
    check(
        hedged,
        "
            0 start 0 gpt Primary within 1197 ms
            0 wait until 100
          100   woke
          100 start 1 claude Hedge within 1895 ms
          100 wait until 1995
          300   0 answered, Undecided
          300 judge 0 within 1695 ms
          300 wait until 1995
          350   1 answered, Pass
          350 cancel 0 Cancelled
          350 commit 1
          350 done: 1 answered, verified
        ",
    );
}

#[test]
fn what_readers_have_is_not_judged() {
    let flows = judged([("gpt", "chunks/2@100 undecided@300 judged_fail@400"), ("judge", "")]).policy(stream);
    check_end(flows, "300 done: 0 answered");
    let gone = judged([("gpt", "undecided@300"), ("judge", "")]);
    let gone = gone.policy(|p| p.deadline = p.started + ms(100));
    check_end(gone, "95 done: deadline_exceeded");
}
