//! `cargo xtask test`: what CI runs, in its order, up to the first failure.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::{cargo, tidy};

/// The release whose findings we agree with; another one may find something else.
const DENY_VERSION: &str = "0.20.2";

/// Tests that ran.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

/// Runs every step; the last line printed is the count of tests.
pub(crate) fn run(root: &Path) -> Result<ExitCode> {
    let mut count = Count::default();
    let done = steps(root, &mut count);
    if let Err(error) = &done {
        eprintln!("\nerror: {error:#}");
        // A step that is no test counts as one.
        count.failed = count.failed.max(1);
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn steps(root: &Path, count: &mut Count) -> Result<()> {
    step("formatting", || call(root, &["fmt", "--all", "--check"], "run `cargo fmt --all`"))?;
    step("tidy", || match tidy::findings(root)?.as_slice() {
        [] => Ok(()),
        findings => bail!("{} to mend:\n{}", findings.len(), tidy::lines(findings)),
    })?;
    let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    step("lints", || call(root, &lints, "mend what clippy says"))?;
    step("licences, sources and bans", || deny(root))?;
    step("tests", || tests(root, count))?;
    step("documentation tests", || {
        counted(root, &["test", "--workspace", "--doc", "--quiet", "--no-fail-fast"], count)
    })?;
    step("documentation", || {
        let mut command = Command::new(cargo());
        command.args(["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
        succeed(root, &mut command, "mend what rustdoc says")
    })
}

/// A headline, the work, and the time that it took.
fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("── {name}");
    let started = Instant::now();
    let done = work().with_context(|| format!("{name} failed"));
    println!("   {:.1} s\n", started.elapsed().as_secs_f64());
    done
}

fn call(root: &Path, args: &[&str], otherwise: &str) -> Result<()> {
    succeed(root, Command::new(cargo()).args(args), otherwise)
}

fn succeed(root: &Path, command: &mut Command, otherwise: &str) -> Result<()> {
    let status = command.current_dir(root).status().with_context(|| format!("cannot start `{}`", shown(command)))?;
    if !status.success() {
        bail!("{otherwise} (`{}`: {status})", shown(command));
    }
    Ok(())
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn tests(root: &Path, count: &mut Count) -> Result<()> {
    if runs(Command::new(cargo()).args(["nextest", "--version"])) {
        return counted(root, &["nextest", "run", "--workspace", "--no-fail-fast", "--status-level=fail"], count);
    }
    counted(root, &["test", "--workspace", "--lib", "--bins", "--tests", "--quiet", "--no-fail-fast"], count)
}

/// Runs tests, shows what they print, and counts them.
fn counted(root: &Path, args: &[&str], count: &mut Count) -> Result<()> {
    let mut command = Command::new(cargo());
    command.current_dir(root).args(args);
    // nextest says its figures on standard error, cargo test on standard output.
    let nextest = args.first() == Some(&"nextest");
    let command = if nextest { command.stderr(Stdio::piped()) } else { command.stdout(Stdio::piped()) };
    let mut child = command.spawn().with_context(|| format!("cannot start `{}`", shown(command)))?;
    let said: Option<Box<dyn std::io::Read>> = match nextest {
        true => child.stderr.take().map(|said| Box::new(said) as _),
        false => child.stdout.take().map(|said| Box::new(said) as _),
    };
    for line in BufReader::new(said.context("the output of the tests is gone")?).lines() {
        let line = line.context("cannot read the output of the tests")?;
        let more = summary(&line);
        // A crate without tests has nothing to say.
        if !line.is_empty() && line != "running 0 tests" && more != Some(Count::default()) {
            println!("{line}");
        }
        let more = more.unwrap_or_default();
        count.passed += more.passed;
        count.failed += more.failed;
    }
    let status = child.wait().context("cannot wait for the tests")?;
    if !status.success() {
        bail!("see above (`{}`: {status})", shown(command));
    }
    Ok(())
}

/// The figures of a line such as `test result: ok. 5 passed; 0 failed; …` or
/// `Summary [ 1.2s] 5 tests run: 4 passed, 1 failed, 0 skipped`.
fn summary(line: &str) -> Option<Count> {
    // nextest shows what a failed test printed, indented: that is not to be counted again.
    if !line.starts_with("test result:") && !line.trim_start().starts_with("Summary [") {
        return None;
    }
    let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let before = |name: &str| {
        let figures = words.windows(2).filter(|pair| pair[1] == name);
        figures.filter_map(|pair| pair[0].parse::<usize>().ok()).sum::<usize>()
    };
    Some(Count { passed: before("passed"), failed: before("failed") })
}

/// cargo-deny, installed under `target/tools` when the right one is not there.
fn deny(root: &Path) -> Result<()> {
    let tools = root.join("target/tools");
    let ours = tools.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    let right = |program: &PathBuf| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(DENY_VERSION))
    };
    let program = match [ours.clone(), PathBuf::from("cargo-deny")].into_iter().find(right) {
        Some(program) => program,
        None => {
            println!("   cargo-deny {DENY_VERSION} is not there: building it once, which takes minutes");
            let install = ["install", "--locked", "--profile", "dev", "--version", DENY_VERSION, "--root"];
            let mut command = Command::new(cargo());
            command.args(install).arg(&tools).arg("cargo-deny");
            succeed(root, &mut command, "cargo-deny could not be installed")?;
            ours
        }
    };
    let mut command = Command::new(program);
    command.args(["--log-level", "error", "check", "bans", "licenses", "sources"]);
    succeed(root, &mut command, "deny.toml says what is allowed, and why")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_understood() {
        let check = |line: &str, expected: Option<(usize, usize)>| {
            assert_eq!(summary(line), expected.map(|(passed, failed)| Count { passed, failed }), "{line}");
        };
        check("test result: ok. 58 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out", Some((58, 0)));
        check("     Summary [   1.204s] 58 tests run: 58 passed, 3 skipped", Some((58, 0)));
        check("     Summary [   1.204s] 58 tests run: 50 passed (1 slow), 8 failed, 0 skipped", Some((50, 8)));
        check("test some::test ... ok", None);
        check("    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured", None);
    }
}
