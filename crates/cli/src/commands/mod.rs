//! One file a command.

mod cache;
mod calibration;
mod cases;
mod check;
mod compare;
mod demo;
mod embeddings;
mod erase;
mod eval;
mod in_turn;
mod init;
mod jobs;
mod keys;
mod prices;
mod report;
mod review;
mod rollout;
mod route;
mod run;
mod serve;
mod sim;
mod table;
mod webhooks;

use clap::{Parser, Subcommand};

use crate::exit::Exit;

/// The control plane between a product and its language models.
///
/// A product names an intent, hands over an input and its limits, and gets an answer whose latency,
/// cost and quality are known.
#[derive(Parser)]
#[command(name = "baton", version, max_term_width = 100, after_help = FIRST_STEPS)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  baton demo                          see it work, with simulated models
  baton init classify-ticket          make an intent: a folder with two files to edit
  baton check                         is everything as it should be?
  baton run classify-ticket --input '{\"text\":\"I was charged twice\"}'
  baton serve                         the same over HTTP, for your product

Exit status: 0 done, 1 the thing asked about failed, 2 wrong usage or configuration,
3 something outside failed.";

#[derive(Subcommand)]
enum Command {
    Init(init::Init),
    Demo(demo::Demo),
    Run(run::Run),
    Jobs(jobs::JobsCommand),
    Serve(serve::Serve),
    Check(check::Check),
    Eval(eval::Eval),
    Compare(compare::Compare),
    Cases(cases::Cases),
    Report(report::Report),
    Review(review::Review),
    Calibration(calibration::Calibration),
    Route(route::Route),
    Rollout(rollout::Rollout),
    Cache(cache::Cache),
    Erase(erase::Erase),
    Keys(keys::Keys),
    Embeddings(embeddings::Embeddings),
    Prices(prices::Prices),
    Sim(sim::Sim),
    Webhooks(webhooks::Webhooks),
}

impl Arguments {
    /// Whether one JSON document is expected on standard output, whatever happens.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            Command::Demo(command) => command.json,
            Command::Run(command) => command.json,
            Command::Check(command) => command.json,
            Command::Eval(command) => command.json,
            Command::Compare(command) => command.json,
            Command::Report(command) => command.json,
            Command::Cache(command) => command.json,
            Command::Erase(command) => command.json,
            Command::Keys(command) => command.json(),
            Command::Jobs(command) => command.json(),
            Command::Embeddings(command) => command.json(),
            Command::Prices(command) => command.json(),
            Command::Review(command) => command.json(),
            Command::Calibration(command) => command.json(),
            Command::Route(command) => command.json(),
            Command::Rollout(command) => command.json(),
            Command::Init(_) | Command::Serve(_) | Command::Cases(_) | Command::Sim(_) | Command::Webhooks(_) => false,
        }
    }
}

impl Arguments {
    /// Whether others wait for it, for as long as it runs.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.command, Command::Serve(_) | Command::Sim(_))
    }
}

pub(crate) async fn dispatch(arguments: Arguments) -> Result<(), Exit> {
    match arguments.command {
        Command::Init(command) => command.run(),
        Command::Demo(command) => command.run().await,
        Command::Run(command) => command.run().await,
        Command::Jobs(command) => command.run().await,
        Command::Serve(command) => command.run().await,
        Command::Check(command) => command.run(),
        Command::Eval(command) => command.run().await,
        Command::Compare(command) => command.run().await,
        Command::Cases(command) => command.run().await,
        Command::Report(command) => command.run().await,
        Command::Review(command) => command.run().await,
        Command::Calibration(command) => command.run().await,
        Command::Route(command) => command.run().await,
        Command::Rollout(command) => command.run().await,
        Command::Cache(command) => command.run().await,
        Command::Erase(command) => command.run().await,
        Command::Keys(command) => command.run().await,
        Command::Embeddings(command) => command.run().await,
        Command::Prices(command) => command.run(),
        Command::Sim(command) => command.run().await,
        Command::Webhooks(command) => command.run().await,
    }
}
