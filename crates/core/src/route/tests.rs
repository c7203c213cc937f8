//! Rankings by hand, and what holds of all of them.

use proptest::prelude::*;

use proptest::strategy::Strategy as _;

use super::Strategy;
use super::*;
use crate::test_config;

fn known(mean: f64, outcomes: f64) -> Option<KnownQuality> {
    let spread = 1.0 / outcomes.sqrt();
    let (lower, upper) = ((mean - spread).max(0.0), (mean + spread).min(1.0));
    Some(KnownQuality { mean, lower, upper, outcomes })
}

/// Name, mean quality (0 is unknown) from 400 outcomes, cost.
fn prospect((model, mean, cost): (&str, f64, i64)) -> Prospect {
    Prospect {
        model: model.into(),
        quality: known(mean, 400.0).filter(|_| mean > 0.0),
        careful: false,
        in_time: None,
        latency: None,
        cost: (cost > 0).then_some(NanoUsd(cost)),
        open: true,
        within_pace: true,
        weight: 1.0,
    }
}

fn terms(strategy: Strategy) -> Terms {
    Terms { strategy, floor: 0.8, dual: 0.0, in_time: 0.9, explore: 0.0, last: None, turn: None, dice: (0.5, 0.5) }
}

fn ranked(prospects: &[Prospect], terms: &Terms) -> (String, Basis) {
    let ranking = rank(prospects, terms);
    let names: Vec<&str> = ranking.record.candidates.iter().map(|candidate| candidate.model.as_str()).collect();
    (names.join(" "), ranking.record.basis)
}

#[test]
fn cheapest_is_least_cost_above_the_floor() {
    let check = |all: &[(&str, f64, i64)], expected: (&str, Basis)| {
        let prospects: Vec<Prospect> = all.iter().copied().map(prospect).collect();
        let (names, basis) = ranked(&prospects, &terms(Strategy::Cheapest));
        assert_eq!((names.as_str(), basis), expected, "{all:?}");
    };
    check(&[("dear", 0.95, 90), ("cheap", 0.9, 10)], ("cheap dear", Basis::Cheapest));
    check(&[("dear", 0.95, 90), ("bad", 0.6, 1), ("cheap", 0.9, 10)], ("cheap dear bad", Basis::Cheapest));
    // A lower bound counts, not a mean: .82 is not known to reach .8.
    check(&[("dear", 0.95, 90), ("near", 0.82, 1)], ("dear near", Basis::Cheapest));
    check(&[("dear", 0.0, 90), ("cheap", 0.0, 10)], ("dear cheap", Basis::NoEvidence));
    // What is not known is not worse than what is known to be bad.
    check(&[("bad", 0.6, 1), ("new", 0.0, 10)], ("new bad", Basis::NoEvidence));
    check(&[("worse", 0.5, 1), ("bad", 0.6, 10)], ("bad worse", Basis::BestKnown));
    check(&[("dear", 0.95, 90), ("unpriced", 0.95, 0)], ("dear unpriced", Basis::Cheapest));
    check(&[], ("", Basis::NoEvidence));
}

#[test]
fn the_dual_asks_for_more_and_never_for_what_nobody_reaches() {
    let prospects = [prospect(("dear", 0.97, 90)), prospect(("cheap", 0.9, 10))];
    let with = |dual: f64| ranked(&prospects, &Terms { dual, ..terms(Strategy::Cheapest) }).0;
    assert_eq!(
        (with(0.0).as_str(), with(0.06).as_str(), with(9.0).as_str()),
        ("cheap dear", "dear cheap", "dear cheap")
    );
    assert!((asked(0.8, 9.0) - 0.9).abs() < 1e-12);
}

