//! The one thread that writes: takes what waits, writes it as a group, then acknowledges.

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use baton_config::Durability;

use super::segment::{Create, Medium};
use super::shared::{AckSender, Pending, Shared};
use super::{JournalError, Lock, frame, segment};
use crate::digest::Digest;

/// How often `Durability::Process` reaches the disk, and how often a failed journal is tried again.
const PERIOD: Duration = Duration::from_secs(1);

/// A group is written once it has this many bytes, even if more waits.
const GROUP_BYTES: usize = 1 << 20;

pub(crate) struct Writer {
    shared: Arc<Shared>,
    create: Create,
    /// None where the next entry needs a new one.
    segment: Option<Current>,
    /// The last sequence given. One that failed is not given again.
    sequence: u64,
    number: u64,
    group: Group,
    syncer: Option<SyncSender<Arc<dyn Medium>>>,
    synced_at: Instant,
    dirty: bool,
    /// Held until the thread ends.
    _lock: Lock,
}

struct Current {
    number: u64,
    medium: Arc<dyn Medium>,
    length: u64,
}

/// Sealed frames, and who waits for them.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    acks: Vec<AckSender>,
    digests: Vec<(u64, Box<Digest>)>,
}

impl Writer {
    /// Opens the first segment of this start, so that its errors reach who opens the journal.
    pub(crate) fn new(shared: Arc<Shared>, create: Create, number: u64, lock: Lock) -> Result<Self, JournalError> {
        let sequence = *shared.written.borrow();
        let syncer = match shared.options.durability {
            Durability::Process => Some(spawn_syncer(shared.clone())?),
            Durability::Machine => None,
        };
        let mut writer = Self {
            shared,
            create,
            segment: None,
            sequence,
            number,
            group: Group::default(),
            syncer,
            synced_at: Instant::now(),
            dirty: false,
            _lock: lock,
        };
        writer.open_segment()?;
        Ok(writer)
    }

    /// Until the journal is closed.
    pub(crate) fn run(mut self) {
        let mut batch = Vec::new();
        while self.shared.take(&mut batch, self.patience()) {
            let filled = self.segment.as_ref().is_none_or(|current| current.length > segment::HEADER);
            let failed = batch.is_empty() && self.shared.has_error();
            if (self.shared.take_renewal() && filled) || failed {
                self.start_over();
            }
            self.write(&mut batch);
            self.sync_in_time();
        }
        if let Some(current) = &self.segment
            && let Err(error) = current.medium.sync()
        {
            tracing::error!(%error, "the journal could not be synced while closing");
        }
        let done = self.shared.done.clone();
        drop(self);
        done.send_replace(true);
    }

    /// How long to sleep: not for ever where something is to be synced or tried again.
    fn patience(&self) -> Option<Duration> {
        (self.dirty || self.shared.has_error())
            .then(|| PERIOD.saturating_sub(self.synced_at.elapsed()).max(PERIOD / 20))
    }

    fn write(&mut self, batch: &mut Vec<Pending>) {
        for Pending { mut frame, ack, digest } in batch.drain(..) {
            let waiting = self.group.bytes.len() + frame.len();
            let length = self.segment.as_ref().map_or(segment::HEADER, |current| current.length);
            let full = length + waiting as u64 > self.shared.options.segment_bytes && length > segment::HEADER;
            if full || waiting > GROUP_BYTES {
                self.commit();
            }
            if full {
                self.close_segment();
            }
            self.sequence += 1;
            frame::seal(&mut frame, self.sequence);
            self.group.bytes.extend_from_slice(&frame);
            self.group.acks.push(ack);
            self.group.digests.extend(digest.map(|digest| (self.sequence, digest)));
        }
        self.commit();
    }

