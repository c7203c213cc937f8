//! Tokens, as vendors count them.

use baton_core::Usage;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::tree::Tree;
use crate::WireError;

/// A vendor's count; anything else in it is left over.
#[derive(Debug)]
pub(super) struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    left: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Tree::deserialize(deserializer)?;
        Fields::of(tree, "/usage".to_owned()).and_then(Self::of).map_err(|error| D::Error::custom(error.message))
    }
}

impl Counted {
    pub(super) fn of(mut fields: Fields<'_>) -> Result<Self, WireError> {
        let prompt_tokens = fields.count("prompt_tokens")?;
        let completion_tokens = fields.count("completion_tokens")?;
        let total_tokens = fields.count("total_tokens")?;
        // DeepSeek's name.
        let hit = fields.count("prompt_cache_hit_tokens")?;
        let cached_tokens = detail(&mut fields, "prompt_tokens_details", "cached_tokens")?.or(hit);
        let reasoning_tokens = detail(&mut fields, "completion_tokens_details", "reasoning_tokens")?;
        let left = fields.left();
        Ok(Self { prompt_tokens, completion_tokens, total_tokens, cached_tokens, reasoning_tokens, left })
    }

    /// The canonical count. Where the total says more than prompt and completion together, the rest
    /// is output: xAI and Gemini leave reasoning out of `completion_tokens`, and charge for it.
    pub(super) fn usage(&self) -> Usage {
        let input_tokens = self.prompt_tokens.unwrap_or_default();
        let output_tokens = self.completion_tokens.unwrap_or_default();
        let unlisted = self.total_tokens.unwrap_or_default().saturating_sub(input_tokens.saturating_add(output_tokens));
        Usage {
            input_tokens,
            output_tokens: output_tokens.saturating_add(unlisted),
            cached_tokens: self.cached_tokens.unwrap_or_default(),
            reasoning_tokens: self.reasoning_tokens.unwrap_or_default(),
            estimated: false,
        }
    }

    /// What the canonical count does not know, nested as it came.
    pub(super) fn into_left(self) -> Map<String, Value> {
        self.left
    }
}

/// A count within a count; what else stands beside it is left over.
fn detail(fields: &mut Fields<'_>, name: &'static str, count: &str) -> Result<Option<u64>, WireError> {
    let Some(mut details) = fields.object(name)? else { return Ok(None) };
    let counted = details.count(count)?;
    fields.put_back(name, Value::Object(details.left()));
    Ok(counted)
}

/// The count as OpenAI writes it.
#[derive(Serialize)]
pub(super) struct Written {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Cached,
    completion_tokens_details: Reasoning,
}

#[derive(Serialize)]
struct Cached {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct Reasoning {
    reasoning_tokens: u64,
}

impl Written {
    pub(super) fn of(usage: &Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: Cached { cached_tokens: usage.cached_tokens },
            completion_tokens_details: Reasoning { reasoning_tokens: usage.reasoning_tokens },
        }
    }
}

/// The same as a value.
pub(super) fn encode(usage: &Usage) -> Value {
    #[expect(clippy::unwrap_used, reason = "keys are strings and counts are whole: this cannot fail")]
    serde_json::to_value(Written::of(usage)).unwrap()
}
