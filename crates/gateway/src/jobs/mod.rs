//! `/v1/jobs`: many inputs that are answered in time.

mod lines;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use baton_core::{CallConfig, ErrorCode, Failure, IntentName, JobId};
use baton_engine::{HandIn, JobInput, Jobs, Terms, Within, of_line};
use baton_store::Permission;
use http::header::{CONTENT_TYPE, LOCATION};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

use crate::error::{ErrorBody, Problem};
use crate::execute::{check_metadata, check_name, key_of};
use crate::feedback::now_us;
use crate::schemas::{CallConfigSchema, ItemSchema, JobSchema, ResultSchema};
use crate::state::Gateway;
use crate::{auth, body, json, query};

use lines::Lines;

const LIMIT_DEFAULT: u32 = 50;
/// Results that are read at once where all are asked for.
const RESULTS_AT_ONCE: u32 = 1000;

const JSONL: HeaderValue = HeaderValue::from_static("application/jsonl");

/// Many inputs of one intent.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct JobRequest {
    /// The intent: the name of its folder.
    #[schema(examples("classify-ticket"))]
    intent: String,
    /// What it is asked about, one by one.
    #[schema(value_type = Vec<ItemSchema>)]
    items: Vec<JobInput>,
    /// Limits of each of its calls, within the intent's and the key's.
    #[serde(default)]
    #[schema(value_type = CallConfigSchema)]
    config: CallConfig,
    /// Of each of its calls, besides an item's own: at most 32 entries.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Groups its calls; at most 256 characters.
    #[schema(max_length = 256)]
    session: Option<String>,
    /// `24h`: it may take a day, and goes through the provider's batch API where there is one, at the price
    /// of batches.
    #[schema(value_type = Option<String>, example = "24h")]
    within: Option<Within>,
}

/// The terms of a job that is handed in as JSONL.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct JobQuery {
    /// Of a job in JSONL, whose lines are items: the intent.
    intent: Option<String>,
    /// Likewise: groups its calls.
    session: Option<String>,
    /// Likewise: `24h`.
    #[param(value_type = Option<String>, example = "24h")]
    within: Option<Within>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The latest first.
    #[schema(value_type = Vec<JobSchema>)]
    jobs: Vec<baton_engine::JobView>,
    /// `before` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    next: Option<JobId>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// How many: 1 to 1000, 50 unless asked.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Only those before this job: `next` of the page before.
    before: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct From {
    /// The first item's place, from 0; `x-baton-next` of the page before.
    from: Option<u32>,
    /// How many at most: 1 to 1000. All of them where it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

async fn jobs(gateway: &Gateway, headers: &HeaderMap, any_of: &[Permission]) -> Result<Jobs, Problem> {
    let caller = auth::allow(gateway, headers, any_of).await?;
    let orchestrator = gateway.orchestrator();
    Ok(Jobs::new(orchestrator.store().clone(), orchestrator.snapshot(), caller, now_us()))
}

/// Hands in a job: as JSON, or as JSONL with an item in each line.
///
/// It is on disk when it is answered, and goes on after a restart. With the header `Idempotency-Key` the
/// same job again is the same job.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    tag = "jobs",
    params(JobQuery, ("Idempotency-Key" = Option<String>, Header, description = "Names the job: handed in again, it \
        is the same one; another is refused. 1 to 255 bytes", max_length = 255)),
    request_body(content((JobRequest = "application/json"), (String = "application/jsonl"))),
    responses(
        (status = 201, description = "The job", body = JobSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn create(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let jobs = jobs(&gateway, &parts.headers, &[Permission::Call]).await?;
    let key = key_of(&parts)?;
    let handing_in = if is_jsonl(&parts) {
        let asked: JobQuery = query::read(&parts.uri)?;
        from_lines(&gateway, &jobs, (asked, key.as_deref()), body).await?
    } else {
        let options = gateway.options();
        let body = body::read(options, &parts.headers, body).await?;
        from_json(&jobs, json::read(&body, options.max_json_depth)?, key.as_deref()).await?
    };
    let view = handing_in.finish().await?;
    gateway.orchestrator().handed_in();
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::try_from(format!("/v1/jobs/{}", view.id)).map(|place| (LOCATION, place)));
    Ok((StatusCode::CREATED, headers, Json(view)).into_response())
}

fn is_jsonl(parts: &Parts) -> bool {
    let kind = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    ["application/jsonl", "application/x-ndjson", "application/x-jsonlines"].contains(&kind)
}

async fn from_json<'a>(jobs: &'a Jobs, asked: JobRequest, key: Option<&str>) -> Result<HandIn<'a>, Failure> {
    let JobRequest { intent, items, config, metadata, session, within } = asked;
    check_metadata(&metadata)?;
    check_name("/session", session.as_deref())?;
    let terms = Terms { config, metadata, session, within };
    let mut handing_in = jobs.hand_in(&IntentName::new(&intent), terms, key).await?;
    for (n, item) in items.into_iter().enumerate() {
        if let Err(failure) = add(&mut handing_in, item).await {
            handing_in.abandon().await?;
            let param = format!("/items/{n}{}", failure.param.as_deref().unwrap_or_default());
            return Err(Failure { message: format!("item {n}: {}", failure.message), ..failure }.at(param));
        }
    }
    Ok(handing_in)
}

