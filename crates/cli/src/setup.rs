//! From a folder to a running orchestrator: what most commands begin with.

use std::io::{ErrorKind, IsTerminal as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use baton_config::{Diagnostic, Given, Loaded, Report, Snapshot, load};
use baton_core::{Sampler, TeamId};
use baton_engine::{Observer, Orchestrator};
pub(crate) use baton_gateway::date;
use baton_provider::ProviderError::{BadKey, KeyFile, MissingKey};
use baton_provider::{HttpTransport, Provider, ProviderError};
use baton_store::{JournalError, Store, StoreError};
use baton_wire::Transport;
use clap::Args;
use tokio::net::TcpListener;

use crate::exit::{Exit, tell};
use crate::transports::{Fixtures, Transports};

/// Where the configuration is.
#[derive(Args, Clone)]
pub(crate) struct Folder {
    /// The folder with intents/ and, where there is one, baton.toml
    #[arg(long, value_name = "DIR", default_value = ".", env = "BATON_DIR")]
    pub(crate) dir: PathBuf,
}

/// Whether standard error is a terminal that wants colour.
pub(crate) fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// Where records go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    /// The configured store; what to do where another process writes to it.
    Store { in_use: &'static str },
    /// Nowhere that outlives the process.
    Memory,
}

impl Folder {
    /// Loads and checks everything.
    pub(crate) fn load(&self) -> Result<Loaded, Report> {
        let vendors: Vec<&str> = baton_provider::VENDORS.iter().map(|vendor| vendor.name).collect();
        let given = Given {
            env: &|name| std::env::var(name).ok(),
            flags: &[],
            known_providers: &vendors,
            price: &baton_provider::list_price,
        };
        load(&self.dir, &given)
    }

    /// The snapshot, or every mistake with its place. Warnings are for what checks or answers
    /// ([`Folder::told_snapshot`]), not for each command that looks something up.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Exit> {
        Ok(self.load().map_err(|report| Exit::usage(report.render(colour())))?.snapshot)
    }

    /// The same; warnings are told.
    pub(crate) fn told_snapshot(&self) -> Result<Snapshot, Exit> {
        let loaded = self.load().map_err(|report| Exit::usage(report.render(colour())))?;
        warn(&loaded.warnings);
        Ok(loaded.snapshot)
    }
}

/// An orchestrator over the folder's configuration, and how it reaches its providers.
pub(crate) async fn orchestrator(
    folder: &Folder,
    recording: Recording,
    fixtures: &Fixtures,
    watched: Option<(Observer, Sampler)>,
) -> Result<(Orchestrator, Arc<Transports>), Exit> {
    let transports = Transports::new(fixtures)?;
    let snapshot = folder.told_snapshot()?;
    if snapshot.intents.is_empty() {
        tell!("there are no intents yet: make one with `baton init NAME`");
    }
    usable(&snapshot, &transports)?;
    let store = match recording {
        Recording::Memory => Store::memory(),
        Recording::Store { in_use } => Store::open(&snapshot.store).await.map_err(|error| opening(&error, in_use))?,
    };
    let baton = orchestrator_over(snapshot, store, Arc::clone(&transports), watched)?;
    Ok((baton, transports))
}

/// The same over a store that is open.
pub(crate) fn orchestrator_over(
    snapshot: Snapshot,
    store: Store,
    transports: Arc<Transports>,
    watched: Option<(Observer, Sampler)>,
) -> Result<Orchestrator, Exit> {
    let mut builder = Orchestrator::builder(snapshot, store).connect(transports.connect());
    if transports.replays() {
        builder = builder.without_keys();
    }
    if let Some((observer, sampler)) = watched {
        builder = builder.on_record(observer).sampler(sampler);
    }
    builder.build().map_err(|error| Exit::usage(error.to_string()))
}

/// What must be there besides the files: scenarios, and the keys of the providers that will be asked.
pub(crate) fn usable(snapshot: &Snapshot, transports: &Transports) -> Result<(), Exit> {
    transports.prepare(snapshot)?;
    let keyless = if transports.replays() { Vec::new() } else { keyless(snapshot)? };
    if keyless.is_empty() {
        return Ok(());
    }
    let told: Vec<String> = keyless.iter().map(ToString::to_string).collect();
    Err(Exit::usage(format!("{}\n{KEYS_HINT}", told.join("\n"))))
}

pub(crate) fn warn(warnings: &[Diagnostic]) {
    for warning in warnings {
        tell!("{}", warning.render(colour()));
    }
}

