//! `bench overhead`: what Baton adds to a call with everything on, beside nginx and a trivial proxy.
//!
//! All contestants stand between the same generator (wrk, in its own process) and the same upstream
//! (nginx with a static answer), and are called with the same bytes. Generator, contestant and
//! upstream share the processors of this machine, so only ratios within one run mean something;
//! rounds go through all contestants in turn, and medians are taken over rounds: of ratios within a round,
//! since a machine that is slow for a while is slow for all of them.

mod contestants;
mod nginx;
mod process;
mod profile;
pub(crate) mod proxy;
mod wrk;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::children::{baton, block_on, profile as build_profile};
use crate::report::{Report, line, progress};
use contestants::{Contestant, Field};
pub(crate) use process::Cpu;
use wrk::{Load, Run};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each contestant is measured
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// Seconds of each run at c=64; a quarter of it at c=1
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Then show where Baton's time goes (needs perf)
    #[arg(long)]
    profile: bool,
    /// Keep what `perf` recorded in this file
    #[arg(long, requires = "profile")]
    perf_data: Option<PathBuf>,
}

/// The share of the trivial proxy's throughput at c=64 that Baton must have.
const SHARE_MIN: f64 = 0.5;
/// The most that Baton may add to the median at c=1, microseconds.
const ADDED_US_MAX: f64 = 300.0;

/// One contestant's figures, by round.
#[derive(Default)]
struct Figures {
    one: Vec<Run>,
    many: Vec<Run>,
    /// Microseconds of processor time a request at c=64, work that lags behind included.
    cpu_us: Vec<f64>,
    /// Seconds that it went on working after the last answer.
    lag_s: Vec<f64>,
    /// Median of what Baton itself reports as its overhead at c=1, microseconds.
    own_us: Vec<f64>,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let versions = [nginx::version().await?, wrk::version().await?].join(", ");
    let field = Field::start(&baton().await?, folder.path()).await?;
    let mut figures: Vec<Figures> = field.contestants.iter().map(|_| Figures::default()).collect();
    let count = field.contestants.len();
    for round in 0..arguments.rounds {
        for turn in 0..count {
            // Nobody always comes after the same neighbour's leftovers, or always first.
            let place = (round + turn) % count;
            let contestant = &field.contestants[place];
            progress(&format!("round {} of {}: {}", round + 1, arguments.rounds, contestant.name));
            contend(contestant, &field, round, &arguments, &mut figures[place]).await?;
        }
    }
    let report = report(&field, &figures, &versions, &arguments);
    if arguments.profile {
        let (contestant, load) = field.baton(64, Duration::from_secs(arguments.seconds));
        profile::show(contestant, load, folder.path(), arguments.perf_data.as_deref()).await?;
    }
    field.stop().await?;
    Ok(report)
}

