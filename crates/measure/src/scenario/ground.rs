//! What the scenario stands on: receipts whose values are known, simulated models that read them, a
//! judge that is right about most answers, and the folder that the server is started with.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::Result;
use baton_stats::SplitMix64;
use serde_json::{Value, json};

use crate::house::{models as models_line, provider, write};

/// The intent, and the criterion that people and judge are asked.
pub(crate) const INTENT: &str = "receipt";
pub(crate) const CRITERION: &str = "on-receipt";
/// Who is asked first, and who where the gate holds that answer back.
pub(crate) const FIRST: &str = "sim/hasty";
pub(crate) const NEXT: &str = "sim/careful";

/// The share of verdicts that are the wrong way round.
const JUDGE_WRONG: f64 = 0.1;

/// Of the answers that pass, 70 % are to be good, with 90 % confidence: what 60 labels can promise of a
/// model that is wrong this often. The check that sees most invented values holds none back by itself.
/// Nobody is hedged: an answer of the other model then says what the gate or a rollout did, and no more.
const GATE: &str = r#"
[objective]
latency_ms = 5000
quality = 0.7
confidence = 0.9
[[checks]]
type = "span-in-source"
fields = ["company", "total"]
on_fail = "signal"
"#;

/// Judged and reviewed, all of it.
const SEEN: &str = r#"
[hedge]
max_share = 0
[[criteria]]
id = "on-receipt"
ask = "Does every value stand on the receipt?"
[judge]
model = "sim/judge"
latency_ms = 5000
[review]
per_day = 100000
double = 0
"#;

const OUTPUT: &str = r#"{"type":"object","required":["company","total"],"additionalProperties":false,
"properties":{"company":{"type":"string"},"total":{"type":"string"}}}"#;

const SCENARIO: &str = r#"truth = ["receipts.jsonl", "verdicts.jsonl"]

[models.hasty]
first_token_ms = { p50 = 15, p99 = 40 }
wrong = 0.4

[models.careful]
first_token_ms = { p50 = 30, p99 = 80 }

[models.judge]
first_token_ms = { p50 = 20, p99 = 60 }
"#;

/// What the server and its models are.
pub(crate) struct House {
    /// In the order in which they are asked.
    models: &'static [&'static str],
    policy: String,
    scenario: String,
    /// Of baton.toml, besides the models.
    more: String,
}

impl House {
    /// A model that is often wrong before one that is not, behind a gate.
    pub(crate) fn gated() -> Self {
        let scenario = SCENARIO.to_owned();
        Self { models: &[FIRST, NEXT], policy: format!("{GATE}{SEEN}"), scenario, more: String::new() }
    }

    /// One model without a gate, which is good until so many calls, and then is not.
    pub(crate) fn worse_from(calls: usize, more: String) -> Self {
        let scenario =
            SCENARIO.replace("wrong = 0.4\n", "wrong = 0.1\n[[models.hasty.phases]]\nfrom_call = CALLS\nwrong = 0.5\n");
        let scenario = scenario.replace("CALLS", &calls.to_string());
        Self { models: &[FIRST], policy: format!("[objective]\nlatency_ms = 5000\n{SEEN}"), scenario, more }
    }
}

const TRADES: [&str; 8] = ["Books", "Bakery", "Tools", "Garden", "Music", "Optics", "Paper", "Shoes"];
const PLACES: [&str; 8] = ["Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Hazel", "Juniper"];

/// Receipts, by their text what stands on them.
pub(crate) struct Receipts {
    pub(crate) texts: Vec<String>,
    truth: HashMap<String, Value>,
}

impl Receipts {
    pub(crate) fn new(count: usize, seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let mut pick = |upto: u64| rng.next_u64() % upto;
        let (mut texts, mut truth) = (Vec::with_capacity(count), HashMap::with_capacity(count));
        for number in 0..count {
            let company = format!("{} {}", PLACES[pick(8) as usize], TRADES[pick(8) as usize]);
            let total = format!("{}.{:02}", 10 + pick(900), pick(100));
            let text = format!("RECEIPT No. {number:05}\n{company}\nTILL {}\nTO PAY {total}\nTHANK YOU", 1 + pick(9));
            truth.insert(text.clone(), json!({ "company": company, "total": total }));
            texts.push(text);
        }
        Self { texts, truth }
    }

    /// Whether this is what stands on the receipt.
    pub(crate) fn right(&self, text: &str, output: &Value) -> bool {
        self.truth.get(text) == Some(output)
    }

    /// What the models know: each receipt, and what a judge says of the right answer and of any other.
    fn write(&self, folder: &Path, (house, seed): (&House, u64)) -> Result<()> {
        let mut rng = SplitMix64::new(seed ^ 1);
        let (mut receipts, mut verdicts) = (String::new(), String::new());
        for text in &self.texts {
            let expected = &self.truth[text];
            receipts.push_str(&format!("{}\n", json!({ "input": { "text": text }, "expected": expected })));
            let right = rng.next_f64() >= JUDGE_WRONG;
            let marks = [
                (format!("What it answered:\n<answer>\n{expected}\n</answer>"), right),
                ("What it answered:".to_owned(), !right),
            ];
            for (mark, pass) in marks {
                let verdict = if pass { "pass" } else { "fail" };
                let said = json!({ CRITERION: { "reasoning": "I compared the values.", "verdict": verdict } });
                verdicts
                    .push_str(&format!("{}\n", json!({ "input": { "text": text, "mark": mark }, "expected": said })));
            }
        }
        write(&folder.join("receipts.jsonl"), &receipts)?;
        write(&folder.join("verdicts.jsonl"), &verdicts)?;
        write(&folder.join("scenario.toml"), &house.scenario)
    }
}

/// Starts the simulated models.
pub(crate) async fn sim(
    baton: &Path,
    folder: &Path,
    receipts: &Receipts,
    (house, seed): (&House, u64),
) -> Result<crate::children::Server> {
    receipts.write(folder, (house, seed))?;
    let mut command = tokio::process::Command::new(baton);
    command.args(["sim", "--listen", "127.0.0.1:0", "--seed", &seed.to_string()]);
    command.arg("--scenario").arg(folder.join("scenario.toml"));
    crate::children::Server::start("sim", &mut command, folder).await
}

/// The folder that the server is started with.
pub(crate) fn furnish(place: &Path, house: &House, sim: SocketAddr) -> Result<()> {
    write(&place.join("baton.toml"), &format!("{}{}", provider("sim", sim), house.more))?;
    let file = |name: &str| place.join("intents").join(INTENT).join(name);
    let models: Vec<String> = house.models.iter().map(|model| (*model).to_owned()).collect();
    write(&file("intent.toml"), &format!("{}{}", models_line(&models), house.policy))?;
    write(&file("output.schema.json"), OUTPUT)?;
    write(&file("prompt.md"), "Read this receipt, and answer in JSON:\n{{ output_schema }}\n\n{{ text }}\n")
}
