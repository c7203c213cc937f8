//! sroie: being built.

use crate::report::Report;

#[derive(clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn run(_arguments: Arguments) -> anyhow::Result<Report> {
    anyhow::bail!("sroie is being built")
}
