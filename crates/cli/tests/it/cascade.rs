//! `baton eval --cascade`, and what shows it: simulated models, real everything else.

use serde_json::{Value, json};

use crate::folder::Folder;

const HOUSE: &str = "[models.one]\nid = \"sim/one\"\nprice = { input = \"1 USD/M\", output = \"2 USD/M\" }\n\
    [models.two]\nid = \"sim/two\"\nprice = { input = \"1 USD/M\", output = \"2 USD/M\" }\n\
    [models.dear]\nid = \"sim/dear\"\nprice = { input = \"30 USD/M\", output = \"60 USD/M\" }\n\
    [models.free]\nid = \"sim/free\"\n\
    [models.flaky]\nid = \"sim/flaky\"\nprice = { input = \"1 USD/M\", output = \"2 USD/M\" }\n\
    [providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\nseed = 7\n";
const SCENARIO: &str = "truth = [\"intents/sort/cases.jsonl\"]\n[models.one]\nwrong = 0.2\n[models.two]\nwrong = 0.25\n\
    [models.dear]\nwrong = 0.02\n[models.free]\n[models.flaky]\nerrors = [{ status = 503, share = 0.6 }]\n";
const MODELS: &str = "models = [\"one\", \"two\", \"dear\", \"free\", \"flaky\"]\n";
const LABELS: &str = "[labels]\nbilling = \"invoices\"\nbug = \"broken\"\nhow-to = \"how\"\naccount = \"login\"\n\
    [objective]\nquality = 0.9\n[retry]\nmax = 0\n";

/// An intent with so many cases, half of them of the evaluation share.
fn house(cases: usize) -> Folder {
    let line = |n: usize| {
        let label = ["billing", "bug", "how-to", "account"][n % 4];
        let share = ["evaluation", "calibration"][n % 2];
        let input = format!("Ticket {n:04} about something");
        json!({ "input": input, "expected": { "label": label }, "share": share }).to_string() + "\n"
    };
    let cases: String = (0..cases).map(line).collect();
    Folder::with(&[
        ("baton.toml", HOUSE),
        ("scenario.toml", SCENARIO),
        ("intents/sort/intent.toml", &format!("{MODELS}{LABELS}")),
        ("intents/sort/cases.jsonl", &cases),
    ])
}

const EVAL: [&str; 7] = ["eval", "sort", "--candidates", "one,two,dear", "--cascade", "--share", "all"];

fn written(folder: &Folder) -> Value {
    serde_json::from_str(&std::fs::read_to_string(folder.path().join("intents/sort/cascade.json")).unwrap()).unwrap()
}

/// Puts the intent on the route, with more of [routing].
fn routed(folder: &Folder, more: &str) {
    folder.write("intents/sort/intent.toml", &format!("{MODELS}route = \"cascade\"\n[routing]\n{more}\n{LABELS}"));
}

