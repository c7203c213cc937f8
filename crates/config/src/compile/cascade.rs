//! `route = "cascade"`: what a right answer is worth, and `cascade.json`, which says who was right together.

use baton_core::{ModelId, Usage};
use serde::Deserialize;

use super::house::LOCAL;
use super::intent::IntentSources;
use super::schemas::parse;
use crate::diagnostics::{Sink, Source};
use crate::files::{IntentFile, UnprovenFile};
use crate::json::{child, locate};
use crate::plan::{Cascade, IntentKind, ModelSpec, RightTogether};
use crate::route_file::RouteFile;

/// Cases below which nothing is learnt of who is right together.
const CASES_MIN: u32 = 100;
/// Models whose answers are compared: sets of them are bits, and the policy has a step for each.
const MODELS_MAX: usize = 11;
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
    if *kind == IntentKind::Generation {
        let help = "two good texts need not be equal: take another route";
        sink.error(document.at("/route"), "route \"cascade\" compares labels and fields, not texts", help);
    }
    if file.objective.unproven == UnprovenFile::Judge {
        let help = "take another route, or `unproven = \"pass\"`: where models agree is what decides here";
        sink.error(document.at("/objective/unproven"), "route \"cascade\" asks no judge in the path", help);
    }
    let Some(right_usd) = routing.right_usd.filter(|usd| usd.is_finite() && *usd > 0.0) else {
        let help =
            "add `right_usd` to [routing]: what one more right answer is worth, in dollars, as in `right_usd = 0.05`";
        sink.error(document.at("/route"), "route \"cascade\" weighs answers against their cost", help);
        return None;
    };
    let together = match &sources.cascade {
        Some(source) => read(source, candidates, answer, sink),
        None => {
            let message = "route \"cascade\" behaves as \"ordered\" until cascade.json says who is right together";
            let help = format!("`baton eval {} --candidates A,B,C --share all --cascade` writes it", sources.name);
            sink.warn(document.at("/route"), message, help);
            None
        }
    };
    Some(Cascade { right_usd, asks: routing.asks.unwrap_or(4), together })
}

fn read(source: &Source, candidates: &[ModelSpec], answer: &str, sink: &mut Sink) -> Option<RightTogether> {
    let value = parse(source, sink)?;
    let help = "`baton eval INTENT --candidates A,B,C --share all --cascade` writes it anew";
    let CascadeFile { answer: asked, models, right } = match CascadeFile::deserialize(&value) {
        Ok(file) => file,
        Err(error) => {
            sink.error(source.start(), format!("not what {FILE} is made of: {error}"), help);
            return None;
        }
    };
    if !(2..=MODELS_MAX).contains(&models.len()) {
        let message = format!("{} models; from 2 to {MODELS_MAX} can be asked in turn", models.len());
        sink.error(source.place(locate(&source.text, "/models")), message, help);
        return None;
    }
    let mut rows = Vec::new();
    for (pattern, count) in &right {
        let digits: Option<Vec<bool>> =
            pattern.chars().map(|digit| Some(digit == '1').filter(|_| "01".contains(digit))).collect();
        let Some(digits) = digits.filter(|digits| digits.len() == models.len()) else {
            let span = locate(&source.text, &child("/right", pattern));
            let message =
                format!("`{pattern}` is not one digit, 1 for right or 0, for each of {} models", models.len());
            sink.error(source.place(span), message, help);
            return None;
        };
        rows.push((digits, *count));
    }
    let cases: u32 = rows.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count));
    let named: Vec<Option<&ModelSpec>> =
        models.iter().map(|model| candidates.iter().find(|spec| spec.id.as_str() == model.model)).collect();
    let mut warn = |message: String, help: &str| sink.warn(source.start(), message, help);
    if cases < CASES_MIN {
        warn(format!("{cases} cases, and {CASES_MIN} at least say who is right together: it is not used"), help);
        return None;
    }
    if !answer.starts_with(&asked) || asked.len() < 8 {
        warn("it was made of another prompt, schema or example than the intent has now: it is not used".into(), help);
        return None;
    }
    let priced = |spec: &&ModelSpec| spec.price.is_some() || spec.id.as_str() == LOCAL;
    let usable: Vec<usize> = (0..models.len()).filter(|place| named[*place].as_ref().is_some_and(priced)).collect();
    for (model, _) in models.iter().zip(&named).filter(|(_, spec)| !spec.as_ref().is_some_and(priced)) {
        let why = "it is not among the intent's `models`, or its price is not known";
        warn(format!("`{}` is not asked in turn: {why}", model.model), "add it to `models`, or give it a `price`");
    }
    if usable.len() < 2 {
        warn("fewer than two of its models can be asked: it is not used".into(), help);
        return None;
    }
    let kept = |digits: &Vec<bool>| usable.iter().map(|place| digits[*place]).collect();
    let usage = |asked: &Asked| Usage {
        input_tokens: asked.input_tokens,
        output_tokens: asked.output_tokens,
        ..Usage::default()
    };
    Some(RightTogether {
        models: usable.iter().map(|place| ModelId::new(&models[*place].model)).collect(),
        usage: usable.iter().map(|place| usage(&models[*place])).collect(),
        rows: rows.iter().map(|(digits, count)| (kept(digits), *count)).collect(),
    })
}
