//! The second part: the model gets worse in the middle. An alarm is told by webhook, `/metrics` and
//! `baton report`; labels of answers since say that it was the answers, not the judge.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::ground::{House, Receipts};
use super::stage::Stage;
use crate::hook::Hook;
use crate::report::{Report, line, progress};

/// Calls while all is well: a reference takes 500 scores.
const WELL: usize = 600;
/// Calls afterwards, before the alarm and after it: what is labelled is drawn from the latter.
const WORSE: usize = 300;
const SINCE: usize = 150;
/// Labels of answers of each time: a reference takes 20, an explanation 100.
const LABELS: usize = 40;
const LABELS_SINCE: usize = 110;
/// It is looked twice a minute.
const TOLD_MAX: Duration = Duration::from_secs(180);

/// What was seen.
pub(super) struct Seen {
    /// Of the answers, those that were wrong before and after.
    bad: [f64; 2],
    /// From the first worse call to the webhook.
    alarm: Option<Duration>,
    /// What `/metrics` and `baton report` say while it is open.
    metrics: Vec<String>,
    report: Value,
    /// The webhook that explains it, from the first label on; what the report says then.
    explained: Option<Duration>,
    after: Value,
}

pub(super) async fn play(baton: PathBuf, folder: &Path, seed: u64) -> Result<Seen> {
    let mut hook = Hook::start().await?;
    let receipts = Receipts::new(WELL + WORSE + SINCE, seed);
    let house = House::worse_from(WELL, hook.configured("drift"));
    let mut stage = Stage::open(baton, folder, receipts, (&house, seed)).await?;
    progress("a model that is good, and is watched");
    let well = stage.traffic("well", WELL).await?.bad();
    stage.label(LABELS).await?;
    // The report says so as soon as there is enough, the server once it has begun.
    stage.waited(async || Ok(stage.metrics("baton_drift_alarm{").await?.pop().map(Value::from))).await?;
    progress("it gets worse");
    let began = Instant::now();
    let worse = stage.traffic("worse", WORSE).await?.bad();
    let alarm = told(&mut hook, "drift.alarm").await?.then(|| began.elapsed());
    let metrics = stage.metrics("baton_drift_").await?;
    let report = drift(&stage.report().await?).unwrap_or_default();
    progress("people say what it was");
    stage.traffic("since", SINCE).await?;
    let began = Instant::now();
    stage.label(LABELS_SINCE).await?;
    let explained = told(&mut hook, "drift.explained").await?.then(|| began.elapsed());
    let after = drift(&stage.report().await?).unwrap_or_default();
    stage.close().await?;
    Ok(Seen { bad: [well, worse], alarm, metrics, report, explained, after })
}

/// Of the one intent that is watched.
fn drift(report: &Value) -> Option<Value> {
    report.pointer("/drift/0").cloned()
}

/// Whether this notice comes.
async fn told(hook: &mut Hook, kind: &str) -> Result<bool> {
    let comes = async {
        while hook.told().await? != kind {}
        Ok(())
    };
    timeout(TOLD_MAX, comes).await.map_or(Ok(false), |told: Result<()>| told.map(|()| true))
}

pub(super) fn report(seen: &Seen, report: &mut Report) {
    let [well, worse] = seen.bad.map(|share| share * 100.0);
    let seconds =
        |took: Option<Duration>| took.map_or("never".to_owned(), |took| format!("{:.0} s", took.as_secs_f64()));
    line(&format!("\nA model whose wrong answers go from {well:.1} to {worse:.1} % after {WELL} calls."));
    for figure in &seen.metrics {
        line(&format!("  {figure}"));
    }
    line(&format!("  `baton report` then: {}", seen.report));
    line(&format!("  `baton report` at the end: {}", seen.after));
    report.figure("drift_bad", json!(seen.bad));
    report.figure("drift_alarm_s", super::seconds(seen.alarm));
    report.figure("drift_explained_s", super::seconds(seen.explained));
    report.figure("drift_cause", seen.after.pointer("/explained/cause").cloned().unwrap_or_default());
    let alarm = seconds(seen.alarm);
    report.bar(
        format!("answers get worse: the alarm is a webhook, from the first worse call: {alarm}"),
        seen.alarm.is_some(),
    );
    let counted =
        |name: &str, value: &str| seen.metrics.iter().any(|line| line.starts_with(name) && line.ends_with(value));
    let shown = counted("baton_drift_alarm{", " 1") && counted("baton_drift_labels_wanted{", " 100");
    report.bar("`/metrics` has it, and the labels that will explain it", shown);
    report.bar("`baton report` has it", seen.report["state"] == "alarm");
    let explained = seen.explained.is_some() && seen.after.pointer("/explained/cause") == Some(&json!("quality"));
    let took = seconds(seen.explained);
    report.bar(format!("100 labels of answers since say that it was the answers: {took} from the first"), explained);
}
