//! Which lane is whose, over all versions of the configuration: what was learnt of an endpoint
//! (breaker, limiter, latencies) survives a reload, and a changed endpoint begins anew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};

use baton_core::{IntentName, LaneId, ModelId};
use http::Uri;

use crate::live::Live;

/// Lanes that no version in use has are kept up to here, for whoever takes a change back.
const UNUSED_MAX: usize = 1024;

/// What a lane belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LaneKey {
    /// Endpoint × key × model: of a pool, each key has a lane of its own.
    Remote { provider: String, uri: Uri, key: Option<[u8; 32]>, model: ModelId },
    /// A model inside this process: each intent has its own.
    Local { model: ModelId, intent: Option<IntentName> },
    /// What providers answered in batches.
    Batched,
}

/// See the module.
#[derive(Default)]
pub(crate) struct LaneIds {
    ids: HashMap<LaneKey, LaneId>,
    /// Given back, and not given out again yet.
    free: Vec<LaneId>,
    /// Versions that calls may still run on.
    versions: Vec<Weak<Live>>,
}

impl LaneIds {
    /// The lanes of these keys, and those of them of which nothing is to be known.
    pub(crate) fn of(&mut self, keys: Vec<Vec<LaneKey>>) -> (Vec<Vec<LaneId>>, Vec<LaneId>) {
        let mut begun = Vec::new();
        let mut id_of = |key| {
            let next = self.ids.len() + self.free.len();
            *self.ids.entry(key).or_insert_with(|| {
                let id = self.free.pop().unwrap_or(LaneId(u32::try_from(next).unwrap_or(u32::MAX)));
                begun.push(id);
                id
            })
        };
        let lanes = keys.into_iter().map(|pool| pool.into_iter().map(&mut id_of).collect()).collect();
        (lanes, begun)
    }

    /// This version is in force; calls on those before may still run. Gives lanes back where too many
    /// are in no use.
    pub(crate) fn in_force(&mut self, live: &Arc<Live>) {
        self.versions.retain(|version| version.strong_count() > 0);
        self.versions.push(Arc::downgrade(live));
        let versions: Vec<Arc<Live>> = self.versions.iter().filter_map(Weak::upgrade).collect();
        let used: HashSet<LaneId> =
            versions.iter().flat_map(|version| version.lanes.iter().flatten()).copied().collect();
        if self.ids.len() - used.len().min(self.ids.len()) > UNUSED_MAX {
            let unused = self.ids.extract_if(|_, id| !used.contains(id));
            self.free.extend(unused.map(|(_, id)| id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> LaneKey {
        LaneKey::Local { model: "local".into(), intent: Some(IntentName::new(&format!("i{n}"))) }
    }

    /// In force, with these lanes.
    fn version(ids: &mut LaneIds, of: std::ops::Range<usize>) -> (Arc<Live>, Vec<LaneId>) {
        let (lanes, begun) = ids.of(vec![of.map(key).collect()]);
        let live = Arc::new(Live::empty(lanes));
        ids.in_force(&live);
        (live, begun)
    }

    #[test]
    fn a_lane_stays_with_its_key_and_is_given_out_anew_only_when_nobody_can_use_it() {
        let mut ids = LaneIds::default();
        let (running, begun) = version(&mut ids, 0..3);
        assert_eq!(begun, [LaneId(0), LaneId(1), LaneId(2)]);
        // Taken out and put back: the same lanes.
        let (_gone, begun) = version(&mut ids, 3..4);
        assert_eq!(begun, [LaneId(3)]);
        assert_eq!(version(&mut ids, 0..3).1, []);

        // A change a day for ever does not grow for ever; a running call keeps its lanes.
        let mut seen = HashSet::new();
        for n in 4..5 * UNUSED_MAX {
            let (live, begun) = version(&mut ids, n..n + 1);
            assert!(begun.iter().all(|lane| !running.lanes[0].contains(lane)), "{n}");
            seen.extend(live.lanes[0].iter().copied());
        }
        assert!(seen.len() < 2 * UNUSED_MAX, "{}", seen.len());
        assert_eq!(running.lanes, ids.of(vec![(0..3).map(key).collect()]).0);
    }
}
