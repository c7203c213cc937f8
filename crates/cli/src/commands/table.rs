//! An evaluation in the terminal: figures as tables, differences in red and green.

use baton_lab::{Comparison, Evaluation, Pairing, Verdict};
use comfy_table::CellAlignment;

use crate::exit::say;
use crate::lab::Paint;
use crate::setup::plain_table;

/// Names of cases in one line.
const NAMES_MAX: usize = 12;

/// Prints it.
pub(super) fn print(evaluation: &Evaluation) {
    let paint = Paint::of_stdout();
    let simulated = if evaluation.simulated() { "; simulated models" } else { "" };
    let times = if evaluation.repeat > 1 { format!(" × {}", evaluation.repeat) } else { String::new() };
    say!("{}: {} cases{times} ({}){simulated}\n", evaluation.intent, evaluation.cases.len(), evaluation.source);
    say!("{}", candidates(evaluation));
    parts(evaluation);
    for comparison in &evaluation.comparisons {
        differences(comparison, &paint);
    }
    say!();
    for note in &evaluation.notes {
        say!("{note}");
    }
    if evaluation.passed() {
        say!("{}", paint.green("nothing shows a regression or a missed objective"));
    } else {
        evaluation.conclusions().iter().for_each(|conclusion| say!("{}", paint.red(conclusion)));
    }
}

fn candidates(evaluation: &Evaluation) -> comfy_table::Table {
    let mut table = plain_table();
    table.set_header(["candidate", "right", "interval", "answered", "score", "p50 ms", "p95 ms", "cost USD", "cached"]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0}"));
    for figures in &evaluation.figures {
        let (low, high) = figures.quality_interval;
        let unknown =
            if figures.cost_unknown > 0 { format!(" + {} unknown", figures.cost_unknown) } else { String::new() };
        table.add_row([
            figures.candidate.clone(),
            format!("{:.1} %", 100.0 * figures.quality),
            format!("{:.1} to {:.1} %", 100.0 * low, 100.0 * high),
            format!("{} of {}", figures.answered, figures.calls),
            format!("{:.3}", figures.score),
            ms(figures.p50_ms),
            ms(figures.p95_ms),
            format!("{}{unknown}", figures.cost_usd),
            figures.cached.to_string(),
        ]);
    }
    table
}

/// Fields and checks, where there are any.
fn parts(evaluation: &Evaluation) {
    for (title, checks) in [("field", false), ("check", true)] {
        let mut table = plain_table();
        let mut names: Vec<&String> = Vec::new();
        for figures in &evaluation.figures {
            names.extend(if checks { figures.checks.keys() } else { figures.fields.keys() });
        }
        names.sort();
        names.dedup();
        if names.is_empty() {
            continue;
        }
        let header = std::iter::once(title.to_owned());
        table.set_header(header.chain(evaluation.figures.iter().map(|figures| figures.candidate.clone())));
        for name in names {
            let of = |figures: &baton_lab::Figures| {
                let count = if checks { figures.checks.get(name) } else { figures.fields.get(name) };
                count.map_or_else(|| "-".to_owned(), |(held, all)| format!("{held} of {all}"))
            };
            table.add_row(std::iter::once(name.clone()).chain(evaluation.figures.iter().map(of)));
        }
        say!("\n{table}");
    }
}

/// One comparison; also what `compare` prints.
pub(super) fn differences(comparison: &Comparison, paint: &Paint) {
    let (verdict, colour): (&str, fn(&Paint, &str) -> String) = match comparison.verdict {
        Verdict::Worse => ("REGRESSION", Paint::red),
        Verdict::NotWorse => ("not worse", Paint::green),
        Verdict::Open => ("not shown either way", |_, text| text.to_owned()),
    };
    let rules = &comparison.rules;
    say!(
        "\n{} − {}, {} cases, {:.0} % intervals, margin {:.1} points, seed {}",
        comparison.candidate,
        comparison.baseline,
        comparison.cases,
        100.0 * rules.confidence,
        100.0 * rules.margin,
        rules.seed
    );
    let p = comparison.p_shown().map_or_else(String::new, |p| format!(", exact p {p}"));
    let quality = format!("{} points{p}: {verdict}", scaled(&comparison.quality, 100.0, 1));
    say!("  quality  {}", colour(paint, &quality));
    if let Some(score) = &comparison.score {
        say!("  score    {} points", scaled(score, 100.0, 1));
    }
    if let Some(cost) = &comparison.cost_usd {
        say!("  cost     {} USD a call", scaled(cost, 1.0, 7));
    }
    if let Some(ms) = &comparison.ms {
        say!("  latency  {} ms", scaled(ms, 1.0, 0));
    }
    if !comparison.worse.is_empty() {
        say!("  {}", paint.red(&format!("- lost {}: {}", comparison.worse.len(), listed(&comparison.worse))));
    }
    if !comparison.better.is_empty() {
        say!("  {}", paint.green(&format!("+ gained {}: {}", comparison.better.len(), listed(&comparison.better))));
    }
}

fn scaled(pairing: &Pairing, by: f64, digits: usize) -> String {
    let Pairing { mean, lower, upper } = pairing;
    format!("{:+.digits$} ({:+.digits$} to {:+.digits$})", by * mean, by * lower, by * upper)
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > NAMES_MAX { format!(", and {} more", names.len() - NAMES_MAX) } else { String::new() };
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    format!("{}{more}", shown.join(", "))
}
