//! API keys: 256 random bits, shown once, kept as their blake3 hash.

use std::collections::{BTreeSet, HashMap};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use baton_core::{Allowance, IntentName, TeamId};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::StoreError;

/// What every key starts with, so that scanners for leaked secrets find them.
const PREFIX: &str = "bk_";

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Call models and intents, and give feedback.
    Call,
    /// Read executions and reports.
    Read,
    /// Review answers.
    Review,
    /// Change what runs.
    Operate,
    /// Manage keys, and erase people.
    Admin,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 5] = [Self::Call, Self::Read, Self::Review, Self::Operate, Self::Admin];

    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Read => "read",
            Self::Review => "review",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    /// The permission of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == name)
    }
}

/// What a new key is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Whose calls it makes.
    pub team: TeamId,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
    /// The intents that it may use; `None` is all of the team's.
    pub intents: Option<Vec<IntentName>>,
    /// When it ends, Unix microseconds; `None` is never.
    pub expires_at_us: Option<i64>,
    /// What it may use.
    pub allowance: Allowance,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// Names it in lists and for revocation: 16 hexadecimal digits.
    pub id: String,
    /// Whose calls it makes.
    pub team: TeamId,
    /// What it may do.
    pub permissions: BTreeSet<Permission>,
    /// The intents that it may use; `None` is all of the team's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intents: Option<Vec<IntentName>>,
    /// Unix microseconds.
    pub created_at_us: i64,
    /// Unix microseconds; `None` is never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_us: Option<i64>,
    /// What it may use, besides what its team may.
    #[serde(default, skip_serializing_if = "Allowance::is_unlimited")]
    pub allowance: Allowance,
    /// Unix microseconds; `None` while it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at_us: Option<i64>,
}

impl KeyInfo {
    /// Whether it may be used at this time, Unix microseconds.
    #[must_use]
    pub fn is_active(&self, now_us: i64) -> bool {
        self.revoked_at_us.is_none() && self.expires_at_us.is_none_or(|expires| now_us < expires)
    }
}

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredKey {
    pub(crate) hash: [u8; 32],
    pub(crate) info: KeyInfo,
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
    text
}

fn hash(secret: &str) -> [u8; 32] {
    *blake3::hash(secret.as_bytes()).as_bytes()
}

/// A key's name is the start of its hash.
fn id(hash: &[u8; 32]) -> String {
    hex(&hash[..8])
}

/// Draws a secret: the key as it is kept, and the secret, which is never seen again.
pub(crate) fn draw(new: NewKey, now_us: i64) -> Result<(StoredKey, String), StoreError> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|error| StoreError::Random(error.to_string()))?;
    let secret = format!("{PREFIX}{}", hex(&bits));
    let hash = hash(&secret);
    let info = KeyInfo {
        id: id(&hash),
        team: new.team,
        permissions: new.permissions,
        intents: new.intents,
        created_at_us: now_us,
        expires_at_us: new.expires_at_us,
        allowance: new.allowance,
        revoked_at_us: None,
    };
    Ok((StoredKey { hash, info }, secret))
}

/// All keys in memory, so that a call is authenticated without a query.
#[derive(Debug, Default)]
pub(crate) struct KeyCache(RwLock<Cached>);

#[derive(Debug, Default)]
struct Cached {
    by_id: HashMap<String, StoredKey>,
    loaded_at: Option<Instant>,
}

/// Keys that another process made or revoked are seen after this.
const FRESH: Duration = Duration::from_secs(2);

/// An unknown key asks the database again, but not more often than this.
const FRESH_FOR_UNKNOWN: Duration = Duration::from_millis(200);

impl KeyCache {
    pub(crate) fn set(&self, keys: Vec<StoredKey>) {
        let by_id = keys.into_iter().map(|key| (key.info.id.clone(), key)).collect();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Cached { by_id, loaded_at: Some(Instant::now()) };
    }

