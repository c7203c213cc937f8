//! When to look at the folder: a notification, a signal, or some time that passed.
//!
//! What the system notifies of is a hint, and the files decide: they are looked at once it is quiet,
//! and every few seconds in any case. So neither a link that is swapped somewhere on the way, nor a
//! network file system, nor a watch that cannot be had goes unseen for long.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::exit::tell;
use crate::reload::{Looked, Reloader};

/// Nobody wrote for so long: they are done.
const QUIET: Duration = Duration::from_millis(200);
/// Whoever does not stop writing is not waited for longer.
const UNQUIET_MAX: Duration = Duration::from_secs(2);
/// Looks in any case: beside notifications, and without.
const LOOK: Duration = Duration::from_secs(5);
const LOOK_OFTEN: Duration = Duration::from_secs(1);
/// So often is a folder read that changes while it is read; then it is taken as it is.
const READS_MAX: usize = 5;

/// Follows the folder for as long as it is polled.
pub(crate) async fn follow(reloader: Reloader) {
    let reloader = Arc::new(reloader);
    let mut watch = Watch::new();
    let mut hangup = signal(SignalKind::hangup()).ok();
    watch.cover(&reloader.files());
    let mut asked = false;
    loop {
        // Also at the start: somebody may have written while the server started.
        if settle(&reloader, asked).await != Looked::Same {
            watch.cover(&reloader.files());
        }
        asked = tokio::select! {
            biased;
            () = hung_up(&mut hangup) => true,
            () = watch.quiet() => false,
            () = sleep(watch.patience()) => false,
        };
    }
}

/// Looks until what was read is whole. On a thread of its own: training takes its time.
async fn settle(reloader: &Arc<Reloader>, asked: bool) -> Looked {
    for read in 1..=READS_MAX {
        let looking = Arc::clone(reloader);
        let looked = tokio::task::spawn_blocking(move || looking.look(asked || read == READS_MAX)).await;
        match looked {
            Ok(Looked::Moving) => sleep(QUIET).await,
            Ok(looked) => return looked,
            Err(_) => {
                reloader.failed();
                break;
            }
        }
    }
    Looked::Settled
}

async fn hung_up(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// The system's notifications.
struct Watch {
    hints: Arc<Notify>,
    /// `None` where there are none to be had.
    watcher: Option<RecommendedWatcher>,
    covered: BTreeSet<PathBuf>,
}

impl Watch {
    fn new() -> Self {
        let hints = Arc::new(Notify::new());
        let hinting = Arc::clone(&hints);
        let on_event = move |event: notify::Result<Event>| {
            if !event.is_ok_and(|event| is_a_look(&event)) {
                hinting.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(on_event).inspect_err(tell_without).ok();
        Self { hints, watcher, covered: BTreeSet::new() }
    }

    /// Watches the folders of these files: files are replaced, folders stay. Whatever is not covered is
    /// seen by looking.
    fn cover(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let folders: BTreeSet<PathBuf> = files.iter().filter_map(|file| file.parent()).map(Path::to_owned).collect();
        for gone in self.covered.difference(&folders) {
            // One that was removed is not watched any more.
            let _gone = watcher.unwatch(gone);
        }
        self.covered.retain(|folder| folders.contains(folder));
        for folder in folders {
            // A folder that was made anew under the same name is another one.
            let _anew = watcher.unwatch(&folder);
            match watcher.watch(&folder, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.covered.insert(folder)),
                Err(error) if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) => {
                    tell_without(&error);
                    self.watcher = None;
                    return;
                }
                Err(_) => {}
            }
        }
    }

    /// Something was written, and nothing any more since.
    async fn quiet(&self) {
        self.hints.notified().await;
        let until = Instant::now() + UNQUIET_MAX;
        while Instant::now() < until && timeout(QUIET, self.hints.notified()).await.is_ok() {}
    }

    fn patience(&self) -> Duration {
        if self.watcher.is_some() { LOOK } else { LOOK_OFTEN }
    }
}

fn tell_without(error: &notify::Error) {
    tell!("the folder is looked at each second: the system does not notify of changes ({error})");
}

/// Reading is no writing; and we read ourselves.
fn is_a_look(event: &Event) -> bool {
    matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write))
}
