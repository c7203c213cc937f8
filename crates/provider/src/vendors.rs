//! Vendors: rows of data. A new vendor that speaks this format is a row.
//!
//! Sources: each vendor's own API documentation, as known in 2026.
//!
//! | vendor | documentation |
//! |---|---|
//! | openai | platform.openai.com, chat completions: `max_tokens` is deprecated, and refused by reasoning models |
//! | anthropic | platform.claude.com, "OpenAI SDK compatibility": `response_format` and `seed` are ignored |
//! | mistral | docs.mistral.ai, API: `random_seed`; unknown fields such as `stream_options` are refused; usage is in the last chunk |
//! | groq | console.groq.com, API reference: `max_tokens` is deprecated |
//! | together | docs.together.ai, "OpenAI compatibility" |
//! | deepseek | api-docs.deepseek.com, "JSON output": `json_object` only |
//! | openrouter | openrouter.ai, API reference |
//! | fireworks | docs.fireworks.ai, "OpenAI compatibility" |
//! | xai | docs.x.ai, API reference: `max_tokens` is deprecated |
//! | gemini | ai.google.dev, "OpenAI compatibility" |
//! | ollama | github.com/ollama/ollama, "OpenAI compatibility" |
//! | vllm | docs.vllm.ai, "OpenAI-compatible server" |

use baton_wire::openai::{Dialect, StreamOptions, Structured};

/// How one vendor is reached. All of them take the key as `Authorization: Bearer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// Its name: the part of a model id before the slash.
    pub name: &'static str,
    /// Where `chat/completions` is.
    pub base_url: &'static str,
    /// The environment variable of its key; `None` where there is no key.
    pub key_env: Option<&'static str>,
    /// What it does differently.
    pub dialect: Dialect,
    /// Whether it takes OpenAI's batches.
    pub batches: bool,
}

/// The form as most speak it, asked for usage at the end of each stream.
pub(crate) const USUAL: Dialect = Dialect { stream_options: StreamOptions::Usage, ..Dialect::PLAIN };
const COMPLETION_TOKENS: Dialect = Dialect { max_tokens: "max_completion_tokens", ..USUAL };

const fn row(name: &'static str, base_url: &'static str, key_env: &'static str, dialect: Dialect) -> Vendor {
    Vendor { name, base_url, key_env: Some(key_env), dialect, batches: false }
}

const fn own(name: &'static str, base_url: &'static str) -> Vendor {
    Vendor { name, base_url, key_env: None, dialect: USUAL, batches: false }
}

/// Every vendor.
pub const VENDORS: &[Vendor] = &[
    Vendor { batches: true, ..row("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", COMPLETION_TOKENS) },
    row(
        "anthropic",
        "https://api.anthropic.com/v1",
        "ANTHROPIC_API_KEY",
        Dialect { structured: Structured::None, ..USUAL },
    ),
    row(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        Dialect { seed: "random_seed", stream_options: StreamOptions::Omit, ..USUAL },
    ),
    row("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", COMPLETION_TOKENS),
    row("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", USUAL),
    row(
        "deepseek",
        "https://api.deepseek.com/v1",
        "DEEPSEEK_API_KEY",
        Dialect { structured: Structured::Object, ..USUAL },
    ),
    row("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", USUAL),
    row("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", USUAL),
    row("xai", "https://api.x.ai/v1", "XAI_API_KEY", COMPLETION_TOKENS),
    row("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", USUAL),
    own("ollama", "http://127.0.0.1:11434/v1"),
    own("vllm", "http://127.0.0.1:8000/v1"),
];

/// The row of this name.
#[must_use]
pub fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}
