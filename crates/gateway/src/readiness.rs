//! Each part of a server in a word, and in a sentence where somebody should look.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use baton_engine::{Configuration, LaneState, Orchestrator};
use baton_store::{Ingestion, JournalState};
use baton_telemetry::OutletState;
use serde::Serialize;
use utoipa::ToSchema;

/// See the module.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`, `shutting_down` or `journal_refuses`.
    status: &'static str,
    /// `ok`; `failing`: records wait in the journal.
    store: Part,
    /// `ok`; `dropping_content`: over 80 % full, records lose inputs and outputs; `refusing`: no
    /// calls are answered.
    journal: Part,
    /// `ok`; `refused`: the folder is wrong, and what was in force before stays.
    configuration: Part,
    /// `ok`; `some_down` or `all_down`: models whose breaker is open.
    providers: Part,
    /// `ok`; `failing`: traces, metrics, events or webhooks are not taken by the other side; calls
    /// are answered all the same.
    telemetry: Part,
}

/// One part.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Part {
    /// In a word.
    state: &'static str,
    /// What is wrong, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

const OK: Part = Part { state: "ok", reason: None };

impl Readiness {
    pub(crate) fn of(orchestrator: &Orchestrator, outlets: &[OutletState], draining: bool) -> Self {
        let store = orchestrator.store();
        let journal = store.journal().state();
        let status = match (draining, journal.refusing) {
            (true, _) => "shutting_down",
            (false, true) => "journal_refuses",
            (false, false) => "ready",
        };
        Self {
            status,
            store: of_store(&store.ingestion()),
            journal: of_journal(&journal),
            configuration: of_configuration(&orchestrator.configuration()),
            providers: of_lanes(&orchestrator.lanes()),
            telemetry: of_outlets(outlets),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

fn of_store(ingestion: &Ingestion) -> Part {
    let Some(error) = &ingestion.error else { return OK };
    let reason = format!("{} entries wait in the journal: {error}", ingestion.behind);
    Part { state: "failing", reason: Some(reason) }
}

fn of_journal(journal: &JournalState) -> Part {
    let full =
        || format!("it holds {} of at most {} bytes that the store has not taken yet", journal.bytes, journal.bound);
    let error = journal.last_error.as_ref().map(ToString::to_string);
    if journal.refusing {
        return Part { state: "refusing", reason: Some(error.unwrap_or_else(full)) };
    }
    if journal.dropping_content {
        return Part { state: "dropping_content", reason: Some(full()) };
    }
    Part { reason: error, ..OK }
}

/// Not what is wrong with it: everybody may read this.
fn of_configuration(configuration: &Configuration) -> Part {
    let Some(refused) = &configuration.refused else { return OK };
    let reason = format!(
        "refused since {}; {} from {} stays in force. The log and `baton check` say why",
        date(refused.since_us),
        configuration.hash.get(..8).unwrap_or_default(),
        date(configuration.since_us)
    );
    Part { state: "refused", reason: Some(reason) }
}

fn of_lanes(lanes: &[LaneState]) -> Part {
    let asked = || lanes.iter().filter(|lane| lane.model.as_str() != "local");
    let name = |lane: &LaneState| match lane.key {
        Some(key) => format!("{} with key {key}", lane.model),
        None => lane.model.to_string(),
    };
    let down: Vec<String> = asked().filter(|lane| lane.open_for.is_some()).map(name).collect();
    let state = match down.len() {
        0 => return OK,
        n if n == asked().count() => "all_down",
        _ => "some_down",
    };
    Part { state, reason: Some(format!("not asked for now: {}", down.join(", "))) }
}

/// What was lost since the start is named in any case; the log says why.
fn of_outlets(outlets: &[OutletState]) -> Part {
    let told = |outlet: &&OutletState| {
        format!("{}: {} given up, {} dropped since the start", outlet.name, outlet.failed, outlet.dropped)
    };
    let lost: Vec<String> =
        outlets.iter().filter(|outlet| outlet.failed + outlet.dropped > 0).map(|outlet| told(&outlet)).collect();
    let reason = Some(lost.join("; ")).filter(|reason| !reason.is_empty());
    Part { state: if outlets.iter().any(|outlet| outlet.failing) { "failing" } else { "ok" }, reason }
}

/// A time (Unix microseconds) as people read it: as HTTP writes dates.
#[must_use]
pub fn date(unix_us: i64) -> String {
    let since = Duration::from_micros(u64::try_from(unix_us).unwrap_or_default());
    httpdate::fmt_http_date(UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use baton_engine::Refused;

    use super::*;

    #[test]
    fn a_refused_configuration_says_since_when_and_what_holds() {
        let refused = Refused { since_us: 1_767_225_600_000_000, reason: "secret = \"…\"".into() };
        let mut configuration = Configuration {
            hash: "3f9a0c11ffff".into(),
            since_us: 1_767_222_000_000_000,
            refused: Some(refused),
            applied: 0,
            unchanged: 0,
            refusals: 1,
        };
        let part = of_configuration(&configuration);
        assert_eq!(part.state, "refused");
        let reason = "refused since Thu, 01 Jan 2026 00:00:00 GMT; 3f9a0c11 from Wed, 31 Dec 2025 23:00:00 GMT stays \
                      in force. The log and `baton check` say why";
        assert_eq!(part.reason.as_deref(), Some(reason));
        configuration.refused = None;
        assert_eq!(of_configuration(&configuration), OK);
    }

    #[test]
    fn models_that_are_down_are_named() {
        let lane = |model: &str, open| LaneState {
            model: model.into(),
            key: None,
            waiting: 0,
            in_flight: 0,
            limit: None,
            breaker: baton_core::BreakerState::Closed,
            open_for: Some(Duration::from_secs(1)).filter(|_| open),
        };
        let check = |open: [bool; 2], state| {
            let lanes = [lane("local", false), lane("a/x", open[0]), lane("b/y", open[1])];
            assert_eq!(of_lanes(&lanes).state, state);
        };
        check([false, false], "ok");
        check([true, false], "some_down");
        check([true, true], "all_down");
        assert_eq!(of_lanes(&[]), OK);
    }

    #[test]
    fn what_was_lost_is_named() {
        let outlet = |name, dropped, failing| OutletState { name, sent: 5, failed: 0, dropped, failing };
        assert_eq!(of_outlets(&[outlet("traces", 0, false)]), OK);
        let part = of_outlets(&[outlet("traces", 2, true), outlet("metrics", 0, false)]);
        let reason = Some("traces: 0 given up, 2 dropped since the start".to_owned());
        assert_eq!(part, Part { state: "failing", reason });
        assert_eq!(of_outlets(&[outlet("traces", 2, false)]).state, "ok");
    }

    #[test]
    fn a_journal_says_how_full_it_is() {
        let state = |dropping_content, refusing| JournalState {
            bytes: 90,
            bound: 100,
            queued_bytes: 0,
            dropping_content,
            refusing,
            last_error: None,
            written: 1,
        };
        assert_eq!(of_journal(&state(false, false)), OK);
        assert_eq!(of_journal(&state(true, false)).state, "dropping_content");
        let refusing = of_journal(&state(true, true));
        assert_eq!(refusing.state, "refusing");
        assert!(refusing.reason.unwrap().contains("90 of at most 100 bytes"));
    }
}
