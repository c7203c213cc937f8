//! Tokens, as vendors count them.

use baton_core::Usage;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A vendor's count; anything else in it is left over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
    #[serde(flatten)]
    pub(super) left: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    #[serde(flatten)]
    left: Map<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
    #[serde(flatten)]
    left: Map<String, Value>,
}

impl Counted {
    /// The canonical count. Where the total says more than prompt and completion together, the rest
    /// is output: xAI and Gemini leave reasoning out of `completion_tokens`, and charge for it.
    pub(super) fn usage(&self) -> Usage {
        let input_tokens = self.prompt_tokens.unwrap_or_default();
        let output_tokens = self.completion_tokens.unwrap_or_default();
        let unlisted = self.total_tokens.unwrap_or_default().saturating_sub(input_tokens.saturating_add(output_tokens));
        let cached = self.prompt_tokens_details.as_ref().and_then(|d| d.cached_tokens);
        let written = self.prompt_tokens_details.as_ref().and_then(|d| d.cache_write_tokens);
        // Anthropic's own count, by how long it is kept, where a server passes it on.
        let kept = |how_long: &str| self.left.get("cache_creation")?.get(how_long)?.as_u64();
        let hour = kept("ephemeral_1h_input_tokens").unwrap_or_default();
        let minutes = kept("ephemeral_5m_input_tokens").unwrap_or_default();
        Usage {
            input_tokens,
            output_tokens: output_tokens.saturating_add(unlisted),
            cached_tokens: cached.or(self.prompt_cache_hit_tokens).unwrap_or_default(),
            cache_write_tokens: written.unwrap_or_else(|| minutes.saturating_add(hour)),
            cache_write_1h_tokens: hour,
            reasoning_tokens: self
                .completion_tokens_details
                .as_ref()
                .and_then(|d| d.reasoning_tokens)
                .unwrap_or_default(),
            estimated: false,
        }
    }

    /// What the canonical count does not know, nested as it came.
    pub(super) fn into_left(mut self) -> Map<String, Value> {
        let details = [
            ("prompt_tokens_details", self.prompt_tokens_details.map(|d| d.left)),
            ("completion_tokens_details", self.completion_tokens_details.map(|d| d.left)),
        ];
        for (name, left) in details {
            if let Some(left) = left.filter(|l| !l.is_empty()) {
                self.left.insert(name.to_owned(), Value::Object(left));
            }
        }
        self.left
    }
}

/// The count as OpenAI writes it.
pub(super) fn encode(usage: &Usage) -> Value {
    let mut encoded = json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens.saturating_add(usage.output_tokens),
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    });
    if usage.cache_write_tokens > 0 {
        encoded["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write_tokens.into();
    }
    encoded
}
