//! The executions that run, by team: for the server's bound, and so that a shutdown can wait for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_core::TeamId;
use tokio::sync::Notify;

/// Counts running executions.
#[derive(Clone, Default)]
pub(crate) struct Tasks(Arc<Inner>);

#[derive(Default)]
struct Inner {
    running: Mutex<Count>,
    ended: Notify,
}

#[derive(Default)]
struct Count {
    all: usize,
    teams: BTreeMap<TeamId, usize>,
}

/// One running execution.
pub(crate) struct Running(Arc<Inner>, TeamId);

impl Tasks {
    pub(crate) fn begin(&self, team: &TeamId) -> Running {
        let mut count = self.0.count();
        count.all += 1;
        *count.teams.entry(team.clone()).or_default() += 1;
        Running(Arc::clone(&self.0), team.clone())
    }

    pub(crate) fn running(&self) -> usize {
        self.0.count().all
    }

    /// Those of a team, and all.
    pub(crate) fn running_of(&self, team: &TeamId) -> (usize, usize) {
        let count = self.0.count();
        (count.teams.get(team).copied().unwrap_or_default(), count.all)
    }

    /// Returns when none runs.
    pub(crate) async fn idle(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.running() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Inner {
    fn count(&self) -> MutexGuard<'_, Count> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut count = self.0.count();
        count.all -= 1;
        if let Some(own) = count.teams.get_mut(&self.1) {
            *own -= 1;
            if *own == 0 {
                count.teams.remove(&self.1);
            }
        }
        if count.all == 0 {
            self.0.ended.notify_waiters();
        }
    }
}
