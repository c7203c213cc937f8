//! Labels arrive, the gate moves, bad answers stop: receipts that a cheap model reads, with a check that
//! only takes note. Reviewers are simulated; the queue, the calibration and the gate are the engine's.

use std::path::Path;

use baton_config::Snapshot;
use baton_core::{IntentName, TeamId};
use baton_engine::{Desk, Orchestrator, Verdict};
use baton_sim::Sim;
use baton_stats::SplitMix64;
use baton_store::Reviewer;
use serde_json::{Value, json};

use super::PhaseSeen;
use super::traffic::{self, Phase};
use crate::exit::Exit;
use crate::setup::unix_us;

pub(super) const INTENT: &str = "read-receipt";
/// Calls before the labels, each of which is labelled, and after.
const CALLS: usize = 60;
/// Labels between two looks at what they changed.
const LOOK: usize = 20;

/// Seven in ten of the answers that pass are to be good, with 90 % confidence: what 60 labels can promise of
/// a model that is wrong this often.
const POLICY: &str = r#"models = ["claude-3-haiku", "gpt-4"]
[params]
temperature = 0
max_tokens = 250
[objective]
latency_ms = 8000
quality = 0.7
confidence = 0.9
unproven = "pass"
[[checks]]
type = "span-in-source"
fields = ["company", "date", "address", "total"]
on_fail = "signal"
[review]
per_day = 100000
double = 0
"#;

const TRADES: [&str; 8] = ["BOOKS", "BAKERY", "TOOLS", "GARDEN", "MUSIC", "OPTICS", "PAPER", "SHOES"];
const PLACES: [&str; 8] = ["ALDER", "BIRCH", "CEDAR", "DOGWOOD", "ELM", "FIR", "HAZEL", "JUNIPER"];
const TOWNS: [&str; 6] = ["MILLHAVEN", "NORTHAM", "OAKFORD", "PELLWORTH", "QUARNDON", "RIVERSIDE"];

/// Writes the intent beside those of the example, with receipts of its own.
pub(super) fn write(root: &Path, seed: u64) -> std::io::Result<()> {
    let (own, example) = (root.join("intents").join(INTENT), root.join("intents/extract-receipt"));
    std::fs::create_dir_all(&own)?;
    for file in ["prompt.md", "input.schema.json", "output.schema.json"] {
        std::fs::copy(example.join(file), own.join(file))?;
    }
    std::fs::write(own.join("intent.toml"), POLICY)?;
    std::fs::write(own.join("cases.jsonl"), receipts(2 * CALLS, seed))?;
    // The simulated models know what stands on them.
    let scenario = std::fs::read_to_string(root.join("scenario.toml"))?;
    let known = format!("truth = [\n  \"intents/{INTENT}/cases.jsonl\",");
    std::fs::write(root.join("scenario.toml"), scenario.replacen("truth = [", &known, 1))
}

/// Receipts as cases, one a line.
fn receipts(count: usize, seed: u64) -> String {
    let mut random = SplitMix64::new(seed ^ 0x7265_6365);
    let mut pick = |from: u64, upto: u64| from + random.below(upto - from);
    let mut lines = String::new();
    for number in 0..count {
        let company = format!("{} {}", PLACES[pick(0, 8) as usize], TRADES[pick(0, 8) as usize]);
        let address = format!("{} {} STREET, {}", pick(1, 99), PLACES[pick(0, 8) as usize], TOWNS[pick(0, 6) as usize]);
        let date = format!("{:02}/{:02}/2019", pick(1, 29), pick(1, 13));
        let total = format!("{}.{:02}", pick(10, 900), pick(0, 100));
        let text = format!(
            "{company}\n{address}\nDATE {date}  TILL {}\nRECEIPT No. {number:05}\nTOTAL {total}\nTHANK YOU",
            pick(1, 9)
        );
        let expected = json!({ "company": company, "date": date, "address": address, "total": total });
        lines.push_str(&format!("{}\n", json!({ "input": { "text": text }, "expected": expected })));
    }
    lines
}

