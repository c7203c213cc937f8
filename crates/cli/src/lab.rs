//! What `eval` and `compare` share: candidates from names, the cache of answers, the run itself.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use baton_config::{JUDGE_SUFFIX, ModelSpec, OnExhausted, Plan, Snapshot, StoreContent};
use baton_core::{Allowance, IntentName, Unproven};
use baton_engine::Orchestrator;
use baton_lab::{AnswerCache, Case, Column, Options, Seen, Variant};
use baton_store::Store;
use indicatif::{ProgressBar, ProgressStyle};

use crate::exit::Exit;
use crate::setup::{Folder, unix_us, usable};
use crate::transports::{Fixtures, Transports, scenarios};

/// The candidate that is the intent as it is declared, all of its models in their order.
pub(crate) const AS_DECLARED: &str = "intent";

/// An intent of a folder, and its candidates.
pub(crate) struct Side {
    pub(crate) plan: Arc<Plan>,
    pub(crate) variants: Vec<Variant>,
    pub(crate) seen: Seen,
    /// Whether a candidate asks in turn by what was learnt from cases.
    pub(crate) in_turn: bool,
    pub(crate) store_dir: PathBuf,
}

/// The candidates of these names over one folder's intent; `suffix` tells them from those of another
/// folder. Their records are kept in memory: an evaluation is no traffic. With `bare` an intent's default answer
/// takes the place of nobody's.
pub(crate) fn side(
    folder: &Folder,
    (intent, bare): (&str, bool),
    names: &[String],
    fixtures: &Fixtures,
    suffix: &str,
) -> Result<Side, Exit> {
    let mut snapshot = folder.told_snapshot()?;
    let plan = plan_of(&snapshot, intent)?;
    let declared: Vec<String> = plan.candidates.iter().map(|spec| spec.id.to_string()).collect();
    let unproven = plan.unproven;
    let declares = names.iter().any(|name| name == AS_DECLARED);
    let in_turn = declares && plan.route.in_turn().is_some();
    let mut asked = Vec::new();
    for name in names {
        let alone = name != AS_DECLARED;
        asked.push(if alone { vec![candidate(&mut snapshot, intent, name)?] } else { declared.clone() });
    }
    if let Some(plan) = snapshot.intents.get_mut(&IntentName::new(intent)).and_then(Arc::get_mut).filter(|_| bare) {
        plan.on_exhausted = OnExhausted::Error;
    }
    // What a model alone says is to be known, not what a judge in the path leaves of it. Nobody has labels
    // here, so that nothing would pass where what is unproven fails.
    let alone = Asked::new(snapshot, (intent, Unproven::Pass), fixtures)?;
    let apart = if unproven == Unproven::Judge { Some(unproven) } else { in_turn.then_some(Unproven::Pass) };
    let whole = apart
        .filter(|_| declares)
        .map(|unproven| Asked::new(folder.snapshot()?, (intent, unproven), fixtures))
        .transpose()?;
    let mut seen = Seen::default();
    let mut variants = Vec::new();
    for (name, models) in names.iter().zip(asked) {
        seen.add(&alone.plan, models.iter().any(|model| model == "local"));
        let Asked { baton, plan, reached, .. } =
            whole.as_ref().filter(|_| name == AS_DECLARED).unwrap_or(&alone).clone();
        // Who names models has them asked in that order.
        let models = Some(models).filter(|_| name != AS_DECLARED || !in_turn);
        variants.push(Variant { name: format!("{name}{suffix}"), baton, plan, models, reached });
    }
    Ok(Side { plan: alone.plan, variants, seen, in_turn, store_dir: alone.store_dir })
}

/// What asks candidates of one intent.
#[derive(Clone)]
struct Asked {
    baton: Orchestrator,
    plan: Arc<Plan>,
    /// How its providers are reached.
    reached: String,
    store_dir: PathBuf,
}

impl Asked {
    fn new(mut snapshot: Snapshot, (intent, unproven): (&str, Unproven), fixtures: &Fixtures) -> Result<Self, Exit> {
        without_limits(&mut snapshot, intent);
        if let Some(plan) = snapshot.intents.get_mut(&IntentName::new(intent)).and_then(Arc::get_mut) {
            plan.unproven = unproven;
            // No judge and nobody else is asked for a word on an answer that is forgotten.
            plan.review = None;
            plan.judge.iter_mut().for_each(|judge| judge.rate_max = 0.0);
        }
        let plan = Arc::clone(plan_of(&snapshot, intent)?);
        let transports = Transports::new(fixtures)?;
        usable(&snapshot, &transports)?;
        let (reached, store_dir) = (reached(&snapshot, &plan)?, snapshot.store.dir.clone());
        let mut builder = Orchestrator::builder(snapshot, Store::memory()).connect(transports.connect());
        if transports.replays() {
            builder = builder.without_keys();
        }
        let baton = builder.build().map_err(|error| Exit::usage(error.to_string()))?;
        Ok(Self { baton, plan, reached, store_dir })
    }
}

/// The plan of an intent; which there are, where there is none of the name.
pub(crate) fn plan_of<'s>(snapshot: &'s Snapshot, intent: &str) -> Result<&'s Arc<Plan>, Exit> {
    snapshot.plan(&IntentName::new(intent)).ok_or_else(|| {
        let known: Vec<&str> = snapshot.intents.keys().map(IntentName::as_str).collect();
        Exit::usage(format!("there is no intent `{intent}`; there are: {}", known.join(", ")))
    })
}

