//! `baton eval`, `compare` and `cases from-traffic`: simulated models, real everything else.

use serde_json::{Value, json};

use crate::folder::Folder;
use crate::http::{get, post};

const HOUSE: &str = "[models.good]\nid = \"sim/good\"\nprice = { input = \"10 USD/M\", output = \"20 USD/M\" }\n\
    [models.twin]\nid = \"sim/twin\"\n[models.bad]\nid = \"sim/bad\"\nprice = { input = \"1 USD/M\", output = \"2 USD/M\" }\n\
    [models.dead]\nid = \"sim/dead\"\n\
    [providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\nseed = 7\n";
const SCENARIO: &str = "truth = [\"intents/sort/cases.jsonl\"]\n[models.good]\n[models.twin]\n[models.bad]\nwrong = 0.4\n\
    [models.dead]\nerrors = [{ status = 503, share = 1.0 }]\n";
const SORT: &str = "models = [\"good\"]\n[labels]\nbilling = \"invoices\"\nbug = \"broken\"\n\
    [objective]\nquality = 0.6\n";

fn ticket(n: usize) -> Value {
    json!(format!("Ticket {n:04} about something"))
}

fn label(n: usize) -> Value {
    json!({ "label": if n.is_multiple_of(2) { "billing" } else { "bug" } })
}

/// An intent whose model is always right, with so many cases of the evaluation share.
fn house(cases: usize) -> Folder {
    let line = |n| json!({ "input": ticket(n), "expected": label(n), "share": "evaluation" }).to_string() + "\n";
    let cases: String = (0..cases).map(line).collect();
    Folder::with(&[
        ("baton.toml", HOUSE),
        ("scenario.toml", SCENARIO),
        ("intents/sort/intent.toml", SORT),
        ("intents/sort/cases.jsonl", &cases),
    ])
}

fn read(folder: &Folder, path: &str) -> String {
    std::fs::read_to_string(folder.path().join(path)).unwrap()
}

/// The example, fast; `haiku` is how often its second model is wrong.
fn helpdesk(haiku: f64) -> Folder {
    let folder = Folder::empty();
    let from = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/helpdesk");
    let copied = ["baton.toml", "intents/classify-ticket/intent.toml", "intents/classify-ticket/prompt.md"];
    let copied = copied.into_iter().chain(["input.schema.json", "cases.jsonl"].map(|name| match name {
        "cases.jsonl" => "intents/classify-ticket/cases.jsonl",
        _ => "intents/classify-ticket/input.schema.json",
    }));
    for path in copied {
        folder.write(path, &std::fs::read_to_string(from.join(path)).unwrap());
    }
    let scenario = format!(
        "truth = [\"intents/classify-ticket/cases.jsonl\"]\n[models.gpt-4]\nwrong = 0.03\n\
         [models.claude-3-haiku]\nwrong = {haiku}\n"
    );
    folder.write("scenario.toml", &scenario);
    folder
}

