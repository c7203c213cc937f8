//! What an operator should hear of: pure, from records and looks to notices.
//!
//! Each thing is told when it begins and when it ends, once.

mod burn;
mod retiring;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use baton_config::{Snapshot, Topic};
use baton_core::{Day, ErrorType, IntentName, ModelId, NanoUsd, Record, Via};
use serde_json::{Value, json};

use crate::failures::is_callers;
use burn::{Burn, WINDOWS};
pub use retiring::Retiring;

/// The share of calls that may come late or not at all. An objective says how long, not how often.
const LATE_ALLOWED: f64 = 0.01;
/// Percent of a budget that are told.
const LEVELS: [u8; 2] = [80, 100];

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// What it is about: a webhook takes some of these.
    pub topic: Topic,
    /// The event's type, such as `breaker.opened`.
    pub kind: &'static str,
    /// What the event says: names and figures, never content or secrets.
    pub data: Value,
}

/// How the server stands at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// The models whose breaker is open.
    pub open: BTreeSet<ModelId>,
    /// The journal.
    pub journal: JournalLook,
    /// Whether the configuration in the folder is refused; what was in force stays.
    pub refused: bool,
    /// The version in force.
    pub version: String,
    /// Every budget, with what is spent.
    pub budgets: Vec<BudgetUse>,
    /// Models that intents use and that come to their end.
    pub retiring: Vec<Retiring>,
}

/// What the journal does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JournalLook {
    /// It takes everything.
    #[default]
    Well,
    /// Records lose their content.
    DroppingContent,
    /// It refuses work.
    Refusing,
}

/// One budget, and what is spent of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetUse {
    /// Whose, for example `team support`.
    pub of: String,
    /// The period that it is for, for example `2026-11-26`: another one begins anew.
    pub period: String,
    /// Spent and reserved.
    pub used: NanoUsd,
    /// The most that may be.
    pub limit: NanoUsd,
}

/// See the module.
#[derive(Default)]
pub struct Monitor {
    /// By intent: calls against latency, and against quality.
    burns: BTreeMap<IntentName, [Burn; 2]>,
    seen: Look,
    /// By budget: its period, and how many levels were told.
    told: BTreeMap<String, (String, usize)>,
    /// By model: the day of its end, and how many stages of it were told.
    ends: BTreeMap<ModelId, (Option<Day>, usize)>,
    /// The minute in which objectives were looked at last.
    minute: i64,
}

/// What calls are held against, in the order of [`Monitor::burns`].
const OBJECTIVES: [&str; 2] = ["latency", "quality"];

impl Monitor {
    /// Counts one execution against its intent's objective. Cheap: a look-up and two counts.
    pub fn saw(&mut self, record: &Record) {
        let Some(intent) = &record.intent else { return };
        let Some([late, poor]) = missed(record) else { return };
        if !self.burns.contains_key(intent) {
            self.burns.insert(intent.clone(), Default::default());
        }
        let Some([latency, quality]) = self.burns.get_mut(intent) else { return };
        let minute = record.started_at_us.div_euclid(60_000_000);
        latency.count(minute, late);
        quality.count(minute, poor);
    }

    /// What changed since the last look, at this wall clock (Unix microseconds).
    pub fn look(&mut self, now_us: i64, snapshot: &Snapshot, look: Look) -> Vec<Notice> {
        let mut notices = self.objectives(now_us, snapshot);
        notices.extend(self.breakers(&look));
        notices.extend(self.journal(&look));
        notices.extend(self.configuration(&look));
        notices.extend(self.budgets(&look.budgets));
        notices.extend(self.retiring(Day::of(now_us), &look.retiring));
        self.seen = look;
        notices
    }

    fn objectives(&mut self, now_us: i64, snapshot: &Snapshot) -> Vec<Notice> {
        let minute = now_us.div_euclid(60_000_000);
        let mut notices = Vec::new();
        // A day of minutes is summed up: once in each is enough.
        if std::mem::replace(&mut self.minute, minute) == minute {
            return notices;
        }
        // Intents that are gone are not watched any more.
        self.burns.retain(|intent, _| snapshot.intents.contains_key(intent));
        for (intent, burns) in &mut self.burns {
            let quality = snapshot.intents.get(intent).map_or(1.0, |plan| plan.objective.quality);
            for ((burn, objective), allowed) in burns.iter_mut().zip(OBJECTIVES).zip([LATE_ALLOWED, 1.0 - quality]) {
                for turn in burn.turns(minute, allowed) {
                    let window = &WINDOWS[turn.window];
                    let kind = if turn.burning { "objective.burning" } else { "objective.recovered" };
                    let data = json!({
                        "intent": intent, "objective": objective, "window": window.name,
                        "missedShare": rounded(turn.missed), "allowedShare": rounded(allowed),
                        "burnRate": rounded(turn.rate), "alertsAtBurnRate": rounded(window.rate()),
                        "calls": turn.calls,
                    });
                    notices.push(Notice { topic: Topic::Objective, kind, data });
                }
            }
        }
        notices
    }

