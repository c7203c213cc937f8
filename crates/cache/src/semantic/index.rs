//! The vectors of one partition: a place-holder until the real one is merged.

/// A neighbour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Which.
    pub entry: u64,
    /// How near.
    pub cosine: f32,
}

/// See the module.
pub struct Index {
    dimensions: usize,
    vectors: Vec<(u64, Vec<f32>)>,
}

impl Index {
    /// Empty.
    #[must_use]
    pub fn new(dimensions: usize) -> Self {
        Self { dimensions, vectors: Vec::new() }
    }

    /// Adds one.
    pub fn insert(&mut self, entry: u64, vector: &[f32]) {
        self.vectors.push((entry, vector.to_vec()));
    }

    /// Takes one out.
    pub fn remove(&mut self, entry: u64) {
        self.vectors.retain(|(other, _)| *other != entry);
    }

    /// The nearest.
    #[must_use]
    pub fn nearest(&self, vector: &[f32], k: usize) -> Vec<Near> {
        let cosine = |other: &[f32]| other.iter().zip(vector).map(|(a, b)| a * b).sum();
        let mut all: Vec<Near> =
            self.vectors.iter().map(|(entry, other)| Near { entry: *entry, cosine: cosine(other) }).collect();
        all.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(a.entry.cmp(&b.entry)));
        all.truncate(k);
        all
    }

    /// Bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.vectors.len() * self.dimensions * 4
    }
}
