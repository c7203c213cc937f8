//! `measure batch`: what many inputs in one call save and cost, and what becomes of a job that is killed.
//!
//! Each part is a module of its own that adds its figures and bars to the one report.

mod jobs;

use anyhow::Result;

use crate::report::Report;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The seed of models and traffic
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    let mut report = Report::new("batch");
    report.figure("seed", arguments.seed);
    report.figure("simulated", true);
    jobs::measure(arguments.seed, &mut report)?;
    Ok(report)
}
