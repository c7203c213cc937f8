//! `baton cache`: what is remembered, whether similar inputs are answered from it, and what that saved.

use std::collections::BTreeSet;

use baton_cache::semantic::accept::{Acceptance, Gate, State};
use baton_config::{IntentKind, Plan, Snapshot};
use baton_core::{IntentName, NanoUsd, SemanticDecision, TeamId, Via};
use baton_store::{CallTally, ReportQuery, SemanticEvidence, Store, StoreError};
use clap::Args;
use comfy_table::CellAlignment;
use serde_json::{Value, json};

use crate::exit::{Exit, say, tell};
use crate::lab::plan_of;
use crate::setup::{Folder, control_and_snapshot, duration, micros, plain_table, unix_us};

/// The caches: what they remember, whether the semantic one is open, how often it was wrong, what they
/// saved.
///
/// Wrong is what differs from the model's own answer, in audits: a share of what could have been answered
/// from the cache is asked of the model all the same, and compared. A running server writes what it learns
/// every ten seconds.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton cache
  baton cache --since 24h --intent classify-ticket
  baton cache --json")]
pub(crate) struct Cache {
    /// How far back hits and savings are counted: 24h, 7d, 30d
    #[arg(long, default_value = "30d", value_name = "DURATION")]
    since: String,
    /// Only this intent
    #[arg(long)]
    intent: Option<String>,
    /// Only this team
    #[arg(long)]
    team: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    folder: Folder,
}

impl Cache {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let since = duration("--since", &self.since)?;
        let (store, snapshot) = control_and_snapshot(&self.folder).await?;
        let plan = self.intent.as_deref().map(|intent| plan_of(&snapshot, intent)).transpose()?;
        let intent = plan.map(|plan| plan.name.clone());
        let now_us = unix_us();
        let query = ReportQuery {
            since_us: now_us.saturating_sub(micros(since)),
            until_us: now_us.saturating_add(1),
            team: self.team.as_deref().map(TeamId::new),
            intent,
        };
        let lines = lines(&store, &snapshot, &query).await.map_err(|error| Exit::outside(error.to_string()))?;
        if self.json {
            say!("{}", self::json(&lines));
        } else if lines.is_empty() {
            tell!("no intent has a semantic cache: set `semantic_error_max` and `partition` in its [cache]");
        } else {
            print(&lines);
        }
        Ok(())
    }
}

/// The caches of one team's calls of an intent.
pub(super) struct Line {
    intent: IntentName,
    team: Option<TeamId>,
    promise: f64,
    embedding: String,
    entries: u64,
    /// Why nothing can be learnt, where that is so.
    closed: Option<&'static str>,
    evidence: Option<State>,
    calls: CallTally,
}

/// The intents that have a semantic cache, by team: those that have called, or were answered before.
pub(super) async fn lines(store: &Store, snapshot: &Snapshot, query: &ReportQuery) -> Result<Vec<Line>, StoreError> {
    let evidence = store.semantic_evidence().await?;
    let counts = store.semantic_counts(query.until_us).await?;
    let mut lines = Vec::new();
    for plan in snapshot.intents.values().filter(|plan| query.intent.as_ref().is_none_or(|name| *name == plan.name)) {
        if plan.cache.semantic.is_none() {
            continue;
        }
        let known = evidence.iter().filter(|e| e.intent == plan.name).map(|e| e.team.clone());
        let counted = counts.iter().filter(|(_, intent, _)| *intent == plan.name).map(|(team, ..)| team.clone());
        let mut teams: BTreeSet<TeamId> = known.chain(counted).collect();
        teams.retain(|team| query.team.as_ref().is_none_or(|wanted| wanted == team));
        if teams.is_empty() {
            lines.extend(line(plan, None, 0, &[]));
        }
        for team in teams {
            let entries = counts.iter().find(|(of, intent, _)| *of == team && *intent == plan.name);
            let own: Vec<&SemanticEvidence> = evidence.iter().filter(|e| e.team == team).collect();
            let Some(mut line) = line(plan, Some(team.clone()), entries.map_or(0, |(.., count)| *count), &own) else {
                continue;
            };
            let query = ReportQuery { team: Some(team), intent: Some(plan.name.clone()), ..query.clone() };
            line.calls = store.report(query).await?.total.calls;
            lines.push(line);
        }
    }
    Ok(lines)
}

