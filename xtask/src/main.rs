//! The project's own commands: `cargo xtask test` is what CI runs.

#![expect(clippy::print_stdout, reason = "a command-line tool")]

mod check;
mod generate;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};

const HELP: &str = "\
The commands of this project

  cargo xtask test               everything that CI runs: formatting, tidy, lints, licences, all tests, documentation
  cargo xtask tidy               how the crates may depend on each other, sizes, and what may not be committed
  cargo xtask gen prices         the embedded price list, from the pinned wheels of genai-prices and litellm
  cargo xtask measure NAME ...   reproduce a figure; without a name, lists what there is
  cargo xtask bench NAME ...     reproduce a figure of speed; without a name, lists what there is
  cargo xtask simulate ...       random traffic and faults on virtual time, for example --seeds 1000
  cargo xtask help               this
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<ExitCode> {
    let (command, rest) = args.split_first().map_or(("help", args), |(command, rest)| (command.as_str(), rest));
    match command {
        "test" | "tidy" if !rest.is_empty() => bail!("`cargo xtask {command}` takes no arguments"),
        "test" => check::run(&root()?),
        "tidy" => tidy::run(&root()?),
        "gen" => generate::run(&root()?, rest).map(|()| ExitCode::SUCCESS),
        "measure" | "bench" | "simulate" => measure(&root()?, args),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("there is no `cargo xtask {other}`\n\n{HELP}"),
    }
}

/// The folder of the workspace.
fn root() -> Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(xtask.parent().context("xtask has no parent folder")?.to_path_buf())
}

/// Hands over to the crate `measure`, which knows its own names; its exit status is ours.
fn measure(root: &Path, args: &[String]) -> Result<ExitCode> {
    // Who races, races as it is shipped.
    let profile = if args[0] == "bench" { "dist" } else { "release" };
    let fixed = ["run", "--profile", profile, "--quiet", "--package", "baton-measure", "--"];
    let status = Command::new(cargo()).current_dir(root).args(fixed).args(args).status();
    let status = status.context("cannot start cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The cargo that runs us.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}
