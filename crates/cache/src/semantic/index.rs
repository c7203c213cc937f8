//! The vectors of one partition, and which of them are nearest to another.
//!
//! A vector is kept as bytes, scaled so that its largest value is 127, and as bits: on which side of
//! random planes it lies. Up to [`EXACT_MAX`] entries every one is compared by its bytes. Above, the
//! sides choose candidates first (the share of equal sides grows with the cosine, Charikar 2002), and
//! the bytes rank those. Everything is integers up to the last division, so that all machines agree.

mod scan;

use pulp::Arch;

use self::scan::{Below, Dots, LANES, Pool};
use super::numbered::Numbered;

/// Up to here a look-up compares all entries: nearly twice as long as the choice by sides and the ranking
/// of its candidates together, and nothing is missed.
pub const EXACT_MAX: usize = 20_000;
/// No index takes more entries, whatever its own bound.
pub const ENTRIES_MAX: usize = 1 << 20;
/// A vector has no more values: sums of products stay within 32 bits.
pub const DIMENSIONS_MAX: usize = 4096;
/// Entries that lie together. Growing moves one block at most, whatever the size of the index.
const BLOCK: usize = 1024;
/// Candidates by sides for each neighbour that is asked for, and at least so many.
const CANDIDATES_EACH: usize = 10;
const CANDIDATES_MIN: usize = 512;

/// An entry near to what was asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    pub entry: u64,
    /// -1 to 1; some thousandths off, since vectors are kept as bytes.
    pub cosine: f32,
}

/// Why a vector was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the index holds {entries} entries and takes no more: remove some first")]
    Full { entries: usize },
    #[error("a vector of {found} values in an index of {expected}: each embedder needs its own index")]
    Dimensions { expected: usize, found: usize },
    #[error("the vector has no direction: it is all zeros, or holds a value that is not finite")]
    Direction,
}

/// The vectors of one partition.
pub struct Index {
    dimensions: usize,
    entries_max: usize,
    exact_max: usize,
    blocks: Vec<Block>,
    /// Where an entry lies. Only looked up, never walked, so that order does not hang on it.
    slots: Numbered<u64, u32>,
    arch: Arch,
}

/// At most [`BLOCK`] entries; only the last block has room.
#[derive(Default)]
struct Block {
    entries: Vec<u64>,
    bytes: Vec<i8>,
    lengths: Vec<f32>,
    /// As [`Below`] reads them.
    sides: Vec<u8>,
}

impl Index {
    /// An empty index of vectors of this many values, at most [`DIMENSIONS_MAX`], with room for this
    /// many entries, at most [`ENTRIES_MAX`].
    #[must_use]
    pub fn new(dimensions: usize, entries_max: usize) -> Self {
        let entries_max = entries_max.min(ENTRIES_MAX);
        let slots = Numbered::default();
        Self { dimensions, entries_max, exact_max: EXACT_MAX, blocks: Vec::new(), slots, arch: Arch::new() }
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// What the index holds in memory, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // A slot of the map: key, value, padding, and a byte of its own.
        let map = self.slots.capacity() * 17;
        size_of::<Self>() + map + self.blocks.iter().map(Block::bytes).sum::<usize>()
    }

    /// Adds an entry, or gives one that is there another vector. The vector's length does not matter.
    ///
    /// # Errors
    /// A vector of other dimensions or without a direction; a full index.
    pub fn insert(&mut self, entry: u64, vector: &[f32]) -> Result<(), Refused> {
        let found = vector.len();
        if found != self.dimensions || found > DIMENSIONS_MAX {
            return Err(Refused::Dimensions { expected: self.dimensions.min(DIMENSIONS_MAX), found });
        }
        let bytes = scan::scaled(vector, i8::MAX.into()).ok_or(Refused::Direction)?;
        if !self.remove(entry) && self.len() >= self.entries_max {
            return Err(Refused::Full { entries: self.len() });
        }
        if self.blocks.last().is_none_or(|block| block.entries.len() == BLOCK) {
            self.blocks.push(Block::default());
        }
        let slot = self.slots.len() as u32;
        if let Some(block) = self.blocks.last_mut() {
            block.push(entry, &bytes);
            self.slots.insert(entry, slot);
        }
        Ok(())
    }

