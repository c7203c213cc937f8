//! What is drawn for review: with a stored probability, and the same on every run.

use baton_core::{ReviewDraw, Status};

use crate::house::{House, SORT, sort};
use crate::models::Says;

/// Two hundred answers of an intent with these settings for reviews: what was drawn.
async fn drawn(review: &str, says: &'static str) -> Vec<Option<ReviewDraw>> {
    let policy = format!("{SORT}[retry]\nmax = 0\n{review}");
    let house = House::sort(&policy).open();
    for n in 0..200 {
        house.models.say("a", &[Says::Text(10, says)]);
        house.models.say("b", &[Says::Text(10, "billing")]);
        house.execute(sort(&format!("ticket {n}"))).await.unwrap();
    }
    house.records().into_iter().map(|record| record.review).collect()
}

#[tokio::test(start_paused = true)]
async fn answers_are_drawn_with_their_probability_and_alike_on_every_run() {
    let review = "[review]\nper_day = 200\ndouble = 0.5\n";
    let all = drawn(review, "bug").await;
    assert_eq!(all, drawn(review, "bug").await, "the seed decides");
    let some: Vec<&ReviewDraw> = all.iter().flatten().collect();
    // All in the first hour: 200 / 24 of them at n · 24 answers a day, the first eight surely.
    let expected: f64 = (1..=200).map(|n| (200.0 / (24.0 * f64::from(n))).min(1.0)).sum();
    assert!((some.len() as f64 - expected).abs() < 3.0 * expected.sqrt(), "{} of {expected}", some.len());
    assert!(some.iter().all(|draw| draw.probability > 0.0 && draw.probability <= 1.0 && draw.rejected.is_none()));
    let doubles = some.iter().filter(|draw| draw.double).count();
    assert!(doubles > 0 && doubles < some.len(), "{doubles} of {}", some.len());
}

#[tokio::test(start_paused = true)]
async fn none_is_drawn_where_none_is_asked_for() {
    assert!(drawn("", "bug").await.iter().all(Option::is_none));
    assert!(drawn("[review]\nper_day = 0\n", "bug").await.iter().all(Option::is_none));
}

/// What a gate held back is drawn apart, and has its content in the record where privacy allows that.
#[tokio::test(start_paused = true)]
async fn some_of_what_a_gate_held_back_is_drawn() {
    let gate = "[[checks]]\ntype = \"contains\"\nvalue = \"bill\"\n";
    for (privacy, content) in [("", true), ("[privacy]\nstore = \"none\"\n", false)] {
        let review = format!("[review]\nper_day = 100\nadjudicator = \"ann\"\n{gate}{privacy}");
        let all = drawn(&review, "bug").await;
        let held: Vec<_> = all.iter().flatten().filter_map(|draw| draw.rejected.as_ref()).collect();
        assert!(!held.is_empty() && held.len() < all.iter().flatten().count(), "{held:?}");
        for rejected in held {
            assert_eq!((rejected.attempt, rejected.output.is_some()), (0, content), "{rejected:?}");
        }
        assert!(all.iter().flatten().all(|draw| draw.adjudicator.as_deref() == Some("ann")));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_is_no_answer_to_review() {
    let house = House::sort(&format!("{SORT}[retry]\nmax = 0\n[review]\nper_day = 100000\n")).open();
    house.models.say("a", &[Says::Status(1, 500)]);
    house.models.say("b", &[Says::Status(1, 500)]);
    house.execute(sort("x")).await.unwrap_err();
    let record = &house.records()[0];
    assert_eq!((record.status, &record.review), (Status::Failed, &None));
}
