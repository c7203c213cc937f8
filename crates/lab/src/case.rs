//! Cases: what is asked, what is right, and which of them a candidate has never seen.

use std::collections::{BTreeMap, BTreeSet};

use baton_config::{Plan, Share, canonical};
use serde_json::Value;

use crate::Assert;

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// The same case in another run has the same key: a hash of its input, and its number among
    /// equal inputs.
    pub key: String,
    /// What people call it: a description, or its place in the file.
    pub name: String,
    /// The input, with the defaults of its schema.
    pub input: Value,
    /// The expected output, where one is stated.
    pub expected: Option<Value>,
    /// What else must hold of the answer.
    pub asserts: Vec<Assert>,
}

/// Which of an intent's own cases are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShareAsked {
    /// Those kept for offline evaluation.
    Evaluation,
    /// Those kept for calibration.
    Calibration,
    /// All that no candidate has seen.
    All,
}

/// The inputs that a candidate learnt from: examples in its prompt, and all of the examples share
/// where `local` may answer.
#[derive(Debug, Default)]
pub struct Seen(BTreeSet<String>);

impl Seen {
    /// Adds what a candidate of this plan has seen.
    pub fn add(&mut self, plan: &Plan, local: bool) {
        self.0.extend(plan.examples.iter().map(|case| canonical(&case.input)));
        if local {
            let learnt = plan.cases.iter().filter(|case| case.share == Share::Examples);
            self.0.extend(learnt.map(|case| canonical(&case.input)));
        }
    }

    /// Adds what others have seen.
    pub fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Takes away what was seen; says how many that were.
    pub fn remove_from(&self, cases: &mut Vec<Case>) -> usize {
        let before = cases.len();
        cases.retain(|case| !self.0.contains(&canonical(&case.input)));
        before - cases.len()
    }
}

/// The intent's own cases of a share.
#[must_use]
pub fn of_plan(plan: &Plan, share: ShareAsked) -> Vec<Case> {
    let asked = |case: &&baton_config::Case| match share {
        ShareAsked::Evaluation => case.share == Share::Evaluation,
        ShareAsked::Calibration => case.share == Share::Calibration,
        ShareAsked::All => true,
    };
    let mut keys = Keys::default();
    let numbered = plan.cases.iter().enumerate().filter(|(_, case)| asked(case));
    let case = |(n, case): (usize, &baton_config::Case)| Case {
        key: keys.next(&case.input),
        name: format!("case {}", n + 1),
        input: case.input.clone(),
        expected: Some(case.expected.clone()),
        asserts: Vec::new(),
    };
    numbered.map(case).collect()
}

/// Gives cases their keys.
#[derive(Default)]
pub(crate) struct Keys(BTreeMap<String, usize>);

impl Keys {
    pub(crate) fn next(&mut self, input: &Value) -> String {
        let hash = blake3::hash(canonical(input).as_bytes()).to_hex();
        let hash = hash.get(..16).unwrap_or_default().to_owned();
        let count = self.0.entry(hash.clone()).or_default();
        *count += 1;
        if *count == 1 { hash } else { format!("{hash}-{count}") }
    }
}