async fn add(handing_in: &mut HandIn<'_>, item: JobInput) -> Result<(), Failure> {
    check_metadata(&item.metadata)?;
    check_name("/subject", item.subject.as_deref())?;
    handing_in.add(item).await
}

async fn from_lines<'a>(
    gateway: &Gateway,
    jobs: &'a Jobs,
    (asked, key): (JobQuery, Option<&str>),
    body: axum::body::Body,
) -> Result<HandIn<'a>, Failure> {
    let intent = asked.intent.ok_or_else(|| {
        let message = "a job in JSONL names its intent in the URL: /v1/jobs?intent=NAME";
        Failure::new(ErrorCode::InputInvalid, message).at("intent")
    })?;
    check_name("session", asked.session.as_deref())?;
    let terms = Terms { session: asked.session, within: asked.within, ..Terms::default() };
    let mut handing_in = jobs.hand_in(&IntentName::new(&intent), terms, key).await?;
    let options = gateway.options();
    let mut lines = Lines::new(body, options.read_timeout);
    loop {
        let taken = match lines.next().await {
            Ok(None) => return Ok(handing_in),
            Ok(Some(line)) => match json::read(line.trim_ascii_end(), options.max_json_depth) {
                Ok(item) => add(&mut handing_in, item).await,
                Err(failure) => Err(failure),
            },
            Err(failure) => Err(failure),
        };
        if let Err(failure) = taken {
            handing_in.abandon().await?;
            let message = failure.message.strip_prefix("the body ").map(|what| format!("it {what}"));
            let message = of_line(lines.number(), message.as_ref().unwrap_or(&failure.message));
            return Err(Failure { message, ..failure });
        }
    }
}

/// Lists the team's jobs.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "jobs",
    params(Page),
    responses(
        (status = 200, description = "A page", body = JobList),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn list(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let jobs = jobs(&gateway, request.headers(), &[Permission::Call, Permission::Read]).await?;
    let asked: Page = query::read(request.uri())?;
    let limit = query::limit(asked.limit)?.unwrap_or(LIMIT_DEFAULT);
    let before = query::before(asked.before.as_deref(), (JobId::parse, "job"))?;
    let (jobs, next) = jobs.list(before, limit).await?;
    Ok(Json(JobList { jobs, next }).into_response())
}

/// Says how far a job is.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job", body = JobSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn get(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let jobs = jobs(&gateway, request.headers(), &[Permission::Call, Permission::Read]).await?;
    Ok(Json(jobs.get(&id).await?).into_response())
}

/// Gives the results of a job so far, in the order of its items: JSONL.
///
/// Items without a result yet are left out. With `limit` a page: the header `x-baton-next` is `from` of the
/// next one.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/results",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id"), From),
    responses(
        (status = 200, description = "JSONL: one `ItemResult` a line", content_type = "application/jsonl", body = ResultSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn results(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let jobs = jobs(&gateway, request.headers(), &[Permission::Call, Permission::Read]).await?;
    let asked: From = query::read(request.uri())?;
    let from = asked.from.unwrap_or_default();
    if let Some(limit) = query::limit(asked.limit)? {
        let (lines, next) = jobs.results(&id, from, limit).await?;
        let headers = [(CONTENT_TYPE, JSONL), (http::HeaderName::from_static("x-baton-next"), HeaderValue::from(next))];
        return Ok((headers, written(&lines)).into_response());
    }
    jobs.get(&id).await?;
    let pages = futures_util::stream::try_unfold((jobs, id, from), |(jobs, id, from)| async move {
        let (lines, next) = jobs.results(&id, from, RESULTS_AT_ONCE).await?;
        if lines.is_empty() {
            return Ok::<_, Failure>(None);
        }
        Ok(Some((written(&lines), (jobs, id, next))))
    });
    Ok(([(CONTENT_TYPE, JSONL)], axum::body::Body::from_stream(pages)).into_response())
}

fn written(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| line.bytes().chain([b'\n'])).collect()
}

/// Begins no more of a job's items. Those in the air still get their results.
#[utoipa::path(
    post,
    path = "/v1/jobs/{id}/cancel",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 200, description = "The job", body = JobSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn cancel(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let jobs = jobs(&gateway, request.headers(), &[Permission::Call]).await?;
    Ok(Json(jobs.cancel(&id).await?).into_response())
}

/// Deletes a job with its inputs and results. The records of its executions stay as long as any.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn delete(
    State(gateway): State<Gateway>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let jobs = jobs(&gateway, request.headers(), &[Permission::Call]).await?;
    jobs.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
