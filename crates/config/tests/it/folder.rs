//! A small folder on disk, and what loading it gives.

use std::collections::BTreeMap;
use std::path::Path;

use baton_config::{Given, Loaded, Report, load};
use baton_core::{NanoUsd, Price, Prices, Rates};

pub(crate) const PROVIDERS: [&str; 3] = ["openai", "anthropic", "mistral"];

/// A built-in price of one model: 0.15 and 0.60 dollars a million.
pub(crate) fn price(id: &str) -> Option<Prices> {
    let price = || Price::flat(Rates::flat(NanoUsd(150_000_000), NanoUsd(600_000_000)));
    (id == "openai/gpt-4o-mini").then(|| Prices::always(price()))
}

/// Files by path.
#[derive(Clone, Default)]
pub(crate) struct Folder {
    files: BTreeMap<String, Vec<u8>>,
    env: BTreeMap<String, String>,
}

impl Folder {
    /// The smallest intent of the contract.
    pub(crate) fn smallest() -> Self {
        Self::default().with(
            "intents/classify-ticket/intent.toml",
            r#"models = ["openai/gpt-4o-mini", "anthropic/claude-haiku"]
[labels]
billing = "invoices, refunds, charges"
bug = "something is broken"
how-to = "asks how to do something"
account = "login, seats, permissions"
"#,
        )
    }

    pub(crate) fn with(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), text.as_ref().to_owned());
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn write(&self, dir: &Path) {
        for (path, text) in &self.files {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    pub(crate) fn load_in(&self, dir: &Path, flags: &[(&str, &str)]) -> Result<Loaded, Report> {
        self.write(dir);
        let env = |name: &str| self.env.get(name).cloned();
        load(dir, &Given { env: &env, flags, known_providers: &PROVIDERS, price: &price })
    }

    pub(crate) fn load(&self) -> Result<Loaded, Report> {
        self.load_in(tempfile::tempdir().unwrap().path(), &[])
    }

    /// Every diagnostic, errors and warnings: `file:line:column: message`, help indented below.
    pub(crate) fn diagnostics(&self) -> String {
        let dir = tempfile::tempdir().unwrap();
        let diagnostics = match self.load_in(dir.path(), &[]) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report.diagnostics,
        };
        let shown = diagnostics.iter().map(|d| format!("{d}\n    {}\n", d.help)).collect::<String>();
        shown.replace(&format!("{}/", dir.path().display()), "")
    }
}

/// An intent `a` with this intent.toml.
pub(crate) fn intent(toml: &str) -> Folder {
    Folder::default().with("intents/a/intent.toml", toml)
}

/// A generation with this prompt.
pub(crate) fn prompted(prompt: &str) -> Folder {
    intent("models = [\"openai/x\"]\n").with("intents/a/prompt.md", prompt)
}

/// A classification of `a` and `b` with more of intent.toml.
pub(crate) fn labelled(toml: &str) -> Folder {
    intent(&format!("models = [\"openai/x\"]\n{toml}\n[labels]\na = \"first\"\nb = \"second\"\n"))
}
