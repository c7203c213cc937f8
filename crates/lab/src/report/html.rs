//! One page that holds everything: figures, differences, every wrong answer. No script, no request
//! to anywhere; light or dark as the reader's system is.

use std::fmt::Write as _;

use super::junit::text;
use super::{Evaluation, amounts, percent, points, whole};
use crate::{Cell, Column, Comparison, Figures, Verdict};

/// Rows of the table of cases; the JSONL has all of them.
const ROWS_MAX: usize = 2000;
/// The longest text of a cell, in characters.
const CELL_CHARS_MAX: usize = 2000;
/// Of an input, in the line of its case.
const SUMMARY_CHARS: usize = 110;

const STYLE: &str = include_str!("page.css");

/// The whole page.
#[must_use]
pub fn html(evaluation: &Evaluation) -> String {
    let intent = text(&evaluation.intent);
    let mut body = String::new();
    head(evaluation, &mut body);
    candidates(evaluation, &mut body);
    differences(evaluation, &mut body);
    parts(evaluation, &mut body);
    cases(evaluation, &mut body);
    for note in &evaluation.notes {
        let _ = writeln!(body, "<p class=\"note\">{}</p>", text(note));
    }
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{intent} · baton eval</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )
}

fn head(evaluation: &Evaluation, body: &mut String) {
    let (class, state) = if evaluation.passed() { ("good", "passed") } else { ("bad", "failed") };
    let intent = text(&evaluation.intent);
    let _ = writeln!(body, "<header><h1>{intent} <span class=\"state {class}\">{state}</span></h1>");
    let times = if evaluation.repeat > 1 { format!(", each asked {} times", evaluation.repeat) } else { String::new() };
    let _ = writeln!(body, "<p>{} cases ({}){times}</p>", evaluation.cases.len(), text(&evaluation.source));
    if evaluation.simulated() {
        body.push_str("<p class=\"simulated\">Simulated models answered: these figures measure no real model.</p>\n");
    }
    for conclusion in evaluation.conclusions() {
        let _ = writeln!(body, "<p class=\"conclusion\">{}</p>", named(&conclusion));
    }
    body.push_str("</header>\n");
}

fn table(body: &mut String, title: &str, columns: &[&str]) {
    let _ = write!(body, "<h2>{title}</h2>\n<div class=\"wide\"><table>\n<thead><tr>");
    for (n, column) in columns.iter().enumerate() {
        let class = if n == 0 || WORDS.contains(column) { "" } else { " class=\"number\"" };
        let _ = write!(body, "<th{class}>{column}</th>");
    }
    body.push_str("</tr></thead>\n<tbody>\n");
}

/// Columns of words, to the left; those of numbers are to the right.
const WORDS: [&str; 2] = ["against", "verdict"];
const END: &str = "</tbody>\n</table></div>\n";

fn candidates(evaluation: &Evaluation, body: &mut String) {
    let columns = ["candidate", "right", "interval", "", "answered", "score", "p50 ms", "p95 ms", "cost USD", "cached"];
    table(body, "Candidates", &columns);
    for figures in &evaluation.figures {
        let (low, high) = figures.quality_interval;
        let _ = writeln!(
            body,
            "<tr><th>{}</th><td class=\"number\"><b>{}</b></td><td class=\"number\">{} – {}</td><td>{}</td>\
             <td class=\"number\">{} of {}</td><td class=\"number\">{:.3}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            text(&figures.candidate),
            percent(figures.quality),
            percent(low),
            percent(high),
            bar(figures),
            figures.answered,
            figures.calls,
            figures.score,
            whole(figures.p50_ms),
            whole(figures.p95_ms),
            figures.cost_usd,
            figures.cached,
        );
    }
    body.push_str(END);
    let objective = evaluation.figures.first().map(|figures| figures.objective);
    if let Some(objective) = objective {
        let _ = writeln!(
            body,
            "<p class=\"note\">Bars: the share that is right, with its {:.0} % interval; the line is the intent's \
             objective, {}.</p>",
            100.0 * evaluation.rules.confidence,
            percent(objective.quality)
        );
    }
}

