//! Executions that wait for a place at a lane, and how they are woken.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_core::{Moment, Ticket};
use tokio::sync::Notify;

/// Whom to wake, by ticket.
#[derive(Default)]
pub(crate) struct Waiters(Mutex<HashMap<Ticket, Arc<Notify>>>);

/// One that waits. Where its turn came before it was here, the state machine finds that when it is
/// asked next.
pub(crate) struct Waiting<'a> {
    waiters: &'a Waiters,
    ticket: Ticket,
    woken: Arc<Notify>,
    /// Index among the ranked candidates.
    pub(crate) candidate: usize,
    pub(crate) since: Moment,
}

impl Waiters {
    fn all(&self) -> MutexGuard<'_, HashMap<Ticket, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn join(&self, ticket: Ticket, candidate: usize, since: Moment) -> Waiting<'_> {
        let woken = Arc::new(Notify::new());
        self.all().insert(ticket, Arc::clone(&woken));
        Waiting { waiters: self, ticket, woken, candidate, since }
    }

    pub(crate) fn wake(&self, tickets: &[Ticket]) {
        if tickets.is_empty() {
            return;
        }
        let all = self.all();
        tickets.iter().filter_map(|ticket| all.get(ticket)).for_each(|waiter| waiter.notify_one());
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiters.all().remove(&self.ticket);
    }
}

/// Returns when it is woken; never, where nobody waits.
pub(crate) async fn woken(waiting: Option<&Waiting<'_>>) {
    match waiting {
        Some(waiting) => waiting.woken.notified().await,
        None => pending().await,
    }
}
