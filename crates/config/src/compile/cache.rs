//! `[cache]`: what parts remembered answers, and what the semantic cache promises.

use serde_json::Value;

use super::house::House;
use crate::Schema;
use crate::diagnostics::Sink;
use crate::document::Document;
use crate::files::IntentFile;
use crate::json::child;
use crate::plan::{CacheSpec, Embedding, IntentKind, SemanticSpec};
use crate::privacy_file::StoreContentFile;
use crate::suggest::did_you_mean;

const SEMANTIC: &str = "/cache/semantic_error_max";

/// The caches; `None` where a part of it is wrong, which is reported.
pub(super) fn cache(
    document: &Document,
    file: &IntentFile,
    (kind, input): (Option<&IntentKind>, Option<&Schema>),
    house: &mut House<'_>,
    sink: &mut Sink,
) -> Option<CacheSpec> {
    let before = sink.errors();
    for (n, path) in file.cache.partition.iter().enumerate() {
        if !path.strip_prefix("metadata.").is_some_and(|key| !key.is_empty() && !key.contains(char::is_whitespace)) {
            let help = "write `metadata.` and a key of the call's metadata, as in `metadata.customer`";
            sink.error(document.at(&format!("/cache/partition/{n}")), format!("`{path}` parts no cache"), help);
        }
    }
    let slots = slots(document, file, input, sink);
    let semantic = match file.cache.semantic_error_max {
        Some(error_max) => {
            promised(document, file, kind, sink);
            let embedding = embedding(document, &file.cache.embedding.0, house, sink);
            embedding.map(|embedding| SemanticSpec { error_max, embedding, slots })
        }
        // There in a form that was refused.
        None if document.value.pointer(SEMANTIC).is_some() => None,
        None => {
            for key in ["embedding", "slots"] {
                let pointer = format!("/cache/{key}");
                if document.value.pointer(&pointer).is_some() {
                    let message = format!("`{key}` does nothing without `semantic_error_max`");
                    let help = "add `semantic_error_max = 0.02`, or remove it";
                    sink.error(document.key(&pointer), message, help);
                }
            }
            None
        }
    };
    (sink.errors() == before).then(|| CacheSpec { partition: file.cache.partition.clone(), semantic })
}

/// Embeddings in this process.
const LOCAL: [&str; 3] = ["hashed", "wordllama", "minilm"];

fn embedding(document: &Document, name: &str, house: &mut House<'_>, sink: &mut Sink) -> Option<Embedding> {
    if let Some(local) = LOCAL.into_iter().find(|local| *local == name) {
        return Some(Embedding::Local(local));
    }
    let at = document.at("/cache/embedding");
    if !name.contains('/') && !house.knows(name) {
        let near = did_you_mean(name, LOCAL);
        let help = format!("{near}one of {}, a `provider/model`, or an alias of baton.toml", LOCAL.join(", "));
        sink.error(at, format!("unknown embedding `{name}`"), help);
        return None;
    }
    Some(Embedding::Remote(house.resolve(name, at, sink)?))
}

/// What must be there for the promise to be one, and what keeps it from doing anything.
fn promised(document: &Document, file: &IntentFile, kind: Option<&IntentKind>, sink: &mut Sink) {
    if document.value.pointer("/cache/partition").is_none() {
        let message = "the semantic cache gives one caller's answer to another with a similar input: `partition` must \
                       say between whom";
        let help = "add `partition = [\"metadata.customer\"]`, or `partition = []` to share within the team on purpose";
        sink.error(document.at(SEMANTIC), message, help);
    }
    if file.privacy.store != StoreContentFile::Full {
        let message = "the semantic cache keeps inputs and answers as they are, and `privacy.store` says that they are \
                       not kept so";
        sink.error(document.at(SEMANTIC), message, "remove one of the two");
    }
    if kind == Some(&IntentKind::Generation) {
        let message = "texts are not compared yet: the semantic cache of this intent stays closed";
        let help = "it works for labels and for output.schema.json, whose answers are equal or not; remove it here";
        sink.warn(document.at(SEMANTIC), message, help);
    }
    if file.cache.ttl.is_none() {
        let message = "nothing is remembered unless a call asks for it with `cacheTTL`";
        sink.warn(document.at(SEMANTIC), message, "add `ttl = \"7d\"` for all calls");
    }
}

/// The slots as JSON pointers.
fn slots(document: &Document, file: &IntentFile, input: Option<&Schema>, sink: &mut Sink) -> Vec<String> {
    let mut pointers = Vec::new();
    for (n, path) in file.cache.slots.iter().enumerate() {
        let at = || document.at(&format!("/cache/slots/{n}"));
        let parts: Vec<&str> = path.split('.').collect();
        if parts.iter().any(|part| part.is_empty() || part.contains(char::is_whitespace)) {
            let help = "write a field of the input, as in `product` or `ticket.product`";
            sink.error(at(), format!("`{path}` is no field of the input"), help);
            continue;
        }
        if let Some(known) = input.and_then(|schema| strangers(schema.json(), &parts)) {
            sink.error(at(), format!("input.schema.json has no field `{path}`"), format!("known there: {known}"));
            continue;
        }
        pointers.push(parts.iter().fold(String::new(), |pointer, part| child(&pointer, part)));
    }
    pointers
}

/// The fields that a schema knows where the path leaves it; `None` where it does not, or where nobody
/// can say.
fn strangers(schema: &Value, path: &[&str]) -> Option<String> {
    let mut schema = schema;
    for part in path {
        let fields = schema.get("properties")?.as_object()?;
        match fields.get(*part) {
            Some(inner) => schema = inner,
            None => return Some(fields.keys().cloned().collect::<Vec<_>>().join(", ")),
        }
    }
    None
}
