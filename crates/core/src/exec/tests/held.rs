//! Asking in turn: an answer is held while another model is asked. `ask/2@300`: its answer is held at 300 ms, and
//! the third model is to be asked; `give/0@300`: with its answer there the first attempt's is given.

use super::scenarios::{check, check_end, ms, world};
use crate::Disposition;

#[test]
fn an_answer_is_held_until_another_is_heard() {
    check(
        world([("a", "ask/2@100"), ("b", "pass@1"), ("c", "give/0@200")]),
        "
            0 start 0 a Primary within 1197 ms
            0 wait until 1197
          100   0 held, 0 the best, ask 2
          100 start 1 c Escalation within 1895 ms
          100 wait until 1995
          300   1 held, give 0
          300 commit 0
          300 done: 0 answered
        ",
    );
}

#[test]
fn the_last_who_is_asked_may_be_given() {
    check_end(world([("a", "ask/1@100"), ("b", "ask/2@100"), ("c", "give/2@100")]), "300 done: 2 answered");
}

#[test]
fn what_is_held_is_given_where_nobody_else_is_heard() {
    // Failed, with nobody asked in its place; late; a caller's fault that the first did not see.
    for (script, at) in [("transient@50", 150), ("bad_answer@50", 150), ("hang", 1995), ("callers_fault@50", 150)] {
        let expected = format!("{at} done: 0 answered");
        check_end(world([("a", "ask/1@100"), ("b", script), ("c", "pass@1")]), &expected);
    }
    // Down, full, too slow by its past: not asked at all.
    let down = world([("a", "ask/1@100"), ("b", "pass@1")]).history(1, 20, Some(Disposition::HardDown), 1);
    check_end(down, "100 done: 0 answered");
    check_end(world([("a", "ask/1@100"), ("b", "pass@1")]).busy(1, 9, [(5000, None)]), "100 done: 0 answered");
    check_end(world([("a", "ask/1@500"), ("b", "pass@1")]).history(1, 20, None, 1999), "500 done: 0 answered");
}

#[test]
fn who_is_in_the_air_already_is_waited_for() {
    let hedged = world([("a", "ask/1@300"), ("b", "give/0@250")]).history(0, 20, None, 100).paid(0);
    check(
        hedged.policy(|p| p.hedge_share = 1.0),
        "
            0 start 0 a Primary within 1197 ms
            0 wait until 100
          100   woke
          100 start 1 b Hedge within 1895 ms
          100 wait until 1995
          300   0 held, 0 the best, ask 1
          300 wait until 1995
          350   1 held, give 0
          350 commit 0
          350 done: 0 answered
        ",
    );
}

#[test]
fn nobody_else_is_asked_beside_an_answer_that_is_held() {
    // The hedge was faster, and is to be held against a third: who was asked first is not waited for.
    let hedged = world([("a", "pass@900"), ("b", "ask/2@50"), ("c", "give/1@100")]).history(0, 20, None, 100).paid(0);
    check(
        hedged.policy(|p| p.hedge_share = 1.0),
        "
            0 start 0 a Primary within 1197 ms
            0 wait until 100
          100   woke
          100 start 1 b Hedge within 1137 ms
          100 wait until 1197
          150   1 held, 1 the best, ask 2
          150 cancel 0 Cancelled
          150 start 2 c Escalation within 1845 ms
          150 wait until 1995
          250   2 held, give 1
          250 commit 1
          250 done: 1 answered
        ",
    );
}

#[test]
fn a_driver_that_is_late_gives_nothing_late() {
    let mut late = world([("a", "ask/1@100"), ("b", "hang")]).policy(|p| p.deadline = p.started + ms(500));
    late.late = 10;
    check_end(late, "505 done: deadline_exceeded");
}
