//! Does `route = "cheapest"` keep the floor? Three intents over simulated models whose quality is known,
//! through the real engine on the paused clock; people label a drawn sample of the answers. In the
//! middle the cheapest model that is good enough turns bad.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use baton_config::{Given, load};
use baton_core::{LabelSource, NanoUsd, Record, ReviewLabel, Status};
use baton_engine::{Call, Orchestrator};
use baton_sim::{Behaviour, Latency, Phase, Scenario, Share, Sim};
use baton_stats::SplitMix64;
use baton_store::Store;
use serde_json::{Value, json};

use crate::report::{Report, line, progress, table};

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calls of each intent
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1500..=50_000))]
    calls: u64,
    /// Worlds, each with its seed
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=50))]
    seeds: u64,
}

/// Name, USD for a million tokens, share of wrong answers, the same from the middle on.
const MODELS: [(&str, f64, f64, f64); 4] =
    [("dear", 30.0, 0.02, 0.02), ("middle", 5.0, 0.04, 0.04), ("cheap", 1.0, 0.05, 0.4), ("bad", 0.2, 0.35, 0.35)];
/// Name, floor, models in the order written, the dearest first.
const INTENTS: [(&str, f64, &str); 3] = [
    ("route-mail", 0.85, "\"sim/dear\", \"sim/middle\", \"sim/cheap\", \"sim/bad\""),
    ("sort-tickets", 0.82, "\"sim/dear\", \"sim/cheap\", \"sim/bad\""),
    ("tag-orders", 0.8, "\"sim/dear\", \"sim/middle\", \"sim/cheap\""),
];
const LABELS: [&str; 4] = ["billing", "bug", "how-to", "account"];
/// Labelled answers of a day, with a call of each intent every three seconds: about half.
const REVIEWS: u64 = 14_400;
/// More than the default: what is to be shown is what follows evidence, and not how long that takes.
const EXPLORE: f64 = 0.15;
const EVERY: Duration = Duration::from_secs(1);
/// Calls after which people have labelled what was drawn of them, and the learner looks.
const LEARN: usize = 45;
const WINDOW: usize = 500;
const STRIDE: usize = 25;
/// What follows a recovery must be above the floor for so many calls.
const AFTER: usize = 100;
const RECOVERY_BAR: usize = 300;
const WINDOWS_BAR: f64 = 0.95;

/// What came of one call.
struct Came {
    good: bool,
    cost: NanoUsd,
    /// Tokens, read and written.
    tokens: u64,
    model: String,
}

/// One intent in one world.
struct Told {
    intent: &'static str,
    windows: usize,
    met: usize,
    quality: f64,
    /// Calls from the middle on until the floor was met again.
    recovery: usize,
    cost: f64,
    dearest: f64,
    oracle: f64,
    /// Share of calls that each model answered, before and after the middle.
    shares: Vec<(f64, f64)>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut all = Vec::new();
    for seed in 0..arguments.seeds {
        let came = crate::paused::run(async || world(seed, arguments.calls as usize).await)?;
        for ((intent, floor, models), came) in INTENTS.iter().zip(came) {
            all.push(told(intent, *floor, models, &came));
        }
    }
    Ok(report(&all))
}

/// Input and label of a call: chance alone decides, and no two are alike.
fn case(intent: usize, number: usize, seed: u64) -> (Value, &'static str) {
    let mut rng = SplitMix64::new(seed).fork((intent * 1_000_000 + number) as u64);
    let text = format!("{:08x} asks for {intent} number {number}", rng.next_u64() >> 32);
    (json!(text), LABELS[rng.below(4) as usize])
}