#[test]
fn a_planted_regression_is_red_and_fails() {
    let folder = helpdesk(0.3);
    let eval = ["eval", "classify-ticket", "--candidates", "gpt-4,claude-3-haiku", "--out", "report"];
    let ran = folder.run_with(&eval, &[("CLICOLOR_FORCE", "1")], "").ends(1, "regression: `claude-3-haiku`");
    let red = ran.out.lines().find(|line| line.contains("REGRESSION")).unwrap();
    assert!(red.contains("\u{1b}[31m") && ran.out.contains("\u{1b}[31m- lost"), "{}", ran.out);
    assert!(ran.err.contains("objective missed: of the answers that `claude-3-haiku` gives"), "{}", ran.err);
    assert!(ran.out.contains("simulated models"), "{}", ran.out);

    let xml = read(&folder, "report/junit.xml");
    let junit = roxmltree::Document::parse(&xml).unwrap();
    let count = |name: &str| junit.descendants().filter(|node| node.has_tag_name(name)).count();
    let total = |name: &str| junit.root_element().attribute(name).unwrap().parse::<usize>().unwrap();
    assert_eq!((count("testcase"), count("failure")), (total("tests"), total("failures")));
    let failed = junit.descendants().find(|node| node.has_tag_name("failure")).unwrap();
    assert!(failed.attribute("message").unwrap().contains("is expected"));
    let page = read(&folder, "report/report.html");
    assert!(page.contains("Simulated models answered") && page.contains("state bad\">regression"));
    assert!(!page.contains("<script") && !page.contains("http"), "it asks for nothing");
    assert!(read(&folder, "report/report.md").contains("🔴 regression"));
    let lines = read(&folder, "report/answers.jsonl");
    assert_eq!(lines.lines().count(), 2 * 91, "91 cases of the example are of the evaluation share");

    // Without the regression nothing is shown, and that is status 0.
    let same = helpdesk(0.03);
    let ran = same.run(&eval[..4]).done();
    assert!(ran.out.contains("nothing shows a regression"), "{}", ran.out);
}

#[test]
fn a_rerun_costs_nothing_until_something_changes() {
    let folder = house(20);
    let eval = || folder.run(&["eval", "sort", "--json", "--repeat", "2"]).done().json();
    let cached = |document: &Value| document["candidates"][0]["cached"].as_u64().unwrap();
    let first = eval();
    assert_eq!((cached(&first), &first["candidates"][0]["passed"]), (0, &json!(40)));
    assert_ne!(first["candidates"][0]["spent_usd"], "0");
    let again = eval();
    assert_eq!((cached(&again), &again["candidates"][0]["spent_usd"]), (40, &json!("0")));
    assert_eq!(again["candidates"][0]["cost_usd"], first["candidates"][0]["cost_usd"]);
    assert_eq!(again["notes"][0], "40 of 40 answers came from earlier runs and cost nothing.");
    assert_eq!(read(&folder, ".baton/.gitignore"), "*\n");
    assert!(!folder.path().join(".baton/journal").exists(), "an evaluation is no traffic");

    let told = folder.run(&["eval", "sort", "--json", "--no-cache"]).done().json();
    assert_eq!(cached(&told), 0);
    // An answer can be checked again; another prompt asks for another answer.
    folder.write(
        "intents/sort/intent.toml",
        &format!("{SORT}[[checks]]\ntype = \"contains\"\nvalue = \"bug\"\non_fail = \"gate\"\n"),
    );
    let checked = folder.run(&["eval", "sort", "--json", "--repeat", "2"]).done().json();
    let candidate = &checked["candidates"][0];
    assert_eq!((cached(&checked), &candidate["passed"], &candidate["answered"]), (40, &json!(20), &json!(20)));
    assert_eq!(candidate["errors"], json!({ "no_acceptable_answer": 20 }));
    folder.write("intents/sort/prompt.md", "## user\nSort this: {{ input }}\n");
    folder.write("intents/sort/intent.toml", SORT);
    assert_eq!(cached(&eval()), 0);
}

#[test]
fn what_privacy_does_not_keep_is_not_kept_for_a_rerun() {
    let folder = house(5);
    folder.write("intents/sort/intent.toml", &format!("{SORT}[privacy]\nstore = \"none\"\n"));
    let told = folder.run(&["eval", "sort", "--json"]).done().json();
    assert!(told["notes"].to_string().contains("no answer was kept for a rerun"), "{told}");
    assert!(!folder.path().join(".baton").exists());
}

#[test]
fn the_products_limits_do_not_bind_an_evaluation() {
    let folder = house(20);
    folder.write("intents/sort/intent.toml", &format!("{SORT}[budget]\ncalls_per_minute = 3\n"));
    let told = folder.run(&["eval", "sort", "--json"]).done().json();
    assert_eq!((passed(&told, 0), &told["candidates"][0]["errors"]), (20, &json!({})));
}

