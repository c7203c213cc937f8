//! `/v1/reviews`: people label answers.

mod schema;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use baton_core::{ErrorCode, ExecutionId, Failure, IntentName, ReviewState};
use baton_engine::{Desk, ItemFilter, ReviewView, Verdict};
use baton_store::{Permission, ReviewAct, Reviewer};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Uri};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::error::{ErrorBody, Problem};
use crate::feedback::{heard, now_us};
use crate::state::Gateway;
use crate::{auth, body, json, query};

use schema::{ReviewSchema, ReviewStatsSchema};

const LIMIT_DEFAULT: usize = 50;

/// Who asks, and for what.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct NextRequest {
    /// The reviewer's name; the key's id unless said.
    reviewer: Option<String>,
    /// Only of this intent.
    intent: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct NextReview {
    /// Theirs for fifteen minutes; `null` where nothing waits for them.
    #[schema(value_type = Option<ReviewSchema>, required = true)]
    item: Option<ReviewView>,
}

/// What is done with an item.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Says what the reviewer thinks of it: `pass` or `criteria`.
    Label,
    /// Passes it over for good.
    Skip,
    /// Gives it back for others.
    Release,
    /// Takes it, or keeps it for another fifteen minutes.
    Hold,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ActRequest {
    action: Action,
    /// The reviewer's name; the key's id unless said.
    reviewer: Option<String>,
    /// Whether the answer is acceptable; unless said, whether it passes each criterion given.
    pass: Option<bool>,
    /// By criterion: whether the answer passes it.
    #[serde(default)]
    criteria: std::collections::BTreeMap<String, bool>,
    /// What the answer should have been, in the shape of the intent's output.
    #[schema(value_type = Option<Value>)]
    correction: Option<Value>,
    /// In the reviewer's words; at most 4096 characters.
    comment: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReviewQuery {
    /// The reviewer's name, who sees their own labels; the key's id unless said.
    reviewer: Option<String>,
    /// Only of this intent.
    intent: Option<String>,
    /// Only those that wait for this: `open`, `second`, `disputed` or `done`.
    #[param(value_type = Option<String>, example = "open")]
    state: Option<ReviewState>,
    /// Only those that this reviewer has labelled.
    #[serde(rename = "labelledBy")]
    labelled_by: Option<String>,
    /// How many: 1 to 1000, 50 unless asked.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Only those before this execution: `next` of the page before.
    before: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Reviews {
    /// The latest execution first; without content.
    #[schema(value_type = Vec<ReviewSchema>)]
    reviews: Vec<ReviewView>,
    /// `before` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    next: Option<ExecutionId>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Imported {
    /// Labels that are new; the others were known, or no place was left for them.
    imported: usize,
}

/// The desk of whoever has this key, under the name that they give.
async fn desk(gateway: &Gateway, headers: &HeaderMap, name: Option<String>) -> Result<Desk, Problem> {
    let caller = auth::allow(gateway, headers, &[Permission::Review]).await?;
    let key = caller.key.map(|key| key.id.to_string());
    let name = name.or(key).unwrap_or_else(|| "local".into());
    let intents = caller.intents.map(|intents| intents.to_vec());
    let reviewer = Reviewer { name, team: caller.team, intents };
    let orchestrator = gateway.orchestrator();
    Ok(Desk::new(orchestrator.store().clone(), orchestrator.snapshot(), reviewer, now_us())?)
}

fn id(text: &str) -> Result<ExecutionId, Failure> {
    ExecutionId::parse(text).ok_or_else(|| crate::error::unknown_execution(text).at("id"))
}

/// An empty body asks for what it would say anyway.
async fn read<T: serde::de::DeserializeOwned + Default>(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: axum::body::Body,
) -> Result<T, Failure> {
    let options = gateway.options();
    let body = body::read(options, headers, body).await?;
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { json::read(&body, options.max_json_depth) }
}

/// Takes the next item to review.
#[utoipa::path(
    post,
    path = "/v1/reviews/next",
    tag = "reviews",
    request_body = NextRequest,
    responses(
        (status = 200, description = "An item, theirs for fifteen minutes; the same again until they act on it",
            body = NextReview),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn next(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    desk(&gateway, &parts.headers, None).await?;
    let asked: NextRequest = read(&gateway, &parts.headers, body).await?;
    let desk = desk(&gateway, &parts.headers, asked.reviewer).await?;
    let intent = asked.intent.as_deref().map(IntentName::new);
    let item = desk.next(intent.as_ref()).await?;
    Ok(Json(NextReview { item }).into_response())
}

/// Takes back the reviewer's last label or skip, and takes that item again.
#[utoipa::path(
    post,
    path = "/v1/reviews/undo",
    tag = "reviews",
    request_body = NextRequest,
    responses(
        (status = 200, description = "The item", body = ReviewSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn undo(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    desk(&gateway, &parts.headers, None).await?;
    let asked: NextRequest = read(&gateway, &parts.headers, body).await?;
    let view = desk(&gateway, &parts.headers, asked.reviewer).await?.undo().await?;
    Ok(Json(view).into_response())
}

/// Shows an item.
#[utoipa::path(
    get,
    path = "/v1/reviews/{id}",
    tag = "reviews",
    params(("id" = String, Path, description = "The execution's id"), ReviewQuery),
    responses(
        (status = 200, description = "The item", body = ReviewSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(execution): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let asked = asked(&gateway, request.headers(), request.uri()).await?;
    let desk = desk(&gateway, request.headers(), asked.reviewer).await?;
    Ok(Json(desk.get(id(&execution)?).await?).into_response())
}

/// Labels an item, passes it over, gives it back, or keeps it for longer.
#[utoipa::path(
    post,
    path = "/v1/reviews/{id}",
    tag = "reviews",
    params(("id" = String, Path, description = "The execution's id")),
    request_body = ActRequest,
    responses(
        (status = 200, description = "The item as it is then", body = ReviewSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn act(
    State(gateway): State<Gateway>,
    Path(execution): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    desk(&gateway, &parts.headers, None).await?;
    let options = gateway.options();
    let body = body::read(options, &parts.headers, body).await?;
    let ActRequest { action, reviewer, pass, criteria, correction, comment } =
        json::read(&body, options.max_json_depth)?;
    let desk = desk(&gateway, &parts.headers, reviewer).await?;
    let execution = id(&execution)?;
    let verdict = Verdict { pass, criteria, correction, comment };
    let act = match action {
        Action::Label => {
            let view = desk.label(execution, verdict).await?;
            heard(&gateway).await;
            return Ok(Json(view).into_response());
        }
        _ if verdict != Verdict::default() => {
            let message = "pass, criteria, correction and comment belong to the action `label`";
            return Err(Failure::new(ErrorCode::InputInvalid, message).at("/action").into());
        }
        Action::Skip => ReviewAct::Skip,
        Action::Release => ReviewAct::Release,
        Action::Hold => ReviewAct::Hold,
    };
    Ok(Json(desk.act(execution, act).await?).into_response())
}

/// Lists items.
#[utoipa::path(
    get,
    path = "/v1/reviews",
    tag = "reviews",
    params(ReviewQuery),
    responses(
        (status = 200, description = "A page", body = Reviews),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn list(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let asked = asked(&gateway, request.headers(), request.uri()).await?;
    let filter = asked.filter()?;
    let reviews = desk(&gateway, request.headers(), asked.reviewer).await?.list(&filter).await?;
    let next = reviews.last().filter(|_| reviews.len() == filter.limit).map(|view| view.execution_id);
    Ok(Json(Reviews { reviews, next }).into_response())
}

/// Says how the queue stands, who does what, and how far they agree.
#[utoipa::path(
    get,
    path = "/v1/reviews/stats",
    tag = "reviews",
    params(ReviewQuery),
    responses(
        (status = 200, description = "Of the latest 20,000 items", body = ReviewStatsSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn stats(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let asked = asked(&gateway, request.headers(), request.uri()).await?;
    let intent = asked.intent.as_deref().map(IntentName::new);
    let desk = desk(&gateway, request.headers(), asked.reviewer).await?;
    Ok(Json(desk.stats(intent.as_ref()).await?).into_response())
}

/// Gives labelled items with their content, one JSON document a line.
///
/// Read on with `before` until a page is shorter than `limit`.
#[utoipa::path(
    get,
    path = "/v1/reviews/export",
    tag = "reviews",
    params(ReviewQuery),
    responses(
        (status = 200, description = "JSONL", content_type = "application/jsonl", body = String),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn export(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let asked = asked(&gateway, request.headers(), request.uri()).await?;
    let filter = ItemFilter { labels_min: 1, ..asked.filter()? };
    let desk = desk(&gateway, request.headers(), asked.reviewer).await?;
    let mut lines = Vec::new();
    for view in desk.export(&filter).await? {
        lines.extend(json::written(&view)?);
        lines.push(b'\n');
    }
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"))], lines).into_response())
}

/// Takes labels in the form of the export: all of them or, where a line is wrong, none.
#[utoipa::path(
    post,
    path = "/v1/reviews/import",
    tag = "reviews",
    request_body(content = String, content_type = "application/jsonl"),
    responses(
        (status = 200, description = "They are kept", body = Imported),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn import(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let desk = desk(&gateway, &parts.headers, None).await?;
    let options = gateway.options();
    let body = body::read(options, &parts.headers, body).await?;
    let mut lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.try_for_each(|line| json::bound(line, options.max_json_depth))?;
    let text = std::str::from_utf8(&body)
        .map_err(|error| Failure::new(ErrorCode::InvalidJson, format!("the body is not UTF-8: {error}")))?;
    Ok(Json(Imported { imported: desk.import(text).await? }).into_response())
}

/// The parameters, for whoever may review: others learn nothing of them.
async fn asked(gateway: &Gateway, headers: &HeaderMap, uri: &Uri) -> Result<ReviewQuery, Problem> {
    desk(gateway, headers, None).await?;
    Ok(query::read(uri)?)
}

impl ReviewQuery {
    fn filter(&self) -> Result<ItemFilter, Failure> {
        let limit = query::limit(self.limit)?.unwrap_or(LIMIT_DEFAULT);
        let before = query::before(self.before.as_deref(), (ExecutionId::parse, "execution"))?;
        let intent = self.intent.as_deref().map(IntentName::new);
        let labelled_by = self.labelled_by.clone();
        Ok(ItemFilter { intent, state: self.state, labelled_by, labels_min: 0, before, limit })
    }
}
