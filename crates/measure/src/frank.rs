//! FRANK: summaries with what people and automatic judges said of their factuality.

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::parallel::parallel;

const SOURCE: &str = "FRANK (Pagnoni et al., NAACL 2021), 2,246 summaries with human factuality and scores of judges";

/// Human factuality from which on a summary counts as good: at least so much of it is factual.
pub(crate) const CUTS: [f64; 4] = [0.25, 0.5, 0.75, 1.0];

#[derive(Deserialize)]
struct Row {
    human_factuality: f64,
    judges: std::collections::BTreeMap<String, Option<f64>>,
}

/// One judge at one cut: what the pool says.
pub(crate) struct Pool {
    pub(crate) judge: String,
    pub(crate) cut: f64,
    /// Score and whether people pass it; no score where the judge gave none.
    pub(crate) items: Vec<(Option<f64>, bool)>,
}

/// Every judge at every cut.
pub(crate) fn pools() -> anyhow::Result<Vec<Pool>> {
    let path = crate::data::file("frank", "factuality.jsonl", SOURCE)?;
    let text = std::fs::read_to_string(&path)?;
    let rows: Vec<Row> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .enumerate()
        .map(|(at, line)| serde_json::from_str(line).with_context(|| format!("{}:{}", path.display(), at + 1)))
        .collect::<anyhow::Result<_>>()?;
    ensure!(!rows.is_empty(), "{} is empty", path.display());
    let mut judges: Vec<&String> = rows.iter().flat_map(|row| row.judges.keys()).collect();
    judges.sort();
    judges.dedup();
    let pool = |judge: &String, cut: f64| Pool {
        judge: judge.clone(),
        cut,
        items: rows.iter().map(|row| (row.judges.get(judge).copied().flatten(), row.human_factuality >= cut)).collect(),
    };
    Ok(judges.iter().flat_map(|judge| CUTS.map(|cut| pool(judge, cut))).collect())
}

impl Pool {
    /// The share that people pass: the truth that windows drawn from the pool are held against.
    pub(crate) fn truth(&self) -> f64 {
        self.items.iter().filter(|item| item.1).count() as f64 / self.items.len() as f64
    }

    /// Score and label of those with a score.
    pub(crate) fn scored(&self) -> impl Iterator<Item = (f64, bool)> + '_ {
        self.items.iter().filter_map(|item| Some((item.0?, item.1)))
    }

    /// Pearson's correlation of score and label.
    pub(crate) fn correlation(&self) -> f64 {
        let pairs: Vec<(f64, f64)> = self.scored().map(|(score, good)| (score, f64::from(good))).collect();
        let n = pairs.len() as f64;
        let mean = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0 / n, sum.1 + pair.1 / n));
        let moment = |f: fn((f64, f64)) -> f64| pairs.iter().map(|p| f((p.0 - mean.0, p.1 - mean.1))).sum::<f64>();
        let both = (moment(|p| p.0 * p.0) * moment(|p| p.1 * p.1)).sqrt();
        if both > 0.0 { moment(|p| p.0 * p.1) / both } else { 0.0 }
    }
}

/// Works through every pool on two threads, with progress; in the order of the pools.
pub(crate) fn each<T: Send>(pools: &[Pool], name: &str, work: impl Fn(&Pool) -> T + Sync) -> Vec<T> {
    parallel(pools, |at, pool| {
        crate::report::progress(&format!("{name}: {} at {} ({} of {})", pool.judge, pool.cut, at + 1, pools.len()));
        work(pool)
    })
}
