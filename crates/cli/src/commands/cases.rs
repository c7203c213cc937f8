//! `baton cases`: cases from what was recorded.

use std::collections::BTreeMap;
use std::path::PathBuf;

use baton_core::{IntentName, TeamId};
use baton_eval::Redaction;
use baton_lab::{Drawn, Wanted, from_traffic};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::{Exit, say, tell};
use crate::lab::{plan_of, write};
use crate::setup::{Folder, control_and_snapshot};

/// Make cases.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton cases from-traffic classify-ticket --limit 50
  baton cases from-traffic classify-ticket --unreviewed --out new.jsonl
  baton cases export classify-ticket --out intents/classify-ticket/reviewed.jsonl")]
pub(crate) struct Cases {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lines of cases.jsonl from recorded calls whose content was kept
    FromTraffic(FromTraffic),
    /// The same of reviewed and corrected calls alone, redacted, for git
    ///
    /// Mail addresses, phone, card and account numbers, IP addresses and keys are replaced by marks, the
    /// same text by the same mark within a case. Names have no form that tells them: read the lines
    /// before they are committed.
    Export(Drawing),
}

#[derive(Args)]
struct FromTraffic {
    #[command(flatten)]
    drawing: Drawing,
    /// Also calls of which nobody said what is right, with the answer that was given: read them before use
    #[arg(long)]
    unreviewed: bool,
}

#[derive(Args)]
struct Drawing {
    /// The intent: a folder's name under intents/
    intent: String,
    /// At most so many different inputs, the latest first
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Whose calls
    #[arg(long, default_value = "default")]
    team: String,
    /// A file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    folder: Folder,
}

impl Cases {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::FromTraffic(FromTraffic { drawing, unreviewed }) => {
                let drawn = drawing.draw(unreviewed).await?;
                drawing.write(&lines(&drawn, |_, value| value.clone()).0)?;
                let reviewed = drawn.cases.iter().filter(|case| case.expected.is_some()).count();
                tell!("{} cases, of {reviewed} of which somebody said what is right", drawn.cases.len());
                told(&drawn, reviewed);
            }
            Command::Export(drawing) => {
                let drawn = drawing.draw(false).await?;
                let (lines, found) = lines(&drawn, Redaction::of);
                drawing.write(&lines)?;
                let found: Vec<String> = found.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
                let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
                tell!("{} cases; replaced: {found}. Names are not told by their form: read them", drawn.cases.len());
                told(&drawn, drawn.cases.len());
            }
        }
        Ok(())
    }
}

/// A line a case, each value as `kept`; with what was replaced, by kind.
fn lines(drawn: &Drawn, kept: impl Fn(&mut Redaction, &Value) -> Value) -> (String, BTreeMap<&'static str, usize>) {
    let (mut lines, mut found) = (String::new(), BTreeMap::new());
    for case in &drawn.cases {
        let mut redaction = Redaction::default();
        let expected = case.expected.as_ref().or_else(|| drawn.given.get(&case.key)).unwrap_or(&Value::Null);
        let (input, expected) = (kept(&mut redaction, &case.input), kept(&mut redaction, expected));
        lines.push_str(&json!({ "input": input, "expected": expected }).to_string());
        lines.push('\n');
        redaction.counts().iter().for_each(|(kind, count)| *found.entry(*kind).or_default() += count);
    }
    (lines, found)
}

/// What was left out, and why.
fn told(drawn: &Drawn, reviewed: usize) {
    for (count, why) in [
        (drawn.cases.len() - reviewed, "have the answer that was given as `expected`: read them before use"),
        (
            drawn.unreviewed,
            "left out, nobody said what is right (`from-traffic --unreviewed` takes them with the answer given)",
        ),
        (drawn.without_content, "left out, no content was kept, by privacy or for want of room"),
        (drawn.outdated, "left out, today's input schema refuses them"),
        (drawn.repeated, "left out, a later call has the same input"),
    ] {
        if count > 0 {
            tell!("{count} {why}");
        }
    }
}

impl Drawing {
    async fn draw(&self, unreviewed: bool) -> Result<Drawn, Exit> {
        let (store, snapshot) = control_and_snapshot(&self.folder).await?;
        let intent = IntentName::new(&self.intent);
        let plan = plan_of(&snapshot, &self.intent)?;
        let wanted = Wanted { team: TeamId::new(&self.team), intent, limit: self.limit as usize, unreviewed };
        let drawn = from_traffic(&store, plan, &wanted).await.map_err(|error| Exit::outside(error.to_string()))?;
        store.close().await;
        Ok(drawn)
    }

    fn write(&self, lines: &str) -> Result<(), Exit> {
        match &self.out {
            Some(path) => write(path, lines),
            None => {
                say!("{}", lines.trim_end());
                Ok(())
            }
        }
    }
}
