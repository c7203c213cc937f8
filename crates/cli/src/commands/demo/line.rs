//! What one side gave for one call, and the line that says it: who answered, and why that is trusted.

use baton_config::{IntentKind, Plan};
use baton_core::{Answer, AttemptOutcome, NanoUsd, Severity, Usage, Via};
use serde_json::Value;

const COLUMNS: usize = 100;
/// Columns of an answer's text, and of the reason: with the rest of a line they make a hundred.
const VALUE: usize = 11;
const WHY: usize = 51;

/// What one side gave for one call.
#[derive(Default)]
pub(super) struct Side {
    pub(super) output: Option<Value>,
    pub(super) error: Option<String>,
    pub(super) why: String,
    pub(super) ms: f64,
    pub(super) cost: NanoUsd,
    /// Tokens of the one call that was answered, where there was one.
    pub(super) usage: Option<Usage>,
    pub(super) cached: bool,
    pub(super) fell_back: bool,
    pub(super) wrong: bool,
}

impl Side {
    pub(super) fn of_answer(answer: &Answer, plan: Option<&Plan>, ms: f64) -> Self {
        let fell_back = answer
            .attempts
            .iter()
            .any(|attempt| !attempt.outcome.answered() && attempt.outcome != AttemptOutcome::Abstained);
        Self {
            output: Some(answer.output.clone()),
            why: why(answer, plan),
            ms,
            cost: answer.cost_usd.as_deref().and_then(|usd| usd.parse().ok()).unwrap_or_default(),
            cached: matches!(answer.via, Via::CacheExact | Via::CacheSemantic | Via::Coalesced),
            fell_back,
            ..Self::default()
        }
    }

    /// Compares with the simulator's truth, white space aside.
    pub(super) fn judge(&mut self, truth: Option<&Value>) {
        self.wrong = self.output.as_ref().zip(truth).is_some_and(|(output, truth)| squeezed(output) != squeezed(truth));
    }

    fn shown(&self) -> String {
        if self.error.is_some() {
            return "ERROR".into();
        }
        let output = self.output.clone().unwrap_or_default();
        let text = ["label", "total", "text"].iter().find_map(|field| output.get(field)?.as_str());
        let text = text.map_or_else(|| output.to_string(), str::to_owned);
        if self.wrong { format!("{} ✗", cut(&text, VALUE - 2)) } else { cut(&text, VALUE) }
    }
}

fn squeezed(value: &Value) -> String {
    value.to_string().replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str, width: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let kept: String = line.chars().take(width - 1).collect();
    format!("{kept}…")
}

/// One call, both sides.
pub(super) fn line(intent: &str, plain: &Side, baton: &Side) -> String {
    let side = |side: &Side| format!("{:VALUE$} {:>6}", side.shown(), time(side.ms));
    let kind = intent.rsplit('-').next().unwrap_or(intent);
    format!("{kind:7} {} │ {}  {}", side(plain), side(baton), cut(&baton.why, WHY)).trim_end().to_owned()
}

/// In lines of a hundred columns at most, each begun with `indent`.
pub(super) fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |line| line.chars().count());
        if indent.len() + last + 1 + word.chars().count() > COLUMNS {
            lines.push(String::new());
        }
        let Some(line) = lines.last_mut() else { continue };
        let gap = if line.is_empty() { indent } else { " " };
        line.push_str(gap);
        line.push_str(word);
    }
    lines.join("\n")
}

fn time(ms: f64) -> String {
    if ms < 999.5 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

/// Who answered, after whom, and what speaks for the answer.
fn why(answer: &Answer, plan: Option<&Plan>) -> String {
    match answer.via {
        Via::CacheExact => "remembered: exact".into(),
        Via::CacheSemantic => format!("remembered: {}", answer.reason.as_deref().unwrap_or("similar")),
        Via::Coalesced => "shared with the same call, asked just now".into(),
        Via::Stale => "remembered, past its time, and said so".into(),
        Via::Default => "nobody could answer: the intent's default".into(),
        Via::Model => {
            let model = answer.model.as_ref().map_or("?", |model| model.name());
            if let Some((_, sure)) = answer.reason.as_deref().and_then(|reason| reason.rsplit_once(": local is ")) {
                return format!("local, {sure}");
            }
            format!("{model}{}; {}", after(answer), proof(answer, plan))
        }
    }
}

/// Those that were asked before, or would have been.
fn after(answer: &Answer) -> String {
    let mut told: Vec<(&str, &str)> = Vec::new();
    for attempt in answer.attempts.iter().filter(|attempt| attempt.outcome != AttemptOutcome::Passed) {
        let what = match attempt.outcome {
            AttemptOutcome::Abstained => "unsure",
            AttemptOutcome::Held => "asked too",
            AttemptOutcome::BadAnswer => "held back",
            AttemptOutcome::Slow | AttemptOutcome::NoTime => "slow",
            AttemptOutcome::BreakerOpen => "down",
            AttemptOutcome::RateLimited | AttemptOutcome::Limited => "limited",
            AttemptOutcome::OverBudget => "over budget",
            AttemptOutcome::NoRoom => "busy",
            AttemptOutcome::Cancelled => "cancelled",
            _ => "failed",
        };
        told.retain(|(model, _)| *model != attempt.model.name());
        told.push((attempt.model.name(), what));
    }
    told.iter().map(|(model, what)| format!(", {model} {what}")).collect()
}

/// What speaks for an answer: its quality with the lower bound, where labels say it; else what was checked.
fn proof(answer: &Answer, plan: Option<&Plan>) -> String {
    let of = |p: f64| format!("{p:.2}").trim_start_matches('0').to_owned();
    if let Some((score, lower)) = answer.quality.score.zip(answer.quality.lower) {
        return format!("quality {} ({})", of(score), of(lower));
    }
    let gated = plan.is_some_and(|plan| plan.checks.iter().any(|check| check.on_fail == Severity::Gate));
    match plan.map(|plan| &plan.kind) {
        _ if gated => "checks passed",
        Some(IntentKind::Classification(_)) => "valid",
        _ => "quality unknown",
    }
    .into()
}