/// The share, its interval and the objective on a line from 0 to 1.
fn bar(figures: &Figures) -> String {
    let (low, high) = figures.quality_interval;
    let x = |share: f64| format!("{:.1}", 160.0 * share);
    let class = if figures.objective.missed { "bad" } else { "good" };
    format!(
        "<svg class=\"bar {class}\" width=\"164\" height=\"16\" viewBox=\"-2 0 164 16\" role=\"img\" aria-label=\"{}\">\
         <rect class=\"track\" width=\"160\" height=\"6\" y=\"5\" rx=\"3\"/>\
         <rect class=\"range\" x=\"{}\" width=\"{}\" height=\"6\" y=\"5\" rx=\"3\"/>\
         <circle cx=\"{}\" cy=\"8\" r=\"4\"/><line x1=\"{}\" x2=\"{}\" y1=\"1\" y2=\"15\"/></svg>",
        percent(figures.quality),
        x(low),
        x((high - low).max(0.0)),
        x(figures.quality),
        x(figures.objective.quality),
        x(figures.objective.quality),
    )
}

fn differences(evaluation: &Evaluation, body: &mut String) {
    if evaluation.comparisons.is_empty() {
        return;
    }
    let columns = ["candidate", "against", "verdict", "quality, points", "exact p", "score", "cost USD a call", "ms"];
    table(body, "Differences", &columns);
    for comparison in &evaluation.comparisons {
        let (class, verdict) = match comparison.verdict {
            Verdict::Worse => ("bad", "regression"),
            Verdict::NotWorse => ("good", "not worse"),
            Verdict::Open => ("open", "not shown"),
        };
        let dash = || "–".to_owned();
        let _ = writeln!(
            body,
            "<tr><th>{}</th><td>{}</td><td><span class=\"state {class}\">{verdict}</span></td>\
             <td class=\"number {class}\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>\
             <td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            text(&comparison.candidate),
            text(&comparison.baseline),
            points(&comparison.quality),
            comparison.p_shown().unwrap_or_else(dash),
            comparison.score.as_ref().map_or_else(dash, points),
            comparison.cost_usd.as_ref().map_or_else(dash, |cost| amounts(cost, 6)),
            comparison.ms.as_ref().map_or_else(dash, |ms| amounts(ms, 0)),
        );
    }
    body.push_str(END);
    evaluation.comparisons.iter().for_each(|comparison| changed(comparison, body));
    let rules = &evaluation.rules;
    let _ = writeln!(
        body,
        "<p class=\"note\">Paired differences with {:.0} % intervals; margin {:.1} points; bootstrap seed {}.</p>",
        100.0 * rules.confidence,
        100.0 * rules.margin,
        rules.seed
    );
}

fn changed(comparison: &Comparison, body: &mut String) {
    let _ = writeln!(body, "<p>{}</p>", named(&comparison.sentence()));
    for (class, title, names) in [("bad", "lost", &comparison.worse), ("good", "gained", &comparison.better)] {
        if !names.is_empty() {
            let shown = names.iter().take(50).map(|name| text(name)).collect::<Vec<_>>().join(", ");
            let more = if names.len() > 50 { ", …" } else { "" };
            let _ = writeln!(
                body,
                "<p class=\"{class}\">{title} by {}: {} <small>({shown}{more})</small></p>",
                text(&comparison.candidate),
                names.len()
            );
        }
    }
}

