//! The loops of a look-up. Plain code that the compiler turns into vector instructions: called
//! within `pulp`'s dispatch, which picks the widest that the processor has (a fifth of the time).

/// The largest value of what is asked for: finer than the bytes of what is kept, at no cost.
pub(super) const QUERY_MAX: i16 = 2047;
/// Values looked at together for whether any is below the cut.
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

/// A bit for each value: whether it is below zero.
pub(super) fn signs(values: &[i16]) -> Vec<u64> {
    let word = |values: &[i16]| values.iter().rev().fold(0, |word, &value| word << 1 | u64::from(value < 0));
    values.chunks(64).map(word).collect()
}

/// The dot product of each vector in `bytes` with the query.
#[inline(always)]
pub(super) fn dots(bytes: &[i8], query: &[i16], out: &mut [i32]) {
    for (out, bytes) in out.iter_mut().zip(bytes.chunks_exact(query.len())) {
        *out = bytes.iter().zip(query).map(|(&byte, &value)| i32::from(byte) * i32::from(value)).sum();
    }
}

/// How many signs of each differ from the query's.
#[inline(always)]
pub(super) fn differing(signs: &[u64], query: &[u64], out: &mut [u16]) {
    // With the number known the loop is unrolled: half the time.
    match query.len() {
        4 => differing_of::<4>(signs, query, out),
        6 => differing_of::<6>(signs, query, out),
        8 => differing_of::<8>(signs, query, out),
        words => {
            for (out, signs) in out.iter_mut().zip(signs.chunks_exact(words)) {
                *out = count(signs, query);
            }
        }
    }
}

#[inline(always)]
fn differing_of<const WORDS: usize>(signs: &[u64], query: &[u64], out: &mut [u16]) {
    let Some(query) = query.first_chunk::<WORDS>() else { return };
    for (out, signs) in out.iter_mut().zip(signs.as_chunks::<WORDS>().0) {
        *out = count(signs, query);
    }
}

#[inline(always)]
fn count(signs: &[u64], query: &[u64]) -> u16 {
    signs.iter().zip(query).map(|(a, b)| (a ^ b).count_ones() as u16).sum()
}

/// Calls `found` with the place and value of each that is below the cut.
#[inline(always)]
pub(super) fn below(values: &[u16], cut: u16, mut found: impl FnMut(u32, u16)) {
    for (first, group) in (0..).step_by(GROUP).zip(values.chunks(GROUP)) {
        if group.iter().fold(u16::MAX, |least, &value| least.min(value)) < cut {
            for (place, &value) in (first..).zip(group) {
                if value < cut {
                    found(place, value);
                }
            }
        }
    }
}
