//! `measure crash`: a server that is killed under load loses no record, and writes none twice.
//!
//! The real server, killed with SIGKILL at random moments while calls go on at a fixed rate (an open
//! loop: a server that is down is called all the same), started again on the same folder each time,
//! and sometimes killed again while it starts. In the end every execution that a client was answered
//! with is looked up, in the store and in what the journal held at each kill.

mod books;
mod journals;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use baton_stats::SplitMix64;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::children::{Server, baton, block_on, profile};
use crate::client::Client;
use crate::house::{self, LABELS};
use crate::report::{Report, line, progress};
use books::{Books, Noted};
use journals::Journals;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often the serving process is killed
    #[arg(long, default_value_t = 10)]
    kills: usize,
    /// Calls a second
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// What moments, calls and models follow from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// After it is ready, a server lives this long, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 300..3000;
/// One start in so many is killed before it is ready.
const KILLED_STARTS: u64 = 4;
/// How long the load goes on after the last start.
const LAST: Duration = Duration::from_secs(2);

const SCENARIO: &str = "
[models.writer]
first_token_ms = { p50 = 120, p99 = 400 }
tokens_per_second = 60

[models.sorter]
first_token_ms = { p50 = 120, p99 = 400 }

[models.broken]
first_token_ms = { p50 = 20, p99 = 80 }
errors = [{ status = 500, share = 1.0 }]
";

/// Which start of the server is called, and where; `None` before the first.
type Target = Option<(usize, std::net::SocketAddr)>;

/// What the killing saw.
#[derive(Default)]
struct Kills {
    /// Unix microseconds at which each start was killed, or stopped.
    ended_us: Vec<i64>,
    /// How many were killed while they served, and while they started.
    serving: usize,
    starting: usize,
    /// From the start of the process to its address, after a kill.
    recoveries: Vec<Duration>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let baton = baton().await?;
    let sim = house::sim(&baton, folder.path(), SCENARIO, arguments.seed).await?;
    let place = folder.path().join("house");
    write(&place, sim.address)?;
    progress(&format!("{} calls a second, {} kills", arguments.rate, arguments.kills));

    let (target, called) = watch::channel(None);
    let (stop, stopped) = watch::channel(false);
    let load = tokio::spawn(load(arguments.rate, called, stopped));
    let mut cell = Cell { baton, place: place.clone(), folder: folder.path().to_owned(), target };
    let mut journals = Journals::new(&place, folder.path())?;
    let kills = cell.kill(&arguments, &mut journals, (&stop, load)).await?;
    let (kills, noted) = kills;
    sim.stop().await?;

    let books = Books::read(&place, noted, &kills.ended_us).await?;
    let twice = journals.written_twice()?;
    Ok(report(&arguments, &kills, &books, twice))
}

/// Labels for unary calls, free text for streams, and a model that always fails.
fn write(place: &Path, sim: std::net::SocketAddr) -> Result<()> {
    house::write(&place.join("baton.toml"), &house::provider("sim", sim))?;
    let intent = |name: &str| place.join(format!("intents/{name}/intent.toml"));
    house::write(&intent("classify"), &(house::models(&["sim/sorter".into()]) + LABELS))?;
    for (name, model) in [("reply", "sim/writer"), ("fail", "sim/broken")] {
        house::write(&intent(name), &house::models(&[model.into()]))?;
        house::write(&place.join(format!("intents/{name}/prompt.md")), "Answer this ticket: {{ input }}\n")?;
    }
    Ok(())
}

/// Calls at a fixed rate, whatever becomes of them, until told to stop; then waits for the last.
async fn load(rate: u32, target: watch::Receiver<Target>, stop: watch::Receiver<bool>) -> Vec<Noted> {
    let client = Client::new();
    let mut calls = JoinSet::new();
    let mut noted = Vec::new();
    let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut number = 0_usize;
    while !*stop.borrow() {
        ticks.tick().await;
        while let Some(Ok(done)) = calls.try_join_next() {
            noted.push(done);
        }
        let Some((start, address)) = *target.borrow() else { continue };
        number += 1;
        let stream = number.is_multiple_of(2);
        let intent = match number % 20 {
            0 | 1 => "fail",
            _ if stream => "reply",
            _ => "classify",
        };
        let input = format!("Ticket {number}: the export stops at row {}.", number * 7);
        let call = json!({ "intent": intent, "input": input, "stream": stream });
        let client = client.clone();
        calls.spawn(async move { Noted { start, stream, outcome: client.execute(address, &call).await } });
    }
    noted.extend(calls.join_all().await);
    noted
}

