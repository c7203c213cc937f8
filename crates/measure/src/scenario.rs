//! `measure scenario`: labels arrive, the gate moves, bad answers stop, and one command undoes it.
//!
//! The real server over real sockets, with simulated models that are called, judged and labelled
//! through the HTTP API. 30 labels, then 30 more: a threshold comes in force, and what it changes
//! shows in the answers and in `baton report`. Then `baton calibration rollback`, more labels, and a
//! restart: it stays. Then with a model that gets worse in the middle: an alarm, and what explains it.

mod drift;
pub(crate) mod ground;
pub(crate) mod stage;

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::children::{baton, block_on, profile};
use crate::report::{Report, line, progress, table};
use stage::{Phase, Stage};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calls of each phase
    #[arg(long, default_value_t = 250)]
    calls: usize,
    /// What receipts, models and judge follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Labels of each half, and what is labelled after each change besides.
const HALF: usize = 30;
const MORE: usize = 20;
/// From the last label to the first answer that is held to it.
const LIVE_MAX: Duration = Duration::from_secs(60);
/// So many passes of the learner, one each two seconds, would undo a roll-back that does not stay.
const STAYS: Duration = Duration::from_secs(8);

/// What was seen.
struct Seen {
    phases: Vec<Phase>,
    live: Option<Duration>,
    back: Option<Duration>,
    before: Value,
    after: Value,
    /// The version that was rolled back to; those in force after more labels, and after a restart.
    rolled_back: Value,
    stays: [Value; 2],
    scores: [usize; 3],
    judged: usize,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(async {
        let seen = play(&arguments).await?;
        let mut report = report(&seen);
        let folder = tempfile::tempdir()?;
        drift::report(&drift::play(baton().await?, folder.path(), arguments.seed).await?, &mut report);
        Ok(report)
    })
}

async fn play(arguments: &Arguments) -> Result<Seen> {
    let folder = tempfile::tempdir()?;
    let baton = baton().await?;
    // Four phases, and what is asked until a change shows.
    let receipts = ground::Receipts::new(arguments.calls * 4 + 2000, arguments.seed);
    let mut stage = Stage::open(baton, folder.path(), receipts, (&ground::House::gated(), arguments.seed)).await?;

    progress("traffic, before anybody labelled anything");
    let mut phases = vec![stage.traffic("no labels", arguments.calls).await?];
    stage.label(HALF).await?;
    let closed = stage.version(|version| version["labels"] == HALF).await?;
    let before = stage.report().await?;
    progress("30 more labels");
    stage.label(HALF).await?;
    let opened = |answer: &Value| {
        answer["quality"]["verified"] == true && answer["quality"]["labels"].as_u64() >= Some(2 * HALF as u64)
    };
    let live = stage.until(LIVE_MAX, opened).await?;
    phases.push(stage.traffic("60 labels", arguments.calls).await?);
    stage.label(MORE).await?;
    stage.version(|version| version["labels"] == 2 * HALF + MORE).await?;
    let after = stage.report().await?;

    progress("baton calibration rollback, and more labels");
    let to = closed["version"].as_u64().context("a version without a number")?;
    stage.command(&["calibration", "rollback", ground::INTENT, "--to", &to.to_string(), "--by", "measure"]).await?;
    let back = stage.until(LIVE_MAX, |answer| answer["quality"]["verified"] == false).await?;
    phases.push(stage.traffic("rolled back", arguments.calls).await?);
    stage.label(MORE).await?;
    tokio::time::sleep(STAYS).await;
    let in_force = stage.version(|_| true).await?;
    progress("a restart");
    let mut stage = stage.restart().await?;
    phases.push(stage.traffic("after more labels and a restart", arguments.calls).await?);
    let restarted = stage.version(|_| true).await?;
    let (judged, scores) = stage.close().await?;
    Ok(Seen { phases, live, back, before, after, rolled_back: closed, stays: [in_force, restarted], scores, judged })
}

