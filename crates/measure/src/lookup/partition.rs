//! A partition as the product has it, and one look-up in it, from the text to the decision.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use baton_cache::semantic::accept::{Acceptance, Decision, Look, NEIGHBOURS, Neighbour};
use baton_cache::semantic::cell::{Cell, Held};
use baton_cache::semantic::refuse::Facts;
use baton_cache::{Entry, Key};
use baton_core::{ExecutionId, IntentName, ModelId, Moment, Usage};
use baton_embed::Embedder;
use baton_stats::SplitMix64;
use serde_json::json;

use super::texts::Texts;

/// Different answers, as many as BANKING77 has labels. Which entry has which is drawn: what a look-up takes
/// hangs on how many there are among the neighbours, and these are many.
const ANSWERS: u64 = 77;
/// Look-ups that the acceptance has learnt from, so that there is a model to ask.
const LEARNT: usize = 1000;

pub(super) struct Partition {
    embedder: Arc<dyn Embedder>,
    cell: Cell,
    acceptance: Mutex<Acceptance>,
}

/// Microseconds of one look-up.
pub(super) struct Times {
    pub(super) embedding: f64,
    pub(super) neighbours: f64,
    pub(super) decision: f64,
    pub(super) all: f64,
}

impl Partition {
    pub(super) fn new(embedder: &Arc<dyn Embedder>, texts: &Texts<'_>, entries: usize) -> Self {
        let answers: Vec<Arc<Entry>> = (0..ANSWERS).map(|answer| Arc::new(answered(answer))).collect();
        let mut random = SplitMix64::new(3);
        let mut cell = Cell::new(embedder.dimensions(), entries);
        for entry in 0..entries as u64 {
            let answer = Arc::clone(&answers[random.below(ANSWERS) as usize]);
            let mut key = [0; 32];
            key[..8].copy_from_slice(&entry.to_le_bytes());
            let held = Held::new(Key::from_bytes(key), texts.text(entry).to_owned(), answer, (0, i64::MAX));
            // A text without a word has no direction, and no place.
            let _nothing = cell.insert(entry, held, &texts.vector(entry));
        }
        let acceptance = Mutex::new(Acceptance::new(0.02));
        let partition = Self { embedder: Arc::clone(embedder), cell, acceptance };
        for (n, text) in texts.asked().cycle().take(LEARNT).enumerate() {
            let near = partition.near((text, &partition.embedder.embed(text)), false);
            let look = Look::of(&near, partition.cell.len());
            look.into_iter().for_each(|look| partition.evidence().learn(look, n % 3 != 0, 1.0));
        }
        partition
    }

    fn evidence(&self) -> std::sync::MutexGuard<'_, Acceptance> {
        self.acceptance.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where `told_apart`, those that agree on facts.
    pub(super) fn near(&self, (text, vector): (&str, &[f32]), told_apart: bool) -> Vec<Neighbour> {
        let facts = told_apart.then(|| Facts::of(text));
        let alike = |held: &Held| !facts.as_ref().is_some_and(|facts| facts.keep_apart(text, &held.text));
        self.cell.near((text, vector), NEIGHBOURS, alike)
    }

    /// All that a look-up computes: for classification, or with the facts on which texts of other intents must
    /// agree, which are read in each neighbour.
    pub(super) fn look_up(&self, text: &str, facts: bool) -> Times {
        let start = Instant::now();
        let vector = self.embedder.embed(text);
        let embedded = start.elapsed();
        let near = self.near((text, &vector), facts);
        let found = start.elapsed();
        std::hint::black_box(self.decide(&near));
        let all = start.elapsed();
        let [embedding, neighbours, decision, all] =
            [embedded, found - embedded, all - found, all].map(|took| took.as_secs_f64() * 1e6);
        Times { embedding, neighbours, decision, all }
    }

    fn decide(&self, near: &[Neighbour]) -> Option<(Option<f64>, Decision)> {
        let look = Look::of(near, self.cell.len())?;
        let mut evidence = self.evidence();
        Some((evidence.risk(&look), evidence.decide(&look, 0.5)))
    }

    /// With texts and answers.
    pub(super) fn bytes(&self) -> u64 {
        self.cell.bytes()
    }
}

fn answered(answer: u64) -> Entry {
    Entry {
        intent: IntentName::new("classify-ticket"),
        output: json!({ "label": format!("label {answer}") }),
        tool_calls: Vec::new(),
        text: String::new(),
        repairs: Vec::new(),
        model: ModelId::new("sim/one"),
        source: ExecutionId::from_bytes([1; 16]),
        stored_at: Moment::default(),
        expires_at: Moment::default(),
        simulated: true,
        usage: Usage::default(),
        cost: None,
        subject: None,
    }
}
