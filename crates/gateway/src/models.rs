//! `GET /v1/models`: what may be named as `model`.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use baton_store::Permission;
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth;
use crate::error::{OpenAiErrorBody, Problem};
use crate::state::Gateway;

/// In OpenAI's shape.
#[derive(Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// Always `list`.
    object: &'static str,
    /// Aliases, models, and `intent:NAME`, as far as the key may call them.
    data: Vec<Model>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Model {
    /// What to send as `model`.
    #[schema(examples("intent:classify-ticket"))]
    id: String,
    /// Always `model`.
    object: &'static str,
    /// Not known: always 0.
    created: u64,
    /// The provider; `baton` for an intent.
    owned_by: String,
}

impl Model {
    fn new(id: impl Into<String>, owned_by: &str) -> Self {
        Self { id: id.into(), object: "model", created: 0, owned_by: owned_by.to_owned() }
    }
}

/// Lists what `POST /v1/chat/completions` takes as `model`.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "openai",
    responses(
        (status = 200, description = "The models", body = ModelList),
        (status = "default", description = "An error in OpenAI's envelope", body = OpenAiErrorBody),
    )
)]
pub(crate) async fn models(State(gateway): State<Gateway>, request: Request) -> Response {
    match list(&gateway, request.headers()).await {
        Ok(list) => Json(list).into_response(),
        Err(problem) => problem.into_openai(),
    }
}

async fn list(gateway: &Gateway, headers: &HeaderMap) -> Result<ModelList, Problem> {
    let caller = auth::allow(gateway, headers, &[Permission::Call]).await?;
    let snapshot = gateway.orchestrator().snapshot();
    let mut data = Vec::new();
    if caller.may_call_models().is_ok() {
        data.extend(snapshot.aliases.iter().map(|(alias, id)| Model::new(alias, id.provider())));
        // `local` answers for its intent only.
        let callable = snapshot.models.iter().map(|model| &model.id).filter(|id| id.as_str() != "local");
        data.extend(callable.map(|id| Model::new(id.as_str(), id.provider())));
    }
    let allowed = |name| caller.intents.as_ref().is_none_or(|intents| intents.contains(name));
    let intents = snapshot.intents.keys().filter(|name| allowed(name));
    data.extend(intents.map(|name| Model::new(format!("intent:{name}"), "baton")));
    Ok(ModelList { object: "list", data })
}
