//! How each provider is reached, over all versions of the configuration: HTTP, fixtures, simulators.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_config::{ProviderSpec, Snapshot};
use baton_engine::Connect;
use baton_provider::{HttpTransport, RecordTransport, ReplayTransport};
use baton_sim::{Scenario, Sim};
use baton_wire::Transport;
use clap::Args;

use crate::exit::Exit;

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
    /// Whether no provider will be asked.
    pub(crate) fn replays(&self) -> bool {
        self.replay.is_some()
    }

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

/// See the module.
pub(crate) struct Transports {
    fixtures: Fixtures,
    http: Arc<dyn Transport>,
    simulated: Mutex<BTreeMap<String, Simulated>>,
}

/// A simulator, and what it was made of.
struct Simulated {
    scenario: Scenario,
    seed: u64,
    transport: Arc<dyn Transport>,
}

impl Transports {
    pub(crate) fn new(fixtures: &Fixtures) -> Result<Arc<Self>, Exit> {
        let http = HttpTransport::new().map_err(|error| Exit::outside(error.to_string()))?;
        let (http, simulated) = (fixtures.wrap(Arc::new(http))?, Mutex::default());
        Ok(Arc::new(Self { fixtures: fixtures.clone(), http, simulated }))
    }

    /// Makes the simulators of this configuration; one whose scenario is the same goes on as it is.
    pub(crate) fn prepare(&self, snapshot: &Snapshot) -> Result<(), Exit> {
        for (spec, scenario) in scenarios(snapshot)? {
            let mut simulated = self.simulated();
            let same = |known: &Simulated| known.scenario == scenario && known.seed == spec.seed;
            if !simulated.get(&spec.name).is_some_and(same) {
                let transport = Sim::new(scenario.clone(), spec.seed).transport();
                let transport = self.fixtures.wrap(Arc::new(transport))?;
                simulated.insert(spec.name.clone(), Simulated { scenario, seed: spec.seed, transport });
            }
        }
        Ok(())
    }

    /// Whether no provider will be asked.
    pub(crate) fn replays(&self) -> bool {
        self.fixtures.replays()
    }

    /// For the engine.
    pub(crate) fn connect(self: &Arc<Self>) -> Connect {
        let all = Arc::clone(self);
        Arc::new(move |spec: &ProviderSpec| {
            if spec.kind == "simulated" {
                return Ok(all.simulated().get(&spec.name).map(|simulated| Arc::clone(&simulated.transport)));
            }
            Ok(Some(Arc::clone(&all.http)))
        })
    }

    fn simulated(&self) -> MutexGuard<'_, BTreeMap<String, Simulated>> {
        self.simulated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The scenario of each provider of the kind `simulated`.
pub(crate) fn scenarios(snapshot: &Snapshot) -> Result<Vec<(&ProviderSpec, Scenario)>, Exit> {
    let simulated = snapshot.providers.values().filter(|provider| provider.kind == "simulated");
    let mut scenarios = Vec::new();
    for provider in simulated {
        let Some(file) = &provider.scenario else {
            return Err(Exit::usage(format!("provider `{}` is simulated and names no scenario", provider.name)));
        };
        let scenario = Scenario::read(file).map_err(|error| Exit::usage(error.to_string()))?;
        scenarios.push((provider, scenario));
    }
    Ok(scenarios)
}
