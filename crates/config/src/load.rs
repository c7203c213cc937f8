//! From a folder to a [`Snapshot`]: reads the files, and hands them to the compiler.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use baton_core::Prices;

use crate::compile::{
    House, IntentSources, compile_intent, compile_judges, intent_settings, store_and_teams, webhooks,
};
use crate::diagnostics::{Diagnostic, Level, Report, Sink, Source};
use crate::document::Document;
use crate::effective::{Effective, Origin, settings};
use crate::files::{BatonFile, IntentFile};
use crate::plan::{ServerSpec, Snapshot};
use crate::structure::Shape;
use crate::suggest::nearest;

/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// The files that an intent's folder may hold.
const INTENT_FILES: [&str; 6] =
    ["intent.toml", "prompt.md", "input.schema.json", "output.schema.json", "cases.jsonl", "cascade.json"];
/// Settings that the environment and flags override: pointer, variable, flag.
const OVERRIDES: [(&str, &str, &str); 2] = [
    ("/store/url", "BATON_STORE_URL", "store-url"),
    ("/store/durability", "BATON_STORE_DURABILITY", "store-durability"),
];

/// What configuration depends on besides its files.
pub struct Given<'a> {
    /// The environment. An empty variable counts as absent.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Flags that override settings, without their dashes: `("store-url", "sqlite:///var/baton")`.
    pub flags: &'a [(&'a str, &'a str)],
    /// The names of the built-in providers.
    pub known_providers: &'a [&'a str],
    /// The built-in prices of a model (`provider/model`).
    pub price: &'a dyn Fn(&str) -> Option<Prices>,
}

/// A configuration without errors.
pub struct Loaded {
    /// What it compiles to.
    pub snapshot: Snapshot,
    /// What somebody should look at.
    pub warnings: Vec<Diagnostic>,
    /// Every setting in effect, with its origin.
    pub effective: Vec<Effective>,
}

/// Reads `baton.toml` and `intents/` in this folder. Paths in files and in `BATON_STORE_URL` are
/// relative to it.
///
/// # Errors
/// Everything that is wrong with the files.
pub fn load(dir: &Path, given: &Given<'_>) -> Result<Loaded, Report> {
    let mut sink = Sink::default();
    let folder = Folder::new(dir);
    let mut effective = Vec::new();
    if !folder.dir.is_dir() {
        let at = Source::new(dir.display().to_string(), "");
        sink.error(at.start(), "there is no such folder", "name another with --dir; `baton init` makes one");
        return Err(Report { diagnostics: sink.0 });
    }

    let mut document = folder.document("baton.toml", &mut sink);
    let missing = document.is_none();
    let document =
        document.get_or_insert_with(|| Document::parse(folder.named("baton.toml", ""), &mut Sink::default()));
    override_settings(document, given);
    let baton = Shape::<BatonFile>::new().check(document, &mut sink);
    let mut house = House::new(&folder.dir, given, document, baton.as_ref(), &mut sink);
    let said = baton.as_ref().and_then(|file| serde_json::to_value(file).ok()).unwrap_or_default();
    effective.extend(settings(document, "", &said));

    let mut intents = BTreeMap::new();
    let shape = Shape::<IntentFile>::new();
    let names = folder.intents(&mut sink);
    if names.is_empty() && missing {
        let help = "`baton init` makes a first intent; or name another folder with --dir";
        sink.error(document.source.start(), "neither baton.toml nor a folder in intents/ is here", help);
    }
    for name in &names {
        let Some(sources) = folder.intent(name, &mut sink) else { continue };
        let Some(file) = shape.check(&sources.policy, &mut sink) else { continue };
        effective.extend(intent_settings(&sources, &file));
        if let Some(plan) = compile_intent(&sources, &file, &mut house, &mut sink) {
            for judge in compile_judges(&sources, &file, &plan, &mut house, &mut sink) {
                intents.insert(judge.name.clone(), std::sync::Arc::new(judge));
            }
            intents.insert(plan.name.clone(), std::sync::Arc::new(plan));
        }
    }
    // Raw calls may name aliases that no intent names.
    for id in house.aliases.values().cloned().collect::<Vec<_>>() {
        house.model(id);
    }
    let webhooks = webhooks(document, baton.as_ref(), &house, &mut sink);
    let baton = baton.unwrap_or_default();
    let (store, teams) = store_and_teams(&folder.dir, document, &baton, &names, &mut sink);
    let server =
        ServerSpec { max_running: baton.server.max_running as usize, queue_max: baton.server.queue_max as usize };

    // Errors first: they are what has to be done.
    sink.0.sort_by_key(|d| (d.level == Level::Warning, d.file.clone(), d.line, d.column));
    match store.filter(|_| sink.errors() == 0) {
        Some(store) => {
            let House { models, aliases, providers, .. } = house;
            let settings = said.as_object().cloned().unwrap_or_default();
            let snapshot = Snapshot { intents, models, aliases, providers, teams, store, server, webhooks, settings };
            Ok(Loaded { snapshot, warnings: sink.0, effective })
        }
        None => Err(Report { diagnostics: sink.0 }),
    }
}

