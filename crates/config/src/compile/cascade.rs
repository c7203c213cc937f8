//! `route = "cascade"`: what a right answer is worth, and `cascade.json`, which says who was right together.

use baton_core::{ModelId, Usage};
use serde::Deserialize;

use super::intent::IntentSources;
use super::schemas::parse;
use crate::diagnostics::{Sink, Source};
use crate::files::{IntentFile, UnprovenFile};
use crate::json::{child, locate};
use crate::plan::{Cascade, IntentKind, ModelSpec, RightTogether};
use crate::route_file::RouteFile;

/// Cases below which nothing is learnt of who is right together.
pub const CASCADE_CASES_MIN: u32 = 100;
/// Cases that are read of one file: all of them are gone through some hundred times.
const CASES_MAX: u32 = 10_000;
/// Models whose answers are compared: sets of them are bits, and the policy has a step for each.
pub const CASCADE_MODELS_MAX: usize = 11;
/// How many are asked for one answer where `asks` does not say.
pub const CASCADE_ASKS: u32 = 4;
/// The file, for messages.
const FILE: &str = "cascade.json";

/// `cascade.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CascadeFile {
    answer: String,
    models: Vec<Asked>,
    right: std::collections::BTreeMap<String, u32>,
}

/// One of its models.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    model: String,
    input_tokens: u64,
    output_tokens: u64,
}

/// The terms of asking in turn; `None` where the route is another, or where something is wrong, which is
/// reported. `answer` is the hash of what the intent asks.
pub(super) fn compile(
    sources: &IntentSources,
    file: &IntentFile,
    (kind, candidates, answer): (&IntentKind, &[ModelSpec], &str),
    sink: &mut Sink,
) -> Option<Cascade> {
    let document = &sources.policy;
    let routing = file.routing.clone().unwrap_or_default();
    if file.route != RouteFile::Cascade {
        for (key, set) in [("right_usd", routing.right_usd.is_some()), ("asks", routing.asks.is_some())] {
            if set {
                let help = "set `route = \"cascade\"`, or remove it";
                sink.error(document.key(&child("/routing", key)), "only the route \"cascade\" has it", help);
            }
        }
        return None;
    }
    for key in ["explore", "in_time", "sticky"].map(|key| child("/routing", key)) {
        if document.value.pointer(&key).is_some() {
            sink.warn(document.key(&key), "route \"cascade\" does not look at it", "remove it");
        }
    }
    if *kind == IntentKind::Generation {
        let help = "two good texts need not be equal: take another route";
        sink.error(document.at("/route"), "route \"cascade\" compares labels and fields, not texts", help);
    }
    if file.objective.unproven == UnprovenFile::Judge {
        let help = "take another route, or `unproven = \"pass\"`: where models agree is what decides here";
        sink.error(document.at("/objective/unproven"), "route \"cascade\" asks no judge in the path", help);
    }
    let Some(right_usd) = routing.right_usd.filter(|usd| usd.is_finite() && *usd > 0.0) else {
        // What is wrong with one that is there is told already.
        if document.value.pointer("/routing/right_usd").is_none() {
            let help = "add `right_usd` to [routing]: what one more right answer is worth, in dollars, as in `right_usd = 0.05`";
            sink.error(document.at("/route"), "route \"cascade\" weighs answers against their cost", help);
        }
        return None;
    };
    let writes = format!("`baton eval {} --candidates A,B,C --share all --cascade` writes it", sources.name);
    let together = match &sources.cascade {
        Some(source) => {
            read(source, &writes, sink).and_then(|file| file.usable((candidates, answer), (source, &writes), sink))
        }
        None => {
            let message = "route \"cascade\" behaves as \"ordered\" until cascade.json says who is right together";
            sink.warn(document.at("/route"), message, writes);
            None
        }
    };
    Some(Cascade { right_usd, asks: routing.asks.unwrap_or(CASCADE_ASKS), together })
}

