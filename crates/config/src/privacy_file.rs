//! The shape of `[privacy]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[privacy]`. Governs journal, cache and traces too.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PrivacyFile {
    /// `full`: inputs and outputs are stored. `redacted`: they are, with personal data that can be told by its
    /// form (mail addresses, phone, card and account numbers, IP addresses, keys, long numbers) replaced by
    /// marks. `none`: they are not.
    pub(crate) store: StoreContentFile,
    /// How long records are kept: `30d`.
    pub(crate) keep: String,
}

impl Default for PrivacyFile {
    fn default() -> Self {
        Self { store: StoreContentFile::Full, keep: "30d".into() }
    }
}

/// What is stored of inputs and outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreContentFile {
    #[default]
    Full,
    Redacted,
    None,
}
