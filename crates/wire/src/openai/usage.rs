//! Tokens, as vendors count them.

use baton_core::Usage;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::tree::Tree;
use crate::WireError;

/// A vendor's count; anything else in it is left over.
#[derive(Debug, Default)]
pub(super) struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    /// Anthropic's own count of what it wrote, by how long it is kept, where a server passes it on.
    written_5m_tokens: u64,
    written_1h_tokens: u64,
    left: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tree = Tree::deserialize(deserializer)?;
        Fields::of(tree, "/usage".to_owned())
            .and_then(|fields| Self::of(fields, true))
            .map_err(|error| D::Error::custom(error.message))
    }
}

impl Counted {
    /// `keep`: whether what is left over is wanted.
    pub(super) fn of(mut fields: Fields<'_>, keep: bool) -> Result<Self, WireError> {
        let prompt_tokens = fields.count("prompt_tokens")?;
        let completion_tokens = fields.count("completion_tokens")?;
        let total_tokens = fields.count("total_tokens")?;
        // DeepSeek's name.
        let hit = fields.count("prompt_cache_hit_tokens")?;
        let input = ["cached_tokens", "cache_write_tokens"];
        let [cached, cache_write_tokens] = details((&mut fields, keep), "prompt_tokens_details", input)?;
        let [reasoning_tokens] = details((&mut fields, keep), "completion_tokens_details", ["reasoning_tokens"])?;
        let written = |how_long: &str| fields.get("cache_creation")?.get(how_long)?.count();
        let written_5m_tokens = written("ephemeral_5m_input_tokens").unwrap_or_default();
        let written_1h_tokens = written("ephemeral_1h_input_tokens").unwrap_or_default();
        Ok(Self {
            prompt_tokens,
            completion_tokens,
            total_tokens,
            cached_tokens: cached.or(hit),
            cache_write_tokens,
            reasoning_tokens,
            written_5m_tokens,
            written_1h_tokens,
            left: fields.left_if(keep),
        })
    }

    /// Prompt, completion, total; cached, written to the cache, reasoning.
    pub(super) fn plain(counts: [Option<u64>; 3], details: [Option<u64>; 3]) -> Self {
        let [prompt_tokens, completion_tokens, total_tokens] = counts;
        let [cached_tokens, cache_write_tokens, reasoning_tokens] = details;
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens,
            cached_tokens,
            cache_write_tokens,
            reasoning_tokens,
            ..Self::default()
        }
    }

    /// The canonical count. Where the total says more than prompt and completion together, the rest
    /// is output: xAI and Gemini leave reasoning out of `completion_tokens`, and charge for it.
    pub(super) fn usage(&self) -> Usage {
        let input_tokens = self.prompt_tokens.unwrap_or_default();
        let output_tokens = self.completion_tokens.unwrap_or_default();
        let unlisted = self.total_tokens.unwrap_or_default().saturating_sub(input_tokens.saturating_add(output_tokens));
        let (minutes, hour) = (self.written_5m_tokens, self.written_1h_tokens);
        Usage {
            input_tokens,
            output_tokens: output_tokens.saturating_add(unlisted),
            cached_tokens: self.cached_tokens.unwrap_or_default(),
            cache_write_tokens: self.cache_write_tokens.unwrap_or_else(|| minutes.saturating_add(hour)),
            cache_write_1h_tokens: hour,
            reasoning_tokens: self.reasoning_tokens.unwrap_or_default(),
            estimated: false,
        }
    }

    /// What the canonical count does not know, nested as it came.
    pub(super) fn into_left(self) -> Map<String, Value> {
        self.left
    }
}

/// Counts within a count; what else stands beside them is left over.
fn details<const N: usize>(
    (fields, keep): (&mut Fields<'_>, bool),
    name: &'static str,
    counts: [&str; N],
) -> Result<[Option<u64>; N], WireError> {
    let mut counted = [None; N];
    let Some(mut details) = fields.object(name)? else { return Ok(counted) };
    for (counted, count) in counted.iter_mut().zip(counts) {
        *counted = details.count(count)?;
    }
    fields.put_back(name, Value::Object(details.left_if(keep)));
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
    #[serde(skip_serializing_if = "is_zero")]
    cache_write_tokens: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(tokens: &u64) -> bool {
    *tokens == 0
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
            prompt_tokens_details: Cached {
                cached_tokens: usage.cached_tokens,
                cache_write_tokens: usage.cache_write_tokens,
            },
            completion_tokens_details: Reasoning { reasoning_tokens: usage.reasoning_tokens },
        }
    }
}

/// The same as a value.
pub(super) fn encode(usage: &Usage) -> Value {
    #[expect(clippy::unwrap_used, reason = "keys are strings and counts are whole: this cannot fail")]
    serde_json::to_value(Written::of(usage)).unwrap()
}
