//! The journal: what was acknowledged survives the process.
//!
//! Entries are framed ([`frame`]) into segment files ([`segment`]) by one writer thread
//! ([`writer`]) and read back in order ([`reader`]). A segment goes once the store has committed
//! everything in it. A torn tail is never appended to: every start opens a new segment.

mod frame;
mod memory;
mod reader;
mod segment;
mod shared;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, TryLockError};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use baton_config::Durability;
use tokio::sync::oneshot;

use crate::Entry;
use shared::Shared;
use writer::Writer;

pub(crate) use memory::Memory;
pub use memory::{Handling, JournalScript};
pub(crate) use reader::{Raw, Reader};
pub use segment::Damage;

/// How a journal is kept.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// When an append is acknowledged.
    pub durability: Durability,
    /// Bytes of all segments: at 80 % content is dropped from records, at 100 % entries are refused.
    pub bytes_max: u64,
    /// Bytes of one segment; at most an eighth of `bytes_max`, so that full ones can go.
    pub segment_bytes: u64,
    /// Bytes that may wait for the writer.
    pub queue_bytes_max: usize,
    /// Bytes of one entry; a record over it loses its content.
    pub entry_bytes_max: usize,
    /// Entries up to this sequence are known to be elsewhere: not counted as recovered.
    pub after: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            durability: Durability::Process,
            bytes_max: 1 << 30,
            segment_bytes: 64 << 20,
            queue_bytes_max: 32 << 20,
            entry_bytes_max: 16 << 20,
            after: 0,
        }
    }
}

/// What opening a journal found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Good entries behind `after`.
    pub entries: u64,
    /// Bytes at the ends of segments that were never acknowledged.
    pub torn_bytes: u64,
    /// Damage with good entries behind it. Those entries are read; the damaged ones are lost.
    pub damage: Vec<Damage>,
}

/// How a journal is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalState {
    /// Bytes of all segments and of the queue.
    pub bytes: u64,
    /// The bound on `bytes`.
    pub bound: u64,
    /// Bytes that wait for the writer.
    pub queued_bytes: u64,
    /// Whether records lose their content.
    pub dropping_content: bool,
    /// Whether new work should be refused: over 95 % full, failed, or closed. Entries of work that
    /// was admitted before are still tried.
    pub refusing: bool,
    /// What the last write failed with; `None` once one succeeded again. Tried each second.
    pub last_error: Option<JournalError>,
    /// The sequence of the last acknowledged entry.
    pub written: u64,
}

/// Why an entry was not taken, or a journal not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The bound on all bytes is reached: ingestion is behind or failing.
    #[error("the journal holds its bound of {bound} bytes that the store has not taken yet; see the store's errors")]
    Full {
        /// Bytes.
        bound: u64,
    },
    /// Too much waits for the writer: the disk is slower than the calls.
    #[error("{bound} bytes wait to be written to the journal; the disk is slower than the calls, send fewer")]
    QueueFull {
        /// Bytes.
        bound: usize,
    },
    /// One entry is too large, even without its content.
    #[error("an entry of {bytes} bytes is over the journal's limit of {max}; send less metadata")]
    TooLarge {
        /// Of the entry.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The journal was closed.
    #[error("the journal is closed; the server is shutting down")]
    Closed,
    /// Another process has the folder.
    #[error("{} is in use by another process{}; stop it, or use another folder", dir.display(), process(*pid))]
    Locked {
        /// The folder.
        dir: PathBuf,
        /// The process, where it is known.
        pid: Option<u32>,
    },
    /// The disk said no.
    #[error("could not {action} {}: {message}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The operating system's words.
        message: String,
    },
    /// The entry cannot be written as JSON.
    #[error("an entry could not be encoded: {0}")]
    Encoding(String),
    /// The bytes are as they were written, and cannot be understood.
    #[error("entry {sequence} of the journal cannot be read: {reason}")]
    Unreadable {
        /// Which.
        sequence: u64,
        /// Why.
        reason: String,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" ({pid})"))
}

impl JournalError {
    fn io(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), message: error.to_string() }
    }
}

/// Resolves once the entry is as durable as the journal's options say. Dropping it loses nothing:
/// the entry is written all the same.
#[must_use = "an entry is not kept before it is acknowledged"]
#[derive(Debug)]
pub struct Ack(Acked);

