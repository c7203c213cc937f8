//! What callers, the writer thread and readers of a journal share: the queue, and what is known of
//! the segments.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::segment::Segment;
use super::{JournalError, JournalOptions, JournalState, frame, segment};
use crate::digest::Digest;
use crate::entry::{Entry, VERSION};

/// Told once an entry is as durable as the options say.
pub(crate) type AckSender = oneshot::Sender<Result<(), JournalError>>;

/// An entry on its way to the writer.
pub(crate) struct Pending {
    pub(crate) frame: Vec<u8>,
    pub(crate) ack: AckSender,
    pub(crate) digest: Option<Box<Digest>>,
}

/// Digests that wait for ingestion; entries past it go without.
const DIGESTS_MAX: usize = 8192;

#[derive(Default)]
struct Queue {
    pending: Vec<Pending>,
    bytes: usize,
    closed: bool,
    /// Whether the writer sleeps: waking it costs a system call, so only then.
    idle: bool,
}

pub(crate) struct Shared {
    pub(crate) dir: PathBuf,
    pub(crate) options: JournalOptions,
    queue: Mutex<Queue>,
    wake: Condvar,
    segments: Mutex<BTreeMap<u64, Segment>>,
    /// Of acknowledged entries, with their sequence, in order.
    digests: Mutex<VecDeque<(u64, Box<Digest>)>>,
    /// Bytes of all segments and of the queue.
    bytes: AtomicU64,
    /// The sequence of the last acknowledged entry.
    pub(crate) written: watch::Sender<u64>,
    /// What the last write failed with, until one succeeds.
    error: Mutex<Option<JournalError>>,
    /// Whether there is an error; for those who may not wait for the lock.
    failing: AtomicBool,
    /// Set where the segment being written is to be left alone and a new one started.
    renew: AtomicBool,
    /// Whether the writer has ended.
    pub(crate) done: watch::Sender<bool>,
}

/// Nothing here is left half changed by a panic, so a poisoned lock is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of a record that gives nothing but rows and sums: what is drawn for review is read whole. Boxed: it goes
/// through three queues.
fn digest(entry: &Entry) -> Option<Box<Digest>> {
    match entry {
        Entry::Finished(record) if record.review.is_none() => Some(Box::new(Digest::of(record))),
        _ => None,
    }
}

impl Shared {
    pub(crate) fn new(dir: PathBuf, options: JournalOptions, segments: BTreeMap<u64, Segment>, last: u64) -> Self {
        Self {
            dir,
            options,
            queue: Mutex::default(),
            wake: Condvar::new(),
            bytes: AtomicU64::new(segments.values().map(|segment| segment.size).sum()),
            segments: Mutex::new(segments),
            digests: Mutex::default(),
            written: watch::Sender::new(last),
            error: Mutex::default(),
            failing: AtomicBool::new(false),
            renew: AtomicBool::new(false),
            done: watch::Sender::new(false),
        }
    }

    /// Serialises on the caller's thread, and hands over to the writer.
    pub(crate) fn append(&self, entry: &Entry) -> Result<oneshot::Receiver<Result<(), JournalError>>, JournalError> {
        let bound = self.options.bytes_max;
        let crowded = self.bytes.load(Ordering::Relaxed) > bound / 10 * 8;
        let frame = self.encode(entry, crowded)?;
        let size = frame.len() as u64;
        let bytes = self.bytes.fetch_add(size, Ordering::Relaxed) + size;
        let (ack, receiver) = oneshot::channel();
        let pushed = if bytes > bound {
            Err(JournalError::Full { bound })
        } else {
            self.push(Pending { frame, ack, digest: digest(entry) })
        };
        pushed.inspect_err(|_| self.forget(size)).map(|()| receiver)
    }

    /// Content is dropped where the journal is crowded or the entry is too large with it.
    fn encode(&self, entry: &Entry, crowded: bool) -> Result<Vec<u8>, JournalError> {
        let encoded = |entry: &Entry| {
            let mut frame = frame::start(entry.kind() as u8, VERSION);
            entry.encode(&mut frame).map_err(|error| JournalError::Encoding(error.to_string()))?;
            Ok(frame)
        };
        let max = self.options.entry_bytes_max;
        let slim = if crowded { entry.without_content() } else { None };
        let mut frame = encoded(slim.as_ref().unwrap_or(entry))?;
        if frame.len() > max
            && let Some(slim) = entry.without_content()
        {
            frame = encoded(&slim)?;
        }
        if frame.len() > max { Err(JournalError::TooLarge { bytes: frame.len(), max }) } else { Ok(frame) }
    }

