//! What a calibration promises, over many worlds.

use baton_core::Verdict;
use baton_stats::SplitMix64;

use super::*;

/// Answers whose judge is right about most of them: the score is high where the answer is good.
fn answer(rng: &mut SplitMix64, judged: bool) -> (Features, bool) {
    let good = rng.next_f64() < 0.7;
    let score = if good { rng.next_f64().sqrt() } else { rng.next_f64() * 0.8 };
    let signal = f64::from(rng.next_f64() < if good { 0.95 } else { 0.5 });
    let features =
        Features { judge: judged.then_some(score), repaired: false, signals: vec![signal], model: Some(0), models: 1 };
    (features, good)
}

fn world(seed: u64, labels: usize) -> Known {
    let mut rng = SplitMix64::new(seed);
    let label = |rng: &mut SplitMix64, n: usize| {
        let (features, good) = answer(rng, true);
        LabelledAnswer { features, given: GivenOn::Judge, good, probability: Some(0.2), half: n.is_multiple_of(2) }
    };
    let labels = (0..labels).map(|n| label(&mut rng, n)).collect();
    let traffic = (0..300).map(|_| answer(&mut rng, true).0).collect();
    Known { labels, traffic, ..Known::default() }
}

#[test]
fn without_labels_nothing_is_known_and_nothing_is_held_back() {
    let calibration = Calibration::fit(&Known::default(), 0.05, 0.1);
    let (features, _) = answer(&mut SplitMix64::new(1), true);
    let (quality, verdict) = calibration.decide(&features);
    assert_eq!((verdict, quality), (Verdict::Undecided, Quality::unknown(0, 45)));
    assert_eq!(calibration.estimate, None);
    let few = Calibration::fit(&world(1, 44), 0.05, 0.1);
    assert_eq!(few.decide(&features).0.needed, Some(45));
    assert_eq!(few.decide(&features).1, Verdict::Undecided);
}

#[test]
fn with_labels_bad_answers_are_held_back_and_quality_is_told() {
    let calibration = Calibration::fit(&world(7, 180), 0.2, 0.1);
    let mut rng = SplitMix64::new(8);
    let (mut passed, mut bad, mut all, mut bad_all) = (0, 0, 0, 0);
    for _ in 0..2000 {
        let (features, good) = answer(&mut rng, true);
        let (quality, verdict) = calibration.decide(&features);
        assert!(quality.score.is_some() && quality.lower <= quality.score && quality.basis == "checks+judge");
        (all, bad_all) = (all + 1, bad_all + u32::from(!good));
        if verdict == Verdict::Pass {
            (passed, bad) = (passed + 1, bad + u32::from(!good));
        } else {
            assert_eq!(verdict, Verdict::Fail);
        }
    }
    assert!(passed > all / 10, "{passed} of {all} pass: {calibration:?}");
    assert!(f64::from(bad) / f64::from(passed) < 0.2, "{bad} of {passed}; {bad_all} of {all} without the gate");
    let shown = calibration.judged.passing.unwrap();
    assert!((shown - f64::from(passed) / f64::from(all)).abs() < 0.1, "{shown}");
}

/// The promise over many label sets, with the ranking of the judge alone and with one that is learnt.
#[test]
fn the_gate_keeps_its_promise() {
    for labels in [120, 240] {
        let (mut broken, mut opened) = (0, 0);
        for seed in 0..60 {
            let calibration = Calibration::fit(&world(seed, labels), 0.2, 0.1);
            let mut rng = SplitMix64::new(seed ^ 0xffff);
            let (mut passed, mut bad) = (0.0, 0.0);
            for _ in 0..2000 {
                let (features, good) = answer(&mut rng, true);
                if calibration.decide(&features).1 == Verdict::Pass {
                    (passed, bad) = (passed + 1.0, bad + f64::from(!good));
                }
            }
            opened += u32::from(passed > 0.0);
            broken += u32::from(passed > 0.0 && bad / passed > 0.2);
        }
        assert!(broken <= 6, "{labels} labels: broken in {broken} of 60, opened in {opened}");
        assert!(opened >= 5, "{labels} labels: opened in {opened} of 60");
    }
}

#[test]
fn judged_answers_say_nothing_of_the_others() {
    let calibration = Calibration::fit(&world(7, 180), 0.1, 0.1);
    let (features, _) = answer(&mut SplitMix64::new(3), false);
    assert_eq!(calibration.decide(&features).1, Verdict::Undecided);
}

#[test]
fn what_was_said_unasked_is_no_sample() {
    let mut known = world(7, 180);
    known.labels.iter_mut().for_each(|label| label.probability = None);
    let calibration = Calibration::fit(&known, 0.1, 0.1);
    assert_eq!((calibration.judged.threshold, calibration.judged.tested), (None, 0));
}