#[test]
fn baselines_are_candidates_folders_or_earlier_runs() {
    let folder = house(60);
    folder.run(&["eval", "sort", "--jsonl", "before.jsonl"]).done();
    let other = house(60);
    other.write("scenario.toml", &SCENARIO.replace("[models.good]\n", "[models.good]\nwrong = 0.3\n"));
    let before = folder.path().join("before.jsonl");

    let baseline = before.to_str().unwrap();
    let ran = other.run(&["eval", "sort", "--baseline", baseline, "--json"]).ends(1, "regression: `intent`");
    let compared = &ran.json()["comparisons"][0];
    assert_eq!((&compared["cases"], &compared["verdict"]), (&json!(60), &json!("worse")));
    assert_eq!(compared["worse"].as_array().unwrap().len(), 60 - passed(&ran.json(), 0));

    let against = folder.path().to_str().unwrap();
    other.run(&["eval", "sort", "--against", against]).ends(1, "regression: `intent` is worse than `intent @");
    // The other way round it is better.
    let back = folder.run(&["eval", "sort", "--against", other.path().to_str().unwrap()]).done();
    assert!(back.out.contains("not worse") && back.out.contains("+ gained"), "{}", back.out);

    let named = ["eval", "sort", "--candidates", "bad,good", "--baseline", "good"];
    folder.run(&named).ends(1, "regression: `bad` is worse than `good`");
    folder.run(&["eval", "sort", "--baseline", "none"]).ends(2, "neither a candidate (intent) nor a file");
    let two = folder.run(&["eval", "sort", "--candidates", "good,twin", "--jsonl", "two.jsonl"]);
    two.done();
    folder.run(&["eval", "sort", "--baseline", "two.jsonl"]).ends(2, "has several candidates");
    folder.run(&["eval", "sort", "--baseline", "two.jsonl#twin"]).done();
    folder.run(&["eval", "sort", "--baseline", "scenario.toml"]).ends(2, "not a line that `baton eval --jsonl` writes");
}

fn passed(document: &Value, candidate: usize) -> usize {
    usize::try_from(document["candidates"][candidate]["passed"].as_u64().unwrap()).unwrap()
}

#[test]
fn nothing_is_evaluated_on_what_was_shown() {
    let folder = house(10);
    let examples: String = (100..104)
        .map(|n| json!({ "input": ticket(n), "expected": label(n), "share": "examples" }).to_string() + "\n")
        .collect();
    folder.write("intents/sort/cases.jsonl", &(read(&folder, "intents/sort/cases.jsonl") + &examples));
    folder.write("intents/sort/intent.toml", &format!("examples = 2\n{SORT}"));
    let told = |share: &str| folder.run(&["eval", "sort", "--json", "--share", share]).done().json();
    assert_eq!(told("evaluation")["cases"], 10);
    let all = told("all");
    assert_eq!(all["cases"], 12, "two of the four are in the prompt");
    assert!(all["notes"].to_string().contains("2 of 14 cases were left out, a candidate has seen them"), "{all}");
    folder.write("seen.jsonl", &examples);
    let told = folder.run(&["eval", "sort", "--json", "--cases", "seen.jsonl"]).done().json();
    assert_eq!(told["cases"], 2);
    // `local` learnt from all four.
    let local = ["eval", "sort", "--candidates", "local", "--cases", "seen.jsonl"];
    folder
        .write("intents/sort/intent.toml", &format!("{}[local]\ncut = 0\n", SORT.replace("[\"good\"]", "[\"local\"]")));
    folder.run(&local).ends(2, "no cases to evaluate on: 4 in seen.jsonl, 4 seen");
}

