//! What a run found, for machines and for people: JSON, JSONL, JUnit, Markdown, one HTML page.

mod html;
mod junit;
mod markdown;

pub use html::html;
pub use junit::junit;
pub use markdown::markdown;

use serde::Serialize;
use serde_json::{Value, json};

use crate::compare::Rules;
use crate::{Case, Cell, Column, Comparison, Figures, Verdict};

/// A run, whole.
pub struct Evaluation {
    /// The intent.
    pub intent: String,
    /// Where the cases come from, in words.
    pub source: String,
    /// The cases.
    pub cases: Vec<Case>,
    /// How often each was asked.
    pub repeat: u32,
    /// Every answer.
    pub columns: Vec<Column>,
    /// The same in figures, in the same order.
    pub figures: Vec<Figures>,
    /// Candidates beside their baselines.
    pub comparisons: Vec<Comparison>,
    /// What differences are held against.
    pub rules: Rules,
    /// What else a reader has to know.
    pub notes: Vec<String>,
}

#[derive(Serialize)]
struct Row<'a> {
    candidate: &'a str,
    case: &'a str,
    key: &'a str,
    repetition: u32,
    passed: bool,
    score: f64,
    reasons: &'a [String],
    input: &'a Value,
    expected: &'a Option<Value>,
    output: &'a Option<Value>,
    error: Option<&'a str>,
    model: &'a Option<String>,
    cost_usd: Option<String>,
    ms: f64,
    cached: bool,
    simulated: bool,
}

impl Evaluation {
    /// Comparisons that show a regression.
    pub fn regressions(&self) -> impl Iterator<Item = &Comparison> {
        self.comparisons.iter().filter(|comparison| comparison.verdict == Verdict::Worse)
    }

    /// Candidates that are shown not to keep the intent's objective; one that is only there to be
    /// compared with is none.
    pub fn missed(&self) -> impl Iterator<Item = &Figures> {
        let baseline = |name: &str| self.comparisons.iter().any(|comparison| comparison.baseline == name);
        self.figures.iter().filter(move |figures| figures.objective.missed && !baseline(&figures.candidate))
    }

    /// Whether neither is shown.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.regressions().next().is_none() && self.missed().next().is_none()
    }

    /// Whether simulated models answered.
    #[must_use]
    pub fn simulated(&self) -> bool {
        self.figures.iter().any(|figures| figures.simulated)
    }

    /// What is shown, a sentence each.
    #[must_use]
    pub fn conclusions(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let regression = |comparison: &Comparison| {
            format!(
                "regression: `{}` is worse than `{}` by at least {:.1} points of quality",
                comparison.candidate,
                comparison.baseline,
                -100.0 * comparison.quality.upper
            )
        };
        let missed = |figures: &Figures| {
            let objective = &figures.objective;
            format!(
                "objective missed: of the answers that `{}` gives at most {} are right (confidence {:.0} %), promised are {}",
                figures.candidate,
                percent(objective.at_most),
                100.0 * objective.confidence,
                percent(objective.quality)
            )
        };
        self.regressions().map(regression).chain(self.missed().map(missed)).collect()
    }

    /// The figures as one JSON document; the answers are in [`jsonl`].
    #[must_use]
    pub fn document(&self) -> Value {
        json!({
            "intent": self.intent,
            "cases": self.cases.len(),
            "source": self.source,
            "repeat": self.repeat,
            "rules": self.rules,
            "simulated": self.simulated(),
            "candidates": self.figures,
            "comparisons": self.comparisons.iter().map(Comparison::document).collect::<Vec<_>>(),
            "notes": self.notes,
            "conclusions": self.conclusions(),
            "passed": self.passed(),
        })
    }

    /// Each cell with its candidate and case.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&Column, &Cell, &Case)> {
        let of = |column| move |cell| (column, cell);
        let cells = self.columns.iter().flat_map(move |column| column.cells.iter().map(of(column)));
        cells.filter_map(|(column, cell): (&Column, &Cell)| Some((column, cell, self.cases.get(cell.case)?)))
    }
}

/// Every answer as a line, with its grade: what a later run can be compared with.
#[must_use]
pub fn jsonl(evaluation: &Evaluation) -> String {
    let row = |(column, cell, case): (&Column, &Cell, &Case)| {
        let row = Row {
            candidate: &column.name,
            case: &case.name,
            key: &case.key,
            repetition: cell.repetition,
            passed: cell.grade.passed,
            score: cell.grade.score,
            reasons: &cell.grade.reasons,
            input: &case.input,
            expected: &case.expected,
            output: &cell.given.output,
            error: cell.given.refusal.as_ref().map(|refusal| refusal.code.as_str()),
            model: &cell.given.model,
            cost_usd: cell.given.cost.map(|cost| cost.to_string()),
            ms: cell.given.ms,
            cached: cell.cached,
            simulated: cell.given.simulated,
        };
        serde_json::to_string(&row).unwrap_or_default() + "\n"
    };
    evaluation.rows().map(row).collect()
}

/// `93.8 %`.
fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// `+1.2 (-3.4 to +5.8)`, in points of a hundred.
fn points(pairing: &crate::Pairing) -> String {
    let point = |share: f64| format!("{:+.1}", 100.0 * share);
    format!("{} ({} to {})", point(pairing.mean), point(pairing.lower), point(pairing.upper))
}

/// The same of milliseconds or dollars.
fn amounts(pairing: &crate::Pairing, digits: usize) -> String {
    let Pairing { mean, lower, upper } = pairing;
    format!("{mean:+.digits$} ({lower:+.digits$} to {upper:+.digits$})")
}

use crate::Pairing;

/// `320`, or a dash.
fn whole(ms: Option<f64>) -> String {
    ms.map_or_else(|| "–".into(), |ms| format!("{ms:.0}"))
}
