//! From a folder to a running orchestrator: what most commands begin with.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;

use baton_config::{Given, Loaded, Report, Snapshot, load};
use baton_engine::{Observer, Orchestrator};
use baton_provider::{HttpTransport, RecordTransport, ReplayTransport};
use baton_sim::{Scenario, Sim};
use baton_store::Store;
use baton_wire::Transport;
use clap::Args;

use crate::exit::{Exit, tell};

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

/// Provider traffic as fixtures.
#[derive(Args, Clone, Default)]
pub(crate) struct Fixtures {
    /// Keep the providers' traffic in this folder, to be replayed
    #[arg(long, value_name = "DIR", conflicts_with = "replay")]
    record: Option<PathBuf>,
    /// Answer from recorded traffic alone; what was not recorded is an error
    #[arg(long, value_name = "DIR")]
    replay: Option<PathBuf>,
}

impl Fixtures {
    fn wrap(&self, inner: Arc<dyn Transport>) -> Result<Arc<dyn Transport>, Exit> {
        let told = |flag: &str, dir: &PathBuf, error| Exit::usage(format!("--{flag} {}: {error}", dir.display()));
        match (&self.record, &self.replay) {
            (Some(dir), _) => match RecordTransport::new(inner, dir) {
                Ok(transport) => Ok(Arc::new(transport)),
                Err(error) => Err(told("record", dir, error)),
            },
            (None, Some(dir)) => match ReplayTransport::new(dir) {
                Ok(transport) => Ok(Arc::new(transport)),
                Err(error) => Err(told("replay", dir, error)),
            },
            (None, None) => Ok(inner),
        }
    }
}

/// Where records go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recording {
    /// The configured store.
    Store,
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

    /// The snapshot, or every mistake with its place; warnings are told.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, Exit> {
        let loaded = self.load().map_err(|report| Exit::usage(report.render(colour())))?;
        for warning in &loaded.warnings {
            tell!("{}", warning.render(colour()));
        }
        Ok(loaded.snapshot)
    }
}

/// An orchestrator over the folder's configuration, simulated providers in memory.
pub(crate) async fn orchestrator(
    folder: &Folder,
    recording: Recording,
    fixtures: &Fixtures,
    observer: Option<Observer>,
) -> Result<Orchestrator, Exit> {
    let snapshot = folder.snapshot()?;
    if snapshot.intents.is_empty() {
        tell!("{} has no intents yet: make one with `baton init NAME`", folder.dir.display());
    }
    let store = match recording {
        Recording::Memory => Store::memory(),
        Recording::Store => Store::open(&snapshot.store).await.map_err(|error| Exit::outside(error.to_string()))?,
    };
    let simulators = simulators(&snapshot)?;
    let names: Vec<String> = snapshot.providers.keys().cloned().collect();
    let http: Arc<dyn Transport> = Arc::new(HttpTransport::new().map_err(|error| Exit::outside(error.to_string()))?);
    let mut builder = Orchestrator::builder(snapshot, store);
    for name in names {
        let simulator = simulators.iter().find(|(provider, _)| *provider == name);
        let transport = simulator.map_or_else(|| Arc::clone(&http), |(_, sim)| Arc::new(sim.transport()));
        builder = builder.transport(&name, fixtures.wrap(transport)?);
    }
    if let Some(observer) = observer {
        builder = builder.on_record(observer);
    }
    builder.build().map_err(|error| Exit::usage(error.to_string()))
}

/// A simulator for each provider of the kind `simulated`.
pub(crate) fn simulators(snapshot: &Snapshot) -> Result<Vec<(String, Sim)>, Exit> {
    let simulated = snapshot.providers.values().filter(|provider| provider.kind == "simulated");
    let simulator = |provider: &baton_config::ProviderSpec| {
        let Some(file) = &provider.scenario else {
            return Err(Exit::usage(format!("provider `{}` is simulated and names no scenario", provider.name)));
        };
        let scenario = Scenario::read(file).map_err(|error| Exit::usage(error.to_string()))?;
        Ok((provider.name.clone(), Sim::new(scenario, provider.seed)))
    };
    simulated.map(simulator).collect()
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

/// Now, Unix microseconds.
pub(crate) fn unix_us() -> i64 {
    micros(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default())
}

/// A span in microseconds.
pub(crate) fn micros(span: std::time::Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A table without lines.
pub(crate) fn plain_table() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table
}
