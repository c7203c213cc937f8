//! Random choices of a simulated world, all from one seed.

use baton_stats::SplitMix64;

/// A stream of choices.
pub(crate) struct Dice(SplitMix64);

impl Dice {
    /// The stream of this seed and purpose: drawing more for one purpose shifts no other.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        Self(SplitMix64::new(seed).fork(purpose))
    }

    /// True in this share of cases.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        self.0.next_f64() < share
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0.next_f64()
    }

    /// Uniform in `from..=to`.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.0.below(to - from + 1)
    }

    /// Log-uniform in `from..=to`: as many between 20 and 100 as between 1,000 and 5,000.
    pub(crate) fn magnitude(&mut self, from: u64, to: u64) -> u64 {
        let (low, high) = ((from as f64).ln(), (to as f64).ln());
        ((low + (high - low) * self.uniform()).exp() as u64).clamp(from, to)
    }

    /// One of these, all alike.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.below(items.len() as u64) as usize]
    }

    /// So many of these, in random order.
    pub(crate) fn some<T: Clone>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut shuffled = items.to_vec();
        self.0.shuffle(&mut shuffled);
        shuffled.truncate(count);
        shuffled
    }
}
