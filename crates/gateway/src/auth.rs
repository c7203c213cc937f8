//! Who calls: from a key to a [`Caller`].

use std::sync::Arc;

use baton_core::{ErrorCode, Failure, IntentName};
use baton_engine::Caller;
use baton_store::{KeyInfo, Permission};
use http::header::{AUTHORIZATION, ORIGIN};
use http::{HeaderMap, Uri};

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
    let of_team = gateway.orchestrator().snapshot().teams.get(&key.team).and_then(|team| team.intents.as_deref());
    Ok(Caller { team: key.team.clone(), intents: both(key.intents.as_deref(), of_team) })
}

/// The intents that key and team both allow; `None` is all.
fn both(key: Option<&[IntentName]>, team: Option<&[IntentName]>) -> Option<Arc<[IntentName]>> {
    match (key, team) {
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => Some(one.into()),
        (Some(key), Some(team)) => Some(key.iter().filter(|name| team.contains(name)).cloned().collect()),
    }
}

/// Open means open to this machine, not to the pages that its browser has open.
fn open(headers: &HeaderMap) -> Result<Caller, Failure> {
    let is_local = |origin: &str| {
        let origin = origin.parse::<Uri>().ok();
        let host = origin.as_ref().and_then(Uri::host).unwrap_or_default();
        matches!(host, "localhost" | "[::1]") || host.starts_with("127.")
    };
    match headers.get(ORIGIN) {
        Some(origin) if !origin.to_str().is_ok_and(is_local) => Err(Failure::new(
            ErrorCode::PermissionMissing,
            "without keys, pages of other origins may not call: make a key with `baton keys create`",
        )),
        _ => Ok(Caller::default()),
    }
}

/// A key that is limited to intents may not go around them to the models.
///
/// # Errors
/// `intent_not_allowed`.
pub(crate) fn may_call_models(caller: &Caller) -> Result<(), Failure> {
    if caller.intents.is_none() {
        return Ok(());
    }
    let message = "this key is limited to intents: name one as `intent:NAME`, or use a key without that limit";
    Err(Failure::new(ErrorCode::IntentNotAllowed, message).at("model"))
}
