//! Random intents as the files of their folders, with the cases that the simulated models know.

use serde_json::{Value, json};

use crate::simulate::dice::Dice;

/// What an intent produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Classification,
    Extraction,
    Generation,
}

/// The false statements of simulated models, as the gate of a generation finds them.
pub(crate) const FALSE: [&str; 6] =
    ["refunded the full", "upgraded yesterday", "fixed for everyone", "31 February", "25:00", "merged with that"];

/// An intent's folder and its truth.
pub(crate) struct Folder {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// (file, text).
    pub(crate) files: Vec<(&'static str, String)>,
    /// (input, expected).
    pub(crate) cases: Vec<(Value, Value)>,
    /// Whether its gate looks for false statements.
    pub(crate) gated: bool,
}

impl Folder {
    /// Its `intent.toml`, which comes first.
    pub(crate) fn policy(&mut self) -> &mut String {
        &mut self.files[0].1
    }

    /// Switches the semantic cache on, where that is allowed. A world is too short for it to open: who is
    /// near to whom is what shows.
    pub(crate) fn remember_similar(&mut self) {
        let policy = self.policy();
        if policy.contains("store = \"none\"") {
            return;
        }
        let partition = if policy.contains("partition = ") { "" } else { "partition = []\n" };
        *policy = policy.replacen("[cache]\n", &format!("[cache]\nsemantic_error_max = 0.1\n{partition}"), 1);
    }
}

/// A random intent. `models` are the names that it may use.
pub(crate) fn folder(dice: &mut Dice, number: usize, models: &[String]) -> Folder {
    let kind = *dice.pick(&[Kind::Classification, Kind::Extraction, Kind::Generation]);
    let cases = cases(dice, kind, number);
    let count = dice.between(1, models.len() as u64) as usize;
    let mut candidates = dice.some(models, count);
    if kind == Kind::Classification && dice.chance(0.5) {
        let place = dice.between(0, candidates.len() as u64) as usize;
        candidates.insert(place, "local".into());
    }
    let gated = kind == Kind::Generation && dice.chance(0.6);
    let mut files = vec![("intent.toml", policy(dice, kind, &candidates, gated))];
    if kind == Kind::Extraction {
        files.push(("output.schema.json", fields_schema().to_string()));
    }
    if kind != Kind::Classification || dice.chance(0.5) {
        files.push(("prompt.md", prompt(kind).to_owned()));
    }
    if dice.chance(0.7) {
        files.push(("input.schema.json", input_schema(kind).to_string()));
    }
    let line = |(input, expected): &(Value, Value)| {
        json!({ "input": input, "expected": expected, "share": "examples" }).to_string() + "\n"
    };
    files.push(("cases.jsonl", cases.iter().map(line).collect()));
    let stem = ["sort", "pull", "write"][kind as usize];
    Folder { name: format!("{stem}-{number}"), kind, files, cases, gated }
}

fn policy(dice: &mut Dice, kind: Kind, candidates: &[String], gated: bool) -> String {
    let mut toml = format!("models = {}\n", json!(candidates));
    let mut line = |text: String| {
        toml.push_str(&text);
        toml.push('\n');
    };
    match dice.between(0, 3) {
        0 => line("on_exhausted = \"stale\"".into()),
        1 => line(format!("on_exhausted = {{ default = {} }}", default(kind))),
        _ => {}
    }
    if dice.chance(0.4) {
        line("stream_unverified = true".into());
    }
    if dice.chance(0.2) {
        line("route = \"cheapest\"".into());
    }
    if kind == Kind::Classification {
        line("[labels]\nbilling = \"money\"\nbug = \"it is broken\"\nhow-to = \"a question\"".into());
    }
    if dice.chance(0.3) {
        line(format!("[params]\nmax_tokens = {}\ntemperature = 0.5", dice.between(60, 400)));
    }
    line("[objective]\nquality = 0.9".into());
    if dice.chance(0.6) {
        line(format!("latency_ms = {}", dice.magnitude(500, 20_000)));
    }
    if dice.chance(0.05) {
        line("unproven = \"fail\"".into());
    }
    if dice.chance(0.7) {
        line(format!("[retry]\nmax = {}", dice.between(0, 4)));
    }
    if dice.chance(0.7) {
        line(format!("[hedge]\nmax_share = {}", dice.pick(&[0.0, 0.05, 0.3, 1.0])));
    }
    if dice.chance(0.6) {
        let time = |dice: &mut Dice, most| format!("{}ms", dice.magnitude(100, most));
        line(format!("[stream]\nfirst_token = {:?}\nidle = {:?}", time(dice, 5000), time(dice, 3000)));
        let (total, grace) = (dice.magnitude(500, 60_000), time(dice, 4000));
        line(format!("total = \"{total}ms\"\ngrace = {grace:?}"));
        line(format!("min_bytes_per_second = {}", dice.pick(&[0, 4, 50, 300])));
    }
    line("[cache]".into());
    if dice.chance(0.8) {
        line(format!("ttl = \"{}ms\"", dice.magnitude(200, 60_000)));
    }
    if dice.chance(0.6) {
        line(format!("partition = {}", json!(dice.some(&["metadata.customer", "metadata.region"], 1))));
    }
    if dice.chance(0.1) {
        line("[privacy]\nstore = \"none\"".into());
    }
    match kind {
        Kind::Classification => {}
        Kind::Extraction => line(
            "[[checks]]\ntype = \"span-in-source\"\nfields = [\"company\", \"date\", \"total\"]\non_fail = \"gate\""
                .into(),
        ),
        Kind::Generation if gated => {
            line(format!("[[checks]]\ntype = \"contains-any\"\nvalues = {}\nnot = true", json!(FALSE)));
            line("[[checks]]\ntype = \"length\"\nmax = 600\nunit = \"characters\"".into());
        }
        Kind::Generation => line("[[checks]]\ntype = \"contains\"\nvalue = \"team\"\non_fail = \"signal\"".into()),
    }
    toml
}

/// What the intent gives when nobody answered.
pub(crate) fn default(kind: Kind) -> &'static str {
    match kind {
        Kind::Classification => "{ label = \"needs-human\" }",
        Kind::Extraction => "{ company = \"none\", date = \"none\", total = \"none\" }",
        Kind::Generation => "{ text = \"We will write to you.\" }",
    }
}

