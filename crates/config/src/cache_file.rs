//! The shape of `[cache]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[cache]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CacheFile {
    /// How long an answer is remembered: `30s`, `1h`, `7d`. The ceiling of a call's `cacheTTL` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<String>,
    /// Calls that differ in one of these never share an answer: `metadata.customer`. Must be there for
    /// the semantic cache; `[]` shares answers within the team, on purpose.
    #[schemars(length(max = 16))]
    pub(crate) partition: Vec<String>,
    /// Switches the semantic cache on: the share of the answers given to similar inputs that may differ
    /// from what the model would have answered. The ceiling of a call's `semanticErrorMax` too.
    #[schemars(range(max = 0.2), extend("exclusiveMinimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) semantic_error_max: Option<f64>,
    /// What tells which inputs are similar: `hashed` needs nothing, `wordllama` and `minilm` need their
    /// weights (`baton embeddings pull NAME`) and find more. `provider/model`, or an alias of
    /// `baton.toml`, is asked for each input over the network, and is paid for.
    #[schemars(length(min = 1))]
    #[serde(skip_serializing_if = "EmbeddingFile::is_default")]
    pub(crate) embedding: EmbeddingFile,
    /// Fields of the input that must be the same for an answer to be given to a similar input:
    /// `ticket.product`. They are not embedded.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) slots: Vec<String>,
}

/// What tells which inputs are similar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct EmbeddingFile(pub(crate) String);

impl Default for EmbeddingFile {
    fn default() -> Self {
        Self("hashed".into())
    }
}

impl EmbeddingFile {
    /// What is not said leaves the hashes of older files as they are.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
