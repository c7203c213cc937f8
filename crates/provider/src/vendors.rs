//! Vendors, as rows of data. A new vendor is a row.

/// How a vendor is reached. Sources: each vendor's API reference (base address, key, and the
/// OpenAI-compatible endpoint), read in November 2026.
pub(crate) struct Vendor {
    pub(crate) name: &'static str,
    pub(crate) base_url: &'static str,
    /// The variable that holds the key; `None` where none is needed.
    pub(crate) key: Option<&'static str>,
    /// Newer OpenAI models refuse `max_tokens` and want `max_completion_tokens`.
    pub(crate) completion_tokens: bool,
}

const fn row(name: &'static str, base_url: &'static str, key: &'static str) -> Vendor {
    Vendor { name, base_url, key: Some(key), completion_tokens: false }
}

pub(crate) const VENDORS: &[Vendor] = &[
    Vendor {
        name: "openai",
        base_url: "https://api.openai.com/v1",
        key: Some("OPENAI_API_KEY"),
        completion_tokens: true,
    },
    // Through its OpenAI-compatible endpoint, until its own format is spoken.
    row("anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    row("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    row("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
    row("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    row("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    row("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    row("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    row("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
    row("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    Vendor { name: "ollama", base_url: "http://127.0.0.1:11434/v1", key: None, completion_tokens: false },
];

/// The vendors that need no entry in `baton.toml`.
#[must_use]
pub fn vendor_names() -> Vec<&'static str> {
    VENDORS.iter().map(|vendor| vendor.name).collect()
}

pub(crate) fn vendor(name: &str) -> Option<&'static Vendor> {
    VENDORS.iter().find(|vendor| vendor.name == name)
}
