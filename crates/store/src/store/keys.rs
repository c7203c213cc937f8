//! Keys of callers: made, listed, ended, and looked up from memory.

use std::time::Instant;

use baton_core::TeamId;

use super::{Disk, Store, now_us};
use crate::keys;
use crate::{KeyInfo, NewKey, StoreError};

impl Store {
    /// Makes a key. The second value is its secret: it is shown once and kept nowhere.
    ///
    /// # Errors
    /// [`StoreError::Random`]; what the database says.
    pub async fn create_key(&self, new: NewKey) -> Result<(KeyInfo, String), StoreError> {
        let (key, secret) = keys::draw(new, now_us())?;
        let info = key.info.clone();
        if let Some(disk) = &self.0.disk {
            disk.control.add_key(&key).await?;
            self.load_keys(disk).await?;
        } else {
            self.0.keys.insert(key);
        }
        Ok((info, secret))
    }

    /// Keys of one team, or all; the oldest first, the revoked included.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_keys(&self, team: Option<&TeamId>) -> Result<Vec<KeyInfo>, StoreError> {
        if let Some(disk) = &self.0.disk {
            self.load_keys(disk).await?;
        }
        Ok(self.0.keys.list(team))
    }

    /// Ends a key for good. False where there is no key with this id.
    ///
    /// # Errors
    /// What the database says.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, StoreError> {
        let Some(disk) = &self.0.disk else { return Ok(self.0.keys.revoke(id, now_us())) };
        let found = disk.control.revoke_key(id, now_us()).await?;
        self.load_keys(disk).await?;
        Ok(found)
    }

    /// The key with this secret; `None` where it is unknown, expired or revoked. Answers from
    /// memory; what another process changed is seen within two seconds.
    ///
    /// # Errors
    /// What the database says.
    pub async fn authenticate(&self, secret: &str) -> Result<Option<KeyInfo>, StoreError> {
        let mut found = self.0.keys.find(secret);
        if self.refresh_keys(found.is_some()).await? {
            found = self.0.keys.find(secret);
        }
        Ok(found.filter(|key| key.is_active(now_us())))
    }

    /// The key with this id, as [`Store::authenticate`] would give it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn key(&self, id: &str) -> Result<Option<KeyInfo>, StoreError> {
        self.refresh_keys(true).await?;
        Ok(self.0.keys.list(None).into_iter().find(|key| key.id == id && key.is_active(now_us())))
    }

    /// Whether a key was ever made: without one, a server asks for none. One that has expired or was
    /// revoked counts, or ending the last key would open the server to everybody.
    ///
    /// # Errors
    /// What the database says.
    pub async fn any_keys(&self) -> Result<bool, StoreError> {
        self.refresh_keys(true).await?;
        Ok(!self.0.keys.is_empty())
    }

    /// Whether the keys were read again, because what was looked up was found (or not) too long after
    /// they were read.
    async fn refresh_keys(&self, found: bool) -> Result<bool, StoreError> {
        match &self.0.disk {
            Some(disk) if self.0.keys.is_stale(found, Instant::now()) => self.load_keys(disk).await.map(|()| true),
            _ => Ok(false),
        }
    }

    async fn load_keys(&self, disk: &Disk) -> Result<(), StoreError> {
        self.0.keys.set(disk.control.keys().await?);
        Ok(())
    }
}
