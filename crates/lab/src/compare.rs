//! Two candidates on the same cases: differences in pairs with intervals, and the verdict that
//! follows from an interval's bound, never from a mean.

use std::collections::BTreeMap;
use std::path::Path;

use baton_stats::{Difference, PairedTally, normal_quantile, paired_bootstrap};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Case, Column};

/// What a candidate did with each case, by the case's key: the mean of its repetitions.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The candidate.
    pub name: String,
    /// By the case's key.
    pub cases: BTreeMap<String, CaseResult>,
}

/// One case: means over repetitions.
#[derive(Clone, Debug, Default)]
pub struct CaseResult {
    name: String,
    calls: f64,
    passed: f64,
    score: f64,
    cost_usd: Option<f64>,
    ms: f64,
}

/// What a difference is held against.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Rules {
    /// How much worse still counts as equal, as a share of cases.
    pub margin: f64,
    /// Of every interval, two-sided.
    pub confidence: f64,
    /// Of the bootstraps.
    pub seed: u64,
}

/// What the interval shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The candidate is worse by more than the margin.
    Worse,
    /// It is not worse by more than the margin.
    NotWorse,
    /// Either may be.
    Open,
}

/// An interval as it is reported.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Pairing {
    /// Candidate − baseline.
    pub mean: f64,
    /// The lower end.
    pub lower: f64,
    /// The upper end.
    pub upper: f64,
}

impl From<Difference> for Pairing {
    fn from(Difference { value, lower, upper }: Difference) -> Self {
        Self { mean: value, lower, upper }
    }
}

/// A candidate beside a baseline.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What it is compared with.
    pub baseline: String,
    /// What is compared.
    pub candidate: String,
    /// Cases that both have.
    pub cases: usize,
    /// The share of right answers, candidate − baseline.
    pub quality: Pairing,
    /// McNemar's exact two-sided p-value; only where each case was asked once.
    pub p_value: Option<f64>,
    /// The mean score, where scores say more than right and wrong. This and the two below need ten
    /// cases.
    pub score: Option<Pairing>,
    /// Dollars for each call, where both are known for some cases.
    pub cost_usd: Option<Pairing>,
    /// Milliseconds for each call.
    pub ms: Option<Pairing>,
    /// What the quality's interval shows.
    pub verdict: Verdict,
    /// Where the verdict is open: about how many more cases would settle it, where that can be said.
    pub needs_more: Option<u64>,
    /// Cases that the candidate got wrong and the baseline right.
    pub worse: Vec<String>,
    /// Cases that the candidate got right and the baseline wrong.
    pub better: Vec<String>,
    /// What it was held against.
    pub rules: Rules,
}

/// A column's results, by case.
#[must_use]
pub fn results(column: &Column, cases: &[Case]) -> Results {
    let mut results = Results { name: column.name.clone(), ..Results::default() };
    for cell in &column.cells {
        let Some(case) = cases.get(cell.case) else { continue };
        let cost = cell.given.cost.map(|cost| cost.0 as f64 / 1e9);
        let one = One { passed: cell.grade.passed, score: cell.grade.score, cost, ms: cell.given.ms };
        results.cases.entry(case.key.clone()).or_default().add(&case.name, one);
    }
    results
}

struct One {
    passed: bool,
    score: f64,
    cost: Option<f64>,
    ms: f64,
}

impl CaseResult {
    fn add(&mut self, name: &str, one: One) {
        let n = self.calls;
        let mean = |old: f64, new: f64| (old * n + new) / (n + 1.0);
        self.passed = mean(self.passed, f64::from(one.passed));
        self.score = mean(self.score, one.score);
        self.ms = mean(self.ms, one.ms);
        self.cost_usd = match (one.cost, self.cost_usd) {
            (Some(cost), _) if n < 0.5 => Some(cost),
            (Some(cost), Some(old)) => Some(mean(old, cost)),
            _ => None,
        };
        self.calls = n + 1.0;
        name.clone_into(&mut self.name);
    }
}

/// A line of an earlier run's JSONL, as far as a comparison reads it.
#[derive(Deserialize)]
struct Row {
    candidate: String,
    case: String,
    key: String,
    passed: bool,
    score: f64,
    cost_usd: Option<String>,
    ms: f64,
}

