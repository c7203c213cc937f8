//! `GET /v1/executions` and `GET /v1/executions/{id}`: what was done.

mod view;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use baton_core::{ErrorCode, ExecutionId, Failure, IntentName, Record, Status};
use baton_engine::Caller;
use baton_store::{ExecutionFilter, Permission};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{ErrorBody, Problem, unknown_execution};
use crate::state::Gateway;
use crate::{auth, query};

pub(crate) use view::ExecutionView;

const LIMIT_DEFAULT: usize = 50;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Filter {
    /// Only of this intent.
    intent: Option<String>,
    /// Only those that ended so.
    #[param(value_type = Option<String>, example = "failed")]
    status: Option<Status>,
    /// How many: 1 to 1000, 50 unless asked.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those before this execution: `next` of the page before.
    before: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Executions {
    /// The latest first. Executions appear here a moment after they end.
    executions: Vec<ExecutionView>,
    /// `before` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    next: Option<ExecutionId>,
}

/// Lists the team's executions.
#[utoipa::path(
    get,
    path = "/v1/executions",
    tag = "executions",
    params(Filter),
    responses(
        (status = 200, description = "A page", body = Executions),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn list(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let caller = auth::allow(&gateway, request.headers(), &[Permission::Read]).await?;
    let filter = filter(query::read(request.uri())?, &caller)?;
    let limit = filter.limit;
    let records = gateway.orchestrator().store().executions(&caller.team, filter).await?;
    let next = records.last().filter(|_| records.len() == limit).map(|record| record.execution);
    let executions = records.into_iter().map(ExecutionView::from).collect();
    Ok(Json(Executions { executions, next }).into_response())
}

fn filter(asked: Filter, caller: &Caller) -> Result<ExecutionFilter, Failure> {
    let limit = query::limit(asked.limit)?.unwrap_or(LIMIT_DEFAULT);
    let before = query::before(asked.before.as_deref(), (ExecutionId::parse, "execution"))?;
    let intent = asked.intent.as_deref().map(IntentName::new);
    if let Some(allowed) = &caller.intents
        && !intent.as_ref().is_some_and(|intent| allowed.contains(intent))
    {
        let message = "this key is limited to intents: name one of them with `?intent=NAME`";
        return Err(Failure::new(ErrorCode::IntentNotAllowed, message).at("intent"));
    }
    Ok(ExecutionFilter { intent, status: asked.status, limit, before })
}

/// Gives one execution of the team's, from the moment that it has ended.
#[utoipa::path(
    get,
    path = "/v1/executions/{id}",
    tag = "executions",
    params(("id" = String, Path, description = "The execution's id")),
    responses(
        (status = 200, description = "The execution", body = ExecutionView),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let caller = auth::allow(&gateway, request.headers(), &[Permission::Read]).await?;
    let record = find(&gateway, &caller, &id).await?;
    let store = gateway.orchestrator().store();
    let feedback = store.feedback_of(&caller.team, record.execution).await?;
    let scores = store.scores_of(&caller.team, record.execution).await?;
    Ok(Json(ExecutionView::from(record).with_feedback(feedback).with_scores(scores)).into_response())
}

/// The record of an execution that this caller may see.
///
/// # Errors
/// `unknown_execution`, also where it is another team's or another intent's.
pub(crate) async fn find(gateway: &Gateway, caller: &Caller, id: &str) -> Result<Record, Problem> {
    let unknown = || Problem::from(unknown_execution(id));
    let parsed = ExecutionId::parse(id).ok_or_else(unknown)?;
    let record = gateway.orchestrator().store().execution(&caller.team, parsed).await?;
    let allowed = |record: &Record| match (&caller.intents, &record.intent) {
        (None, _) => true,
        (Some(allowed), Some(intent)) => allowed.contains(intent),
        (Some(_), None) => false,
    };
    record.filter(allowed).ok_or_else(unknown)
}
