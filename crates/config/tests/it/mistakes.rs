//! Every mistake of intent.toml and baton.toml is named with its place and what to do, all at once.

use insta::assert_snapshot;

use crate::folder::{Folder, intent, labelled, prompted};

#[test]
fn unknown_keys_with_what_was_meant() {
    let folder = intent(
        "modles = [\"x/y\"]
route = \"cheepest\"
[labels]
a = \"\"
b = \"\"
[retry]
maxx = 3
max = -1
[objectives]
quality = 0.9
",
    );
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:1:1: unknown key `modles`
        did you mean `models`? known here: models, route, routing, on_exhausted, examples, stream_unverified, labels, params, objective, retry, hedge, stream, cache, batch, budget, checks, criteria, local, judge, review, privacy
    intents/a/intent.toml:2:9: `route` must be "ordered" or "cheapest" or "fastest" or "weighted" or "cascade", not "cheepest"
        did you mean `cheapest`? write one of these
    intents/a/intent.toml:7:1: unknown key `maxx` in [retry]
        did you mean `max`? known here: max
    intents/a/intent.toml:8:7: `retry.max` must be at least 0
        The most retries of one execution; the ceiling of a call's `retries` too.
    intents/a/intent.toml:9:2: unknown key `objectives`
        did you mean `objective`? known here: models, route, routing, on_exhausted, examples, stream_unverified, labels, params, objective, retry, hedge, stream, cache, batch, budget, checks, criteria, local, judge, review, privacy
    "#);
}

