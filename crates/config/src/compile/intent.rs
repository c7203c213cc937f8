//! One intent's folder to its [`Plan`].

use std::time::Duration;

use baton_core::{Allowance, Ceilings, IntentName, ModelId, SERVER_CEILINGS};
use serde_json::{Value, json};

use super::cache::cache;
use super::house::{House, LOCAL};
use super::stream::stream;
use super::{batch, budget, cascade, checks, judge, prompts, review, route, schemas};
use crate::cases::{self, Forms};
use crate::diagnostics::{Sink, Source};
use crate::document::Document;
use crate::effective::{Effective, settings};
use crate::files::{IntentFile, OnExhaustedFile};
use crate::hash::{AnswerParts, hash, hashes};
use crate::json::child;
use crate::plan::{
    Case, IntentKind, LocalSpec, ModelSpec, Objective, OnExhausted, Plan, Privacy, Route, Share, StoreContent,
};
use crate::privacy_file::StoreContentFile;
use crate::units;

/// The files of an intent's folder.
pub(crate) struct IntentSources {
    pub(crate) name: String,
    pub(crate) policy: Document,
    pub(crate) prompt: Option<Source>,
    pub(crate) input: Option<Source>,
    pub(crate) output: Option<Source>,
    pub(crate) cases: Option<Source>,
    pub(crate) cascade: Option<Source>,
}

impl IntentSources {
    /// The same files, for an intent of another name.
    pub(super) fn again(&self, name: String) -> Self {
        // It was parsed, and what is wrong with it said.
        let policy = Document::parse(self.policy.source.clone(), &mut Sink::default());
        let [prompt, input, output, cases, cascade] =
            [&self.prompt, &self.input, &self.output, &self.cases, &self.cascade].map(Option::clone);
        Self { name, policy, prompt, input, output, cases, cascade }
    }
}

/// The settings of an intent with their origins, the server's defaults filled in.
pub(crate) fn intent_settings(sources: &IntentSources, file: &IntentFile) -> Vec<Effective> {
    let server = SERVER_CEILINGS;
    let mut value = serde_json::to_value(file).unwrap_or_default();
    let latency_ms = u64::try_from(server.latency_default.as_millis()).unwrap_or(u64::MAX);
    for (pointer, default) in [
        ("/objective/latency_ms", json!(latency_ms)),
        ("/retry/max", json!(server.retries_default)),
        ("/cache/ttl", json!("0s")),
    ] {
        let (section, key) = pointer.rsplit_once('/').unwrap_or_default();
        if let Some(Value::Object(section)) = value.pointer_mut(section) {
            section.entry(key).or_insert(default);
        }
    }
    settings(&sources.policy, &format!("intents.{}.", sources.name), &value)
}