/// The calls before the labels, and those after.
pub(super) fn phases(snapshot: &Snapshot) -> Option<[Phase; 2]> {
    let plan = snapshot.plan(&IntentName::new(INTENT))?;
    let calls: Vec<(String, Value)> = plan.cases.iter().map(|case| (INTENT.to_owned(), case.input.clone())).collect();
    let (before, after) = calls.split_at(calls.len() / 2);
    Some([
        traffic::receipts(
            "claude-3-haiku reads receipts, badly; a check takes note of it, and nobody made it a gate",
            before,
        ),
        traffic::receipts("the same models, the same errors, after the labels", after),
    ])
}

/// Who labels, and what with.
pub(super) struct Reviewing<'a> {
    pub(super) baton: &'a Orchestrator,
    /// What the reviewer knows.
    pub(super) truth: &'a Sim,
    pub(super) print: &'a (dyn Fn(&str) + Sync),
}

impl Reviewing<'_> {
    /// Labels what was drawn, and learns; how many labels there are.
    pub(super) async fn label(&self) -> Result<usize, Exit> {
        let outside = |error: &dyn std::fmt::Display| Exit::outside(error.to_string());
        let store = self.baton.store();
        store.flush().await.map_err(|error| outside(&error))?;
        let ana = Reviewer { name: "ana".into(), team: TeamId::new("default"), intents: None };
        let mut labels = 0_usize;
        loop {
            let desk = Desk::new(store.clone(), self.baton.snapshot(), ana.clone(), unix_us());
            let desk = desk.map_err(|failure| outside(&failure))?;
            let item = desk.next(Some(&IntentName::new(INTENT))).await.map_err(|failure| outside(&failure))?;
            let more = item.is_some();
            if let Some(item) = item {
                let right = item.input.and_then(|input| self.truth.expected(&input)) == item.output;
                let verdict = Verdict { pass: Some(right), ..Verdict::default() };
                desk.label(item.execution_id, verdict).await.map_err(|failure| outside(&failure))?;
                labels += 1;
            }
            if !more || labels.is_multiple_of(LOOK) {
                self.baton.calibrate().await.map_err(|error| outside(&error))?;
                if more {
                    (self.print)(&format!("   {labels} labels: {}", self.gate()));
                } else {
                    return Ok(labels);
                }
            }
        }
    }

    /// How the gate stands.
    pub(super) fn gate(&self) -> String {
        let in_force = self.baton.calibration(&TeamId::new("default"), &IntentName::new(INTENT));
        let Some(in_force) = in_force else { return "no gate, no evidence".into() };
        let side = &in_force.calibration.plain;
        let version = in_force.version;
        match (side.threshold, side.passing) {
            (Some(least), Some(passing)) => {
                format!(
                    "version {version}: the gate opened at {least:.2}; {:.0} % of the answers pass",
                    passing * 100.0
                )
            }
            _ => format!("version {version}: nothing can be promised yet, every answer passes unverified"),
        }
    }
}

/// What happened, in two lines.
pub(super) fn told(labels: usize, gate: &str, [before, after]: &[PhaseSeen; 2]) -> String {
    let share = |of: fn(&PhaseSeen) -> usize| {
        let percent = |seen: &PhaseSeen| format!("{:.0}", 100.0 * of(seen) as f64 / seen.calls.max(1) as f64);
        format!("{} → {} %", percent(before), percent(after))
    };
    format!(
        "   {labels} labels, {gate}.\n   Bad answers given: {} (plain client: {}). Held back and asked elsewhere: {}.",
        share(|seen| seen.wrong[0]),
        share(|seen| seen.wrong[1]),
        share(|seen| seen.fell_back),
    )
}

/// The same as data.
pub(super) fn json(labels: usize, seen: &[PhaseSeen; 2]) -> Value {
    let phase = |seen: &PhaseSeen| {
        let [bad, plain_bad] = seen.wrong;
        json!({
            "calls": seen.calls, "bad": bad, "plain_bad": plain_bad, "fallbacks": seen.fell_back, "errors": seen.errors,
        })
    };
    json!({ "labels": labels, "before": phase(&seen[0]), "after": phase(&seen[1]) })
}
