//! `cargo xtask tidy`: what neither the compiler nor clippy checks.

mod crates;
mod sizes;
mod texts;

use std::fmt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

/// Something to mend, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    says: String,
}

impl Finding {
    fn new(path: &str, line: usize, says: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, says: says.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.says)
    }
}

/// A file of the repository that is text.
pub(crate) struct Text {
    path: String,
    content: String,
}

/// Prints what there is to mend.
pub(crate) fn run(root: &Path) -> Result<ExitCode> {
    let findings = findings(root)?;
    if findings.is_empty() {
        println!("tidy");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{}\n{} to mend", lines(&findings), findings.len());
    Ok(ExitCode::FAILURE)
}

pub(crate) fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Everything that there is to mend, by file and line.
pub(crate) fn findings(root: &Path) -> Result<Vec<Finding>> {
    let files = files(root)?;
    let mut findings = crates::findings(&files);
    findings.extend(sizes::findings(&files));
    findings.extend(texts::findings(&files, &texts::machine(root)));
    findings.sort();
    Ok(findings)
}

/// The text files that git knows, and those that it would take in.
fn files(root: &Path) -> Result<Vec<Text>> {
    let ask = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let out = Command::new("git").current_dir(root).args(ask).output().context("cannot start git")?;
    if !out.status.success() {
        bail!("git ls-files failed: {}", String::from_utf8_lossy(&out.stderr).trim());
    }
    let mut files = Vec::new();
    for path in String::from_utf8_lossy(&out.stdout).split('\0').filter(|path| !path.is_empty()) {
        match std::fs::read(root.join(path)) {
            Ok(bytes) => {
                if let Ok(content) = String::from_utf8(bytes) {
                    files.push(Text { path: path.to_owned(), content });
                }
            }
            // Deleted and not yet committed, or a link to a folder.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound || root.join(path).is_dir() => {}
            Err(error) => bail!("cannot read {path}: {error}"),
        }
    }
    Ok(files)
}
