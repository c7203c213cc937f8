//! Whether this server lives, is ready, and how it does.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use baton_store::Permission;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth;
use crate::error::{ErrorBody, Problem};
use crate::readiness::Readiness;
use crate::state::Gateway;

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// Says that the process answers.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, body = Health, description = "It lives")))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// The same as `/healthz`.
#[utoipa::path(
    get,
    path = "/health/liveness",
    tag = "health",
    responses((status = 200, body = Health, description = "It lives"))
)]
pub(crate) async fn liveness() -> Json<Health> {
    healthz().await
}

/// Says whether calls should be sent here: not while it shuts down, nor while the journal refuses
/// work. The parts say what else somebody should look at; calls are answered all the same.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, body = Readiness, description = "Send calls"),
        (status = 503, body = Readiness, description = "Send them elsewhere"),
    )
)]
pub(crate) async fn readyz(State(gateway): State<Gateway>) -> Response {
    let readiness = Readiness::of(gateway.orchestrator(), &gateway.metrics().outlets(), gateway.is_draining());
    let code = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

/// The same as `/readyz`.
#[utoipa::path(
    get,
    path = "/health/readiness",
    tag = "health",
    responses(
        (status = 200, body = Readiness, description = "Send calls"),
        (status = 503, body = Readiness, description = "Send them elsewhere"),
    )
)]
pub(crate) async fn readiness(state: State<Gateway>) -> Response {
    readyz(state).await
}

/// Gives figures to Prometheus, in the OpenMetrics text format. Where there are keys it takes one
/// with the permission `operate`: the figures are of all teams.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text", description = "The figures"),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn metrics(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    auth::allow(&gateway, request.headers(), &[Permission::Operate]).await?;
    let text = gateway.metrics().render(gateway.orchestrator());
    Ok(([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}

/// Gives this document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "health",
    responses((status = 200, body = Object, description = "OpenAPI 3.1"))
)]
pub(crate) async fn openapi(State(gateway): State<Gateway>) -> Response {
    ([(CONTENT_TYPE, "application/json")], gateway.document().clone()).into_response()
}
