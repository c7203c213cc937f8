//! The folder changed: from its files to the running server, or to a report of what is wrong.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_config::{Changes, Secret, Snapshot, sources};
use baton_engine::Orchestrator;

use crate::exit::{Exit, tell};
use crate::setup::{Folder, colour, usable, warn};
use crate::telemetry::signable;
use crate::transports::Transports;

/// Sections that are read at the start only.
const AT_START: [&str; 1] = ["store"];

/// See the module. What it does takes as long as training does: not for a thread that answers calls.
pub(crate) struct Reloader {
    folder: Folder,
    baton: Orchestrator,
    transports: Arc<Transports>,
    seen: Mutex<Seen>,
}

/// What was looked at last.
#[derive(Default)]
struct Seen {
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Files that the configuration names: keys, scenarios.
    named: Vec<PathBuf>,
}

/// Tells one content of a file from another: device, inode, bytes, and nanoseconds of its last change.
type Stamp = (u64, u64, u64, i64, i64);

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Nothing was written since the last look.
    Same,
    /// Somebody is writing: what was read may be half of it.
    Moving,
    /// All was read, and is in force or refused.
    Settled,
}

impl Reloader {
    pub(crate) fn new(folder: Folder, baton: Orchestrator, transports: Arc<Transports>) -> Self {
        let named = named(&baton.snapshot());
        let seen = Mutex::new(Seen { named, files: Vec::new() });
        Self { folder, baton, transports, seen }
    }

    /// The files whose change changes the configuration.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let named = self.seen().named.clone();
        sources(&self.folder.dir).into_iter().chain(named).collect()
    }

    /// Looks at the files; reads them where one was written since the last look. `sure`: they are read
    /// in any case, and as they are.
    pub(crate) fn look(&self, sure: bool) -> Looked {
        let before = stamps(self.files());
        if !sure && self.seen().files == before {
            return Looked::Same;
        }
        let read = self.read();
        if !sure && stamps(before.iter().map(|(path, _)| path.clone()).collect()) != before {
            return Looked::Moving;
        }
        self.seen().files = before;
        let refused = self.baton.configuration().refused.is_some();
        let applied = read.and_then(|snapshot| {
            self.seen().named = named(&snapshot);
            usable(&snapshot, &self.transports)?;
            signable(&snapshot)?;
            Ok(self.baton.reload(snapshot))
        });
        match applied {
            Ok(Ok(changes)) if changes.is_empty() && refused => tell!("the files say what is in force again"),
            Ok(Ok(changes)) => self.tell(&changes),
            // The engine noted it itself.
            Ok(Err(error)) => tell_refused(&error.to_string()),
            Err(refused) => {
                let refused = refused.message();
                self.baton.refuse(refused);
                tell_refused(refused);
            }
        }
        Looked::Settled
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault of ours: what is in force stays.
    pub(crate) fn failed(&self) {
        self.baton.refuse("a fault of Baton's own while the folder was read; please report it");
        tell!("the folder could not be read: a fault of Baton's own, please report it; what was in force stays");
    }

    fn read(&self) -> Result<Snapshot, Exit> {
        let loaded = self.folder.load().map_err(|report| Exit::usage(report.render(colour())))?;
        if loaded.snapshot.hash() != self.baton.configuration().hash {
            warn(&loaded.warnings);
        }
        Ok(loaded.snapshot)
    }

    fn tell(&self, changes: &Changes) {
        if changes.is_empty() {
            return;
        }
        let now = self.baton.configuration();
        tell!("configuration {} is in force: {changes}", now.hash.get(..8).unwrap_or_default());
        for section in AT_START.iter().filter(|at_start| changes.sections.iter().any(|name| name == *at_start)) {
            tell!("warning: [{section}] is read at the start: restart the server for what it says now");
        }
    }
}

fn tell_refused(why: &str) {
    tell!("the changed configuration is refused, what was in force stays:\n{}", why.trim_end());
}

/// The files that a configuration names.
fn named(snapshot: &Snapshot) -> Vec<PathBuf> {
    let keys = snapshot.providers.values().flat_map(|provider| &provider.api_keys).filter_map(|key| match key {
        Secret::File(path) => Some(path.clone()),
        Secret::Env(_) => None,
    });
    keys.chain(snapshot.providers.values().filter_map(|provider| provider.scenario.clone())).collect()
}

fn stamps(files: Vec<PathBuf>) -> Vec<(PathBuf, Option<Stamp>)> {
    let stamp = |path: PathBuf| {
        // Links are followed, as those who read the file do: a mount that is swapped is another inode.
        let found = std::fs::metadata(&path).ok();
        let stamp = found.map(|file| {
            let changed = file.ctime().saturating_mul(1_000_000_000).saturating_add(file.ctime_nsec());
            let written = file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec());
            (file.dev(), file.ino(), file.size(), written, changed)
        });
        (path, stamp)
    };
    files.into_iter().map(stamp).collect()
}
