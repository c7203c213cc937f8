//! All partitions, within one bound of bytes: past it what was not used for longest goes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use baton_cache::Key;
use baton_cache::semantic::cell::{Cell, ENTRIES_MAX, Held};

use super::Of;

/// Bytes of inputs, answers and vectors that are kept in memory, about.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A partition of more than this share of the bound gives way before others do.
const LARGE_SHARE: u64 = 4;
/// Of what must go, so much goes at a time: one part in so many.
const EVICT_SHARE: usize = 16;

/// One partition: readers scan side by side.
pub(super) type Shared = Arc<RwLock<Cell>>;

struct Shelf {
    cell: Shared,
    of: Of,
    /// When it was last asked for, by the count of all questions.
    used: u64,
    bytes: u64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Shelves {
    shelves: Mutex<HashMap<Key, Shelf>>,
    asked: AtomicU64,
    bytes: AtomicU64,
}

impl Shelves {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Shelf>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The partition of this key, where it has entries.
    pub(super) fn get(&self, key: &Key) -> Option<Shared> {
        let mut shelves = self.lock();
        let shelf = shelves.get_mut(key)?;
        shelf.used = self.asked.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(&shelf.cell))
    }

    /// Remembers an answer; gives what went for it.
    pub(super) fn insert(&self, (key, of): (Key, &Of), (entry, held): (u64, Held), vector: &[f32]) -> Vec<Held> {
        let cell = {
            let mut shelves = self.lock();
            let shelf = shelves.entry(key).or_insert_with(|| {
                let cell = Arc::new(RwLock::new(Cell::new(vector.len(), ENTRIES_MAX)));
                Shelf { cell, of: of.clone(), used: 0, bytes: 0 }
            });
            shelf.used = self.asked.fetch_add(1, Ordering::Relaxed);
            Arc::clone(&shelf.cell)
        };
        let mut gone = write(&cell).insert(entry, held, vector);
        self.weigh(&key, &cell);
        while self.bytes() > BYTES_MAX {
            let more = self.evict();
            if more.is_empty() {
                break;
            }
            gone.extend(more);
        }
        gone
    }

    /// Forgets in all partitions what is not to be kept; gives what went.
    pub(super) fn retain(&self, keep: impl Fn(&Of, &Held) -> bool) -> Vec<Held> {
        let mut gone = Vec::new();
        for (key, cell, of) in self.all() {
            gone.extend(write(&cell).retain(|held| keep(&of, held)));
            self.weigh(&key, &cell);
        }
        gone
    }

    /// Forgets one entry, wherever it is.
    pub(super) fn remove(&self, entry: u64, is: impl Fn(&Held) -> bool) -> Option<Held> {
        for (key, cell, _) in self.all() {
            let there = read(&cell).get(entry).is_some_and(&is);
            if there {
                let gone = write(&cell).remove(entry);
                self.weigh(&key, &cell);
                return gone;
            }
        }
        None
    }

    /// Bytes in use, estimated.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// How many entries and bytes each has.
    pub(super) fn sizes(&self) -> Vec<(Of, usize, u64)> {
        let size = |(_, cell, of): (Key, Shared, Of)| {
            let cell = read(&cell);
            (of, cell.len(), cell.bytes())
        };
        self.all().into_iter().map(size).collect()
    }

    /// In the order of their keys, so that a simulation replays.
    fn all(&self) -> Vec<(Key, Shared, Of)> {
        let shelves = self.lock();
        let mut all: Vec<_> =
            shelves.iter().map(|(key, shelf)| (*key, Arc::clone(&shelf.cell), shelf.of.clone())).collect();
        all.sort_by_key(|(key, ..)| *key.as_bytes());
        all
    }

    /// Counts a partition's bytes anew; one that is empty goes.
    fn weigh(&self, key: &Key, cell: &Shared) {
        let mut shelves = self.lock();
        let Some(shelf) = shelves.get_mut(key).filter(|shelf| Arc::ptr_eq(&shelf.cell, cell)) else { return };
        let (empty, bytes) = {
            let cell = read(cell);
            (cell.is_empty(), cell.bytes())
        };
        let bytes = if empty { 0 } else { bytes };
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_sub(std::mem::replace(&mut shelf.bytes, bytes), Ordering::Relaxed);
        if empty {
            shelves.remove(key);
        }
    }

    /// Some entries of the largest partition, where it is large; else the partitions not used for longest.
    fn evict(&self) -> Vec<Held> {
        let mut order: Vec<(u64, u64, Key, Shared)> = {
            let shelves = self.lock();
            shelves.iter().map(|(key, s)| (s.used, s.bytes, *key, Arc::clone(&s.cell))).collect()
        };
        order.sort_by_key(|(used, bytes, key, _)| (*used, *bytes, *key.as_bytes()));
        let large = order.iter().filter(|(_, bytes, ..)| *bytes > BYTES_MAX / LARGE_SHARE);
        let mut gone = Vec::new();
        if let Some((_, _, key, cell)) = large.max_by_key(|(_, bytes, key, _)| (*bytes, *key.as_bytes())) {
            let count = read(cell).len().div_ceil(EVICT_SHARE);
            gone.extend(write(cell).evict(count));
            self.weigh(key, cell);
            return gone;
        }
        let count = order.len().div_ceil(EVICT_SHARE);
        for (_, _, key, cell) in order.into_iter().take(count) {
            gone.extend(write(&cell).retain(|_| false));
            self.weigh(&key, &cell);
        }
        gone
    }
}

pub(super) fn read(cell: &Shared) -> std::sync::RwLockReadGuard<'_, Cell> {
    cell.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(cell: &Shared) -> std::sync::RwLockWriteGuard<'_, Cell> {
    cell.write().unwrap_or_else(PoisonError::into_inner)
}
