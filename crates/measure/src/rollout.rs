//! `measure rollout`: how often a rollout promotes a model that is worse, in simulated worlds of known
//! truth; and one up and one down on the real server over real sockets, with simulated models and judge.

mod worlds;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::children::{baton, block_on, profile};
use crate::report::{Report, line, progress, table};
use crate::scenario::ground::{self, FIRST, House, INTENT, NEXT};
use crate::scenario::stage::Stage;
use worlds::{Ends, ends, truths};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Simulated worlds of each truth
    #[arg(long, default_value_t = 500)]
    worlds: usize,
    /// Calls of each world at most
    #[arg(long, default_value_t = 6000)]
    calls: usize,
    /// What worlds, models and judge follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Of the simulated worlds.
const MARGIN: f64 = 0.1;
/// Calls between two looks at the server's rollout, and how often is looked.
const CALLS: usize = 100;
const LOOKS: usize = 40;

/// What the server did.
struct Served {
    /// The good model in place of the bad: stages in turn, and the share of calls that it answered before,
    /// and after a restart.
    up: Vec<String>,
    before: f64,
    restarted: f64,
    /// The bad one in place of the good: stages in turn, and what the good one answered in the end.
    down: Vec<String>,
    after: f64,
    reported: Value,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut all: Vec<(&'static str, Ends)> = Vec::new();
    for truth in truths(MARGIN) {
        progress(&format!("{} worlds: {}", arguments.worlds, truth.name));
        let of = (arguments.worlds, arguments.calls, arguments.seed);
        all.push((truth.name, ends(&truth, MARGIN, of)));
    }
    let served = block_on(serve(&arguments))?;
    Ok(report(&all, &served))
}

async fn serve(arguments: &Arguments) -> Result<Served> {
    let folder = tempfile::tempdir()?;
    let receipts = ground::Receipts::new(2 * CALLS * (LOOKS + 2), arguments.seed);
    let mut stage = Stage::open(baton().await?, folder.path(), receipts, (&House::gated(), arguments.seed)).await?;
    progress("a server: the good model in place of the bad one");
    let before = stage.traffic("before", CALLS).await?.fell_back();
    let up = rolled(&mut stage, FIRST, NEXT).await?;
    progress("a restart");
    let mut stage = stage.restart().await?;
    let restarted = stage.traffic("restarted", CALLS).await?.fell_back();
    stage.command(&["rollout", "release", INTENT, "--by", "measure"]).await?;
    progress("the bad model in place of the good one");
    let down = rolled(&mut stage, NEXT, FIRST).await?;
    let after = stage.traffic("after", CALLS).await?.fell_back();
    let reported = stage.report().await?["rollouts"].take();
    stage.close().await?;
    Ok(Served { up, before, restarted, down, after, reported })
}

/// A rollout from its start to its end, with traffic: the stages that were seen.
async fn rolled(stage: &mut Stage, from: &str, to: &str) -> Result<Vec<String>> {
    let order = ["rollout", "start", INTENT, "--from", from, "--to", to, "--margin", ".1", "--steps", "20,50"];
    stage.command(&[&order[..], &["--by", "measure"]].concat()).await?;
    let mut seen: Vec<String> = Vec::new();
    for _ in 0..LOOKS {
        stage.traffic("rollout", CALLS).await?;
        let told = stage.command(&["rollout", "status", INTENT, "--json"]).await?;
        let told: Value = serde_json::from_str(&told)?;
        let is = told[0]["stage"].as_str().context("a rollout without its stage")?;
        let is = told[0]["step"].as_u64().map_or_else(|| is.to_owned(), |step| format!("{is} {step}"));
        if seen.last() != Some(&is) {
            seen.push(is.clone());
        }
        if !is.starts_with("running") {
            return Ok(seen);
        }
    }
    bail!("a rollout did not end within {} calls: {seen:?}", LOOKS * CALLS)
}

fn report(all: &[(&'static str, Ends)], served: &Served) -> Report {
    let percent = |count: usize, of: usize| format!("{:.1} %", 100.0 * count as f64 / of.max(1) as f64);
    line(&format!("Simulated worlds, margin {MARGIN}, steps 5, 25, 50 %, half of the answers labelled.\n"));
    let mut shown =
        table(&["the candidate is", "promoted", "rolled back", "calls to the end (half)", "its share of all"]);
    let mut report = Report::new("rollout");
    let mut figures = serde_json::Map::new();
    for (name, ends) in all {
        let calls = ends.calls.map_or("-".to_owned(), |calls| format!("{calls:.0}"));
        shown.add_row([
            (*name).to_owned(),
            percent(ends.promoted, ends.worlds),
            percent(ends.rolled_back, ends.worlds),
            calls,
            format!("{:.1} %", ends.exposed * 100.0),
        ]);
        let of = json!({ "worlds": ends.worlds, "promoted": ends.promoted, "rolled_back": ends.rolled_back, "calls_p50": ends.calls, "exposed": ends.exposed });
        figures.insert((*name).to_owned(), of);
    }
    line(&shown.to_string());
    line(&format!("\nA server (baton built as {}) over real sockets; models and judge are simulated.", profile()));
    line(&format!("  {NEXT} in place of {FIRST}: {}", served.up.join(" → ")));
    line(&format!("  {FIRST} in place of {NEXT}: {}", served.down.join(" → ")));
    report.figure("worlds", Value::Object(figures));
    report.figure("up", json!(served.up));
    report.figure("down", json!(served.down));
    report.figure("answered_by_the_good_one", json!([served.before, served.restarted, served.after]));
    report.figure("simulated_models", true);
    bars(all, served, &mut report);
    report
}

fn bars(all: &[(&'static str, Ends)], served: &Served, report: &mut Report) {
    let [(_, equal), (_, margin), (_, bad), (_, dead)] = all else { return };
    let share = |count: usize, ends: &Ends| count as f64 / ends.worlds.max(1) as f64;
    let wrong = share(margin.promoted, margin);
    report.bar(
        format!("a model that is worse by the margin is promoted in at most 5 %: {:.1} %", wrong * 100.0),
        wrong <= 0.05,
    );
    report.bar(
        "one that is as good is promoted in 90 % and rolled back in at most 5 %",
        share(equal.promoted, equal) >= 0.9 && share(equal.rolled_back, equal) <= 0.05,
    );
    let back = share(bad.rolled_back, bad) >= 0.95 && share(dead.rolled_back, dead) >= 0.95;
    report
        .bar("a bad or dead one is rolled back in 95 %, and never promoted", back && bad.promoted + dead.promoted == 0);
    report.bar(
        "over sockets the good model is promoted by the judge's word, without a restart",
        served.up.last().is_some_and(|last| last == "promoted"),
    );
    report.bar("and stays so after a restart", served.before < 0.01 && served.restarted > 0.99);
    let down = served.down.last().is_some_and(|last| last == "rolled_back") && served.after > 0.99;
    report.bar("the bad model is rolled back, and the good one answers all", down);
    report.bar("`baton report` shows it", served.reported[0]["stage"] == "rolled_back");
}
