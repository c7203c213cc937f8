//! `baton cases`: cases from what was recorded.

use std::path::PathBuf;

use baton_core::{IntentName, TeamId};
use baton_lab::{Wanted, from_traffic};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::{Exit, say, tell};
use crate::lab::{plan_of, write};
use crate::setup::{Folder, control_and_snapshot};

/// Make cases.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton cases from-traffic classify-ticket --limit 50
  baton cases from-traffic classify-ticket --unreviewed --out new.jsonl")]
pub(crate) struct Cases {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lines of cases.jsonl from recorded calls whose content was kept
    FromTraffic(FromTraffic),
}

#[derive(Args)]
struct FromTraffic {
    /// The intent: a folder's name under intents/
    intent: String,
    /// At most so many different inputs, the latest first
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Whose calls
    #[arg(long, default_value = "default")]
    team: String,
    /// Also calls of which nobody said what is right, with the answer that was given: read them before use
    #[arg(long)]
    unreviewed: bool,
    /// A file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    folder: Folder,
}

impl Cases {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let Command::FromTraffic(command) = self.command;
        command.run().await
    }
}

impl FromTraffic {
    async fn run(self) -> Result<(), Exit> {
        let (store, snapshot) = control_and_snapshot(&self.folder).await?;
        let intent = IntentName::new(&self.intent);
        let plan = plan_of(&snapshot, &self.intent)?;
        let wanted =
            Wanted { team: TeamId::new(&self.team), intent, limit: self.limit as usize, unreviewed: self.unreviewed };
        let drawn = from_traffic(&store, plan, &wanted).await.map_err(|error| Exit::outside(error.to_string()))?;
        store.close().await;
        let mut lines = String::new();
        for case in &drawn.cases {
            let expected = case.expected.as_ref().or_else(|| drawn.given.get(&case.key));
            lines.push_str(&json!({ "input": case.input, "expected": expected }).to_string());
            lines.push('\n');
        }
        match &self.out {
            Some(path) => write(path, &lines)?,
            None => say!("{}", lines.trim_end()),
        }
        let reviewed = drawn.cases.iter().filter(|case| case.expected.is_some()).count();
        tell!("{} cases, of {reviewed} of which somebody said what is right", drawn.cases.len());
        for (count, why) in [
            (drawn.cases.len() - reviewed, "have the answer that was given as `expected`: read them before use"),
            (drawn.unreviewed, "left out, nobody said what is right (--unreviewed takes them with the answer given)"),
            (drawn.without_content, "left out, no content was kept, by privacy or for want of room"),
            (drawn.outdated, "left out, today's input schema refuses them"),
            (drawn.repeated, "left out, a later call has the same input"),
        ] {
            if count > 0 {
                tell!("{count} {why}");
            }
        }
        Ok(())
    }
}