/// The plan; `None` where a part of it is wrong, which is reported.
pub(crate) fn compile_intent(
    sources: &IntentSources,
    file: &IntentFile,
    house: &mut House<'_>,
    sink: &mut Sink,
) -> Option<Plan> {
    let (document, name) = (&sources.policy, IntentName::new(&sources.name));
    // Every part is looked at before the first `?`: all mistakes, not only the first.
    let kind = kind(sources, file, sink);
    let candidates = candidates(document, file, house, kind.as_ref(), sink);
    let input_schema = schemas::input(sources.input.as_ref(), sink);
    let output_schema = schemas::output(sources.output.as_ref(), kind.as_ref(), sink);
    let (ceilings, privacy) = (ceilings(document, file, sink), privacy(document, file, sink));
    let (stream, route) = (stream(document, &file.stream, sink), route::route(document, file, sink));
    let cache = cache(document, file, (kind.as_ref(), input_schema.as_ref().and_then(Option::as_ref)), house, sink);
    let allowance = budget(document, file, candidates.as_deref().unwrap_or_default(), sink);
    let (kind, input_schema, output_schema) = (kind?, input_schema?, output_schema?);

    let forms = Forms { kind: &kind, input: input_schema.as_ref(), output: output_schema.as_ref() };
    let checks = checks::compile(document, &file.checks, &forms, sink);
    let on_exhausted = on_exhausted(document, &file.on_exhausted, &forms, sink);
    let (cases, examples) = cases_of((document, file), sources, &forms, sink);
    let prompt = prompts::compile(sources, &forms, &examples, &cases, sink);
    let criteria = review::criteria(document, &file.criteria, sink);
    let judge = judge::spec(document, file, (candidates.as_deref().unwrap_or_default(), &kind), house, sink);

    let (prompt, candidates, criteria, judge, checks) = (prompt?, candidates?, criteria?, judge?, checks?);
    let params = serde_json::to_value(&file.params).ok()?.as_object()?.clone();
    let parts = AnswerParts {
        kind: &kind,
        prompt: &prompt,
        input_schema: input_schema.as_ref(),
        output_schema: output_schema.as_ref(),
        examples: &examples,
        params: &params,
        criteria: &criteria,
    };
    let hashes = hashes(&name, &parts, &policy((file, sources), &candidates, house, &cases));
    let asked = (&kind, candidates.as_slice(), hashes.answer.as_str());
    let cascade = cascade::compile(sources, file, asked, sink);
    Some(Plan {
        batch: batch::compile(document, file, (&kind, &prompt, &checks, &cases), sink),
        hashes,
        candidates: candidates.into(),
        ceilings: ceilings?,
        route: Route { cascade, ..route? },
        prompt,
        params,
        objective: Objective { quality: file.objective.quality, confidence: file.objective.confidence },
        unproven: file.objective.unproven.into(),
        on_exhausted: on_exhausted?,
        checks,
        review: file.review.as_ref().map(review::spec),
        criteria,
        judge,
        cache: cache?,
        allowance,
        local: LocalSpec { cut: file.local.as_ref().and_then(|local| local.cut) },
        privacy: privacy?,
        stream_unverified: file.stream_unverified,
        stream: stream?,
        hedge_share: file.hedge.max_share,
        name,
        kind,
        input_schema,
        output_schema,
        examples,
        cases,
    })
}

/// What the policy hash holds besides name, answer and lineage: the settings in effect, what names
/// resolve to, the cases. Secrets and file paths are not in it.
fn policy(
    (file, sources): (&IntentFile, &IntentSources),
    candidates: &[ModelSpec],
    house: &House<'_>,
    cases: &[Case],
) -> Value {
    let model = |spec: &ModelSpec| {
        let provider = house.providers.get(spec.id.provider());
        let provider = provider.map(|p| json!([p.kind, p.base_url, p.seed]));
        json!([spec.id, spec.timeout.as_millis().to_string(), spec.price, provider])
    };
    let case = |case: &Case| json!([case.input, case.expected, format!("{:?}", case.share)]);
    let mut policy = json!({
        "settings": file,
        "models": candidates.iter().map(model).collect::<Vec<_>>(),
        "cases": hash("baton-cases-1", &Value::Array(cases.iter().map(case).collect())),
    });
    if let Some(cascade) = &sources.cascade {
        policy["cascade"] = json!(cascade.text);
    }
    policy
}

/// Settings of the top of the file that would be good labels, had they been written below `[labels]`.
const SETTINGS: [(&str, &[&str]); 2] =
    [("route", &["ordered", "cheapest", "fastest", "weighted", "cascade"]), ("on_exhausted", &["error", "stale"])];

