//! Route: the candidates in the order to ask.

use std::sync::Arc;

use baton_core::Candidate;

use crate::resolve::Request;

/// In the order written, or in the order that the call names. There is no evidence yet to rank by.
pub(crate) fn route(request: &Request) -> Arc<[Candidate]> {
    Arc::clone(&request.candidates)
}