    /// Takes an entry out; whether it was there.
    pub fn remove(&mut self, entry: u64) -> bool {
        let Some(slot) = self.slots.remove(&entry) else { return false };
        let Some(mut last) = self.blocks.pop() else { return false };
        let moved = last.pop(self.dimensions);
        if !last.entries.is_empty() {
            self.blocks.push(last);
        }
        // The last entry fills the gap, unless it was the one.
        if let Some((other, bytes)) = moved.filter(|(other, _)| *other != entry) {
            let (block, place) = (slot as usize / BLOCK, slot as usize % BLOCK);
            self.blocks[block].set(place, other, &bytes);
            self.slots.insert(other, slot);
        }
        true
    }

    /// The `k` nearest, nearest first and by number among equals. Nothing where the vector has other
    /// dimensions or no direction: it is near to nothing here.
    #[must_use]
    pub fn nearest(&self, vector: &[f32], k: usize) -> Vec<Near> {
        if vector.len() != self.dimensions || k == 0 {
            return Vec::new();
        }
        let Some(query) = scan::scaled(vector, scan::QUERY_MAX) else { return Vec::new() };
        let length = scan::length(&query);
        let mut best = Best { k, nearest: Vec::new() };
        if self.len() <= self.exact_max {
            let mut dots = [0; BLOCK];
            for block in &self.blocks {
                let vectors = block.bytes.chunks_exact(self.dimensions);
                self.arch.dispatch(Dots { vectors, query: &query, out: &mut dots });
                for (place, &dot) in dots[..block.entries.len()].iter().enumerate() {
                    best.offer(block.cosine(place, dot, length), || block.entries[place]);
                }
            }
            return best.nearest;
        }
        let slots = self.candidates(&query, (k * CANDIDATES_EACH).max(CANDIDATES_MIN));
        let at = |slot: &u32| (&self.blocks[*slot as usize / BLOCK], *slot as usize % BLOCK);
        let bytes = |slot| {
            let (block, place) = at(slot);
            &block.bytes[place * self.dimensions..][..self.dimensions]
        };
        let mut dots = vec![0; slots.len()];
        self.arch.dispatch(Dots { vectors: slots.iter().map(bytes), query: &query, out: &mut dots });
        let cosine = |(slot, dot): (&u32, i32)| at(slot).0.cosine(at(slot).1, dot, length);
        let cosines: Vec<f32> = slots.iter().zip(dots).map(cosine).collect();
        let least = least_of(&cosines, k);
        for (slot, cosine) in slots.iter().zip(cosines).filter(|(_, cosine)| *cosine >= least) {
            let (block, place) = at(slot);
            best.offer(cosine, || block.entries[place]);
        }
        best.nearest
    }

    /// The slots whose sides differ least from the query's, the first among equals, in order.
    fn candidates(&self, query: &[i16], count: usize) -> Vec<u32> {
        let sides = scan::sides(query);
        let mut pool = Pool::new(count.min(self.len()), self.dimensions);
        for (first, block) in (0..).step_by(BLOCK).zip(&self.blocks) {
            let end = first + block.entries.len() as u32;
            self.arch.dispatch(Below { sides: &block.sides, query: &sides, first, end, pool: &mut pool });
        }
        pool.slots().collect()
    }
}

impl Block {
    fn bytes(&self) -> usize {
        let Self { entries, bytes, lengths, sides } = self;
        size_of::<Self>() + entries.capacity() * 8 + bytes.capacity() + lengths.capacity() * 4 + sides.capacity()
    }