#[test]
fn promptfoo_tests_are_read() {
    let folder = house(10);
    folder.write(
        "intents/sort/input.schema.json",
        r#"{"type":"object","required":["ticket"],"properties":{"ticket":{"type":"string"}}}"#,
    );
    let line =
        |n| json!({ "input": { "ticket": ticket(n) }, "expected": label(n), "share": "evaluation" }).to_string() + "\n";
    folder.write("intents/sort/cases.jsonl", &(0..10).map(line).collect::<String>());
    folder.write(
        "tests.yaml",
        "prompts: [\"{{ticket}}\"]\ndefaultTest:\n  assert:\n    - type: not-contains\n      value: \"refund {{ ticket }}\"\n    - { type: word-count, value: 1, weight: 3 }\ntests:\n  \
         - description: the first\n    vars: { ticket: \"Ticket 0000 about something\" }\n    assert:\n      \
         - { type: equals, value: billing }\n  \
         - vars: { ticket: \"Ticket 0001 about something\" }\n    assert:\n      - { type: icontains, value: BILLING }\n",
    );
    let told = folder.run(&["eval", "sort", "--cases", "tests.yaml", "--jsonl", "rows.jsonl", "--json"]).done().json();
    assert_eq!((told["cases"].as_u64(), passed(&told, 0)), (Some(2), 1));
    assert_eq!(told["candidates"][0]["checks"]["not-contains"], json!([2, 2]));
    let first: Value = serde_json::from_str(read(&folder, "rows.jsonl").lines().next().unwrap()).unwrap();
    assert_eq!((&first["case"], &first["passed"]), (&json!("the first"), &json!(true)));

    folder.write(
        "tests.csv",
        "ticket,__expected,__description\n\"Ticket 0003 about something\",bug,by csv\n\
         \"Ticket 0004 about something\",\"contains: bill\",\n",
    );
    let told = folder.run(&["eval", "sort", "--cases", "tests.csv", "--json"]).done().json();
    assert_eq!((told["cases"].as_u64(), passed(&told, 0)), (Some(2), 2));

    let refuse = |test: &str, says: &str| {
        folder.write("refused.yaml", &format!("tests:\n  - {test}\n"));
        folder.run(&["eval", "sort", "--cases", "refused.yaml"]).ends(2, says);
    };
    refuse("{ vars: { ticket: a }, assert: [{ type: llm-rubric, value: good }] }", "tests[0]: assert[0]");
    refuse("{ vars: { ticket: a }, assert: [{ type: llm-rubric, value: good }] }", "llm-rubric");
    refuse("{ vars: { ticket: a }, assert: [{ type: equals, value: \"{{ other }}\" }] }", "`other` is no variable");
    refuse("{ vars: { ticket: a }, assert: [{ type: not-perplexity, threshold: 2 }] }", "`not-perplexity` looks at");
    refuse("{ vars: { ticket: [a, b] }, assert: [{ type: equals, value: a }] }", "`ticket` is a list");
    refuse("{ vars: { ticket: a }, options: { transform: x }, assert: [] }", "`options`");
    refuse("{ vars: { ticket: a } }", "no assertion says what is right");
    refuse("{ vars: { text: a }, assert: [{ type: equals, value: a }] }", "input/ticket: is missing");
    folder.write("refused.yaml", "scenarios: []\n");
    folder.run(&["eval", "sort", "--cases", "refused.yaml"]).ends(2, "`scenarios`");
}