/// The interval of the quality that a report shows.
fn interval(report: &Value) -> Option<(f64, f64, f64)> {
    let said = report.pointer("/quality/0/estimate")?;
    Some((said["value"].as_f64()?, said["lower"].as_f64()?, said["upper"].as_f64()?))
}

fn seconds(took: Option<Duration>) -> Value {
    json!(took.map(|took| (took.as_secs_f64() * 100.0).round() / 100.0))
}

fn report(seen: &Seen) -> Report {
    line(&format!("A server (baton built as {}) over real sockets; models and judge are simulated.\n", profile()));
    let mut shown = table(&["phase", "calls", "fell back", "bad answers given", "verified"]);
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    for phase in &seen.phases {
        let (fallbacks, bad, verified) = (percent(phase.fell_back()), percent(phase.bad()), percent(phase.verified()));
        shown.add_row([phase.name.to_owned(), phase.calls.to_string(), fallbacks, bad, verified]);
    }
    line(&shown.to_string());
    let mut report = Report::new("scenario");
    for (name, said) in [("before", &seen.before), ("after", &seen.after)] {
        let (value, lower, upper) = interval(said).unwrap_or((f64::NAN, f64::NAN, f64::NAN));
        let labels = &said["quality"][0]["labels"];
        line(&format!("`baton report` {name}: {:.3} ({lower:.3} to {upper:.3}), {labels} labels", value));
        report.figure(&format!("quality_{name}"), json!({ "value": value, "lower": lower, "upper": upper }));
    }
    let shares = |of: fn(&Phase) -> f64| -> Value { seen.phases.iter().map(|phase| json!(of(phase))).collect() };
    report.figure("fell_back", shares(Phase::fell_back));
    report.figure("bad_given", shares(Phase::bad));
    report.figure("live_s", seconds(seen.live));
    report.figure("back_s", seconds(seen.back));
    let [scored, errored, skipped] = seen.scores;
    report.figure("judged", seen.judged);
    report.figure("scores", json!({ "scored": scored, "errored": errored, "skipped": skipped }));
    report.figure("simulated_models", true);
    bars(seen, &mut report);
    report
}

fn bars(seen: &Seen, report: &mut Report) {
    let [none, labelled, back, later] = &seen.phases[..] else { return };
    let live = seen.live.map_or("never".to_owned(), |live| format!("{:.1} s", live.as_secs_f64()));
    report.bar(format!("a new threshold is live in under 60 s after the 60th label: {live}"), seen.live.is_some());
    let moved = labelled.fell_back() - none.fell_back();
    report.bar(format!("the share of fallbacks changes by at least 20 points: {:+.1}", moved * 100.0), moved >= 0.2);
    let better = labelled.bad() < none.bad() / 2.0;
    report.bar("of the answers given, less than half as many are bad as before", better);
    let shown = interval(&seen.before).is_some() && interval(&seen.after).is_some();
    report.bar("`baton report` shows quality with its interval before and after", shown);
    let undone = |phase: &Phase| (phase.fell_back() - none.fell_back()).abs() < 0.05 && phase.verified() <= 0.0;
    report.bar("one command rolls back: answers are given as before", seen.back.is_some() && undone(back));
    let same = |version: &Value| {
        version["pinned"] == true
            && version["labels"] == seen.rolled_back["labels"]
            && version["unjudged"]["threshold"] == seen.rolled_back["unjudged"]["threshold"]
    };
    let stays = seen.stays.iter().all(same) && undone(later);
    report.bar("and it stays: after more labels, after a restart", stays);
    let [scored, errored, skipped] = seen.scores;
    let all = scored + errored + skipped;
    let promise = format!(
        "each of {} judged answers has one score: {scored} scored, {errored} errored, {skipped} skipped",
        seen.judged
    );
    report.bar(promise, all == seen.judged && scored > 0);
}
