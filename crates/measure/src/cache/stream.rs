//! Real bank queries arriving one by one, in many orders: what a policy serves, and what is wrong.

use baton_stats::SplitMix64;

use super::policy::{Outcome, Policy, Way};
use super::vectors::{Present, Vectors};

/// The texts and their answers.
pub(super) struct Queries {
    pub(super) texts: Vec<String>,
    /// Equal answers have equal numbers, from 0 up.
    pub(super) labels: Vec<u64>,
}

/// In which order they come, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// All, shuffled.
    Shuffled,
    /// The first of a shuffle: 1,500.
    Short,
    /// All, topic after topic in a random order of topics, about ten of them at a time.
    Drift,
}

/// Queries of a short stream.
const SHORT: usize = 1_500;
/// Topics that overlap in the order by topic.
const BLUR: f64 = 10.0;

impl Order {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Shuffled => "shuffled",
            Self::Short => "short",
            Self::Drift => "drift",
        }
    }

    fn of(self, queries: &Queries, rng: &mut SplitMix64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..queries.labels.len()).collect();
        rng.shuffle(&mut order);
        match self {
            Self::Shuffled => {}
            Self::Short => order.truncate(SHORT),
            Self::Drift => {
                let topics = queries.labels.iter().max().map_or(0, |last| *last as usize + 1);
                let mut places: Vec<usize> = (0..topics).collect();
                rng.shuffle(&mut places);
                let mut keyed: Vec<(f64, usize)> = order
                    .into_iter()
                    .map(|at| (places[queries.labels[at] as usize] as f64 + BLUR * rng.next_f64(), at))
                    .collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                order = keyed.into_iter().map(|(_, at)| at).collect();
            }
        }
        order
    }
}

/// What came of one stream.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Run {
    pub(super) queries: u64,
    pub(super) hits: u64,
    pub(super) wrong: u64,
}

impl Run {
    /// The share of hits that are wrong; 0 without a hit.
    pub(super) fn error(&self) -> f64 {
        self.wrong as f64 / self.hits.max(1) as f64
    }
}

/// Plays one stream. An answer that the model gave is an entry of the cache from then on; one that
/// was served is not, for nobody knows that it was right.
pub(super) fn play(queries: &Queries, vectors: &Vectors, way: Way, order: Order, seed: u64) -> Run {
    let rng = SplitMix64::new(seed);
    let order = order.of(queries, &mut rng.fork(1));
    let mut dice = rng.fork(2);
    let mut policy = Policy::of(way);
    let mut cache = Present::none(queries.labels.len());
    let mut run = Run { queries: order.len() as u64, ..Run::default() };
    for text in order {
        let near = vectors.nearest(text, &cache, &queries.labels);
        match policy.query(&near, cache.len(), queries.labels[text], &mut dice) {
            Outcome::Hit { right } => {
                run.hits += 1;
                run.wrong += u64::from(!right);
            }
            Outcome::Asked { insert: true } => cache.insert(text, (&vectors.words[text], queries.labels[text])),
            Outcome::Asked { insert: false } => {}
        }
    }
    run
}
