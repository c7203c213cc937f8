//! How a measure ends: a readable table, its bars, and one line of JSON.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

/// Figures of one measure, and the bars that they must clear.
pub(crate) struct Report {
    name: String,
    figures: Map<String, Value>,
    bars: Vec<(String, bool)>,
}

/// Prints a line of progress to standard error.
pub(crate) fn progress(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Prints a line of a table to standard output.
pub(crate) fn line(text: &str) {
    let _closed = writeln!(std::io::stdout(), "{text}");
}

/// An empty table with these columns, without lines.
pub(crate) fn table(columns: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(columns);
    table
}

impl Report {
    /// A measure of this name, which holds until a bar is missed.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), figures: Map::new(), bars: Vec::new() }
    }

    /// A figure for the last line.
    pub(crate) fn figure(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// A bar: what is promised, and whether it holds.
    pub(crate) fn bar(&mut self, promise: impl Into<String>, holds: bool) {
        self.bars.push((promise.into(), holds));
    }

    /// Prints the bars and the line of JSON.
    pub(crate) fn finish(self) -> ExitCode {
        line("");
        for (promise, holds) in &self.bars {
            line(&format!("{}  {promise}", if *holds { "holds " } else { "MISSED" }));
        }
        let pass = !self.bars.is_empty() && self.bars.iter().all(|(_, holds)| *holds);
        let mut last = Map::new();
        last.insert("measure".into(), json!(self.name));
        last.insert("pass".into(), json!(pass));
        last.extend(self.figures);
        line(&Value::Object(last).to_string());
        if pass { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
