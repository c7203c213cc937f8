//! What the demonstration prints: a line for each call, and the table.

use std::collections::BTreeMap;

use baton_core::{Answer, AttemptOutcome, NanoUsd, Via};
use comfy_table::CellAlignment;
use serde_json::{Map, Value, json};

use crate::setup::plain_table;

/// What one side gave for one call.
#[derive(Default)]
pub(super) struct Side {
    pub(super) output: Option<Value>,
    pub(super) error: Option<String>,
    pub(super) who: String,
    pub(super) why: String,
    pub(super) ms: f64,
    pub(super) cost: NanoUsd,
    pub(super) cached: bool,
    pub(super) fell_back: bool,
    pub(super) wrong: bool,
}

impl Side {
    pub(super) fn of_answer(answer: &Answer, ms: f64) -> Self {
        let fell_back = answer
            .attempts
            .iter()
            .any(|attempt| !matches!(attempt.outcome, AttemptOutcome::Passed | AttemptOutcome::Abstained));
        let model = answer.model.as_ref().map_or("default", |model| model.name());
        let who = match answer.via {
            Via::Model => model.to_owned(),
            via => via.as_str().to_owned(),
        };
        Self {
            output: Some(answer.output.clone()),
            who,
            why: if fell_back { answer.reason.clone().unwrap_or_default() } else { String::new() },
            ms,
            cost: answer.cost_usd.as_deref().and_then(|usd| usd.parse().ok()).unwrap_or_default(),
            cached: matches!(answer.via, Via::CacheExact | Via::Coalesced),
            fell_back,
            ..Self::default()
        }
    }

    /// Compares with the simulator's truth, white space aside.
    pub(super) fn judge(&mut self, truth: Option<&Value>) {
        self.wrong = self.output.as_ref().zip(truth).is_some_and(|(output, truth)| squeezed(output) != squeezed(truth));
    }

    fn shown(&self) -> String {
        if let Some(error) = &self.error {
            return format!("ERROR {error}");
        }
        let output = self.output.clone().unwrap_or_default();
        let text = ["label", "total", "text"].iter().find_map(|field| output.get(field)?.as_str());
        let text = text.map_or_else(|| output.to_string(), str::to_owned);
        if self.wrong { format!("{} ✗ wrong", cut(&text, 14)) } else { text }
    }
}

fn squeezed(value: &Value) -> String {
    value.to_string().replace("\\n", " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cut(text: &str, width: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= width {
        return line;
    }
    let kept: String = line.chars().take(width - 1).collect();
    format!("{kept}…")
}

/// One call, both sides.
pub(super) fn line(intent: &str, plain: &Side, baton: &Side) -> String {
    let side = |side: &Side| format!("{:24} {:>6.0} ms", cut(&side.shown(), 24), side.ms);
    let line = format!("{intent:16} {} │ {} {:15} {}", side(plain), side(baton), baton.who, cut(&baton.why, 70));
    line.trim_end().to_owned()
}

/// One intent's figures.
#[derive(Default)]
struct Figures {
    ms: Vec<f64>,
    plain_ms: Vec<f64>,
    cost: NanoUsd,
    cost_naive: NanoUsd,
    cache_hits: u64,
    fallbacks: u64,
    wrong: [u64; 2],
    errors: [u64; 2],
}

/// What happened, by intent.
#[derive(Default)]
pub(super) struct Tally {
    intents: BTreeMap<String, Figures>,
    executions: u64,
    succeeded: u64,
    /// Records that the store holds in the end.
    pub(super) records: u64,
}

impl Tally {
    pub(super) fn add(&mut self, intent: &str, plain: &Side, baton: &Side) {
        self.executions += 1;
        self.succeeded += u64::from(baton.error.is_none());
        let figures = self.intents.entry(intent.to_owned()).or_default();
        figures.ms.push(baton.ms);
        figures.plain_ms.push(plain.ms);
        figures.cost += baton.cost;
        figures.cost_naive += plain.cost;
        figures.cache_hits += u64::from(baton.cached);
        figures.fallbacks += u64::from(baton.fell_back);
        for (n, side) in [baton, plain].into_iter().enumerate() {
            figures.wrong[n] += u64::from(side.wrong);
            figures.errors[n] += u64::from(side.error.is_some());
        }
    }

    pub(super) fn table(&self) -> String {
        let mut table = plain_table();
        table.set_header([
            "",
            "calls",
            "p50 ms",
            "p95 ms",
            "cost USD",
            "answers remembered",
            "fell back",
            "errors",
            "wrong answers",
        ]);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        for (intent, figures) in &self.intents {
            let sides = [("plain", 1, &figures.plain_ms, figures.cost_naive), ("baton", 0, &figures.ms, figures.cost)];
            for (name, n, ms, cost) in sides {
                let own = |count: u64| if n == 0 { count.to_string() } else { "-".into() };
                table.add_row([
                    format!("{intent} {name}"),
                    figures.ms.len().to_string(),
                    format!("{:.0}", quantile(ms, 0.5)),
                    format!("{:.0}", quantile(ms, 0.95)),
                    cost.to_string(),
                    own(figures.cache_hits),
                    own(figures.fallbacks),
                    figures.errors[n].to_string(),
                    figures.wrong[n].to_string(),
                ]);
            }
        }
        format!(
            "\n{table}\n\n{} executions, {} answered, {} records.\n\
             Invented values are caught: they do not occur in the receipt. Valid but wrong labels and texts stay wrong on\n\
             both sides: nothing has labelled any answer yet, so their quality is not known, and every answer says so.",
            self.executions, self.succeeded, self.records
        )
    }

    pub(super) fn json(&self) -> Value {
        let intents = self.intents.iter().map(|(intent, figures)| {
            let figures = json!({
                "calls": figures.ms.len(),
                "p50_ms": quantile(&figures.ms, 0.5),
                "p95_ms": quantile(&figures.ms, 0.95),
                "cost_usd": figures.cost.to_string(),
                "cost_naive_usd": figures.cost_naive.to_string(),
                "cache_hits": figures.cache_hits,
                "fallbacks": figures.fallbacks,
                "errors": { "baton": figures.errors[0], "plain": figures.errors[1] },
                "wrong": { "baton": figures.wrong[0], "plain": figures.wrong[1] },
            });
            (intent.clone(), figures)
        });
        json!({
            "simulated": true,
            "executions": self.executions,
            "succeeded": self.succeeded,
            "records": self.records,
            "intents": intents.collect::<Map<_, _>>(),
        })
    }
}

/// Nearest rank, rounded to a tenth of a millisecond.
fn quantile(ms: &[f64], q: f64) -> f64 {
    (baton_stats::quantile(ms, q).unwrap_or_default() * 10.0).round() / 10.0
}
