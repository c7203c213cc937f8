//! One execution from all sides, for a person who looks for what went wrong.

use std::fmt::Write as _;

use baton_core::ExecutionId;
use baton_engine::LogEvent;

use crate::simulate::run::{Ran, started_us};

/// Characters of a body, a text or a record that are shown.
const SHOWN_MAX: usize = 1500;

pub(crate) fn of(ran: &Ran, id: ExecutionId) -> String {
    let mut out = String::new();
    let _infallible = write(ran, id, &mut out);
    out
}

fn write(ran: &Ran, id: ExecutionId, out: &mut String) -> std::fmt::Result {
    writeln!(out, "  execution {id}")?;
    let Some(seen) = ran.seen.iter().find(|seen| seen.id == id) else { return Ok(()) };
    writeln!(out, "  {} {:?}", Ran::at(seen.arrived_us()), seen.ask)?;
    if let Some(name) = &seen.ask.intent
        && let Some(folder) = ran.world.folders.get(name)
    {
        for (file, text) in folder.files.iter().filter(|(file, _)| file.ends_with("toml")) {
            writeln!(out, "  {file}: {}", text.replace('\n', " | "))?;
        }
    }
    for observed in ran.observed.iter().filter(|observed| observed.record.execution == id) {
        let record = serde_json::to_string(&observed.record).unwrap_or_default();
        writeln!(out, "  {} record {}", Ran::at(observed.at_us), shown(&record))?;
        let begin = started_us(&observed.record);
        for attempt in &observed.record.attempts {
            let (from, to) = (begin + attempt.start_us, begin + attempt.start_us + attempt.duration_us);
            let what = format!("{:?} {} {}", attempt.kind, attempt.model, attempt.outcome.as_str());
            writeln!(out, "  {} to {} {what} {:?}", Ran::at(from), Ran::at(to), attempt.error)?;
        }
    }
    for exchange in ran.exchanges.get(&id).into_iter().flatten() {
        let (from, to) = (Ran::at(exchange.began_us), Ran::at(exchange.ended_us));
        writeln!(out, "  {from} to {to} exchange {:?}, status {:?}", exchange.end, exchange.status)?;
        writeln!(out, "    {}", shown(&String::from_utf8_lossy(&exchange.request)))?;
        writeln!(out, "    {}", shown(&String::from_utf8_lossy(&exchange.body)))?;
    }
    for append in ran.appends.iter().filter(|append| append.execution == id) {
        writeln!(out, "  {} {append:?}", Ran::at(append.at_us))?;
    }
    for (at, event) in &seen.events {
        let event = match event {
            LogEvent::End(delivered) => format!("End {}", shown(&format!("{:?}", delivered.answer))),
            other => shown(&format!("{other:?}")),
        };
        writeln!(out, "  {} client: {event}", Ran::at(*at))?;
    }
    if let Some(left) = seen.left_us {
        writeln!(out, "  {} client: left", Ran::at(left))?;
    }
    Ok(())
}

fn shown(text: &str) -> String {
    let line = text.replace('\n', "\\n");
    match line.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &line[..end], text.len()),
        None => line,
    }
}
