//! How providers are reached: the transports that all versions of the configuration share.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_config::{ProviderSpec, Snapshot};
use baton_provider::{HttpTransport, Provider};
use baton_wire::Transport;

use crate::BuildError;

/// Gives the transport of a provider; `None` for HTTP.
pub type Connect = Arc<dyn Fn(&ProviderSpec) -> Result<Option<Arc<dyn Transport>>, BuildError> + Send + Sync>;

/// A provider, once for each of its keys.
pub(crate) type Pool = Vec<Arc<Provider>>;

/// See the module.
pub(crate) struct Connections {
    http: Arc<dyn Transport>,
    named: BTreeMap<String, Arc<dyn Transport>>,
    connect: Option<Connect>,
    keys: bool,
}

impl Connections {
    pub(crate) fn new(
        named: BTreeMap<String, Arc<dyn Transport>>,
        connect: Option<Connect>,
        keys: bool,
    ) -> Result<Self, BuildError> {
        Ok(Self { http: Arc::new(HttpTransport::new()?), named, connect, keys })
    }

    /// Every provider of the snapshot, its keys read now.
    pub(crate) fn providers(&self, snapshot: &Snapshot) -> Result<BTreeMap<String, Pool>, BuildError> {
        let pool = |(name, spec): (&String, &ProviderSpec)| {
            let transport = self.transport(spec)?;
            let pool = if self.keys {
                Provider::pool(spec, &transport)?
            } else {
                vec![Provider::without_key(spec, transport)?]
            };
            Ok((name.clone(), pool.into_iter().map(Arc::new).collect()))
        };
        snapshot.providers.iter().map(pool).collect()
    }

    fn transport(&self, spec: &ProviderSpec) -> Result<Arc<dyn Transport>, BuildError> {
        if let Some(transport) = self.named.get(&spec.name) {
            return Ok(Arc::clone(transport));
        }
        let given = self.connect.as_ref().map_or(Ok(None), |connect| connect(spec))?;
        match given {
            Some(transport) => Ok(transport),
            None if spec.kind == "simulated" => Err(BuildError::NoSimulator { provider: spec.name.clone() }),
            None => Ok(Arc::clone(&self.http)),
        }
    }
}
