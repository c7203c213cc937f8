//! The seeded random stream that simulation, back-off jitter and sampling draw from: small,
//! the same on every machine, and divisible into independent substreams.

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
/// OOPSLA 2014): a counter with steps of the golden ratio, passed through a 64-bit mixer.
///
/// Period 2^64. Not for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitMix64 {
    state: u64,
}

/// 2^64 divided by the golden ratio, made odd.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// The paper's finaliser (variant 13 of Stafford's mixers): a bijection of 64-bit words.
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

impl SplitMix64 {
    /// A stream that `seed` alone determines.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 uniform bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// The next uniform number in [0, 1), a multiple of 2^-53.
    pub const fn next_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The next uniform integer in `0..bound`, or 0 where `bound` is 0.
    ///
    /// Takes the high half of a 128-bit product (Lemire, "Fast Random Integer Generation in
    /// an Interval", 2019) without its rejection step: the bias is below `bound` / 2^64.
    pub const fn below(&mut self, bound: u64) -> u64 {
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// Puts `items` into uniformly random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// The substream named `label`: depends on this stream's present state and the label, and
    /// leaves this stream where it is, so that drawing from one never shifts another.
    #[must_use]
    pub const fn fork(&self, label: u64) -> Self {
        Self { state: mix(self.state ^ mix(label.wrapping_add(GOLDEN))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the reference implementation for two seeds.
    #[test]
    fn the_reference_sequence() {
        let mut rng = SplitMix64::new(1_234_567);
        let drawn = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
        assert_eq!(SplitMix64::new(0).next_u64(), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn floats_fill_the_unit_interval() {
        let mut rng = SplitMix64::new(7);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            let drawn = rng.next_f64();
            assert!((0.0..1.0).contains(&drawn));
            tenths[(drawn * 10.0) as usize] += 1;
        }
        // 10,000 expected in each, standard deviation 95.
        assert!(tenths.iter().all(|n| n.abs_diff(10_000) < 500), "{tenths:?}");
    }

    #[test]
    fn below_stays_below() {
        let mut rng = SplitMix64::new(7);
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.below(1), 0);
        let mut seen = [false; 6];
        for _ in 0..200 {
            seen[rng.below(6) as usize] = true;
        }
        assert_eq!(seen, [true; 6]);
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        SplitMix64::new(1).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn forks_differ_and_do_not_disturb_their_parent() {
        let parent = SplitMix64::new(42);
        let firsts: std::collections::HashSet<u64> = (0..1_000).map(|label| parent.fork(label).next_u64()).collect();
        assert_eq!(firsts.len(), 1_000);
        assert_eq!(parent, SplitMix64::new(42));
        assert_eq!(parent.fork(3), parent.fork(3));
    }
}
