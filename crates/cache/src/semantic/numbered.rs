//! Tables whose keys are numbers: entries, answers and words of one partition, of which a look-up asks
//! hundreds. Whoever picks words so that their numbers meet slows down look-ups in his own partition.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by number.
pub(super) type Numbered<K, V> = HashMap<K, V, BuildHasherDefault<Folded>>;

/// Both halves of a product with an odd number, folded: the table takes the lowest bits and the highest, and
/// each of them hangs on all of the key.
#[derive(Default)]
pub(super) struct Folded(u64);

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, key: u32) {
        self.write_u64(u64::from(key));
    }

    fn write_u64(&mut self, key: u64) {
        let product = u128::from(key ^ self.0) * 0x9e37_79b9_7f4a_7c15;
        self.0 = product as u64 ^ (product >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;

    /// Numbers in order, and numbers whose lower half is always the same, as vectors' entries may be.
    #[test]
    fn near_keys_lie_apart() {
        let build = BuildHasherDefault::<Folded>::default();
        for shift in [0, 8, 20, 32, 48] {
            let hashes: Vec<u64> = (0..4096_u64).map(|n| build.hash_one(n << shift)).collect();
            for bits in [|hash: u64| hash & 0xfff, |hash: u64| hash >> 52] {
                let found: HashSet<u64> = hashes.iter().map(|hash| bits(*hash)).collect();
                // 4,096 drawn at random would fill 2,589 of as many places.
                assert!(found.len() > 2_000, "{} places, keys in steps of 2^{shift}", found.len());
            }
        }
    }
}
