//! Case files: Baton's own lines, promptfoo's tests, OpenAI's evals. What is not supported is
//! refused by name: a test that is left out in silence is a test that passes.

pub(crate) mod openai;
mod own;
pub(crate) mod promptfoo;
mod table;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use baton_config::{IntentKind, Plan};
use serde_json::Value;

use crate::case::Keys;
use crate::{Assert, Case};

/// The longest file that is read.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// The most cases of one file.
const CASES_MAX: usize = 100_000;

/// What is wrong with a case file, and where.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be read.
    #[error("{}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// One of its cases is wrong.
    #[error("{}: {place}: {why}", file.display())]
    Case {
        /// The file.
        file: PathBuf,
        /// Which: a line, or a JSON pointer.
        place: String,
        /// What is wrong, and what to do.
        why: String,
    },
}

/// A case as a file has it, before it is held against the intent.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Where it stands.
    pub(crate) place: String,
    /// A description, where it has one.
    pub(crate) name: Option<String>,
    pub(crate) input: Value,
    pub(crate) expected: Option<Value>,
    pub(crate) asserts: Vec<Assert>,
}

/// What is wrong, and at which place.
pub(crate) type Wrong = (String, String);

/// Reads the cases of a file for this intent: `.jsonl` lines of Baton or of an OpenAI eval,
/// promptfoo's `.yaml` or `.csv`, `.json` of either. `graders` is a file with OpenAI graders that
/// all cases are graded by.
///
/// # Errors
/// The first thing that is wrong with the file.
pub fn read(file: &Path, graders: Option<&Path>, plan: &Plan) -> Result<Vec<Case>, ReadError> {
    let text = text_of(file)?;
    let in_file = |(place, why): Wrong| ReadError::Case { file: file.to_owned(), place, why };
    let graders = match graders {
        None => Vec::new(),
        Some(path) => {
            let wrong = |(place, why): Wrong| ReadError::Case { file: path.to_owned(), place, why };
            openai::graders_of(&text_of(path)?).map_err(wrong)?
        }
    };
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let drafts = match extension {
        "jsonl" => own::read(&text, &graders, plan),
        "yaml" | "yml" => promptfoo::read_yaml(&text),
        "csv" => table::read_csv(&text),
        "json" => read_json(&text, plan),
        _ => {
            let why = "a case file is .jsonl, .yaml, .csv or .json: see docs/evaluation.md".to_owned();
            return Err(ReadError::File { file: file.to_owned(), why });
        }
    };
    let drafts = drafts.map_err(in_file)?;
    if drafts.is_empty() {
        return Err(ReadError::File { file: file.to_owned(), why: "there are no cases in it".into() });
    }
    if drafts.len() > CASES_MAX {
        let why = format!("more than {CASES_MAX} cases: keep the most telling ones");
        return Err(ReadError::File { file: file.to_owned(), why });
    }
    let mut keys = Keys::default();
    let shared = if extension == "jsonl" { Vec::new() } else { graders };
    let case = |draft: Draft| finish(draft, plan, &shared, &mut keys).map_err(in_file);
    drafts.into_iter().map(case).collect()
}

fn read_json(text: &str, plan: &Plan) -> Result<Vec<Draft>, Wrong> {
    let value: Value = serde_json::from_str(text).map_err(|error| (String::new(), format!("not JSON: {error}")))?;
    if value.get("testing_criteria").is_some() {
        return openai::read_eval(&value, plan);
    }
    promptfoo::read_value(&value)
}

/// Holds a draft against the intent's schemas.
fn finish(draft: Draft, plan: &Plan, graders: &[openai::Template], keys: &mut Keys) -> Result<Case, Wrong> {
    let Draft { place, name, input, expected, mut asserts } = draft;
    let input = match &plan.input_schema {
        None => input,
        Some(schema) => {
            let input = schema.with_defaults(input);
            if let Err(violation) = schema.validate(&input) {
                return Err((place, format!("input{violation}; see input.schema.json of the intent")));
            }
            input
        }
    };
    if let (Some(schema), Some(expected)) = (&plan.output_schema, &expected)
        && let Err(violation) = schema.validate(expected)
    {
        let form = match plan.kind {
            IntentKind::Classification(_) => "expected is {\"label\": …}, one of the labels",
            _ => "expected has the fields of output.schema.json",
        };
        return Err((place, format!("expected{violation}; {form}")));
    }
    for grader in graders {
        asserts.push(Assert::Grader(grader.of(&input).map_err(|why| (place.clone(), why))?));
    }
    let name = name.unwrap_or_else(|| place.clone());
    Ok(Case { key: keys.next(&input), name, input, expected, asserts })
}

fn text_of(file: &Path) -> Result<String, ReadError> {
    let wrong = |why: String| ReadError::File { file: file.to_owned(), why };
    let mut bytes = Vec::new();
    let opened = File::open(file).and_then(|opened| opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    opened.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(wrong(format!("longer than {} MiB", FILE_BYTES_MAX >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("not UTF-8: save it as UTF-8".into()))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}