    fn push(&mut self, entry: u64, values: &[i16]) {
        let place = self.entries.len();
        self.entries.push(entry);
        self.bytes.extend(values.iter().map(|&value| value as i8));
        self.lengths.push(scan::length(values));
        self.sides.resize(sides_len(place + 1, values.len()), 0);
        self.set_sides(place, values);
    }

    fn set_sides(&mut self, place: usize, values: &[i16]) {
        let group = &mut self.sides[sides_len(place / LANES * LANES, values.len())..];
        let column = group.iter_mut().skip(place % LANES).step_by(LANES);
        column.zip(scan::sides(values)).for_each(|(there, side)| *there = side);
    }

    fn pop(&mut self, dimensions: usize) -> Option<(u64, Vec<i16>)> {
        let entry = self.entries.pop()?;
        self.lengths.pop();
        let values = self.bytes.split_off(self.entries.len() * dimensions);
        self.sides.truncate(sides_len(self.entries.len(), dimensions));
        Some((entry, values.into_iter().map(i16::from).collect()))
    }

    fn set(&mut self, place: usize, entry: u64, values: &[i16]) {
        self.entries[place] = entry;
        self.lengths[place] = scan::length(values);
        let bytes = &mut self.bytes[place * values.len()..][..values.len()];
        bytes.iter_mut().zip(values).for_each(|(byte, &value)| *byte = value as i8);
        self.set_sides(place, values);
    }

    fn cosine(&self, place: usize, dot: i32, length: f32) -> f32 {
        (dot as f32 / (self.lengths[place] * length)).clamp(-1.0, 1.0)
    }
}