#[test]
fn openai_graders_are_read() {
    let folder = house(10);
    let item = |n, label: &str| json!({ "item": { "input": ticket(n), "label": label } }).to_string() + "\n";
    folder.write("items.jsonl", &(item(0, "billing") + &item(1, "billing") + &item(2, "invoice {{ item.x }}")));
    let check = |operation: &str| {
        json!({ "type": "string_check", "name": "same", "operation": operation,
            "input": "{{ sample.output_text }}", "reference": "{{ item.label }}" })
    };
    let eval = ["eval", "sort", "--cases", "items.jsonl", "--graders", "graders.json", "--json"];
    folder.write("graders.json", &json!({ "testing_criteria": [check("eq")] }).to_string());
    assert_eq!(passed(&folder.run(&eval).done().json(), 0), 1);
    folder.write("graders.json", &json!([check("ne")]).to_string());
    assert_eq!(passed(&folder.run(&eval).done().json(), 0), 2);

    let similar = |threshold: Value| {
        json!({ "type": "text_similarity", "evaluation_metric": "rouge_l", "pass_threshold": threshold,
            "input": "{{sample.output_text}}", "reference": "{{item.label}}" })
    };
    let inline = json!({ "testing_criteria": [similar(json!(0.9))],
        "data_source": { "source": { "content": [{ "item": { "input": ticket(0), "label": "Billing!" } }] } } });
    folder.write("eval.json", &inline.to_string());
    assert_eq!(passed(&folder.run(&["eval", "sort", "--cases", "eval.json", "--json"]).done().json(), 0), 1);

    let refuse = |grader: Value, says: &str| {
        folder.write("graders.json", &grader.to_string());
        folder.run(&eval).ends(2, says);
    };
    refuse(json!({ "type": "score_model", "name": "judge" }), "`score_model` asks a model");
    refuse(json!([check("eq"), { "type": "python", "source": "" }]), "grader 1: a grader of type `python`");
    refuse(similar(Value::Null), "pass_threshold");
    let cosine = json!({ "type": "text_similarity", "evaluation_metric": "cosine", "pass_threshold": 0.5,
        "input": "", "reference": "" });
    refuse(cosine, "the metric `cosine` is not supported");
    let unknown = json!({ "type": "string_check", "operation": "eq", "input": "{{ item.nothing }}", "reference": "" });
    refuse(unknown, "the item has no field `nothing`");
}

#[test]
fn may_a_be_replaced_by_b() {
    let folder = house(200);
    let compare =
        |a: &str, b: &str, more: &[&str]| folder.run(&[&["compare", a, b, "--on", "cases", "sort"][..], more].concat());
    let yes = compare("good", "twin", &[]).done();
    assert!(yes.out.ends_with("on 200 cases).\n") && yes.out.contains("Yes: `twin` may replace `good`"), "{}", yes.out);
    let no = compare("good", "bad", &["--json"]).ends(1, "No: `bad` is more than 2.0 points worse").json();
    assert_eq!((&no["verdict"], &no["simulated"]), (&json!("worse"), &json!(true)));
    assert!(no["cost_usd"]["upper"].as_f64().unwrap() < 0.0, "it is cheaper: {no}");

    let few = house(40);
    let open = few.run(&["compare", "good", "twin", "--on", "cases", "sort"]);
    assert_eq!(open.status, 1);
    // z² (1 − m) / m = 188.2 cases show two points where none differs, and one more may.
    assert!(open.out.contains("Not enough evidence whether `twin` may replace `good`"), "{}", open.out);
    assert!(open.out.contains("needs about"), "{}", open.out);
}

#[test]
fn recorded_calls_are_asked_again() {
    let folder = house(30);
    folder.run(&["compare", "good", "bad", "--on", "traffic", "sort"]).ends(1, "no recorded call of `sort`");
    for n in 0..3 {
        folder.run(&["run", "sort", "--input", &ticket(n).to_string()]).done();
    }
    folder.run(&["run", "sort", "--input", &ticket(0).to_string()]).done();
    let told = folder.run(&["compare", "good", "twin", "--on", "traffic", "sort", "--json"]).ends(1, "").json();
    assert_eq!(told["cases"], 3, "the same input is asked once: {told}");
    assert!(told["notes"].to_string().contains("Of 3 inputs nobody said what is right; on 0 of them"), "{told}");
    assert_eq!((&told["quality"]["mean"], &told["verdict"]), (&json!(0.0), &json!("open")));
    folder.run(&["compare", "good", "bad", "--on", "traffic", "--team", "other", "sort"]).ends(1, "team `other`");

    let cases = ["cases", "from-traffic", "sort"];
    let none = folder.run(&cases).ends(0, "0 cases");
    assert!(none.err.contains("3 left out, nobody said what is right"), "{}", none.err);
    let made = folder.run(&[&cases[..], &["--unreviewed", "--limit", "2"]].concat()).ends(0, "read them before use");
    let lines: Vec<Value> = made.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "input": ticket(0), "expected": label(0) }), "the latest first");
    assert_eq!(lines.len(), 2);
}

