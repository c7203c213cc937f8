//! Isolation: nothing crosses a scope. An answer that is another execution's comes from the same team,
//! partition, intent and input (a similar one for a semantic hit), is that answer, and is no older than
//! the call accepts.

use baton_config::{OnExhausted, Plan};
use baton_core::{ModelId, Record, Status, Via};
use serde_json::Value;

use super::{Case, Verdict, View, hold};
use crate::simulate::intents::text_field;
use crate::simulate::run::{Ran, ended_us};

pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    asked(view, case)?;
    let record = case.record;
    if let Some(plan) = case.plan {
        models(view, case, plan)?;
    }
    if let Some(id) = record.semantic.as_ref().and_then(|look| look.neighbour) {
        let Some(neighbour) = view.case(id) else { return Err("its neighbour is no execution".into()) };
        same_scope(case, neighbour)?;
    }
    let foreign = matches!(record.via, Some(Via::CacheExact | Via::CacheSemantic | Via::Coalesced | Via::Stale));
    let Some(source) = record.source else {
        hold!(!foreign, "an answer via {:?} without its source", record.via);
        return Ok(());
    };
    let Some(source) = view.case(source) else { return Err("its source is no execution".into()) };
    same_scope(case, source)?;
    // A follower of a hit has the hit as its source.
    if record.via != Some(Via::CacheSemantic) {
        same_input(case, source)?;
    }
    let free = record.cost.0 == 0 && record.attempts.is_empty();
    // What is given when nobody answered comes after those who were asked.
    let exhausted = case.plan.is_some_and(|plan| plan.on_exhausted == OnExhausted::Stale);
    hold!(free || exhausted && record.via != Some(Via::Coalesced), "an answer that is another's costs {}", record.cost);
    hold!(source.record.status == Status::Succeeded, "its source ended as {:?}", source.record.status);
    hold!(source.record.model == record.model, "its source was answered by {:?}", source.record.model);
    let kept = source.finished.acknowledged_us;
    let known = kept.is_some_and(|kept| kept <= ended_us(record));
    hold!(known, "its source was not recorded yet");
    let outputs = (&record.output, &source.record.output);
    hold!(outputs.0 == outputs.1, "its source answered otherwise");
    age(case, source)
}

/// Scope and intent; the answer hash stands for prompt and parameters.
fn same_scope(case: &Case<'_>, source: &Case<'_>) -> Verdict {
    let scope = |record: &Record| {
        let hash = record.answer_hash.clone();
        (record.team.clone(), record.partition.clone(), record.intent.clone(), hash)
    };
    let (own, other) = (scope(case.record), scope(source.record));
    hold!(own == other, "the answer of {other:?} was given to {own:?}");
    Ok(())
}

fn same_input(case: &Case<'_>, source: &Case<'_>) -> Verdict {
    let input = |case: &Case<'_>| {
        let input = case.seen.ask.input.clone();
        match case.plan.and_then(|plan| plan.input_schema.as_ref()) {
            Some(schema) => schema.with_defaults(input),
            None => input,
        }
    };
    hold!(input(case) == input(source), "the answer to {} was given to {}", input(source), input(case));
    Ok(())
}

/// A remembered answer is younger than the call's time to live, a stale one older.
fn age(case: &Case<'_>, source: &Case<'_>) -> Verdict {
    let Some(plan) = case.plan else { return Ok(()) };
    let default = plan.ceilings.ttl_default.min(plan.ceilings.ttl).as_micros() as u64;
    let ttl_us = case.seen.ask.config.cache_ttl.map_or(default, |ttl| ttl * 1_000_000);
    hold!(ttl_us > 0, "the call wanted a fresh answer");
    let stored_us = source.finished.acknowledged_us.unwrap_or(0);
    let age_us = ended_us(case.record).saturating_sub(stored_us);
    match case.record.via {
        Some(Via::CacheExact | Via::CacheSemantic) => {
            hold!(age_us < ttl_us, "it is {} old, at most {} is accepted", Ran::at(age_us), Ran::at(ttl_us))
        }
        // A follower's stale answer is its leader's, who says how old it was.
        Some(Via::Stale) if source.record.via == Some(Via::Model) => {
            hold!(age_us >= ttl_us, "it is called stale, and {} old", Ran::at(age_us));
        }
        _ => {}
    }
    Ok(())
}

/// Only models that the intent names are asked, and of those only the ones that the call names.
fn models(view: &View<'_>, case: &Case<'_>, plan: &Plan) -> Verdict {
    let config = &case.seen.ask.config;
    let named = config.models.iter().flatten().chain(&config.primary_model).chain(&config.fallback_model);
    let named: Vec<ModelId> =
        named.map(|name| view.ran.world.aliases.get(name).cloned().unwrap_or_else(|| ModelId::new(name))).collect();
    let allowed = |model: &ModelId| {
        plan.candidates.iter().any(|candidate| candidate.id == *model) && (named.is_empty() || named.contains(model))
    };
    let attempts = case.record.attempts.iter().map(|attempt| &attempt.model);
    let strange = attempts.chain(&case.record.model).find(|model| !allowed(model));
    hold!(strange.is_none(), "{strange:?} may not answer this call");
    Ok(())
}

/// What models were asked is this execution's input.
fn asked(view: &View<'_>, case: &Case<'_>) -> Verdict {
    let ask = &case.seen.ask;
    let text = match case.plan.and_then(|plan| view.ran.world.folders.get(plan.name.as_str())) {
        Some(folder) => ask.input[text_field(folder.kind)].as_str(),
        None => ask.input["text"].as_str(),
    };
    let Some(text) = text else { return Ok(()) };
    for exchange in case.exchanges {
        let request: Value = serde_json::from_slice(&exchange.request).unwrap_or_default();
        let messages = request["messages"].as_array().into_iter().flatten();
        let asked = messages.filter_map(|message| message["content"].as_str()).any(|content| content.contains(text));
        hold!(asked, "a model was asked something else than `{text}`");
    }
    Ok(())
}
