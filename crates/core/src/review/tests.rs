//! Items, as transcripts of what happens to them; and in any world.

use proptest::prelude::*;

use super::*;
use crate::{ExecutionId, LabelSource as Source};

const MINUTE_US: i64 = 60_000_000;

fn item(double: bool, adjudicator: Option<&str>) -> ReviewItem {
    let adjudicator = adjudicator.map(str::to_owned);
    ReviewItem {
        execution: ExecutionId::new(1, [0; 10]),
        team: "support".into(),
        partition: Vec::new(),
        intent: "sort".into(),
        lineage: "l".into(),
        version: "v".into(),
        via: None,
        started_at_us: 0,
        draw: Some(ReviewDraw { probability: 0.5, double, adjudicator, rejected: None }),
        labels: Vec::new(),
        holds: Vec::new(),
        skips: Vec::new(),
    }
}

fn label(reviewer: &str, at_us: i64, pass: bool) -> ReviewLabel {
    let criteria = BTreeMap::from([("tone".to_owned(), pass)]);
    let (correction, comment) = (Some(Value::from("x")), Some("why".into()));
    ReviewLabel { reviewer: reviewer.into(), at_us, source: Source::Review, pass, criteria, correction, comment }
}

/// Plays a script of `WHO ACT` at one minute a line; gives what each came to.
fn play(item: &mut ReviewItem, script: &str) -> String {
    let mut told = String::new();
    for (n, line) in script.lines().map(str::trim).filter(|line| !line.is_empty()).enumerate() {
        let now_us = (i64::try_from(n).unwrap() + 1) * MINUTE_US;
        let (who, act) = line.split_once(' ').unwrap();
        let done = match act {
            "hold" => item.hold(who, now_us, now_us + 3 * MINUTE_US),
            "pass" => item.label(label(who, now_us, true)),
            "fail" => item.label(label(who, now_us, false)),
            "undo" => item.undo(who, now_us, now_us + 3 * MINUTE_US),
            "skip" => {
                item.skip(who, now_us);
                Ok(())
            }
            "sends" => {
                let sent = ReviewLabel { source: Source::FinalOutput, ..label(who, now_us, false) };
                if item.hear(sent) { Ok(()) } else { Err(ReviewRefusal::Done) }
            }
            other => panic!("{other}"),
        };
        let came = done.map_or_else(|refusal| format!("{refusal:?}"), |()| item.state().as_str().to_owned());
        told.push_str(&format!("{line}: {came}\n"));
    }
    let verdict = item.verdict().map(|v| format!("pass {} settled {} by {}", v.pass, v.settled, v.source.as_str()));
    told + verdict.as_deref().unwrap_or("no verdict")
}

#[track_caller]
fn check(mut item: ReviewItem, script: &str, told: &str) {
    assert_eq!(play(&mut item, script), told.replace("                ", "").trim());
}

#[test]
fn one_label_is_enough_unless_two_are_asked_for() {
    check(
        item(false, None),
        "ann hold
        bob hold
        bob pass
        ann pass
        bob fail",
        "ann hold: open
                bob hold: Held
                bob pass: Held
                ann pass: done
                bob fail: Done
                pass true settled true by review",
    );
    check(
        item(true, None),
        "ann hold
        bob hold
        cid hold
        ann fail
        ann hold
        bob fail",
        "ann hold: open
                bob hold: open
                cid hold: Held
                ann fail: second
                ann hold: Labelled
                bob fail: done
                pass false settled true by review",
    );
}