/// In TOML a table goes on until the next one.
#[test]
fn settings_of_the_top_below_a_section() {
    let labels = "[labels]\na = \"\"\nb = \"\"\n";
    let folder = intent(&format!("{labels}models = [\"openai/x\"]\n[retry]\nroute = \"cheapest\""));
    assert_snapshot!(folder.diagnostics(), @r"
    intents/a/intent.toml:4:10: `labels.models` must be a string, not a list
        `models` belongs to the top of the file, above the first [section]
    intents/a/intent.toml:6:1: unknown key `route` in [retry]
        `route` belongs to the top of the file, above the first [section]
    ");
    let folder = intent(&format!("models = [\"openai/x\"]\n{labels}route = \"cheapest\""));
    assert_snapshot!(folder.diagnostics(), @r"
    intents/a/intent.toml:5:1: `route` is a label here, and meant as a setting
        put it above the first [section]: all that follows [labels] is a label
    ");
}

#[test]
fn labels_of_the_wrong_form_are_one_mistake() {
    let case = r#"{"input":{"text":"x"},"expected":{"label":"a"}}"#;
    let folder = intent("models = [\"openai/x\"]\nlabels = [\"a\", \"b\"]").with("intents/a/cases.jsonl", case);
    assert_snapshot!(folder.diagnostics(), @r"
    intents/a/intent.toml:2:10: `labels` must be a table, not a list
        Makes the intent a classification: each label with what it means, in the order shown to the model.
    ");
}

#[test]
fn a_share_is_no_percentage() {
    assert_snapshot!(labelled("[objective]\nquality = 95").diagnostics(), @r"
    intents/a/intent.toml:3:11: `objective.quality` must be less than 1
        95 % is 0.95. Share of passed answers that a reviewer would pass.
    ");
}

#[test]
fn what_cannot_be_batched() {
    let check = |policy: &str, expected: &str| {
        let told = labelled(policy).diagnostics();
        assert!(told.contains(expected), "{policy}\n{told}");
    };
    let parted = "[cache]\npartition = []\n";
    check("[batch]", "`cache.partition` must say whose may be together");
    check(&format!("{parted}[batch]\nmax_items = 1"), "`batch.max_items` must be at least 2");
    check(&format!("{parted}[batch]\nmax_wait_ms = 2000"), "`batch.max_wait_ms` must be at most 1000");
    check(&format!("{parted}[batch]\naudit = 2"), "`batch.audit` must be at most 1");
    check(&format!("{parted}[batch]\n[params]\nstop = [\"x\"]"), "`params.stop` would end the answer of a batch");
    check(&format!("{parted}[batch]\n[objective]\nlatency_ms = 20"), "no call could wait 20 ms");
    let margin = "[[checks]]\ntype = \"label-margin\"\nmin = 0.1";
    check(&format!("{parted}[batch]\n{margin}"), "`label-margin` needs the probabilities of one answer's tokens");
    let folder = labelled(&format!("{parted}[batch]"));
    let told = folder.diagnostics();
    assert!(told.contains("there are no control items"), "{told}");
    assert_eq!(told.lines().count(), 2, "nothing else: {told}");
    let (text, early) = ("models = [\"openai/x\"]\n", "## system\n\nAbout {{ input }}.\n\n## user\n\nGo.\n");
    let write = Folder::default().with("intents/a/prompt.md", "Say {{ input }}");
    let told = write.with("intents/a/intent.toml", format!("{text}{parted}[batch]")).diagnostics();
    assert!(told.contains("texts are not batched"), "{told}");
    let told = folder.with("intents/a/prompt.md", early).diagnostics();
    assert!(told.contains("only its last section, `## user`, may use the input"), "{told}");
}

#[test]
fn routes_and_their_terms() {
    let check = |policy: &str, expected: &str| {
        let told = labelled(policy).diagnostics();
        assert!(told.contains(expected), "{policy}\n{told}");
    };
    check("[routing]\nexplore = 0.1", "[routing] is set, and candidates are asked in the order written");
    check("route = \"weighted\"", "route \"weighted\" has no weights");
    check("route = \"weighted\"\n[routing.weights]\n\"x/none\" = 1", "`x/none` is not among the models");
    check("route = \"weighted\"\n[routing.weights]\n\"openai/x\" = -1", "-1 is no weight");
    check("route = \"fastest\"\n[routing.weights]\n\"openai/x\" = 1", "only the route \"weighted\" has weights");
    check("route = \"cheapest\"\n[routing]\nexplore = 0.6", "`routing.explore` must be at most 0.5");
    check("route = \"cheapest\"", "nothing here gathers any");
    check("route = \"cheapest\"\n[review]\nper_day = 5", "behaves as \"ordered\" until there is evidence");
}

#[test]
fn the_semantic_cache() {
    let folder = labelled(
        "[cache]
semantic_error_max = 0.1
slots = [\"a..b\"]
[privacy]
store = \"none\"",
    );
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:3:22: the semantic cache gives one caller's answer to another with a similar input: `partition` must say between whom
        add `partition = ["metadata.customer"]`, or `partition = []` to share within the team on purpose
    intents/a/intent.toml:3:22: the semantic cache keeps inputs and answers as they are, and `privacy.store` says that they are not kept so
        remove one of the two
    intents/a/intent.toml:4:10: `a..b` is no field of the input
        write a field of the input, as in `product` or `ticket.product`
    intents/a/intent.toml:3:22: nothing is remembered unless a call asks for it with `cacheTTL`
        add `ttl = "7d"` for all calls
    "#);
    let folder = labelled("[cache]\nttl = \"1h\"\nsemantic_error_max = 0.02\nembedding = \"word2vec\"\npartition = []");
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:5:13: unknown embedding `word2vec`
        one of hashed, wordllama, minilm, a `provider/model`, or an alias of baton.toml
    "#);
    let folder = labelled("[cache]\nsemantic_error_max = 0.3\npartition = []");
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:3:22: `cache.semantic_error_max` must be at most 0.2
        Switches the semantic cache on: the share of the answers given to similar inputs that may differ from what the model would have answered. The ceiling of a call's `semanticErrorMax` too.
    "#);
    let folder = labelled("[cache]\nembedding = \"minilm\"\nslots = [\"a\"]");
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:3:1: `embedding` does nothing without `semantic_error_max`
        add `semantic_error_max = 0.02`, or remove it
    intents/a/intent.toml:4:1: `slots` does nothing without `semantic_error_max`
        add `semantic_error_max = 0.02`, or remove it
    "#);
    let folder = labelled("[cache]\nsemantic_error_max = 0.02\npartition = []\nslots = [\"a\"]")
        .with("intents/a/input.schema.json", r#"{"type":"object","properties":{"b":{"type":"string"}}}"#);
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:5:10: input.schema.json has no field `a`
        known there: b
    intents/a/intent.toml:3:22: nothing is remembered unless a call asks for it with `cacheTTL`
        add `ttl = "7d"` for all calls
    "#);
}

#[test]
fn a_judge_in_the_path_has_to_be_there() {
    let folder = labelled("[objective]\nunproven = \"judge\"");
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:3:12: there is no judge to ask
        add [judge] with `model`, and [[criteria]] that it judges by or `second_opinion = true`; or take "pass" or "fail"
    "#);
}

#[test]
fn a_second_opinion_is_of_another_model_and_on_what_can_be_compared() {
    let folder = labelled("[judge]\nmodel = \"openai/x\"\nsecond_opinion = true\nlogprobs = true");
    assert_snapshot!(folder.diagnostics(), @r"
    intents/a/intent.toml:3:9: the second opinion `openai/x` is one of the intent's `models`
        its own answer would be its second opinion: take a model that is not among them
    intents/a/intent.toml:5:12: `logprobs` says nothing of a second opinion
        remove it: a second opinion gives no verdict in words, it is the same or it differs
    ");
    let says =
        |folder: Folder, expected: &str| assert!(folder.diagnostics().contains(expected), "{}", folder.diagnostics());
    let opinion = |model: &str| format!("[judge]\nmodel = \"{model}\"\nsecond_opinion = true\n");
    let text = format!("models = [\"openai/x\"]\n{}", opinion("mistral/y"));
    says(
        prompted("{{ text }}").with("intents/a/intent.toml", text),
        "intents/a/intent.toml:4:18: a second opinion is for labels and fields, not for texts\n    two good texts",
    );
    let alias = labelled(&opinion("cheap")).with("baton.toml", "[models.cheap]\nid = \"openai/x\"\n");
    says(alias, "the second opinion `openai/x` is one of the intent's `models`");
    says(labelled(&opinion("openai/y")), "models of one family are wrong together");
    let in_path = format!("{}[objective]\nunproven = \"judge\"\n", opinion("mistral/y"));
    says(labelled(&in_path), "intents/a/intent.toml:4:18: where the second opinion differs nobody else is left to ask");
    says(labelled("[judge]\nmodel = \"mistral/y\""), "Or `second_opinion = true`, for labels and fields");
    assert_eq!(labelled(&opinion("mistral/y")).diagnostics(), "");
}

#[test]
fn criteria_and_review() {
    let folder = labelled(
        "[[criteria]]
id = \"Right Team\"
ask = \"Does this reach the right team?\"
[[criteria]]
id = \"tone\"
ask = \" \"
[[criteria]]
id = \"tone\"
ask = \"Is it polite?\"
[review]
double = 1.5
floor = 0
percent = 3",
    );
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:3:6: `Right Team` cannot be a criterion's id
        small letters, digits and hyphens, at most 64: `right-team`
    intents/a/intent.toml:7:7: `ask` is empty
        write what is to be decided, as you would tell a colleague
    intents/a/intent.toml:9:6: the criterion `tone` is there twice
        rename or remove one of the two
    intents/a/intent.toml:11:1: `review.per_day` is missing
        Roughly how many answers a day people are asked about. With recent traffic it sets the probability with which an answer is drawn; 0 draws none.
    intents/a/intent.toml:12:10: `review.double` must be at most 1
        Share of them that two people label, neither seeing what the other says.
    intents/a/intent.toml:13:9: `review.floor` must be at least 0.1
        Share of the drawing that is uniform; the rest goes to answers whose quality is least certain. Below 0.3 intervals become wide.
    intents/a/intent.toml:14:1: unknown key `percent` in [review]
        known here: per_day, double, floor, adjudicator
    "#);
}

#[test]
fn syntax() {
    assert_snapshot!(intent("models = [\"openai/x\"\nroute = = 1\n[a\n").diagnostics(), @"
    intents/a/intent.toml:2:1: not valid TOML: missing comma between array elements, expected `,`
        correct the syntax
    intents/a/intent.toml:3:1: not valid TOML: missing comma between array elements, expected `,`
        correct the syntax
    ");
    assert_snapshot!(intent("[labels]\na = \"\"\na = \"\"\n").diagnostics(), @"
    intents/a/intent.toml:3:1: not valid TOML: duplicate key
        correct the syntax
    ");
}

#[test]
fn values_of_the_wrong_form() {
    let folder = labelled(
        "examples = 100
on_exhausted = \"fail\"
[objective]
quality = 1
latency_ms = 0
[params]
temperature = \"hot\"
max_tokens = 1.5
seed = 99999999999999999999
stop = 2020-01-01
[local]
cut = inf
[cache]
ttl = 5
partition = [\"customer\"]
[privacy]
keep = \"1 month\"",
    );
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:2:12: `examples` must be at most 64
        How many cases are shown to the model as examples, chosen once.
    intents/a/intent.toml:3:16: `on_exhausted` must be "error" or "stale" or { default = … }, not "fail"
        write one of these
    intents/a/intent.toml:5:11: `objective.quality` must be less than 1
        Share of passed answers that a reviewer would pass.
    intents/a/intent.toml:6:14: `objective.latency_ms` must be at least 1
        Milliseconds to the answer; the ceiling of a call's `maxLatencyMs` too.
    intents/a/intent.toml:8:15: `params.temperature` must be a number, not a string
        How much the choice of words varies.
    intents/a/intent.toml:9:14: `params.max_tokens` must be a whole number, not 1.5
        The most tokens of an answer; one that runs into it is truncated and does not pass.
    intents/a/intent.toml:10:8: `params.seed` is a number of more than 64 bits
        write another value
    intents/a/intent.toml:11:8: `params.stop` is a date or time, which no setting is
        write another value
    intents/a/intent.toml:12:2: [local] is set, and `local` is not among the models
        add "local" to `models`, or remove [local]
    intents/a/intent.toml:13:7: `local.cut` is not a finite number
        write another value
    intents/a/intent.toml:15:7: `cache.ttl` must be a string, not 5
        How long an answer is remembered: `30s`, `1h`, `7d`. The ceiling of a call's `cacheTTL` too.
    intents/a/intent.toml:16:14: `customer` parts no cache
        write `metadata.` and a key of the call's metadata, as in `metadata.customer`
    intents/a/intent.toml:18:8: `1 month` is not a duration
        write `500ms`, `30s`, `5m`, `1h` or `30d`
    "#);
}

#[test]
fn models() {
    let folder = intent(
        "models = [
  \"gpt4\", \"gpt-5\", \"opnai/x\", \"openai/\", \"openai/x\", \"local\",
  \"openai/x\", \"house/a/b\",
]
",
    )
    .with("baton.toml", "[models.gpt-4]\nid = \"openai/x\"\n")
    .with("intents/a/prompt.md", "{{ input }}");
    assert_snapshot!(folder.diagnostics(), @"
    intents/a/intent.toml:2:3: unknown model `gpt4`
        did you mean `gpt-4`? write `provider/model`, or add [models.gpt4] to baton.toml
    intents/a/intent.toml:2:11: unknown model `gpt-5`
        did you mean `gpt-4`? write `provider/model`, or add [models.gpt-5] to baton.toml
    intents/a/intent.toml:2:20: unknown provider `opnai`
        did you mean `openai`? built in: openai, anthropic, mistral; others need [providers.opnai] in baton.toml with `kind` and `base_url`
    intents/a/intent.toml:2:31: `openai/` is not a model
        write `provider/model`
    intents/a/intent.toml:2:54: `local` answers labels only
        remove `local`, or make the intent a classification with [labels]
    intents/a/intent.toml:3:3: `openai/x` is named twice
        remove one of the two
    intents/a/intent.toml:3:15: unknown provider `house`
        built in: openai, anthropic, mistral; others need [providers.house] in baton.toml with `kind` and `base_url`
    ");
}

#[test]
fn labels() {
    assert_snapshot!(intent("models = [\"openai/x\"]\n[labels]\nA = 1\nb = \"\"\nB = \"\"\n\" c\" = \"\"\n").diagnostics(), @"
    intents/a/intent.toml:3:5: `labels.A` must be a string, not 1
        write it in quotes
    intents/a/intent.toml:5:1: the label `B` is there twice
        labels differ in more than case
    intents/a/intent.toml:6:1: this cannot be a label's name
        up to 100 characters on one line, without space at either end
    ");
    assert_snapshot!(intent("models = [\"openai/x\"]\n[labels]\nb = \"\"\n").diagnostics(), @"
    intents/a/intent.toml:2:2: [labels] has only one label
        one label needs no model: add the others
    ");
    assert_snapshot!(intent("models = [\"openai/x\"]\n[labels]\n").diagnostics(), @r#"
    intents/a/intent.toml:2:2: [labels] is empty
        add `name = "what it means"`
    "#);
    assert_snapshot!(labelled("").with("intents/a/output.schema.json", "{}").diagnostics(), @r#"
    intents/a/intent.toml:3:2: this intent has labels and output.schema.json
        labels make a classification, output.schema.json an extraction: remove one of the two
    intents/a/output.schema.json:1:1: an output is always an object
        write `"type": "object"` and put what you want under `properties`
    "#);
}

#[test]
fn checks() {
    let folder = labelled(
        "[[checks]]
type = \"regex\"
[[checks]]
type = \"regex\"
pattern = \"(\"
min = 1
[[checks]]
type = \"length\"
[[checks]]
type = \"length\"
min = 2
max = 1
[[checks]]
type = \"length\"
min = 0.5
[[checks]]
type = \"contains-all\"
values = [1]
[[checks]]
type = \"span-in-source\"
fields = [\"labl\"]
field = \"label\"
[[checks]]
pattern = \"a\"
type = \"contains\"",
    );
    assert_snapshot!(folder.diagnostics(), @"
    intents/a/intent.toml:3:8: this check has no `pattern`
        add `pattern = …`
    intents/a/intent.toml:6:11: not a regular expression: unclosed group
        the syntax is that of Rust's regex crate: no look-around, no back-references
    intents/a/intent.toml:7:7: `min` does nothing in a check of type `regex`
        remove it; this type has pattern
    intents/a/intent.toml:9:8: this check has neither `min` nor `max`
        add one of them
    intents/a/intent.toml:12:7: min 2 is above max 1: nothing passes
        exchange them
    intents/a/intent.toml:16:7: `min` of a length must be a whole number
        write 0 or more
    intents/a/intent.toml:19:10: the values of this check must be texts
        write them in quotes
    intents/a/intent.toml:22:11: the output has no field `labl`
        did you mean `label`? fields of the output: label
    intents/a/intent.toml:23:9: `field` does nothing in a check of type `span-in-source`
        remove it; this type has fields
    intents/a/intent.toml:25:11: `pattern` does nothing in a check of type `contains`
        remove it; this type has value
    intents/a/intent.toml:26:8: this check has no `value`
        add `value = …`
    ");
    let groups = labelled(
        "[[checks]]
type = \"any\"
weight = 2
checks = [
  { type = \"regex\", pattern = \"(\", on_fail = \"signal\" },
  { type = \"all\", checks = [{ type = \"cel\", expression = \"output.labl == answer\" }] },
  { type = \"equals\" },
  { type = \"case\", value = \"title\" },
]
[[checks]]
type = \"cel\"
expression = \"output.label ==\"
[[checks]]
type = \"is-json\"
schema = { type = \"objekt\" }
[[checks]]
type = \"language\"
values = [\"en\"]
[[checks]]
type = \"levenshtein\"
value = \"a\"
max = 1.5
[[checks]]
type = \"not-empty\"
threshold = 0.5",
    );
    assert_snapshot!(groups.diagnostics(), @r#"
    intents/a/intent.toml:4:10: `weight` does nothing outside of a group
        a weight is a check's part in its group: put the check into one, of type `all`
    intents/a/intent.toml:6:31: not a regular expression: unclosed group
        the syntax is that of Rust's regex crate: no look-around, no back-references
    intents/a/intent.toml:6:46: `on_fail` does nothing within a group
        a group fails as a whole: write `on_fail` at the group
    intents/a/intent.toml:7:58: not an expression: there is no `answer`; there are output and input
        an expression of CEL over `output` and `input`: `output.net + output.tax == output.total`
    intents/a/intent.toml:8:12: this check has no `value`
        add `value = …`
    intents/a/intent.toml:9:28: there is no such case
        write "upper" or "lower"
    intents/a/intent.toml:13:14: not an expression: <input>:1:16: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}
        an expression of CEL over `output` and `input`: `output.net + output.tax == output.total`
    intents/a/intent.toml:16:10: not a JSON Schema: /type: `type` cannot be "objekt"
        correct the schema
    intents/a/intent.toml:19:11: `en` is no language that can be told
        codes are those of ISO 639-3: afr, aka, amh, ara, aze, bel, ben, bul, cat, ces, cmn, cym, dan, deu, ell, eng, epo, est, fin, fra, guj, heb, hin, hrv, hun, hye, ind, ita, jav, jpn, kan, kat, khm, kor, lat, lav, lit, mal, mar, mkd, mya, nep, nld, nob, ori, pan, pes, pol, por, ron, rus, sin, slk, slv, sna, spa, srp, swe, tam, tel, tgl, tha, tuk, tur, ukr, urd, uzb, vie, yid, zul
    intents/a/intent.toml:23:7: `max` is a whole number up to 1000
        write how many changes may be
    intents/a/intent.toml:26:13: `threshold` does nothing in a check of type `not-empty`
        remove it
    "#);
    let nested = labelled("[[checks]]\ntype = \"any\"\nchecks = [{ type = \"regex\", patern = \"a\" }]\n");
    assert_snapshot!(nested.diagnostics(), @"
    intents/a/intent.toml:4:29: unknown key `patern` in [checks[0].checks[0]]
        did you mean `pattern`? known here: type, field, on_fail, not, weight, threshold, pattern, value, values, min, max, unit, fields, schema, expression, checks
    ");
    assert_snapshot!(labelled("[[checks]]\ntype = \"regexp\"\n[[checks]]\ntype = \"enum\"\nvalues = []\n").diagnostics(), @r#"
    intents/a/intent.toml:3:8: `checks[0].type` must be "equals" or "regex" or "contains" or "contains-all" or "contains-any" or "icontains" or "icontains-all" or "icontains-any" or "starts-with" or "ends-with" or "case" or "not-empty" or "length" or "range" or "enum" or "url" or "date" or "is-json" or "contains-json" or "is-xml" or "contains-xml" or "is-html" or "contains-html" or "is-sql" or "contains-sql" or "finish-reason" or "is-refusal" or "language" or "levenshtein" or "repetition" or "no-loop" or "span-in-source" or "numbers-in-source" or "names-in-source" or "cel" or "label-margin" or "all" or "assert-set" or "any", not "regexp"
        did you mean `regex`? write one of these
    intents/a/intent.toml:6:10: `checks[1].values` must be a list of at least 1
        `contains-all`, `contains-any` and with `i` before, `language`, `finish-reason`: texts; for `enum` any values.
    "#);
}

#[test]
fn on_exhausted_has_the_shape_of_the_output() {
    let labels = labelled("on_exhausted = { default = { lable = \"x\" } }");
    assert_snapshot!(labels.diagnostics(), @r#"
    intents/a/intent.toml:2:28: the default is not an output of this intent: an output of a classification is { label = "…" }
        give it the output's shape
    "#);
    let text = intent("models = [\"openai/x\"]\non_exhausted = { default = { text = 1 } }\n");
    assert_snapshot!(text.with("intents/a/prompt.md", "{{ input }}").diagnostics(), @r#"
    intents/a/intent.toml:2:28: the default is not an output of this intent: an output without labels or schema is {"text": "…"}
        give it the output's shape
    "#);
    let schema = r#"{"type": "object", "properties": {"total": {"type": "number"}}}"#;
    let fields = intent("models = [\"openai/x\"]\non_exhausted = { default = { total = \"none\" } }\n")
        .with("intents/a/prompt.md", "{{ input }}")
        .with("intents/a/output.schema.json", schema);
    assert_snapshot!(fields.diagnostics(), @r#"
    intents/a/intent.toml:2:38: the default is not an output of this intent: `/total`: value is not of type "number"
        give it the output's shape
    "#);
}

#[test]
fn baton_toml() {
    let folder = Folder::smallest().with(
        "baton.toml",
        "[models.gpt]
id = \"house/x\"
[models.local]
id = \"openai/x\"
[models.a]
[models.c]
id = \"openai/c\"
timeout = \"0s\"
price = { input = \"1 EUR\", output = \"1 USD/M\" }
[models.d]
id = \"openai/d\"
price = { input = \"1 USD/M\", output = \"1 USD/M\" }
[models.e]
id = \"openai/d\"
price = { input = \"2 USD/M\", output = \"1 USD/M\" }
[providers.h]
[providers.i]
kind = \"openai-compatibel\"
[providers.j]
kind = \"openai-compatible\"
[providers.k]
kind = \"simulated\"
scenario = \"no.toml\"
api_key = { env = \"K\" }
[providers.l]
kind = \"openai-compatible\"
base_url = \"ftp://x\"
seed = 1
[providers.m]
kind = \"openai-compatible\"
base_url = \"http://x\"
api_key = { env = \"K\" }
api_keys = [{ env = \"K\" }]
max_concurrency = 0
[server]
queue = 5
[teams.s]
share = 0
usd_per_day = -1
calls_per_minute = 0
intents = [\"classify-tickets\"]
[store]
durability = \"disk\"
",
    );
    assert_snapshot!(folder.diagnostics(), @r#"
    baton.toml:3:9: `local` cannot be an alias
        an alias is a word without a slash, and not `local`
    baton.toml:5:1: `models.a.id` is missing
        The model that the name stands for: `provider/model`.
    baton.toml:8:11: `0s` is not a timeout
        write `30s`, `2m`
    baton.toml:9:19: `1 EUR` is not a price
        write dollars for a million tokens, as in `0.10 USD/M`
    baton.toml:15:9: `openai/d` has another price under another alias
        a model has one: keep the right one
    baton.toml:16:12: the provider `h` has no kind
        add `kind = "openai-compatible"` and a `base_url`, or another provider's kind
    baton.toml:18:8: there is no kind of provider `openai-compatibel`
        did you mean `openai-compatible`? known kinds: openai, anthropic, mistral, openai-compatible, simulated
    baton.toml:19:12: the provider `j` has no base_url
        add `base_url = "https://…/v1"`
    baton.toml:23:12: there is no file `no.toml`
        paths are relative to the folder of baton.toml
    baton.toml:24:11: `api_key` does nothing for a provider of kind `simulated`
        remove it
    baton.toml:27:12: `ftp://x` is not a base URL
        write `https://host/v1` or `http://host:port/v1`
    baton.toml:28:8: `seed` does nothing for a provider of kind `openai-compatible`
        remove it
    baton.toml:33:12: the provider `m` has `api_key` and `api_keys`
        write all of its keys into `api_keys`
    baton.toml:34:19: `providers.m.max_concurrency` must be at least 1
        The most calls at a time to one of its models with one key. What it really holds is learnt.
    baton.toml:36:1: unknown key `queue` in [server]
        known here: max_running, queue_max
    baton.toml:38:9: `teams.s.share` must be at least 1
        Its weight where teams compete for places: 2 gets twice as many as 1.
    baton.toml:39:15: `teams.s.usd_per_day` must be at least 0
        Dollars of all its keys a day, which begins at 00:00 UTC. A model that may cost more than is left, or whose price is not known, is not asked; where no other is left, the error is `budget_exhausted`.
    baton.toml:40:20: `teams.s.calls_per_minute` must be at least 1
        Calls of all its keys in any 60 seconds; more are refused with `rate_limit`.
    baton.toml:41:12: there is no intent `classify-tickets`
        did you mean `classify-ticket`? name a folder of intents/
    baton.toml:43:14: `store.durability` must be "process" or "machine", not "disk"
        write one of these
    "#);
}

#[test]
fn stores_that_this_version_does_not_have() {
    let store = |url: &str| Folder::smallest().with("baton.toml", format!("[store]\nurl = \"{url}\"\n")).diagnostics();
    assert_snapshot!(store("postgres://me:pw@host/db"), @"
    baton.toml:2:7: the store `postgres://` is not supported by this version
        write `sqlite://` and a folder: `sqlite://.baton`, `sqlite:///var/lib/baton`
    ");
    assert_snapshot!(store("sqlite://"), @"
    baton.toml:2:7: the store's URL has no plain folder
        write `sqlite://` and a folder: `sqlite://.baton`, `sqlite:///var/lib/baton`
    ");
    assert_snapshot!(store(".baton"), @"
    baton.toml:2:7: the store's URL is of no kind that is known
        write `sqlite://` and a folder: `sqlite://.baton`, `sqlite:///var/lib/baton`
    ");
    let environment = Folder::smallest().env("BATON_STORE_URL", "mysql://h").env("BATON_STORE_DURABILITY", "disk");
    assert_snapshot!(environment.diagnostics(), @r#"
    BATON_STORE_DURABILITY:1:1: `store.durability` must be "process" or "machine", not "disk"
        write one of these
    BATON_STORE_URL:1:1: the store's URL is of no kind that is known
        write `sqlite://` and a folder: `sqlite://.baton`, `sqlite:///var/lib/baton`
    "#);
}

#[test]
fn webhooks_that_cannot_be() {
    let hook = |url: &str, rest: &str| format!("[[webhooks]]\nurl = \"{url}\"\n{rest}\n");
    let secret = "secret = { env = \"HOOK\" }";
    let misshapen = [
        hook("http://ops.example/", "secret = \"whsec_inline\""),
        hook("https://c.example/", &format!("{secret}\nevents = [\"breakers\"]")),
        hook("https://d.example/", ""),
    ];
    assert_snapshot!(Folder::smallest().with("baton.toml", misshapen.concat()).diagnostics(), @r#"
    baton.toml:3:10: a secret is written inline: `webhooks[0].secret`
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    baton.toml:7:11: `webhooks[1].events[0]` must be "objective" or "budget" or "breaker" or "journal" or "configuration" or "drift" or "retirement" or "rollout", not "breakers"
        did you mean `breaker`? write one of these
    baton.toml:8:1: `webhooks[2].secret` is missing
        Where its secret is: `whsec_` and 24 to 64 bytes in base64.
    "#);
    let wrong = [
        hook("https://me:pw@ops.example/", secret),
        hook("ftp://ops.example/", secret),
        hook("http://ops.example/", secret),
        hook("http://ops.example/", secret),
        hook("https://b.example/", "secret = { env = \"whsec_MfKQ9r8GKYqr+TwjUPD8ILPZIo2LaLaSw\" }"),
    ];
    assert_snapshot!(Folder::smallest().with("baton.toml", wrong.concat()).diagnostics(), @r#"
    baton.toml:2:7: a secret is written inline, in the URL
        receivers check the signature instead
    baton.toml:5:7: this is no URL that notices can be sent to
        write `https://host/path`
    baton.toml:11:7: another webhook has this URL
        write its events into one list
    baton.toml:15:10: this names no variable or file; if it is the secret itself, it may not be here
        write `{ env = "NAME" }` or `{ file = "path" }`, and replace the secret: it may be in the history
    baton.toml:8:7: notices are sent in plain text
        write `https://`, so that nobody on the way reads them
    baton.toml:11:7: notices are sent in plain text
        write `https://`, so that nobody on the way reads them
    "#);
}

#[test]
fn limits_of_streams() {
    let folder =
        labelled("[stream]\nidle = \"0s\"\ntotal = \"two minutes\"\ngrace = \"2d\"\nmin_bytes_per_second = -1");
    assert_snapshot!(folder.diagnostics(), @r#"
    intents/a/intent.toml:3:8: `idle` is 0s, which no stream can keep to
        write a time of `1ms` to `24h`, as in `20s`
    intents/a/intent.toml:4:9: `two minutes` is not a duration
        write `500ms`, `30s`, `5m`, `1h` or `30d`
    intents/a/intent.toml:5:9: `grace` is 2d, which no stream can keep to
        write a time of `1ms` to `24h`, as in `20s`
    intents/a/intent.toml:6:24: `stream.min_bytes_per_second` must be at least 0
        The least that a model writes, in bytes a second; 0 is no floor.
    "#);
}

#[test]
fn mistakes_in_a_price_are_found() {
    let folder = Folder::smallest().with(
        "baton.toml",
        "[models.a]
id = \"openai/a\"
[models.a.price]
input = \"1 USD/M\"
output = \"2\"
cache_write = \"-1 USD/M\"
batch_percent = 101
from = \"2026-02-30\"
[[models.a.price.tiers]]
above_tokens = 1000
input = \"1 USD/M\"
output = \"2 USD/M\"
[[models.a.price.tiers]]
above_tokens = 1000
input = \"1 USD/M\"
output = \"free\"
",
    );
    assert_snapshot!(folder.diagnostics(), @"
    baton.toml:5:10: `2` is not a price
        write dollars for a million tokens, as in `0.10 USD/M`
    baton.toml:6:15: `-1` is not an amount in dollars: write digits with at most nine after the point, for example 0.15
        write dollars for a million tokens, as in `0.10 USD/M`
    baton.toml:7:17: `models.a.price.batch_percent` must be at most 100
        What calls of the provider's batch API cost of all this, in percent, `50` as a rule; not known if absent.
    baton.toml:8:8: `2026-02-30` is not a day of the calendar: write year, month and day, for example 2026-11-27
        write the first day on which this price counts, in UTC: `from = \"2026-12-01\"`
    baton.toml:14:16: a tier above 1000 tokens cannot stand here
        write tiers by length, the shortest first, each above more tokens than the one before
    baton.toml:16:10: `free` is not a price
        write dollars for a million tokens, as in `0.10 USD/M`
    ");
}