/// The least of the `k` largest, so that no other need be put in order.
fn least_of(cosines: &[f32], k: usize) -> f32 {
    if k >= cosines.len() {
        return f32::NEG_INFINITY;
    }
    *cosines.to_vec().select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

/// The bytes of the sides of so many vectors.
fn sides_len(count: usize, dimensions: usize) -> usize {
    count.div_ceil(LANES) * LANES * dimensions.div_ceil(8)
}

/// The nearest so far, in order.
struct Best {
    k: usize,
    nearest: Vec<Near>,
}

impl Best {
    /// The entry's number lies elsewhere in memory, and is asked for where it may matter.
    fn offer(&mut self, cosine: f32, entry: impl FnOnce() -> u64) {
        if self.nearest.len() == self.k && self.nearest.last().is_some_and(|last| cosine < last.cosine) {
            return;
        }
        let near = Near { entry: entry(), cosine };
        let before =
            |other: &Near| other.cosine.total_cmp(&near.cosine).reverse().then(other.entry.cmp(&near.entry)).is_lt();
        if self.nearest.len() == self.k && self.nearest.last().is_some_and(before) {
            return;
        }
        let place = self.nearest.partition_point(before);
        self.nearest.insert(place, near);
        self.nearest.truncate(self.k);
    }
}

#[cfg(test)]
mod tests {
    use baton_stats::SplitMix64;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Vectors as bytes are so far off, at most.
    const OFF: f32 = 0.01;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()) as f32
    }

    fn entries(near: &[Near]) -> Vec<u64> {
        near.iter().map(|near| near.entry).collect()
    }

    /// What is found is as near as it says, and nothing nearer was left out.
    fn agrees(index: &Index, kept: &[(u64, Vec<f32>)], query: &[f32], k: usize) {
        let found = index.nearest(query, k);
        assert_eq!(found.len(), k.min(kept.len()));
        assert!(found.is_sorted_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.entry.cmp(&b.entry)).is_lt()));
        for (entry, vector) in kept {
            let truth = cosine(vector, query);
            match found.iter().find(|near| near.entry == *entry) {
                Some(near) => assert!((near.cosine - truth).abs() < OFF, "{near:?} is {truth}"),
                None => {
                    let last = found.last().map_or(1.0, |near| near.cosine);
                    assert!(truth < last + OFF, "{entry} at {truth} is missing, the last is {last}");
                }
            }
        }
    }

    fn vector(dimensions: usize) -> impl Strategy<Value = Vec<f32>> {
        vec(-1.0_f32..1.0, dimensions).prop_filter("a direction", |vector| vector.iter().any(|v| v.abs() > 0.01))
    }

    proptest! {
        #[test]
        fn the_nearest_by_brute_force_are_found(
            (vectors, query) in (1_usize..130).prop_flat_map(|d| (vec(vector(d), 0..60), vector(d))),
            k in 0_usize..70,
        ) {
            let mut index = Index::new(query.len(), 100);
            let kept: Vec<(u64, Vec<f32>)> = (100..).zip(vectors).collect();
            for (entry, vector) in &kept {
                index.insert(*entry, vector).unwrap();
            }
            agrees(&index, &kept, &query, k);
            // All are candidates by sides.
            index.exact_max = 0;
            agrees(&index, &kept, &query, k);
        }

        #[test]
        fn insertions_replacements_and_removals(
            steps in vec((0_u64..40, prop::option::of(vector(3))), 0..200),
            query in vector(3),
        ) {
            let mut index = Index::new(3, 30);
            let mut kept: Vec<(u64, Vec<f32>)> = Vec::new();
            for (entry, vector) in steps {
                let there = kept.iter().position(|(other, _)| *other == entry);
                match vector {
                    None => prop_assert_eq!(index.remove(entry), there.map(|place| kept.remove(place)).is_some()),
                    Some(vector) if there.is_none() && kept.len() == 30 => {
                        prop_assert_eq!(index.insert(entry, &vector), Err(Refused::Full { entries: 30 }));
                    }
                    Some(vector) => {
                        prop_assert_eq!(index.insert(entry, &vector), Ok(()));
                        there.map(|place| kept.remove(place));
                        kept.push((entry, vector));
                    }
                }
            }
            prop_assert_eq!(index.len(), kept.len());
            agrees(&index, &kept, &query, 5);
            index.exact_max = 0;
            agrees(&index, &kept, &query, 5);
        }
    }

    /// Clusters, as texts of one intent have them: several blocks, far more than candidates.
    fn clusters(count: usize, dimensions: usize) -> Vec<(u64, Vec<f32>)> {
        let mut rng = SplitMix64::new(7);
        let mut draw = |spread: f64| (rng.next_f64() - 0.5) as f32 * spread as f32;
        let centres: Vec<Vec<f32>> = (0..40).map(|_| (0..dimensions).map(|_| draw(1.0)).collect()).collect();
        let member = |n: usize| centres[n % centres.len()].iter().map(|value| value + draw(0.8)).collect();
        (0..count).map(member).zip(0..).map(|(vector, entry)| (entry, vector)).collect()
    }

    #[test]
    fn candidates_by_sides_hold_nearly_all_neighbours() {
        let kept = clusters(6_000, 128);
        let mut index = Index::new(128, 10_000);
        for (entry, vector) in &kept {
            index.insert(*entry, vector).unwrap();
        }
        let exact: Vec<_> = kept.iter().step_by(100).map(|(_, vector)| index.nearest(vector, 10)).collect();
        index.exact_max = 0;
        let by_sides: Vec<_> = kept.iter().step_by(100).map(|(_, vector)| index.nearest(vector, 10)).collect();
        let both = |(exact, found): (&Vec<Near>, &Vec<Near>)| exact.iter().filter(|near| found.contains(near)).count();
        let found: usize = exact.iter().zip(&by_sides).map(both).sum();
        assert!(found >= 595, "{found} of 600");
        assert!(by_sides.iter().zip((0..).step_by(100)).all(|(found, itself)| found[0].entry == itself));
    }

    /// Against a count of every bit and a sort. In few dimensions nearly all are equals; falling distances are
    /// the order in which most are taken and dropped again.
    #[test]
    fn candidates_are_those_whose_sides_differ_least() {
        for dimensions in [8, 100, 256, 300] {
            let mut kept = clusters(3 * BLOCK + 70, dimensions);
            let query = scan::scaled(&kept[5].1, scan::QUERY_MAX).unwrap();
            let differs = |vector: &[f32]| -> u32 {
                let sides = scan::sides(&scan::scaled(vector, i8::MAX.into()).unwrap());
                sides.iter().zip(scan::sides(&query)).map(|(a, b)| (a ^ b).count_ones()).sum()
            };
            for falling in [false, true] {
                kept.sort_by_key(
                    |(entry, vector)| if falling { u64::from(u32::MAX - differs(vector)) } else { *entry },
                );
                let mut index = Index::new(dimensions, 10_000);
                kept.iter().for_each(|(entry, vector)| index.insert(*entry, vector).unwrap());
                let mut truth: Vec<(u32, u32)> = (0..).zip(&kept).map(|(slot, (_, v))| (differs(v), slot)).collect();
                truth.sort_unstable();
                for count in [1, 10, 512, kept.len() - 1, kept.len() + 1] {
                    let mut slots: Vec<u32> = truth.iter().take(count).map(|(_, slot)| *slot).collect();
                    slots.sort_unstable();
                    assert_eq!(index.candidates(&query, count), slots, "{count} of {dimensions} dimensions");
                }
            }
        }
    }

    #[test]
    fn what_is_removed_from_the_middle_of_many_blocks_is_gone() {
        let kept = clusters(3 * BLOCK, 8);
        let mut index = Index::new(8, 10_000);
        for (entry, vector) in &kept {
            index.insert(*entry, vector).unwrap();
        }
        let full = index.bytes();
        let (gone, left): (Vec<_>, Vec<_>) = kept.into_iter().partition(|(entry, _)| entry % 3 != 0);
        assert!(gone.iter().all(|(entry, _)| index.remove(*entry)));
        assert!(gone.iter().all(|(entry, _)| !index.remove(*entry)));
        assert_eq!(index.len(), left.len());
        agrees(&index, &left, &left[17].1, 20);
        assert!(index.bytes() < full, "whole blocks are given back");
    }

    #[test]
    fn equals_come_in_the_order_of_their_numbers() {
        let mut index = Index::new(2, 10);
        for entry in [5, 3, 9, 1] {
            index.insert(entry, &[entry as f32, 0.0]).unwrap();
        }
        assert_eq!(entries(&index.nearest(&[2.0, 0.0], 3)), [1, 3, 5]);
        index.exact_max = 0;
        assert_eq!(entries(&index.nearest(&[2.0, 0.0], 3)), [1, 3, 5]);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let mut index = Index::new(2, 1);
        let check = |index: &mut Index, vector: &[f32], expected| assert_eq!(index.insert(1, vector), expected);
        check(&mut index, &[1.0], Err(Refused::Dimensions { expected: 2, found: 1 }));
        check(&mut index, &[0.0, 0.0], Err(Refused::Direction));
        check(&mut index, &[1.0, f32::NAN], Err(Refused::Direction));
        check(&mut index, &[1.0, f32::INFINITY], Err(Refused::Direction));
        check(&mut index, &[1.0, 0.0], Ok(()));
        check(&mut index, &[0.0, 0.0], Err(Refused::Direction));
        assert_eq!(entries(&index.nearest(&[1.0, 0.0], 1)), [1], "a refusal leaves what was there");
        assert_eq!(index.insert(2, &[1.0, 0.0]), Err(Refused::Full { entries: 1 }));
        for nothing in [&[0.0, 0.0][..], &[f32::NAN, 1.0], &[1.0]] {
            assert_eq!(index.nearest(nothing, 1), []);
        }
        assert_eq!(index.nearest(&[1.0, 0.0], 0), []);
        let wide = vec![1.0; DIMENSIONS_MAX + 1];
        let expected = Err(Refused::Dimensions { expected: DIMENSIONS_MAX, found: DIMENSIONS_MAX + 1 });
        assert_eq!(Index::new(wide.len(), 1).insert(1, &wide), expected);
    }
}
