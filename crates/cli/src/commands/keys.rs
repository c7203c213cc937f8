//! `baton keys`: who may call.

use baton_core::{Allowance, IntentName, NanoUsd};
use baton_store::{KeyInfo, NewKey, Permission};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, control, duration, plain_table};

/// Make, list and revoke keys.
///
/// A key is shown once and stored hashed. A running server sees changes within seconds.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton keys create --team support
  baton keys create --team support --allow call,read --intents classify-ticket --expires 90d
  baton keys create --team support --usd-per-day 5 --calls-per-minute 60
  baton keys list
  baton keys revoke ID")]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a key and print it, once
    Create(Create),
    /// List keys, without their secrets
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: Folder,
    },
    /// Revoke a key
    Revoke {
        /// Its id, as `baton keys list` shows it
        id: String,
        #[command(flatten)]
        folder: Folder,
    },
}

#[derive(Args)]
struct Create {
    /// The team that calls with it
    #[arg(long)]
    team: String,
    /// What it may do
    #[arg(long, value_delimiter = ',', default_value = "call,read")]
    allow: Vec<Allow>,
    /// The intents that it may call; all where not given
    #[arg(long, value_delimiter = ',')]
    intents: Option<Vec<String>>,
    /// Dollars that it may spend in a day (UTC), besides what its team may
    #[arg(long, value_name = "USD")]
    usd_per_day: Option<String>,
    /// Calls that it may make in any 60 seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls_per_minute: Option<u64>,
    /// Tokens, read and written, that it may use in any 60 seconds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tokens_per_minute: Option<u64>,
    /// When it ends: 12h, 90d
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Clone, Copy, ValueEnum)]
enum Allow {
    Call,
    Read,
    Review,
    Operate,
    Admin,
}

impl From<Allow> for Permission {
    fn from(allow: Allow) -> Self {
        match allow {
            Allow::Call => Self::Call,
            Allow::Read => Self::Read,
            Allow::Review => Self::Review,
            Allow::Operate => Self::Operate,
            Allow::Admin => Self::Admin,
        }
    }
}

impl Keys {
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::Create(create) => create.json,
            Command::List { json, .. } => *json,
            Command::Revoke { .. } => false,
        }
    }

    pub(crate) async fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::Create(create) => create.run().await,
            Command::List { json, folder } => {
                let keys = control(&folder).await?.list_keys(None).await.map_err(outside)?;
                print(&keys, json);
                Ok(())
            }
            Command::Revoke { id, folder } => {
                let revoked = control(&folder).await?.revoke_key(&id).await.map_err(outside)?;
                if !revoked {
                    return Err(Exit::failed(format!("there is no key `{id}`: `baton keys list` shows them")));
                }
                tell!("revoked {id}");
                Ok(())
            }
        }
    }
}

fn outside(error: impl std::fmt::Display) -> Exit {
    Exit::outside(error.to_string())
}

impl Create {
    async fn run(self) -> Result<(), Exit> {
        let (store, snapshot) = crate::setup::control_and_snapshot(&self.folder).await?;
        let lifetime = self.expires.as_deref().map(|text| duration("--expires", text)).transpose()?;
        let intents: Option<Vec<IntentName>> =
            self.intents.as_ref().map(|names| names.iter().map(|name| IntentName::new(name)).collect());
        for name in intents.iter().flatten() {
            if !snapshot.intents.contains_key(name) {
                let known: Vec<&str> = snapshot.intents.keys().map(IntentName::as_str).collect();
                let message = format!("--intents: there is no intent `{name}`; there are: {}", known.join(", "));
                return Err(Exit::usage(message));
            }
        }
        let usd = self.usd_per_day.as_deref().map(str::parse::<NanoUsd>).transpose();
        let allowance = Allowance {
            calls_per_minute: self.calls_per_minute,
            tokens_per_minute: self.tokens_per_minute,
            usd_per_day: usd.map_err(|error| Exit::usage(format!("--usd-per-day: {error}")))?,
        };
        let new = NewKey {
            allowance,
            team: crate::setup::team(&self.team, &snapshot)?,
            permissions: self.allow.into_iter().map(Permission::from).collect(),
            intents,
            expires_at_us: lifetime
                .map(|lifetime| crate::setup::unix_us().saturating_add(crate::setup::micros(lifetime))),
        };
        let (key, secret) = store.create_key(new).await.map_err(outside)?;
        if self.json {
            say!("{}", json!({ "id": key.id, "team": key.team, "key": secret }));
        } else {
            say!("{secret}");
            tell!("key {} of team {}: shown once, stored hashed; keep it now", key.id, key.team);
        }
        Ok(())
    }
}

fn print(keys: &[KeyInfo], json: bool) {
    if json {
        return say!("{}", serde_json::to_string(keys).unwrap_or_default());
    }
    if keys.is_empty() {
        return tell!("no keys: the server is open to this machine only. Make one: baton keys create --team NAME");
    }
    let mut table = plain_table();
    table.set_header(["id", "team", "may", "intents", "limits", "state"]);
    for key in keys {
        let may: Vec<&str> = key.permissions.iter().map(|p| p.as_str()).collect();
        let intents = key
            .intents
            .as_ref()
            .map_or("all".to_owned(), |names| names.iter().map(IntentName::as_str).collect::<Vec<_>>().join(","));
        let limits = limits(&key.allowance);
        table.add_row([key.id.clone(), key.team.to_string(), may.join(","), intents, limits, state(key).to_owned()]);
    }
    say!("{table}");
}

/// `5 USD/day, 60 calls/min`; `none`.
fn limits(allowance: &Allowance) -> String {
    let limits = [
        allowance.usd_per_day.map(|usd| format!("{usd} USD/day")),
        allowance.calls_per_minute.map(|calls| format!("{calls} calls/min")),
        allowance.tokens_per_minute.map(|tokens| format!("{tokens} tokens/min")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if limits.is_empty() { "none".into() } else { limits.join(", ") }
}

fn state(key: &KeyInfo) -> &'static str {
    match key.revoked_at_us {
        Some(_) => "revoked",
        None if key.is_active(crate::setup::unix_us()) => "active",
        None => "expired",
    }
}
