//! Mistakes in what lies beside intent.toml: prompts, schemas, cases; and secrets.

use insta::assert_snapshot;

use crate::folder::{Folder, intent, labelled, prompted};

#[test]
fn prompts() {
    assert_snapshot!(intent("models = [\"openai/x\"]\n").diagnostics(), @"
    intents/a/intent.toml:1:1: the intent has no prompt.md
        add prompt.md beside it, with `## system` and `## user` sections; only labels have one built in
    ");
    assert_snapshot!(prompted("Title\n## system\nx\n## user\nHi\n").diagnostics(), @"
    intents/a/prompt.md:1:1: text before the first section: nobody speaks it
        put it under `## system`, or remove it
    ");
    assert_snapshot!(prompted("## system\n\nok\n").diagnostics(), @"
    intents/a/prompt.md:1:1: the prompt has no `## user` section
        add a `## user` section with the input: most providers refuse a call without one
    ");
    assert_snapshot!(prompted("## user\n\n").diagnostics(), @"
    intents/a/prompt.md:2:1: an empty section
        write it, or remove it
    ");
    assert_snapshot!(prompted("## users\n## user\nThe same each time\n").diagnostics(), @"
    intents/a/prompt.md:1:1: text before the first section: nobody speaks it
        put it under `## system`, or remove it
    intents/a/prompt.md:1:1: `## users` is taken as text
        write `## user` if it begins a section
    ");
    assert_snapshot!(prompted("## user\n\nok\n  {% if %}\n").diagnostics(), @"
    intents/a/prompt.md:4:9: syntax error: unexpected end of block
        templates are minijinja: `{{ value }}`, `{% if … %}`; `{% raw %}` for literal braces
    ");
}

#[test]
fn variables_are_checked_against_the_schema() {
    let prompt = "## system

Hé {{ tickt }} {{ labels }} {{ messages }}
{{ output_schema }} {{ examples }}
## user
{% set mine = 1 %}{{ mine }}{{ range(3) }}{{ free.anything }}
{% if ticket.bdy %}{{ ticket.body }}{{ ticket.body.x }}{% endif %}{{ input.foo }}
";
    let schema = r##"{"type": "object", "properties": {
        "ticket": {"$ref": "#/$defs/ticket"}, "free": {"type": "object"}},
        "$defs": {"ticket": {"type": "object", "properties": {"body": {"type": "string"}}}}}"##;
    assert_snapshot!(prompted(prompt).with("intents/a/input.schema.json", schema).diagnostics(), @"
    intents/a/prompt.md:3:7: `tickt` is not defined: no field of the input has this name
        did you mean `ticket`? fields of input.schema.json: ticket, free; besides them: input, labels, output_schema, examples
    intents/a/prompt.md:3:19: `labels` is not defined: this intent has no [labels]
        remove it, or add what it stands for
    intents/a/prompt.md:3:32: `{{ messages }}` is not supported by this version
        write the input's field; conversations come with a later version
    intents/a/prompt.md:4:4: `output_schema` is not defined: this intent has no output.schema.json
        remove it, or add what it stands for
    intents/a/prompt.md:4:24: `examples` is not defined: intent.toml has no `examples = …`
        remove it, or add what it stands for
    intents/a/prompt.md:7:7: `ticket.bdy` is not defined: no field of the input has this name
        did you mean `body`? fields of input.schema.json: body; besides them: input, labels, output_schema, examples
    intents/a/prompt.md:7:40: `ticket.body.x` is not defined: no field of the input has this name
        fields of input.schema.json: none; besides them: input, labels, output_schema, examples
    intents/a/prompt.md:7:70: `input.foo` is not defined: no field of the input has this name
        fields of input.schema.json: ticket, free; besides them: input, labels, output_schema, examples
    ");
}

#[test]
fn variables_are_checked_against_the_cases_without_a_schema() {
    let cases = "{\"input\": {\"ticket\": \"x\"}, \"expected\": {\"text\": \"y\"}}\n";
    let prompt = |text: &str| prompted(text).with("intents/a/cases.jsonl", cases).diagnostics();
    assert_snapshot!(prompt("{{ ticket }}{{ tickets }}"), @"
    intents/a/prompt.md:1:16: `tickets` is not defined: no field of the input has this name
        did you mean `ticket`? fields of cases.jsonl: ticket; besides them: input, labels, output_schema, examples
    ");
    assert_snapshot!(prompt("ok\n{{ ticket | nofilter }}"), @"
    intents/a/prompt.md:2:13: unknown filter: filter nofilter is unknown
        it fails with an input of cases.jsonl; a field that may be absent is guarded by `{% if NAME is defined %}`
    ");
    assert_snapshot!(prompt("{{ ticket }}"), @"");
    assert_snapshot!(prompted("{{ anything }}").diagnostics(), @"");
}

#[test]
fn schemas() {
    let schemas = |input: &str, output: &str| {
        let folder = prompted("{{ input }}").with("intents/a/input.schema.json", input);
        folder.with("intents/a/output.schema.json", output).diagnostics()
    };
    let wrong = "{\n \"type\": \"object\",\n \"properties\": {\"a\": {\"type\": 5}, \"b\": {}}}";
    assert_snapshot!(schemas(wrong, "{\"type\": \"array\"}"), @r#"
    intents/a/input.schema.json:3:31: not a JSON Schema: `type` cannot be 5
        correct the schema
    intents/a/output.schema.json:1:10: an output is always an object
        write `"type": "object"` and put what you want under `properties`
    "#);
    let outside = "{\"type\": \"object\",\n\"properties\": {\"a\": {\"$ref\": \"http://x/y.json\"}}}";
    assert_snapshot!(schemas("{\n \"type\": }", outside), @"
    intents/a/input.schema.json:2:10: not valid JSON: expected value
        correct the syntax
    intents/a/output.schema.json:2:30: this $ref points outside of the file, which is not followed
        copy the schema under `$defs`, and write `#/$defs/NAME`
    ");
    assert_snapshot!(schemas("{\"properties\":\n{\"labels\": true}}", "{\"type\": \"object\", \"pattern\": \"(\"}"), @r#"
    intents/a/input.schema.json:2:12: an input cannot have a field `labels`
        rename the field: prompts know another thing by this name
    intents/a/output.schema.json:1:31: not a JSON Schema: "(" is not a "regex"
        correct the schema
    "#);
}

#[test]
fn cases() {
    let schema = r#"{"type": "object", "required": ["t"], "properties": {"t": {"type": "string"}}}"#;
    let lines = r#"{"input": {"t": "é"}, "expected": {"label": "c"}}

{"input": {"t": 1}, "expected": {"label": "a"}}
{"input": {}, "expected": "a"}
nope
{"input": 1}
{"input": {"t": "x"}, "expected": {"label": "a"}, "shre": 1}
{"input": {"t": "x"}, "expected": {"label": "a"}, "share": "test"}
{"input": {"t": "x"}, "expected": {"label": "a"}}
{"input": {"t": "x"}, "expected": {"label": "b"}}
"#;
    let folder = labelled("").with("intents/a/input.schema.json", schema);
    assert_snapshot!(folder.clone().with("intents/a/cases.jsonl", lines).diagnostics(), @r#"
    intents/a/cases.jsonl:1:45: expected: `/label`: must be one of "a", "b"
        correct the case, or the labels or output.schema.json
    intents/a/cases.jsonl:3:17: input: `/t`: value is not of type "string"
        correct the case, or input.schema.json
    intents/a/cases.jsonl:4:11: input: `/t`: is missing
        correct the case, or input.schema.json
    intents/a/cases.jsonl:4:27: expected: value is not of type "object"
        correct the case, or the labels or output.schema.json
    intents/a/cases.jsonl:5:2: not a case: expected ident
        a case is one line: {"input": …, "expected": …}, optionally "share": "examples"
    intents/a/cases.jsonl:6:12: not a case: missing field `expected`
        a case is one line: {"input": …, "expected": …}, optionally "share": "examples"
    intents/a/cases.jsonl:7:56: not a case: unknown field `shre`, expected one of `input`, `expected`, `share`
        a case is one line: {"input": …, "expected": …}, optionally "share": "examples"
    intents/a/cases.jsonl:8:65: not a case: unknown variant `test`, expected one of `examples`, `evaluation`, `calibration`
        a case is one line: {"input": …, "expected": …}, optionally "share": "examples"
    intents/a/cases.jsonl:10:1: the input of line 9, with another answer
        one of the two is wrong: remove it
    "#);
    let many = folder.with("intents/a/cases.jsonl", "nope\n".repeat(1000)).diagnostics();
    assert_eq!(many.matches("not a case").count(), 10);
    assert!(many.contains("a/cases.jsonl:1001:1: 990 more lines were not looked at"), "{many}");
}

#[test]
fn few_shot_and_local_need_cases() {
    let folder = intent("models = [\"openai/x\", \"local\"]\nexamples = 2\n[labels]\na = \"\"\nb = \"\"\n");
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:2:12: 2 examples are asked for, the examples share has 0
        add cases (about six of ten belong to that share), or mark some with "share": "examples"
    intents/a/intent.toml:1:23: `local` has no cases to learn from
        add cases.jsonl; until then `local` answers nothing
    "#);
    assert_snapshot!(labelled("[local]\ncut = 0.5").diagnostics(), @r#"
    intents/a/intent.toml:2:2: [local] is set, and `local` is not among the models
        add "local" to `models`, or remove [local]
    "#);
}

/// What is wrong with the cases is said, and not that there are none.
#[test]
fn cases_that_are_wrong_are_cases() {
    let folder = intent("models = [\"openai/x\", \"local\"]\nexamples = 1\n[labels]\na = \"\"\nb = \"\"\n");
    let schema = r#"{"type":"object","properties":{"t":{"type":"string"}},"required":["t"]}"#;
    let folder = folder.with("intents/a/input.schema.json", schema);
    let folder = folder.with("intents/a/cases.jsonl", "{\"input\":{\"t\":7},\"expected\":{\"label\":\"a\"}}\n");
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/cases.jsonl:1:15: input: `/t`: value is not of type "string"
        correct the case, or input.schema.json
    "#);
}

#[test]
fn folders() {
    let folder = Folder::smallest()
        .with("intents/b/prompt.md", "x")
        .with("intents/Bad Name/intent.toml", "x")
        .with("intents/classify-ticket/case.jsonl", "")
        .with("intents/classify-ticket/README.md", "")
        .with("intents/c/intent.toml", b"a = \"\xff\"")
        .with("intents/.hidden/x", "")
        .with("baton.toml", b"[store]\n# \xff");
    assert_snapshot!(folder.diagnostics(), @r#"
    baton.toml:2:3: not UTF-8
        save it as UTF-8
    intents/Bad Name: `Bad Name` cannot be an intent's name
        up to 64 of a-z, 0-9, `-` and `_`, as in `classify-ticket`
    intents/b/intent.toml: there is no intent.toml
        add it with `models = ["provider/model"]`, or remove the folder
    intents/c/intent.toml:1:6: not UTF-8
        save it as UTF-8
    intents/classify-ticket/case.jsonl: this file is not read
        did you mean `cases.jsonl`?
    "#);
    assert_snapshot!(Folder::default().with("readme.md", "").diagnostics(), @"
    baton.toml: neither baton.toml nor a folder in intents/ is here
        `baton init` makes a first intent; or name another folder with --dir
    ");
    let long = labelled("").with("intents/a/cases.jsonl", vec![b' '; (16 << 20) + 1]);
    assert_snapshot!(long.diagnostics(), @"
    intents/a/cases.jsonl: longer than 16 MiB
        make it shorter
    ");
}

#[test]
fn secrets_are_refused_and_never_shown() {
    let folder = Folder::smallest().with(
        "baton.toml",
        "[providers.openai]
api_key = \"hunter2-and-more\"
[providers.anthropic]
api_key = { env = \"sk-hunter2hunter2\" }
[providers.mistral]
base_url = \"https://me:hunter2@host/v1\"
token = \"hunter2\"
[providers.house]
kind = \"openai-compatible\"
base_url = \"http://localhost:1/v1\"
api_key = { file = \"\" }
note = \"sk-hunter2hunter2\"
[providers.pool]
kind = \"openai-compatible\"
base_url = \"http://localhost:1/v1\"
api_keys = [{ env = \"ONE\" }, \"hunter2\", { env = \"hunter2!\" }]
",
    );
    assert_snapshot!(folder.diagnostics(), @r#"
    baton.toml:2:11: a secret is written inline: `providers.openai.api_key`
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    baton.toml:4:11: this names no variable or file; if it is the secret itself, it may not be here
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    baton.toml:6:12: a secret is written inline, in the URL
        name it with `api_key = { env = "NAME" }`
    baton.toml:7:1: a secret is written inline: `providers.mistral.token`
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    baton.toml:11:11: this names no variable or file; if it is the secret itself, it may not be here
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    baton.toml:12:1: a secret is written inline: `providers.house.note`
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    baton.toml:16:30: a secret is written inline: `providers.pool.api_keys[1]`
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    "#);
    let report = folder.load().err().unwrap();
    assert!(!report.render(true).contains("hunter2"), "{}", report.render(false));
    assert!(!serde_json::to_string(&report).unwrap().contains("hunter2"));
}

#[test]
fn a_report_looks_like_a_compilers() {
    let dir = tempfile::tempdir().unwrap();
    let folder = labelled("rout = \"ordered\"");
    let report = folder.load_in(dir.path(), &[]).err().unwrap();
    let shown = report.render(false).replace(&format!("{}/", dir.path().display()), "");
    assert_snapshot!(shown, @r#"
     × intents/a/intent.toml:2:1: unknown key `rout`
      ╭─[intents/a/intent.toml:2:1]
    1 │ models = ["openai/x"]
    2 │ rout = "ordered"
      · ────
    3 │ [labels]
      ╰────
     help: did you mean `route`? known here: models, route, routing, on_exhausted, examples,
           stream_unverified, labels, params, objective, retry, hedge, stream, cache, batch, budget,
           checks, criteria, local, judge, review, privacy
    "#);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!((&json[0]["line"], &json[0]["level"]), (&2.into(), &"error".into()));
}
