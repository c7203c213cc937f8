//! The promises of the public model, on made-up messages of four teams.

use super::*;
use baton_stats::SplitMix64;
use proptest::prelude::*;

const TEAMS: [(&str, [&str; 6]); 4] = [
    ("billing", ["invoice", "refund", "charged", "payment", "price", "receipt"]),
    ("bug", ["crash", "error", "broken", "freezes", "blank", "wrong"]),
    ("how-to", ["how", "where", "find", "export", "change", "settings"]),
    ("account", ["password", "login", "seat", "invite", "owner", "locked"]),
];
const FILLER: [&str; 8] = ["the", "my", "please", "page", "today", "again", "still", "hello"];

/// Messages of three words of their team among three of filler; a share of `noise` is filler
/// alone, with a label drawn at random.
fn messages(count: usize, noise: f64, seed: u64) -> Vec<(String, &'static str)> {
    let mut rng = SplitMix64::new(seed);
    (0..count)
        .map(|_| {
            let empty = rng.next_f64() < noise;
            let (label, words) = TEAMS[rng.below(4) as usize];
            let mut pick = |words: &[&'static str]| words[rng.below(words.len() as u64) as usize];
            let telling: &[&str] = if empty { &FILLER } else { &words };
            let text: Vec<_> = (0..3).flat_map(|_| [pick(telling), pick(&FILLER)]).collect();
            (text.join(" "), label)
        })
        .collect()
}

fn train(messages: &[(String, &str)], precision: f64, cut: Option<f64>) -> Model {
    let examples: Vec<_> = messages.iter().map(|(text, label)| Example { text, label }).collect();
    Model::train(&examples, &Options { precision, cut, seed: 1 }).unwrap()
}

#[test]
fn what_cannot_be_learnt_is_an_error() {
    let check = |examples: &[Example<'_>], precision, cut, expected: &str| {
        let error = Model::train(examples, &Options { precision, cut, seed: 1 }).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    let one = [Example { text: "a", label: "x" }];
    let two = [Example { text: "a", label: "x" }, Example { text: "b", label: "y" }];
    check(&[], 0.9, None, "`local` has no examples: add cases with an expected label");
    check(&one, 0.9, None, "every example of `local` has the label `x`: add cases of a second label");
    check(&two, 1.5, None, "`local` has precision = 1.5, which must lie between 0 and 1");
    check(&two, 0.9, Some(f64::NAN), "`local` has cut = NaN, which must lie between 0 and 1");
    let many = vec![one[0]; EXAMPLES_MAX + 1];
    check(&many, 0.9, None, "`local` was given 100001 examples; it takes at most 100000: use fewer cases");
    let names: Vec<String> = (0..=LABELS_MAX).map(|i| i.to_string()).collect();
    let many: Vec<_> = names.iter().map(|label| Example { text: "a", label }).collect();
    check(&many, 0.9, None, "`local` was given 1001 labels; it takes at most 1000: use fewer cases");
}

#[test]
fn answers_what_it_has_learnt() {
    let model = train(&messages(120, 0.0, 1), 0.95, None);
    assert_eq!(model.examples(), 120);
    assert_eq!(model.labels(), ["account", "billing", "bug", "how-to"]);
    assert!(model.cut() < 1.0);
    let fresh = messages(200, 0.0, 2);
    let answers: Vec<_> = fresh.iter().map(|(text, label)| (model.predict(text), label)).collect();
    let answered = answers.iter().filter(|(answer, _)| !answer.abstained).count();
    let right = answers.iter().filter(|(answer, label)| answer.label == **label).count();
    assert!(answered >= 150, "answered {answered} of 200");
    assert!(right >= 190, "{right} of 200 right");
}

#[test]
fn keeps_its_precision_by_abstaining() {
    // A fifth of the messages says nothing: a forced answer is right 85 % of the time.
    let model = train(&messages(400, 0.2, 1), 0.95, None);
    let fresh = messages(2_000, 0.2, 2);
    let said: Vec<_> = fresh.iter().map(|(text, label)| (model.predict(text), label)).collect();
    let right = |of: &[&(Prediction, &&str)]| {
        let right = of.iter().filter(|(answer, label)| answer.label == **label);
        right.count() as f64 / of.len() as f64
    };
    let answered: Vec<_> = said.iter().filter(|(answer, _)| !answer.abstained).collect();
    let forced = right(&said.iter().collect::<Vec<_>>());
    assert!(forced < 0.88, "forced {forced}");
    assert!(right(&answered) >= 0.95, "precision {}", right(&answered));
    assert!(answered.len() >= 1_500, "answered {}", answered.len());

    let claimed = said.iter().map(|(answer, _)| answer.confidence).sum::<f64>() / 2_000.0;
    assert!((claimed - forced).abs() < 0.03, "claimed {claimed}, kept {forced}");
}

#[test]
fn abstains_always_where_nothing_can_be_known() {
    let noise = messages(300, 1.0, 1);
    let model = train(&noise, 0.95, None);
    assert!(model.cut() > 1.0);
    assert!(noise.iter().all(|(text, _)| model.predict(text).abstained));
}

#[test]
fn a_cut_is_taken_as_given() {
    let noise = messages(100, 1.0, 1);
    let forced = train(&noise, 0.95, Some(0.0));
    assert!(noise.iter().all(|(text, _)| !forced.predict(text).abstained));
    assert!(!forced.predict("").abstained);
    let never = train(&messages(100, 0.0, 1), 0.95, Some(1.0));
    assert!(never.predict("invoice refund").abstained);
}

#[test]
fn what_it_never_saw_makes_it_doubt() {
    let model = train(&messages(200, 0.0, 1), 0.95, None);
    let known = model.predict("invoice refund payment");
    let half = model.predict("invoice refund payment xylophone giraffe volcano orchid");
    let strange = model.predict("xylophone giraffe volcano orchid");
    assert!(!known.abstained && strange.abstained);
    assert!(known.confidence > half.confidence && half.confidence > strange.confidence);
}

#[test]
fn the_seed_decides() {
    let learnt = messages(80, 0.1, 1);
    let (first, again) = (train(&learnt, 0.9, None), train(&learnt, 0.9, None));
    for (text, _) in messages(50, 0.0, 2) {
        assert_eq!(first.predict(&text), again.predict(&text));
    }
    assert_eq!(first.cut().to_bits(), again.cut().to_bits());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_texts_give_sound_predictions(
        texts in prop::collection::vec((".{0,40}", 0_usize..4), 2..12),
        asked in ".{0,60}",
    ) {
        let mut learnt: Vec<_> = texts.into_iter().map(|(text, team)| (text, TEAMS[team].0)).collect();
        learnt.push((String::new(), "bug"));
        learnt.push(("!".into(), "billing"));
        let model = train(&learnt, 0.5, None);
        let said = model.predict(&asked);
        let (next, next_confidence) = said.runner_up.clone().unwrap();
        prop_assert!(model.labels().contains(&said.label) && model.labels().contains(&next));
        prop_assert_ne!(&said.label, &next);
        prop_assert!(said.confidence > 0.0 && said.confidence < 1.0);
        prop_assert!(next_confidence >= 0.0 && next_confidence <= said.confidence);
        prop_assert!(said.confidence + next_confidence <= 1.0 + 1e-9);
        prop_assert_eq!(said.abstained, said.confidence < model.cut());
    }
}