/// A correction is what is right; so is an answer that somebody passed. One that is only known to be
/// wrong is no case.
#[test]
fn what_people_said_becomes_what_is_expected() {
    let folder = house(10);
    let server = folder.serve(&["serve", "--listen", "127.0.0.1:0"]);
    let told = [("correction", json!({ "label": "bug" })), ("label", json!("good")), ("label", json!("bad"))];
    for (n, (kind, said)) in told.into_iter().enumerate() {
        let call = json!({ "intent": "sort", "input": ticket(n) }).to_string();
        let answer = post(&server.address, "/v1/execute", &call).is(200).json();
        let mut feedback = json!({ "executionId": answer["executionId"] });
        feedback[kind] = said;
        assert!(post(&server.address, "/v1/feedback", &feedback.to_string()).status < 300);
    }
    server.stop().done();
    let made = folder.run(&["cases", "from-traffic", "sort"]).ends(0, "2 cases, of 2 of which somebody said");
    let lines: Vec<Value> = made.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "input": ticket(1), "expected": label(1) }));
    assert_eq!(lines[1], json!({ "input": ticket(0), "expected": { "label": "bug" } }));
    assert!(made.err.contains("1 left out, nobody said what is right"), "{}", made.err);
    let export = folder.run(&["cases", "export", "sort"]).ends(0, "2 cases; replaced: nothing");
    assert_eq!(export.out, made.out);
}

#[test]
fn what_privacy_did_not_keep_is_no_case() {
    let folder = house(5);
    folder.write("intents/sort/intent.toml", &format!("{SORT}[privacy]\nstore = \"none\"\n"));
    folder.run(&["run", "sort", "--input", &ticket(0).to_string()]).done();
    let told = folder.run(&["compare", "good", "twin", "--on", "traffic", "sort"]).ends(1, "no recorded call");
    assert!(told.err.contains("1 recorded calls have no content, by privacy"), "{}", told.err);
    let made = folder.run(&["cases", "from-traffic", "sort", "--unreviewed"]).ends(0, "no content was kept");
    assert_eq!(made.out.trim(), "");
}

#[test]
fn what_is_wrong_is_named() {
    let folder = house(5);
    let check = |command: &str, status: i32, says: &str| {
        let arguments: Vec<&str> = command.split(' ').collect();
        folder.run(&arguments).ends(status, says);
    };
    check("eval none", 2, "there is no intent `none`; there are: sort");
    check("eval sort --candidates good,none", 2, "there is no model `none`");
    check("eval sort --candidates good,good", 2, "names `good` twice");
    check("eval sort --candidates dead", 3, "`dead` answered nothing: all_candidates_failed");
    check("eval sort --margin=-1", 2, "--margin");
    check("eval sort --confidence 1", 2, "--confidence");
    check("eval sort --repeat 0", 2, "--repeat");
    check("eval sort --cases none.jsonl", 2, "none.jsonl: No such file");
    check("eval sort --cases scenario.toml", 2, "a case file is .jsonl, .yaml, .csv or .json");
    check("eval sort --share calibration", 2, "there are no cases to evaluate on");
    check("compare good good --on cases sort", 2, "compared with itself");
    check("compare good bad --on traffic --repeat 2 sort", 2, "each recorded call is asked once");
    folder.write(
        "wrong.jsonl",
        "{\"input\":\"a\",\"expected\":{\"label\":\"bug\"}}\n{\"input\":\"b\",\"expected\":{\"label\":\"none\"}}\n",
    );
    check("eval sort --cases wrong.jsonl", 2, "wrong.jsonl: line 2: expected");
    folder.write("wrong.jsonl", "{\"input\":\"a\",\"expect\":1}\n");
    check("eval sort --cases wrong.jsonl", 2, "line 1: not a case: unknown field `expect`");
    let json = folder.run(&["eval", "sort", "--json", "--candidates", "none"]).ends(2, "").json();
    assert!(json["error"]["message"].as_str().unwrap().contains("no model"));
}

