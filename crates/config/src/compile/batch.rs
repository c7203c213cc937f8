//! `[batch]`: what may share a call, and what cannot.

use std::time::Duration;

use crate::check::CheckKind;
use crate::diagnostics::Sink;
use crate::document::Document;
use crate::files::IntentFile;
use crate::plan::{BatchSpec, IntentKind};
use crate::{Case, CheckSpec, Prompt};

const BATCH: &str = "/batch";

/// What is batched, and that it can be.
pub(super) fn compile(
    document: &Document,
    file: &IntentFile,
    (kind, prompt, checks, cases): (&IntentKind, &Prompt, &[CheckSpec], &[Case]),
    sink: &mut Sink,
) -> Option<BatchSpec> {
    let batch = file.batch.as_ref()?;
    fits(document, (prompt, checks, cases), sink);
    if document.value.pointer("/cache/partition").is_none() {
        let message = "inputs of one call can influence each other: `cache.partition` must say whose may be together";
        let help = "add `partition = [\"metadata.customer\"]` to [cache], or `partition = []` to batch within the \
                    team on purpose";
        sink.error(document.key(BATCH), message, help);
    }
    if *kind == IntentKind::Generation {
        let message = "texts are not batched: only labels and the fields of output.schema.json have a form to check";
        sink.error(document.key(BATCH), message, "remove [batch] here");
    }
    if document.value.pointer("/params/stop").is_some() {
        let message = "`params.stop` would end the answer of a batch within its JSON";
        sink.error(document.key("/params/stop"), message, "remove `stop`, or [batch]");
    }
    if file.models.iter().all(|model| model == super::house::LOCAL) && !file.models.is_empty() {
        let message = "`local` answers alone, in microseconds: nothing is batched";
        sink.warn(document.key(BATCH), message, "remove [batch], or name a model of a provider");
    }
    let (wait_ms, deadline_ms) = (batch.max_wait_ms, file.objective.latency_ms.unwrap_or(u64::MAX));
    if wait_ms >= deadline_ms {
        let message = format!("no call could wait {wait_ms} ms: `objective.latency_ms` is {deadline_ms}");
        sink.error(document.at("/batch/max_wait_ms"), message, "lower it, or raise `objective.latency_ms`");
    }
    let max_wait = Duration::from_millis(wait_ms);
    Some(BatchSpec { max_items: batch.max_items, max_wait, audit: batch.audit })
}

/// What its prompt and its checks must be.
fn fits(document: &Document, (prompt, checks, cases): (&Prompt, &[CheckSpec], &[Case]), sink: &mut Sink) {
    if cases.is_empty() {
        let message = "without cases there are no control items: an input that speaks for all others is not noticed";
        sink.warn(document.key(BATCH), message, "add cases.jsonl, with cases of two different answers at least");
    }
    if !prompt.ends_with_input() {
        let message = "the inputs of a batch follow one prompt: only its last section, `## user`, may use the input";
        let help = "move what uses the input into the last section, or remove [batch]";
        sink.error(document.key(BATCH), message, help);
    }
    if checks.iter().any(asks_for_margin) {
        let message = "`label-margin` needs the probabilities of one answer's tokens, which a batch does not have";
        sink.error(document.key(BATCH), message, "remove the check, or [batch]");
    }
}

fn asks_for_margin(check: &CheckSpec) -> bool {
    match &check.kind {
        CheckKind::LabelMargin(_) => true,
        CheckKind::All(inner) | CheckKind::Any(inner) => inner.iter().any(asks_for_margin),
        _ => false,
    }
}
