//! Reading a request's body within its bounds.

use axum::body::{Body, Bytes};
use baton_core::{ErrorCode, Failure};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::time::timeout;

use crate::GatewayOptions;

/// The whole body. One that arrives in one piece is not copied.
///
/// # Errors
/// `body_too_large`, `deadline_exceeded` where it does not arrive in time, `invalid_json` where it
/// breaks off.
pub(crate) async fn read(options: &GatewayOptions, headers: &HeaderMap, body: Body) -> Result<Bytes, Failure> {
    let max = options.max_body_bytes;
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|declared| declared > max) {
        return Err(too_large(max));
    }
    match timeout(options.read_timeout, Limited::new(body, max).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(max)),
        Ok(Err(error)) => Err(Failure::new(ErrorCode::InvalidJson, format!("the body broke off: {error}"))),
        Err(_) => {
            let message = format!("the body did not arrive within {} s", options.read_timeout.as_secs_f64());
            Err(Failure::new(ErrorCode::DeadlineExceeded, message))
        }
    }
}

fn too_large(max: usize) -> Failure {
    Failure::new(ErrorCode::BodyTooLarge, format!("the body is over {max} bytes: send less"))
}
