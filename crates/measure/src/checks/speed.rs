//! How long checks take on an answer of 4 KB.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use baton_eval::{Checks, Finish};
use serde_json::{Map, Value, json};

use crate::ground::load;

/// Ten checks, and the answer and input that they are asked of.
pub(crate) struct Ten {
    pub(crate) name: &'static str,
    checks: Checks,
    answer: String,
    input: Value,
}

/// What one round of judging took.
pub(crate) struct Times {
    pub(crate) median: Duration,
    pub(crate) p99: Duration,
}

/// Ten checks of a letter; they pass.
const LETTER: [&str; 10] = [
    r#"type = "not-empty""#,
    r#"type = "length", unit = "words", min = 100, max = 2000"#,
    r#"type = "length", unit = "sentences", min = 3"#,
    r#"type = "contains-all", values = ["refund", "order"]"#,
    r#"type = "icontains-any", values = ["Kind Regards", "Yours"]"#,
    r#"type = "regex", pattern = '\border \d{5}\b'"#,
    r#"type = "is-refusal", not = true"#,
    r#"type = "no-loop""#,
    r#"type = "contains-any", values = ["as an AI", "lorem ipsum"], not = true"#,
    r#"type = "any", checks = [{ type = "starts-with", value = "Dear" }, { type = "starts-with", value = "Hello" }]"#,
];

/// Ten checks of fields; they pass.
const FIELDS: [&str; 10] = [
    r#"type = "date", field = "day""#,
    r#"type = "url", field = "link""#,
    r#"type = "range", field = "total", min = 0, max = 100000"#,
    r#"type = "enum", field = "currency", values = ["EUR", "USD"]"#,
    r#"type = "regex", field = "number", pattern = '^\d{5}$'"#,
    r#"type = "case", field = "currency", value = "upper""#,
    r#"type = "length", field = "note", max = 5000"#,
    r#"type = "cel", expression = "near(output.net + output.tax, output.total, 0.005)""#,
    r#"type = "span-in-source", fields = ["number", "total", "seller"]"#,
    r#"type = "contains", field = "note", value = "paid""#,
];

/// Each kind alone, of the letter.
const ALONE: [&str; 20] = [
    r#"type = "repetition", max = 0.9"#,
    r#"type = "no-loop""#,
    r#"type = "language", values = ["eng"]"#,
    r#"type = "is-refusal", not = true"#,
    r#"type = "numbers-in-source""#,
    r#"type = "names-in-source""#,
    r#"type = "contains-json", not = true"#,
    r#"type = "is-json", not = true"#,
    r#"type = "is-xml", not = true"#,
    r#"type = "contains-xml", not = true"#,
    r#"type = "is-html", not = true"#,
    r#"type = "contains-html", not = true"#,
    r#"type = "is-sql", not = true"#,
    r#"type = "contains-sql", not = true"#,
    r#"type = "levenshtein", value = "Dear", not = true"#,
    r#"type = "icontains", value = "REFUND""#,
    r#"type = "length", unit = "sentences", min = 3"#,
    r#"type = "case", value = "upper", not = true"#,
    r#"type = "cel", expression = "size(output.text) > 100""#,
    r#"type = "equals", value = "Dear", not = true"#,
];

/// A letter of 4 KB in other words each time, with numbers and names.
fn letter() -> String {
    let mut text = String::from("Dear Ms Lee,\n\nthank you for your letter about order 48213. ");
    let mut n = 0;
    while text.len() < 4000 {
        n += 1;
        let _ =
            write!(text, "On day {n} our shop in Oslo looked at part {} of the refund and found it in order. ", n * 37);
    }
    text.push_str("\n\nKind regards,\nAnn Berg");
    text
}

