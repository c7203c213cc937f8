//! The commands that end by themselves: what they print, where, and with which status.

use serde_json::json;

use crate::folder::Folder;

const LABELS: &str = "[labels]\nbilling = \"invoices\"\nbug = \"broken\"\n";
const TWO_VENDORS: &str = r#"models = ["openai/gpt-4o-mini", "anthropic/claude-haiku"]"#;

/// One intent, `a`, of two labels.
fn labelled(models: &str) -> Folder {
    Folder::with(&[("intents/a/intent.toml", &format!("models = {models}\n{LABELS}"))])
}

#[test]
fn an_empty_folder_says_what_to_do() {
    let folder = Folder::empty();
    for command in ["check", "serve", "report", "keys list", "run a --input {}", "keys create --team t"] {
        let arguments: Vec<&str> = command.split(' ').collect();
        folder.run(&arguments).ends(2, "`baton init` makes a first intent");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    folder.run(&["check", "--dir", "nowhere"]).ends(2, "nowhere: there is no such folder");
}

#[test]
fn from_an_empty_folder_to_the_first_answer() {
    let folder = Folder::empty();
    let made = folder.run(&["init", "classify-ticket"]).done().out;
    assert!(made.starts_with("made intents/classify-ticket\n"), "{made}");
    folder.run(&["init", "classify-ticket"]).ends(2, "is left as it is");
    folder.run(&["init", "No Name"]).ends(2, "cannot be an intent's name");

    let checked = folder.run(&["check"]).done();
    assert_eq!(checked.err, "");
    assert!(checked.out.ends_with("1 intent is as it should be\n"), "{}", checked.out);

    // The command that `init` prints.
    let input = r#"{"text":"I was charged twice"}"#;
    let ran = folder.run(&["run", "classify-ticket", "--input", input]).ends(0, "answered by  local, via model");
    assert_eq!(ran.out, "billing\n");

    let report = folder.run(&["report", "--json"]).done().json();
    assert_eq!(report["intents"][0]["name"], "classify-ticket");
    assert_eq!((&report["intents"][0]["calls"], &report["intents"][0]["failed"]), (&json!(1), &json!(0)));
    let ignored = std::fs::read_to_string(folder.path().join(".baton/.gitignore")).unwrap();
    assert_eq!(ignored, "*\n");
}

#[test]
fn a_typo_points_at_its_place() {
    let folder = Folder::init();
    folder.write("baton.toml", "[modles.gpt-4]\nid = \"openai/gpt-4\"\n");
    for arguments in [&["check"][..], &["run", "classify-ticket", "--input", "1"], &["serve"]] {
        let ran = folder.run(arguments).ends(2, "baton.toml:1:2: unknown key `modles`");
        assert!(ran.err.contains("did you mean `models`?"), "{}", ran.err);
    }
    let told = folder.run(&["check", "--json"]).ends(2, "unknown key").json();
    let first = &told["diagnostics"][0];
    assert_eq!((&told["ok"], &first["line"], &first["column"]), (&json!(false), &json!(1), &json!(2)));
}

#[test]
fn missing_keys_are_named_all_of_them() {
    let folder = Folder::with(&[("intents/a/intent.toml", &format!("{TWO_VENDORS}\n{LABELS}"))]);
    let checked = folder.run(&["check"]).ends(0, "OPENAI_API_KEY: not set; it is the key of provider `openai`");
    assert!(checked.err.contains("ANTHROPIC_API_KEY: not set"), "{}", checked.err);
    let told = folder.run(&["check", "--json"]).done().json();
    let about: Vec<_> = told["diagnostics"].as_array().unwrap().iter().map(|d| (&d["level"], &d["file"])).collect();
    let warned = |name| (json!("warning"), json!(name));
    let expected = [warned("ANTHROPIC_API_KEY"), warned("OPENAI_API_KEY")];
    assert_eq!(about, expected.each_ref().map(|(level, file)| (level, file)));

    for arguments in [&["run", "a", "--input", "1"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let ran = folder.run(arguments).ends(2, "OPENAI_API_KEY");
        assert!(ran.err.contains("ANTHROPIC_API_KEY"), "{}", ran.err);
    }
    let keys = [("OPENAI_API_KEY", "sk-none"), ("ANTHROPIC_API_KEY", "sk-none")];
    assert_eq!(folder.run_with(&["check"], &keys, "").done().err, "");
}

#[test]
fn wrong_usage_says_what_was_wrong() {
    let folder = labelled(r#"["local"]"#);
    folder.write("intents/a/input.schema.json", r#"{"type":"object","required":["ticket"]}"#);
    let check = |command: &str, says: &str| {
        let arguments: Vec<&str> = command.split(' ').collect();
        folder.run(&arguments).ends(2, says);
    };
    check("run a", "--input <JSON|@FILE|->");
    check("run a --input words", "--input is not JSON: expected value at line 1 column 1");
    check("run a --input words", "a text is written in quotes");
    check("run a --input -", "--input is not JSON: EOF");
    check("run a --input @missing.json", "--input @missing.json: No such file");
    check("run a --input {}", "input_invalid: input/ticket: is missing");
    check("run b --input {}", "there is no intent `b`; there are: a");
    check("run a --input {} --config {", "--config is not JSON");
    check("run a --input {} --config {\"maxLatency\":5}", "expected one of `primaryModel`");
    check("run a --input {} --config {\"retries\":6}", "config.retries = 6 is outside of what the intent allows");
    check("run a --input {} --stream --json", "cannot be used with");
    check("run a --input {} --replay nowhere", "--replay nowhere: No such file");
    check("review a", "who reviews? give your name with --reviewer NAME");
    check("review a --reviewer ann", "this needs a terminal");
    check("review b --reviewer ann", "there is no intent `b`; there are: a");
    check("review stats --server here", "--server here: has no http:// or https://");
    check("review stats --server http://127.0.0.1:1 --key-env NOWHERE", "--key-env NOWHERE: it is not set");
    check("review import labels.jsonl", "labels.jsonl: No such file");
    check("report --since 5x", "`5x` is not a duration; write 30m, 24h or 7d");
    check("keys create --team t --expires soon", "--expires: `soon` is not a duration");
    check("keys create --team t --intents b", "there is no intent `b`; there are: a");
    check("keys create --team a/ --allow all", "possible values: call, read");
    check("serve --listen 7700", "for example 127.0.0.1:7700");
    check("serve --port 8080", "for '--listen <ADDR>': write an address and a port, for example 127.0.0.1:8080");
    check("serve --listen 0.0.0.0:0", "there are no keys, and 0.0.0.0:0 would let everybody in");
    check("sim --scenario nowhere.toml", "nowhere.toml");
}

#[test]
fn the_input_may_be_a_file_or_standard_input() {
    let folder = Folder::init();
    let ticket = r#"{"text":"I was charged twice"}"#;
    folder.write("ticket.json", ticket);
    let run = |input: &str, given: &str| {
        folder.run_with(&["run", "classify-ticket", "--no-record", "--input", input], &[], given).done().out
    };
    assert_eq!(run("@ticket.json", ""), "billing\n");
    assert_eq!(run("-", ticket), "billing\n");
    assert!(!folder.path().join(".baton").exists(), "--no-record keeps none");
}

/// Whatever happens, `--json` prints one document, and only that, to standard output.
#[test]
fn json_is_one_document() {
    let folder = Folder::init();
    let check = |command: &str, status: i32, pointer: &str| {
        let arguments: Vec<&str> = command.split(' ').collect();
        let json = folder.run(&arguments).ends(status, "").json();
        assert!(json.pointer(pointer).is_some(), "{command}: {json}");
    };
    check("run classify-ticket --json --input {\"text\":\"refund\"}", 0, "/output/label");
    check("run nothing --json --input {}", 2, "/error/executionId");
    check("run classify-ticket --json --input words", 2, "/error/message");
    check("run classify-ticket --json --input 1 --dir nowhere", 2, "/error/message");
    check("check --json", 0, "/ok");
    check("check --json --effective", 0, "/effective/0/origin");
    check("check --json --dir nowhere", 2, "/diagnostics/0/message");
    check("report --json", 0, "/intents/0/p99_ms");
    check("report --json --since 5x", 2, "/error/message");
    check("review stats --json", 0, "/intents");
    check("keys list --json", 0, "");
    check("keys create --team support --json", 0, "/key");
    check("keys create --team none --json --intents none", 2, "/error/message");
}

#[test]
fn a_status_tells_who_failed() {
    // 1: the thing asked about. `local` has learnt nothing, so nobody gives an acceptable answer.
    let nobody = labelled(r#"["local"]"#);
    nobody.run(&["run", "a", "--input", "1"]).ends(1, "no_acceptable_answer");
    let doubtful = Folder::init();
    let policy =
        "models = [\"local\"]\nobjective.unproven = \"fail\"\nlocal.cut = 0\n[labels]\nbilling = \"\"\nbug = \"\"\n";
    doubtful.write("intents/classify-ticket/intent.toml", policy);
    doubtful.write(
        "intents/classify-ticket/cases.jsonl",
        "{\"input\":\"pay\",\"expected\":{\"label\":\"billing\"},\"share\":\"examples\"}\n\
         {\"input\":\"crash\",\"expected\":{\"label\":\"bug\"},\"share\":\"examples\"}\n",
    );
    doubtful.run(&["run", "classify-ticket", "--input", "\"pay\""]).ends(1, "`unproven` is \"fail\"");

    // 3: something outside.
    let folder = Folder::init();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.write("scenario.toml", "[models.a]\n");
    for command in [&["serve"][..], &["sim", "--scenario", "scenario.toml"]] {
        let ran = folder.run(&[command, &["--listen", &address]].concat()).ends(3, &address);
        assert!(
            ran.err.contains("another process listens there") && ran.err.contains("--listen 127.0.0.1:0"),
            "{}",
            ran.err
        );
    }

    // Nobody listens on a port that was just given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = labelled(r#"["house/llama"]"#);
    let house = format!("[providers.house]\nkind = \"openai-compatible\"\nbase_url = \"http://{free}/v1\"\n");
    folder.write("baton.toml", &house);
    let ran = folder.run(&["run", "a", "--input", "1"]).ends(3, "all_candidates_failed");
    assert!(ran.err.contains("(3 times)"), "two retries, told once: {}", ran.err);
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let folder = Folder::init();
    folder.run(&["keys", "list"]).ends(0, "no keys: the server is open to this machine only");
    let made = folder.run(&["keys", "create", "--team", "support", "--expires", "90d"]).ends(0, "shown once");
    assert!(made.out.starts_with("bk_") && made.out.lines().count() == 1, "{}", made.out);

    let listed = folder.run(&["keys", "list", "--json"]).done();
    assert!(!listed.out.contains(made.out.trim()), "a secret is never shown again");
    let id = listed.json()[0]["id"].as_str().unwrap().to_owned();
    assert!(folder.run(&["keys", "list"]).done().out.contains("active"));
    folder.run(&["keys", "revoke", &id]).ends(0, "revoked");
    assert!(folder.run(&["keys", "list"]).done().out.contains("revoked"));
    folder.run(&["keys", "revoke", "nothing"]).ends(1, "there is no key `nothing`");

    folder.run(&["keys", "create", "--team", ""]).ends(2, "cannot be a team");
    // A typo in a team's name would have none of the team's limits.
    folder.write("baton.toml", "[teams.support]\nintents = [\"classify-ticket\"]\n");
    folder.run(&["keys", "create", "--team", "suport"]).ends(2, "no [teams.suport]; it has: support");
    folder.run(&["keys", "create", "--team", "support"]).done();
}

#[test]
fn check_shows_every_setting_with_its_origin() {
    let folder = Folder::init();
    folder.write("baton.toml", "[store]\nurl = \"sqlite://here\"\n");
    let shown = folder.run_with(&["check", "--effective", "--json"], &[("BATON_STORE_URL", "sqlite://there")], "");
    let json = shown.done().json();
    let setting = |key: &str| {
        let all = json["effective"].as_array().unwrap().iter();
        let found = all.into_iter().find(|setting| setting["key"] == key).unwrap();
        (found["value"].clone(), found["origin"].to_string())
    };
    let (value, origin) = setting("store.url");
    assert_eq!(value, "sqlite://there");
    assert!(origin.contains("BATON_STORE_URL"), "{origin}");
    assert_eq!(setting("intents.classify-ticket.objective.latency_ms").0, 30000);
    assert_eq!(setting("intents.classify-ticket.local.cut").0, 0);
}

const REVIEW: &str = "models = [\"local\"]\n[labels]\nbilling = \"\"\nbug = \"\"\n[local]\ncut = 0\n\
    [[criteria]]\nid = \"team\"\nask = \"Does this reach the right team?\"\n[review]\nper_day = 1000\ndouble = 0\n";

#[test]
fn labels_go_out_and_come_in() {
    let folder = Folder::init();
    folder.write("intents/classify-ticket/intent.toml", REVIEW);
    folder.write(
        "intents/classify-ticket/cases.jsonl",
        "{\"input\":\"pay\",\"expected\":{\"label\":\"billing\"},\"share\":\"examples\"}\n\
         {\"input\":\"crash\",\"expected\":{\"label\":\"bug\"},\"share\":\"examples\"}\n",
    );
    let ran = folder.run(&["run", "classify-ticket", "--input", "\"pay\"", "--json"]).done().json();
    let id = ran["executionId"].as_str().unwrap();
    let waits = folder.run(&["review", "stats", "--json"]).done().json();
    assert_eq!(waits["intents"]["classify-ticket"]["open"], 1, "{waits}");
    assert_eq!(folder.run(&["review", "export"]).done().out, "", "nothing is labelled yet");

    let label = json!({"executionId": id, "labels": [{"reviewer": "ann", "criteria": {"team": false}}]}).to_string();
    folder.write("labels.jsonl", &label);
    folder.run(&["review", "import", "labels.jsonl"]).ends(0, "1 labels are new");
    let exported = folder.run(&["review", "export"]).done();
    let line = exported.json();
    assert_eq!((&line["state"], &line["labels"][0]["pass"]), (&json!("done"), &json!(false)), "{line}");
    folder.run_with(&["review", "import", "-"], &[], &exported.out).ends(0, "0 labels are new");
    let table = folder.run(&["review", "stats"]).done().out;
    assert!(table.contains("0 of 1") && table.contains("ann"), "{table}");
    let wrong = label.replace("team", "colour");
    folder.run_with(&["review", "import", "-"], &[], &wrong).ends(2, "line 1: `classify-ticket` has no criterion");
}

#[test]
fn embeddings_are_listed_and_missing_ones_told() {
    let folder = Folder::init();
    let listed = folder.run(&["embeddings", "list"]).done();
    assert!(listed.out.contains("wordllama") && listed.out.contains("19.2 MB"), "{}", listed.out);
    assert!(listed.err.contains(".baton/embeddings"), "{}", listed.err);
    let listed = folder.run(&["embeddings", "list", "--at", "elsewhere", "--json"]).done().json();
    assert_eq!((&listed["folder"], &listed["embeddings"][1]["state"]), (&json!("elsewhere"), &json!("missing")));

    folder.run(&["embeddings", "verify"]).done();
    folder.run(&["embeddings", "verify", "wordllama"]).ends(1, "run `baton embeddings pull wordllama`");
    folder.write(".baton/embeddings/wordllama/model.safetensors", "no weights");
    let verified = folder.run(&["embeddings", "verify", "--json"]).ends(1, "has 10 bytes, not 16384096");
    assert_eq!(verified.json()["states"], json!({ "wordllama": "broken", "minilm": "missing" }));

    folder.run(&["embeddings", "pull", "word2vec"]).ends(2, "there are: wordllama, minilm");
    folder.run(&["embeddings", "pull", "hashed"]).ends(2, "is built in");
    // With an empty PATH there is nobody to fetch it.
    folder
        .run_with(&["embeddings", "pull", "wordllama"], &[("PATH", "")], "")
        .ends(3, "install Python with pip, or uv");
}

#[test]
fn a_route_is_explained_without_asking_anybody() {
    let policy = "models = [\"local\", \"openai/gpt-4o-mini\"]\nroute = \"cheapest\"\n[review]\nper_day = 5\n";
    let folder = Folder::with(&[("intents/a/intent.toml", &format!("{policy}{LABELS}"))]);
    let told = folder.run(&["route", "explain", "a", "--input", "\"x\"", "--json"]).done().json();
    assert_eq!((&told["route"]["basis"], &told["route"]["strategy"]), (&json!("no_evidence"), &json!("cheapest")));
    assert_eq!(told["route"]["candidates"][0]["model"], "local");
    let shown = folder.run(&["route", "explain", "a", "--input", "\"x\""]).done().out;
    assert!(shown.contains("there is no evidence yet to route `cheapest` by"), "{shown}");
    folder.run(&["route", "explain", "b", "--input", "1"]).ends(2, "there is no intent `b`");
    folder.run(&["route", "explain", "a", "--input", "x"]).ends(2, "--input is not JSON");
}
