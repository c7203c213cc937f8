//! What every handler sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Bytes;
use baton_core::{ErrorCode, Failure, TeamId, may_hold_more};
use baton_engine::Orchestrator;

use crate::{GatewayOptions, Metrics};

/// See the module. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gateway(Arc<Inner>);

struct Inner {
    orchestrator: Orchestrator,
    metrics: Arc<Metrics>,
    options: GatewayOptions,
    draining: AtomicBool,
    document: Bytes,
    routes: String,
}

impl Gateway {
    /// `document` is the OpenAPI document, `routes` the list that an unknown route is answered with.
    pub(crate) fn new(
        orchestrator: Orchestrator,
        metrics: Arc<Metrics>,
        options: GatewayOptions,
        (document, routes): (Bytes, String),
    ) -> Self {
        let draining = AtomicBool::new(false);
        Self(Arc::new(Inner { orchestrator, metrics, options, draining, document, routes }))
    }

    pub(crate) fn orchestrator(&self) -> &Orchestrator {
        &self.0.orchestrator
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(crate) fn options(&self) -> &GatewayOptions {
        &self.0.options
    }

    pub(crate) fn document(&self) -> &Bytes {
        &self.0.document
    }

    pub(crate) fn routes(&self) -> &str {
        &self.0.routes
    }

    /// From now on `/readyz` says that it is not.
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Acquire)
    }

    /// Whether one more execution of this team may run: no team takes the last places from the
    /// others.
    ///
    /// # Errors
    /// `queue_full`.
    pub(crate) fn room(&self, team: &TeamId) -> Result<(), Failure> {
        let snapshot = self.0.orchestrator.snapshot();
        let max = self.0.options.max_running.min(snapshot.server.max_running);
        let share = snapshot.teams.get(team).map_or(1, |team| team.share);
        let (own, all) = self.0.orchestrator.running_of(team);
        if may_hold_more(own, all, max, share) {
            return Ok(());
        }
        let message =
            format!("{all} executions are running, {own} of them your team's; this server's limit is {max}: try again");
        Err(Failure { retry_after_ms: Some(1000), ..Failure::new(ErrorCode::QueueFull, message) })
    }
}