fn kind(sources: &IntentSources, file: &IntentFile, sink: &mut Sink) -> Option<IntentKind> {
    let document = &sources.policy;
    if file.labels.is_empty() {
        match document.value.get("labels") {
            Some(Value::Object(labels)) if labels.is_empty() => {
                sink.error(document.key("/labels"), "[labels] is empty", "add `name = \"what it means\"`");
                return None;
            }
            // They are there, in a form that was refused.
            Some(_) => return None,
            None => {}
        }
        return Some(if sources.output.is_some() { IntentKind::Extraction } else { IntentKind::Generation });
    }
    if sources.output.is_some() {
        let help = "labels make a classification, output.schema.json an extraction: remove one of the two";
        sink.error(document.key("/labels"), "this intent has labels and output.schema.json", help);
        return None;
    }
    let before = sink.errors();
    let mut seen: Vec<String> = Vec::new();
    for (name, about) in &file.labels {
        let at = document.key(&child("/labels", name));
        let plain = !name.is_empty() && name.trim() == name && !name.contains(char::is_control);
        if !plain || name.chars().count() > 100 {
            let help = "up to 100 characters on one line, without space at either end";
            sink.error(at.clone(), "this cannot be a label's name", help);
        }
        if SETTINGS.iter().any(|(key, values)| key == name && values.iter().any(|value| about == value)) {
            let help = "put it above the first [section]: all that follows [labels] is a label";
            sink.error(at.clone(), format!("`{name}` is a label here, and meant as a setting"), help);
        }
        if seen.contains(&name.to_lowercase()) {
            sink.error(at, format!("the label `{name}` is there twice"), "labels differ in more than case");
        }
        seen.push(name.to_lowercase());
    }
    if file.labels.len() < 2 {
        let help = "one label needs no model: add the others";
        sink.error(document.key("/labels"), "[labels] has only one label", help);
    }
    let labels = file.labels.iter().map(|(name, about)| (name.clone(), about.as_str().unwrap_or_default().to_owned()));
    (sink.errors() == before).then(|| IntentKind::Classification(labels.collect()))
}

fn candidates(
    document: &Document,
    file: &IntentFile,
    house: &mut House<'_>,
    kind: Option<&IntentKind>,
    sink: &mut Sink,
) -> Option<Vec<ModelSpec>> {
    let mut all: Vec<ModelSpec> = Vec::new();
    let before = sink.errors();
    for (n, name) in file.models.iter().enumerate() {
        let at = || document.at(&format!("/models/{n}"));
        let spec = if name == LOCAL {
            if kind.is_some_and(|kind| !matches!(kind, IntentKind::Classification(_))) {
                let help = "remove `local`, or make the intent a classification with [labels]";
                sink.error(at(), "`local` answers labels only", help);
            }
            let named_before = all.iter().find(|spec| spec.id.as_str() == LOCAL).cloned();
            Some(named_before.unwrap_or_else(|| house.model(ModelId::new(LOCAL))))
        } else {
            house.resolve(name, at(), sink)
        };
        let Some(spec) = spec else { continue };
        if all.iter().any(|other| other.id == spec.id) {
            sink.error(at(), format!("`{}` is named twice", spec.id), "remove one of the two");
            continue;
        }
        all.push(spec);
    }
    (sink.errors() == before && !all.is_empty()).then_some(all)
}

fn ceilings(document: &Document, file: &IntentFile, sink: &mut Sink) -> Option<Ceilings> {
    let mut ceilings = SERVER_CEILINGS;
    if let Some(ms) = file.objective.latency_ms {
        (ceilings.latency, ceilings.latency_default) = (Duration::from_millis(ms), Duration::from_millis(ms));
    }
    if let Some(max) = file.retry.max {
        (ceilings.retries, ceilings.retries_default) = (max, max);
    }
    if let Some(text) = &file.cache.ttl {
        let ttl = duration(document, "/cache/ttl", text, sink)?;
        (ceilings.ttl, ceilings.ttl_default) = (ttl, ttl);
    }
    ceilings.semantic_error = file.cache.semantic_error_max;
    Some(ceilings)
}

pub(super) fn duration(document: &Document, pointer: &str, text: &str, sink: &mut Sink) -> Option<Duration> {
    let wrong = |message| sink.error(document.at(pointer), message, "write `500ms`, `30s`, `5m`, `1h` or `30d`");
    units::duration(text).map_err(wrong).ok()
}

