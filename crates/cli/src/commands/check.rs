//! `baton check`: is the configuration as it should be?

use std::sync::Arc;

use baton_config::{Diagnostic, Plan, Secret};
use baton_core::Day;
use baton_engine::{BuildError, check_embeddings};
use baton_provider::ProviderError;
use baton_telemetry::WebhookError;
use clap::Args;
use serde_json::json;

use super::in_turn;
use crate::exit::{Exit, say, tell};
use crate::lab::plan_of;
use crate::retiring;
use crate::setup::{Folder, colour, keyless, plain_table, unix_us};
use crate::telemetry::secretless;
use crate::transports::scenarios;

/// Check baton.toml and every intent, and say each mistake with its place and what to do.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton check
  baton check classify-ticket   all is looked at, this intent alone is listed
  baton check --effective       every setting in force, and where it comes from
  baton check --json            for editors and CI")]
pub(crate) struct Check {
    /// List this intent alone
    intent: Option<String>,
    /// Print every setting in force with its origin
    #[arg(long)]
    effective: bool,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    folder: Folder,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Exit> {
        let loaded = match self.folder.load() {
            Ok(loaded) => loaded,
            Err(report) => {
                let document = json!({ "ok": false, "diagnostics": report });
                return Err(Exit::usage(report.render(colour())).with_document(document));
            }
        };
        if let Some(name) = &self.intent {
            plan_of(&loaded.snapshot, name)?;
        }
        // Scenarios and keys are looked at too: what `serve` would refuse, `check` tells.
        scenarios(&loaded.snapshot)?;
        let keyless = keyless(&loaded.snapshot)?;
        let secretless = secretless(&loaded.snapshot);
        let warnings = loaded.warnings.into_iter().chain(keyless.iter().map(key_warning));
        let weightless = check_embeddings(&loaded.snapshot).err();
        let ends = retiring::warnings(&loaded.snapshot, Day::of(unix_us()));
        let warnings = warnings.chain(secretless.iter().map(secret_warning)).chain(ends);
        let warnings: Vec<Diagnostic> = warnings.chain(weightless.iter().map(weights_warning)).collect();
        if self.json {
            let mut document = json!({ "ok": true, "diagnostics": warnings });
            if self.effective {
                document["effective"] = json!(loaded.effective);
            }
            say!("{document}");
            return Ok(());
        }
        for warning in &warnings {
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
        let listed = |plan: &&Arc<Plan>| self.intent.as_ref().is_none_or(|name| plan.name.as_str() == name);
        for plan in loaded.snapshot.intents.values().filter(listed) {
            let models: Vec<&str> = plan.candidates.iter().map(|c| c.id.as_str()).collect();
            let version = plan.hashes.policy.get(..8).unwrap_or_default();
            let opinion = plan.second_opinion().map(|model| format!("; second opinion of {model}")).unwrap_or_default();
            let turns = in_turn::told(plan).map(|told| format!("\n  {told}")).unwrap_or_default();
            say!("{} {version}: {} cases, {}{opinion}{turns}", plan.name, plan.cases.len(), models.join(" → "));
        }
        match loaded.snapshot.intents.len() {
            0 => say!("there are no intents yet: make one with `baton init NAME`"),
            1 => say!("1 intent is as it should be"),
            n => say!("{n} intents are as they should be"),
        }
        Ok(())
    }
}

/// Likewise: it is `serve` that signs.
fn secret_warning((secret, error): &(Secret, WebhookError)) -> Diagnostic {
    let about = match secret {
        Secret::Env(variable) => variable.as_str(),
        Secret::File(_) => "webhooks",
    };
    Diagnostic::warning(about, error.to_string(), "`baton serve` refuses to start until it is there")
}

/// Likewise: CI has no weights.
fn weights_warning(error: &BuildError) -> Diagnostic {
    Diagnostic::warning(
        "embeddings",
        error.to_string(),
        "`baton run` and `baton serve` refuse to start until they are there",
    )
}

/// `check` runs where no keys are, in CI for example: a key that is missing here is no mistake.
fn key_warning(error: &ProviderError) -> Diagnostic {
    let (about, message) = match error {
        ProviderError::MissingKey { provider, variable } => {
            (variable.as_str(), format!("not set; it is the key of provider `{provider}`"))
        }
        error => ("keys", error.to_string()),
    };
    Diagnostic::warning(about, message, "`baton run` and `baton serve` refuse to start until it is there")
}