fn prompt(kind: Kind) -> &'static str {
    match kind {
        Kind::Classification => "## system\n\nChoose one of {{ labels }}.\n\n## user\n\n{{ ticket }}\n",
        Kind::Extraction => "## system\n\nAnswer with JSON: {{ output_schema }}\n\n## user\n\n{{ document }}\n",
        Kind::Generation => "## system\n\nWrite a reply.\n\n## user\n\n{{ topic }}\n",
    }
}

fn fields_schema() -> Value {
    let text = json!({ "type": "string", "description": "as printed" });
    json!({
        "type": "object",
        "properties": { "company": text, "date": text, "total": text },
        "required": ["company", "date", "total"],
        "additionalProperties": false,
    })
}

/// The field that carries an input's text.
pub(crate) fn text_field(kind: Kind) -> &'static str {
    ["ticket", "document", "topic"][kind as usize]
}

/// With a default: an input that leaves it out and one that writes it are the same.
fn input_schema(kind: Kind) -> Value {
    json!({
        "type": "object",
        "properties": {
            text_field(kind): { "type": "string", "minLength": 1, "maxLength": 4000 },
            "language": { "type": "string", "default": "en" },
        },
        "required": [text_field(kind)],
        "additionalProperties": false,
    })
}

const COMPANIES: [&str; 6] =
    ["Harbour Bakery", "Northgate Tools", "Lumen Books", "Café Größe", "Oak & Iron", "Pixel Repair"];
const THINGS: [&str; 6] = ["printer", "invoice", "login page", "export", "calendar", "délivrance"];

fn cases(dice: &mut Dice, kind: Kind, number: usize) -> Vec<(Value, Value)> {
    let count = if kind == Kind::Classification { 12 } else { 6 };
    (0..count).map(|n| case(dice, kind, number * 1000 + n)).collect()
}

fn case(dice: &mut Dice, kind: Kind, id: usize) -> (Value, Value) {
    match kind {
        Kind::Classification => {
            let (label, words) = [
                ("billing", "was charged twice on the card, please refund the payment"),
                ("bug", "crashes with an error and is broken since the update"),
                ("how-to", "where do I find the setting, can you explain how it works"),
            ][id % 3];
            (json!({ "ticket": format!("The {} {words} ({id})", dice.pick(&THINGS)) }), json!({ "label": label }))
        }
        Kind::Extraction => {
            let company = *dice.pick(&COMPANIES);
            let date = format!("{:02}/{:02}/20{:02}", dice.between(1, 28), dice.between(1, 12), dice.between(10, 25));
            let total = format!("{}.{:02}", dice.between(1, 900), dice.between(0, 99));
            let document = format!("{company}\nreceipt no {id}\nof {date}\ntotal {total}\nthank you");
            (json!({ "document": document }), json!({ "company": company, "date": date, "total": total }))
        }
        Kind::Generation => {
            let thing = *dice.pick(&THINGS);
            let text = format!(
                "Dear customer,\n\nthank you for asking about the {thing}. We looked into case {id} and will come back \
                 to you with an answer, “größer” is better.\n\nThe team"
            );
            (json!({ "topic": format!("Somebody asks about the {thing}, case {id}") }), json!({ "text": text }))
        }
    }
}
