//! The same assertions asked of promptfoo itself and of ours.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use baton_eval::{Assertion, Facts};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::report::progress;

/// The release that verdicts are compared with.
pub(crate) const PACKAGE: &str = "promptfoo@0.121.20";
/// What its `is-sql` needs, which it leaves to its users to install.
const SQL_PACKAGE: &str = "node-sql-parser@5.4.0";
/// Written by hand from promptfoo's documentation; the tests of `eval` run over them too.
const FIXTURES: &str = include_str!("../../../eval/tests/promptfoo.json");
const SCRIPT: &str = include_str!("promptfoo.mjs");

/// One fixture, and what both say of it.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) fixture: Value,
    pub(crate) ours: String,
    pub(crate) theirs: String,
    /// Its reason, or its error.
    pub(crate) reason: String,
    /// The difference of the scores, where both gave one.
    pub(crate) score: f64,
}

/// Asks both.
///
/// # Errors
/// Where promptfoo cannot be installed or does not run.
pub(crate) async fn compare(folder: Option<&Path>) -> Result<Vec<Row>> {
    let fixtures: Vec<Value> = serde_json::from_str(FIXTURES).context("the fixtures")?;
    let folder = match folder {
        Some(folder) => folder.to_owned(),
        None => install().await?,
    };
    progress(&format!("asking {PACKAGE} for {} verdicts", fixtures.len()));
    let theirs = ask(&folder).await?;
    if theirs.len() != fixtures.len() {
        bail!("promptfoo gave {} verdicts for {} fixtures", theirs.len(), fixtures.len());
    }
    Ok(fixtures.into_iter().zip(theirs).map(|(fixture, theirs)| row(fixture, &theirs)).collect())
}

fn row(fixture: Value, theirs: &Value) -> Row {
    let name = fixture["assertion"]["type"].as_str().unwrap_or_default().to_owned();
    let (ours, score) = ours(&fixture);
    let said = match theirs["pass"].as_bool() {
        Some(pass) => word(pass),
        None => "error",
    };
    let reason = theirs["reason"].as_str().or(theirs["error"].as_str()).unwrap_or_default().to_owned();
    let score = theirs["score"].as_f64().zip(score).map_or(0.0, |(a, b)| (a - b).abs());
    Row { name, fixture, ours, theirs: said.to_owned(), reason, score }
}

fn word(pass: bool) -> &'static str {
    if pass { "pass" } else { "fail" }
}

/// Our verdict and score.
fn ours(fixture: &Value) -> (String, Option<f64>) {
    let assertion = match Assertion::read(&fixture["assertion"], &|text| Ok(text.to_owned())) {
        Ok(assertion) => assertion,
        Err(error) => return (format!("not read: {error}"), None),
    };
    let tools = json!([{ "type": "function", "function": { "name": "weather", "parameters": {
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
    } } }]);
    let logprobs: Vec<f64> = fixture["logProbs"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let facts = Facts {
        latency_ms: fixture["latencyMs"].as_f64(),
        cost_usd: fixture["cost"].as_f64(),
        finish_reason: fixture["finishReason"].as_str(),
        logprobs: &logprobs,
        tools: fixture.get("tools").map(|_| &tools),
        flagged: fixture["flagged"] == true,
        ..Facts::of(&fixture["output"])
    };
    match assertion.grade(&facts) {
        Ok(grade) => (word(grade.pass).into(), Some(grade.score)),
        Err(why) => (format!("not graded: {why}"), None),
    }
}

/// Installs promptfoo under the target folder, once.
async fn install() -> Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/promptfoo");
    if ["promptfoo", "node-sql-parser"].iter().all(|name| folder.join("node_modules").join(name).exists()) {
        return Ok(folder);
    }
    progress(&format!("installing {PACKAGE} from npm, which takes a minute"));
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    std::fs::write(folder.join("package.json"), "{\"private\": true}\n")?;
    // No scripts are run: the assertions need none of what those would build.
    let flags = ["--ignore-scripts", "--omit=optional", "--no-package-lock", "--no-audit", "--no-fund", "--silent"];
    let status =
        Command::new("npm").arg("install").args(flags).args([PACKAGE, SQL_PACKAGE]).current_dir(&folder).status().await;
    if !status.context("npm is needed, or --promptfoo FOLDER where it is installed")?.success() {
        bail!("npm could not install {PACKAGE}");
    }
    Ok(folder)
}

async fn ask(folder: &Path) -> Result<Vec<Value>> {
    let state = tempfile::TempDir::with_prefix("baton-promptfoo-").context("a temporary directory")?;
    let mut node = Command::new("node")
        .args(["--input-type=module", "--eval", SCRIPT])
        .current_dir(folder)
        .env("PROMPTFOO_DISABLE_TELEMETRY", "1")
        .env("PROMPTFOO_DISABLE_UPDATE", "1")
        .env("PROMPTFOO_DISABLE_REMOTE_GENERATION", "1")
        .env("PROMPTFOO_CONFIG_DIR", state.path())
        .env("LOG_LEVEL", "error")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("node is needed to ask promptfoo")?;
    node.stdin.take().context("no standard input")?.write_all(FIXTURES.as_bytes()).await?;
    let output = node.wait_with_output().await?;
    let text = String::from_utf8_lossy(&output.stdout);
    // What promptfoo prints itself comes before.
    let start = text.rfind("[{\"").with_context(|| format!("promptfoo gave no verdicts: {text}"))?;
    serde_json::from_str(&text[start..]).with_context(|| format!("promptfoo gave no verdicts: {text}"))
}
