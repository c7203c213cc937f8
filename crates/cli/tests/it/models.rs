//! `baton sim` as somebody else's server of models, and its traffic as fixtures.

use crate::folder::{Folder, Server};
use crate::http::{get, post};

const SCENARIO: &str = r#"
truth = ["truth.jsonl"]
[models.good]
first_token_ms = { fixed = 2 }
[models.dead]
errors = [{ status = 503, share = 1.0 }]
"#;
const TRUTH: &str = r#"{"input":"I was charged twice","expected":{"label":"billing"}}
{"input":"Write a poem","expected":{"text":"Roses are red, violets are blue."}}
"#;
const CLASSIFY: &str = r#"models = ["house/dead", "good"]
[labels]
billing = "invoices"
bug = "broken"
[retry]
max = 0
"#;

/// Two intents over the models of a simulator that listens, which asks for a key.
fn house() -> (Folder, Server) {
    let folder = Folder::with(&[
        ("scenario.toml", SCENARIO),
        ("truth.jsonl", TRUTH),
        ("intents/classify/intent.toml", CLASSIFY),
        ("intents/write/intent.toml", "models = [\"good\"]\n"),
        ("intents/write/prompt.md", "## user\n{{ input }}\n"),
    ]);
    let sim = folder.serve(&["sim", "--listen", "127.0.0.1:0", "--scenario", "scenario.toml", "--seed", "7"]);
    let house = format!(
        "[models.good]\nid = \"house/good\"\nprice = {{ input = \"1 USD/M\", output = \"2 USD/M\" }}\n\
         [providers.house]\nkind = \"openai-compatible\"\nbase_url = \"http://{}/v1\"\n\
         api_key = {{ env = \"HOUSE_KEY\" }}\n",
        sim.address
    );
    folder.write("baton.toml", &house);
    (folder, sim)
}

const KEY: [(&str, &str); 1] = [("HOUSE_KEY", "sk-house")];

#[test]
fn the_simulator_is_any_openai_compatible_provider() {
    let (folder, sim) = house();
    let ran = folder.run_with(&["run", "classify", "--json", "--input", "\"I was charged twice\""], &KEY, "").done();
    let answer = ran.json();
    assert_eq!(answer["output"]["label"], "billing");
    assert_eq!((answer["model"].as_str(), answer["simulated"].as_bool()), (Some("house/good"), Some(true)));
    let outcomes: Vec<_> = answer["attempts"].as_array().unwrap().iter().map(|a| a["outcome"].as_str()).collect();
    assert_eq!(outcomes, [Some("transient"), Some("passed")]);
    assert!(answer["reason"].as_str().unwrap().starts_with("house/dead transient"), "{answer}");

    let report = folder.run(&["report"]).done().out;
    assert!(report.contains("classify: transient 1"), "{report}");

    assert!(get(&sim.address, "/v1/models").is(200).body.contains("good"));
    let sent = r#"{"model":"good","messages":[{"role":"user","content":"Write a poem"}]}"#;
    let said = post(&sim.address, "/v1/chat/completions", sent).is(200);
    assert_eq!(said.header("x-baton-simulated"), Some("true"));
    assert_eq!(sim.stop().status, 0);
}

#[test]
fn recorded_traffic_is_replayed_without_network_and_without_keys() {
    let (folder, sim) = house();
    let classify = ["run", "classify", "--no-record", "--input", "\"I was charged twice\""];
    let write = ["run", "write", "--no-record", "--stream", "--input", "\"Write a poem\""];
    let with = |arguments: &[&str], flag: &str, keys: &[(&str, &str)]| {
        let arguments: Vec<&str> = arguments.iter().copied().chain([flag, "fixtures"]).collect();
        folder.run_with(&arguments, keys, "")
    };
    let recorded = [&classify[..], &write].map(|arguments| with(arguments, "--record", &KEY).done().out);
    assert_eq!(recorded, ["billing\n", "Roses are red, violets are blue.\n"]);
    for fixture in std::fs::read_dir(folder.path().join("fixtures")).unwrap() {
        let text = std::fs::read_to_string(fixture.unwrap().path()).unwrap();
        assert!(!text.contains("sk-house"), "no key is kept: {text}");
    }
    sim.stop().done();

    let replayed = [&classify[..], &write].map(|arguments| with(arguments, "--replay", &[]).done().out);
    assert_eq!(replayed, recorded);
    let missed = ["run", "write", "--no-record", "--input", "\"Write another\""];
    with(&missed, "--replay", &[]).ends(3, "all_candidates_failed");
    with(&classify, "--record", &[]).ends(2, "HOUSE_KEY");
}
