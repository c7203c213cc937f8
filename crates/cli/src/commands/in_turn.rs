//! Asking models in turn, as commands show it: what `eval --cascade` writes and prints, and the lines of `check`
//! and `route explain`.

use std::path::{Path, PathBuf};

use baton_config::{CASCADE_ASKS, CASCADE_CASES_MIN, CASCADE_MODELS_MAX, IntentKind, Plan};
use baton_core::{ModelId, Strategy, Usage};
use baton_lab::{Column, InTurn, Together, together};
use comfy_table::CellAlignment;
use serde_json::{Value, json};

use super::eval::Asked;
use crate::exit::{Exit, say};
use crate::lab::{AS_DECLARED, plan_of};
use crate::setup::{Folder, plain_table, unix_us};

/// What is no more than rounding, in dollars for 1,000 calls.
const GAIN_MIN: f64 = 1e-6;

/// Models of an intent's own list, and how they are called here.
pub(super) struct Candidates {
    ids: Vec<String>,
    names: Vec<String>,
}

/// The candidates of `--cascade`, or why they cannot be asked in turn: before anybody is asked.
pub(super) fn models(folder: &Folder, intent: &str, (names, asked): (&[String], &Asked)) -> Result<Candidates, Exit> {
    let snapshot = folder.snapshot()?;
    let plan = plan_of(&snapshot, intent)?;
    let refuse = |told: String| Err(Exit::usage(format!("--cascade: {told}")));
    if plan.kind == IntentKind::Generation {
        return refuse(format!("`{intent}` gives texts, and two good texts need not be equal"));
    }
    if !(2..=CASCADE_MODELS_MAX).contains(&names.len()) {
        return refuse(format!(
            "from 2 to {CASCADE_MODELS_MAX} models can be asked in turn: name them with --candidates"
        ));
    }
    if asked.repeat > 1 {
        return refuse("who is right together is counted by cases, each asked once: leave --repeat out".into());
    }
    let mut ids: Vec<String> = Vec::new();
    for name in names {
        let id = snapshot.aliases.get(name).map_or(name.as_str(), |id| id.as_str());
        if name == AS_DECLARED {
            return refuse(format!("each candidate is one model: leave `{AS_DECLARED}` out"));
        }
        if !plan.candidates.iter().any(|spec| spec.id.as_str() == id) {
            let file = format!("intents/{intent}/intent.toml");
            return refuse(format!(
                "`{name}` is not among the `models` of {file}, so nobody would ask it: add it there"
            ));
        }
        if ids.iter().any(|other| other == id) {
            return refuse(format!("--candidates names `{id}` twice"));
        }
        ids.push(id.to_owned());
    }
    Ok(Candidates { ids, names: names.to_vec() })
}

/// What was learnt of who is right together, and what that is worth.
pub(super) struct Learnt {
    path: PathBuf,
    names: Vec<String>,
    together: Together,
    /// Candidates whose price is not known.
    priceless: Vec<String>,
    asks: u32,
    offers: Vec<InTurn>,
    /// Whether the intent's route asks in turn already.
    routed: bool,
}

impl Learnt {
    /// From the candidates' answers; `cascade.json` is written.
    pub(super) fn write(folder: &Folder, plan: &Plan, columns: &[Column], of: Candidates) -> Result<Self, Exit> {
        let Candidates { ids, names } = of;
        let together = together(columns, ids);
        let path = folder.dir.join("intents").join(plan.name.as_str()).join("cascade.json");
        replace(&path, &together.file(&plan.hashes.answer))
            .map_err(|error| Exit::outside(format!("{}: {error}", path.display())))?;
        let now_us = unix_us();
        let cost = |(id, usage): (&String, &Usage)| baton_eval::answer_usd(plan, &ModelId::new(id), (usage, now_us));
        let costs: Vec<Option<f64>> = together.models.iter().zip(&together.usage).map(cost).collect();
        let priceless =
            names.iter().zip(&costs).filter(|(_, usd)| usd.is_none()).map(|(name, _)| name.clone()).collect();
        let terms = plan.route.cascade.as_ref();
        let asks = terms.map_or(CASCADE_ASKS, |terms| terms.asks);
        let offers = together.in_turn(&costs, terms.map(|terms| terms.right_usd), asks);
        let routed = plan.route.strategy == Strategy::Cascade;
        Ok(Self { path, names, together, priceless, asks, offers, routed })
    }

