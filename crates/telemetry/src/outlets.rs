//! How each way out does: what was sent, what failed, what was dropped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One way out. Traces are counted in executions, metrics in exports, events in results, webhooks
/// in deliveries, the log in lines.
#[derive(Debug, Default)]
pub struct Outlet {
    sent: AtomicU64,
    failed: AtomicU64,
    dropped: AtomicU64,
    failing: AtomicBool,
}

/// One way out, as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutletState {
    /// `traces`, `metrics`, `events`, `webhooks` or `log`.
    pub name: &'static str,
    /// Taken by the other side.
    pub sent: u64,
    /// Given up: refused by the other side, or tried too often.
    pub failed: u64,
    /// Never tried: the queue was full.
    pub dropped: u64,
    /// Whether the last try failed.
    pub failing: bool,
}

impl Outlet {
    pub(crate) fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
    }

    /// Returns whether it was well before: worth a line of log.
    pub(crate) fn failed(&self, count: u64) -> bool {
        self.failed.fetch_add(count, Ordering::Relaxed);
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// So many were never tried.
    pub fn dropped(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
    }
}

type Open = Vec<(&'static str, Arc<Outlet>)>;

/// All ways out that are open. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Outlets(Arc<Mutex<Open>>);

impl Outlets {
    /// Opens one.
    #[must_use]
    pub fn open(&self, name: &'static str) -> Arc<Outlet> {
        let outlet = Arc::<Outlet>::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name, Arc::clone(&outlet)));
        outlet
    }

    /// Each, as it stands.
    #[must_use]
    pub fn states(&self) -> Vec<OutletState> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let state = |(name, outlet): &(&'static str, Arc<Outlet>)| OutletState {
            name,
            sent: read(&outlet.sent),
            failed: read(&outlet.failed),
            dropped: read(&outlet.dropped),
            failing: outlet.failing.load(Ordering::Relaxed),
        };
        all.iter().map(state).collect()
    }
}