/// The results of an earlier run, from the JSONL that it wrote: of the candidate named, or of the
/// only one.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub fn baseline_of_file(path: &Path, candidate: Option<&str>) -> Result<Results, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let mut all: BTreeMap<String, Results> = BTreeMap::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let row: Row = serde_json::from_str(line)
            .map_err(|error| format!("{shown}:{}: not a line that `baton eval --jsonl` writes: {error}", n + 1))?;
        let results = all.entry(row.candidate.clone()).or_default();
        results.name = format!("{} ({shown})", row.candidate);
        let cost = row.cost_usd.and_then(|usd| usd.parse::<baton_core::NanoUsd>().ok()).map(|cost| cost.0 as f64 / 1e9);
        let one = One { passed: row.passed, score: row.score, cost, ms: row.ms };
        results.cases.entry(row.key).or_default().add(&row.case, one);
    }
    let names = || all.keys().cloned().collect::<Vec<_>>().join(", ");
    match candidate {
        Some(name) if all.contains_key(name) => Ok(all.remove(name).unwrap_or_default()),
        Some(name) => Err(format!("{shown} has no candidate `{name}`; it has: {}", names())),
        None if all.len() == 1 => Ok(all.into_values().next().unwrap_or_default()),
        None if all.is_empty() => Err(format!("{shown} has no results")),
        None => Err(format!("{shown} has several candidates: name one as `{shown}#NAME`, of: {}", names())),
    }
}

/// Compares on the cases that both have.
#[must_use]
pub fn compare(baseline: &Results, candidate: &Results, rules: Rules) -> Comparison {
    compare_bounded(baseline, candidate, rules, None)
}

/// The same, where it is not known of every case which answer is right: `bounds` gives for a case the
/// least and the most that the candidate may be better. The interval then holds whatever is true.
#[must_use]
pub fn compare_bounded(
    baseline: &Results,
    candidate: &Results,
    rules: Rules,
    bounds: Option<&BTreeMap<String, (f64, f64)>>,
) -> Comparison {
    let pairs: Vec<(&String, &CaseResult, &CaseResult)> = baseline
        .cases
        .iter()
        .filter_map(|(key, base)| candidate.cases.get(key).map(|result| (key, base, result)))
        .collect();
    // What is right of the baseline and of the candidate, at its least and its most favourable.
    let shares = |most: bool| -> Vec<(f64, f64)> {
        let known = |(key, base, result): &(&String, &CaseResult, &CaseResult)| match bounds
            .and_then(|bounds| bounds.get(*key))
            .map(|(low, high)| if most { *high } else { *low })
        {
            None => (base.passed, result.passed),
            Some(difference) if difference < 0.0 => (1.0, 0.0),
            Some(difference) if difference > 0.0 => (0.0, 1.0),
            Some(_) => (base.passed, base.passed),
        };
        pairs.iter().map(known).collect()
    };
    let (least, most) = (shares(false), shares(true));
    let (low, high) = (share_difference(&least, rules), share_difference(&most, rules));
    let quality = Difference { value: 0.5 * (low.value + high.value), lower: low.lower, upper: high.upper };
    let verdict = match quality {
        q if q.upper < -rules.margin => Verdict::Worse,
        q if q.lower > -rules.margin => Verdict::NotWorse,
        _ => Verdict::Open,
    };
    let exact = tally(&least).filter(|_| bounds.is_none() && !pairs.is_empty());
    // Of bounds, more cases can only show what the worst of them allows.
    let reachable = verdict == Verdict::Open && (bounds.is_none() || low.value > -rules.margin);
    let needs_more = tally(&least).filter(|_| reachable).and_then(|tally| needed(&tally, rules));
    let of = |value: fn(&CaseResult) -> f64| -> Vec<f64> {
        pairs.iter().map(|(_, base, result)| value(result) - value(base)).collect()
    };
    let interval = |values: &[f64]| mean_difference(values, None, rules).map(Pairing::from);
    let scores = of(|result| result.score);
    let finer = pairs.iter().any(|(_, base, result)| {
        (result.score - result.passed).abs() > 1e-9 || (base.score - base.passed).abs() > 1e-9
    });
    let costs: Vec<f64> =
        pairs.iter().filter_map(|(_, base, result)| Some(result.cost_usd? - base.cost_usd?)).collect();
    let names = |worse: bool| -> Vec<String> {
        let differs = |d: f64| if worse { d < -0.5 } else { d > 0.5 };
        let changed = pairs.iter().filter(|(_, base, result)| differs(result.passed - base.passed));
        let mut names: Vec<String> = changed.map(|(_, _, result)| result.name.clone()).collect();
        names.sort_by_cached_key(|name| (name.len(), name.clone()));
        names
    };
    Comparison {
        baseline: baseline.name.clone(),
        candidate: candidate.name.clone(),
        cases: pairs.len(),
        quality: quality.into(),
        p_value: exact.map(|tally| tally.p_value()),
        score: finer.then(|| interval(&scores)).flatten(),
        cost_usd: interval(&costs),
        ms: interval(&of(|result| result.ms)),
        verdict,
        needs_more,
        worse: names(true),
        better: names(false),
        rules,
    }
}