    fn used(&self) -> bool {
        self.together.rows.len() >= CASCADE_CASES_MIN as usize
    }

    /// What was left out.
    pub(super) fn note(&self) -> Option<String> {
        let left_out = self.together.left_out;
        let told = "a candidate could not be asked them for reasons outside of it";
        (left_out > 0).then(|| format!("cascade.json leaves {left_out} cases out: {told}."))
    }

    pub(super) fn document(&self) -> Value {
        let offer = |offer: &InTurn| {
            let mut told = json!(offer);
            told["alone"] = json!(self.names.get(offer.alone));
            told
        };
        json!({
            "file": self.path,
            "cases": self.together.rows.len(),
            "left_out": self.together.left_out,
            "used": self.used(),
            "asks": self.asks,
            "without_price": self.priceless,
            "offers": self.offers.iter().map(offer).collect::<Vec<_>>(),
        })
    }

    pub(super) fn print(&self) {
        let cases = self.together.rows.len();
        say!("\nasking in turn, by who was right together on {cases} cases: wrote {}", self.path.display());
        if !self.used() {
            say!(
                "below {CASCADE_CASES_MIN} cases it is not used: add cases to cases.jsonl, or ask all of them with \
                 --share all"
            );
        }
        for name in &self.priceless {
            say!("`{name}` is left out: its price is not known; give it a `price` under [models] in baton.toml");
        }
        if self.offers.is_empty() {
            say!("what it comes to cannot be said: that takes two candidates with a price, one of them above 0");
        } else {
            say!("\n{}", table(&self.offers, &self.names));
            say!(
                "\nright_usd: what one more right answer is worth, in dollars; at most {} are asked for one. On cases that it \
                 did not learn from,\nand read at the worst: all wrong answers to a case are taken to be the same one, so \
                 that they agree.",
                self.asks
            );
        }
        let best = self.offers.iter().max_by(|one, other| one.gain().total_cmp(&other.gain()));
        if best.is_some_and(|best| best.gain() <= GAIN_MIN) {
            say!("Here it is worth no more than one model alone.");
        }
        if let Some(best) = best.filter(|best| !self.routed && best.gain() > GAIN_MIN) {
            say!(
                "To ask in turn, in intent.toml (`route` above the first [section], a `right_usd` of your own choice):\n\
                 route = \"cascade\"\n[routing]\nright_usd = {}",
                best.right_usd
            );
        }
    }
}

fn table(offers: &[InTurn], names: &[String]) -> comfy_table::Table {
    let mut table = plain_table();
    table.set_header(["right_usd", "in turn: right", "USD per 1,000", "best alone", "right", "USD per 1,000"]);
    for (place, column) in table.column_iter_mut().enumerate() {
        if place != 3 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let usd = |usd: f64| format!("{usd:.4}");
    for offer in offers {
        table.add_row([
            offer.right_usd.to_string(),
            percent(offer.right),
            usd(offer.usd_per_1000),
            names.get(offer.alone).cloned().unwrap_or_default(),
            percent(offer.alone_right),
            usd(offer.alone_usd_per_1000),
        ]);
    }
    table
}

/// Written beside it, and put in its place whole.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("json.new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

/// What `check` says of it.
pub(super) fn told(plan: &Plan) -> Option<String> {
    let (cascade, together) = plan.route.in_turn()?;
    let cases: u32 = together.rows.iter().map(|(_, count)| count).sum();
    let most = together.models.len().min(cascade.asks as usize);
    let models: Vec<&str> = together.models.iter().map(|id| id.as_str()).collect();
    Some(format!("asked in turn, by who was right together on {cases} cases: at most {most} of {}", models.join(", ")))
}

/// The policy that its calls follow, in sentences.
pub(super) fn described(plan: &Plan, now_us: i64) -> Option<Vec<String>> {
    let (together, _, policy) = baton_eval::in_force(plan, now_us)?;
    let names: Vec<&str> = together.models.iter().map(|id| id.as_str()).collect();
    Some(baton_eval::described(&policy, &names))
}
