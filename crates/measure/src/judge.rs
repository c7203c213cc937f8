//! `measure judge`: a judge that is down, slow, or answers nonsense.
//!
//! On the paused clock over the simulator's in-memory transport, with the real engine: answers that are
//! drawn for judging, off the request path, and answers that wait for a judge in the path. The truth is
//! known, so that a verdict can be told from what was made up for want of one.

mod books;

use std::time::Duration;

use anyhow::Result;
use baton_engine::{Call, Target};
use baton_sim::{Behaviour, Fault, FaultShare, Latency, Share};
use serde_json::{Value, json};

use crate::paused::{self, House, Models, Traffic};
use crate::report::{Report, line, progress, table};
use books::Books;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calls in each of the worlds
    #[arg(long, default_value_t = 1200)]
    calls: usize,
    /// What traffic and models follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

const DEADLINE: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_millis(10);
/// The share of answers that are wrong.
const WRONG: f64 = 0.2;
const TICKETS: usize = 80;

/// Half of the answers are drawn; in the path, the judge is asked of all.
const DRAWN: &str = "[judge]\nmodel = \"sim/judge\"\nlatency_ms = 5000\nrate_max = 0.5\n";
const IN_PATH: &str =
    "[objective]\nunproven = \"judge\"\n[judge]\nmodel = \"sim/judge\"\nlatency_ms = 5000\nrate_max = 0\n";
/// Whoever else answers is a fallback, and no hedge.
const CRITERION: &str =
    "[hedge]\nmax_share = 0\n[[criteria]]\nid = \"right\"\nask = \"Is this the label that fits?\"\n";

/// How a judge fares.
struct World {
    name: &'static str,
    judge: Behaviour,
    /// Whether it ever gives a verdict in time.
    speaks: bool,
}

fn worlds() -> Result<Vec<World>> {
    let share = |share| Share::new(share).map_err(anyhow::Error::msg);
    let fast = Behaviour { first_token_ms: Latency::Fixed { ms: 30.0 }, ..Behaviour::default() };
    let with = |faults: Vec<(f64, Fault)>| -> Result<Behaviour> {
        let of = |(part, fault)| Ok(FaultShare { share: share(part)?, fault });
        Ok(Behaviour { faults: faults.into_iter().map(of).collect::<Result<_>>()?, ..fast.clone() })
    };
    let busy = || Fault::Status { status: 503, retry_after: None, body: None };
    let nonsense =
        || [Fault::Html200, Fault::Empty, Fault::WrongSchema, Fault::Refusal, Fault::TruncatedJson, Fault::InvalidJson];
    let slow = |first_token_ms| Behaviour { first_token_ms, ..fast.clone() };
    let world = |name, judge, speaks| World { name, judge, speaks };
    let mixed = [(0.1, Fault::Hang), (0.1, busy())].into_iter().chain(nonsense().map(|fault| (0.05, fault)));
    Ok(vec![
        world("well", fast.clone(), true),
        world("connections refused", with(vec![(1.0, Fault::Refuse)])?, false),
        world("503 to every call", with(vec![(1.0, busy())])?, false),
        world("accepted, never answers", with(vec![(1.0, Fault::Hang)])?, false),
        world("slow: first token after 8 s", slow(Latency::Fixed { ms: 8000.0 }), false),
        world("slow: p50 800 ms, p99 6 s", slow(Latency::Lognormal { p50_ms: 800.0, p99_ms: 6000.0 }), true),
        world("nonsense of six kinds", with(nonsense().map(|fault| (1.0 / 6.0, fault)).into())?, false),
        world("some of all of these", with(mixed.collect())?, true),
    ])
}

/// Tickets, and the label that fits each.
fn tickets() -> Vec<(String, &'static str)> {
    let kinds = [
        ("the invoice is wrong", "billing"),
        ("the export stops", "bug"),
        ("how do I add a colleague", "how-to"),
        ("I cannot log in", "account"),
    ];
    let ticket = |number: usize| {
        let (words, label) = kinds[number % kinds.len()];
        (format!("Ticket {number:03}: {words}"), label)
    };
    (0..TICKETS).map(ticket).collect()
}

/// What the models know: each ticket's label, and of the judge that this label passes, and any other
/// fails.
fn cases() -> Vec<Vec<(Value, Value)>> {
    let said = |verdict: &str| json!({ "right": { "reasoning": "I compared the labels.", "verdict": verdict } });
    let labels = tickets().into_iter().map(|(text, label)| (json!(text), json!({ "label": label })));
    let verdicts = tickets().into_iter().flat_map(|(text, label)| {
        let mark = format!("<answer>\n{label}\n</answer>");
        [
            (json!({ "text": text, "mark": mark }), said("pass")),
            (json!({ "text": text, "mark": "What it answered:" }), said("fail")),
        ]
    });
    vec![labels.collect(), verdicts.collect()]
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut report = Report::new("judge");
    let columns = ["judge", "calls", "answered", "fell back", "asked", "scored", "errored", "skipped", "worst, ms"];
    line("Simulated models and clock; the engine, its judges and its codecs are the real ones.");
    for (place, policy) in [("drawn", DRAWN), ("in the path", IN_PATH)] {
        let mut shown = table(&columns);
        let mut figures = Vec::new();
        for world in worlds()? {
            progress(&format!("{place}: {}", world.name));
            let books = paused::run(async || play(&arguments, &world, (policy, place == "drawn")).await)?;
            shown.add_row(books.row(world.name));
            figures.push(books.figures(world.name));
            books.bars(&format!("{place}, {}", world.name), world.speaks, &mut report);
        }
        line(&format!("\n{place}\n{shown}"));
        report.figure(if place == "drawn" { "drawn" } else { "in_path" }, figures);
    }
    report.figure("simulated", true);
    Ok(report)
}

async fn play(arguments: &Arguments, world: &World, (policy, drawn): (&str, bool)) -> Result<Books> {
    let wrong = Share::new(WRONG).map_err(anyhow::Error::msg)?;
    let main =
        Behaviour { first_token_ms: Latency::Lognormal { p50_ms: 60.0, p99_ms: 300.0 }, wrong, ..Behaviour::default() };
    let spare = Behaviour { first_token_ms: Latency::Fixed { ms: 80.0 }, ..Behaviour::default() };
    let behaviours = vec![("main", main), ("spare", spare), ("judge", world.judge.clone())];
    let models = Models { behaviours, cases: cases() };
    let house = House::with(models, &format!("{policy}{CRITERION}"), arguments.seed)?;
    let traffic = Traffic { calls: arguments.calls, every: EVERY, seed: arguments.seed };
    let tickets = tickets();
    let call = |number: usize| {
        let call = paused::call(number, number % 2 == 1, DEADLINE);
        let Target::Intent { name, .. } = call.target else { return call };
        let input = json!(tickets[number / 2 % TICKETS].0);
        Call { target: Target::Intent { name, input }, ..call }
    };
    let took = house.send(&traffic, call).await?;
    house.orchestrator.idle().await;
    Ok(Books::of(&house.entries()?, &took, (&tickets, drawn)))
}
