//! `baton check`: is the configuration as it should be?

use clap::Args;
use serde_json::json;

use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, colour, plain_table};

/// Check baton.toml and every intent, and say each mistake with its place and what to do.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton check
  baton check --effective       every setting in force, and where it comes from
  baton check --json            for editors and CI")]
pub(crate) struct Check {
    /// Print every setting in force with its origin
    #[arg(long)]
    effective: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: Folder,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Exit> {
        let loaded = match self.folder.load() {
            Ok(loaded) => loaded,
            Err(report) if self.json => {
                say!("{}", json!({ "ok": false, "diagnostics": report }));
                return Err(Exit::usage(""));
            }
            Err(report) => return Err(Exit::usage(report.render(colour()))),
        };
        // Keys, `local` and scenarios are looked at too: what `serve` would refuse, `check` tells.
        crate::setup::simulators(&loaded.snapshot)?;
        if self.json {
            let effective = self.effective.then_some(&loaded.effective);
            say!("{}", json!({ "ok": true, "diagnostics": loaded.warnings, "effective": effective }));
            return Ok(());
        }
        for warning in &loaded.warnings {
            tell!("{}", warning.render(colour()));
        }
        if self.effective {
            let mut table = plain_table();
            table.set_header(["setting", "value", "from"]);
            for setting in &loaded.effective {
                table.add_row([setting.key.clone(), setting.value.to_string(), setting.origin.to_string()]);
            }
            say!("{table}");
        }
        for plan in loaded.snapshot.intents.values() {
            let models: Vec<&str> = plan.candidates.iter().map(|c| c.model.as_str()).collect();
            let version = plan.hashes.policy.get(..8).unwrap_or_default();
            say!("{} {version}: {} cases, {}", plan.name, plan.cases.len(), models.join(" → "));
        }
        say!("{} intents are as they should be", loaded.snapshot.intents.len());
        Ok(())
    }
}