/// Draws of a bootstrap: fewer where there are very many cases.
const DRAWS: usize = 10_000;
const DRAWN_MAX: usize = 100_000_000;

/// The difference of shares: by counts where each result is right or wrong, else by resampling, whose
/// few values can show no more than that all is possible.
fn share_difference(shares: &[(f64, f64)], rules: Rules) -> Difference {
    let counted = tally(shares).map(|tally| tally.exact_difference(1.0 - rules.confidence));
    let differences = || shares.iter().map(|(base, candidate)| candidate - base).collect::<Vec<_>>();
    let difference = counted.unwrap_or_else(|| mean_difference(&differences(), Some(1.0), rules));
    difference.unwrap_or(Difference { value: 0.0, lower: -1.0, upper: 1.0 })
}

/// Counts, where each case is right or wrong and nothing between.
fn tally(shares: &[(f64, f64)]) -> Option<PairedTally> {
    let right = |share: f64| if share > 1.0 - 1e-9 { Some(true) } else { (share < 1e-9).then_some(false) };
    let pairs: Option<Vec<(bool, bool)>> =
        shares.iter().map(|(base, candidate)| Some((right(*base)?, right(*candidate)?))).collect();
    pairs.map(PairedTally::of)
}

/// How many cases more would settle it, at least one.
fn needed(tally: &PairedTally, rules: Rules) -> Option<u64> {
    let needed = tally.pairs_needed(rules.margin, 1.0 - rules.confidence)?;
    Some(needed.saturating_sub(tally.pairs()).max(1))
}

/// The mean with its bootstrap interval. Where every difference is the same, resampling shows no
/// spread: the interval then has the room that a score bound has where nothing differs, z² / (n + z²)
/// of the most that a difference can be, `range`.
fn mean_difference(differences: &[f64], range: Option<f64>, rules: Rules) -> Option<Difference> {
    let n = differences.len();
    let draws = DRAWS.min((DRAWN_MAX / n.max(1)).max(1000));
    let delta = 1.0 - rules.confidence;
    let drawn = paired_bootstrap(differences, delta, draws, rules.seed)?;
    let Some(range) = range.filter(|_| drawn.upper - drawn.lower < 1e-12) else { return Some(drawn) };
    let z2 = normal_quantile(1.0 - 0.5 * delta).powi(2);
    let room = range * z2 / (n as f64 + z2);
    Some(Difference { value: drawn.value, lower: drawn.value - room, upper: drawn.value + room })
}