fn orchestrator(seed: u64, calls: usize, records: &Arc<Mutex<Vec<Record>>>) -> Result<Orchestrator> {
    let folder = tempfile::tempdir()?;
    let put = |path: &str, text: &str| crate::house::write(&folder.path().join(path), text);
    let mut baton = "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n".to_owned();
    for (name, price, ..) in MODELS {
        baton += &format!(
            "[models.{name}]\nid = \"sim/{name}\"\nprice = {{ input = \"{price} USD/M\", output = \"{price} USD/M\" }}\n"
        );
    }
    put("baton.toml", &baton)?;
    put("scenario.toml", "models = {}\n")?;
    for (name, floor, models) in INTENTS {
        let policy = format!(
            "models = [{models}]\nroute = \"cheapest\"\n{}[routing]\nexplore = {EXPLORE}\n[objective]\nquality = {floor}\n[review]\nper_day = {REVIEWS}\n\
             double = 0\nfloor = 1\n",
            crate::house::LABELS
        );
        put(&format!("intents/{name}/intent.toml"), &policy)?;
    }
    let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
    let loaded = load(folder.path(), &given);
    let snapshot = loaded.map_err(|report| anyhow::anyhow!("the folder of this measure is wrong:\n{report}"))?;
    let cases = (0..INTENTS.len()).flat_map(|intent| (0..calls).map(move |number| case(intent, number, seed)));
    let mut scenario = Scenario::default().cases(cases.map(|(input, label)| (input, json!({ "label": label }))))?;
    let middle = u64::try_from((EVERY * (INTENTS.len() * calls / 2) as u32).as_millis())?;
    for (name, _, wrong, later) in MODELS {
        let share = |share| Share::new(share).map_err(anyhow::Error::msg);
        let phase = Phase { from_ms: Some(middle), wrong: Some(share(later)?), ..Phase::default() };
        let first_token_ms = Latency::Fixed { ms: 200.0 };
        let behaviour = Behaviour { first_token_ms, wrong: share(wrong)?, phases: vec![phase], ..Behaviour::default() };
        scenario = scenario.model(name, behaviour)?;
    }
    let observer = Arc::clone(records);
    let built = Orchestrator::builder(snapshot.snapshot, Store::memory())
        .transport("sim", Arc::new(Sim::new(scenario, seed).transport()))
        .simulated(seed)
        .on_record(Arc::new(move |record| {
            observer.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
        }))
        .build()?;
    Ok(built)
}

/// Makes all calls, and has people label what is drawn. By intent, in order.
async fn world(seed: u64, calls: usize) -> Result<Vec<Vec<Came>>> {
    let records = Arc::default();
    let baton = orchestrator(seed, calls, &records)?;
    let mut came: Vec<Vec<Came>> = INTENTS.iter().map(|_| Vec::new()).collect();
    for round in 0..INTENTS.len() * calls {
        let (intent, number) = (round % INTENTS.len(), round / INTENTS.len());
        let due = tokio::time::Instant::now() + EVERY;
        let (input, _) = case(intent, number, seed);
        let answered = baton.execute(Call::intent(INTENTS[intent].0, input)).await;
        ensure!(answered.is_ok(), "a call without an answer: {:?}", answered.err());
        tokio::time::sleep_until(due).await;
        if (round + 1) % LEARN == 0 {
            let new = std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner));
            learn(&baton, new, seed, &mut came).await?;
        }
        if (round + 1) % 3000 == 0 {
            progress(&format!("floor: world {seed}, {} of {} calls", round + 1, INTENTS.len() * calls));
        }
    }
    let rest = std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner));
    learn(&baton, rest, seed, &mut came).await?;
    Ok(came)
}

/// People say the truth of what was drawn; then the learner looks.
async fn learn(baton: &Orchestrator, new: Vec<Record>, seed: u64, came: &mut [Vec<Came>]) -> Result<()> {
    let mut labels = Vec::new();
    for record in new {
        let name = record.intent.as_ref().map(|intent| intent.as_str());
        let Some(intent) = INTENTS.iter().position(|(intent, ..)| Some(*intent) == name) else { continue };
        let (_, label) = case(intent, came[intent].len(), seed);
        let good = record.status == Status::Succeeded && record.output == Some(json!({ "label": label }));
        came[intent].push(Came {
            good,
            cost: record.cost,
            tokens: record.usage.input_tokens + record.usage.output_tokens,
            model: record.model.as_ref().map(|model| model.name().to_owned()).unwrap_or_default(),
        });
        if record.review.as_ref().is_some_and(|draw| draw.rejected.is_none()) {
            let at_us = record.started_at_us + i64::try_from(record.duration_us)?;
            let (reviewer, source) = ("people".into(), LabelSource::Review);
            let (criteria, correction, comment) = Default::default();
            labels.push((record, ReviewLabel { reviewer, at_us, pass: good, source, criteria, correction, comment }));
        }
    }
    baton.store().import_labels(labels).await?;
    baton.calibrate().await?;
    Ok(())
}

fn share(came: &[Came]) -> f64 {
    came.iter().filter(|one| one.good).count() as f64 / came.len().max(1) as f64
}

