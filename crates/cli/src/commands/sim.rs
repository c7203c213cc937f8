//! `baton sim`: the simulated models as a server.

use std::net::SocketAddr;
use std::path::PathBuf;

use baton_sim::Scenario;
use clap::Args;

use crate::exit::{Exit, say, tell};

/// Serve simulated models that speak OpenAI's chat completions.
///
/// For tests, demonstrations and load: latencies, errors, broken streams and wrong answers as the
/// scenario says, the same for the same seed. Every response is labelled as simulated. The first
/// line printed is the address. The scenario's format is in docs/simulator.md.
#[derive(Args)]
#[command(after_help = "\
Example:
  baton sim --listen 127.0.0.1:7801 --scenario examples/helpdesk/scenario.toml --seed 7")]
pub(crate) struct Sim {
    /// Address and port; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:7801", value_name = "ADDR", value_parser = crate::setup::address)]
    listen: SocketAddr,
    /// The scenario
    #[arg(long, value_name = "FILE")]
    scenario: PathBuf,
    /// Instead of the scenario's own seed
    #[arg(long)]
    seed: Option<u64>,
}

impl Sim {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let scenario = Scenario::read(&self.scenario).map_err(|error| Exit::usage(error.to_string()))?;
        let seed = self.seed.unwrap_or_else(|| scenario.seed().unwrap_or_default());
        let listener = crate::setup::listen(self.listen).await?;
        let address = listener.local_addr().map_err(|error| Exit::outside(error.to_string()))?;
        say!("http://{address}");
        tell!("simulated models, seed {seed}: base URL http://{address}/v1");
        baton_sim::Sim::new(scenario, seed).serve(listener, crate::signals::stop()).await;
        Ok(())
    }
}
