//! `baton calibration`: what labels put in force, and back.

use baton_core::{IntentName, TeamId};
use baton_engine::{release, roll_back};
use baton_eval::Calibration as Fitted;
use baton_store::{CalibrationVersion, Store};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::{Exit, say, tell};
use crate::lab::plan_of;
use crate::setup::{Folder, control_and_snapshot, plain_table, unix_us};

/// What people's labels put in force: versions, roll-back.
///
/// A running server fits a new version within seconds of new labels: which answers pass, and how good each
/// is. Every version stays. A roll-back pins one: nothing is fitted over it until it is released.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton calibration list
  baton calibration list classify-ticket --json
  baton calibration rollback classify-ticket            to the one before
  baton calibration rollback classify-ticket --to 7
  baton calibration release classify-ticket")]
pub(crate) struct Calibration {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List versions, the latest first
    List {
        /// Only this intent; all where not given
        intent: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Put an older version back in force, and keep it
    Rollback {
        /// The intent
        intent: String,
        /// Which version; the one before the one in force where not given
        #[arg(long, value_name = "VERSION")]
        to: Option<u64>,
        #[command(flatten)]
        whose: Whose,
    },
    /// Let labels decide again after a roll-back
    Release {
        /// The intent
        intent: String,
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Args)]
struct Whose {
    /// The team whose answers it is about
    #[arg(long, default_value = "default")]
    team: String,
    /// Who does it, for the list
    #[arg(long, default_value = "operator", env = "USER")]
    by: String,
    #[command(flatten)]
    folder: Folder,
}

/// Versions of an intent that are listed.
const LISTED: usize = 20;

impl Calibration {
    pub(crate) fn json(&self) -> bool {
        matches!(self.command, Command::List { json: true, .. })
    }

    pub(crate) async fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::List { intent, json, whose } => list(intent, json, &whose).await,
            Command::Rollback { intent, to, whose } => {
                let (store, intent) = known(&whose, &intent).await?;
                let of = (&TeamId::new(&whose.team), &intent);
                let put = roll_back(&store, of, to, (&whose.by, unix_us())).await;
                told(&put.map_err(|error| Exit::failed(error.to_string()))?);
                tell!("a running server follows within seconds; `baton calibration release {intent}` ends the pin");
                Ok(())
            }
            Command::Release { intent, whose } => {
                let (store, intent) = known(&whose, &intent).await?;
                let put = release(&store, (&TeamId::new(&whose.team), &intent), (&whose.by, unix_us())).await;
                told(&put.map_err(|error| Exit::failed(error.to_string()))?);
                Ok(())
            }
        }
    }
}

fn told(version: &CalibrationVersion) {
    say!("{} of team {}: version {} is in force ({})", version.intent, version.team, version.version, version.why);
}

/// The store, and the intent, where there is one of this name.
async fn known(whose: &Whose, intent: &str) -> Result<(Store, IntentName), Exit> {
    let (store, snapshot) = control_and_snapshot(&whose.folder).await?;
    Ok((store, plan_of(&snapshot, intent)?.name.clone()))
}

async fn list(intent: Option<String>, as_json: bool, whose: &Whose) -> Result<(), Exit> {
    let (store, snapshot) = control_and_snapshot(&whose.folder).await?;
    let names: Vec<IntentName> = match intent {
        Some(intent) => vec![known(whose, &intent).await?.1],
        None => snapshot.intents.keys().cloned().collect(),
    };
    let team = TeamId::new(&whose.team);
    let mut versions = Vec::new();
    for name in &names {
        let of = store.calibrations_of(&team, name, LISTED).await;
        versions.extend(of.map_err(|error| Exit::outside(error.to_string()))?);
    }
    if as_json {
        say!("{}", Value::Array(versions.iter().map(of_version).collect()));
        return Ok(());
    }
    if versions.is_empty() {
        tell!("nothing was learnt yet: label answers with `baton review`, beside a running server");
        return Ok(());
    }
    let mut table = plain_table();
    table.set_header(["intent", "version", "since", "by", "labels", "why"]);
    for version in &versions {
        let labels = fitted(version).map_or_else(|| "-".to_owned(), |fitted| fitted.labels.to_string());
        let pinned = if version.pinned { " (pinned)" } else { "" };
        table.add_row([
            version.intent.to_string(),
            format!("{}{pinned}", version.version),
            crate::setup::date(version.at_us),
            version.by.clone(),
            labels,
            version.why.clone(),
        ]);
    }
    say!("{table}");
    Ok(())
}

pub(super) fn fitted(version: &CalibrationVersion) -> Option<Fitted> {
    serde_json::from_str(&version.calibration).ok()
}

fn of_version(version: &CalibrationVersion) -> Value {
    let fitted = fitted(version);
    let side = |side: &baton_eval::Side| {
        json!({
            "threshold": side.threshold, "labels": side.tested, "bad": side.bad,
            "passing": side.passing, "nextLook": side.next_look,
        })
    };
    json!({
        "version": version.version, "intent": version.intent, "team": version.team, "lineage": version.lineage,
        "atMs": version.at_us / 1000, "by": version.by, "why": version.why, "pinned": version.pinned,
        "labels": fitted.as_ref().map(|f| f.labels), "estimate": fitted.as_ref().and_then(|f| f.estimate.as_ref()),
        "judged": fitted.as_ref().map(|f| side(&f.judged)), "unjudged": fitted.as_ref().map(|f| side(&f.plain)),
    })
}