/// Replies to 200 tickets; the judge says of two that the one which stands there is better.
fn replies(better: impl Fn(&str) -> Vec<(String, &'static str)>) -> Folder {
    let reply = |n: usize| format!("Thank you for ticket {n:04}. We look into it.");
    let (mut cases, mut verdicts) = (String::new(), String::new());
    for n in 0..200 {
        let case = json!({ "input": ticket(n), "expected": { "text": reply(n) }, "share": "evaluation" });
        cases.push_str(&format!("{case}\n"));
        for (mark, said) in better(&reply(n)) {
            let expected = json!({ "reasoning": "I read both.", "better": said });
            let verdict = json!({ "input": { "ticket": ticket(n), "mark": mark }, "expected": expected });
            verdicts.push_str(&format!("{verdict}\n"));
        }
    }
    let scenario = "truth = [\"intents/reply/cases.jsonl\", \"verdicts.jsonl\"]\n[models.good]\n[models.bad]\nwrong = 0.4\n\
                    [models.twin]\n";
    let intent = "models = [\"good\"]\n[judge]\nmodel = \"twin\"\n[[criteria]]\nid = \"true\"\nask = \"Is it true?\"\n";
    Folder::with(&[
        ("baton.toml", HOUSE),
        ("scenario.toml", scenario),
        ("verdicts.jsonl", &verdicts),
        ("intents/reply/intent.toml", intent),
        ("intents/reply/prompt.md", "Answer this ticket: {{ input }}\n"),
        ("intents/reply/cases.jsonl", &cases),
    ])
}

#[test]
fn a_judge_compares_texts_in_both_orders() {
    let fair = |right: &str| {
        vec![(format!("<first>\n{right}\n</first>"), "first"), (format!("<second>\n{right}\n</second>"), "second")]
    };
    let house = replies(fair);
    let compare = |house: &Folder, more: &[&str], status, said: &str| {
        let asked = ["compare", "good", "bad", "--on", "cases", "reply", "--json"];
        house.run(&[&asked[..], more].concat()).ends(status, said).json()
    };
    // Both hold all checks: without a judge nothing tells them apart.
    assert_eq!(compare(&house, &[], 0, "")["quality"]["mean"], 0.0);
    let judged = compare(&house, &["--judge"], 1, "No: `bad` is more than 2.0 points worse");
    let said = &judged["judge"];
    let worse = said["baseline_better"].as_u64().unwrap();
    assert!((50..=110).contains(&worse), "{said}");
    assert_eq!(
        (&said["candidate_better"], &said["order_decides"], &said["no_verdict"]),
        (&json!(0), &json!(0), &json!(0))
    );
    assert!(judged["notes"][0].as_str().unwrap().contains("in both orders"), "{judged}");
    // What is not shown may be either way.
    assert_eq!(compare(&house, &["--judge=3"], 1, "")["judge"]["not_shown"], worse - 3);

    // Whoever stands first: the order decides, and that is a tie.
    let house = replies(|_| vec![("The other answered:".to_owned(), "first")]);
    let tied = compare(&house, &["--judge"], 0, "");
    assert_eq!((&tied["judge"]["order_decides"], &tied["quality"]["mean"]), (&json!(worse), &json!(0.0)));
    house.run(&["compare", "good", "bad", "--on", "cases", "--judge", "--repeat", "2", "reply"]).ends(2, "--repeat");
    let none = house.run(&["compare", "good", "bad", "--on", "cases", "--judge=0", "reply"]);
    none.ends(2, "0 is not in 1..=10000");
}

#[test]
fn a_second_opinion_is_told_of_its_intent_and_compares_no_pairs() {
    let folder = house(2);
    let opinion = "unproven = \"judge\"\n[judge]\nmodel = \"twin\"\nsecond_opinion = true\n";
    folder.write("intents/sort/intent.toml", &format!("{SORT}{opinion}"));
    let checked = folder.run(&["check"]).ends(0, "models of one family are wrong together");
    assert!(checked.out.contains("2 cases, sim/good; second opinion of sim/twin"), "{}", checked.out);
    folder.run(&["compare", "good", "bad", "--on", "cases", "--judge", "sort"]).ends(2, "gives a second opinion");
    let explained = folder.run(&["route", "explain", "sort", "--input", "\"x\""]).done();
    assert!(explained.out.contains("waits for the second opinion of sim/twin"), "{}", explained.out);
    let ran = folder.run(&["run", "sort", "--input", "\"Ticket 0001 about something\""]);
    let ran = ran.ends(0, "because      first in the intent's order; the second opinion of sim/twin is the same");
    assert!(ran.out.contains("bug"), "{}", ran.out);
}

/// A model alone is asked what it says, whatever would become of its answer in the path; as declared, the
/// opinion holds back what differs from it, and is paid for.
#[test]
fn what_is_unproven_is_evaluated_all_the_same() {
    let folder = house(40);
    let intent = |tail: &str| folder.write("intents/sort/intent.toml", &format!("{SORT}{tail}"));
    let eval = || {
        let ran = folder.run(&["eval", "sort", "--candidates", "bad,intent", "--json"]);
        let (bad, whole) = (ran.json()["candidates"][0].clone(), ran.json()["candidates"][1].clone());
        let of = |candidate: &Value| [candidate["answered"].as_u64().unwrap(), candidate["cached"].as_u64().unwrap()];
        (of(&bad), of(&whole), whole["cost_usd"].as_str().unwrap().to_owned())
    };
    intent("unproven = \"fail\"\n");
    let (bad, whole, alone) = eval();
    assert_eq!((bad, whole), ([40, 0], [40, 0]));
    intent("unproven = \"judge\"\n[judge]\nmodel = \"bad\"\nsecond_opinion = true\n");
    let (bad, whole, both) = eval();
    assert_eq!((bad, whole[1]), ([40, 40], 0));
    assert!((15..35).contains(&whole[0]), "{whole:?}: it differs in four of ten");
    assert!(both.parse::<f64>().unwrap() > alone.parse::<f64>().unwrap(), "{both} {alone}");
    // Another one's opinion is another answer of the intent.
    intent("unproven = \"judge\"\n[judge]\nmodel = \"twin\"\nsecond_opinion = true\n");
    let (bad, whole, _) = eval();
    assert_eq!((bad, whole), ([40, 40], [40, 0]));
}

/// Its word would be paid for, and forgotten.
#[test]
fn an_evaluation_draws_no_answers_for_a_judge() {
    let folder = house(20);
    let sim = folder.serve(&["sim", "--listen", "127.0.0.1:0", "--scenario", "scenario.toml"]);
    let provider = format!("kind = \"openai-compatible\"\nbase_url = \"http://{}/v1\"\n", sim.address);
    let simulated = "kind = \"simulated\"\nscenario = \"scenario.toml\"\nseed = 7\n";
    folder.write("baton.toml", &HOUSE.replace(simulated, &provider));
    let opinion = "[judge]\nmodel = \"twin\"\nsecond_opinion = true\n[review]\nper_day = 1000\n";
    folder.write("intents/sort/intent.toml", &format!("{SORT}{opinion}"));
    folder.run(&["eval", "sort"]).done();
    let stats = get(&sim.address, "/__sim/stats").is(200).json();
    assert_eq!((&stats["models"]["good"]["calls"], &stats["models"]["twin"]), (&json!(20), &Value::Null));
}