    fn breakers(&self, look: &Look) -> Vec<Notice> {
        let notice = |kind, model: &ModelId| Notice { topic: Topic::Breaker, kind, data: json!({ "model": model }) };
        let opened = look.open.difference(&self.seen.open).map(|model| notice("breaker.opened", model));
        let closed = self.seen.open.difference(&look.open).map(|model| notice("breaker.closed", model));
        opened.chain(closed).collect()
    }

    fn journal(&self, look: &Look) -> Option<Notice> {
        let kind = match look.journal {
            state if state == self.seen.journal => return None,
            JournalLook::Well => "journal.recovered",
            JournalLook::DroppingContent => "journal.dropping_content",
            JournalLook::Refusing => "journal.refusing",
        };
        Some(Notice { topic: Topic::Journal, kind, data: json!({}) })
    }

    fn configuration(&self, look: &Look) -> Option<Notice> {
        let kind = match (self.seen.refused, look.refused) {
            (false, true) => "configuration.refused",
            (true, false) => "configuration.accepted",
            _ => return None,
        };
        Some(Notice { topic: Topic::Configuration, kind, data: json!({ "inForce": look.version }) })
    }

    fn budgets(&mut self, budgets: &[BudgetUse]) -> Vec<Notice> {
        self.told.retain(|of, _| budgets.iter().any(|budget| budget.of == *of));
        let mut notices = Vec::new();
        for budget in budgets.iter().filter(|budget| budget.limit.0 > 0) {
            let reached = LEVELS
                .iter()
                .filter(|level| i128::from(budget.used.0) * 100 >= i128::from(budget.limit.0) * i128::from(**level));
            let reached = reached.count();
            let told = self.told.entry(budget.of.clone()).or_default();
            if told.0 != budget.period {
                *told = (budget.period.clone(), 0);
            }
            // A refund and a new call are no news.
            for level in LEVELS.iter().take(reached).skip(told.1) {
                let data = json!({
                    "budget": budget.of, "period": budget.period, "percent": level,
                    "usedUsd": budget.used.to_string(), "limitUsd": budget.limit.to_string(),
                });
                notices.push(Notice { topic: Topic::Budget, kind: "budget.reached", data });
            }
            told.1 = told.1.max(reached);
        }
        notices
    }

    fn retiring(&mut self, today: Day, retiring: &[Retiring]) -> Vec<Notice> {
        self.ends.retain(|model, _| retiring.iter().any(|retiring| retiring.model == *model));
        let mut notices = Vec::new();
        for model in retiring {
            let told = self.ends.entry(model.model.clone()).or_insert((model.on, 0));
            if told.0 != model.on {
                *told = (model.on, 0);
            }
            if let Some(kind) = model.event(&mut told.1, today) {
                let on = model.on.map(|day| day.to_string());
                let data = json!({ "model": model.model, "intents": model.intents, "on": on });
                notices.push(Notice { topic: Topic::Retirement, kind, data });
            }
        }
        notices
    }
}

/// Whether this execution missed latency, and whether it missed quality; `None` where it counts for
/// neither: the caller left, or the fault was the caller's.
///
/// Latency: no answer within the call's deadline. Quality: an answer that no check would pass, or one that
/// is a substitute, is labelled so, or failed a check that is a signal.
fn missed(record: &Record) -> Option<[bool; 2]> {
    use baton_core::Status::{Cancelled, Succeeded};
    if record.status == Cancelled {
        return None;
    }
    if let Some(error) = record.error.as_ref().filter(|_| record.status != Succeeded) {
        let kind = error.code.error_type();
        let quality = kind == ErrorType::Quality;
        return (!is_callers(kind)).then_some([!quality, quality]);
    }
    let late = record.deadline_us > 0 && record.duration_us > record.deadline_us && !record.stream;
    let substitute = matches!(record.via, Some(Via::Stale | Via::Default));
    let passed = record.attempts.iter().find(|attempt| attempt.outcome == baton_core::AttemptOutcome::Passed);
    let signalled = passed.is_some_and(|attempt| attempt.checks.iter().any(|check| !check.passed));
    Some([late, substitute || signalled])
}

fn rounded(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}