#[test]
fn what_is_learnt_is_written_and_then_in_force() {
    let folder = house(240);
    // `one` alone is shown to miss the objective, which is no failure here.
    let ran = folder.run(&EVAL).done();
    assert!(ran.out.contains("objective missed: of the answers that `two`"), "{}", ran.out);
    assert!(
        ran.out.contains("by who was right together on 240 cases: wrote ./intents/sort/cascade.json"),
        "{}",
        ran.out
    );
    assert!(ran.out.contains("all wrong answers to a case are taken to be the same one"), "{}", ran.out);
    assert!(ran.out.contains("\nroute = \"cascade\"\n[routing]\nright_usd = "), "{}", ran.out);

    let file = written(&folder);
    let names: Vec<&Value> = file["models"].as_array().unwrap().iter().map(|one| &one["model"]).collect();
    assert_eq!(names, ["sim/one", "sim/two", "sim/dear"]);
    assert!(file["models"].as_array().unwrap().iter().all(|one| one["inputTokens"].as_u64() > Some(10)), "{file}");
    assert_eq!(file["right"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(), 240);
    assert!(file["right"].as_object().unwrap().keys().all(|key| key.len() == 3), "{file}");
    assert!(!folder.path().join("intents/sort/cascade.json.new").exists());

    // Who takes the last three lines over has it in force, without a warning.
    let lines: Vec<&str> = ran.out.trim_end().lines().rev().take(3).collect();
    routed(&folder, lines[0]);
    let checked = folder.run(&["check"]).done();
    assert_eq!(checked.err, "");
    let told = "\n  asked in turn, by who was right together on 240 cases: at most 3 of sim/one, sim/two, sim/dear\n";
    assert!(checked.out.contains(told), "{}", checked.out);
}

#[test]
fn what_it_comes_to_follows_what_a_right_answer_is_worth() {
    let folder = house(240);
    let told = folder.run(&[&EVAL[..], &["--json"]].concat()).done().json();
    let offers = told["in_turn"]["offers"].as_array().unwrap();
    assert_eq!((offers.len(), &told["in_turn"]["cases"], &told["in_turn"]["used"]), (5, &json!(240), &json!(true)));
    let of = |offer: &Value, key: &str| offer[key].as_f64().unwrap();
    assert!(offers.windows(2).all(|pair| of(&pair[0], "right_usd") < of(&pair[1], "right_usd")), "{offers:?}");
    assert_eq!((&offers[0]["alone"], &offers[4]["alone"]), (&json!("one"), &json!("dear")));
    assert!(of(&offers[0], "usd_per_1000") < of(&offers[4], "usd_per_1000"), "{offers:?}");
    assert!(of(&offers[4], "right") > 0.9, "{offers:?}");

    routed(&folder, "right_usd = 0.02\nasks = 2");
    let told = folder.run(&[&EVAL[..], &["--json"]].concat()).done().json();
    let offers = told["in_turn"]["offers"].as_array().unwrap();
    assert_eq!((offers.len(), &offers[0]["right_usd"], &told["in_turn"]["asks"]), (1, &json!(0.02), &json!(2)));
    assert_eq!(told["notes"][0], "720 of 720 answers came from earlier runs and cost nothing.");
    let shown = folder.run(&EVAL).done().out;
    assert!(shown.contains("at most 2 are asked") && !shown.contains("route = \"cascade\""), "{shown}");
}

#[test]
fn the_policy_is_explained() {
    let folder = house(240);
    folder.run(&EVAL).done();
    let explain = ["route", "explain", "sort", "--input", "\"Ticket 0001 about something\""];
    assert_eq!(folder.run(&[&explain[..], &["--json"]].concat()).done().json()["inTurn"], Value::Null);
    routed(&folder, "right_usd = 0.015");
    let told = folder.run(&[&explain[..], &["--json"]].concat()).done().json();
    let lines: Vec<&str> = told["inTurn"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(lines[0].starts_with("ask sim/one, then sim/") && lines.len() <= 15, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("sim/dear")), "{lines:#?}");
    let shown = folder.run(&explain).done().out;
    assert!(shown.ends_with(&format!("\n{}\n", lines.join("\n"))), "{shown}");
}

#[test]
fn few_cases_are_written_and_not_used() {
    let folder = house(60);
    let ran = folder.run(&EVAL).done();
    assert!(ran.out.contains("below 100 cases it is not used"), "{}", ran.out);
    assert_eq!(written(&folder)["right"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(), 60);
    routed(&folder, "right_usd = 0.02");
    folder.run(&["check"]).ends(0, "60 cases, and 100 at least say who is right together");
}

#[test]
fn a_case_that_nobody_could_be_asked_and_a_model_without_a_price_are_told() {
    let folder = house(240);
    let eval = ["eval", "sort", "--candidates", "one,free,flaky", "--cascade", "--share", "all"];
    let told = folder.run(&[&eval[..], &["--json"]].concat()).done().json();
    let (cases, left_out) = (&told["in_turn"]["cases"], &told["in_turn"]["left_out"]);
    assert_eq!(cases.as_u64().unwrap() + left_out.as_u64().unwrap(), 240);
    assert!(left_out.as_u64().unwrap() > 100, "{left_out}");
    let note = format!(
        "cascade.json leaves {left_out} cases out: a candidate could not be asked them for reasons outside of it."
    );
    assert!(told["notes"].as_array().unwrap().contains(&json!(note)), "{}", told["notes"]);
    assert_eq!(told["in_turn"]["without_price"], json!(["free"]));
    assert!(written(&folder)["right"].as_object().unwrap().keys().all(|key| key.ends_with("11")), "it never is wrong");
}

/// An intent's default answer is nobody's: who gave none is wrong, and no case is left out for it.
#[test]
fn a_default_in_its_place_makes_no_answer_right() {
    let folder = house(120);
    let gate = "[[checks]]\ntype = \"regex\"\npattern = \"^[^w]*$\"\non_fail = \"gate\"\n";
    let default = "on_exhausted = { default = { label = \"how-to\" } }\n";
    folder.write("intents/sort/intent.toml", &format!("{MODELS}{default}{LABELS}{gate}"));
    let told = folder.run(&["eval", "sort", "--candidates", "one,free", "--cascade", "--share", "all", "--json"]);
    let told = told.done().json();
    assert_eq!((&told["in_turn"]["cases"], &told["in_turn"]["left_out"]), (&json!(120), &json!(0)));
    let file = written(&folder);
    let right = |key: &str| file["right"][key].as_u64().unwrap_or_default();
    assert_eq!((right("01") + right("11"), right("10")), (90, 0), "how-to is no right answer of either: {file}");
    assert_eq!(told["candidates"][1]["errors"]["no_acceptable_answer"], 30, "{told}");
}

#[test]
fn what_cannot_be_asked_in_turn_is_refused_before_anybody_is_asked() {
    let folder = house(120);
    folder.write("intents/draft/intent.toml", "models = [\"one\", \"two\"]\n");
    folder.write("intents/draft/prompt.md", "## user\n{{ input }}\n");
    let check = |arguments: &[&str], says: &str| {
        folder.run(&[&["eval"], arguments, &["--cascade"]].concat()).ends(2, says);
    };
    check(&["sort"], "--candidates");
    check(&["sort", "--candidates", "one"], "from 2 to 11 models can be asked in turn");
    check(&["sort", "--candidates", "one,intent"], "each candidate is one model: leave `intent` out");
    check(&["sort", "--candidates", "one,sim/one"], "names `sim/one` twice");
    check(&["sort", "--candidates", "one,other"], "`other` is not among the `models` of intents/sort/intent.toml");
    check(&["sort", "--candidates", "one,two", "--repeat", "2"], "leave --repeat out");
    check(&["sort", "--candidates", "one,two", "--against", "."], "cannot be used with");
    check(&["draft", "--candidates", "one,two"], "two good texts need not be equal");
    check(&["none", "--candidates", "one,two"], "there is no intent `none`");
    assert!(!folder.path().join("intents/sort/cascade.json").exists() && !folder.path().join(".baton").exists());
}

#[test]
fn an_intent_that_asks_in_turn_is_evaluated_as_it_is() {
    let folder = house(240);
    let alone = folder.run(&[&EVAL[..], &["--json"]].concat()).done().json();
    let eval = || folder.run(&["eval", "sort", "--share", "all", "--json"]).done().json();
    let (of, passed) = (|told: &Value| told["candidates"][0].clone(), |told: &Value| told["passed"].as_u64().unwrap());
    let usd = |told: &Value| told["cost_usd"].as_str().unwrap().parse::<f64>().unwrap();
    routed(&folder, "right_usd = 0.015");
    let told = eval();
    let (one, dear, in_turn) = (&alone["candidates"][0], &alone["candidates"][2], of(&told));
    assert!(passed(&in_turn) > passed(one) + 10, "{in_turn}");
    assert!(usd(&in_turn) < usd(dear) && usd(&in_turn) > 2.0 * usd(one), "two are asked of each case: {in_turn}");
    assert!(told["notes"].to_string().contains("`intent` asks in turn by cascade.json: on the cases"), "{told}");
    assert_eq!(of(&eval())["cached"], 240);
    routed(&folder, "right_usd = 0.02");
    assert_eq!(of(&eval())["cached"], 0, "who is asked is another question");
    // What models alone said does not hang on it.
    let again = folder.run(&[&EVAL[..], &["--json"]].concat()).done().json();
    assert_eq!(again["candidates"][2]["cached"], 240);
}

/// What was kept before tokens were: it is asked once more, and then known.
#[test]
fn answers_that_were_kept_without_their_tokens_are_asked_anew() {
    let folder = house(120);
    let eval = |more: &[&str]| folder.run(&[&EVAL[..], &["--json"], more].concat()).done().json();
    eval(&[]);
    let path = folder.path().join(".baton/lab/sort.jsonl");
    let kept = std::fs::read_to_string(&path).unwrap();
    let strip = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        assert!(line["given"].as_object_mut().unwrap().remove("usage").is_some());
        line.to_string() + "\n"
    };
    std::fs::write(&path, kept.lines().map(strip).collect::<String>()).unwrap();
    let plain = ["eval", "sort", "--candidates", "one,two,dear", "--share", "all", "--json"];
    assert_eq!(
        folder.run(&plain).ends(1, "").json()["notes"][0],
        "360 of 360 answers came from earlier runs and cost nothing."
    );
    let before = written(&folder);
    assert_eq!(eval(&[])["notes"][0], "0 of 360 answers came from earlier runs and cost nothing.");
    assert_eq!(eval(&[])["notes"][0], "360 of 360 answers came from earlier runs and cost nothing.");
    assert_eq!(written(&folder)["models"], before["models"]);
}