#[test]
fn the_estimate_uses_judges_and_people() {
    let mut rng = SplitMix64::new(5);
    let judged = (0..2000).map(|n| {
        let (features, good) = answer(&mut rng, true);
        let label = (n % 10 == 0).then_some((good, 0.1));
        JudgedAnswer { value: features.judge.unwrap(), probability: 1.0, drawn: true, label }
    });
    let known = Known { judged: judged.collect(), answered: 2000, ..Known::default() };
    let estimate = Calibration::fit(&known, 0.05, 0.1).estimate.unwrap();
    assert!(estimate.lower < 0.7 && 0.7 < estimate.upper, "{estimate:?}");
    assert_eq!((estimate.method.as_str(), estimate.labels, estimate.answered), ("labels+judge", 200, 2000));
}

#[test]
fn it_survives_being_written_down() {
    let calibration = Calibration::fit(&world(7, 420), 0.1, 0.1);
    let json = serde_json::to_string(&calibration).unwrap();
    let read: Calibration = serde_json::from_str(&json).unwrap();
    let (features, _) = answer(&mut SplitMix64::new(9), true);
    assert_eq!(read.decide(&features), calibration.decide(&features));
}

/// Answers that a check tells apart, and that a judge tells apart better.
fn told_apart(given: GivenOn) -> Known {
    let mut rng = SplitMix64::new(3);
    let mut known = Known::default();
    for n in 0..120 {
        let good = rng.next_f64() < 0.6;
        let judge = Some(if good { 0.9 } else { 0.1 });
        let signals = vec![f64::from(good)];
        let features = Features { judge, repaired: false, signals, model: Some(0), models: 1 };
        let half = n % 2 == 0;
        known.labels.push(LabelledAnswer { features, given, good, probability: Some(1.0), half });
    }
    known
}

#[test]
fn a_judge_is_asked_where_its_word_counts() {
    let answer = |signal| Features { judge: None, repaired: false, signals: vec![signal], model: Some(0), models: 1 };
    // Nobody spoke of answers without a judge: it is asked, whatever the check says.
    let judged = Calibration::fit(&told_apart(GivenOn::Judge), 0.2, 0.1);
    assert!(judged.judged.threshold.is_some() && judged.plain.threshold.is_none());
    for signal in [0.0, 1.0] {
        assert_eq!(judged.before_judge(&answer(signal)).1, Verdict::Undecided);
    }
    // Where the check says enough, it is not.
    let both = Calibration::fit(&told_apart(GivenOn::Checks), 0.2, 0.1);
    let (quality, verdict) = both.before_judge(&answer(1.0));
    assert_eq!((verdict, quality.verified, quality.basis.as_str()), (Verdict::Pass, true, "checks"));
    assert_eq!(both.before_judge(&answer(0.0)).1, Verdict::Undecided);
    assert_eq!(both.decide(&answer(0.0)).1, Verdict::Fail);
    assert_eq!(both.decide(&answer(0.0).with_judge(Some(1.0))).1, Verdict::Pass);
}

/// What was given though a second opinion differed, because it had differed before.
#[test]
fn what_was_given_on_nothing_is_no_sample_of_what_is_held_back() {
    let known = told_apart(GivenOn::Nothing);
    let fitted = Calibration::fit(&known, 0.2, 0.1);
    assert!(!fitted.gates() && fitted.labels == 120, "{fitted:?}");
    // Beside others it changes nothing.
    let (mut both, alone) = (told_apart(GivenOn::Judge), told_apart(GivenOn::Judge));
    both.labels.extend(known.labels.into_iter().map(|label| LabelledAnswer { good: true, ..label }));
    assert_eq!(Calibration::fit(&both, 0.2, 0.1).judged, Calibration::fit(&alone, 0.2, 0.1).judged);
}

/// All answers were drawn, and people have come to a quarter of them.
#[test]
fn labels_that_lag_behind_the_drawing_narrow_nothing() {
    let (mut covered, worlds) = (0, 200);
    for seed in 0..worlds {
        let mut rng = SplitMix64::new(seed);
        let mut known = Known { answered: 400, ..Known::default() };
        for n in 0..400 {
            let (features, good) = answer(&mut rng, true);
            let label = (n % 4 == 0).then_some((good, 1.0));
            let value = features.judge.unwrap_or_default();
            known.judged.push(JudgedAnswer { value, probability: 1.0, drawn: true, label });
        }
        let said = estimated(&known).unwrap();
        assert_eq!((said.labels, said.method.as_str()), (100, "labels+judge"));
        covered += u32::from(said.lower <= 0.7 && 0.7 <= said.upper);
    }
    assert!(covered >= 184, "{covered} of {worlds} intervals hold the truth");
}
