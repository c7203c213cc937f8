//! Limits of streams, from the bytes and their times: what keeps to them is never cut for them, what
//! breaks them is cut when it does, and what only keeps a connection alive is no progress.

use baton_core::{AttemptRecord, StreamLimits};
use serde_json::Value;

use super::{Case, Verdict, hold, lanes};
use crate::simulate::run::{Ran, started_us};
use crate::simulate::tap::Exchange;

/// The limit that a record says an attempt broke.
pub(crate) fn limit(attempt: &AttemptRecord) -> Option<&'static str> {
    let error = attempt.error.as_deref()?;
    let said = |text: &str| error.starts_with(text);
    let limits =
        [("no first token", "first token"), ("its stream was silent", "idle"), ("its stream wrote less", "floor")];
    limits.into_iter().find(|(text, _)| said(text)).map(|(_, limit)| limit)
}

pub(super) fn of(case: &Case<'_>) -> Verdict {
    let limits = case.plan.map_or(StreamLimits::default(), |plan| plan.stream);
    for (attempt, exchange) in lanes::pairs((case.record, case.exchanges))? {
        let broken = limit(attempt);
        hold!(case.seen.ask.stream || broken.is_none(), "{} is no stream, and broke {broken:?}", attempt.model);
        if !case.seen.ask.stream || lanes::goes_on(attempt) {
            continue;
        }
        let begins = started_us(case.record) + attempt.start_us;
        let stream = Stream { limits, wait: waited(case), begins, written: written(exchange) };
        stream.keeps(begins + attempt.duration_us, broken).map_err(|what| format!("{}: {what}", attempt.model))?;
    }
    Ok(())
}

/// While the journal took the opening, nobody read.
fn waited(case: &Case<'_>) -> (u64, u64) {
    let opened = case.opened.map(|(_, append)| (append.at_us, append.acknowledged_us.unwrap_or(append.at_us)));
    opened.unwrap_or_default()
}

/// When the model wrote how many bytes.
fn written(exchange: &Exchange) -> Vec<(u64, u64)> {
    let text = String::from_utf8_lossy(&exchange.body);
    let (mut end, mut written) = (0, Vec::new());
    // Sizes are those of the bytes: what is not UTF-8 is broken, and its attempt over.
    for event in text.split_inclusive("\n\n").filter(|event| event.ends_with("\n\n")) {
        end += event.len();
        let chunk = event.strip_prefix("data: ").and_then(|data| serde_json::from_str::<Value>(data).ok());
        let chunk = chunk.unwrap_or_default();
        let delta = &chunk["choices"][0]["delta"];
        let text = |name: &str| delta[name].as_str().map_or(0, str::len);
        let bytes = text("content") + text("refusal");
        if let (true, Some((at, _))) = (bytes > 0, exchange.pieces.iter().find(|(_, until)| *until >= end)) {
            written.push((*at, bytes as u64));
        }
    }
    written
}

struct Stream {
    limits: StreamLimits,
    wait: (u64, u64),
    begins: u64,
    written: Vec<(u64, u64)>,
}

impl Stream {
    /// A moment, the time in which nobody read left out.
    fn at(&self, us: u64) -> u64 {
        let (from, to) = self.wait;
        us - us.clamp(from, to).saturating_sub(from)
    }

    fn keeps(&self, ended: u64, broken: Option<&str>) -> Verdict {
        let us = |time: std::time::Duration| time.as_micros() as u64;
        let (first_token, idle) = (us(self.limits.first_token), us(self.limits.idle));
        let (mut last, mut most) = (self.at(self.begins), first_token);
        let end = self.at(ended);
        for (at, _) in &self.written {
            let at = self.at(*at);
            hold!(at - last <= most, "{} µs of silence before {} were given, of {most}", at - last, Ran::at(at));
            (last, most) = (at, idle);
        }
        hold!(end - last <= most, "it went on for {} µs in silence, of {most}", end - last);
        let silent = if self.written.is_empty() { "first token" } else { "idle" };
        if broken == Some(silent) {
            hold!(end - last == most, "cut for `{silent}` after {} µs, of {most}", end - last);
        } else {
            hold!(broken.is_none() || broken == Some("floor"), "cut for {broken:?}, and it was {silent}");
        }
        self.floor(end, broken == Some("floor"))
    }

    /// In each whole stretch there was enough; one that is cut for its floor is cut at a stretch's end
    /// that had too little.
    fn floor(&self, end: u64, cut: bool) -> Verdict {
        let grace = self.limits.grace.as_micros() as u64;
        // Less than a whole byte is written by nobody: then it takes one.
        let needed = (u64::from(self.limits.bytes_per_second_min) * grace).div_ceil(1_000_000);
        let Some((first, _)) = self.written.first().map(|(at, bytes)| (self.at(*at), bytes)) else {
            hold!(!cut, "cut for its floor before its first token");
            return Ok(());
        };
        let bytes = |from: u64, to: u64| {
            let within = self.written.iter().map(|(at, bytes)| (self.at(*at), *bytes));
            within.filter(|(at, _)| (*at > from || from == first) && *at <= to).map(|(_, bytes)| bytes).sum::<u64>()
        };
        let mut from = first;
        while needed > 0 && from + grace < end {
            let had = bytes(from, from + grace);
            hold!(had >= needed, "{had} bytes from {} on, {needed} are needed in {grace} µs", Ran::at(from));
            from += grace;
        }
        let had = bytes(from, end);
        hold!(
            !cut || (end == from + grace && had < needed),
            "cut for its floor, with {had} bytes of {needed} since {}",
            Ran::at(from)
        );
        Ok(())
    }
}
