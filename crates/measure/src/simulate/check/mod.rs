//! The invariants of ARCHITECTURE.md, asked of a seed that was run. They are written against what can
//! be seen from outside (events, journal, bytes on the wire), not against the engine's own words.

mod budget;
mod deadline;
mod isolation;
mod judges;
mod lanes;
mod oracle;
pub(crate) mod pace;
mod places;
mod record;
mod refusal;
mod truth;
mod turns;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use baton_config::Plan;
use baton_core::{ExecutionId, IntentName, Record};
use baton_engine::LogEvent;
use baton_store::Opened;

use crate::simulate::journal::Append;
use crate::simulate::run::Ran;
use crate::simulate::tap::Exchange;
use crate::simulate::traffic::Seen;

/// An invariant that did not hold.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    /// Which invariant.
    pub(crate) invariant: &'static str,
    /// What happened instead.
    pub(crate) what: String,
    /// In which execution.
    pub(crate) execution: Option<ExecutionId>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is broken: {}", self.invariant, self.what)
    }
}

/// What was broken, as a sentence; nothing where all is well.
type Verdict = Result<(), String>;

/// `Err` with these words unless it holds.
macro_rules! hold {
    ($holds:expr, $($words:tt)+) => {
        if !$holds {
            return Err(format!($($words)+));
        }
    };
}
use hold;

/// One execution, from all sides.
pub(crate) struct Case<'a> {
    pub(crate) seen: &'a Seen,
    /// As the engine told its observer.
    pub(crate) record: &'a Record,
    /// The compiled intent; `None` for a raw model call or an unknown one.
    pub(crate) plan: Option<&'a Arc<Plan>>,
    pub(crate) exchanges: &'a [Exchange],
    pub(crate) opened: Option<(&'a Opened, &'a Append)>,
    /// Its final record, as it was handed to the journal.
    pub(crate) finished: &'a Append,
}

impl Case<'_> {
    fn arrived_us(&self) -> u64 {
        self.seen.arrived_us()
    }

    /// The limit, in microseconds since the beginning.
    fn deadline_us(&self) -> u64 {
        self.arrived_us() + self.record.deadline_us
    }

    /// Whether text was given before the verdict.
    fn released(&self) -> bool {
        self.opened.is_some()
    }

    /// The answer that the client got.
    fn delivered(&self) -> Option<&baton_engine::Delivered> {
        match self.seen.last() {
            Some((_, LogEvent::End(delivered))) => Some(delivered),
            _ => None,
        }
    }
}

/// All executions of a seed, by id.
pub(crate) struct View<'a> {
    pub(crate) ran: &'a Ran,
    pub(crate) cases: Vec<Case<'a>>,
    pub(crate) places: HashMap<ExecutionId, usize>,
}

impl<'a> View<'a> {
    /// Puts together what belongs together.
    ///
    /// # Errors
    /// Where an execution has not exactly one record: the rest cannot be asked then.
    fn of(ran: &'a Ran) -> Result<Self, Vec<Violation>> {
        let mut broken = Vec::new();
        let mut cases = Vec::with_capacity(ran.seen.len());
        for seen in &ran.seen {
            match case(ran, seen) {
                Ok(case) => cases.push(case),
                Err(what) => broken.push(Violation { invariant: "Record", what, execution: Some(seen.id) }),
            }
        }
        if !broken.is_empty() {
            return Err(broken);
        }
        let places = cases.iter().enumerate().map(|(n, case)| (case.seen.id, n)).collect();
        Ok(Self { ran, cases, places })
    }

    /// The records of judges' executions.
    pub(crate) fn children(&self) -> impl Iterator<Item = &'a Record> {
        self.ran.observed.iter().map(|observed| &observed.record).filter(|record| record.parent.is_some())
    }

    /// All records, those of judges included, each with what was exchanged for it.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&'a Record, &'a [Exchange])> {
        let exchanged = |record: &'a Record| {
            let exchanges = self.ran.exchanges.get(&record.execution);
            (record, exchanges.map(Vec::as_slice).unwrap_or_default())
        };
        self.cases.iter().map(|case| (case.record, case.exchanges)).chain(self.children().map(exchanged))
    }

    fn case(&self, id: ExecutionId) -> Option<&Case<'a>> {
        self.places.get(&id).map(|place| &self.cases[*place])
    }
}

