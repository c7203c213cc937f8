//! An acceptance begins closed, opens with evidence and keeps its promise on simulated streams.

use baton_stats::SplitMix64;

use super::*;

const PROMISE: f64 = 0.05;

/// A look-up whose neighbours agree more the nearer they are; `near` within 0 to 1.
fn look(near: f64, answer: u64) -> Look {
    aged(near, answer, 10)
}

/// The same, with neighbours of this age that agree.
fn aged(near: f64, answer: u64, age: u32) -> Look {
    let neighbour = |at: u64| {
        let agrees = (at as f64) < 20.0 * near.sqrt();
        let (answer, age) = if agrees { (answer, age) } else { (answer + 1, 10) };
        Neighbour {
            entry: 100 * answer + at,
            cosine: (0.4 + 0.6 * near - 0.01 * at as f64) as f32,
            answer,
            age,
            words: 0.0,
        }
    };
    let neighbours: Vec<Neighbour> = (0..20).map(neighbour).collect();
    Look::of(&neighbours, 1_000).unwrap()
}

/// Plays `count` queries of which `wrong(near)` are wrong; hits and wrong ones among them.
fn play(acceptance: &mut Acceptance, count: usize, rng: &mut SplitMix64, wrong: impl Fn(f64) -> f64) -> (u64, u64) {
    let (mut hits, mut bad) = (0, 0);
    for _ in 0..count {
        let near = rng.next_f64();
        let look = look(near, rng.below(10));
        let right = rng.next_f64() >= wrong(near);
        match acceptance.decide(&look, rng.next_f64()) {
            Decision::Serve { .. } => {
                hits += 1;
                bad += u64::from(!right);
            }
            Decision::Audit { probability, .. } => acceptance.learn(look, right, probability),
            Decision::Miss { .. } => acceptance.learn(look, right, 1.0),
        }
    }
    (hits, bad)
}

/// Half of the look-ups are nearly always right, the others ever less.
fn friendly(near: f64) -> f64 {
    if near > 0.5 { 0.002 } else { 1.0 - 2.0 * near }
}

#[test]
fn it_starts_closed_opens_with_evidence_and_closes_on_drift() {
    let mut rng = SplitMix64::new(1);
    let mut acceptance = Acceptance::new(PROMISE);
    assert!(matches!(acceptance.state().gate, Gate::Closed { needs: Some(600), .. }), "{:?}", acceptance.state());
    assert_eq!(play(&mut acceptance, 590, &mut rng, friendly), (0, 0));
    let (hits, wrong) = play(&mut acceptance, 1_500, &mut rng, friendly);
    assert!(hits > 400 && (wrong as f64) < PROMISE * hits as f64, "{wrong} of {hits}");
    assert!(matches!(acceptance.state().gate, Gate::Open { bound, .. } if bound <= PROMISE));
    // From now on two in five are wrong, however near.
    play(&mut acceptance, 500, &mut rng, |_| 0.4);
    assert!(matches!(acceptance.state().gate, Gate::Closed { .. }), "{:?}", acceptance.state());
    assert_eq!(play(&mut acceptance, 300, &mut rng, |_| 0.4).0, 0);
}

#[test]
fn where_nothing_is_sure_it_stays_closed() {
    let mut rng = SplitMix64::new(2);
    let mut acceptance = Acceptance::new(PROMISE);
    assert_eq!(play(&mut acceptance, 1_000, &mut rng, |near| 0.3 - 0.1 * near).0, 0);
    let Gate::Closed { needs: None, why } = acceptance.state().gate else { panic!("{:?}", acceptance.state()) };
    assert!(why.contains("surest"), "{why}");
}

#[test]
fn it_decides_the_same_after_it_was_kept() {
    let mut rng = SplitMix64::new(3);
    let mut acceptance = Acceptance::new(PROMISE);
    play(&mut acceptance, 900, &mut rng, friendly);
    let kept = serde_json::to_string(&acceptance).unwrap();
    let mut read: Acceptance = serde_json::from_str(&kept).unwrap();
    let before = acceptance.state();
    let after = read.state();
    assert_eq!((before.hits, before.audits, before.labels), (after.hits, after.audits, after.labels));
    assert!(matches!(after.gate, Gate::Open { .. }), "{after:?}");
    assert!(matches!(read.decide(&look(0.95, 3), 0.9), Decision::Serve { right } if right > 0.9));
}

#[test]
fn a_hit_called_wrong_is_evidence_at_once() {
    let mut rng = SplitMix64::new(4);
    let mut acceptance = Acceptance::new(PROMISE);
    play(&mut acceptance, 900, &mut rng, friendly);
    let served = look(0.95, 3);
    let before = acceptance.state();
    for _ in 0..40 {
        acceptance.report_bad(served.clone());
    }
    let after = acceptance.state();
    assert_eq!(after.wrong, before.wrong + 40);
    assert!(!matches!(acceptance.decide(&served, 0.9), Decision::Serve { .. }), "{after:?}");
}