fn privacy(document: &Document, file: &IntentFile, sink: &mut Sink) -> Option<Privacy> {
    let keep = duration(document, "/privacy/keep", &file.privacy.keep, sink)?;
    if keep < Duration::from_secs(3600) {
        let help = "keep records at least `1h`; `store = \"none\"` keeps inputs and outputs out of them";
        sink.error(document.at("/privacy/keep"), "records are kept for less than an hour", help);
        return None;
    }
    let store = match file.privacy.store {
        StoreContentFile::Full => StoreContent::Full,
        StoreContentFile::Redacted => StoreContent::Redacted,
        StoreContentFile::None => StoreContent::Nothing,
    };
    Some(Privacy { store, keep })
}

fn budget(document: &Document, file: &IntentFile, candidates: &[ModelSpec], sink: &mut Sink) -> Allowance {
    let Some(budget) = &file.budget else { return Allowance::default() };
    let allowance = budget::allowance(document, "/budget", budget, sink);
    for spec in candidates.iter().filter(|spec| allowance.usd_per_day.is_some() && spec.price.is_none()) {
        let message = format!("the price of `{}` is not known: under `usd_per_day` it is never asked", spec.id);
        let help = "give it a `price` under [models] in baton.toml";
        sink.warn(document.at("/budget/usd_per_day"), message, help);
    }
    allowance
}

fn on_exhausted(
    document: &Document,
    file: &OnExhaustedFile,
    forms: &Forms<'_>,
    sink: &mut Sink,
) -> Option<OnExhausted> {
    let OnExhaustedFile::Default(output) = file else {
        return Some(if *file == OnExhaustedFile::Stale { OnExhausted::Stale } else { OnExhausted::Error });
    };
    let output = Value::Object(output.clone());
    let (pointer, message) = if let IntentKind::Classification(_) = forms.kind {
        // Outside of the labels on purpose: no model can give it.
        let label = output.as_object().is_some_and(|o| o.len() == 1 && o.get("label").is_some_and(Value::is_string));
        if label {
            return Some(OnExhausted::Default(output));
        }
        (String::new(), "an output of a classification is { label = \"…\" }".to_owned())
    } else {
        match forms.output(&output) {
            Ok(()) => return Some(OnExhausted::Default(output)),
            Err(violation) => (violation.pointer, violation.message),
        }
    };
    let at = document.at(&format!("/on_exhausted/default{pointer}"));
    let of = if pointer.is_empty() { String::new() } else { format!("`{pointer}`: ") };
    sink.error(at, format!("the default is not an output of this intent: {of}{message}"), "give it the output's shape");
    None
}

/// The cases, and those that are examples; whether there are those that the intent asks for.
fn cases_of(
    (document, file): (&Document, &IntentFile),
    sources: &IntentSources,
    forms: &Forms<'_>,
    sink: &mut Sink,
) -> (Vec<Case>, Vec<Case>) {
    let errors = sink.errors();
    let cases = sources.cases.as_ref().map(|source| cases::read(source, forms, sink)).unwrap_or_default();
    let examples = cases::choose(&cases, file.examples, forms.kind);
    // What is missing among cases that are wrong is not known.
    let whole = sink.errors() == errors;
    if whole && examples.len() < file.examples {
        let message = format!("{} examples are asked for, the examples share has {}", file.examples, examples.len());
        let help = "add cases (about six of ten belong to that share), or mark some with \"share\": \"examples\"";
        sink.error(document.at("/examples"), message, help);
    }
    let learns = *forms.kind != IntentKind::Generation;
    match file.models.iter().position(|name| name == LOCAL) {
        None if file.local.is_some() && !file.models.is_empty() => {
            let help = "add \"local\" to `models`, or remove [local]";
            sink.error(document.key("/local"), "[local] is set, and `local` is not among the models", help);
        }
        Some(n) if whole && learns && !cases.iter().any(|case| case.share == Share::Examples) => {
            let help = "add cases.jsonl; until then `local` answers nothing";
            sink.warn(document.at(&format!("/models/{n}")), "`local` has no cases to learn from", help);
        }
        _ => {}
    }
    (cases, examples)
}
