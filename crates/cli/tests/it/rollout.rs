//! `baton rollout`, ordered from outside; what it does to calls is tested in the engine.

use crate::folder::Folder;

const BATON: &str = r#"
[providers.sim]
kind = "simulated"
scenario = "scenario.toml"
[models.good]
id = "sim/good"
[models.new]
id = "sim/new"
"#;

fn house(policy: &str) -> Folder {
    let intent = format!("models = [\"good\", \"new\"]\n[labels]\nbilling = \"invoices\"\nbug = \"broken\"\n{policy}");
    Folder::with(&[
        ("baton.toml", BATON),
        ("scenario.toml", "[models.good]\n[models.new]\n"),
        ("intents/classify/intent.toml", &intent),
    ])
}

/// Runs `baton` with these words; what it says on both outputs must have this.
fn check(folder: &Folder, words: &str, (status, says): (i32, &str)) {
    let ran = folder.run(&words.split_whitespace().collect::<Vec<_>>());
    assert!(
        ran.status == status && format!("{}{}", ran.out, ran.err).contains(says),
        "{words}: {}{}",
        ran.out,
        ran.err
    );
}

#[test]
fn a_rollout_is_ordered_looked_at_and_ended() {
    let folder = house("[review]\nper_day = 100\n");
    check(&folder, "rollout status", (0, "there is no rollout"));
    check(
        &folder,
        "rollout start classify --to newer",
        (2, "--to: `newer` is no model of `classify`, which has sim/good"),
    );
    check(&folder, "rollout start classify --to new --steps 50,20", (2, "--steps: write 1 to 10 growing percentages"));
    check(&folder, "rollout start classified --to new", (2, "there is no intent `classified`"));
    let started = "sim/new is asked before sim/good in 5 % of the calls of team default";
    check(&folder, "rollout start classify --to new --by ana", (0, started));
    check(&folder, "rollout start classify --to new", (1, "a rollout of sim/new runs"));
    check(&folder, "rollout status classify", (0, "has 5 % of the calls (step 1 of 3)"));
    check(
        &folder,
        "rollout status classify",
        (0, "next: 25 % of the calls, once it is shown to be worse by less than 8.0"),
    );
    let told = folder.run(&["rollout", "status", "--json"]).done().json();
    let of = (&told[0]["stage"], &told[0]["share"], &told[0]["last"][2], &told[0]["figures"][1]["decides"]);
    assert_eq!(of, (&"running".into(), &0.05.into(), &"ana".into(), &true.into()));
    let report = folder.run(&["report", "--json"]).done().json();
    assert_eq!(report["rollouts"][0]["to"], "sim/new");
    check(&folder, "rollout promote classify", (1, "it still runs"));
    check(&folder, "rollout stop classify", (0, "sim/good is asked before sim/new again"));
    check(&folder, "rollout start classify --to new", (1, "--again tries it once more"));
    check(&folder, "rollout start classify --to new --again --margin .1 --steps 20", (0, "in 20 % of the calls"));
    check(&folder, "rollout promote classify --anyway", (0, "models = [\"new\", \"good\"]"));
    check(&folder, "rollout status", (0, "was promoted: it is asked before sim/good"));
    check(&folder, "rollout release classify", (0, "its own route is in force"));
    check(&folder, "rollout release classify", (1, "was released: nothing to do"));
}

#[test]
fn one_call_from_the_command_line_follows_it() {
    let folder = house("");
    let truth = |ticket: &str, label: &str| {
        format!("{{\"input\":{{\"ticket\":\"{ticket}\"}},\"expected\":{{\"label\":\"{label}\"}}}}\n")
    };
    folder.write("truth.jsonl", &[truth("It stays white.", "bug"), truth("Charged twice.", "billing")].concat());
    folder.write("scenario.toml", "truth = [\"truth.jsonl\"]\n[models.good]\n[models.new]\n");
    let run = &["run", "classify", "--input", "{\"ticket\":\"It stays white.\"}", "--json"];
    let model = || folder.run(run).done().json()["model"].clone();
    assert_eq!(model(), "sim/good");
    check(&folder, "rollout start classify --to new", (0, "5 % of the calls"));
    check(&folder, "rollout promote classify --anyway", (0, "models"));
    assert_eq!(model(), "sim/new");
    check(&folder, "rollout stop classify", (0, "again"));
    assert_eq!(model(), "sim/good");
}

#[test]
fn where_nobody_says_how_good_answers_are_it_says_so() {
    let folder = house("");
    check(&folder, "rollout start classify --to new", (0, "nothing gathers a word on the quality of `classify`"));
    check(&folder, "rollout status", (0, "it stays at its first share"));
    check(&folder, "rollout stop classify", (0, "again"));
    folder.write(
        "intents/classify/intent.toml",
        "models = [\"good\"]\n[labels]\nbilling = \"money\"\nbug = \"broken\"\n",
    );
    check(&folder, "rollout status", (0, "sim/new is no model of `classify` any more"));
}