#[derive(Debug)]
enum Acked {
    Now,
    /// Simulated.
    At(Pin<Box<tokio::time::Sleep>>),
    When(oneshot::Receiver<Result<(), JournalError>>),
}

impl Future for Ack {
    type Output = Result<(), JournalError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Acked::Now => Poll::Ready(Ok(())),
            Acked::At(time) => time.as_mut().poll(context).map(Ok),
            Acked::When(receiver) => {
                Poll::Ready(ready!(Pin::new(receiver).poll(context)).unwrap_or(Err(JournalError::Closed)))
            }
        }
    }
}

/// Takes entries and acknowledges them once they are kept. Cheap to clone.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

enum Inner {
    File(Arc<Shared>),
    Memory(Memory),
}

/// The writer must not outlive everybody who could give it work.
impl Drop for Inner {
    fn drop(&mut self) {
        if let Self::File(shared) = self {
            shared.close();
        }
    }
}

impl Journal {
    /// Opens the journal of a folder, which is created if needed, and starts its writer.
    ///
    /// Reads every segment to find the end of what was acknowledged: about a second a gigabyte.
    ///
    /// # Errors
    /// [`JournalError::Locked`] while another process has the folder, [`JournalError::Io`].
    pub fn open(dir: &Path, options: JournalOptions) -> Result<(Self, Recovered), JournalError> {
        Self::open_locked(dir, options, Self::lock(dir)?)
    }

    /// Takes the folder, which is created if needed, for this process.
    pub(crate) fn lock(dir: &Path) -> Result<Lock, JournalError> {
        create_private(dir).map_err(|error| JournalError::io("create", dir, &error))?;
        lock(dir).map(Lock)
    }

    /// [`Journal::open`] with the folder already taken.
    pub(crate) fn open_locked(
        dir: &Path,
        options: JournalOptions,
        lock: Lock,
    ) -> Result<(Self, Recovered), JournalError> {
        Self::open_on(dir, options, lock, Arc::new(segment::create_file))
    }

    fn open_on(
        dir: &Path,
        mut options: JournalOptions,
        lock: Lock,
        create: segment::Create,
    ) -> Result<(Self, Recovered), JournalError> {
        options.segment_bytes = options.segment_bytes.min(options.bytes_max / 8);
        let mut recovered = Recovered::default();
        let mut segments = BTreeMap::new();
        let mut last = options.after;
        for number in segment::list(dir)? {
            let scan = segment::scan(&segment::path(dir, number), options.after)?;
            last = last.max(scan.before).max(scan.segment.last);
            recovered.entries += scan.entries;
            recovered.torn_bytes += scan.segment.size.saturating_sub(scan.segment.length);
            recovered.damage.extend(scan.damage);
            segments.insert(number, scan.segment);
        }
        let number = segments.last_key_value().map_or(1, |(number, _)| number + 1);
        let shared = Arc::new(Shared::new(dir.to_owned(), options, segments, last));
        let writer = Writer::new(shared.clone(), create, number, lock)?;
        std::thread::Builder::new()
            .name("baton-journal".into())
            .spawn(move || writer.run())
            .map_err(|error| JournalError::io("start the writing thread for", dir, &error))?;
        Ok((Self(Arc::new(Inner::File(shared))), recovered))
    }

    /// Keeps the last 65,536 entries in memory and acknowledges at once: for simulation, and for a
    /// library without a folder.
    #[must_use]
    pub fn memory() -> Self {
        Self(Arc::new(Inner::Memory(Memory::default())))
    }

    /// The same, slow or full as the script says: for simulation.
    #[must_use]
    pub fn scripted(script: JournalScript) -> Self {
        Self(Arc::new(Inner::Memory(Memory::scripted(script))))
    }

    /// Hands an entry over. It is kept once the [`Ack`] resolves to `Ok`; after an `Err` it may or
    /// may not be found by recovery.
    ///
    /// # Errors
    /// [`JournalError::Full`], [`JournalError::QueueFull`], [`JournalError::TooLarge`],
    /// [`JournalError::Closed`]; what the disk says comes from the [`Ack`].
    pub fn append(&self, entry: &Entry) -> Result<Ack, JournalError> {
        match &*self.0 {
            Inner::File(shared) => shared.append(entry).map(|receiver| Ack(Acked::When(receiver))),
            Inner::Memory(memory) => memory.append(entry).map(|after| {
                Ack(if after.is_zero() { Acked::Now } else { Acked::At(Box::pin(tokio::time::sleep(after))) })
            }),
        }
    }

