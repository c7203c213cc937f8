//! Which lane is whose, over all versions of the configuration: what was learnt of an endpoint
//! (breaker, limiter, latencies) survives a reload, and a changed endpoint begins anew.

use std::collections::HashMap;

use baton_core::{IntentName, LaneId, ModelId};
use http::Uri;

/// What a lane belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    /// Endpoint × key × model.
    Remote { provider: String, uri: Uri, key: Option<[u8; 32]>, model: ModelId },
    /// A model inside this process: each intent has its own.
    Local { model: ModelId, intent: Option<IntentName> },
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct LaneIds(HashMap<LaneKey, LaneId>);

impl LaneIds {
    /// The lane of this key, a new one where it has none.
    pub(crate) fn of(&mut self, key: LaneKey) -> LaneId {
        let next = LaneId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        *self.0.entry(key).or_insert(next)
    }

    /// How many lanes there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}
