//! The helpdesk example, carried inside the binary so that the demonstration runs anywhere.

use std::path::{Path, PathBuf};

use crate::exit::Exit;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../../examples/helpdesk/", $path)))),*]
    };
}

const FILES: &[(&str, &str)] = files![
    "baton.toml",
    "scenario.toml",
    "intents/classify-ticket/intent.toml",
    "intents/classify-ticket/prompt.md",
    "intents/classify-ticket/input.schema.json",
    "intents/classify-ticket/cases.jsonl",
    "intents/extract-receipt/intent.toml",
    "intents/extract-receipt/prompt.md",
    "intents/extract-receipt/input.schema.json",
    "intents/extract-receipt/output.schema.json",
    "intents/extract-receipt/cases.jsonl",
    "intents/draft-reply/intent.toml",
    "intents/draft-reply/prompt.md",
    "intents/draft-reply/input.schema.json",
    "intents/draft-reply/cases.jsonl",
];

/// Writes the example into a folder of its own, which the caller removes.
pub(super) fn unpack(seed: u64) -> Result<PathBuf, Exit> {
    let root = std::env::temp_dir().join(format!("baton-demo-{}", std::process::id()));
    let write = |path: &Path, text: &str| {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, text)
    };
    for (name, text) in FILES {
        write(&root.join(name), text)
            .map_err(|error| Exit::outside(format!("{} cannot be written: {error}", root.join(name).display())))?;
    }
    super::labels::write(&root, seed)
        .map_err(|error| Exit::outside(format!("{} cannot be written: {error}", root.display())))?;
    Ok(root)
}
