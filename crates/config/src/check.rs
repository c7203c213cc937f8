//! What `[[checks]]` compiles to.

use std::sync::Arc;

use baton_core::Severity;
use serde_json::Value;

use crate::{Expression, Schema};

/// One `[[checks]]` entry.
#[derive(Clone, Debug)]
pub struct CheckSpec {
    /// The type's name as written, for results and messages.
    pub name: String,
    /// What it looks at: a JSON pointer into the output, `None` for all of it (as text: the label,
    /// the generated text, or the JSON).
    pub field: Option<String>,
    /// What it asks.
    pub kind: CheckKind,
    /// Whether its result is turned around.
    pub not: bool,
    /// What a failure does. Of no meaning within a group, which fails as a whole.
    pub on_fail: Severity,
    /// Its part in the score of its group, at least 0.
    pub weight: f64,
    /// The score from which on it passes, in (0, 1]. Most checks score 0 or 1; those that look for
    /// several things score the share that they found.
    pub threshold: f64,
}

/// What a check asks.
#[derive(Clone, Debug)]
pub enum CheckKind {
    /// The value is this one, where 1 is also 1.0 (`equals`).
    Equals(Value),
    /// The text matches.
    Regex(regex::Regex),
    /// The text contains all of these (`contains`, `contains-all`). Scores the share that it contains.
    ContainsAll(Vec<String>),
    /// The text contains one of these (`contains-any`).
    ContainsAny(Vec<String>),
    /// As [`ContainsAll`](Self::ContainsAll), whatever the case (`icontains`, `icontains-all`).
    IContainsAll(Vec<String>),
    /// As [`ContainsAny`](Self::ContainsAny), whatever the case (`icontains-any`).
    IContainsAny(Vec<String>),
    /// The text begins so (`starts-with`).
    StartsWith(String),
    /// The text ends so (`ends-with`).
    EndsWith(String),
    /// All letters are of this case (`case`).
    Case(LetterCase),
    /// There is more than white space (`not-empty`).
    NotEmpty,
    /// The text's length.
    Length {
        /// At least.
        min: Option<u64>,
        /// At most.
        max: Option<u64>,
        /// Of what.
        unit: LengthUnit,
    },
    /// A number within bounds (`range`); text that is a plain decimal counts as a number.
    Range {
        /// At least.
        min: Option<f64>,
        /// At most.
        max: Option<f64>,
    },
    /// The value is one of these (`enum`).
    Enum(Vec<Value>),
    /// An absolute URL of http or https (`url`).
    Url,
    /// A date of the calendar as ISO 8601 or RFC 3339 write it (`date`).
    Date,
    /// The text is JSON, of this schema where there is one (`is-json`).
    IsJson(Option<Arc<Schema>>),
    /// The text has a JSON object in it, of this schema where there is one (`contains-json`).
    ContainsJson(Option<Arc<Schema>>),
    /// The text is well-formed (`is-xml`, `is-html`, `is-sql`).
    Is(Markup),
    /// The text has some of it (`contains-xml`, `contains-html`, `contains-sql`).
    Has(Markup),
    /// The provider's reason for the end is one of these, whatever the case (`finish-reason`). Not asked of
    /// answers without one.
    FinishReason(Vec<String>),
    /// The text declines to answer (`is-refusal`).
    Refusal,
    /// The text is in one of these languages: ISO 639-3 codes (`language`).
    Language(Vec<String>),
    /// At most so many characters are to be changed, added or removed (`levenshtein`).
    Levenshtein {
        /// The text to be like.
        like: String,
        /// At most.
        max: u32,
    },
    /// At most this share of its runs of four words was there before (`repetition`).
    Repetition(f64),
    /// Its end does not say the same again and again (`no-loop`).
    NoLoop,
    /// Each of these fields (JSON pointers) occurs in the input, after normalisation
    /// (`span-in-source`): numbers literally, text by token match. `null` passes. Scores the share.
    SpanInSource(Vec<String>),
    /// The numbers of the text occur in the input (`numbers-in-source`). Scores the share.
    NumbersInSource,
    /// The names in the text occur in the input (`names-in-source`). Scores the share.
    NamesInSource,
    /// An expression over `output` and `input` is true (`cel`).
    Cel(Arc<Expression>),
    /// The label is so much more probable than the next (`label-margin`). Not asked where there are
    /// no log-probabilities.
    LabelMargin(f64),
    /// All of them pass, or their weighted score reaches the threshold (`all`, `assert-set`).
    All(Vec<CheckSpec>),
    /// One of them passes (`any`).
    Any(Vec<CheckSpec>),
}

/// The languages that can be told apart: ISO 639-3, sorted.
pub const LANGUAGES: [&str; 70] = [
    "afr", "aka", "amh", "ara", "aze", "bel", "ben", "bul", "cat", "ces", "cmn", "cym", "dan", "deu", "ell", "eng",
    "epo", "est", "fin", "fra", "guj", "heb", "hin", "hrv", "hun", "hye", "ind", "ita", "jav", "jpn", "kan", "kat",
    "khm", "kor", "lat", "lav", "lit", "mal", "mar", "mkd", "mya", "nep", "nld", "nob", "ori", "pan", "pes", "pol",
    "por", "ron", "rus", "sin", "slk", "slv", "sna", "spa", "srp", "swe", "tam", "tel", "tgl", "tha", "tuk", "tur",
    "ukr", "urd", "uzb", "vie", "yid", "zul",
];

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthUnit {
    /// Unicode scalar values.
    Characters,
    /// Runs of non-white space.
    Words,
    /// Runs that end in `.`, `!`, `?` or their like, or with the line.
    Sentences,
    /// Four bytes each: an estimate, as no vendor's tokenizer is asked.
    Tokens,
}

/// The case of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterCase {
    /// No lower-case letter.
    Upper,
    /// No upper-case letter.
    Lower,
}

/// A form of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// XML with namespaces.
    Xml,
    /// HTML.
    Html,
    /// SQL of any dialect.
    Sql,
}
