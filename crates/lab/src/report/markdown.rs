//! Markdown, for a comment on a pull request.

use std::fmt::Write as _;

use super::{Evaluation, amounts, percent, points, whole};
use crate::Verdict;

/// Wrong answers that are listed for each candidate; the JSONL has all of them.
const WRONG_MAX: usize = 20;

/// The whole text.
#[must_use]
pub fn markdown(evaluation: &Evaluation) -> String {
    let mut out = String::new();
    let state = if evaluation.passed() { "passed" } else { "failed" };
    let simulated = if evaluation.simulated() { " (simulated models)" } else { "" };
    let _ = writeln!(out, "## baton eval {}: {state}{simulated}\n", line(&evaluation.intent));
    let times = if evaluation.repeat > 1 { format!(", each asked {} times", evaluation.repeat) } else { String::new() };
    let _ = writeln!(out, "{} cases ({}){times}.\n", evaluation.cases.len(), line(&evaluation.source));
    for conclusion in evaluation.conclusions() {
        let _ = writeln!(out, "- **{}**", line(&conclusion));
    }
    out.push_str("\n| candidate | right | interval | answered | score | p50 ms | p95 ms | cost USD |\n");
    out.push_str("|---|--:|---|--:|--:|--:|--:|--:|\n");
    for figures in &evaluation.figures {
        let (low, high) = figures.quality_interval;
        let _ = writeln!(
            out,
            "| {} | {} | {} to {} | {} of {} | {:.3} | {} | {} | {} |",
            cell(&figures.candidate),
            percent(figures.quality),
            percent(low),
            percent(high),
            figures.answered,
            figures.calls,
            figures.score,
            whole(figures.p50_ms),
            whole(figures.p95_ms),
            figures.cost_usd,
        );
    }
    if !evaluation.comparisons.is_empty() {
        out.push_str(
            "\n| candidate − baseline | verdict | quality, points | cost USD a call | ms |\n|---|---|---|---|---|\n",
        );
    }
    for comparison in &evaluation.comparisons {
        let verdict = match comparison.verdict {
            Verdict::Worse => "🔴 regression",
            Verdict::NotWorse => "🟢 not worse",
            Verdict::Open => "not shown either way",
        };
        let cost = comparison.cost_usd.as_ref().map_or_else(|| "–".into(), |cost| amounts(cost, 6));
        let name = format!("{} − {}", comparison.candidate, comparison.baseline);
        let ms = comparison.ms.as_ref().map_or_else(|| "–".into(), |ms| amounts(ms, 0));
        let quality = points(&comparison.quality);
        let _ = writeln!(out, "| {} | {verdict} | {quality} | {cost} | {ms} |", cell(&name));
    }
    wrong(evaluation, &mut out);
    for note in &evaluation.notes {
        let _ = writeln!(out, "\n{}", line(note));
    }
    out
}

fn wrong(evaluation: &Evaluation, out: &mut String) {
    for column in &evaluation.columns {
        let of_column = evaluation.rows().filter(|(of, _, _)| std::ptr::eq(*of, column));
        let wrong: Vec<_> = of_column.filter(|(_, cell, _)| !cell.grade.passed).collect();
        if wrong.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n<details><summary>{} wrong: {}</summary>\n", cell(&column.name), wrong.len());
        for (_, answer, case) in wrong.iter().take(WRONG_MAX) {
            let _ = writeln!(out, "- {}: {}", line(&case.name), line(&answer.grade.reasons.join("; ")));
        }
        if wrong.len() > WRONG_MAX {
            let _ = writeln!(out, "- and {} more", wrong.len() - WRONG_MAX);
        }
        out.push_str("\n</details>\n");
    }
}

/// Text that stays text, on one line.
fn line(text: &str) -> String {
    let one: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    one.replace('&', "&amp;").replace('<', "&lt;").replace('*', "\\*").replace('[', "\\[")
}

fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}