#[test]
fn who_is_down_late_or_over_its_budget_comes_later() {
    let good = || [prospect(("dear", 0.95, 90)), prospect(("cheap", 0.9, 10))];
    let check = |change: fn(&mut Prospect), strategy: Strategy, expected: &str| {
        let mut prospects = good();
        (prospects[0].latency, prospects[1].latency) = (Some(Duration::from_secs(2)), Some(Duration::from_secs(1)));
        change(&mut prospects[1]);
        assert_eq!(ranked(&prospects, &terms(strategy)).0, expected, "{strategy:?}");
    };
    for strategy in [Strategy::Cheapest, Strategy::Fastest] {
        check(|_| {}, strategy, "cheap dear");
        check(|cheap| cheap.open = false, strategy, "dear cheap");
        check(|cheap| cheap.within_pace = false, strategy, "dear cheap");
        check(|cheap| cheap.quality = known(0.3, 400.0), strategy, "dear cheap");
    }
    check(|cheap| cheap.in_time = Some(0.89), Strategy::Cheapest, "dear cheap");
    check(|cheap| cheap.latency = None, Strategy::Fastest, "dear cheap");
}

#[test]
fn a_careful_model_counts_as_good_until_outcomes_say_otherwise() {
    let mut local = prospect(("local", 0.0, 0));
    (local.careful, local.cost) = (true, Some(NanoUsd(0)));
    let with = |quality| {
        let prospects = [Prospect { quality, ..local.clone() }, prospect(("dear", 0.95, 90))];
        ranked(&prospects, &terms(Strategy::Cheapest)).0
    };
    assert_eq!(with(None), "local dear");
    assert_eq!(with(known(0.82, 400.0)), "local dear");
    assert_eq!(with(known(0.6, 400.0)), "dear local");
}

#[test]
fn a_session_stays_where_it_may() {
    let prospects = [prospect(("dear", 0.95, 90)), prospect(("cheap", 0.9, 10)), prospect(("bad", 0.5, 1))];
    let with = |last| ranked(&prospects, &Terms { last: Some(last), ..terms(Strategy::Cheapest) });
    assert_eq!(with(0), ("dear cheap bad".into(), Basis::Session));
    assert_eq!(with(2), ("cheap dear bad".into(), Basis::Cheapest));
    assert_eq!(with(7), ("cheap dear bad".into(), Basis::Cheapest));
}

