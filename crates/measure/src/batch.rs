//! `measure batch`: what many inputs in one call save and cost, and whether one of them can harm another.
//!
//! Each part is a module of its own that adds its figures and bars to the one report.

mod house;
mod jobs;
mod micro;
mod poison;

use anyhow::Result;

use crate::report::Report;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Queries that are asked, each alone and in batches
    #[arg(long, default_value_t = 1540, value_parser = clap::value_parser!(u64).range(200..=3080))]
    queries: u64,
    /// Callers at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(2..=512))]
    callers: u64,
    /// The seed of the models and of the order of the queries
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut report = Report::new("batch");
    report.figure("seed", arguments.seed);
    report.figure("simulated", true);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let data = house::Data::read(&arguments)?;
    let alone = runtime.block_on(micro::measure(&data, &mut report))?;
    runtime.block_on(poison::measure(&data, &alone, &mut report))?;
    jobs::measure(arguments.seed, &mut report)?;
    Ok(report)
}
