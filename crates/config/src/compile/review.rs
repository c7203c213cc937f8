//! `[[criteria]]` and `[review]`: what people are asked about answers, and about which.

use crate::diagnostics::Sink;
use crate::document::Document;
use crate::plan::{Criterion, ReviewSpec};
use crate::review_file::{CriterionFile, ReviewFile};

/// A name of a criterion has this length at most.
const ID_CHARS_MAX: usize = 64;

/// The criteria; `None` where one of them is wrong, which is reported.
pub(crate) fn criteria(document: &Document, files: &[CriterionFile], sink: &mut Sink) -> Option<Vec<Criterion>> {
    let before = sink.errors();
    let mut criteria: Vec<Criterion> = Vec::new();
    for (n, CriterionFile { id, ask, guideline }) in files.iter().enumerate() {
        let at = |key: &str| document.at(&format!("/criteria/{n}/{key}"));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if id.is_empty() || id.len() > ID_CHARS_MAX || !id.chars().all(plain) {
            let help = "small letters, digits and hyphens, at most 64: `right-team`";
            sink.error(at("id"), format!("`{id}` cannot be a criterion's id"), help);
        } else if criteria.iter().any(|other| other.id == *id) {
            sink.error(at("id"), format!("the criterion `{id}` is there twice"), "rename or remove one of the two");
        }
        for (key, text) in [("ask", Some(ask)), ("guideline", guideline.as_ref())] {
            if text.is_some_and(|text| text.trim().is_empty()) {
                let help = "write what is to be decided, as you would tell a colleague";
                sink.error(at(key), format!("`{key}` is empty"), help);
            }
        }
        criteria.push(Criterion { id: id.clone(), ask: ask.clone(), guideline: guideline.clone() });
    }
    (sink.errors() == before).then_some(criteria)
}

/// What is drawn for review.
pub(crate) fn spec(file: &ReviewFile) -> ReviewSpec {
    let ReviewFile { per_day, double, floor, adjudicator } = file.clone();
    ReviewSpec { per_day, double, floor, adjudicator }
}