/// A document of fields of 4 KB.
fn document() -> (Value, Value) {
    let mut fields = Map::new();
    for (name, value) in [
        ("day", json!("2024-05-01")),
        ("link", json!("https://shop.example/invoices/48213")),
        ("total", json!(119.0)),
        ("net", json!(100.0)),
        ("tax", json!(19.0)),
        ("currency", json!("EUR")),
        ("number", json!("48213")),
        ("seller", json!("Nordic Tea House")),
        ("note", json!(format!("paid in full. {}", "Kept with the papers of that year. ".repeat(100)))),
    ] {
        fields.insert(name.to_owned(), value);
    }
    let property = |value: &Value| json!({ "type": if value.is_string() { "string" } else { "number" } });
    let properties: Map<String, Value> = fields.iter().map(|(name, value)| (name.clone(), property(value))).collect();
    let schema = json!({ "type": "object", "properties": properties, "required": ["total"] });
    (Value::Object(fields), schema)
}

/// An intent of these checks, read from a folder as any other.
pub(crate) fn compile(checks: &[&str], schema: Option<&Value>) -> Result<Checks> {
    let folder = tempfile::TempDir::with_prefix("baton-checks-").context("a temporary directory")?;
    let intent = folder.path().join("intents/it");
    std::fs::create_dir_all(&intent)?;
    let mut file = String::from("models = [\"openai/none\"]\nchecks = [\n");
    checks.iter().for_each(|check| {
        let _ = writeln!(file, "  {{ {check} }},");
    });
    file.push_str("]\n");
    write(&intent.join("intent.toml"), &file)?;
    write(&intent.join("prompt.md"), "## user\n{{ text }}\n")?;
    if let Some(schema) = schema {
        write(&intent.join("output.schema.json"), &schema.to_string())?;
    }
    let snapshot = load(folder.path())?;
    let plan = snapshot.intents.values().next().context("no intent")?;
    Ok(Checks::compile(plan))
}

fn write(path: &Path, content: &str) -> Result<()> {
    std::fs::write(path, content).with_context(|| format!("write {}", path.display()))
}

/// The two tens.
pub(crate) fn tens() -> Result<[Ten; 2]> {
    let text = letter();
    let (fields, schema) = document();
    let source = format!("Nordic Tea House, invoice 48213, net 100.00, tax 19.00, total 119.00 EUR. {text}");
    let answer = serde_json::to_string_pretty(&fields)?;
    let letter =
        Ten { name: "letter", checks: compile(&LETTER, None)?, answer: text, input: json!({ "text": source }) };
    let checks = compile(&FIELDS, Some(&schema))?;
    Ok([letter, Ten { name: "fields", checks, answer, input: json!({ "text": source }) }])
}

/// Each kind alone: its check, and what it adds to an answer without any, in the median.
pub(crate) fn alone(rounds: usize) -> Result<Vec<(String, Duration)>> {
    let text = letter();
    let source = json!({ "text": text.clone() });
    let one = |checks: &[&str]| -> Result<Duration> {
        let ten = Ten { name: "alone", checks: compile(checks, None)?, answer: text.clone(), input: source.clone() };
        Ok(ten.times(rounds)?.median)
    };
    let nothing = one(&[])?;
    ALONE.iter().map(|check| Ok(((*check).to_owned(), one(&[check])?.saturating_sub(nothing)))).collect()
}

impl Ten {
    /// The bytes of the answer.
    pub(crate) fn bytes(&self) -> usize {
        self.answer.len()
    }

    /// Parses and judges the answer again and again.
    ///
    /// # Errors
    /// Where a check does not pass: then less than all of the work was measured.
    pub(crate) fn times(&self, rounds: usize) -> Result<Times> {
        let mut times = Vec::with_capacity(rounds);
        for round in 0..rounds + rounds / 10 {
            let started = Instant::now();
            let judged = std::hint::black_box(self.checks.judge(&self.answer, &self.input, Finish::Complete));
            let took = started.elapsed();
            if let Some(failed) = judged.checks.iter().find(|check| !check.passed) {
                bail!("a check of this measure does not pass: {failed:?}");
            }
            // The first tenth warms up.
            if round >= rounds / 10 {
                times.push(took);
            }
        }
        times.sort_unstable();
        Ok(Times { median: times[times.len() / 2], p99: times[times.len() * 99 / 100] })
    }
}