    /// Writes the group, then acknowledges it.
    fn commit(&mut self) {
        if self.group.acks.is_empty() {
            return;
        }
        let bytes = self.group.bytes.len() as u64;
        let result = self.write_group();
        match &result {
            Ok(number) => {
                self.shared.give_digests(&mut self.group.digests);
                self.shared.grown(*number, bytes, self.sequence);
            }
            Err(error) => {
                tracing::error!(%error, "the journal could not be written");
                self.shared.forget(bytes);
            }
        }
        let result = result.map(|_| ());
        if result.is_err() || self.shared.has_error() {
            self.shared.set_error(result.clone().err());
        }
        self.group.bytes.clear();
        self.group.digests.clear();
        for ack in self.group.acks.drain(..) {
            // Who no longer waits need not be told.
            let _ = ack.send(result.clone());
        }
    }

    /// The number of the segment that holds the group now. After a failure the segment ends where
    /// it did before, or is left alone for good.
    fn write_group(&mut self) -> Result<u64, JournalError> {
        self.open_segment()?;
        let Some(current) = &mut self.segment else { return Err(JournalError::Closed) };
        let machine = self.shared.options.durability == Durability::Machine;
        let written = current.medium.append(&self.group.bytes);
        let synced = if machine && written.is_ok() { current.medium.sync() } else { Ok(()) };
        let number = current.number;
        let failed = synced.is_err();
        if let Err(error) = written.and(synced) {
            let path = segment::path(&self.shared.dir, number);
            // What a failed sync leaves on disk is unknown, so nothing follows it.
            if current.medium.truncate(current.length).is_err() || failed {
                self.segment = None;
            }
            return Err(JournalError::io("write to", &path, &error));
        }
        current.length += self.group.bytes.len() as u64;
        self.dirty = !machine;
        Ok(number)
    }

    fn open_segment(&mut self) -> Result<(), JournalError> {
        if self.segment.is_none() {
            let (number, first) = (self.number, self.sequence + 1);
            // A number is used once, even if the file could not be made.
            self.number += 1;
            let medium = segment::create(&self.shared.dir, number, first, &self.create)?;
            self.shared.add_segment(number);
            self.segment = Some(Current { number, medium, length: segment::HEADER });
        }
        Ok(())
    }

    fn close_segment(&mut self) {
        self.sync();
        self.segment = None;
    }

    /// Leaves the segment alone and tries a new one: the way out of an error.
    fn start_over(&mut self) {
        if self.dirty {
            self.sync();
        }
        self.segment = None;
        let result = self.open_segment();
        self.synced_at = Instant::now();
        self.shared.set_error(result.err());
    }

    fn sync_in_time(&mut self) {
        if self.dirty && self.synced_at.elapsed() >= PERIOD {
            self.sync();
        }
    }

    /// Hands the segment to the syncer; syncs here where that one is behind.
    fn sync(&mut self) {
        (self.synced_at, self.dirty) = (Instant::now(), false);
        let (Some(syncer), Some(current)) = (&self.syncer, &self.segment) else { return };
        if let Err(error) = syncer.try_send(current.medium.clone()) {
            drop(error);
            sync_medium(&self.shared, &*current.medium);
        }
    }
}

/// A thread that syncs, so that acknowledgements do not wait for the disk with
/// `Durability::Process`. Ends with the writer.
fn spawn_syncer(shared: Arc<Shared>) -> Result<SyncSender<Arc<dyn Medium>>, JournalError> {
    let (sender, receiver) = sync_channel::<Arc<dyn Medium>>(4);
    let dir = shared.dir.clone();
    std::thread::Builder::new()
        .name("baton-sync".into())
        .spawn(move || receiver.iter().for_each(|medium| sync_medium(&shared, &*medium)))
        .map_err(|error| JournalError::io("start the syncing thread for", &dir, &error))?;
    Ok(sender)
}

fn sync_medium(shared: &Shared, medium: &dyn Medium) {
    if let Err(error) = medium.sync() {
        tracing::error!(%error, "the journal could not be synced");
        shared.set_error(Some(JournalError::io("sync a segment in", &shared.dir, &error)));
        shared.renew();
    }
}
