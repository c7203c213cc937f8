//! `baton review`: people label answers, in the terminal.

mod draw;
mod edit;
mod place;
mod remote;
mod screen;
mod terminal;

#[cfg(test)]
mod tests;

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use baton_core::IntentName;
use baton_engine::{Agreement, ReviewStats};
use clap::{Args, Subcommand};
use comfy_table::CellAlignment;

use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, plain_table};
use place::Place;
pub(super) use remote::Remote;

/// Label answers that were drawn for review: pass or fail, what is wrong, what it should have been.
///
/// Keyboard only. What is done is kept at once, so leave and come back as you like.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Keys:
  p pass   f fail   1…9 mark what is wrong   c correct   m comment
  s skip   u undo   ? guidelines   j k J K scroll   q leave

Examples:
  baton review classify-ticket
  baton review --reviewer ann --server http://127.0.0.1:7700 --key-env BATON_KEY
  baton review stats
  baton review export > labels.jsonl
  baton review import labels.jsonl"
)]
pub(crate) struct Review {
    #[command(subcommand)]
    command: Option<Command>,
    /// Only this intent
    intent: Option<String>,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Subcommand)]
enum Command {
    /// How the queue stands, who does what, how far they agree
    Stats {
        /// Only this intent
        #[arg(long)]
        intent: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Print what was labelled, one JSON document a line
    Export {
        /// Only this intent
        #[arg(long)]
        intent: Option<String>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Take labels in the form of the export: all, or where a line is wrong none
    Import {
        /// The file, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        whose: Whose,
    },
}

/// Who reviews, and where.
#[derive(Args)]
pub(crate) struct Whose {
    /// Your name: labels carry it
    #[arg(long, value_name = "NAME", env = "USER")]
    reviewer: Option<String>,
    /// The team whose answers are reviewed; with --server the key says it
    #[arg(long, default_value = "default")]
    team: String,
    /// Review on a server instead of in this folder
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The environment variable that holds the server's key
    #[arg(long, value_name = "NAME", requires = "server")]
    key_env: Option<String>,
    #[command(flatten)]
    folder: Folder,
}

impl Whose {
    fn name(&self) -> Option<&str> {
        self.reviewer.as_deref().filter(|name| !name.trim().is_empty())
    }
}

impl Review {
    pub(super) fn json(&self) -> bool {
        matches!(self.command, Some(Command::Stats { json: true, .. }))
    }

    pub(crate) async fn run(self) -> Result<(), Exit> {
        match self.command {
            None => {
                if self.whose.name().is_none() {
                    return Err(Exit::usage("who reviews? give your name with --reviewer NAME"));
                }
                terminal::review(&Place::open(self.whose, self.intent.as_deref()).await?).await
            }
            Some(Command::Stats { intent, json, whose }) => {
                let place = Place::open(whose, intent.as_deref()).await?;
                let stats = place.stats().await?;
                if json {
                    say!("{}", serde_json::to_string(&stats).map_err(|error| Exit::outside(error.to_string()))?);
                } else {
                    print(&stats);
                }
                Ok(())
            }
            Some(Command::Export { intent, whose }) => export(&Place::open(whose, intent.as_deref()).await?).await,
            Some(Command::Import { file, whose }) => {
                let text = read(&file)?;
                let imported = Place::open(whose, None).await?.import(&text).await?;
                tell!("{imported} labels are new");
                Ok(())
            }
        }
    }
}

async fn export(place: &Place) -> Result<(), Exit> {
    let mut before = None;
    loop {
        let (lines, last) = place.export(before).await?;
        let closed = std::io::stdout().write_all(lines.as_bytes()).is_err();
        match last {
            Some(last) if !closed => before = Some(last),
            _ => return Ok(()),
        }
    }
}

fn read(file: &std::path::Path) -> Result<String, Exit> {
    let wrong = |error: std::io::Error| Exit::usage(format!("{}: {error}", file.display()));
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map_err(wrong)?;
        return Ok(text);
    }
    std::fs::read_to_string(file).map_err(wrong)
}

fn print(stats: &ReviewStats) {
    if stats.items == 0 {
        tell!("nothing was drawn for review yet: `[review] per_day` in intent.toml says how much is");
        return;
    }
    let mut table = plain_table();
    table.set_header(["intent", "open", "second", "disputed", "done", "passed", "agreement"]);
    let counts = |column: &mut comfy_table::Column| {
        column.set_cell_alignment(CellAlignment::Right);
    };
    table.column_iter_mut().skip(1).take(5).for_each(counts);
    for (name, intent) in &stats.intents {
        let passed = format!("{} of {}", intent.passed, intent.labelled);
        let waits = [intent.open, intent.second, intent.disputed, intent.done].map(|n| n.to_string());
        let [open, second, disputed, done] = waits;
        table.add_row([name.clone(), open, second, disputed, done, passed, alpha(&intent.agreement)]);
        for (id, agreement) in &intent.criteria {
            let blank = String::new;
            table.add_row([format!("  {id}"), blank(), blank(), blank(), blank(), blank(), alpha(agreement)]);
        }
    }
    say!("{table}");
    let mut table = plain_table();
    table.set_header(["reviewer", "labels", "passed", "skipped", "has now"]);
    table.column_iter_mut().skip(1).for_each(counts);
    for (name, reviewer) in &stats.reviewers {
        let [labels, passed, skipped, held] =
            [reviewer.labels, reviewer.passed, reviewer.skipped, reviewer.held].map(|n| n.to_string());
        table.add_row([name.clone(), labels, passed, skipped, held]);
    }
    if !stats.reviewers.is_empty() {
        say!("\n{table}");
    }
}

fn alpha(agreement: &Agreement) -> String {
    match (agreement.alpha, agreement.items) {
        (Some(alpha), items) => format!("alpha {alpha:.2} on {items}"),
        (None, 0) => "-".into(),
        (None, items) => format!("all the same on {items}"),
    }
}

/// The intent that is asked about, where one is.
fn intent_name(name: Option<&str>) -> Option<IntentName> {
    name.map(IntentName::new)
}
