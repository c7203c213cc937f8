//! What one look-up saw, as numbers: whether the neighbours of an input agree on its answer.

use serde::{Deserialize, Serialize};

/// A remembered input near the new one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Which one.
    pub entry: u64,
    /// Cosine of the two inputs' embeddings.
    pub cosine: f32,
    /// Its answer; equal answers have equal numbers.
    pub answer: u64,
    /// How many were remembered after it.
    pub age: u32,
    /// How likely the new input's words are under its answer, the logarithm
    /// ([`Counts::under`](crate::semantic::words::Counts::under)): of the answers of the nearest, minus infinity of others.
    pub words: f32,
}

/// How many of the nearest a [`Look`] reads.
pub const NEIGHBOURS: usize = 50;
/// Numbers of one look.
pub(super) const FEATURES: usize = 20;
/// The neighbours that vote.
const VOTERS: usize = 20;
/// A neighbour this much nearer has e times the vote.
const TEMPERATURE: f32 = 0.05;
/// Smallest share on either side whose log-odds are still told apart.
const SHARE_MIN: f32 = 0.001;
/// An entry that so many were remembered after has 1/e of a newcomer's vote among the recent.
const RECENT: f32 = 200.0;
/// What a log-odds by words weighs beside one by the neighbours' votes: the words of a text are not
/// independent, as naive Bayes takes them to be.
const WORDS_WEIGHT: f32 = 0.07;
/// Stands for the words of an answer where no other one is near.
const WORDS_LEAST: f32 = -1e3;
/// Log-odds by words beyond this say no more.
const WORDS_MOST: f32 = 40.0;
/// Votes on either side whose log-odds among the recent are still told apart.
const VOTES_MIN: f32 = 0.01;

/// The features of one look-up: what would be served, and what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Look {
    entry: u64,
    answer: u64,
    rival: Option<u64>,
    features: [f32; FEATURES],
}

impl Look {
    /// Reads the nearest entries, nearest first, of a partition of `entries`. `None` where there
    /// is no neighbour, or a cosine is not a number.
    #[must_use]
    pub fn of(neighbours: &[Neighbour], entries: usize) -> Option<Self> {
        let near = &neighbours[..neighbours.len().min(NEIGHBOURS).min(entries)];
        if near.is_empty() || near.iter().any(|n| !n.cosine.is_finite()) {
            return None;
        }
        let votes = votes(near, VOTERS);
        let (answer, share) = chosen(near, &votes)?;
        let best = near.iter().find(|n| n.answer == answer)?;
        let rival = near.iter().find(|n| n.answer != answer);
        let farthest = near[near.len() - 1].cosine;
        let rival_cosine = rival.map_or(farthest, |n| n.cosine);
        let second = votes.iter().filter(|vote| vote.0 != answer).map(|vote| vote.1).fold(0.0, f32::max);
        let agreeing = || near.iter().filter(|n| n.answer == answer).map(|n| n.cosine);
        let others = || near.iter().filter(|n| n.answer != answer).map(|n| n.cosine);
        let share_of = |count| votes_for(near, count, answer);
        let mean = |count: usize, of: &mut dyn Iterator<Item = f32>| {
            let (sum, has) = of.take(count).fold((0.0, 0_u32), |(sum, has), c| (sum + c, has + 1));
            // Too few agree: the missing ones are no nearer than the farthest seen.
            (sum + farthest * (count as f32 - has as f32)) / count as f32
        };
        let clipped = share.clamp(SHARE_MIN, 1.0 - SHARE_MIN);
        let (odds, margin) = ((clipped / (1.0 - clipped)).ln(), best.cosine - rival_cosine);
        // Of what was asked lately: an answer that nobody had for long is suspect where a new one comes up.
        let youngest = |agrees: bool| {
            let ages = near.iter().filter(|n| (n.answer == answer) == agrees).map(|n| n.age);
            ages.min().map_or(entries as f32, |age| age as f32).ln_1p()
        };
        let features = [
            best.cosine,
            margin,
            share,
            share - second,
            (agreeing().count() as f32).ln_1p(),
            mean(3, &mut agreeing()),
            odds,
            share_of(5),
            share_of(NEIGHBOURS),
            mean(10, &mut agreeing()) - mean(10, &mut others()),
            mean(10, &mut near.iter().map(|n| n.cosine)),
            (best.cosine - 0.85).max(0.0),
            youngest(true),
            youngest(false),
            recent_odds(near, answer),
            odds * odds,
            odds * margin,
            odds * best.cosine,
            (answers(near) as f32).ln(),
            words_odds(near, answer),
        ];
        Some(Self { entry: best.entry, answer, rival: rival.map(|n| n.answer), features })
    }

