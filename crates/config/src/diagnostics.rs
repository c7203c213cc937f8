//! Mistakes, as a compiler shows them: file, line, column, what was wrong, what to do.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

use crate::secrets::masked;

/// Whether a diagnostic stops the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The configuration is refused.
    Error,
    /// It is accepted; somebody should look.
    Warning,
}

/// One mistake. Serializes as `{level, file, line, column, message, help}`; no source text leaves
/// that way.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnostic {
    /// Whether it stops the load.
    pub level: Level,
    /// The file, under the folder as it was given; or the environment variable or flag.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
    #[serde(skip)]
    shown: Arc<NamedSource<String>>,
    #[serde(skip)]
    span: Range<usize>,
}

/// `file:line:column: message`; without line and column where there is no text to point into.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shown.inner().is_empty() {
            return write!(f, "{}: {}", self.file, self.message);
        }
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)
    }
}

impl std::error::Error for Diagnostic {}

impl miette::Diagnostic for Diagnostic {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.level {
            Level::Error => miette::Severity::Error,
            Level::Warning => miette::Severity::Warning,
        })
    }

    fn help(&self) -> Option<Box<dyn fmt::Display + '_>> {
        (!self.help.is_empty()).then(|| Box::new(&self.help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.shown.inner().is_empty()).then_some(&*self.shown as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(std::iter::once(LabeledSpan::underline(self.span.clone()))))
    }
}

impl Diagnostic {
    /// A warning about something that is in no file, for example an environment variable.
    #[must_use]
    pub fn warning(about: &str, message: impl Into<String>, help: impl Into<String>) -> Self {
        let mut sink = Sink::default();
        sink.warn(Source::new(about.to_owned(), "").start(), message, help);
        sink.0.remove(0)
    }

    /// With its piece of source, for people; `colour` for terminals.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut text = String::new();
        match GraphicalReportHandler::new_themed(theme).with_width(100).render_report(&mut text, self) {
            Ok(()) => text,
            Err(_) => format!("{self}\n  {}\n", self.help),
        }
    }
}

/// Everything that is wrong with a configuration, warnings included.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Report {
    /// In the order of the files.
    pub diagnostics: Vec<Diagnostic>,
}

impl Report {
    /// All of it with its pieces of source, for people; `colour` for terminals.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        self.diagnostics.iter().map(|d| d.render(colour)).collect()
    }
}

/// One line each: `file:line:column: message`, help after it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, diagnostic) in self.diagnostics.iter().enumerate() {
            write!(f, "{}{diagnostic} ({})", if n > 0 { "\n" } else { "" }, diagnostic.help)?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// A text and the name that it is shown under.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// As shown: the folder as given, and the path under it.
    pub(crate) name: String,
    pub(crate) text: Arc<str>,
    shown: Arc<NamedSource<String>>,
}

impl Source {
    pub(crate) fn new(name: String, text: &str) -> Self {
        let shown = Arc::new(NamedSource::new(&name, masked(text)));
        Self { name, text: Arc::from(text), shown }
    }

    /// The place of these bytes.
    pub(crate) fn place(&self, span: Range<usize>) -> Place<'_> {
        Place { source: self, span }
    }

    /// The place of the whole file, shown at its start.
    pub(crate) fn start(&self) -> Place<'_> {
        self.place(0..0)
    }

    /// Line and column of a byte, from 1.
    pub(crate) fn position(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..floor(&self.text, byte)];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// Bytes of a source.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    source: &'a Source,
    span: Range<usize>,
}

/// Where mistakes are collected.
#[derive(Default)]
pub(crate) struct Sink(pub(crate) Vec<Diagnostic>);

impl Sink {
    pub(crate) fn error(&mut self, at: Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Level::Error, at, message.into(), help.into());
    }

    pub(crate) fn warn(&mut self, at: Place<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.push(Level::Warning, at, message.into(), help.into());
    }

    pub(crate) fn errors(&self) -> usize {
        self.0.iter().filter(|d| d.level == Level::Error).count()
    }

    fn push(&mut self, level: Level, at: Place<'_>, message: String, help: String) {
        let text = &at.source.text;
        let start = floor(text, at.span.start);
        // A label over many lines hides what it points at: the first line is enough.
        let line_end = text[start..].find('\n').map_or(text.len(), |n| start + n);
        let span = start..floor(text, at.span.end).clamp(start, line_end);
        let (line, column) = at.source.position(start);
        let (file, shown) = (at.source.name.clone(), Arc::clone(&at.source.shown));
        self.0.push(Diagnostic { level, file, line, column, message, help, shown, span });
    }
}

/// The nearest character boundary at or before `byte`.
fn floor(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_points_like_a_compiler() {
        let source = Source::new("intents/a/intent.toml".into(), "é = 1\nmodls = [\"x\"]\n");
        let mut sink = Sink::default();
        sink.error(source.place(7..12), "unknown key `modls`", "did you mean `models`?");
        assert_eq!(sink.0[0].to_string(), "intents/a/intent.toml:2:1: unknown key `modls`");
        let text = sink.0[0].render(false);
        assert!(text.contains("modls = [") && text.contains("did you mean"), "{text}");
        let json = serde_json::to_value(&sink.0[0]).unwrap();
        assert_eq!((json["line"].as_u64(), json["level"].as_str()), (Some(2), Some("error")));
    }
}
