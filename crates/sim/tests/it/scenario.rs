//! Scenario files: what is read, and where errors point.

use std::path::Path;

use baton_sim::{Fault, Latency, Scenario, Sim};
use serde_json::json;

/// The documentation's example is read, and its truth files with it.
#[test]
fn the_documented_example_is_read() {
    let manual = include_str!("../../../../docs/simulator.md");
    let example = manual.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let cases = dir.path().join("intents/classify-ticket");
    std::fs::create_dir_all(&cases).unwrap();
    let lines = "{\"input\":{\"ticket\":\"charged twice\"},\"expected\":{\"label\":\"billing\"}}\n\n\
                 {\"input\":{\"ticket\":\"it crashes\"},\"expected\":{\"label\":\"bug\"}}\n";
    std::fs::write(cases.join("cases.jsonl"), lines).unwrap();
    let path = dir.path().join("scenario.toml");
    std::fs::write(&path, example).unwrap();
    let scenario = Scenario::read(&path).unwrap();
    assert_eq!(scenario.seed(), Some(7));
    let sim = Sim::new(scenario, 7);
    assert_eq!(sim.expected(&json!({"ticket": "it crashes"})), Some(json!({"label": "bug"})));
    assert_eq!(sim.expected(&json!({"ticket": "else"})), None);
}

/// Every fault that the manual's reference lists is read, and none is missing there.
#[test]
fn the_documented_faults_are_the_faults() {
    let manual = include_str!("../../../../docs/simulator.md");
    let rows = manual.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `kind = "));
    let mut names = Vec::new();
    for (name, rest) in rows {
        let keys = rest.split('`').next().unwrap();
        let text = format!("[models.m]\nfaults = [{{ share = 0.1, kind = {keys} }}]");
        if let Err(e) = Scenario::parse(&text, Path::new("")) {
            panic!("{text}: {e}");
        }
        names.push(name);
    }
    let wrong = Scenario::parse("[models.m]\nfaults = [{ share = 0.1, kind = \"x\" }]", Path::new("")).unwrap_err();
    let wrong = wrong.to_string();
    let known: Vec<&str> = wrong.split_once("expected one of ").unwrap().1.split('`').skip(1).step_by(2).collect();
    assert_eq!(names, known);
}

#[test]
fn errors_point_at_their_place() {
    for (text, expected) in [
        ("seed = 7\n", "1:1: missing field `models`"),
        (
            "[models.m]\nspeed = 3\n",
            "2:1: unknown field `speed`, expected one of `first_token_ms`, `tokens_per_second`, `wrong`, `errors`, `faults`, `concurrency`, `several`, `phases`, `batch`",
        ),
        ("[models.m]\nwrong = 3\n", "2:9: a share lies between 0 and 1, not 3"),
        ("[models.m]\ntokens_per_second = 0\n", "2:21: tokens_per_second is 0.001 or more, not 0"),
        (
            "[models.m]\nfirst_token_ms = { p50 = 9, p99 = 3 }\n",
            "2:18: first_token_ms is `{ fixed = 5 }` (0 or more) or `{ p50 = 320, p99 = 1200 }` (0 < p50 <= p99), in milliseconds, a day at most",
        ),
        (
            "[models.m]\nerrors = [{ status = 200, share = 0.1 }]\n",
            "2:11: `status` is an HTTP error, 400 to 599, not 200",
        ),
        (
            "[models.m]\nfaults = [{ kind = \"hang\", share = 0.1, bytes = 3 }]\n",
            "2:11: `bytes` does not apply to `kind = \"hang\"`: remove it",
        ),
        (
            "[models.m]\nfaults = [\n  { kind = \"cut_stream\", share = 0.1 },\n]\n",
            "3:3: this kind of fault needs `after_tokens`",
        ),
        (
            "[models.m]\nerrors = [{ status = 500, share = 0.6 }]\nfaults = [{ kind = \"hang\", share = 0.6 }]\n",
            "1:1: model `m`: the shares of errors and faults sum to 1.2, above 1",
        ),
        (
            "[models.m]\n[[models.m.phases]]\nfrom_call = 3\nto_call = 3\n",
            "1:1: model `m`: phase 1: it ends before it begins",
        ),
        (
            "truth = [\n  \"none.jsonl\",\n]\n[models.m]\n",
            "2:3: truth file none.jsonl: No such file or directory (os error 2)",
        ),
        ("[models.m\n", "1:10: unclosed table, expected `]`"),
    ] {
        let error = Scenario::parse(text, Path::new("")).unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
    }
}

#[test]
fn errors_in_truth_files_name_their_line() {
    let dir = tempfile::tempdir().unwrap();
    for (lines, expected) in [
        ("\n{\"input\": 3}", "2: missing field `expected` at line 1 column 12"),
        ("{\"input\": 3, \"expected\": {}}", "1: \"input\" has no text by which its prompt could be recognised"),
        (
            "\n{\"input\": \"a\", \"expected\": \"b\"}",
            "2: \"expected\" is an object, as {\"label\": …} or {\"text\": …}",
        ),
        (
            "{\"input\": \"a\", \"expected\": {\"label\": \"b\"}}",
            "1: all cases have the label \"b\": a wrong answer needs another",
        ),
    ] {
        std::fs::write(dir.path().join("c.jsonl"), lines).unwrap();
        let error = Scenario::parse("truth = [\"c.jsonl\"]\n[models.m]\n", dir.path()).unwrap_err().to_string();
        let path = dir.path().join("c.jsonl");
        assert_eq!(error, format!("{}:{expected}; each line is {{\"input\": …, \"expected\": …}}", path.display()));
    }
}

#[test]
fn a_file_names_itself_in_its_errors() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("scenario.toml");
    std::fs::write(&path, "[models.m]\nwrong = 3\n").unwrap();
    let error = Scenario::read(&path).unwrap_err().to_string();
    assert_eq!(error, format!("{}:2:9: a share lies between 0 and 1, not 3", path.display()));
}

#[test]
fn json_behaviours_are_the_same_shape() {
    let behaviour: baton_sim::Behaviour = serde_json::from_str(
        r#"{"first_token_ms": {"fixed": 5}, "faults": [{"kind": "cut_stream", "share": 0.5, "after_tokens": 3}]}"#,
    )
    .unwrap();
    assert_eq!(behaviour.first_token_ms, Latency::Fixed { ms: 5.0 });
    assert_eq!(behaviour.faults[0].fault, Fault::CutStream { after_tokens: 3 });
}
