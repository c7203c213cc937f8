//! The scenario file: which models there are, how they behave, and what is true.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use toml::Spanned;

use crate::behaviour::Behaviour;
use crate::cases::{Case, Group};

/// Models and truths. Read from a file, or built in code:
///
/// ```
/// use baton_sim::{Behaviour, Scenario, Share, Sim};
/// use serde_json::json;
///
/// let case = |ticket: &str, label: &str| (json!({"ticket": ticket}), json!({"label": label}));
/// let scenario = Scenario::default()
///     .model("gpt-4", Behaviour { wrong: Share::new(0.1)?, ..Behaviour::default() })?
///     .cases([case("I was charged twice", "billing"), case("It crashes", "bug")])?;
/// let sim = Sim::new(scenario, 7);
/// assert_eq!(sim.expected(&json!({"ticket": "It crashes"})), Some(json!({"label": "bug"})));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scenario {
    pub(crate) seed: Option<u64>,
    pub(crate) models: BTreeMap<String, Behaviour>,
    pub(crate) truth: Vec<Group>,
}

/// What is wrong with a scenario, and where.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text is not a scenario.
    #[error("{line}:{column}: {message}")]
    Text {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// The same, in this file.
    #[error("{}:{source}", path.display())]
    File {
        /// The scenario file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<ScenarioError>,
    },
    /// A line of a truth file is no case.
    #[error("{}:{line}: {message}; each line is {{\"input\": …, \"expected\": …}}", path.display())]
    Case {
        /// The truth file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A behaviour that contradicts itself.
    #[error("model `{model}`: {message}")]
    Model {
        /// The model.
        model: String,
        /// What is wrong.
        message: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawScenario {
    seed: Option<u64>,
    #[serde(default)]
    truth: Vec<Spanned<PathBuf>>,
    models: BTreeMap<String, Spanned<Behaviour>>,
}

impl Scenario {
    /// Reads a scenario from TOML; its truth files are relative to `base`.
    ///
    /// # Errors
    /// Where the text is no scenario, or a truth file cannot be read or has a line that is no case.
    pub fn parse(text: &str, base: &Path) -> Result<Self, ScenarioError> {
        let raw: RawScenario =
            toml::from_str(text).map_err(|e| at(text, e.span().unwrap_or_default(), e.message().to_owned()))?;
        let mut scenario = Self { seed: raw.seed, ..Self::default() };
        for (name, behaviour) in raw.models {
            let span = behaviour.span();
            let behaviour = behaviour.into_inner();
            behaviour.check().map_err(|message| at(text, span, format!("model `{name}`: {message}")))?;
            scenario.models.insert(name, behaviour);
        }
        for file in raw.truth {
            let path = base.join(file.get_ref());
            let lines = std::fs::read_to_string(&path)
                .map_err(|e| at(text, file.span(), format!("truth file {}: {e}", path.display())))?;
            scenario.truth.push(read_cases(&lines, &path)?);
        }
        Ok(scenario)
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// As [`Scenario::parse`], with the file's name.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ScenarioError::Read { path: path.to_owned(), source })?;
        let parsed = Self::parse(&text, path.parent().unwrap_or(Path::new("")));
        parsed.map_err(|error| match error {
            ScenarioError::Text { .. } => ScenarioError::File { path: path.to_owned(), source: Box::new(error) },
            other => other,
        })
    }

    /// The seed that the file states; a flag overrides it.
    #[must_use]
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Adds a model, or replaces it; `*` stands for every model without one of its own.
    ///
    /// # Errors
    /// Where the behaviour contradicts itself ([`Behaviour::check`]).
    pub fn model(mut self, name: &str, behaviour: Behaviour) -> Result<Self, ScenarioError> {
        behaviour.check().map_err(|message| ScenarioError::Model { model: name.to_owned(), message })?;
        self.models.insert(name.to_owned(), behaviour);
        Ok(self)
    }

    /// Adds what one truth file would: (input, expected) of one task.
    ///
    /// # Errors
    /// Where an input holds no text, an expected output is not an object, or all have one label; the line is
    /// the case's place, from 1.
    pub fn cases(mut self, cases: impl IntoIterator<Item = (Value, Value)>) -> Result<Self, ScenarioError> {
        let cases = cases.into_iter().map(|(input, expected)| Case { input, expected }).collect();
        self.truth.push(Group::new(cases).map_err(|(line, message)| case_error(Path::new("cases"), line, message))?);
        Ok(self)
    }
}

fn read_cases(lines: &str, path: &Path) -> Result<Group, ScenarioError> {
    // Blank lines are allowed; numbers are those of the file.
    let numbered: Vec<(usize, &str)> = (1..).zip(lines.lines()).filter(|(_, l)| !l.trim().is_empty()).collect();
    let parse =
        |(n, line): &(usize, &str)| serde_json::from_str::<Case>(line).map_err(|e| case_error(path, *n, e.to_string()));
    let cases = numbered.iter().map(parse).collect::<Result<_, _>>()?;
    Group::new(cases).map_err(|(n, message)| case_error(path, numbered[n - 1].0, message))
}

fn case_error(path: &Path, line: usize, message: String) -> ScenarioError {
    ScenarioError::Case { path: path.to_owned(), line, message }
}

fn at(text: &str, span: Range<usize>, message: String) -> ScenarioError {
    let before = text.get(..span.start).unwrap_or_default();
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    ScenarioError::Text { line: before.matches('\n').count() + 1, column, message }
}