    fn push(&self, pending: Pending) -> Result<(), JournalError> {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return Err(JournalError::Closed);
        }
        let bytes = queue.bytes + pending.frame.len();
        if bytes > self.options.queue_bytes_max {
            return Err(JournalError::QueueFull { bound: self.options.queue_bytes_max });
        }
        queue.bytes = bytes;
        queue.pending.push(pending);
        let idle = std::mem::take(&mut queue.idle);
        // Whoever wakes wants the lock.
        drop(queue);
        if idle {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// The writer's side: everything that waits, swapped against the empty `batch`. Sleeps at most
    /// `timeout` where nothing waits. False once the journal is closed and nothing is left.
    pub(crate) fn take(&self, batch: &mut Vec<Pending>, timeout: Option<Duration>) -> bool {
        let mut queue = lock(&self.queue);
        if queue.pending.is_empty() && !queue.closed && !self.renew.load(Ordering::Relaxed) {
            queue.idle = true;
            queue = match timeout {
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
                Some(timeout) => self.wake.wait_timeout(queue, timeout).unwrap_or_else(PoisonError::into_inner).0,
            };
            queue.idle = false;
            if !queue.pending.is_empty() {
                // Others that have something to say as well go first: one write for all of them.
                drop(queue);
                std::thread::yield_now();
                queue = lock(&self.queue);
            }
        }
        std::mem::swap(&mut queue.pending, batch);
        queue.bytes = 0;
        !(batch.is_empty() && queue.closed)
    }

    /// Has the writer leave its segment alone and start a new one.
    pub(crate) fn renew(&self) {
        // Under the lock, so that the writer either sees it or sleeps already.
        let _queue = lock(&self.queue);
        self.renew.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// The writer's side of [`Shared::renew`].
    pub(crate) fn take_renewal(&self) -> bool {
        self.renew.swap(false, Ordering::Relaxed)
    }

    /// No entry is accepted from here on; the writer ends after those that wait.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.wake.notify_one();
    }

    pub(crate) fn state(&self) -> JournalState {
        let (bytes, bound) = (self.bytes.load(Ordering::Relaxed), self.options.bytes_max);
        let last_error = lock(&self.error).clone();
        let queue = lock(&self.queue);
        JournalState {
            bytes,
            bound,
            queued_bytes: queue.bytes as u64,
            dropping_content: bytes > bound / 10 * 8,
            refusing: queue.closed || last_error.is_some() || self.crowded_out(),
            last_error,
            written: *self.written.borrow(),
        }
    }

    /// Why new work should not be started now. Takes no lock where all is well.
    pub(crate) fn refusal(&self) -> Option<JournalError> {
        if self.has_error() {
            return lock(&self.error).clone();
        }
        self.crowded_out().then_some(JournalError::Full { bound: self.options.bytes_max })
    }

    /// The last twentieth is for the records of work that was admitted before.
    fn crowded_out(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.options.bytes_max / 20 * 19
    }

    /// Remembers how the last write went.
    pub(crate) fn set_error(&self, error: Option<JournalError>) {
        self.failing.store(error.is_some(), Ordering::Relaxed);
        *lock(&self.error) = error;
    }

    pub(crate) fn has_error(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Entries of this size were not written after all.
    pub(crate) fn forget(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A new segment, with nothing but its header.
    pub(crate) fn add_segment(&self, number: u64) {
        let segment = Segment { length: segment::HEADER, size: segment::HEADER, ..Segment::default() };
        self.bytes.fetch_add(segment.size, Ordering::Relaxed);
        lock(&self.segments).insert(number, segment);
        // Nothing was written, but readers that have finished the segment before may let it go.
        self.written.send_modify(|_| {});
    }

    /// The segment grew by good frames, the last of which has sequence `last`.
    pub(crate) fn grown(&self, number: u64, bytes: u64, last: u64) {
        if let Some(segment) = lock(&self.segments).get_mut(&number) {
            segment.length += bytes;
            segment.size += bytes;
            segment.last = last;
        }
        self.written.send_replace(last);
    }

    /// Hands over what ingestion would else parse: before it can read the entries.
    pub(crate) fn give_digests(&self, given: &mut Vec<(u64, Box<Digest>)>) {
        let mut digests = lock(&self.digests);
        let room = DIGESTS_MAX.saturating_sub(digests.len());
        digests.extend(given.drain(..).take(room));
    }

    pub(crate) fn take_digests(&self) -> VecDeque<(u64, Box<Digest>)> {
        std::mem::take(&mut *lock(&self.digests))
    }

    /// The first segment with at least this number: its number, its length, whether it is the one
    /// being written.
    pub(crate) fn segment_from(&self, number: u64) -> Option<(u64, u64, bool)> {
        let segments = lock(&self.segments);
        let current = *segments.last_key_value()?.0;
        segments.range(number..).next().map(|(&number, segment)| (number, segment.length, number == current))
    }

    /// The segment being written, where it holds entries and is still this one, or any for 0.
    pub(crate) fn unrotated(&self, number: u64) -> Option<u64> {
        let segments = lock(&self.segments);
        let (&current, segment) = segments.last_key_value()?;
        (segment.length > segment::HEADER && (number == 0 || number == current)).then_some(current)
    }

    pub(crate) fn mark_damaged(&self, number: u64) {
        if let Some(segment) = lock(&self.segments).get_mut(&number) {
            segment.damaged = true;
        }
    }

    /// Everything up to `sequence` is durable elsewhere: segments that hold nothing else go. A
    /// damaged one is renamed and stays for whoever looks into the damage.
    pub(crate) fn release(&self, sequence: u64) -> Result<(), JournalError> {
        for (number, segment) in self.releasable(sequence) {
            let path = segment::path(&self.dir, number);
            let gone = if segment.damaged {
                std::fs::rename(&path, path.with_extension("damaged"))
            } else {
                std::fs::remove_file(&path)
            };
            gone.map_err(|error| JournalError::io("remove", &path, &error))?;
            lock(&self.segments).remove(&number);
            self.forget(segment.size);
        }
        Ok(())
    }

    fn releasable(&self, sequence: u64) -> Vec<(u64, Segment)> {
        let segments = lock(&self.segments);
        let older = segments.iter().rev().skip(1).filter(|(_, segment)| segment.last <= sequence);
        older.map(|(&number, segment)| (number, segment.clone())).collect()
    }
}
