//! How the queue stands, who does what, and how far they agree.

use std::collections::BTreeMap;

use baton_core::{Failure, IntentName, ReviewItem, ReviewState};
use baton_stats::krippendorff_alpha;
use serde::{Deserialize, Serialize};

use super::{Desk, ItemFilter, failed};

/// Items that figures are made of at most, the latest.
const ITEMS_MAX: usize = 20_000;
/// Items read at a time.
const PAGE: usize = 1000;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewStats {
    /// The items that this is made of: the latest, at most 20,000.
    pub items: u64,
    /// By intent.
    pub intents: BTreeMap<String, IntentReviews>,
    /// By reviewer.
    pub reviewers: BTreeMap<String, ReviewerStats>,
}

/// Of one intent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IntentReviews {
    /// Items that wait for a label.
    pub open: u64,
    /// Items that wait for their second label.
    pub second: u64,
    /// Items that wait for somebody to decide.
    pub disputed: u64,
    /// Items that wait for nothing.
    pub done: u64,
    /// Those of the waiting that somebody has now.
    pub held: u64,
    /// Items with a label.
    pub labelled: u64,
    /// Those of them that pass.
    pub passed: u64,
    /// On whether answers pass.
    pub agreement: Agreement,
    /// On each criterion.
    pub criteria: BTreeMap<String, Agreement>,
}

/// How far independent labels of the same answer agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Agreement {
    /// Krippendorff's α: 1 perfect, 0 as chance; `null` where there is nothing to compare, or nothing
    /// that varies.
    pub alpha: Option<f64>,
    /// Items with two or more independent labels.
    pub items: u64,
}

/// Of one reviewer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReviewerStats {
    /// Labels given.
    pub labels: u64,
    /// Those that pass an answer.
    pub passed: u64,
    /// Items passed over.
    pub skipped: u64,
    /// Items that they have now.
    pub held: u64,
}

fn agreement(units: &[Vec<bool>]) -> Agreement {
    let items = units.iter().filter(|unit| unit.len() > 1).count() as u64;
    Agreement { alpha: krippendorff_alpha(units), items }
}

impl ReviewStats {
    fn of(items: &[ReviewItem], now_us: i64) -> Self {
        let mut stats = Self { items: items.len() as u64, ..Self::default() };
        for item in items {
            stats.intents.entry(item.intent.to_string()).or_default().add(item, now_us);
            for label in &item.labels {
                let reviewer = stats.reviewers.entry(label.reviewer.clone()).or_default();
                reviewer.labels += 1;
                reviewer.passed += u64::from(label.pass);
            }
            for (name, _) in &item.skips {
                stats.reviewers.entry(name.clone()).or_default().skipped += 1;
            }
            for name in item.held_by(now_us) {
                stats.reviewers.entry(name.to_owned()).or_default().held += 1;
            }
        }
        for (name, intent) in &mut stats.intents {
            let of: Vec<&ReviewItem> = items.iter().filter(|item| item.intent.as_str() == name).collect();
            intent.agree(&of);
        }
        stats
    }
}

impl IntentReviews {
    fn add(&mut self, item: &ReviewItem, now_us: i64) {
        let waits = match item.state() {
            ReviewState::Done => &mut self.done,
            ReviewState::Open => &mut self.open,
            ReviewState::Second => &mut self.second,
            ReviewState::Disputed => &mut self.disputed,
        };
        *waits += 1;
        self.held += u64::from(item.held_by(now_us).next().is_some());
        if let Some(verdict) = item.verdict() {
            self.labelled += 1;
            self.passed += u64::from(verdict.pass);
        }
    }

    fn agree(&mut self, items: &[&ReviewItem]) {
        let units: Vec<Vec<bool>> = items.iter().map(|i| i.independent().map(|label| label.pass).collect()).collect();
        self.agreement = agreement(&units);
        let labels = items.iter().flat_map(|item| item.independent());
        let ids: std::collections::BTreeSet<&String> = labels.flat_map(|label| label.criteria.keys()).collect();
        for id in ids {
            let unit = |item: &&ReviewItem| item.independent().filter_map(|l| l.criteria.get(id).copied()).collect();
            let units: Vec<Vec<bool>> = items.iter().map(unit).collect();
            self.criteria.insert(id.clone(), agreement(&units));
        }
    }
}

impl Desk {
    /// Figures of the latest items that this reviewer sees.
    ///
    /// # Errors
    /// What the store says.
    pub async fn stats(&self, intent: Option<&IntentName>) -> Result<ReviewStats, Failure> {
        let mut items: Vec<ReviewItem> = Vec::new();
        while items.len() < ITEMS_MAX {
            let before = items.last().map(|item| item.execution);
            let filter = ItemFilter { intent: intent.cloned(), before, limit: PAGE, ..ItemFilter::default() };
            let page = self.store.reviews(&self.reviewer, &filter).await.map_err(failed)?;
            let last = page.len() < PAGE;
            items.extend(page);
            if last {
                break;
            }
        }
        Ok(ReviewStats::of(&items, self.now_us))
    }
}
