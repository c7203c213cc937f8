//! `baton webhooks`: is somebody told, when something should be looked at?

use baton_provider::HttpTransport;
use baton_telemetry::{deliver_once, test_notice};
use clap::{Args, Subcommand};

use crate::exit::{Exit, say};
use crate::setup::{Folder, plain_table, unix_us};
use crate::telemetry::environment;

/// Try the webhooks of baton.toml.
#[derive(Args)]
#[command(after_help = "\
Example:
  baton webhooks test           send `webhook.test` to each, and say who took it")]
pub(crate) struct Webhooks {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send each webhook a signed notice, once
    Test {
        #[command(flatten)]
        folder: Folder,
    },
}

impl Webhooks {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let Command::Test { folder } = self.command;
        let snapshot = folder.snapshot()?;
        if snapshot.webhooks.is_empty() {
            return Err(Exit::usage("there are no webhooks: add [[webhooks]] to baton.toml"));
        }
        let http = HttpTransport::new().map_err(|error| Exit::outside(error.to_string()))?;
        let (mut table, mut refused) = (plain_table(), 0);
        for hook in &snapshot.webhooks {
            let taken = deliver_once(hook, &test_notice(), &http, unix_us(), &environment).await;
            refused += usize::from(taken.is_err());
            table.add_row([hook.url.clone(), taken.err().unwrap_or_else(|| "taken".into())]);
        }
        say!("{table}");
        match refused {
            0 => Ok(()),
            n => Err(Exit::failed(format!("{n} of {} webhooks did not take it", snapshot.webhooks.len()))),
        }
    }
}