#[test]
fn who_disagrees_does_not_decide() {
    check(
        item(true, None),
        "ann pass
        bob fail
        ann pass
        cid hold
        dan hold
        cid pass",
        "ann pass: second
                bob fail: disputed
                ann pass: Labelled
                cid hold: disputed
                dan hold: Held
                cid pass: done
                pass true settled true by adjudication",
    );
    check(
        item(true, Some("ann")),
        "ann pass
        bob fail
        cid pass
        ann pass",
        "ann pass: second
                bob fail: disputed
                cid pass: NotAdjudicator(\"ann\")
                ann pass: done
                pass true settled true by adjudication",
    );
    let mut disputed = item(true, None);
    play(&mut disputed, "ann pass\nbob fail");
    let verdict = disputed.verdict().unwrap();
    assert!(!verdict.pass && !verdict.settled && verdict.criteria.is_empty(), "{verdict:?}");
}

#[test]
fn reservations_end_and_who_is_late_may_still_be_in_time() {
    check(
        item(false, None),
        "ann hold
        bob hold
        bob undo
        bob hold
        ann pass",
        "ann hold: open
                bob hold: Held
                bob undo: NothingToUndo
                bob hold: open
                ann pass: Held
                no verdict",
    );
    check(
        item(false, None),
        "ann hold\nx undo\nx undo\nx undo\nann pass",
        "ann hold: open
                x undo: NothingToUndo
                x undo: NothingToUndo
                x undo: NothingToUndo
                ann pass: done
                pass true settled true by review",
    );
}

#[test]
fn the_last_act_is_undone_until_somebody_builds_on_it() {
    check(
        item(true, None),
        "ann pass
        ann undo
        ann fail
        bob pass
        ann undo
        bob undo
        bob fail
        bob undo
        bob undo",
        "ann pass: second
                ann undo: open
                ann fail: second
                bob pass: disputed
                ann undo: TooLate
                bob undo: second
                bob fail: done
                bob undo: second
                bob undo: NothingToUndo
                pass false settled false by review",
    );
    let mut skipped = item(false, None);
    play(&mut skipped, "ann hold\nann skip");
    assert!(skipped.is_skipped_by("ann") && !skipped.is_held_by("ann", MINUTE_US));
    play(&mut skipped, "ann undo");
    assert!(!skipped.is_skipped_by("ann") && skipped.is_held_by("ann", MINUTE_US));
}

#[test]
fn what_is_sent_is_a_label_while_one_is_wanted() {
    check(
        item(false, None),
        "app sends
        ann hold
        app sends
        cid sends
        app undo",
        "app sends: done
                ann hold: Done
                app sends: done
                cid sends: Done
                app undo: NothingToUndo
                pass false settled true by final_output",
    );
    let undrawn = ReviewItem { draw: None, ..item(false, None) };
    check(
        undrawn,
        "ann hold\napp sends\ncid sends",
        "ann hold: Done
                app sends: done
                cid sends: done
                pass false settled true by final_output",
    );
}

#[test]
fn verdicts_outlive_what_people_wrote() {
    let mut item = item(false, None);
    play(&mut item, "ann fail");
    item.forget_content();
    let label = item.label_of("ann").unwrap();
    assert!(label.comment.is_none() && label.correction.is_none() && !label.pass && label.criteria.len() == 1);
}

#[test]
fn what_a_gate_held_back_stays_in_the_record() {
    let rejected = Some(Rejected { attempt: 1, output: Some(Value::from("secret")) });
    let draw = ReviewDraw { probability: 0.5, double: true, adjudicator: Some("ann".into()), rejected };
    let kept = draw.without_content();
    assert_eq!(kept.rejected, Some(Rejected { attempt: 1, output: None }));
    assert_eq!(ReviewDraw { rejected: draw.rejected.clone(), ..kept }, draw, "and nothing else goes");
}

proptest! {
    #![proptest_config(crate::test_config(256))]

    /// Whatever five people do, an item is in no more hands than it wants labels, nobody labels twice,
    /// and it has no more independent labels than it wants.
    #[test]
    fn an_item_is_in_as_many_hands_as_it_wants_labels(
        double in any::<bool>(),
        acts in proptest::collection::vec((0_usize..5, 0_usize..6, 1_i64..4), 1..60),
    ) {
        let mut item = item(double, None);
        let mut now_us = 0;
        for (who, act, minutes) in acts {
            now_us += minutes * MINUTE_US;
            let who = ["ann", "bob", "cid", "dan", "eve"][who];
            let until_us = now_us + 5 * MINUTE_US;
            let _refused = match act {
                0 | 1 => item.hold(who, now_us, until_us),
                2 => item.label(label(who, now_us, true)),
                3 => item.label(label(who, now_us, false)),
                4 => item.undo(who, now_us, until_us),
                _ => { item.skip(who, now_us); Ok(()) }
            };
            let wanted = 1 + usize::from(double);
            let independent = item.independent().count();
            prop_assert!(independent <= wanted);
            let decides = usize::from(item.state() == ReviewState::Disputed);
            prop_assert!(item.held_by(now_us).count() <= (wanted - independent).max(decides));
            for name in ["ann", "bob", "cid", "dan", "eve"] {
                prop_assert!(item.labels.iter().filter(|l| l.reviewer == name).count() <= 1);
                prop_assert!(item.held_by(now_us).filter(|holder| *holder == name).count() <= 1);
            }
        }
    }
}
