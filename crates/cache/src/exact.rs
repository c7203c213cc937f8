//! The table of remembered answers, bounded by bytes.

use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use baton_core::{ExecutionId, IntentName, ModelId, Moment, SubjectHash};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::{Entry, Key};

/// How long an answer is kept past its time to live, for `on_exhausted = "stale"`.
pub const STALE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers of so many models are kept under one key; past it the oldest goes.
const MODELS_MAX: usize = 8;
/// Key, pointers and the table's own overhead for one key.
const SLOT_BYTES: u64 = 256;
/// A cache is split into at most so many independently locked shards,
const SHARDS_MAX: u64 = 16;
/// of at least so many bytes each: a shard's share bounds the largest answer that can be kept.
const SHARD_BYTES_MIN: u64 = 4 << 20;

/// What the cache knows of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// An answer within the intent's time to live and the age that the call accepts.
    Hit(Arc<Entry>),
    /// An answer that is too old, by less than [`STALE_MAX`]: to be given labelled, or not at all.
    Stale(Arc<Entry>),
    /// Nothing.
    Miss,
}

/// Remembered answers: for each key one per model, within a bound of bytes. What is used least goes
/// first.
pub struct ExactCache {
    table: Cache<Key, Slot, SlotWeight, BuildHasherDefault<KeyHasher>>,
    /// Held by writers, since a slot is read, changed and put back. Readers never wait for it.
    writer: Mutex<()>,
}

/// The answers of one key, at most one per model. Most keys have one, which takes no list.
#[derive(Clone)]
struct Slot {
    newest: Arc<Entry>,
    /// Newest first.
    others: Vec<Arc<Entry>>,
    bytes: u64,
}

impl Slot {
    fn of(newest: Arc<Entry>, others: Vec<Arc<Entry>>) -> Self {
        let bytes = SLOT_BYTES + newest.bytes() + others.iter().map(|entry| entry.bytes()).sum::<u64>();
        Self { newest, others, bytes }
    }

    fn answers(&self) -> impl Iterator<Item = &Arc<Entry>> {
        std::iter::once(&self.newest).chain(&self.others)
    }
}

impl ExactCache {
    /// A cache of at most so many bytes, as [`Entry::bytes`] estimates them.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        let shards = 1 << (bytes_max / SHARD_BYTES_MIN).clamp(1, SHARDS_MAX).ilog2();
        let options = OptionsBuilder::new()
            // The table divides by rounding up, and must not exceed the bound by that.
            .weight_capacity(bytes_max / shards * shards)
            .estimated_items_capacity(usize::try_from(bytes_max / 2048).unwrap_or(usize::MAX).max(32 * shards as usize))
            .shards(shards as usize)
            .build();
        #[expect(clippy::expect_used, reason = "both required options are set above")]
        let options = options.expect("weight and items are given");
        let table =
            Cache::with_options(options, SlotWeight, BuildHasherDefault::default(), DefaultLifecycle::default());
        Self { table, writer: Mutex::new(()) }
    }

    /// Looks for the newest answer, by one of `models` where the call names any, no older than
    /// `max_age` where the call has a time to live of its own (zero: never).
    #[must_use]
    pub fn get(&self, key: &Key, now: Moment, max_age: Option<Duration>, models: Option<&[ModelId]>) -> Lookup {
        let Some(slot) = self.table.get(key) else { return Lookup::Miss };
        let accepted = |entry: &&Arc<Entry>| models.is_none_or(|models| models.contains(&entry.model));
        let young = |entry: &Entry| max_age.is_none_or(|max_age| now - entry.stored_at < max_age);
        let find = |wanted: &dyn Fn(&Entry) -> bool| slot.answers().filter(accepted).find(|e| wanted(e)).cloned();
        if let Some(entry) = find(&|entry| now < entry.expires_at && young(entry)) {
            return Lookup::Hit(entry);
        }
        find(&|entry| is_kept(entry, now)).map_or(Lookup::Miss, Lookup::Stale)
    }

    /// Remembers an answer in place of the same model's earlier one. False where it is larger than
    /// [`entry_bytes_max`](Self::entry_bytes_max) and was not kept.
    pub fn put(&self, key: Key, entry: Entry) -> bool {
        let _writer = self.lock();
        let now = entry.stored_at;
        let old = self.table.peek(&key);
        let others = old.iter().flat_map(Slot::answers);
        let others = others.filter(|other| other.model != entry.model && is_kept(other, now)).cloned();
        let others = others.take(MODELS_MAX - 1).collect();
        let mut slot = Slot::of(Arc::new(entry), others);
        while slot.bytes > self.slot_bytes_max() {
            let Some(oldest) = slot.others.pop() else { return false };
            slot.bytes -= oldest.bytes();
        }
        self.table.insert(key, slot);
        true
    }

    /// The largest [`Entry::bytes`] that can be kept: most of a shard's share of the bound.
    #[must_use]
    pub fn entry_bytes_max(&self) -> u64 {
        self.slot_bytes_max().saturating_sub(SLOT_BYTES)
    }

    /// Forgets the answer of an execution, as a bad label demands. Looks at every key.
    pub fn evict_execution(&self, execution: &ExecutionId) {
        self.keep_if(|entry| entry.source != *execution);
    }

    /// Forgets the answers of all calls about a person; how many. Looks at every key.
    pub fn evict_subject(&self, subject: SubjectHash) -> usize {
        self.keep_if(|entry| entry.subject != Some(subject))
    }

    /// Forgets all answers of an intent. Looks at every key.
    pub fn evict_intent(&self, intent: &IntentName) {
        self.keep_if(|entry| entry.intent != *intent);
    }

    /// Forgets what is too old even as a stale answer. Looks at every key.
    pub fn sweep(&self, now: Moment) {
        self.keep_if(|entry| is_kept(entry, now));
    }

    /// How many keys have an answer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The bytes in use, estimated; never above the bound.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.table.weight()
    }

    /// The table silently refuses what weighs more than the hot part of a shard (97 %).
    fn slot_bytes_max(&self) -> u64 {
        self.table.shard_capacity() / 100 * 97
    }

    /// How many answers went.
    fn keep_if(&self, keep: impl Fn(&Entry) -> bool) -> usize {
        let mut gone = 0;
        let _writer = self.lock();
        let changed: Vec<_> = self.table.iter().filter(|(_, slot)| !slot.answers().all(|entry| keep(entry))).collect();
        for (key, slot) in changed {
            let mut left: Vec<_> = slot.answers().filter(|entry| keep(entry)).cloned().collect();
            gone += 1 + slot.others.len() - left.len();
            if left.is_empty() {
                self.table.remove(&key);
            } else {
                self.table.insert(key, Slot::of(left.remove(0), left));
            }
        }
        gone
    }

    /// The lock guards no data that a panic could have left half changed.
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_kept(entry: &Entry, now: Moment) -> bool {
    now < entry.expires_at + STALE_MAX
}

#[derive(Clone)]
struct SlotWeight;

impl Weighter<Key, Slot> for SlotWeight {
    fn weight(&self, _: &Key, slot: &Slot) -> u64 {
        slot.bytes
    }
}

/// Takes the number that [`Key`] hashes to as it is.
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}
