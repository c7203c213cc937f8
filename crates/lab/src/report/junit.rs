//! JUnit XML, as CI systems read it: a suite for each candidate, a test for each call, and a suite
//! for what decides the exit status.

use std::fmt::Write as _;

use super::Evaluation;
use crate::{Column, Verdict};

/// The whole file.
#[must_use]
pub fn junit(evaluation: &Evaluation) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures, mut errors) = (0, 0, 0);
    for column in &evaluation.columns {
        let (suite, counts) = suite(evaluation, column);
        suites.push_str(&suite);
        tests += counts.0;
        failures += counts.1;
        errors += counts.2;
    }
    let (conclusions, counts) = conclusions(evaluation);
    suites.push_str(&conclusions);
    tests += counts.0;
    failures += counts.1;
    let name = text(&format!("baton eval {}", evaluation.intent));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\">\n{suites}</testsuites>\n"
    )
}

fn suite(evaluation: &Evaluation, column: &Column) -> (String, (usize, usize, usize)) {
    let class = text(&format!("{}.{}", evaluation.intent, column.name));
    let (mut failures, mut errors, mut seconds) = (0, 0, 0.0);
    let mut tests = String::new();
    for (_, cell, case) in evaluation.rows().filter(|(of, _, _)| std::ptr::eq(*of, column)) {
        seconds += cell.given.ms / 1000.0;
        let repetition = if evaluation.repeat > 1 { format!(" #{}", cell.repetition + 1) } else { String::new() };
        let name = text(&format!("{}{repetition}", case.name));
        let time = cell.given.ms / 1000.0;
        let _ = write!(tests, "    <testcase classname=\"{class}\" name=\"{name}\" time=\"{time:.3}\"");
        if cell.grade.passed {
            tests.push_str("/>\n");
            continue;
        }
        let outside = cell.given.refusal.as_ref().is_some_and(|refusal| !refusal.quality);
        let element = if outside { "error" } else { "failure" };
        if outside {
            errors += 1
        } else {
            failures += 1
        }
        let message = text(cell.grade.reasons.first().map_or("wrong", String::as_str));
        let output = cell.given.output.as_ref().map_or_else(|| "none".into(), ToString::to_string);
        let expected = case.expected.as_ref().map_or_else(|| "none".into(), ToString::to_string);
        let detail =
            format!("{}\ninput: {}\nexpected: {expected}\noutput: {output}", cell.grade.reasons.join("\n"), case.input);
        let _ =
            writeln!(tests, ">\n      <{element} message=\"{message}\">{}</{element}>\n    </testcase>", text(&detail));
    }
    let count = column.cells.len();
    let suite = format!(
        "  <testsuite name=\"{class}\" tests=\"{count}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{seconds:.3}\">\n\
         {tests}  </testsuite>\n"
    );
    (suite, (count, failures, errors))
}

fn conclusions(evaluation: &Evaluation) -> (String, (usize, usize)) {
    let mut tests = String::new();
    let (mut count, mut failures) = (0, 0);
    let mut test = |name: &str, failed: Option<String>| {
        count += 1;
        let _ = write!(tests, "    <testcase classname=\"conclusions\" name=\"{}\"", text(name));
        match failed {
            None => tests.push_str("/>\n"),
            Some(message) => {
                failures += 1;
                let _ = writeln!(tests, ">\n      <failure message=\"{}\"/>\n    </testcase>", text(&message));
            }
        }
    };
    for comparison in &evaluation.comparisons {
        let name = format!("{} is no regression from {}", comparison.candidate, comparison.baseline);
        test(&name, (comparison.verdict == Verdict::Worse).then(|| comparison.sentence()));
    }
    let missed: Vec<&str> = evaluation.missed().map(|figures| figures.candidate.as_str()).collect();
    for figures in &evaluation.figures {
        let name = format!("{} is not shown to miss the objective", figures.candidate);
        let at_most = format!("at most {:.3} of its answers are right", figures.objective.at_most);
        test(&name, missed.contains(&figures.candidate.as_str()).then_some(at_most));
    }
    let suite = format!(
        "  <testsuite name=\"conclusions\" tests=\"{count}\" failures=\"{failures}\" errors=\"0\">\n{tests}  </testsuite>\n"
    );
    (suite, (count, failures))
}

/// Text as XML 1.0 allows it: escaped, and without the characters that it has no way to write.
pub(super) fn text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            '\u{0}'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: proptest::test_runner::RngSeed::Fixed(1),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Whatever a model writes, a parser reads it back; what XML cannot hold is replaced.
        #[test]
        fn any_text_is_read_back(given in "(?s:.){0,40}|[<>&\"'\\]\u{0}-\u{1f}\u{fffe}\u{ffff}]{0,40}") {
            let escaped = super::text(&given);
            let xml = format!("<t a=\"{escaped}\">{escaped}</t>");
            let parsed = roxmltree::Document::parse(&xml).unwrap();
            let control = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || matches!(c, '\u{fffe}' | '\u{ffff}');
            let expected: String = given.chars().map(|c| if control(c) { '\u{fffd}' } else { c }).collect();
            prop_assert_eq!(parsed.root_element().attribute("a").unwrap_or_default(), &expected);
            prop_assert_eq!(parsed.root_element().text().unwrap_or_default(), &expected);
        }
    }
}