fn line(plan: &Plan, team: Option<TeamId>, entries: u64, evidence: &[&SemanticEvidence]) -> Option<Line> {
    let spec = plan.cache.semantic.as_ref()?;
    // The name begins the id: weights of another version are other evidence, of which the latest counts.
    let own = evidence.iter().filter(|e| {
        e.intent == plan.name && e.lineage == plan.hashes.lineage && e.embedding.starts_with(spec.embedding.name())
    });
    let latest = own.max_by_key(|evidence| evidence.at_us);
    let learnt = latest.and_then(|evidence| serde_json::from_str::<Acceptance>(&evidence.state).ok());
    Some(Line {
        intent: plan.name.clone(),
        team,
        promise: spec.error_max,
        embedding: spec.embedding.name().to_owned(),
        entries,
        closed: (plan.kind == IntentKind::Generation).then_some("texts are not compared yet"),
        evidence: learnt.map(|mut learnt| {
            learnt.keep_to(spec.error_max);
            learnt.state()
        }),
        calls: CallTally::default(),
    })
}

impl Line {
    fn via(&self, via: Via) -> u64 {
        self.calls.via.get(&via).copied().unwrap_or_default()
    }

    /// Open or closed, and why.
    fn gate(&self) -> (bool, String) {
        if let Some(why) = self.closed {
            return (false, why.to_owned());
        }
        match self.evidence.as_ref().map(|evidence| &evidence.gate) {
            None => (false, "no comparisons yet".to_owned()),
            Some(Gate::Open { threshold, .. }) => (true, format!("from {} sure on", percent(*threshold))),
            Some(Gate::Closed { needs: Some(needs), why }) if why.is_empty() => {
                (false, format!("needs {needs} more comparisons"))
            }
            Some(Gate::Closed { why, .. }) if why.is_empty() => (false, "not enough evidence".to_owned()),
            Some(Gate::Closed { needs: Some(needs), why }) => (false, format!("{why}; needs {needs} more comparisons")),
            Some(Gate::Closed { needs: None, why }) => (false, why.clone()),
        }
    }

    /// The upper bound on the share of wrong answers, while it is open.
    fn bound(&self) -> Option<f64> {
        match self.evidence.as_ref()?.gate {
            Gate::Open { bound, .. } => Some(bound),
            Gate::Closed { .. } => None,
        }
    }
}

pub(super) fn json(lines: &[Line]) -> Value {
    let line = |line: &Line| {
        let (open, why) = line.gate();
        let needs = line.evidence.as_ref().and_then(|evidence| match evidence.gate {
            Gate::Closed { needs, .. } => needs,
            Gate::Open { .. } => None,
        });
        let looked = |decision| line.calls.semantic.get(&decision).copied().unwrap_or_default();
        json!({
            "intent": line.intent, "team": line.team, "semanticErrorMax": line.promise, "embedding": line.embedding,
            "entries": line.entries, "open": open, "why": why, "needs": needs,
            "comparisons": line.evidence.as_ref().map_or(0, |evidence| evidence.labels),
            "hits": line.via(Via::CacheSemantic), "exactHits": line.via(Via::CacheExact), "calls": line.calls.calls,
            "audits": line.calls.audits, "auditsWrong": line.calls.audits_wrong,
            "auditsEver": line.evidence.as_ref().map_or(0, |evidence| evidence.audits),
            "wrongEver": line.evidence.as_ref().map_or(0, |evidence| evidence.wrong),
            "errorBound": line.bound(), "skipped": looked(SemanticDecision::Skipped),
            "savedUsd": line.calls.saved.to_string(),
        })
    };
    Value::Array(lines.iter().map(line).collect())
}

pub(super) fn print(lines: &[Line]) {
    if lines.is_empty() {
        return;
    }
    let mut table = plain_table();
    table.set_header([
        "intent",
        "team",
        "entries",
        "similar inputs",
        "hits",
        "exact hits",
        "wrong in audits",
        "bound",
        "promised",
        "saved USD",
    ]);
    for column in table.column_iter_mut().skip(2).filter(|column| column.index != 3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for line in lines {
        let (open, why) = line.gate();
        table.add_row([
            line.intent.to_string(),
            line.team.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            line.entries.to_string(),
            format!("{}: {why}", if open { "open" } else { "closed" }),
            line.via(Via::CacheSemantic).to_string(),
            line.via(Via::CacheExact).to_string(),
            line.evidence.as_ref().map_or_else(|| "-".to_owned(), |e| format!("{} of {}", e.wrong, e.audits)),
            line.bound().map_or_else(|| "-".to_owned(), percent),
            percent(line.promise),
            if line.calls.saved == NanoUsd(0) { "0".to_owned() } else { line.calls.saved.to_string() },
        ]);
    }
    say!("{table}");
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}