    /// Whether the keys should be read again before it counts that one was `found` among them, or not.
    pub(crate) fn is_stale(&self, found: bool, now: Instant) -> bool {
        let fresh = if found { FRESH } else { FRESH_FOR_UNKNOWN };
        self.read().loaded_at.is_none_or(|at| now.saturating_duration_since(at) > fresh)
    }

    /// The key with this secret, active or not. The secret's hash is compared in constant time.
    pub(crate) fn find(&self, secret: &str) -> Option<KeyInfo> {
        let hash = hash(secret);
        let cached = self.read();
        let key = cached.by_id.get(&id(&hash))?;
        bool::from(key.hash.ct_eq(&hash)).then(|| key.info.clone())
    }

    /// Whether there is none, active or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.read().by_id.is_empty()
    }

    /// Of one team, or all; the oldest first.
    pub(crate) fn list(&self, team: Option<&TeamId>) -> Vec<KeyInfo> {
        let cached = self.read();
        let of_team = cached.by_id.values().filter(|key| team.is_none_or(|team| key.info.team == *team));
        let mut keys: Vec<KeyInfo> = of_team.map(|key| key.info.clone()).collect();
        keys.sort_by(|a, b| (a.created_at_us, &a.id).cmp(&(b.created_at_us, &b.id)));
        keys
    }

    /// Where there is no database: keys live here only.
    pub(crate) fn insert(&self, key: StoredKey) {
        let mut cached = self.0.write().unwrap_or_else(PoisonError::into_inner);
        cached.by_id.insert(key.info.id.clone(), key);
    }

    /// Where there is no database. False where there is no such key.
    pub(crate) fn revoke(&self, id: &str, now_us: i64) -> bool {
        let mut cached = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let key = cached.by_id.get_mut(id);
        key.map(|key| key.info.revoked_at_us.get_or_insert(now_us)).is_some()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Cached> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_key() -> (StoredKey, String) {
        let permissions = BTreeSet::from([Permission::Call]);
        let (team, allowance) = ("support".into(), Allowance::default());
        draw(NewKey { team, permissions, intents: None, expires_at_us: Some(100), allowance }, 7).unwrap()
    }

    #[test]
    fn a_key_is_found_by_its_secret_only() {
        let ((key, secret), (_, other)) = (new_key(), new_key());
        assert!(secret.starts_with("bk_") && secret.len() == 3 + 64, "{secret}");
        let cache = KeyCache::default();
        cache.set(vec![key.clone()]);
        assert_eq!(cache.find(&secret), Some(key.info.clone()));
        for wrong in [other.as_str(), "", "bk_", &secret[..60], &key.info.id] {
            assert_eq!(cache.find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_start_of_the_hash_is_not_enough() {
        let (mut key, secret) = new_key();
        key.hash[31] ^= 1;
        let cache = KeyCache::default();
        cache.set(vec![key]);
        assert_eq!(cache.find(&secret), None);
    }

    #[test]
    fn keys_end_when_they_expire_or_are_revoked() {
        let (key, _) = new_key();
        assert!(key.info.is_active(99));
        assert!(!key.info.is_active(100));
        assert!(!KeyInfo { revoked_at_us: Some(8), ..key.info }.is_active(99));
    }

    #[test]
    fn keys_are_read_again_after_two_seconds_and_sooner_for_an_unknown_one() {
        let ((key, _), cache) = (new_key(), KeyCache::default());
        assert!(cache.is_stale(true, Instant::now()), "never read");
        cache.set(vec![key]);
        let after = |ms| Instant::now() + Duration::from_millis(ms);
        for (ms, known, unknown) in [(0, false, false), (1000, false, true), (3000, true, true)] {
            assert_eq!(cache.is_stale(true, after(ms)), known, "known after {ms} ms");
            assert_eq!(cache.is_stale(false, after(ms)), unknown, "unknown after {ms} ms");
        }
    }
}
