//! Who calls: from a key to a [`Caller`].

use std::net::IpAddr;

use baton_core::{ErrorCode, Failure};
use baton_engine::Caller;
use baton_store::{KeyInfo, Permission};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};

use crate::error::Problem;
use crate::state::Gateway;

/// The caller, where one of these permissions is among the key's. Without keys in the store the
/// server is open, as team `default`.
///
/// # Errors
/// `missing_key`, `invalid_key`, `permission_missing`.
pub(crate) async fn allow(gateway: &Gateway, headers: &HeaderMap, any_of: &[Permission]) -> Result<Caller, Problem> {
    let store = gateway.orchestrator().store();
    let secret = secret(headers);
    if let Some(secret) = secret
        && let Some(key) = store.authenticate(secret).await?
    {
        return caller(gateway, &key, any_of).map_err(Problem::from);
    }
    if gateway.options().open_without_keys && !store.any_keys().await? {
        return open(headers).map_err(Problem::from);
    }
    let (code, message) = match secret {
        None => (ErrorCode::MissingKey, "a key is needed: send `authorization: Bearer bk_…`, or `x-api-key: bk_…`"),
        Some(_) => (ErrorCode::InvalidKey, "this key is unknown, expired or revoked: `baton keys create` makes one"),
    };
    Err(Failure::new(code, message).into())
}

fn secret(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
    });
    bearer.or_else(|| headers.get("x-api-key")?.to_str().ok())
}

fn caller(gateway: &Gateway, key: &KeyInfo, any_of: &[Permission]) -> Result<Caller, Failure> {
    if !any_of.iter().any(|permission| key.permissions.contains(permission)) {
        let needed: Vec<&str> = any_of.iter().map(|permission| permission.as_str()).collect();
        let message = format!("key {} may not do this: it takes the permission {}", key.id, needed.join(" or "));
        return Err(Failure::new(ErrorCode::PermissionMissing, message));
    }
    Ok(Caller::of(key, &gateway.orchestrator().snapshot()))
}

/// Open means open to this machine, not to the pages that its browser has open: neither those of
/// other origins, nor those whose name was made to point here (DNS rebinding).
fn open(headers: &HeaderMap) -> Result<Caller, Failure> {
    let is_local = |name: &HeaderValue| {
        let uri = name.to_str().ok().and_then(|name| name.parse::<Uri>().ok());
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    };
    if [ORIGIN, HOST].into_iter().filter_map(|name| headers.get(name)).all(is_local) {
        return Ok(Caller::default());
    }
    let message = "without keys this server answers to localhost only, and not to web pages of other origins: \
                   make a key with `baton keys create`";
    Err(Failure::new(ErrorCode::PermissionMissing, message))
}
