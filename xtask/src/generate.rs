//! `cargo xtask gen prices`: the embedded price list, from the price data of two PyPI packages.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// The wheels that the list is made of: the pin, and the SHA-256 that the package client holds it against.
const WHEELS: [(&str, &str); 2] = [
    ("genai-prices==0.2.3", "56976ce2b04ec206117f7d0e53f4849211a6724ab3a12119afec304eba63ee25"),
    ("litellm==1.99.4", "da15b5ecf65d2cbf315ca5036917fadf3f3db91c815e11bfb71b9b601f9020bc"),
];
/// LiteLLM's wheels are one for each platform, with the same data in each: the one that is pinned.
const PLATFORM: &str = "manylinux_2_28_x86_64";
const LIST: &str = "crates/provider/src/prices/prices.json";

/// Generates what is asked for.
pub(crate) fn run(root: &Path, args: &[String]) -> Result<()> {
    match args {
        [what] if what == "prices" => prices(root),
        _ => bail!("write `cargo xtask gen prices`"),
    }
}

fn prices(root: &Path) -> Result<()> {
    let folder = root.join("target/prices");
    fs::create_dir_all(&folder).context("cannot make target/prices")?;
    let pins: Vec<String> = WHEELS.iter().map(|(pin, hash)| format!("{pin} --hash=sha256:{hash}\n")).collect();
    fs::write(folder.join("pins.txt"), pins.concat()).context("cannot write target/prices/pins.txt")?;
    let download = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"];
    let from = ["--platform", PLATFORM, "--requirement", "pins.txt", "--dest", "."];
    python(Command::new("python3").current_dir(&folder).args(download).args(from))?;
    let wheels = WHEELS.map(|(pin, _)| pin.replace("==", "-").replacen("genai-prices", "genai_prices", 1));
    let wheels: Vec<_> = wheels.iter().map(|name| wheel(&folder, name)).collect::<Result<_>>()?;
    python(Command::new("python3").arg(root.join("xtask/src/prices.py")).args(wheels).arg(root.join(LIST)))
}

fn wheel(folder: &Path, name: &str) -> Result<std::path::PathBuf> {
    for entry in fs::read_dir(folder).context("cannot read target/prices")? {
        let path = entry?.path();
        let file = path.file_name().and_then(|file| file.to_str()).unwrap_or_default();
        if file.starts_with(&format!("{name}-")) {
            return Ok(path);
        }
    }
    bail!("{name} was not downloaded")
}

fn python(command: &mut Command) -> Result<()> {
    let status = command.status().context("cannot start python3, which reads the wheels: install it with pip")?;
    if status.success() { Ok(()) } else { bail!("python3 ended with {status}") }
}