/// What the file says, with its patterns as digits; `None` where it is wrong, which is reported.
fn read(source: &Source, writes: &str, sink: &mut Sink) -> Option<Read> {
    let value = parse(source, sink)?;
    let mut refuse = |pointer: &str, message: String| {
        let help = format!("remove the file; {writes} anew");
        sink.error(source.place(locate(&source.text, pointer)), message, help);
        None
    };
    let CascadeFile { answer, models, right } = match CascadeFile::deserialize(&value) {
        Ok(file) => file,
        Err(error) => return refuse("", format!("not what {FILE} is made of: {error}")),
    };
    if !(2..=CASCADE_MODELS_MAX).contains(&models.len()) {
        let message = format!("{} models; from 2 to {CASCADE_MODELS_MAX} can be asked in turn", models.len());
        return refuse("/models", message);
    }
    for (place, asked) in models.iter().enumerate() {
        if models[..place].iter().any(|other| other.model == asked.model) {
            // It would always agree with itself.
            return refuse(&format!("/models/{place}"), format!("`{}` is there twice", asked.model));
        }
    }
    let mut rows = Vec::new();
    for (pattern, count) in &right {
        let digits: Option<Vec<bool>> =
            pattern.chars().map(|digit| Some(digit == '1').filter(|_| "01".contains(digit))).collect();
        let Some(digits) = digits.filter(|digits| digits.len() == models.len()) else {
            let message =
                format!("`{pattern}` is not one digit, 1 for right or 0, for each of {} models", models.len());
            return refuse(&child("/right", pattern), message);
        };
        rows.push((digits, *count));
    }
    let cases = rows.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
    if cases > CASES_MAX {
        return refuse("/right", format!("{cases} cases; at most {CASES_MAX} are read"));
    }
    Some(Read { answer, models, rows, cases })
}

/// A file that is right in itself.
struct Read {
    answer: String,
    models: Vec<Asked>,
    rows: Vec<(Vec<bool>, u32)>,
    cases: u32,
}

impl Read {
    /// The part that the intent can use; `None` where that is nothing, which is told.
    fn usable(
        &self,
        (candidates, answer): (&[ModelSpec], &str),
        (source, writes): (&Source, &str),
        sink: &mut Sink,
    ) -> Option<RightTogether> {
        let mut warn = |message: String, help: &str| sink.warn(source.start(), message, help);
        let anew = format!("{writes} anew");
        if self.cases < CASCADE_CASES_MIN {
            let message = format!("{} cases, and {CASCADE_CASES_MIN} at least say who is right together", self.cases);
            warn(format!("{message}: it is not used"), &anew);
            return None;
        }
        if !answer.starts_with(&self.answer) || self.answer.len() < 8 {
            warn(
                "it was made of another prompt, schema or example than the intent has now: it is not used".into(),
                &anew,
            );
            return None;
        }
        let mut usable = Vec::new();
        for (place, Asked { model, .. }) in self.models.iter().enumerate() {
            match candidates.iter().find(|spec| spec.id.as_str() == model) {
                None => warn(
                    format!("`{model}` is not asked in turn: it is not among the intent's `models`"),
                    "add it there, or leave it out of the next `baton eval --cascade`",
                ),
                Some(spec) if spec.price.is_none() => warn(
                    format!("`{model}` is not asked in turn: its price is not known"),
                    "give it a `price` under [models] in baton.toml",
                ),
                Some(_) => usable.push(place),
            }
        }
        if usable.len() < 2 {
            warn("fewer than two of its models can be asked: it is not used".into(), &anew);
            return None;
        }
        let asked = || usable.iter().map(|place| &self.models[*place]);
        let usage = |asked: &Asked| Usage {
            input_tokens: asked.input_tokens,
            output_tokens: asked.output_tokens,
            ..Usage::default()
        };
        let kept = |digits: &Vec<bool>| usable.iter().map(|place| digits[*place]).collect();
        Some(RightTogether {
            models: asked().map(|asked| ModelId::new(&asked.model)).collect(),
            usage: asked().map(usage).collect(),
            rows: self.rows.iter().map(|(digits, count)| (kept(digits), *count)).collect(),
        })
    }
}
