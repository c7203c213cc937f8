//! The loops of a look-up. Plain code that the compiler turns into vector instructions: `pulp` calls
//! it with the widest that the processor has, a fifth of the time. All of a loop must be inlined into
//! that call, and closures are not always: hence the structs.

use pulp::NullaryFnOnce;

/// The largest value of what is asked for: finer than the bytes of what is kept, at no cost.
pub(super) const QUERY_MAX: i16 = 2047;
/// Vectors whose sides lie together.
pub(super) const LANES: usize = 64;
/// Of those so many are looked at together, where any of all is below the cut.
const PART: usize = 16;
/// Bytes of sides whose differences a byte can count.
const ROWS: usize = 16;

/// A vector in integers, scaled so that its largest is `most`; nothing where it has no direction.
pub(super) fn scaled(vector: &[f32], most: i16) -> Option<Vec<i16>> {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let finite = vector.iter().all(|value| value.is_finite());
    if !finite || largest < f32::MIN_POSITIVE {
        return None;
    }
    let scale = f64::from(most) / f64::from(largest);
    Some(vector.iter().map(|&value| (f64::from(value) * scale).round() as i16).collect())
}

/// The length of a vector of integers.
pub(super) fn length(values: &[i16]) -> f32 {
    let squares: i64 = values.iter().map(|&value| i64::from(value) * i64::from(value)).sum();
    (squares as f64).sqrt() as f32
}

/// A bit for each dimension: on which side of a random plane the vector lies. The planes are at right
/// angles to each other: signs are changed at random and a Hadamard transform mixes all values (Ailon
/// and Chazelle 2009), since the zeros of a sparse vector have no side of their own.
pub(super) fn sides(values: &[i16]) -> Vec<u8> {
    let mut mixed: Vec<i32> =
        (0..).zip(values).map(|(place, &value)| if flips(place) { -i32::from(value) } else { value.into() }).collect();
    mixed.resize(values.len().next_power_of_two(), 0);
    let mut half = 1;
    while half < mixed.len() {
        for pair in mixed.chunks_exact_mut(2 * half) {
            let (left, right) = pair.split_at_mut(half);
            for (left, right) in left.iter_mut().zip(right) {
                (*left, *right) = (*left + *right, *left - *right);
            }
        }
        half *= 2;
    }
    let byte = |values: &[i32]| values.iter().rev().fold(0, |byte, &value| byte << 1 | u8::from(value < 0));
    mixed[..values.len()].chunks(8).map(byte).collect()
}

/// A coin for each place, the same for good: a bit of SplitMix64's finaliser.
fn flips(place: u64) -> bool {
    let mixed = (place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) & 1 == 1
}

/// The dot product of each vector with the query.
pub(super) struct Dots<'a, V> {
    pub(super) vectors: V,
    pub(super) query: &'a [i16],
    pub(super) out: &'a mut [i32],
}

impl<'a, V: Iterator<Item = &'a [i8]>> NullaryFnOnce for Dots<'a, V> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (out, bytes) in self.out.iter_mut().zip(self.vectors) {
            *out = bytes.iter().zip(self.query).map(|(&byte, &value)| i32::from(byte) * i32::from(value)).sum();
        }
    }
}

/// Offers each vector that differs from the query in fewer sides than the pool's cut; they are numbered from
/// `first`.
pub(super) struct Below<'a> {
    /// Of [`LANES`] vectors that lie together the first eight sides, then the next eight, and so on: then all
    /// are counted at once, and no sum goes across lanes.
    pub(super) sides: &'a [u8],
    pub(super) query: &'a [u8],
    pub(super) first: u32,
    /// Behind the last.
    pub(super) end: u32,
    pub(super) pool: &'a mut Pool,
}

impl NullaryFnOnce for Below<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let groups = self.sides.as_chunks::<LANES>().0.chunks_exact(self.query.len());
        for (first, group) in (self.first..).step_by(LANES).zip(groups) {
            let differing = differ(group, self.query);
            // One comparison for the whole group, as a rule the only one.
            if least(&differing) >= self.pool.cut {
                continue;
            }
            for (first, part) in (first..).step_by(PART).zip(differing.as_chunks::<PART>().0) {
                if least(part) < self.pool.cut {
                    (first..self.end).zip(part).for_each(|(slot, &differs)| self.pool.offer(differs, slot));
                }
            }
        }
    }
}

#[inline(always)]
fn differ(group: &[[u8; LANES]], query: &[u8]) -> [u16; LANES] {
    let mut all = [0; LANES];
    for (rows, sides) in group.chunks(ROWS).zip(query.chunks(ROWS)) {
        let mut some = [0_u8; LANES];
        for (row, &side) in rows.iter().zip(sides) {
            some.iter_mut().zip(row).for_each(|(some, &byte)| *some += (byte ^ side).count_ones() as u8);
        }
        all.iter_mut().zip(some).for_each(|(all, some)| *all += u16::from(some));
    }
    all
}

#[inline(always)]
fn least(differing: &[u16]) -> u16 {
    differing.iter().fold(u16::MAX, |least, &differs| least.min(differs))
}

/// The least of all that was offered, the first among equals. How often each number came tells at once what
/// is too large, so that nothing is sorted.
pub(super) struct Pool {
    count: usize,
    /// What is less is among the `count` least so far.
    cut: u16,
    /// How many are less than the cut: fewer than `count`.
    below: usize,
    /// How often each number was offered and less than the cut.
    often: Vec<u32>,
    /// In the order of their slots; some are too large by now.
    found: Vec<(u16, u32)>,
}

impl Pool {
    /// For `count` of numbers of up to `most`.
    pub(super) fn new(count: usize, most: usize) -> Self {
        Self { count, cut: most as u16 + 1, below: 0, often: vec![0; most + 1], found: Vec::with_capacity(8 * count) }
    }

    #[inline(always)]
    fn offer(&mut self, differs: u16, slot: u32) {
        if differs >= self.cut {
            return;
        }
        if self.found.len() == self.found.capacity() {
            self.keep();
        }
        self.found.push((differs, slot));
        self.often[usize::from(differs)] += 1;
        self.below += 1;
        while self.below >= self.count {
            self.cut -= 1;
            self.below -= self.often[usize::from(self.cut)] as usize;
        }
    }

    /// Drops what is too large.
    fn keep(&mut self) {
        let (cut, mut equal) = (self.cut, self.count - self.below);
        self.found.retain(|&(differs, _)| {
            let last = differs == cut && equal > 0;
            equal -= usize::from(last);
            differs < cut || last
        });
    }

    /// Their slots, in order.
    pub(super) fn slots(mut self) -> impl Iterator<Item = u32> {
        self.keep();
        self.found.into_iter().map(|(_, slot)| slot)
    }
}
