//! What a file must begin with, and what may not be committed.

use std::path::Path;

use super::{Finding, Text};

/// Where crates come from, as the lock file says it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
/// Hosts that everybody has.
const PUBLIC: &[&str] = &["crates.io", "index.crates.io", "static.crates.io", "github.com", "localhost", "127.0.0.1"];

/// Texts that mean this machine: its folders, and the hosts that its packages come from.
pub(super) fn machine(root: &Path) -> Vec<String> {
    let variable = |name: &str| std::env::var(name).ok();
    let folders = root.parent().map(|parent| parent.display().to_string()).into_iter().chain(variable("HOME"));
    // What everybody has says nothing of this machine.
    let folders = folders.map(|folder| folder + "/").filter(|folder| !["/", "//", "/tmp/"].contains(&folder.as_str()));
    let home = variable("CARGO_HOME").or_else(|| Some(variable("HOME")? + "/.cargo"));
    let configuration = home.and_then(|home| std::fs::read_to_string(Path::new(&home).join("config.toml")).ok());
    let settings = std::env::vars().filter(|(name, _)| name.starts_with("CARGO_") && name.ends_with("_INDEX"));
    let urls = configuration.into_iter().chain(settings.map(|(_, url)| url));
    folders.chain(urls.flat_map(|text| hosts(&text))).collect()
}

/// The hosts of the addresses in a text, those that everybody has aside.
fn hosts(text: &str) -> Vec<String> {
    let host = |rest: &str| {
        let authority = rest.split(['/', '"', '\'', ' ', '\n']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        host.split(':').next().unwrap_or_default().to_owned()
    };
    let hosts = text.split("://").skip(1).map(host);
    hosts.filter(|host| !host.is_empty() && !PUBLIC.contains(&host.as_str())).collect()
}

pub(super) fn findings(files: &[Text], machine: &[String]) -> Vec<Finding> {
    files.iter().flat_map(|file| text(file, machine)).collect()
}

/// Whether a line names this host, or this folder as the beginning of a path.
fn names(line: &str, what: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || ['.', '_', '-'].contains(&c);
    let begins = |(at, _): (usize, &str)| !what.starts_with('/') || !line[..at].ends_with(inside);
    line.match_indices(what).any(begins)
}

fn text(Text { path, content }: &Text, machine: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if path.ends_with(".rs") && !content.starts_with("//!") {
        findings.push(Finding::new(path, 1, "begin the file with `//!` and say why it exists"));
    }
    for (number, line) in content.lines().enumerate() {
        if let Some(found) = machine.iter().find(|found| names(line, found)) {
            findings.push(Finding::new(path, number + 1, format!("`{found}` is of this machine: leave it out")));
        }
        let source = line.strip_prefix("source = ").filter(|_| path.ends_with("Cargo.lock"));
        if let Some(source) = source.filter(|source| source.trim_matches('"') != CRATES_IO) {
            findings.push(Finding::new(path, number + 1, format!("{source} is not crates.io")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, content: &str, expected: &[&str]) {
        let machine = ["/home/somebody/".to_owned(), "mirror.example".to_owned()];
        let file = Text { path: path.into(), content: content.into() };
        let found: Vec<String> = findings(&[file], &machine).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_file_says_why_it_exists() {
        check("src/a.rs", "//! Why.\n", &[]);
        check("src/a.rs", "use a;\n", &["src/a.rs:1: begin the file with `//!` and say why it exists"]);
        check("a.md", "Text.\n", &[]);
    }

    #[test]
    fn nothing_of_this_machine_is_committed() {
        let says = "a.md:2: `/home/somebody/` is of this machine: leave it out";
        check("a.md", "Here:\n`/home/somebody/x`\n", &[says]);
        check("a.md", "under/home/somebody/x\n", &[]);
        check("a.md", "of mirror.example\n", &["a.md:1: `mirror.example` is of this machine: leave it out"]);
        let says = "Cargo.lock:1: \"registry+https://elsewhere/index\" is not crates.io";
        check("Cargo.lock", "source = \"registry+https://elsewhere/index\"\n", &[says]);
        check("Cargo.lock", &format!("source = \"{CRATES_IO}\"\n"), &[]);
    }

    #[test]
    fn hosts_of_mirrors_are_known_without_their_credentials() {
        let text = "[source.x]\nregistry = \"sparse+https://user:secret@mirror.example:8443/index/\"\n\
                    [source.crates-io]\nregistry = \"sparse+https://index.crates.io/\"\n";
        assert_eq!(hosts(text), ["mirror.example"]);
    }
}
