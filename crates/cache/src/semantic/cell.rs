//! One partition of the semantic cache: what was answered in one scope, to one intent as one answer hash
//! has it, with the vectors of the inputs. Nothing here looks into another.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::accept::Neighbour;
use super::index::Index;
use super::numbered::Numbered;
use super::words::{Counts, Words};
use crate::{Entry, Key};

/// Inputs that one partition remembers; past it those that were not asked for longest go.
pub const ENTRIES_MAX: usize = 100_000;
/// Bytes of an entry besides its text, answer and vector: keys, counters, the tables' own.
const ENTRY_BYTES: u64 = 256;
/// Bytes of a partition without entries.
const CELL_BYTES: u64 = 512;
/// Of a partition that is full, one in so many entries goes at a time.
const EVICT_SHARE: usize = 16;

/// The number of an answer: equal answers have equal numbers. Equal as JSON, as [`Key`] has it.
#[must_use]
pub fn answer_number(output: &Value) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *Key::of_value(output).as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// An answered input.
#[derive(Debug)]
pub struct Held {
    /// Of this input exactly: answered again, it takes its own place.
    pub key: Key,
    /// What was embedded.
    pub text: String,
    /// The answer.
    pub entry: Arc<Entry>,
    /// Its number ([`answer_number`]).
    pub answer: u64,
    /// When it was given, Unix microseconds: it may have been before this process began.
    pub at_us: i64,
    /// When it is forgotten, Unix microseconds.
    pub expires_us: i64,
    /// Its number in the order in which the partition's answers were given.
    nth: i64,
    used: AtomicU64,
}

impl Held {
    /// An answer to an input.
    #[must_use]
    pub fn new(key: Key, text: String, entry: Arc<Entry>, (at_us, expires_us): (i64, i64)) -> Self {
        let answer = answer_number(&entry.output);
        Self { key, text, entry, answer, at_us, expires_us, nth: 0, used: AtomicU64::new(0) }
    }

    fn bytes(&self) -> u64 {
        ENTRY_BYTES + self.text.len() as u64 + self.entry.bytes()
    }
}

/// See the module.
pub struct Cell {
    entries_max: usize,
    index: Index,
    counts: Counts,
    entries: Numbered<u64, Held>,
    by_key: HashMap<Key, u64>,
    held_bytes: u64,
    /// When the oldest of all that it ever held was given, and the lowest and highest number so far.
    oldest_us: Option<i64>,
    nths: (i64, i64),
    /// Counts look-ups and insertions: what was used when.
    ticks: AtomicU64,
}

impl Cell {
    /// Without entries, for vectors of so many numbers and at most this many entries, as a rule [`ENTRIES_MAX`].
    #[must_use]
    pub fn new(dimensions: usize, entries_max: usize) -> Self {
        let (counts, entries, by_key, held_bytes, ticks) = Default::default();
        let index = Index::new(dimensions, entries_max);
        Self { entries_max, index, counts, entries, by_key, held_bytes, oldest_us: None, nths: (1, 0), ticks }
    }

    /// The nearest entries to a text of those that are `accepted`, nearest first, at most `k`.
    pub fn near(&self, (text, vector): (&str, &[f32]), k: usize, accepted: impl Fn(&Held) -> bool) -> Vec<Neighbour> {
        let near = self.index.nearest(vector, k);
        let words = Words::of(text);
        let mut words = self.counts.under(&words);
        let neighbour = |near: &super::index::Near| {
            let held = self.entries.get(&near.entry).filter(|held| accepted(held))?;
            let age = u32::try_from(self.nths.1 - held.nth).unwrap_or(u32::MAX);
            Some(Neighbour {
                entry: near.entry,
                cosine: near.cosine,
                answer: held.answer,
                age,
                words: words(held.answer),
            })
        };
        near.iter().filter_map(neighbour).collect()
    }

    /// One entry.
    #[must_use]
    pub fn get(&self, entry: u64) -> Option<&Held> {
        self.entries.get(&entry)
    }

    /// Whether it remembers an answer to this input exactly.
    #[must_use]
    pub fn knows(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// Notes that an entry was of use: it stays longer.
    pub fn touch(&self, entry: u64) {
        if let Some(held) = self.entries.get(&entry) {
            held.used.store(self.tick(), Ordering::Relaxed);
        }
    }

    /// Remembers an answer, in place of an earlier one to the same input. Gives what went for it: the
    /// answer itself where its vector is none.
    pub fn insert(&mut self, entry: u64, mut held: Held, vector: &[f32]) -> Vec<Held> {
        let before = self.by_key.get(&held.key).copied();
        let mut gone: Vec<Held> = [before, Some(entry)].into_iter().flatten().filter_map(|e| self.remove(e)).collect();
        if self.entries.len() >= self.entries_max {
            gone.extend(self.evict((self.entries_max / EVICT_SHARE).max(1)));
        }
        if self.index.insert(entry, vector).is_err() {
            gone.push(held);
            return gone;
        }
        held.used.store(self.tick(), Ordering::Relaxed);
        held.nth = self.nth(held.at_us);
        self.held_bytes += held.bytes();
        self.counts.add(&Words::of(&held.text), held.answer);
        self.by_key.insert(held.key, entry);
        self.entries.insert(entry, held);
        gone
    }

    /// Forgets an entry.
    pub fn remove(&mut self, entry: u64) -> Option<Held> {
        let held = self.entries.remove(&entry)?;
        self.by_key.remove(&held.key);
        self.index.remove(entry);
        self.counts.remove(&Words::of(&held.text), held.answer);
        self.held_bytes = self.held_bytes.saturating_sub(held.bytes());
        Some(held)
    }

    /// Forgets the so many entries that were not used for longest.
    pub fn evict(&mut self, count: usize) -> Vec<Held> {
        let mut used: Vec<(u64, u64)> =
            self.entries.iter().map(|(entry, held)| (held.used.load(Ordering::Relaxed), *entry)).collect();
        used.sort_unstable();
        used.into_iter().take(count).filter_map(|(_, entry)| self.remove(entry)).collect()
    }

    /// Forgets what is not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&Held) -> bool) -> Vec<Held> {
        let mut gone: Vec<u64> = self.entries.iter().filter(|(_, held)| !keep(held)).map(|(entry, _)| *entry).collect();
        gone.sort_unstable();
        gone.into_iter().filter_map(|entry| self.remove(entry)).collect()
    }

    /// How many inputs it remembers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it remembers none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes in use, estimated.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        CELL_BYTES + self.held_bytes + (self.index.bytes() + self.counts.bytes()) as u64
    }

    /// The number of an answer that was given then. What is read back at a start comes newest first, and is
    /// older than all that is here; anything else is the latest.
    fn nth(&mut self, at_us: i64) -> i64 {
        let oldest_us = self.oldest_us.unwrap_or(at_us);
        self.oldest_us = Some(oldest_us.min(at_us));
        let nth = if at_us < oldest_us { &mut self.nths.0 } else { &mut self.nths.1 };
        *nth += if at_us < oldest_us { -1 } else { 1 };
        *nth
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// New answers come as they are given, old ones are read back newest first.
    #[test]
    fn numbers_follow_when_answers_were_given() {
        let mut cell = Cell::new(1, 10);
        let numbers = [50, 60, 40, 70, 30].map(|at_us| cell.nth(at_us));
        assert_eq!(numbers, [1, 2, 0, 3, -1]);
        assert_eq!(cell.nths.1, 3, "the youngest has age 0");
    }
}
