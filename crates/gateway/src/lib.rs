//! Baton over HTTP: routes, authentication, the mapping of errors to HTTP, metrics.
//!
//! [`router`] is an axum `Router` over an [`Orchestrator`]; [`serve`] runs it on a listener with
//! bounds and a graceful shutdown. Nothing here decides anything that a library user would miss.

mod auth;
mod body;
mod chat;
mod edge;
mod error;
mod execute;
mod executions;
mod feedback;
mod headers;
mod health;
mod jobs;
mod json;
mod metrics;
mod models;
mod notices;
mod options;
mod patience;
mod query;
mod readiness;
mod retiring;
mod reviews;
mod routes;
mod schemas;
mod server;
mod state;
mod stream;
mod subjects;

use std::sync::Arc;

use axum::Router;
use baton_engine::Orchestrator;

pub use metrics::Metrics;
pub use notices::watch;
pub use options::GatewayOptions;
pub use readiness::date;
pub use retiring::retiring;
pub use routes::openapi;
pub use server::serve;

/// Every route, for a server of one's own. It knows of no shutdown, and its `open_without_keys`
/// must not be left on where others than this machine can reach it.
pub fn router(orchestrator: Orchestrator, metrics: Arc<Metrics>, options: GatewayOptions) -> Router {
    routes::build(orchestrator, metrics, options).0
}
