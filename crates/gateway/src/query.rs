//! Parameters of a URL, with errors that name them.

use std::fmt::Display;

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

/// The most entries of a page.
const LIMIT_MAX: u16 = 1000;

/// How many entries of a page are asked for, where that is said.
///
/// # Errors
/// `input_invalid` where it is none, or too many.
pub(crate) fn limit<T: Copy + Display + From<u16> + PartialOrd>(asked: Option<T>) -> Result<Option<T>, Failure> {
    match asked {
        Some(limit) if !(T::from(1)..=T::from(LIMIT_MAX)).contains(&limit) => {
            Err(invalid("limit", format!("limit = {limit}: give 1 to {LIMIT_MAX}")))
        }
        asked => Ok(asked),
    }
}

/// The entry that a page ends before, where one is named: an id of `what`.
///
/// # Errors
/// `input_invalid` for what is no such id.
pub(crate) fn before<T>(
    asked: Option<&str>,
    (parse, what): (impl Fn(&str) -> Option<T>, &str),
) -> Result<Option<T>, Failure> {
    let id = |id| parse(id).ok_or_else(|| invalid("before", format!("before = {id} is no {what}'s id")));
    asked.map(id).transpose()
}

fn invalid(param: &str, message: String) -> Failure {
    Failure::new(ErrorCode::InputInvalid, message).at(param)
}
