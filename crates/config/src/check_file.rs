//! `[[checks]]` as it is written.

use baton_core::Severity;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One `[[checks]]` entry. Which of the fields a check has depends on its type.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckFile {
    /// What is asked.
    #[serde(rename = "type")]
    pub(crate) kind: CheckType,
    /// What is looked at: a field of the output (`total`, `/items/0/price`); all of it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    /// `gate`: a failed answer is not given, the next candidate is asked. `signal`: it is given, and
    /// the failure counts against its quality.
    #[serde(default)]
    pub(crate) on_fail: OnFailFile,
    /// Turns the result around.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) not: bool,
    /// In a group: its part in the group's score; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub(crate) weight: Option<f64>,
    /// The score from which on it passes; 1 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub(crate) threshold: Option<f64>,
    /// `regex`: the regular expression that the text must match somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pattern: Option<String>,
    /// `equals`: the value. `contains`, `icontains`, `starts-with`, `ends-with`, `levenshtein`: the
    /// text. `case`: `upper` or `lower`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<Value>,
    /// `contains-all`, `contains-any` and with `i` before, `language`, `finish-reason`: texts; for
    /// `enum` any values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) values: Option<Vec<Value>>,
    /// `length`, `range`, `label-margin`: at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<f64>,
    /// `length`, `range`, `levenshtein`, `repetition`: at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<f64>,
    /// `length`: what is counted; `characters` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unit: Option<UnitFile>,
    /// `span-in-source`: the fields that must occur in the input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub(crate) fields: Option<Vec<String>>,
    /// `is-json`, `contains-json`: the JSON Schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Map<String, Value>>,
    /// `cel`: what must be true of `output` and `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expression: Option<String>,
    /// `all`, `assert-set`, `any`: the group's checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100))]
    pub(crate) checks: Option<Vec<CheckFile>>,
}

/// The type of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum CheckType {
    Equals,
    Regex,
    Contains,
    ContainsAll,
    ContainsAny,
    Icontains,
    IcontainsAll,
    IcontainsAny,
    StartsWith,
    EndsWith,
    Case,
    NotEmpty,
    Length,
    Range,
    Enum,
    Url,
    Date,
    IsJson,
    ContainsJson,
    IsXml,
    ContainsXml,
    IsHtml,
    ContainsHtml,
    IsSql,
    ContainsSql,
    FinishReason,
    IsRefusal,
    Language,
    Levenshtein,
    Repetition,
    NoLoop,
    SpanInSource,
    NumbersInSource,
    NamesInSource,
    Cel,
    LabelMargin,
    All,
    AssertSet,
    Any,
}

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnitFile {
    Characters,
    Words,
    Sentences,
    Tokens,
}

/// What a failed check does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailFile {
    #[default]
    Gate,
    Signal,
}

impl From<OnFailFile> for Severity {
    fn from(file: OnFailFile) -> Self {
        match file {
            OnFailFile::Gate => Self::Gate,
            OnFailFile::Signal => Self::Signal,
        }
    }
}
