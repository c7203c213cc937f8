//! `POST /v1/execute/batch`: many inputs, answered in one response.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use baton_core::{CallConfig, ErrorCode, Failure, Idempotency, IntentName};
use baton_engine::{Call, ExecuteError, Execution, ItemResult, JobInput};
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::request::{self, check_metadata, check_name};
use super::{Received, key_of, receive};
use crate::error::{ErrorBody, Problem};
use crate::schemas::{CallConfigSchema, ItemSchema, ResultSchema};
use crate::state::Gateway;
use crate::{headers, json};

/// Items of one request.
const ITEMS_MAX: usize = 128;

/// Many inputs of one intent.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BatchRequest {
    /// The intent: the name of its folder.
    #[schema(examples("classify-ticket"))]
    intent: String,
    /// What it is asked about, one by one; 1 to 128.
    #[schema(value_type = Vec<ItemSchema>, min_items = 1, max_items = 128)]
    items: Vec<JobInput>,
    /// Limits of each call, within the intent's and the key's.
    #[serde(default)]
    #[schema(value_type = CallConfigSchema)]
    config: CallConfig,
    /// Of each call, besides an item's own: at most 32 entries.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Groups the calls; at most 256 characters.
    #[schema(max_length = 256)]
    session: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BatchResponse<'a> {
    /// In the order of the items.
    #[schema(value_type = Vec<ResultSchema>)]
    results: Vec<ItemResult<'a>>,
}

/// Answers many inputs of one intent at once.
///
/// Each is an execution of its own, with its own deadline, record and error: one that fails fails none of
/// the others, and the response is 200 all the same. With the header `Idempotency-Key` the same request
/// again is given the same executions again, for 24 hours.
#[utoipa::path(
    post,
    path = "/v1/execute/batch",
    tag = "calls",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the calls: made again, they are given \
        the same executions, for 24 hours. 1 to 255 bytes", max_length = 255)),
    request_body = BatchRequest,
    responses(
        (status = 200, description = "The results", body = BatchResponse<'_>),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn batch(State(gateway): State<Gateway>, request: Request) -> Response {
    respond(&gateway, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn respond(gateway: &Gateway, request: Request) -> Result<Response, Problem> {
    let Received { parts, caller, body, at } = receive(gateway, request).await?;
    let key = key_of(&parts)?;
    let request: BatchRequest = json::read(&body, gateway.options().max_json_depth).map_err(request::explain)?;
    drop(body);
    request.check()?;
    let mut started = Vec::with_capacity(request.items.len());
    for (place, item) in request.items.iter().enumerate() {
        let call = Call {
            caller: caller.clone(),
            trace: headers::trace(&parts.headers),
            idempotency: request.named(&parts, key.as_deref(), place)?,
            received: at,
            ..request.call(item)
        };
        started.push(match gateway.room(&call.caller.team) {
            Ok(()) => Ok(gateway.orchestrator().start(call)),
            Err(failure) => Err(failure),
        });
    }
    let mut ended = Vec::with_capacity(started.len());
    for execution in started {
        ended.push(end(execution).await);
    }
    let results = (0..).zip(&request.items).zip(&ended).map(|((place, item), ended)| {
        let named = (place, item.id.as_deref());
        match ended {
            Ok(delivered) => ItemResult::answered(named, &delivered.answer),
            Err((failure, execution)) => ItemResult::failed(named, failure, *execution),
        }
    });
    let body = json::written(&BatchResponse { results: results.collect() })?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response())
}

type Ended = Result<std::sync::Arc<baton_engine::Delivered>, (Failure, Option<baton_core::ExecutionId>)>;

async fn end(started: Result<Execution, Failure>) -> Ended {
    let failed = |ExecuteError { execution, failure }| (failure, Some(execution));
    match started {
        Ok(execution) => execution.end().await.map_err(failed),
        Err(failure) => Err((failure, None)),
    }
}

impl BatchRequest {
    fn check(&self) -> Result<(), Failure> {
        if !(1..=ITEMS_MAX).contains(&self.items.len()) {
            let message =
                format!("{} items: give 1 to {ITEMS_MAX} at once, and more as a job (POST /v1/jobs)", self.items.len());
            return Err(Failure::new(ErrorCode::InputInvalid, message).at("/items"));
        }
        check_metadata(&self.metadata)?;
        check_name("/session", self.session.as_deref())?;
        for (place, item) in self.items.iter().enumerate() {
            let at = |failure: Failure| {
                let param = format!("/items/{place}{}", failure.param.as_deref().unwrap_or_default());
                failure.at(param)
            };
            check_metadata(&item.metadata).map_err(at)?;
            check_name("/subject", item.subject.as_deref()).map_err(at)?;
            check_name("/id", item.id.as_deref()).map_err(at)?;
        }
        Ok(())
    }

    fn call(&self, item: &JobInput) -> Call {
        item.call(IntentName::new(&self.intent), (&self.config, &self.metadata, self.session.as_deref()))
    }

    /// An item's own name, where the request has one: it stands for what the item asks.
    fn named(&self, parts: &Parts, key: Option<&str>, place: usize) -> Result<Option<Idempotency>, Failure> {
        let Some(key) = key else { return Ok(None) };
        let item = &self.items[place];
        let asked =
            json::written(&(parts.uri.path(), &self.intent, &self.config, &self.metadata, &self.session, item))?;
        let body = baton_engine::idempotency(key, &asked)?.body;
        // A place's name is a hash of the request's and of the place: no other request can have it.
        let key = baton_engine::idempotency(key, format!("{key}\n{place}").as_bytes())?.body;
        Ok(Some(Idempotency { key, body }))
    }
}