fn told(intent: &'static str, floor: f64, models: &str, came: &[Came]) -> Told {
    let middle = came.len() / 2;
    let windows: Vec<f64> = (0..=came.len() - WINDOW).step_by(STRIDE).map(|at| share(&came[at..at + WINDOW])).collect();
    let recovered = (middle..came.len() - AFTER).find(|at| share(&came[*at..at + AFTER]) >= floor);
    let mine = || MODELS.iter().filter(|(name, ..)| models.contains(&format!("sim/{name}")));
    // Who knows how good everybody is takes the cheapest that is good enough.
    let best = |late: bool| {
        let good = mine().filter(|(_, _, wrong, later)| 1.0 - if late { *later } else { *wrong } >= floor);
        good.map(|model| model.1).fold(f64::INFINITY, f64::min)
    };
    let dear = mine().map(|model| model.1).fold(0.0, f64::max);
    let at = |price: f64, one: &Came| price * one.tokens as f64 / 1e6;
    let half =
        |name: &str, came: &[Came]| came.iter().filter(|one| one.model == name).count() as f64 / came.len() as f64;
    Told {
        intent,
        windows: windows.len(),
        met: windows.iter().filter(|quality| **quality >= floor).count(),
        quality: share(came),
        recovery: recovered.map_or(usize::MAX, |at| at - middle),
        cost: came.iter().map(|one| one.cost.0 as f64 / 1e9).sum(),
        dearest: came.iter().map(|one| at(dear, one)).sum(),
        oracle: came.iter().enumerate().map(|(n, one)| at(best(n >= middle), one)).sum(),
        shares: MODELS.iter().map(|(name, ..)| (half(name, &came[..middle]), half(name, &came[middle..]))).collect(),
    }
}

fn report(all: &[Told]) -> Report {
    let mut rows = table(&[
        "intent",
        "windows above the floor",
        "quality",
        "calls to recovery",
        "USD",
        "always the dearest",
        "oracle",
        "answered by (before / after the middle)",
    ]);
    for one in all {
        let part = |(name, (before, after)): (&str, &(f64, f64))| format!("{name} {before:.2} / {after:.2}");
        let shares = MODELS.iter().map(|model| model.0).zip(&one.shares).map(part);
        rows.add_row([
            one.intent.to_owned(),
            format!("{} of {}", one.met, one.windows),
            format!("{:.3}", one.quality),
            if one.recovery == usize::MAX { "never".into() } else { one.recovery.to_string() },
            format!("{:.3}", one.cost),
            format!("{:.3}", one.dearest),
            format!("{:.3}", one.oracle),
            shares.collect::<Vec<_>>().join(", "),
        ]);
    }
    line(&format!("{rows}\n"));
    let sum = |of: fn(&Told) -> f64| all.iter().map(of).sum::<f64>();
    let met = sum(|one| one.met as f64) / sum(|one| one.windows as f64);
    let slowest = all.iter().map(|one| one.recovery).max().unwrap_or(usize::MAX);
    let (cost, dearest, oracle) = (sum(|one| one.cost), sum(|one| one.dearest), sum(|one| one.oracle));
    let worst: HashMap<&str, f64> = all.iter().fold(HashMap::new(), |mut worst, one| {
        let share = one.met as f64 / one.windows as f64;
        worst.entry(one.intent).and_modify(|least: &mut f64| *least = least.min(share)).or_insert(share);
        worst
    });
    line(&format!(
        "cost: {:.1} % of always the dearest, {:.2} times the oracle's (simulated)",
        cost / dearest * 100.0,
        cost / oracle
    ));
    let mut report = Report::new("floor");
    report.figure("windowsMet", met);
    report.figure("windowsMetWorstByIntent", json!(worst));
    report.figure("slowestRecovery", json!((slowest != usize::MAX).then_some(slowest)));
    report.figure("costUsd", json!({ "routed": cost, "alwaysDearest": dearest, "oracle": oracle }));
    report.figure("simulated", true);
    report.bar(
        format!("the floor met in {:.1} % of windows of {WINDOW} (at least 95 %)", met * 100.0),
        met >= WINDOWS_BAR,
    );
    report.bar(
        format!("above the floor again within {RECOVERY_BAR} calls of the intent: {slowest}"),
        slowest <= RECOVERY_BAR,
    );
    report.bar(format!("cheaper than always the dearest: {cost:.3} of {dearest:.3} USD"), cost < dearest);
    report
}