/// The id of a model that is to answer alone. One that the intent does not name becomes a candidate
/// of it, for this run.
fn candidate(snapshot: &mut Snapshot, intent: &str, name: &str) -> Result<String, Exit> {
    let plan = plan_of(snapshot, intent)?;
    let id = snapshot.aliases.get(name).map_or(name, |id| id.as_str()).to_owned();
    if plan.candidates.iter().any(|spec| spec.id.as_str() == id) {
        return Ok(id);
    }
    let known: Option<ModelSpec> = snapshot.model(name).cloned();
    let Some(spec) = known else {
        let aliases = snapshot.aliases.keys().map(String::as_str);
        let ids = snapshot.models.iter().map(|spec| spec.id.as_str());
        let known: BTreeSet<&str> = aliases.chain(ids).collect();
        let known: Vec<&str> = known.into_iter().collect();
        return Err(Exit::usage(format!(
            "there is no model `{name}` here; there are: {}, and `{AS_DECLARED}` for the intent as it is. Add it to an \
             intent's `models`, or to [models] in baton.toml",
            known.join(", ")
        )));
    };
    // Nobody else has the snapshot yet.
    if let Some(plan) = snapshot.intents.get_mut(&IntentName::new(intent)).and_then(Arc::get_mut) {
        plan.candidates = plan.candidates.iter().cloned().chain([spec]).collect();
    }
    Ok(id)
}

/// Budgets and rates are the product's: an evaluation neither uses them up nor is refused by them.
fn without_limits(snapshot: &mut Snapshot, intent: &str) {
    for name in [intent.to_owned(), format!("{intent}{JUDGE_SUFFIX}")] {
        if let Some(plan) = snapshot.intents.get_mut(&IntentName::new(&name)).and_then(Arc::get_mut) {
            plan.allowance = Allowance::default();
        }
    }
    snapshot.teams.values_mut().for_each(|team| team.allowance = Allowance::default());
}

/// How the plan's providers are reached, and who judges in the path, as a text that changes where their
/// answers may.
fn reached(snapshot: &Snapshot, plan: &Plan) -> Result<String, Exit> {
    let judge = plan.judge.iter().filter(|_| plan.unproven == Unproven::Judge);
    let mut reached: BTreeSet<String> =
        judge.clone().map(|judge| format!("judged by {} {}", judge.model, judge.second_opinion)).collect();
    for id in plan.candidates.iter().map(|spec| &spec.id).chain(judge.map(|judge| &judge.model)) {
        if let Some(provider) = snapshot.providers.get(id.provider()) {
            reached.insert(format!("{} {:?} {}", provider.kind, provider.base_url, provider.seed));
        }
    }
    for (provider, scenario) in scenarios(snapshot)? {
        reached.insert(format!("{} {scenario:?}", provider.name));
    }
    Ok(reached.into_iter().collect::<Vec<_>>().join("\n"))
}

/// The cache of answers beside the records, where the intent lets content be kept.
pub(crate) fn cache(side: &Side, wanted: bool, notes: &mut Vec<String>) -> Result<AnswerCache, Exit> {
    if !wanted {
        return Ok(AnswerCache::none());
    }
    if side.plan.privacy.store != StoreContent::Full {
        notes.push("The intent's privacy keeps not all content: no answer was kept for a rerun.".into());
        return Ok(AnswerCache::none());
    }
    let told = |error: std::io::Error| {
        Exit::outside(format!("{}: {error}; --no-cache does without", side.store_dir.display()))
    };
    if !side.store_dir.exists() {
        std::fs::create_dir_all(&side.store_dir).map_err(told)?;
        std::fs::write(side.store_dir.join(".gitignore"), "*\n").map_err(told)?;
    }
    let path = side.store_dir.join("lab").join(format!("{}.jsonl", side.plan.name));
    let now_s = Duration::from_micros(u64::try_from(unix_us()).unwrap_or_default()).as_secs();
    AnswerCache::open(&path, side.plan.privacy.keep.as_secs(), now_s).map_err(told)
}

/// Runs the grid with its progress on standard error, where that is a terminal.
pub(crate) async fn run(variants: &[Variant], cases: &[Case], cache: &AnswerCache, options: Options) -> Vec<Column> {
    let calls = variants.len() * cases.len() * options.repeat as usize;
    let bar = ProgressBar::new(calls as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} answers, {eta} left {msg}") {
        bar.set_style(style);
    }
    let columns = baton_lab::run(variants, cases, cache, options, |_| bar.inc(1)).await;
    bar.finish_and_clear();
    columns
}

/// A candidate whom nobody could ask says nothing of its quality.
pub(crate) fn somebody_answered(columns: &[Column]) -> Result<(), Exit> {
    for column in columns {
        let outside = |cell: &&baton_lab::Cell| cell.given.refusal.as_ref().is_some_and(|refusal| !refusal.quality);
        let failed: Vec<_> = column.cells.iter().filter(outside).collect();
        if let Some(refusal) = failed.first().and_then(|cell| cell.given.refusal.as_ref())
            && failed.len() == column.cells.len()
        {
            let message = format!("`{}` answered nothing: {}: {}", column.name, refusal.code, refusal.message);
            return Err(Exit::outside(message));
        }
    }
    Ok(())
}

/// Text in colour, where standard output wants it.
pub(crate) struct Paint(bool);

impl Paint {
    pub(crate) fn of_stdout() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self(set("CLICOLOR_FORCE") || (std::io::stdout().is_terminal() && !set("NO_COLOR")))
    }

    pub(crate) fn red(&self, text: &str) -> String {
        self.in_colour("31", text)
    }

    pub(crate) fn green(&self, text: &str) -> String {
        self.in_colour("32", text)
    }

    fn in_colour(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Writes a report's file, its folder made where it is not there.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Exit> {
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(path, text))
        .map_err(|error| Exit::outside(format!("{}: {error}", path.display())))
}