impl Comparison {
    /// "May I replace the baseline by the candidate?", in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let points = |share: f64| format!("{:+.1}", 100.0 * share);
        let Pairing { mean, lower, upper } = self.quality;
        let interval = format!(
            "{} points of quality, {:.0} % interval {} to {}, on {} cases",
            points(mean),
            100.0 * self.rules.confidence,
            points(lower),
            points(upper),
            self.cases
        );
        let margin = format!("{:.1} points", 100.0 * self.rules.margin);
        let (baseline, candidate) = (&self.baseline, &self.candidate);
        match (self.verdict, self.needs_more) {
            (Verdict::NotWorse, _) => format!(
                "Yes: `{candidate}` may replace `{baseline}`; it is less than {margin} worse, or better ({interval})."
            ),
            (Verdict::Worse, _) if self.rules.margin <= 0.0 => {
                format!("No: `{candidate}` is worse than `{baseline}` ({interval}).")
            }
            (Verdict::Worse, _) => {
                format!("No: `{candidate}` is more than {margin} worse than `{baseline}` ({interval}).")
            }
            (Verdict::Open, Some(more)) => format!(
                "Not enough evidence whether `{candidate}` may replace `{baseline}` at a margin of {margin}: \
                 needs about {more} more ({interval})."
            ),
            (Verdict::Open, None) => format!(
                "Not enough evidence whether `{candidate}` may replace `{baseline}` at a margin of {margin}; \
                 how many more cases it needs cannot be said ({interval})."
            ),
        }
    }

    /// The exact p-value as people read it.
    #[must_use]
    pub fn p_shown(&self) -> Option<String> {
        self.p_value.map(|p| if p < 0.001 { format!("{p:.1e}") } else { format!("{p:.3}") })
    }

    /// As one JSON value, the sentence in it.
    #[must_use]
    pub fn document(&self) -> Value {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        if let Some(document) = document.as_object_mut() {
            document.insert("sentence".into(), Value::from(self.sentence()));
        }
        document
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { margin: 0.02, confidence: 0.95, seed: 1 };

    /// Results by case: passed, for each repetition.
    fn of(cases: &[&[bool]]) -> Results {
        let mut results = Results::default();
        for (n, repetitions) in cases.iter().enumerate() {
            let case = results.cases.entry(format!("{n:04}")).or_default();
            for passed in *repetitions {
                case.add(&n.to_string(), One { passed: *passed, score: f64::from(*passed), cost: Some(0.5), ms: 1.0 });
            }
        }
        results
    }

    fn same(count: usize) -> Results {
        of(&vec![&[true][..]; count])
    }

    #[test]
    fn what_is_shown_follows_the_bound() {
        let check = |count: usize, verdict: Verdict, says: &str| {
            let comparison = compare(&same(count), &same(count), RULES);
            assert_eq!(comparison.verdict, verdict, "{comparison:?}");
            assert!(comparison.sentence().starts_with(says), "{}", comparison.sentence());
        };
        check(100, Verdict::Open, "Not enough evidence");
        check(189, Verdict::NotWorse, "Yes:");
        // 7.849 (1 / 102) / 0.02² = 192.4 in all, where one of 102 pairs may differ.
        assert_eq!(compare(&same(100), &same(100), RULES).needs_more, Some(93));
        let mut worse = same(100);
        worse.cases.values_mut().take(20).for_each(|case| case.passed = 0.0);
        let shown = compare(&same(100), &worse, RULES);
        assert_eq!((shown.verdict, shown.worse.len(), shown.better.len()), (Verdict::Worse, 20, 0));
        assert!(shown.p_value.unwrap() < 1e-5);
    }

    #[test]
    fn repetitions_are_no_cases() {
        let twice = of(&[&[true, true][..], &[true, false]].repeat(10));
        let once = of(&[&[true, true][..]; 20]);
        let comparison = compare(&once, &twice, RULES);
        assert_eq!((comparison.cases, comparison.p_value), (20, None));
        assert!((comparison.quality.mean + 0.25).abs() < 1e-12);
        // The same difference everywhere is no certainty: 3.84 / 23.84.
        let half = compare(&of(&[&[true, true][..]; 20]), &of(&[&[true, false][..]; 20]), RULES);
        assert!((half.quality.upper - (-0.5 + 3.841_459 / 23.841_459)).abs() < 1e-6, "{half:?}");
        let few = compare(&of(&[&[true, true][..]; 5]), &of(&[&[true, false][..]; 5]), RULES);
        assert_eq!((few.verdict, few.quality.lower, few.quality.upper), (Verdict::Open, -1.0, 1.0));
    }

    /// Of 400 calls on which two differ in five, either may be right: neither verdict is shown, while the
    /// same calls without a difference show one.
    #[test]
    fn what_nobody_judged_counts_against_either_verdict() {
        let all = same(400);
        let bounds = |differ: usize| -> BTreeMap<String, (f64, f64)> {
            let bound = |n: usize| if n < differ { (-1.0, 1.0) } else { (0.0, 0.0) };
            all.cases.keys().enumerate().map(|(n, key)| (key.clone(), bound(n))).collect()
        };
        let compared = |differ: usize| compare_bounded(&all, &all, RULES, Some(&bounds(differ)));
        assert_eq!(compared(0).verdict, Verdict::NotWorse);
        let open = compared(5);
        assert_eq!(open.verdict, Verdict::Open);
        assert!(open.quality.lower < -5.0 / 400.0 && open.quality.upper > 5.0 / 400.0, "{open:?}");
        assert_eq!(open.p_value, None);
        assert_eq!(compared(200).needs_more, None, "no number of such calls shows that it is not worse");
    }
}
