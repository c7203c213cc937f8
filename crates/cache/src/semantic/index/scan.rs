//! The loops of a look-up. Plain code that the compiler turns into vector instructions: `pulp` calls
//! it with the widest that the processor has, a fifth of the time. All of a loop must be inlined into
//! that call, and closures are not always: hence the structs.

use pulp::NullaryFnOnce;

/// The largest value of what is asked for: finer than the bytes of what is kept, at no cost.
pub(super) const QUERY_MAX: i16 = 2047;
/// Vectors looked at together for whether any is below the cut.
const GROUP: usize = 32;

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
pub(super) fn sides(values: &[i16]) -> Vec<u64> {
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
    let word = |values: &[i32]| values.iter().rev().fold(0, |word, &value| word << 1 | u64::from(value < 0));
    mixed[..values.len()].chunks(64).map(word).collect()
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

/// Adds to `pool` each vector, by how many of its sides differ from the query's, that differs in
/// fewer than `cut`; they are numbered from `first`.
pub(super) struct Below<'a> {
    pub(super) sides: &'a [u64],
    pub(super) query: &'a [u64],
    pub(super) cut: u16,
    pub(super) first: u32,
    pub(super) pool: &'a mut Vec<(u16, u32)>,
}

impl NullaryFnOnce for Below<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        // With the number of words known the loop is unrolled: half the time.
        match self.query.len() {
            4 => self.words::<4>(),
            6 => self.words::<6>(),
            8 => self.words::<8>(),
            words => {
                let groups = self.sides.chunks(GROUP * words);
                for (first, group) in (self.first..).step_by(GROUP).zip(groups) {
                    let mut differing = [u16::MAX; GROUP];
                    for (out, sides) in differing.iter_mut().zip(group.chunks_exact(words)) {
                        *out = differ(sides, self.query);
                    }
                    keep(&differing, first, self.cut, self.pool);
                }
            }
        }
    }
}

impl Below<'_> {
    #[inline(always)]
    fn words<const WORDS: usize>(self) {
        let Some(query) = self.query.first_chunk::<WORDS>() else { return };
        let groups = self.sides.as_chunks::<WORDS>().0.chunks(GROUP);
        for (first, group) in (self.first..).step_by(GROUP).zip(groups) {
            let mut differing = [u16::MAX; GROUP];
            for (out, sides) in differing.iter_mut().zip(group) {
                *out = differ(sides, query);
            }
            keep(&differing, first, self.cut, self.pool);
        }
    }
}

#[inline(always)]
fn differ(a: &[u64], b: &[u64]) -> u16 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones() as u16).sum()
}

#[inline(always)]
fn keep(differing: &[u16; GROUP], first: u32, cut: u16, pool: &mut Vec<(u16, u32)>) {
    // One comparison for the whole group, as a rule the only one.
    if differing.iter().fold(u16::MAX, |least, &differs| least.min(differs)) < cut {
        let below = (first..).zip(differing).filter(|&(_, &differs)| differs < cut);
        pool.extend(below.map(|(slot, &differs)| (differs, slot)));
    }
}