    /// The answer that would be served.
    #[must_use]
    pub fn answer(&self) -> u64 {
        self.answer
    }

    /// The nearest entry that has it.
    #[must_use]
    pub fn entry(&self) -> u64 {
        self.entry
    }

    pub(super) fn rival(&self) -> Option<u64> {
        self.rival
    }

    pub(super) fn features(&self) -> &[f32; FEATURES] {
        &self.features
    }
}

fn vote(near: &[Neighbour], n: &Neighbour) -> f32 {
    ((n.cosine - near[0].cosine) / TEMPERATURE).exp()
}

/// The answers among the first `count`, with their shares of the votes, the nearest one first.
fn votes(near: &[Neighbour], count: usize) -> Vec<(u64, f32)> {
    let mut votes: Vec<(u64, f32)> = Vec::new();
    let voters = &near[..near.len().min(count)];
    let mut all = 0.0;
    for n in voters {
        let weight = vote(near, n);
        all += weight;
        match votes.iter_mut().find(|(answer, _)| *answer == n.answer) {
            Some((_, has)) => *has += weight,
            None => votes.push((n.answer, weight)),
        }
    }
    votes.iter_mut().for_each(|(_, has)| *has /= all);
    votes
}

/// The log-odds of the votes for an answer, where newcomers count most.
fn recent_odds(near: &[Neighbour], answer: u64) -> f32 {
    let (mut ours, mut others) = (VOTES_MIN, VOTES_MIN);
    for n in near {
        let votes = if n.answer == answer { &mut ours } else { &mut others };
        *votes += vote(near, n) * (-(n.age as f32) / RECENT).exp();
    }
    (ours / others).ln()
}

/// The answer that neighbours and words together speak for, with its share of the neighbours' votes.
fn chosen(near: &[Neighbour], votes: &[(u64, f32)]) -> Option<(u64, f32)> {
    let words = |answer| near.iter().find(|n| n.answer == answer).map_or(WORDS_LEAST, |n| n.words);
    let score = |(answer, share): &(u64, f32)| (share + SHARE_MIN).ln() + WORDS_WEIGHT * words(*answer);
    votes.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)))
}

/// The log-odds of an answer by the words alone, among those of the neighbours.
fn words_odds(near: &[Neighbour], answer: u64) -> f32 {
    let mut seen: Vec<u64> = Vec::new();
    let (mut ours, mut others) = (WORDS_LEAST, Vec::new());
    for n in near {
        if !seen.contains(&n.answer) {
            seen.push(n.answer);
            if n.answer == answer { ours = n.words } else { others.push(n.words) }
        }
    }
    let most = others.iter().copied().fold(WORDS_LEAST, f32::max);
    let all: f32 = others.iter().map(|words| (words - most).exp()).sum();
    (ours - most - all.max(1.0).ln()).clamp(-WORDS_MOST, WORDS_MOST)
}

/// How many answers there are among these.
fn answers(near: &[Neighbour]) -> usize {
    let mut answers: Vec<u64> = near.iter().map(|n| n.answer).collect();
    answers.sort_unstable();
    answers.dedup();
    answers.len()
}

fn votes_for(near: &[Neighbour], count: usize, answer: u64) -> f32 {
    votes(near, count).iter().find(|(a, _)| *a == answer).map_or(0.0, |(_, share)| *share)
}