/// The files that [`load`] would read in this folder, those that are not there included: what to look
/// at to see that something changed.
#[must_use]
pub fn sources(dir: &Path) -> Vec<PathBuf> {
    let folder = Folder::new(dir);
    let of_intent = |name: String| INTENT_FILES.map(|file| folder.dir.join("intents").join(&name).join(file));
    let mut sources = vec![folder.dir.join("baton.toml"), folder.dir.join("intents")];
    sources.extend(folder.intents(&mut Sink::default()).into_iter().flat_map(of_intent));
    sources
}

fn override_settings(document: &mut Document, given: &Given<'_>) {
    for (pointer, variable, flag) in OVERRIDES {
        if let Some(text) = (given.env)(variable).filter(|text| !text.is_empty()) {
            document.override_with(pointer, &text, Origin::Environment(variable.to_owned()));
        }
        if let Some((_, text)) = given.flags.iter().find(|(name, _)| *name == flag) {
            document.override_with(pointer, text, Origin::Flag(flag.to_owned()));
        }
    }
}

/// The folder that is read, and the name that its files are shown under.
struct Folder {
    dir: PathBuf,
    shown: PathBuf,
}

impl Folder {
    fn new(dir: &Path) -> Self {
        let shown = if dir == Path::new(".") { PathBuf::new() } else { dir.to_owned() };
        // Absolute, so that a later change of the working directory moves nothing.
        Self { dir: std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned()), shown }
    }

    fn named(&self, path: &str, text: &str) -> Source {
        Source::new(self.shown.join(path).display().to_string(), text)
    }

    /// The text of a file, `None` where there is none or it cannot be read, which is reported.
    fn read(&self, path: &str, sink: &mut Sink) -> Option<Source> {
        let refuse = |message: String, help: &str, sink: &mut Sink| {
            sink.error(self.named(path, "").start(), message, help);
            None
        };
        let bytes = match bounded(&self.dir.join(path)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => return refuse(format!("cannot be read: {error}"), "make it a readable file", sink),
        };
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return refuse(format!("longer than {} MiB", FILE_BYTES_MAX >> 20), "make it shorter", sink);
        }
        match std::str::from_utf8(&bytes) {
            // Checkouts differ in line ends; hashes must not.
            Ok(text) => Some(self.named(path, &text.trim_start_matches('\u{feff}').replace("\r\n", "\n"))),
            Err(error) => {
                let text = String::from_utf8_lossy(&bytes);
                let source = self.named(path, &text);
                let at = error.valid_up_to();
                sink.error(source.place(at..at + 1), "not UTF-8", "save it as UTF-8");
                None
            }
        }
    }

    fn document(&self, path: &str, sink: &mut Sink) -> Option<Document> {
        Some(Document::parse(self.read(path, sink)?, sink))
    }

    /// The names of the folders in `intents/`, sorted.
    fn intents(&self, sink: &mut Sink) -> Vec<String> {
        let entries = match std::fs::read_dir(self.dir.join("intents")) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                sink.error(self.named("intents", "").start(), format!("cannot be read: {error}"), "make it a folder");
                return Vec::new();
            }
        };
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = folders.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names.retain(|name| {
            let valid = is_intent_name(name);
            if !valid {
                let at = self.named(&format!("intents/{name}"), "");
                sink.error(at.start(), format!("`{name}` cannot be an intent's name"), INTENT_NAMES);
            }
            valid
        });
        names
    }

    fn intent(&self, name: &str, sink: &mut Sink) -> Option<IntentSources> {
        let path = |file: &str| format!("intents/{name}/{file}");
        self.strangers(name, sink);
        let before = sink.errors();
        let Some(policy) = self.document(&path("intent.toml"), sink) else {
            if sink.errors() == before {
                let help = "add it with `models = [\"provider/model\"]`, or remove the folder";
                sink.error(self.named(&path("intent.toml"), "").start(), "there is no intent.toml", help);
            }
            return None;
        };
        let mut read = |file| self.read(&path(file), sink);
        let (prompt, input) = (read("prompt.md"), read("input.schema.json"));
        let (output, cases, cascade) = (read("output.schema.json"), read("cases.jsonl"), read("cascade.json"));
        Some(IntentSources { name: name.to_owned(), policy, prompt, input, output, cases, cascade })
    }

    /// A file whose name is nearly right would be ignored in silence.
    fn strangers(&self, intent: &str, sink: &mut Sink) {
        let entries = std::fs::read_dir(self.dir.join("intents").join(intent)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        for name in names.iter().filter(|n| !INTENT_FILES.contains(&n.as_str())) {
            if let Some(near) = nearest(name, INTENT_FILES) {
                let at = self.named(&format!("intents/{intent}/{name}"), "");
                sink.warn(at.start(), "this file is not read", format!("did you mean `{near}`?"));
            }
        }
    }
}

/// What [`is_intent_name`] takes, for messages.
pub const INTENT_NAMES: &str = "up to 64 of a-z, 0-9, `-` and `_`, as in `classify-ticket`";

/// Whether a folder of this name can be an intent.
#[must_use]
pub fn is_intent_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b);
    (1..=64).contains(&name.len()) && name.bytes().all(letter)
}

/// A regular file's bytes, one more than the bound at most.
fn bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