fn case<'a>(ran: &'a Ran, seen: &'a Seen) -> Result<Case<'a>, String> {
    let id = seen.id;
    let observed: Vec<_> = ran.observed.iter().filter(|o| o.record.execution == id).collect();
    let appends: Vec<_> = ran.appends.iter().filter(|a| a.execution == id && a.finished).collect();
    let [observed] = observed[..] else { return Err(format!("{} records were observed, not one", observed.len())) };
    let [finished] = appends[..] else { return Err(format!("{} records were journalled, not one", appends.len())) };
    let opened: Vec<_> = ran.opened.iter().filter(|o| o.execution == id).collect();
    let append = ran.appends.iter().find(|a| a.execution == id && !a.finished && a.acknowledged_us.is_some());
    hold!(opened.len() <= 1, "it was opened {} times", opened.len());
    Ok(Case {
        seen,
        record: &observed.record,
        plan: seen.ask.intent.as_ref().and_then(|name| ran.world.plans.get(&IntentName::new(name))),
        exchanges: ran.exchanges.get(&id).map(Vec::as_slice).unwrap_or_default(),
        opened: opened.first().copied().zip(append),
        finished,
    })
}

/// Everything that is broken in a seed.
pub(crate) fn all(ran: &Ran) -> Vec<Violation> {
    let view = match View::of(ran) {
        Ok(view) => view,
        Err(broken) => return broken,
    };
    let mut broken = Vec::new();
    let whole: [(&'static str, Verdict); 6] = [
        ("Record", record::of_seed(&view)),
        ("Bounds", bounds(ran)),
        ("Breaker", lanes::of_seed(&view)),
        ("Budgets", budget::of_seed(&view)),
        ("Places", places::of_seed(&view)),
        ("Judges", judges::of_seed(&view)),
    ];
    broken.extend(
        whole.into_iter().filter_map(|(invariant, verdict)| {
            verdict.err().map(|what| Violation { invariant, what, execution: None })
        }),
    );
    for case in &view.cases {
        let verdicts: [(&'static str, Verdict); 11] = [
            ("Record", record::of(case)),
            ("Truth", truth::of(&view, case)),
            ("Isolation", isolation::of(&view, case)),
            ("Deadline", deadline::of(&view, case)),
            ("Dispositions", lanes::of(&view, case)),
            ("Refusals", refusal::of(&view, case)),
            ("Streams", truth::stream(case)),
            ("Budgets", budget::of(&view, case)),
            ("Limits of streams", pace::of(case)),
            ("Judges", judges::of(&view, case)),
            ("Turns", turns::of(case)),
        ];
        broken.extend(verdicts.into_iter().filter_map(|(invariant, verdict)| {
            verdict.err().map(|what| Violation { invariant, what, execution: Some(case.seen.id) })
        }));
    }
    broken
}

/// Nothing is left over: no execution, no exchange.
fn bounds(ran: &Ran) -> Verdict {
    hold!(ran.running == 0, "{} executions still run after everything ended", ran.running);
    let open = ran.exchanges.values().flatten().filter(|e| e.end == crate::simulate::tap::End::Open).count();
    hold!(open == 0, "{open} exchanges are still open after everything ended");
    hold!(ran.strays == 0, "{} exchanges belong to no recorded execution", ran.strays);
    let in_flight: u64 = ran.stats.values().map(|stats| stats.in_flight).sum();
    hold!(in_flight == 0, "the models still work on {in_flight} calls that nobody waits for");
    Ok(())
}

/// The same seed gives the same journal to the byte, and the same to its clients.
pub(crate) fn same(one: &Ran, two: &Ran) -> Option<Violation> {
    let differs = one.journal.iter().zip(&two.journal).position(|(a, b)| a != b);
    let differs = differs.or_else(|| (one.journal.len() != two.journal.len()).then_some(one.journal.len()));
    let told = |ran: &Ran| ran.seen.iter().map(|seen| format!("{:?}", seen.events)).collect::<Vec<_>>();
    let what = match differs {
        Some(n) => format!(
            "run again, entry {n} of the journal differs:\n  {}\n  {}",
            one.journal.get(n).map_or("nothing", String::as_str),
            two.journal.get(n).map_or("nothing", String::as_str),
        ),
        None if told(one) != told(two) => "run again, clients were told something else".to_owned(),
        None => return None,
    };
    Some(Violation { invariant: "Replay", what, execution: None })
}
