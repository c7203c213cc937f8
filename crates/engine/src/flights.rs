//! Concurrent identical misses make one call: the flights that others may board.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use baton_cache::Key;
use baton_core::ModelId;

use crate::log::{Cursor, EventLog};

/// Scope, intent, answer hash and input (the cache key), the models that may answer, and where they are asked in
/// turn the time that they have: with less of it an answer that is held would have to be given earlier.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FlightKey {
    pub(crate) key: Key,
    pub(crate) models: Vec<ModelId>,
    pub(crate) within: Option<Duration>,
}

/// What a miss does.
pub(crate) enum Boarding {
    /// Make the call; others may follow.
    Lead,
    /// Read the answer of the one that makes it.
    Follow(Cursor),
}

/// The calls in the air, by key. Bounded by the number of running executions.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<FlightKey, Arc<EventLog>>>);

impl Flights {
    /// Follows the flight of this key, or begins one that writes `log`.
    pub(crate) fn board(&self, key: &FlightKey, log: &Arc<EventLog>) -> Boarding {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let following = flights.get(key).filter(|flight| !flight.has_ended()).and_then(EventLog::reader);
        match following {
            Some(cursor) => Boarding::Follow(cursor),
            None => {
                flights.insert(key.clone(), Arc::clone(log));
                Boarding::Lead
            }
        }
    }

    /// Ends the flight that writes `log`; a later one under the same key stays.
    pub(crate) fn land(&self, key: &FlightKey, log: &Arc<EventLog>) {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if flights.get(key).is_some_and(|flight| Arc::ptr_eq(flight, log)) {
            flights.remove(key);
        }
    }
}