#[test]
fn what_cannot_be_kept_is_not_promised() {
    for promise in [0.0, -1.0, 1.0, f64::NAN] {
        let mut acceptance = Acceptance::new(promise);
        play(&mut acceptance, 300, &mut SplitMix64::new(5), |_| 0.0);
        let Gate::Closed { needs: None, why } = acceptance.state().gate else { panic!("{promise}") };
        assert!(why.contains("no share"), "{why}");
    }
}

#[test]
fn a_look_needs_neighbours_that_are_numbers() {
    let one = Neighbour { entry: 7, cosine: 0.9, answer: 1, age: 0, words: 0.0 };
    assert_eq!(Look::of(&[], 0), None);
    assert_eq!(Look::of(&[Neighbour { cosine: f32::NAN, ..one }], 1), None);
    let look = Look::of(&[one], 1).unwrap();
    assert_eq!((look.entry(), look.answer()), (7, 1));
}

/// The answer with most votes is served from its nearest entry, though another one is nearer.
#[test]
fn neighbours_vote() {
    let of = |entry, cosine, answer| Neighbour { entry, cosine, answer, age: 0, words: 0.0 };
    let look = Look::of(&[of(1, 0.92, 5), of(2, 0.91, 6), of(3, 0.91, 6)], 3).unwrap();
    assert_eq!((look.entry(), look.answer()), (2, 6));
}

/// Where topics come and go, what nobody asked for long is often mistaken for something new: what was
/// asked lately can be served though all look-ups together are wrong too often.
#[test]
fn an_answer_that_nobody_had_for_long_is_suspect() {
    let mut rng = SplitMix64::new(6);
    let mut acceptance = Acceptance::new(PROMISE);
    let (mut hits, mut bad, mut old) = (0, 0, 0);
    for _ in 0..4_000 {
        let gone = rng.next_f64() < 0.2;
        let right = rng.next_f64() >= if gone { 0.5 } else { 0.005 };
        let look = aged(0.8, rng.below(10), if gone { 3_000 } else { 10 });
        match acceptance.decide(&look, rng.next_f64()) {
            Decision::Serve { .. } => {
                hits += 1;
                bad += u64::from(!right);
                old += u64::from(gone);
            }
            Decision::Audit { probability, .. } => acceptance.learn(look, right, probability),
            Decision::Miss { .. } => acceptance.learn(look, right, 1.0),
        }
    }
    assert!(hits > 1_500 && (bad as f64) < PROMISE * f64::from(hits), "{bad} of {hits}");
    // They are a fifth of what is asked; what the promise leaves room for may be served.
    assert!(old * 10 < hits as u64, "{old} of {hits}");
}

/// A point keeps what was said of it before its label was known: no later fit may make it better.
#[test]
fn what_was_said_beforehand_stays() {
    let mut rng = SplitMix64::new(7);
    let mut acceptance = Acceptance::new(PROMISE);
    play(&mut acceptance, POINTS_MIN + 1, &mut rng, friendly);
    let model = acceptance.model.clone().unwrap();
    let asked = look(0.7, 3);
    acceptance.learn(asked.clone(), false, 1.0);
    let said = acceptance.kept.points.back().unwrap().said;
    assert_eq!(said, Some(model.log_odds(&asked)));
    play(&mut acceptance, 500, &mut rng, friendly);
    assert_eq!(acceptance.kept.points[POINTS_MIN + 1].said, said);
    assert_eq!(acceptance.kept.points[0].said, None);
}

#[test]
fn memory_is_bounded() {
    let mut acceptance = Acceptance::new(PROMISE);
    acceptance.kept.points = (0..POINTS_MAX)
        .map(|at| Point { look: look(0.5, at as u64 % 10), right: true, probability: 1.0, said: None })
        .collect();
    acceptance.kept.traffic = (0..TRAFFIC_MAX).map(|_| look(0.5, 1)).collect();
    acceptance.kept.served = vec![look(0.5, 1); SERVED_MAX];
    acceptance.kept.hits = SERVED_MAX as u64;
    for at in 0..10 {
        acceptance.decide(&look(0.5, at), 0.5);
        acceptance.served(&look(0.5, at));
        acceptance.learn(look(0.5, at), true, 1.0);
    }
    let kept = &acceptance.kept;
    assert_eq!((kept.points.len(), kept.traffic.len(), kept.served.len()), (POINTS_MAX, TRAFFIC_MAX, SERVED_MAX));
}

/// Two answers that are equally near: the words tell which.
#[test]
fn words_choose_between_near_answers() {
    let of = |answer, words| Neighbour { entry: answer, cosine: 0.9, answer, age: 0, words };
    let said = |first, second| Look::of(&[of(5, first), of(6, second)], 2).unwrap().answer();
    assert_eq!([said(-20.0, -30.0), said(-30.0, -20.0)], [5, 6]);
    // What nothing was asked about is not chosen.
    assert_eq!(said(f32::NEG_INFINITY, -90.0), 6);
}