#[test]
fn exploring_draws_evenly_from_those_that_may_be_good_enough() {
    let prospects = [
        prospect(("dear", 0.95, 90)),
        prospect(("cheap", 0.9, 10)),
        prospect(("new", 0.0, 5)),
        prospect(("bad", 0.5, 1)),
    ];
    let mut firsts = std::collections::BTreeMap::new();
    for n in 0..3000 {
        let dice = (f64::from(n % 100) / 100.0, f64::from(n / 100) / 30.0);
        let record = rank(&prospects, &Terms { explore: 0.3, dice, ..terms(Strategy::Cheapest) }).record;
        let propensities: Vec<f64> = record.candidates.iter().map(|candidate| candidate.propensity).collect();
        assert!((propensities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        *firsts.entry(record.candidates[0].model.to_string()).or_insert(0) += 1;
    }
    let expected = [("cheap", 2400), ("dear", 300), ("new", 300)];
    assert_eq!(firsts, expected.map(|(name, times)| (name.to_owned(), times)).into());
}

#[test]
fn weights_draw() {
    let mut prospects = [prospect(("a", 0.0, 1)), prospect(("b", 0.0, 1)), prospect(("c", 0.0, 1))];
    (prospects[0].weight, prospects[1].weight, prospects[2].weight) = (3.0, 1.0, 0.0);
    let first = |prospects: &[Prospect], dice: f64| {
        let record = rank(prospects, &Terms { dice: (dice, 0.3), ..terms(Strategy::Weighted) }).record;
        (record.candidates[0].model.to_string(), record.candidates[0].propensity, record.basis)
    };
    assert_eq!(first(&prospects, 0.74), ("a".into(), 0.75, Basis::Drawn));
    assert_eq!(first(&prospects, 0.76), ("b".into(), 0.25, Basis::Drawn));
    prospects[0].open = false;
    assert_eq!(first(&prospects, 0.1), ("b".into(), 1.0, Basis::Drawn));
    prospects[1].open = false;
    assert_eq!(first(&prospects, 0.1), ("a".into(), 1.0, Basis::Written));
}

#[test]
fn a_rollout_decides_which_of_two_is_before_the_other() {
    let all = [prospect(("local", 0.0, 1)), prospect(("a", 0.0, 1)), prospect(("b", 0.0, 1)), prospect(("c", 0.0, 1))];
    let check = |prospects: &[Prospect], candidate: bool, expected: (&str, Basis)| {
        let (from, to) = ("a".into(), "b".into());
        let draw = RolloutDraw { began_us: 1, from, to, share: 0.25, candidate };
        let ranking = rank(prospects, &terms(Strategy::Ordered)).drawn(draw.clone());
        let of = |place: &usize| prospects[*place].model.to_string();
        let order: Vec<String> = ranking.order.iter().map(of).collect();
        let told: Vec<String> = ranking.record.candidates.iter().map(|one| one.model.to_string()).collect();
        assert_eq!((order.join(" ").as_str(), ranking.record.basis), expected);
        assert_eq!((order, Some(draw).filter(|_| prospects.len() > 2)), (told, ranking.record.rollout.clone()));
        let propensity = ranking.record.candidates[0].propensity;
        let expected = if ranking.record.basis != Basis::Rollout {
            1.0
        } else if candidate {
            0.25
        } else {
            0.75
        };
        assert!((propensity - expected).abs() < 1e-12, "{propensity}");
    };
    check(&all, false, ("local a b c", Basis::Written));
    check(&all, true, ("local b a c", Basis::Written));
    check(&all[1..], false, ("a b c", Basis::Rollout));
    check(&all[1..], true, ("b a c", Basis::Rollout));
    check(&all[..2], true, ("local a", Basis::Written));
}

fn prospects() -> impl proptest::strategy::Strategy<Value = Vec<Prospect>> {
    let one = (0.0..1.2_f64, 0..20_i64, any::<(bool, bool, bool)>(), 0.0..1.2_f64, 0..9_u64);
    proptest::collection::vec(one, 0..8).prop_map(|all| {
        let one =
            |(place, (mean, cost, (open, pace, careful), in_time, ms)): (usize, (f64, i64, _, f64, u64))| Prospect {
                open,
                within_pace: pace,
                careful,
                quality: known(mean, 50.0).filter(|_| mean <= 1.0),
                in_time: Some(in_time).filter(|p| *p <= 1.0),
                latency: Some(Duration::from_millis(ms)).filter(|_| ms > 1),
                ..prospect((&format!("m{place}"), 0.0, cost))
            };
        all.into_iter().enumerate().map(one).collect()
    })
}

proptest! {
    #![proptest_config(test_config(300))]

    /// Whatever is known, everybody is in the order once, propensities are a distribution, and the one
    /// that is first could be.
    #[test]
    fn a_ranking_is_one(
        prospects in prospects(), strategy in 0..4_usize, dice in (0.0..1.0_f64, 0.0..1.0_f64),
        explore in 0.0..1.0_f64, dual in 0.0..0.3_f64, last in proptest::option::of(0..9_usize),
    ) {
        let strategy = [Strategy::Ordered, Strategy::Cheapest, Strategy::Fastest, Strategy::Weighted][strategy];
        let terms = Terms { explore, dual, last, dice, ..terms(strategy) };
        let Ranking { order, record } = rank(&prospects, &terms);
        let mut places = order.clone();
        places.sort_unstable();
        prop_assert_eq!(places, (0..prospects.len()).collect::<Vec<_>>());
        prop_assert!(!record.to_string().is_empty());
        if let Some(first) = record.candidates.first() {
            let sum: f64 = record.candidates.iter().map(|candidate| candidate.propensity).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9 && first.propensity > 0.0, "{} {}", sum, first.propensity);
            // Where anybody is known to reach the floor and could answer, a cheapest first is such a one.
            let fit = |p: &Prospect, standing| {
                standing == Standing::Above && p.open && p.in_time.is_none_or(|in_time| in_time >= terms.in_time)
            };
            let any = order.iter().zip(&record.candidates).any(|(place, c)| fit(&prospects[*place], c.standing));
            let evidence = prospects.iter().any(|prospect| prospect.quality.is_some());
            if strategy == Strategy::Cheapest && evidence && any && record.basis != Basis::Explored {
                prop_assert!(fit(&prospects[order[0]], first.standing));
            }
        }
    }
}
