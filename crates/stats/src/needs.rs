//! What to say instead of a number that nothing supports.

/// Too few human labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("needs {needed} labels, has {has}")]
pub struct Needs {
    /// How many it takes, at the least.
    pub needed: u64,
    /// How many there are.
    pub has: u64,
}

/// Below this many labels an interval says nothing (Clopper and Pearson: .27 to .73 at half).
pub(crate) const LABELS_MIN: u64 = 20;
