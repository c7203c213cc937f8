//! Folders for `baton serve` and scenarios for `baton sim`, written for one run.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::children::Server;

/// Writes a file, its folders included.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// A `[providers.NAME]` that is reached over sockets.
pub(crate) fn provider(name: &str, address: SocketAddr) -> String {
    format!("[providers.{name}]\nkind = \"openai-compatible\"\nbase_url = \"http://{address}/v1\"\n\n")
}

/// The list of models of an intent.
pub(crate) fn models(ids: &[String]) -> String {
    format!("models = [{}]\n", ids.iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(", "))
}

/// Labels that make an intent a classification.
pub(crate) const LABELS: &str = "
[labels]
billing = \"invoices, refunds, charges\"
bug = \"something is broken\"
how-to = \"asks how to do something\"
account = \"login, seats, permissions\"
";

/// What the simulated models know of the labels; to other inputs they answer with any of these.
const TRUTH: &str = r#"
{"input": "I was charged twice in March.", "expected": {"label": "billing"}}
{"input": "The export stops halfway.", "expected": {"label": "bug"}}
{"input": "Where do I add a colleague?", "expected": {"label": "how-to"}}
{"input": "I am locked out.", "expected": {"label": "account"}}
"#;

/// Starts simulated models.
pub(crate) async fn sim(baton: &Path, folder: &Path, scenario: &str, seed: u64) -> Result<Server> {
    let file = folder.join("scenario.toml");
    write(&folder.join("truth.jsonl"), TRUTH)?;
    write(&file, &format!("truth = [\"truth.jsonl\"]\n\n{scenario}"))?;
    let mut command = Command::new(baton);
    command.args(["sim", "--listen", "127.0.0.1:0", "--seed", &seed.to_string()]).arg("--scenario").arg(&file);
    Server::start("sim", &mut command, folder).await
}

/// Starts the gateway of a folder.
pub(crate) async fn serve(baton: &Path, house: &Path, folder: &Path) -> Result<Server> {
    let mut command = Command::new(baton);
    command.args(["serve", "--listen", "127.0.0.1:0"]).arg("--dir").arg(house);
    // What notices to a hook of ours are signed with.
    command.env(crate::hook::SECRET.0, crate::hook::SECRET.1);
    Server::start("baton", &mut command, folder).await
}
