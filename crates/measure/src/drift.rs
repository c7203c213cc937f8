//! Does the monitor tell a judge that drifts from answers that got worse? Simulated changes in traffic
//! drawn from a real judge's scores of answers that real people judged (FRANK).

use anyhow::Context as _;
use baton_stats::{Advice, Cause, Monitor, SplitMix64, quantile};
use serde_json::json;

use crate::frank::{Pool, pools};
use crate::parallel::parallel;
use crate::report::{Report, line, progress, table};

/// How much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Runs of each kind of change
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(50..=20_000))]
    runs: u64,
    /// The first seed; each run has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of good answers that a drop of quality takes away
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    drop: f64,
    /// Standard deviations of a score by which a judge drifts, up or down
    #[arg(long, default_value_t = 0.5)]
    shift: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if (0.0..=GOOD).contains(&value) { Ok(value) } else { Err(format!("`{text}` lies outside of 0 to {GOOD}")) }
}

const JUDGE: &str = "bertscore_p_article";
const CUT: f64 = 0.5;
const CALLS: u64 = 5_000;
/// Good answers while all is well.
const GOOD: f64 = 0.9;
const REFERENCE_SCORES: usize = 2_000;
const REFERENCE_LABELS: u64 = 400;
/// Frozen, half of them good, judged again every so many calls and at an alarm.
const GOLD: usize = 200;
const GOLD_EVERY: u64 = 1_000;
/// A judge asked twice differs by up to this many standard deviations.
const NOISE: f64 = 0.15;
const CAUSES: [Cause; 4] = [Cause::Quality, Cause::Judge, Cause::Both, Cause::Nothing];

/// What calls and judge are drawn from.
struct World {
    good: Vec<f64>,
    bad: Vec<f64>,
    /// Of the scores while all is well.
    deviation: f64,
    /// The score from which on the judge's verdict is a pass.
    verdict: f64,
}

/// One run of 5,000 calls.
struct Seen {
    /// What the monitor said, `Nothing` where it said nothing.
    said: Cause,
    /// Calls from the change to the explanation.
    delay: Option<f64>,
    /// Alarms raised, explained away or not.
    alarms: u64,
    /// It spoke up before anything had changed.
    early: bool,
}

pub(crate) fn run(arguments: Arguments) -> anyhow::Result<Report> {
    let pools = pools()?;
    let pool = pools
        .iter()
        .find(|pool| pool.judge == JUDGE && (pool.cut - CUT).abs() < 1e-9)
        .with_context(|| format!("FRANK has no judge {JUDGE}"))?;
    let world = World::of(pool, &mut SplitMix64::new(arguments.seed).fork(u64::MAX))?;
    let seeds: Vec<u64> = (arguments.seed..arguments.seed + arguments.runs).collect();
    let mut all = Vec::new();
    for cause in CAUSES {
        progress(&format!("drift: {} runs of {}", arguments.runs, name(cause)));
        let runs = parallel(&seeds, |_, seed| world.run(cause, *seed, &arguments));
        all.push((cause, runs.into_iter().collect::<Result<Vec<Seen>, _>>()?));
    }
    Ok(report(&arguments, &all))
}

fn name(cause: Cause) -> &'static str {
    match cause {
        Cause::Nothing => "none",
        Cause::Quality => "quality",
        Cause::Judge => "judge",
        Cause::Both => "both",
    }
}

impl World {
    fn of(pool: &Pool, rng: &mut SplitMix64) -> anyhow::Result<Self> {
        let of = |wanted: bool| pool.scored().filter(|(_, good)| *good == wanted).map(|(score, _)| score).collect();
        let mut world = Self { good: of(true), bad: of(false), deviation: 0.0, verdict: 0.0 };
        let scores: Vec<f64> = (0..20_000).map(|_| world.draw(rng, GOOD).1).collect();
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / scores.len() as f64;
        world.deviation = variance.sqrt();
        // It passes as many as people do.
        world.verdict = quantile(&scores, 1.0 - GOOD).context("no scores")?;
        Ok(world)
    }

    /// An answer: whether people pass it, and the judge's score.
    fn draw(&self, rng: &mut SplitMix64, rate: f64) -> (bool, f64) {
        let good = rng.next_f64() < rate;
        let scores = if good { &self.good } else { &self.bad };
        (good, scores[rng.below(scores.len() as u64) as usize])
    }

    /// The judge asked once more.
    fn judged(&self, score: f64, shift: f64, rng: &mut SplitMix64) -> f64 {
        score + self.deviation * (shift + NOISE * (2.0 * rng.next_f64() - 1.0))
    }

