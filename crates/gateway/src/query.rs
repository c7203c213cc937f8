//! Parameters of a URL, with errors that name them.

use axum::extract::Query;
use baton_core::{ErrorCode, Failure};
use http::Uri;
use serde::de::DeserializeOwned;

/// Reads them.
///
/// # Errors
/// `input_invalid`.
pub(crate) fn read<T: DeserializeOwned>(uri: &Uri) -> Result<T, Failure> {
    Query::try_from_uri(uri).map(|Query(parameters)| parameters).map_err(|rejection| {
        let message = rejection.body_text();
        Failure::new(ErrorCode::InputInvalid, format!("the parameters of the URL: {message}"))
    })
}
