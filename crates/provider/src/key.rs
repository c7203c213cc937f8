//! A provider's key: read once, sent in one header, never shown.

use std::fmt;

use baton_config::Secret;
use http::HeaderValue;

use crate::ProviderError;

/// What stands in a message where the key stood.
const REDACTED: &str = "[redacted]";

/// A key. Its `Debug` does not show it.
pub(crate) struct Key {
    text: String,
    /// `Bearer …`, marked sensitive.
    pub(crate) header: HeaderValue,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Key {
    /// Reads a key; white space around it (a file's last newline) is not part of it.
    pub(crate) fn read(
        provider: &str,
        secret: &Secret,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ProviderError> {
        let provider = || provider.to_owned();
        let (text, place) = match secret {
            Secret::Env(variable) => {
                let missing = || ProviderError::MissingKey { provider: provider(), variable: variable.clone() };
                (environment(variable).ok_or_else(missing)?, format!("the environment variable {variable}"))
            }
            Secret::File(path) => {
                let failed = |error: std::io::Error| ProviderError::KeyFile {
                    provider: provider(),
                    path: path.clone(),
                    why: error.to_string(),
                };
                (std::fs::read_to_string(path).map_err(failed)?, format!("the file {}", path.display()))
            }
        };
        let text = text.trim().to_owned();
        match HeaderValue::try_from(format!("Bearer {text}")) {
            Ok(mut header) if !text.is_empty() => {
                header.set_sensitive(true);
                Ok(Self { text, header })
            }
            _ => Err(ProviderError::BadKey { provider: provider(), place }),
        }
    }

    /// Tells one key from another, and says nothing of either.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *blake3::hash(self.text.as_bytes()).as_bytes()
    }

    /// The text without the key, for what providers echo.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.text, REDACTED)
    }
}