    fn run(&self, cause: Cause, seed: u64, arguments: &Arguments) -> anyhow::Result<Seen> {
        let mut rng = SplitMix64::new(seed).fork(cause as u64);
        let reference: Vec<f64> = (0..REFERENCE_SCORES).map(|_| self.draw(&mut rng, GOOD).1).collect::<Vec<_>>();
        let reference: Vec<f64> = reference.into_iter().map(|score| self.judged(score, 0.0, &mut rng)).collect();
        let passed = (0..REFERENCE_LABELS).filter(|_| self.draw(&mut rng, GOOD).0).count() as u64;
        let gold: Vec<f64> = (0..GOLD).map(|_| self.draw(&mut rng, 0.5).1).collect();
        let frozen: Vec<bool> = gold.iter().map(|score| self.judged(*score, 0.0, &mut rng) >= self.verdict).collect();
        let again = |monitor: &mut Monitor, shift: f64, rng: &mut SplitMix64| {
            let (mut gained, mut lost) = (0, 0);
            for (score, before) in gold.iter().zip(&frozen) {
                let now = self.judged(*score, shift, rng) >= self.verdict;
                gained += u64::from(now && !before);
                lost += u64::from(*before && !now);
            }
            monitor.gold(gained, lost)
        };
        let mut monitor = Monitor::new(&reference, passed, REFERENCE_LABELS)?;
        let change = 500 + rng.below(2_000);
        let drifts = arguments.shift * if rng.next_f64() < 0.5 { 1.0 } else { -1.0 };
        let mut seen = Seen { said: Cause::Nothing, delay: None, alarms: 0, early: false };
        let mut raised = false;
        for call in 0..CALLS {
            let changed = call >= change;
            let worse = changed && matches!(cause, Cause::Quality | Cause::Both);
            let shift = if changed && matches!(cause, Cause::Judge | Cause::Both) { drifts } else { 0.0 };
            let (good, score) = self.draw(&mut rng, if worse { GOOD - arguments.drop } else { GOOD });
            if raised && let Advice::Explained(said) = monitor.label(good) {
                raised = false;
                if said != Cause::Nothing {
                    let delay = changed.then(|| (call - change) as f64);
                    return Ok(Seen { said, delay, early: !changed, ..seen });
                }
            }
            let mut advice = monitor.score(self.judged(score, shift, &mut rng));
            if call % GOLD_EVERY == GOLD_EVERY - 1 {
                advice = again(&mut monitor, shift, &mut rng);
            }
            if !raised && matches!(advice, Advice::Raise { .. }) {
                again(&mut monitor, shift, &mut rng);
                raised = true;
                seen.alarms += 1;
            }
        }
        Ok(seen)
    }
}

fn report(arguments: &Arguments, all: &[(Cause, Vec<Seen>)]) -> Report {
    line(&format!(
        "drift: {} runs of {CALLS} calls for each change, seeds {} to {}; scores and labels are drawn from FRANK ({JUDGE})",
        arguments.runs,
        arguments.seed,
        arguments.seed + arguments.runs - 1
    ));
    line(&format!(
        "simulated: traffic, the changes ({:.0} points of quality; {} standard deviations of the judge, up or down)",
        100.0 * arguments.drop,
        arguments.shift
    ));
    line(&format!(
        "and the judge's noise. All calls judged; {GOLD} gold answers again every {GOLD_EVERY} calls and at alarms;"
    ));
    line("100 labels after an alarm; references of 2,000 scores and 400 labels\n");
    let mut rows = table(&["change", "said: quality", "judge", "both", "none", "right", "median delay in calls"]);
    let mut report = Report::new("drift");
    report.figure("simulated", "traffic, changes and noise; the judge's scores and people's labels are real");
    report.figure("runs", arguments.runs);
    report.figure("seed", arguments.seed);
    for (cause, runs) in all {
        let said = |said: Cause| runs.iter().filter(|run| run.said == said && !run.early).count();
        let right = said(*cause) as f64 / runs.len() as f64;
        let delays: Vec<f64> = runs.iter().filter(|run| run.said == *cause).filter_map(|run| run.delay).collect();
        let delay = quantile(&delays, 0.5);
        let mut row = vec![name(*cause).to_owned()];
        row.extend(CAUSES.map(|other| said(other).to_string()));
        row.push(format!("{:.1} %", right * 100.0));
        row.push(delay.map_or("-".to_owned(), |delay| format!("{delay:.0}")));
        rows.add_row(row);
        report.figure(name(*cause), json!({ "right": right, "median_delay_calls": delay }));
        report.bar(format!("{}: {:.1} % attributed right >= 90 %", name(*cause), right * 100.0), right >= 0.9);
    }
    line(&rows.to_string());
    if let Some((_, runs)) = all.iter().find(|(cause, _)| *cause == Cause::Nothing) {
        let alarmed = runs.iter().filter(|run| run.alarms > 0).count() as f64 / runs.len() as f64;
        report.figure("false_alarms", alarmed);
        report.bar(
            format!(
                "none: {:.1} % of runs with any alarm in {CALLS} calls, explained away or not, <= 10 %",
                alarmed * 100.0
            ),
            alarmed <= 0.1,
        );
    }
    report
}