/// Where the server is started, killed, and started again.
struct Cell {
    baton: PathBuf,
    place: PathBuf,
    folder: PathBuf,
    target: watch::Sender<Target>,
}

/// Now, Unix microseconds.
fn unix_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

type Load<'a> = (&'a watch::Sender<bool>, JoinHandle<Vec<Noted>>);

impl Cell {
    async fn start(&mut self, kills: &mut Kills) -> Result<Server> {
        let started = Instant::now();
        let server = house::serve(&self.baton, &self.place, &self.folder).await?;
        if !kills.ended_us.is_empty() {
            kills.recoveries.push(started.elapsed());
        }
        self.target.send_replace(Some((kills.ended_us.len(), server.address)));
        Ok(server)
    }

    /// The kills; then a last start, more load, and an orderly end.
    async fn kill(
        &mut self,
        arguments: &Arguments,
        journals: &mut Journals,
        (stop, load): Load<'_>,
    ) -> Result<(Kills, Vec<Noted>)> {
        let mut rng = SplitMix64::new(arguments.seed);
        let mut kills = Kills::default();
        while kills.serving < arguments.kills {
            if !kills.ended_us.is_empty() && rng.below(KILLED_STARTS) == 0 {
                self.kill_while_starting(Duration::from_millis(rng.below(40)), &mut kills, journals).await?;
            }
            let server = self.start(&mut kills).await?;
            sleep(Duration::from_millis(LIFE_MS.start + rng.below(LIFE_MS.end - LIFE_MS.start))).await;
            server.kill().await?;
            kills.serving += 1;
            kills.ended_us.push(unix_us());
            journals.keep()?;
            progress(&format!("kill {} of {}", kills.serving, arguments.kills));
        }
        let server = self.start(&mut kills).await?;
        sleep(LAST).await;
        let _none_listens = stop.send(true);
        let noted = load.await?;
        server.stop().await?;
        kills.ended_us.push(unix_us());
        journals.keep()?;
        Ok((kills, noted))
    }

    /// Recovery itself may be cut short.
    async fn kill_while_starting(&self, after: Duration, kills: &mut Kills, journals: &mut Journals) -> Result<()> {
        let starting = house::serve(&self.baton, &self.place, &self.folder);
        // Dropping it kills the process, or the server where it was quicker.
        let _ready = tokio::time::timeout(after, starting).await;
        sleep(Duration::from_millis(50)).await;
        kills.starting += 1;
        kills.ended_us.push(unix_us());
        journals.keep()
    }
}

fn report(arguments: &Arguments, kills: &Kills, books: &Books, twice: Option<usize>) -> Report {
    let mut report = Report::new("crash");
    let mut recoveries: Vec<u64> = kills.recoveries.iter().map(|time| time.as_millis() as u64).collect();
    recoveries.sort_unstable();
    let median = recoveries.get(recoveries.len() / 2).copied().unwrap_or_default();
    let worst = recoveries.last().copied().unwrap_or_default();
    let killed = format!("{} kills of a serving process, {} of a starting one", kills.serving, kills.starting);
    line(&format!("SIGKILL at {} calls a second, half of them streams (baton built as {})", arguments.rate, profile()));
    line("The models are simulated; server, sockets, disk and kills are real.\n");
    for (what, count) in books.lines() {
        line(&format!("{count:>8}  {what}"));
    }
    line(&format!("          {killed}; ready again after {median} ms (median), {worst} ms (worst)"));
    for problem in books.problems.iter().take(5) {
        line(&format!("  {problem}"));
    }
    for (name, value) in books.figures() {
        report.figure(name, value);
    }
    report.figure("kills", kills.serving);
    report.figure("kills_while_starting", kills.starting);
    report.figure("recovery_median_ms", median);
    report.figure("recovery_worst_ms", worst);
    report.figure("written_twice", twice);
    report.figure("simulated_models", true);
    report.bar(format!("{killed}; {} of the former are asked for", arguments.kills), kills.serving >= arguments.kills);
    books.bars(&mut report);
    report.bar(
        match twice {
            Some(twice) => format!("no final record written twice to the journal: {twice}"),
            None => "no final record written twice to the journal: nothing was found in it".into(),
        },
        twice == Some(0),
    );
    report
}
