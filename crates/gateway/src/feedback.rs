//! `POST /v1/feedback`: what somebody says about an execution.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use baton_config::Plan;
use baton_core::{ErrorCode, ExecutionId, Failure};
use baton_engine::{check_output, check_words, kept_comment};
use baton_store::{Feedback, FeedbackKind, Permission};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{ErrorBody, Problem};
use crate::execute::check_name;
use crate::executions::find;
use crate::state::Gateway;
use crate::{auth, body, json};

const COMMENT_CHARS_MAX: usize = 4096;

/// Exactly one of `score`, `label`, `correction` and `finalOutput`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FeedbackRequest {
    /// About which execution of the team's.
    #[schema(format = "uuid")]
    execution_id: String,
    /// A number, for example stars.
    score: Option<f64>,
    /// What the score measures; `score` unless said.
    name: Option<String>,
    /// A verdict in one word, for example `good`.
    label: Option<String>,
    /// What the answer should have been, in the shape of the intent's output.
    #[schema(value_type = Option<Value>)]
    correction: Option<Value>,
    /// What the person actually sent in the end, in the shape of the intent's output.
    #[schema(value_type = Option<Value>)]
    final_output: Option<Value>,
    /// In the person's words; at most 4096 characters.
    comment: Option<String>,
    /// Who says it, as the caller names them; at most 256 characters.
    by: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FeedbackKept {
    #[schema(value_type = String, format = "uuid")]
    execution_id: ExecutionId,
    /// Always true: the same feedback twice is kept once.
    kept: bool,
}

/// Keeps what somebody says about an execution.
#[utoipa::path(
    post,
    path = "/v1/feedback",
    tag = "executions",
    request_body = FeedbackRequest,
    responses(
        (status = 200, description = "It is kept", body = FeedbackKept),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn feedback(State(gateway): State<Gateway>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let caller = auth::allow(&gateway, &parts.headers, &[Permission::Review, Permission::Call]).await?;
    let options = gateway.options();
    let body = body::read(options, &parts.headers, body).await?;
    let asked: FeedbackRequest = json::read(&body, options.max_json_depth)?;
    let (field, kind) = asked.kind()?;
    let record = find(&gateway, &caller, &asked.execution_id).await?;
    let snapshot = gateway.orchestrator().snapshot();
    let plan = record.intent.as_ref().and_then(|intent| snapshot.intents.get(intent)).map(AsRef::as_ref);
    check_shape(plan, field, &kind)?;
    let words = asked.comment.is_some() || asked.correction.is_some() || asked.final_output.is_some();
    check_words(&record, words)?;
    let feedback = Feedback {
        execution: record.execution,
        team: caller.team,
        at_us: now_us(),
        kind,
        by: asked.by,
        comment: asked.comment.map(|comment| kept_comment(plan, comment)),
    };
    gateway.orchestrator().store().feedback(feedback).await?;
    heard(&gateway).await;
    Ok(Json(FeedbackKept { execution_id: record.execution, kept: true }).into_response())
}

impl FeedbackRequest {
    fn kind(&self) -> Result<(&'static str, FeedbackKind), Failure> {
        check_name("/label", self.label.as_deref())?;
        check_name("/name", self.name.as_deref())?;
        check_name("/by", self.by.as_deref())?;
        let invalid = |param: &str, message: &str| Err(Failure::new(ErrorCode::InputInvalid, message).at(param));
        if self.comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARS_MAX) {
            return invalid("/comment", "comment: at most 4096 characters");
        }
        if self.name.is_some() && self.score.is_none() {
            return invalid("/name", "name says what a score measures: give score too, or leave it out");
        }
        let name = || self.name.clone().unwrap_or_else(|| "score".into());
        let correction = |output: &Value| FeedbackKind::Correction { output: output.clone() };
        let given = [
            self.score.map(|value| ("/score", FeedbackKind::Score { name: name(), value })),
            self.label.clone().map(|value| ("/label", FeedbackKind::Label { value })),
            self.correction.as_ref().map(|output| ("/correction", correction(output))),
            self.final_output.clone().map(|output| ("/finalOutput", FeedbackKind::FinalOutput { output })),
        ];
        let mut given = given.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(one), None) => Ok(one),
            _ => invalid("", "give exactly one of score, label, correction and finalOutput"),
        }
    }
}

/// A corrected output has the shape of the intent's outputs, or nothing could learn from it.
fn check_shape(plan: Option<&Plan>, field: &str, kind: &FeedbackKind) -> Result<(), Failure> {
    let (FeedbackKind::Correction { output } | FeedbackKind::FinalOutput { output }) = kind else { return Ok(()) };
    plan.map_or(Ok(()), |plan| check_output(plan, field.trim_start_matches('/'), output))
}

/// Has an answer that was just called bad forgotten at once. Where that fails, the engine tries again
/// within seconds.
pub(crate) async fn heard(gateway: &Gateway) {
    if let Err(error) = gateway.orchestrator().hear().await {
        tracing::warn!(%error, "a bad label could not be heard: what it is of may be given again for seconds");
    }
}

/// Unix microseconds.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
