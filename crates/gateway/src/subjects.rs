//! `DELETE /v1/subjects/{subject}`: a person is erased.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use baton_config::Snapshot;
use baton_core::{ErrorCode, Failure};
use baton_engine::{Caller, Erasure};
use baton_store::{Permission, StoreError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth;
use crate::error::{ErrorBody, Problem};
use crate::execute::check_name;
use crate::state::Gateway;

/// What an erasure took. All are zero where nobody of this name is known, or nobody any more.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Erasure)]
pub(crate) struct ErasureSchema {
    /// Unix milliseconds. What calls received until then left, or will leave, is gone; later ones are new.
    erased_at_ms: i64,
    /// Records that lost what they say of the person; their figures stay.
    records: u64,
    /// Answers of the exact cache.
    cache_entries: u64,
    /// Entries of the semantic cache, which were neighbours of others.
    semantic_entries: u64,
    /// Answers that were kept for calls which are made again (`Idempotency-Key`).
    repeats: u64,
    /// Corrections, final outputs and comments of feedback.
    feedback: u64,
    /// Labels that lost their correction or comment; their verdicts stay.
    labels: u64,
    /// Items of jobs, answered or not.
    job_items: u64,
}

/// Erases a person from what the team's calls about them left: the `subject` of those calls.
///
/// Inputs, outputs, metadata, sessions and the name itself go, from records, caches, feedback, labels and
/// jobs. Times, tokens, costs, models and verdicts stay. It is durable and done when it is answered.
#[utoipa::path(
    delete,
    path = "/v1/subjects/{subject}",
    tag = "subjects",
    params(("subject" = String, Path, description = "The `subject` of the calls, percent-encoded", max_length = 256)),
    responses(
        (status = 200, description = "What went", body = ErasureSchema),
        (status = "default", description = "An error of the table in docs/errors.md", body = ErrorBody),
    )
)]
pub(crate) async fn erase(
    State(gateway): State<Gateway>,
    subject: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Problem> {
    let caller = auth::allow(&gateway, request.headers(), &[Permission::Admin]).await?;
    let unreadable = |rejection: PathRejection| {
        let message = format!("the subject in the path cannot be read: {}", rejection.body_text());
        Failure::new(ErrorCode::InputInvalid, message).at("subject")
    };
    let Path(subject) = subject.map_err(unreadable)?;
    check_name("subject", Some(&subject))?;
    let orchestrator = gateway.orchestrator();
    whole_team(&caller, &orchestrator.snapshot())?;
    let key = caller.key.as_ref().map(|key| &key.id);
    let erasure: Erasure = orchestrator.erase(&caller.team, &subject, key).await.map_err(failed)?;
    Ok(Json(erasure).into_response())
}

/// A person goes from all intents of a team, or it would be no erasure: a key for some of them may not.
fn whole_team(caller: &Caller, snapshot: &Snapshot) -> Result<(), Failure> {
    let Some(own) = &caller.intents else { return Ok(()) };
    let of_team = Caller::of_team(&caller.team, snapshot).intents;
    if of_team.is_some_and(|all| all.iter().all(|intent| own.contains(intent))) {
        return Ok(());
    }
    let message = "this key is limited to intents, and a person is erased from all of the team's: use a key without \
                   that limit";
    Err(Failure::new(ErrorCode::IntentNotAllowed, message))
}

fn failed(error: StoreError) -> Problem {
    let retry = |failure| Failure { retry_after_ms: Some(1000), ..failure };
    tracing::error!(%error, "a person could not be erased, or not yet");
    match error {
        StoreError::ErasuresFull(_) => retry(Failure::new(ErrorCode::QueueFull, error.to_string())).into(),
        StoreError::Journal(error) => {
            let message = format!("the erasure cannot be recorded, so the person is not erased: {error}");
            retry(Failure::new(ErrorCode::JournalFull, message)).into()
        }
        _ => {
            let message = "the erasure is recorded, and done as soon as the databases can; the server's log says why \
                           they cannot now";
            Failure::new(ErrorCode::Internal, message).into()
        }
    }
}