/// Fields and checks, where there are any.
fn parts(evaluation: &Evaluation, body: &mut String) {
    let all = |figures: &Figures| -> Vec<(String, (usize, usize))> {
        let fields = figures.fields.iter().map(|(name, count)| (format!("field {name}"), *count));
        fields.chain(figures.checks.iter().map(|(name, count)| (format!("check {name}"), *count))).collect()
    };
    let mut names: Vec<String> = evaluation.figures.iter().flat_map(all).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return;
    }
    let candidates: Vec<String> = evaluation.figures.iter().map(|figures| text(&figures.candidate)).collect();
    let columns: Vec<&str> = std::iter::once("part").chain(candidates.iter().map(String::as_str)).collect();
    table(body, "Fields and checks", &columns);
    for name in &names {
        let _ = write!(body, "<tr><th>{}</th>", text(name));
        for figures in &evaluation.figures {
            let count = all(figures).into_iter().find(|(other, _)| other == name).map(|(_, count)| count);
            let shown = count.map_or_else(
                || "–".to_owned(),
                |(held, of)| format!("{} <small>({held} of {of})</small>", percent(held as f64 / (of as f64).max(1.0))),
            );
            let _ = write!(body, "<td class=\"number\">{shown}</td>");
        }
        body.push_str("</tr>\n");
    }
    body.push_str(END);
}

fn cases(evaluation: &Evaluation, body: &mut String) {
    let _ = writeln!(body, "<h2>Cases</h2>");
    let per_case = evaluation.columns.len() * evaluation.repeat.max(1) as usize;
    let shown = evaluation.cases.len().min((ROWS_MAX / per_case.max(1)).max(1));
    let mut by_case: Vec<Vec<(&Column, &Cell)>> = vec![Vec::new(); evaluation.cases.len()];
    for (column, cell, _) in evaluation.rows() {
        if let Some(cells) = by_case.get_mut(cell.case) {
            cells.push((column, cell));
        }
    }
    let mut cases: Vec<_> = evaluation.cases.iter().zip(by_case).collect();
    let wrong = |cells: &[(&Column, &Cell)]| cells.iter().filter(|(_, cell)| !cell.grade.passed).count();
    // What is to be read comes first.
    cases.sort_by_key(|(_, cells)| wrong(cells) == 0);
    for (case, cells) in cases.into_iter().take(shown) {
        let wrong = wrong(&cells);
        let (open, class) = if wrong > 0 { (" open", "bad") } else { ("", "good") };
        let state = if wrong > 0 { format!("{wrong} of {} wrong", cells.len()) } else { "all right".into() };
        let _ = writeln!(
            body,
            "<details{open}><summary>{} <span class=\"state {class}\">{state}</span> <small>{}</small></summary>\n<dl>\
             <dt>input</dt><dd><pre>{}</pre></dd>",
            text(&case.name),
            text(&pretty(&case.input).chars().take(SUMMARY_CHARS).collect::<String>()),
            text(&short(&pretty(&case.input)))
        );
        if let Some(expected) = &case.expected {
            let _ = writeln!(body, "<dt>expected</dt><dd><pre>{}</pre></dd>", text(&short(&pretty(expected))));
        }
        for (column, cell) in cells {
            let class = if cell.grade.passed { "good" } else { "bad" };
            let output = cell.given.output.as_ref().map_or_else(|| "no answer".into(), pretty);
            let reasons = if cell.grade.reasons.is_empty() {
                String::new()
            } else {
                format!("<p class=\"{class}\">{}</p>", text(&cell.grade.reasons.join("; ")))
            };
            let _ = writeln!(
                body,
                "<dt class=\"{class}\">{}</dt><dd><pre>{}</pre>{reasons}</dd>",
                text(&column.name),
                text(&short(&output))
            );
        }
        body.push_str("</dl></details>\n");
    }
    if shown < evaluation.cases.len() {
        let _ = writeln!(body, "<p class=\"note\">{} more cases are in the JSONL.</p>", evaluation.cases.len() - shown);
    }
}

/// A sentence, its names between backticks set apart.
fn named(sentence: &str) -> String {
    let part = |(n, part): (usize, &str)| if n % 2 == 1 { format!("<code>{}</code>", text(part)) } else { text(part) };
    sentence.split('`').enumerate().map(part).collect()
}

/// A text as it is, or JSON.
fn pretty(value: &serde_json::Value) -> String {
    let sole = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.values().next());
    match sole.unwrap_or(value).as_str() {
        Some(text) => text.to_owned(),
        None => serde_json::to_string_pretty(value).unwrap_or_default(),
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(CELL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