const KEYS_HINT: &str = "no call was made; a model whose key you do not have can be taken out of `models`";

/// Why the store could not be opened, and what to do.
pub(crate) fn opening(error: &StoreError, in_use: &str) -> Exit {
    let StoreError::Journal(JournalError::Locked { dir, pid }) = error else {
        return Exit::outside(error.to_string());
    };
    let folder = dir.parent().unwrap_or(dir).display();
    let process = pid.map(|pid| format!(" {pid}")).unwrap_or_default();
    Exit::outside(format!("{folder} is in use by process{process}, as a rule `baton serve`: {in_use}"))
}

/// The providers whose key is missing or cannot be read.
pub(crate) fn keyless(snapshot: &Snapshot) -> Result<Vec<ProviderError>, Exit> {
    let outside = |error: &dyn std::fmt::Display| Exit::outside(error.to_string());
    let http: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(|error| outside(&error))?);
    let mut keyless = Vec::new();
    for spec in snapshot.providers.values() {
        match Provider::pool(spec, &http) {
            Ok(_) => {}
            Err(error @ (MissingKey { .. } | KeyFile { .. } | BadKey { .. })) => keyless.push(error),
            Err(error) => return Err(Exit::usage(error.to_string())),
        }
    }
    Ok(keyless)
}

/// The store as one that answers questions beside a running server.
pub(crate) async fn control(folder: &Folder) -> Result<Store, Exit> {
    Ok(control_and_snapshot(folder).await?.0)
}

/// The same, with the configuration.
pub(crate) async fn control_and_snapshot(folder: &Folder) -> Result<(Store, Snapshot), Exit> {
    let snapshot = folder.snapshot()?;
    let store = Store::open_read(&snapshot.store).await.map_err(|error| Exit::outside(error.to_string()))?;
    Ok((store, snapshot))
}

/// Where `baton.toml` declares teams, a name that is not among them would have none of their limits.
pub(crate) fn team(name: &str, snapshot: &Snapshot) -> Result<TeamId, Exit> {
    if name.is_empty() || name.len() > 64 || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Exit::usage(format!("--team: `{name}` cannot be a team: use one word of at most 64 bytes")));
    }
    let team = TeamId::new(name);
    if !snapshot.teams.is_empty() && !snapshot.teams.contains_key(&team) {
        let known: Vec<&str> = snapshot.teams.keys().map(TeamId::as_str).collect();
        let message = format!("--team: baton.toml has no [teams.{name}]; it has: {}", known.join(", "));
        return Err(Exit::usage(message));
    }
    Ok(team)
}

/// The same of those who call: without a key they are of the team `default`, declared or not.
pub(crate) fn callers_team(name: &str, snapshot: &Snapshot) -> Result<TeamId, Exit> {
    if name == "default" { Ok(TeamId::new(name)) } else { team(name, snapshot) }
}

/// Listens, or says what is in the way and what to do.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener, Exit> {
    TcpListener::bind(address).await.map_err(|error| {
        let (why, hint) = match error.kind() {
            ErrorKind::AddrInUse => (
                "another process listens there already, maybe an earlier baton".to_owned(),
                format!("stop that one, or take another port: --listen {}:0 picks a free one", address.ip()),
            ),
            ErrorKind::AddrNotAvailable => (
                "this machine has no such address".to_owned(),
                format!("listen on 127.0.0.1:{0} for this machine alone, on 0.0.0.0:{0} for all", address.port()),
            ),
            ErrorKind::PermissionDenied => {
                (error.to_string(), "take a port of 1024 or more, as in --listen 127.0.0.1:7700".to_owned())
            }
            _ => (error.to_string(), "--listen says where".to_owned()),
        };
        Exit::outside(format!("cannot listen on {address}: {why}")).with_hint(&hint)
    })
}

/// An address to listen on, as a flag says it.
pub(crate) fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.parse::<u16>().unwrap_or(7700);
    let wrong = |_| format!("write an address and a port, for example 127.0.0.1:{port}");
    text.replacen("localhost:", "127.0.0.1:", 1).parse().map_err(wrong)
}

/// A span of time, as a flag says it.
pub(crate) fn duration(flag: &str, text: &str) -> Result<Duration, Exit> {
    baton_config::parse_duration(text).map_err(|error| Exit::usage(format!("{flag}: {error}; write 30m, 24h or 7d")))
}

/// Now, Unix microseconds.
pub(crate) fn unix_us() -> i64 {
    micros(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
}

/// A span in microseconds.
pub(crate) fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A table without lines.
pub(crate) fn plain_table() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table
}