/// Both loads on one contestant.
async fn contend(
    contestant: &Contestant,
    field: &Field,
    round: usize,
    arguments: &Arguments,
    figures: &mut Figures,
) -> Result<()> {
    let quarter = Duration::from_secs((arguments.seconds / 4).max(1));
    let load = |connections, duration, run| Load { connections, duration, run, ..field.load(contestant) };
    // What is cold is warmed, and not counted.
    wrk::run(&load(8, Duration::from_secs(1), format!("w{round}"))).await?;
    figures.one.push(wrk::run(&load(1, quarter, format!("o{round}"))).await?);
    figures.own_us.extend(field.own_overhead_us(contestant).await?);
    let before = Cpu::of(contestant.pid()?)?;
    let run = wrk::run(&load(64, Duration::from_secs(arguments.seconds), format!("m{round}"))).await?;
    let lag = process::settle(contestant.pid()?).await?;
    let spent = Cpu::of(contestant.pid()?)?.since(&before);
    figures.cpu_us.push(spent.as_secs_f64() * 1e6 / run.requests.max(1) as f64);
    figures.lag_s.push(lag.as_secs_f64());
    figures.many.push(run);
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

impl Figures {
    fn rate(&self) -> f64 {
        median(self.many.iter().map(Run::rate))
    }

    fn median_of(runs: &[Run], value: impl Fn(&Run) -> f64) -> f64 {
        median(runs.iter().map(value))
    }

    /// Throughput as a share of another's in the same round: a quarter of the rounds is below, half, three quarters.
    fn shares(&self, other: &Self) -> [f64; 3] {
        let shares: Vec<f64> = self.many.iter().zip(&other.many).map(|(a, b)| a.rate() / b.rate()).collect();
        let at = |q| baton_stats::quantile(&shares, q).unwrap_or(f64::NAN);
        [at(0.25), median(shares.iter().copied()), at(0.75)]
    }

    fn cpu_us(&self) -> f64 {
        median(self.cpu_us.iter().copied())
    }

    fn one_p50_us(&self) -> f64 {
        Self::median_of(&self.one, |run| run.p50_us)
    }

    fn errors(&self) -> u64 {
        self.one.iter().chain(&self.many).map(|run| run.errors).sum()
    }

    /// The least and the most of a value over rounds.
    fn spread(&self) -> (f64, f64) {
        let rates = self.many.iter().map(Run::rate);
        rates.fold((f64::INFINITY, 0.0), |(low, high), rate| (low.min(rate), high.max(rate)))
    }
}

fn report(field: &Field, figures: &[Figures], versions: &str, arguments: &Arguments) -> Report {
    let mut report = Report::new("overhead");
    line("What stands between a caller and a model that answers at once (nginx, a static 1 KB chat completion:");
    line("not a model). Same bytes to all, every input distinct, HTTP/1.1 with keep-alive, loopback.");
    line(&format!("{versions}; built as {}; {} rounds, medians\n", build_profile(), arguments.rounds));
    let trivial = field.place("trivial proxy").map(|place| &figures[place]);
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header([
        "through",
        "c=1 p50 µs",
        "p99 µs",
        "c=64 rps",
        "(spread)",
        "p50 ms",
        "p99 ms",
        "CPU µs/call",
        "× trivial",
    ]);
    for (contestant, figures) in field.contestants.iter().zip(figures) {
        let (low, high) = figures.spread();
        table.add_row([
            contestant.name.to_owned(),
            format!("{:.0}", figures.one_p50_us()),
            format!("{:.0}", Figures::median_of(&figures.one, |run| run.p99_us)),
            format!("{:.0}", figures.rate()),
            format!("{low:.0} to {high:.0}"),
            format!("{:.2}", Figures::median_of(&figures.many, |run| run.p50_us) / 1000.0),
            format!("{:.2}", Figures::median_of(&figures.many, |run| run.p99_us) / 1000.0),
            format!("{:.0}", figures.cpu_us()),
            format!("{:.2}", trivial.map_or(f64::NAN, |trivial| figures.shares(trivial)[1])),
        ]);
    }
    line(&format!("{table}\n"));
    for contestant in &field.contestants {
        line(&format!("{}: {}", contestant.name, contestant.on));
    }
    bars(field, figures, &mut report);
    report
}

fn bars(field: &Field, figures: &[Figures], report: &mut Report) {
    let of = |name: &str| field.place(name).map(|place| &figures[place]);
    let (Some(direct), Some(nginx), Some(proxy), Some(baton)) =
        (of("nothing"), of("nginx"), of("trivial proxy"), of("baton"))
    else {
        return report.bar("every contestant was measured", false);
    };
    let added = baton.one_p50_us() - direct.one_p50_us();
    let own = median(baton.own_us.iter().copied());
    let lag = median(baton.lag_s.iter().copied());
    let [low, share, high] = baton.shares(proxy);
    line(&format!(
        "\nBaton adds {added:.0} µs at c=1 (p50), of which it reports {own:.0} µs itself: the rest is HTTP on its two sides.\n\
         After the load at c=64 it works on for {lag:.1} s, on records that are journalled and not yet in SQLite; \
         that is in its CPU a call."
    ));
    for (name, value) in [
        ("direct_rps", direct.rate()),
        ("nginx_rps", nginx.rate()),
        ("trivial_rps", proxy.rate()),
        ("baton_rps", baton.rate()),
        ("direct_p50_us", direct.one_p50_us()),
        ("nginx_p50_us", nginx.one_p50_us()),
        ("trivial_p50_us", proxy.one_p50_us()),
        ("baton_p50_us", baton.one_p50_us()),
        ("trivial_cpu_us", proxy.cpu_us()),
        ("baton_cpu_us", baton.cpu_us()),
        ("baton_added_p50_us", added),
        ("baton_reported_overhead_us", own),
        ("baton_lag_s", lag),
    ] {
        report.figure(name, (value * 10.0).round() / 10.0);
    }
    report.figure("share_of_trivial", (share * 1000.0).round() / 1000.0);
    report.figure("share_quartiles", [low, high].map(|share| (share * 1000.0).round() / 1000.0).as_slice());
    report.figure("upstream", "static, not a model");
    report.bar(
        format!(
            "{:.1} % of the trivial proxy's throughput at c=64 (at least {:.0} %), quartiles of rounds {:.1} and {:.1} %",
            share * 100.0,
            SHARE_MIN * 100.0,
            low * 100.0,
            high * 100.0
        ),
        share >= SHARE_MIN,
    );
    let errors: u64 = figures.iter().map(Figures::errors).sum();
    report.bar(format!("{added:.0} µs added to the median at c=1 (at most {ADDED_US_MAX:.0})"), added <= ADDED_US_MAX);
    report.bar(format!("no errors: {errors}"), errors == 0);
}
