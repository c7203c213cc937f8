//! Failures as HTTP: the one place where a code becomes a status and a body.

use axum::response::{IntoResponse, Response};
use baton_core::{ErrorCode, ErrorType, ExecutionId, Failure};
use baton_engine::ExecuteError;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::headers::EXECUTION_ID;

/// A call that ends in an error.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    failure: Failure,
    execution: Option<ExecutionId>,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self { failure, execution: None }
    }
}

impl From<ExecuteError> for Problem {
    fn from(error: ExecuteError) -> Self {
        Self { failure: error.failure, execution: Some(error.execution) }
    }
}

impl From<baton_store::StoreError> for Problem {
    fn from(error: baton_store::StoreError) -> Self {
        match error {
            baton_store::StoreError::UnknownExecution(id) => unknown_execution(&id.to_string()).into(),
            error => {
                tracing::error!(%error, "the store could not answer a request");
                Failure::new(ErrorCode::Internal, "the store could not answer; the server's log says why").into()
            }
        }
    }
}

/// There is none, or it is another team's: the answer is the same.
pub(crate) fn unknown_execution(id: &str) -> Failure {
    let message = format!("there is no execution `{id}` for this team; it may be older than its intent keeps records");
    Failure::new(ErrorCode::UnknownExecution, message).at("executionId")
}

/// What the body of an error says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorObject {
    /// The family of the code.
    #[schema(examples("invalid_request"))]
    r#type: &'static str,
    /// What went wrong, to match on.
    #[schema(examples("input_invalid"))]
    code: &'static str,
    /// What was wrong, where, and what to do.
    message: String,
    /// The field, as a JSON pointer or a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
    /// The execution, where one was begun: its record says more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    execution_id: Option<ExecutionId>,
    /// When to come back, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    /// Where the code is explained, from the root of the repository.
    #[schema(examples("docs/errors.md#input_invalid"))]
    docs: String,
}

/// The body of an error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorObject,
}

/// The body of an error on OpenAI's endpoints.
#[derive(Serialize, ToSchema)]
#[schema(as = OpenAiError)]
pub(crate) struct OpenAiErrorBody {
    error: OpenAiErrorObject,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct OpenAiErrorObject {
    /// What was wrong, where, and what to do.
    message: String,
    /// OpenAI's name for the family of the code.
    #[schema(examples("invalid_request_error"))]
    r#type: &'static str,
    /// The field.
    param: Option<String>,
    /// Our code.
    code: &'static str,
}

impl Problem {
    /// Begun as this execution.
    pub(crate) fn of(execution: ExecutionId, failure: Failure) -> Self {
        Self { failure, execution: Some(execution) }
    }

    /// The body.
    pub(crate) fn envelope(&self) -> ErrorBody {
        let code = self.failure.code;
        let error = ErrorObject {
            r#type: type_name(code.error_type()),
            code: code.as_str(),
            message: self.failure.message.clone(),
            param: self.failure.param.clone(),
            execution_id: self.execution,
            retry_after_ms: self.failure.retry_after_ms,
            docs: format!("docs/errors.md#{}", code.as_str()),
        };
        ErrorBody { error }
    }

    /// The body on OpenAI's endpoints.
    pub(crate) fn openai_envelope(&self) -> OpenAiErrorBody {
        let error = OpenAiErrorObject {
            message: self.failure.message.clone(),
            r#type: openai_type_name(self.failure.code.error_type()),
            param: self.failure.param.clone(),
            code: self.failure.code.as_str(),
        };
        OpenAiErrorBody { error }
    }

    /// The response of OpenAI's endpoints.
    pub(crate) fn into_openai(self) -> Response {
        let body = json(&self.openai_envelope());
        self.respond(body)
    }

    fn respond(self, body: Vec<u8>) -> Response {
        let mut response = (status(self.failure.code), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(execution) = self.execution {
            headers.extend(HeaderValue::try_from(execution.to_string()).map(|id| (EXECUTION_ID, id)));
        }
        if let Some(ms) = self.failure.retry_after_ms {
            headers.insert(RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000).max(1)));
        }
        if self.failure.code.error_type() == ErrorType::Authentication {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json(&self.envelope());
        self.respond(body)
    }
}

fn json(body: &impl Serialize) -> Vec<u8> {
    // Strings and numbers: nothing in it can fail.
    serde_json::to_vec(body).unwrap_or_default()
}

/// The status of a code, as the table in `docs/errors.md` has it.
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    match code.error_type() {
        ErrorType::InvalidRequest if code == ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorType::InvalidRequest | ErrorType::UpstreamRejected => StatusCode::BAD_REQUEST,
        ErrorType::NotFound => StatusCode::NOT_FOUND,
        ErrorType::Conflict => StatusCode::CONFLICT,
        ErrorType::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorType::Authentication => StatusCode::UNAUTHORIZED,
        ErrorType::Permission => StatusCode::FORBIDDEN,
        ErrorType::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorType::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        ErrorType::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorType::UpstreamFailed | ErrorType::Quality => StatusCode::BAD_GATEWAY,
        ErrorType::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

pub(crate) fn type_name(family: ErrorType) -> &'static str {
    match family {
        ErrorType::InvalidRequest => "invalid_request",
        ErrorType::NotFound => "not_found",
        ErrorType::Conflict => "conflict",
        ErrorType::TooLarge => "too_large",
        ErrorType::Authentication => "authentication",
        ErrorType::Permission => "permission",
        ErrorType::RateLimited => "rate_limited",
        ErrorType::Overloaded => "overloaded",
        ErrorType::DeadlineExceeded => "deadline_exceeded",
        ErrorType::UpstreamFailed => "upstream_failed",
        ErrorType::UpstreamRejected => "upstream_rejected",
        ErrorType::Quality => "quality",
        ErrorType::Internal => "internal",
    }
}

fn openai_type_name(family: ErrorType) -> &'static str {
    match family {
        ErrorType::InvalidRequest
        | ErrorType::NotFound
        | ErrorType::Conflict
        | ErrorType::TooLarge
        | ErrorType::UpstreamRejected => "invalid_request_error",
        ErrorType::Authentication => "authentication_error",
        ErrorType::Permission => "permission_error",
        ErrorType::RateLimited => "rate_limit_error",
        ErrorType::Overloaded
        | ErrorType::DeadlineExceeded
        | ErrorType::UpstreamFailed
        | ErrorType::Quality
        | ErrorType::Internal => "server_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `docs/errors.md`, row by row: type, codes, status.
    #[test]
    fn the_documented_table_is_the_one_that_is_served() {
        let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md")).unwrap();
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let rows: Vec<Vec<&str>> =
            document.lines().filter(|line| line.starts_with("| `")).map(|line| line.split('|').collect()).collect();
        let mut seen = Vec::new();
        for row in rows {
            for name in names(row[2]) {
                let code = *ErrorCode::ALL.iter().find(|code| code.as_str() == name).unwrap();
                let expected = if name == "method_not_allowed" { "405" } else { row[3].trim().get(..3).unwrap() };
                assert_eq!(status(code).as_str(), expected, "{name}");
                assert_eq!(names(row[1]), [type_name(code.error_type())], "{name}");
                seen.push(code);
            }
        }
        assert_eq!(seen, ErrorCode::ALL);
    }
}