    /// How it is doing.
    #[must_use]
    pub fn state(&self) -> JournalState {
        match &*self.0 {
            Inner::File(shared) => shared.state(),
            Inner::Memory(memory) => memory.state(),
        }
    }

    /// Why new work should not be started now: over 95 % full, or failing. `None` costs next to
    /// nothing, so that every call can ask.
    #[must_use]
    pub fn refusal(&self) -> Option<JournalError> {
        match &*self.0 {
            Inner::File(shared) => shared.refusal(),
            Inner::Memory(memory) => memory.refusal(),
        }
    }

    /// The entries that it still holds with a sequence over `after`, in order: for simulation and
    /// tests. Reads all of them into memory.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::Unreadable`].
    pub fn entries(&self, after: u64) -> Result<Vec<(u64, Entry)>, JournalError> {
        let mut entries = Vec::new();
        match &*self.0 {
            Inner::Memory(memory) => entries = memory.entries(after),
            Inner::File(shared) => {
                let mut reader = Reader::new(shared.clone(), after);
                loop {
                    let frames = reader.next(1 << 20)?;
                    if frames.is_empty() {
                        break;
                    }
                    for raw in frames {
                        entries.push((raw.sequence, raw.entry()?));
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Refuses entries from here on, waits until those accepted are written and synced, and gives
    /// the folder back.
    pub async fn close(self) {
        match &*self.0 {
            Inner::Memory(memory) => memory.close(),
            Inner::File(shared) => {
                shared.close();
                // An error means that the sender is gone, which cannot be while it is borrowed.
                let _ = shared.done.subscribe().wait_for(|done| *done).await;
            }
        }
    }

    /// The entries, where they are kept in memory.
    pub(crate) fn as_memory(&self) -> Option<&Memory> {
        match &*self.0 {
            Inner::File(_) => None,
            Inner::Memory(memory) => Some(memory),
        }
    }

    /// The same journal as a reader sees it; `None` where it is kept in memory.
    pub(crate) fn reader(&self, after: u64) -> Option<Reader> {
        match &*self.0 {
            Inner::File(shared) => Some(Reader::new(shared.clone(), after)),
            Inner::Memory(_) => None,
        }
    }

    /// Starts a new segment, so that the one being written can go once it is ingested.
    pub(crate) fn rotate(&self) {
        if let Inner::File(shared) = &*self.0 {
            shared.renew();
        }
    }

    /// The same, and waits until it is, so that what is ingested can go at once. Gives up where the disk
    /// refuses a new one: what is there goes with the next.
    pub(crate) async fn rotated(&self) {
        if let Inner::File(shared) = &*self.0 {
            let mut written = shared.written.subscribe();
            let Some(before) = shared.unrotated(0) else { return };
            shared.renew();
            while shared.unrotated(before).is_some() && shared.refusal().is_none() {
                if tokio::time::timeout(ROTATING, written.changed()).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// How long a new segment may take: more than a disk needs.
const ROTATING: Duration = Duration::from_secs(5);

/// What lies in a journal is nobody else's business.
fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// The right to write to a folder. Held by the writer as long as it lives.
pub(crate) struct Lock(#[expect(dead_code, reason = "it is the holding that counts")] File);

/// The operating system lets go of it when a process dies.
fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join("lock");
    let failed = |error: &io::Error| JournalError::io("lock", &path, error);
    let file =
        File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(|e| failed(&e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let pid = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            return Err(JournalError::Locked { dir: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&error)),
    }
    file.set_len(0)
        .and_then(|()| io::Write::write_all(&mut &file, std::process::id().to_string().as_bytes()))
        .map_err(|e| failed(&e))?;
    Ok(file)
}

/// The bytes of a segment with one entry, of any version: for tests of what is not understood.
#[cfg(test)]
pub(crate) fn segment_of(sequence: u64, version: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame::start(2, version);
    frame.extend_from_slice(payload);
    frame::seal(&mut frame, sequence);
    [segment::header(sequence), frame].concat()
}
