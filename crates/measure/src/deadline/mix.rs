//! What the models do to the executions of `measure deadline`, and what is asked of them.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::Result;
use baton_stats::SplitMix64;
use serde_json::{Value, json};

use super::Row;
use crate::client::Ending;
use crate::house::{self, LABELS};
use crate::instruments::at;
use crate::report::line;

/// A kind of model, and what its scenario says besides.
const KINDS: &[(&str, &str)] = &[
    ("good", "first_token_ms = { p50 = 150, p99 = 1500 }\ntokens_per_second = 60"),
    ("hangs", "faults = [{ kind = \"hang\", share = 0.8 }]"),
    ("silent", "faults = [{ kind = \"headers_then_silence\", share = 0.8 }]"),
    ("trickles", "faults = [{ kind = \"trickle\", every_ms = 40, share = 0.9 }]"),
    ("comments", "faults = [{ kind = \"keepalive_forever\", every_ms = 70, share = 0.8 }]"),
    ("closes", "faults = [{ kind = \"refuse\", share = 0.8 }]"),
    ("fails", "errors = [{ status = 500, share = 0.5 }, { status = 429, share = 0.2, retry_after = 1 }]"),
    (
        "cuts",
        "faults = [{ kind = \"cut_body\", share = 0.5 }, { kind = \"cut_stream\", share = 0.3, after_tokens = 2 }]",
    ),
    ("slow", "first_token_ms = { p50 = 900, p99 = 4000 }"),
];
/// Of each kind so many models: lanes of their own, so that breakers do not hide the faults.
const LANES: u64 = 3;
/// Nobody listens where this provider is.
const REFUSED: &str = "nobody/refuses";

pub(crate) struct Mix {
    seed: u64,
    nobody: SocketAddr,
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) intent: &'static str,
    pub(crate) stream: bool,
    pub(crate) deadline_ms: u64,
    primary: String,
    fallback: Option<String>,
}

impl Mix {
    pub(crate) fn new(seed: u64) -> Result<Self> {
        // Closed at once: connections to it are refused.
        let nobody = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        Ok(Self { seed, nobody })
    }

    fn models() -> Vec<String> {
        let lane = |kind: &str| (1..=LANES).map(move |n| format!("sim/{kind}-{n}")).collect::<Vec<_>>();
        let simulated = KINDS.iter().flat_map(|(kind, _)| lane(kind));
        simulated.chain([REFUSED.to_owned()]).collect()
    }

    /// The models of `baton sim`.
    pub(crate) fn scenario(&self) -> String {
        let model = |(kind, behaviour): &(&str, &str)| {
            (1..=LANES).map(|n| format!("[models.{kind}-{n}]\n{behaviour}\n\n")).collect::<String>()
        };
        KINDS.iter().map(model).collect()
    }

    /// The folder of `baton serve`: labels, whose streams wait for the verdict, and free text, whose
    /// streams begin with the first token.
    pub(crate) fn write(&self, house: &Path, sim: SocketAddr) -> Result<()> {
        let providers = house::provider("sim", sim) + &house::provider("nobody", self.nobody);
        house::write(&house.join("baton.toml"), &providers)?;
        let models = house::models(&Self::models());
        house::write(&house.join("intents/classify/intent.toml"), &format!("{models}{LABELS}"))?;
        house::write(&house.join("intents/reply/intent.toml"), &models)?;
        house::write(&house.join("intents/reply/prompt.md"), "Answer this ticket: {{ input }}\n")
    }

    /// So many calls: models, deadlines (200 to 2000 ms, uniform) and streams follow from the seed.
    pub(crate) fn cases(&self, count: usize) -> Vec<Case> {
        let mut rng = SplitMix64::new(self.seed);
        let models = Self::models();
        let pick = |rng: &mut SplitMix64| models[rng.below(models.len() as u64) as usize].clone();
        let case = |_| {
            let primary = pick(&mut rng);
            let fallback = pick(&mut rng);
            let stream = rng.below(2) == 0;
            Case {
                intent: if rng.below(2) == 0 { "classify" } else { "reply" },
                stream,
                deadline_ms: 200 + rng.below(1801),
                fallback: (fallback != primary && rng.below(3) > 0).then_some(fallback),
                primary,
            }
        };
        (0..count).map(case).collect()
    }
}

impl Case {
    /// The body of the call; each input is another.
    pub(crate) fn call(&self, number: usize) -> Value {
        let mut config = json!({ "maxLatencyMs": self.deadline_ms, "primaryModel": self.primary });
        if let Some(fallback) = &self.fallback {
            config["fallbackModel"] = json!(fallback);
        }
        let input = format!("Ticket {number}: the export stops at row {}.", number * 7);
        json!({ "intent": self.intent, "input": input, "stream": self.stream, "config": config })
    }

    /// What its first model does.
    fn kind(&self) -> &str {
        let name = self.primary.split('/').next_back().unwrap_or_default();
        name.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit())
    }
}

/// By what the first model does: how the calls ended, and how late the worst of them was.
pub(crate) fn table(rows: &[Row]) {
    let mut kinds: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        kinds.entry(row.case.kind()).or_default().push(row);
    }
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["first model", "calls", "answered", "ended otherwise", "worst, ms late"]);
    for (kind, rows) in kinds {
        let mut endings: BTreeMap<String, usize> = BTreeMap::new();
        let mut answers = 0;
        for row in &rows {
            match &row.outcome.ending {
                Ending::Answer => answers += 1,
                Ending::Error(code) => *endings.entry(code.clone()).or_default() += 1,
                other => *endings.entry(format!("{other:?}")).or_default() += 1,
            }
        }
        let endings: Vec<String> = endings.into_iter().map(|(ending, count)| format!("{count} {ending}")).collect();
        let mut late: Vec<f64> = rows.iter().filter_map(|row| row.late_ms()).collect();
        let worst = format!("{:.2}", at(&mut late, 1.0));
        table.add_row([kind, &rows.len().to_string(), &answers.to_string(), &endings.join(", "), &worst]);
    }
    line(&table.to_string());
}
