//! The routes, their document, and what everything else is answered with.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use baton_core::{ErrorCode, Failure};
use baton_engine::Orchestrator;
use http::Method;
use utoipa::OpenApi;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::edge::edge;
use crate::error::Problem;
use crate::execute::not_yet;
use crate::state::Gateway;
use crate::{GatewayOptions, Metrics, chat, execute, executions, feedback, health, jobs, models, reviews, subjects};

/// Routes of the contract that this version does not have: this path, or anything under it.
const LATER: [&str; 6] =
    ["/v1/responses", "/v1/embeddings", "/v1/messages", "/v1/reports", "/v1/intents", "/v1/batches"];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Baton",
        description = "The control plane between a product and its language models. Errors: docs/errors.md.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    tags(
        (name = "calls", description = "Calling intents"),
        (name = "jobs", description = "Many inputs that are answered in time"),
        (name = "openai", description = "The same through OpenAI's API"),
        (name = "executions", description = "What was done, and what is said about it"),
        (name = "reviews", description = "People label answers"),
        (name = "subjects", description = "People that calls are about"),
        (name = "health", description = "Health and figures; open to everybody, /metrics aside"),
    ),
)]
struct Document;

fn documented() -> OpenApiRouter<Gateway> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(execute::execute))
        .routes(routes!(execute::many::batch))
        .routes(routes!(jobs::list, jobs::create))
        .routes(routes!(jobs::get, jobs::delete))
        .routes(routes!(jobs::results))
        .routes(routes!(jobs::cancel))
        .routes(routes!(chat::completions))
        .routes(routes!(models::models))
        .routes(routes!(executions::list))
        .routes(routes!(executions::get))
        .routes(routes!(feedback::feedback))
        .routes(routes!(reviews::list))
        .routes(routes!(reviews::next))
        .routes(routes!(reviews::undo))
        .routes(routes!(reviews::stats))
        .routes(routes!(reviews::export))
        .routes(routes!(reviews::import))
        .routes(routes!(reviews::get, reviews::act))
        .routes(routes!(subjects::erase))
        .routes(routes!(health::healthz))
        .routes(routes!(health::liveness))
        .routes(routes!(health::readyz))
        .routes(routes!(health::readiness))
        .routes(routes!(health::metrics))
        .routes(routes!(health::openapi))
}

/// The OpenAPI 3.1 document of these routes.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    with_keys(documented().into_openapi())
}

/// Keys as bearer tokens or in `x-api-key`; the empty requirement stands for a server without keys.
fn with_keys(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let header = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key")));
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", bearer);
    components.add_security_scheme("key", header);
    let none: [&str; 0] = [];
    document.security = Some(vec![
        SecurityRequirement::new("bearer", none),
        SecurityRequirement::new("key", none),
        SecurityRequirement::default(),
    ]);
    document
}

pub(crate) fn build(orchestrator: Orchestrator, metrics: Arc<Metrics>, options: GatewayOptions) -> (Router, Gateway) {
    let (router, document) = documented().split_for_parts();
    let document = with_keys(document);
    let list: Vec<&str> = document.paths.paths.keys().map(String::as_str).collect();
    let list = list.join(", ");
    let document = Bytes::from(document.to_json().unwrap_or_default());
    let gateway = Gateway::new(orchestrator, metrics, options, (document, list));
    let router = router
        .fallback(nowhere)
        .method_not_allowed_fallback(other_method)
        .layer(middleware::from_fn_with_state(gateway.clone(), edge))
        .with_state(gateway.clone());
    (router, gateway)
}

async fn nowhere(State(gateway): State<Gateway>, request: Request) -> Response {
    let path = request.uri().path();
    let later =
        LATER.iter().find(|later| path.strip_prefix(**later).is_some_and(|r| r.is_empty() || r.starts_with('/')));
    if let Some(later) = later {
        let problem = Problem::from(not_yet(later).at(*later));
        let openai = matches!(*later, "/v1/responses" | "/v1/embeddings");
        return if openai { problem.into_openai() } else { problem.into_response() };
    }
    let message = format!("there is no route {path}; there are: {}", gateway.routes());
    Problem::from(Failure::new(ErrorCode::UnknownRoute, message)).into_response()
}

/// The header `allow` says which there are.
async fn other_method(method: Method, request: Request) -> Response {
    let path = request.uri().path();
    let message = format!("{path} does not take {method}: the header `allow` says what it takes");
    Problem::from(Failure::new(ErrorCode::MethodNotAllowed, message)).into_response()
}
