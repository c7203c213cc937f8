//! One `[[checks]]` entry, asked of one answer.

use std::borrow::Cow;
use std::cell::OnceCell;

use baton_config::{CheckKind, CheckSpec};
use baton_core::CheckResult;
use serde_json::Value;

use crate::kinds::{Tools, meets, meets_kind};
use crate::reason::{Quote, bounded};
use crate::shape::Shape;
use crate::span::{self, Source, ground};

/// A check of the intent, compiled.
#[derive(Debug)]
pub(crate) struct Ask {
    spec: CheckSpec,
    /// Those of its fields that the schema does not declare: if they are missing, the check fails,
    /// while a declared field may be left out where the schema says so.
    undeclared: Vec<String>,
    /// What its kind needs besides.
    tools: Tools,
    /// The checks of a group.
    inner: Vec<Ask>,
}

/// Why a check failed, in words.
pub(crate) type Failed = String;

/// What a check said.
pub(crate) enum Said {
    Holds,
    /// A score below 1, and why.
    Fails(f64, Failed),
    /// There is nothing to ask.
    NotAsked,
}

impl Said {
    fn of(result: Result<(), Failed>) -> Self {
        match result {
            Ok(()) => Self::Holds,
            Err(why) => Self::Fails(0.0, why),
        }
    }

    fn score(&self) -> f64 {
        match self {
            Self::Fails(score, _) => *score,
            Self::Holds | Self::NotAsked => 1.0,
        }
    }
}

impl Ask {
    pub(crate) fn compile(spec: &CheckSpec, shape: Option<&Shape>) -> Self {
        let fields: Vec<_> = match &spec.kind {
            CheckKind::SpanInSource(fields) => fields.iter().collect(),
            _ => spec.field.iter().collect(),
        };
        let declared = |field: &str| shape.is_some_and(|shape| shape.declares(field));
        let undeclared = fields.into_iter().filter(|field| !declared(field)).cloned().collect();
        let inner = match &spec.kind {
            CheckKind::All(checks) | CheckKind::Any(checks) => {
                checks.iter().map(|check| Self::compile(check, shape)).collect()
            }
            _ => Vec::new(),
        };
        Self { spec: spec.clone(), undeclared, tools: Tools::of(&spec.kind), inner }
    }

    /// Asks the check of an answer; `None` where there is nothing to ask.
    pub(crate) fn ask(&self, answer: &Answer<'_>) -> Option<CheckResult> {
        let said = self.said(answer);
        if matches!(said, Said::NotAsked) {
            return None;
        }
        let score = said.score();
        let passed = score >= self.spec.threshold;
        let reason = match said {
            Said::Fails(_, why) if !passed => Some(bounded(why)),
            _ => None,
        };
        let graded = score > 0.0 && score < 1.0;
        let (check, severity) = (self.spec.name.clone(), self.spec.on_fail);
        Some(CheckResult { check, severity, passed, score: graded.then_some(score), reason })
    }

    /// Whether label margins are asked for.
    pub(crate) fn needs_margin(&self) -> bool {
        matches!(self.spec.kind, CheckKind::LabelMargin(_)) || self.inner.iter().any(Self::needs_margin)
    }

    fn said(&self, answer: &Answer<'_>) -> Said {
        let missing = self.undeclared.iter().find(|field| answer.output.pointer(field).is_none());
        match missing {
            Some(field) => Said::Fails(0.0, format!("there is no {field} in the output")),
            None => self.holds(answer),
        }
    }

    fn holds(&self, answer: &Answer<'_>) -> Said {
        let kind = &self.spec.kind;
        let quote = answer.quote;
        match kind {
            CheckKind::SpanInSource(fields) => {
                let met = || format!("{} occurs in the input, and must not", fields.join(", "));
                return self.turned(spans(fields, answer), met);
            }
            CheckKind::All(_) => {
                return self.turned(self.all(answer), || "all of its checks pass, and must not".into());
            }
            CheckKind::Any(_) => {
                return self.turned(self.any(answer), || "one of its checks passes, and must not".into());
            }
            CheckKind::Cel(expression) => {
                let result = expression.holds(answer.output, answer.input).map_err(|why| {
                    let why = if quote.content { why.to_string() } else { "is not true".into() };
                    format!("{} {why}", expression.source())
                });
                return self.turned(Said::of(result), || format!("{} is true, and must not", expression.source()));
            }
            CheckKind::FinishReason(wanted) => {
                let Some(reason) = answer.evidence.finish_reason else { return Said::NotAsked };
                let is = wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(reason));
                let result =
                    if is { Ok(()) } else { Err(format!("it ended with {reason}, not {}", wanted.join(" or "))) };
                return self.turned(Said::of(result), || format!("it ended with {reason}, and must not"));
            }
            CheckKind::LabelMargin(min) => {
                let Some(margin) = answer.evidence.margin else { return Said::NotAsked };
                let why = || format!("the label is {margin:.3} more probable than the next, at least {min} is wanted");
                let result = if margin >= *min { Ok(()) } else { Err(why()) };
                return self
                    .turned(Said::of(result), || format!("the label is {margin:.3} more probable, and must not"));
            }
            _ => {}
        }
        self.of_value(answer)
    }

    /// Asks what looks at one value.
    fn of_value(&self, answer: &Answer<'_>) -> Said {
        let (kind, quote) = (&self.spec.kind, answer.quote);
        let field = self.spec.field.as_deref();
        let (value, text) = match field.map(|field| answer.output.pointer(field)) {
            None => (answer.whole, Cow::Borrowed(answer.whole_text())),
            Some(Some(value)) => (value, text_of(value)),
            Some(None) => return Said::Holds,
        };
        if value.is_null() {
            return Said::Holds;
        }
        let at = |why: Failed| match field {
            Some(field) => format!("{field}: {why}"),
            None => why,
        };
        let met = || at(format!("{} {}, and must not", quote.text(&text), meets(kind)));
        let said = match kind {
            CheckKind::NumbersInSource => grounded(ground::numbers(&text, answer.source()), "number", quote),
            CheckKind::NamesInSource => grounded(ground::names(&text, answer.source()), "name", quote),
            _ => meets_kind(kind, &self.tools, value, &text, quote),
        };
        let said = match said {
            Said::Fails(score, why) => Said::Fails(score, at(why)),
            other => other,
        };
        self.turned(said, met)
    }

    /// Turns a result around where the check says `not`.
    fn turned(&self, said: Said, met: impl Fn() -> Failed) -> Said {
        match said {
            said if !self.spec.not => said,
            Said::Holds => Said::Fails(0.0, met()),
            Said::Fails(score, _) if score >= self.spec.threshold => Said::Fails(1.0 - score, met()),
            Said::Fails(..) => Said::Holds,
            Said::NotAsked => Said::NotAsked,
        }
    }

    /// The weighted mean of the checks' scores; what weighs nothing cannot fail.
    fn all(&self, answer: &Answer<'_>) -> Said {
        let (mut sum, mut weights, mut failed, mut first) = (0.0, 0.0, 0, None);
        for ask in self.inner.iter().filter(|ask| ask.spec.weight > 0.0) {
            let said = ask.said(answer);
            if matches!(said, Said::NotAsked) {
                continue;
            }
            let (score, weight) = (said.score(), ask.spec.weight);
            sum += score * weight;
            weights += weight;
            if let Said::Fails(score, why) = said
                && score < ask.spec.threshold
            {
                failed += 1;
                first.get_or_insert(format!("{}: {why}", ask.spec.name));
            }
        }
        let Some(why) = first else { return if weights > 0.0 { Said::Holds } else { Said::NotAsked } };
        let more = if failed > 1 { format!(" (and {} more)", failed - 1) } else { String::new() };
        Said::Fails((sum / weights).min(1.0 - f64::EPSILON), format!("{why}{more}"))
    }

    fn any(&self, answer: &Answer<'_>) -> Said {
        let mut reasons = Vec::new();
        let mut best = 0.0_f64;
        for ask in &self.inner {
            match ask.said(answer) {
                Said::Holds => return Said::Holds,
                Said::Fails(score, _) if score >= ask.spec.threshold => return Said::Holds,
                Said::Fails(score, why) => {
                    best = best.max(score);
                    reasons.push(format!("{}: {why}", ask.spec.name));
                }
                Said::NotAsked => {}
            }
        }
        if reasons.is_empty() {
            Said::NotAsked
        } else {
            Said::Fails(best, format!("none passes: {}", reasons.join("; ")))
        }
    }
}

/// What checks are asked of.
pub(crate) struct Answer<'a> {
    pub(crate) output: &'a Value,
    /// The part that a check without a field looks at: the label, the generated text, or all.
    pub(crate) whole: &'a Value,
    /// That as text, once it was needed.
    pub(crate) text: OnceCell<Cow<'a, str>>,
    pub(crate) input: &'a Value,
    /// The input's text, once it was needed.
    pub(crate) source: OnceCell<Source>,
    pub(crate) evidence: Evidence<'a>,
    pub(crate) quote: Quote,
}

/// What is known of an answer besides its output.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evidence<'a> {
    /// The provider's reason for the end.
    pub(crate) finish_reason: Option<&'a str>,
    /// How much more probable the label is than the next.
    pub(crate) margin: Option<f64>,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(output: &'a Value, whole: &'a Value, input: &'a Value, quote: Quote) -> Self {
        let (text, source) = (OnceCell::new(), OnceCell::new());
        Self { output, whole, text, input, source, evidence: Evidence::default(), quote }
    }

    fn whole_text(&self) -> &str {
        self.text.get_or_init(|| text_of(self.whole))
    }

    fn source(&self) -> &Source {
        self.source.get_or_init(|| Source::of(self.input))
    }
}

/// Text as it is, anything else as JSON.
pub(crate) fn text_of(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

fn spans(fields: &[String], answer: &Answer<'_>) -> Said {
    let quote = answer.quote;
    let missing = |field: &String| {
        let value = answer.output.pointer(field)?;
        let (leaf, why) = span::find(answer.source(), value).err()?;
        let why = if quote.content { why.to_string() } else { "does not stand in the input".into() };
        Some(format!("{field}: {} {why}", quote.value(leaf)))
    };
    let mut missing = fields.iter().filter_map(missing);
    let Some(first) = missing.next() else { return Said::Holds };
    let others = missing.count();
    let why = if others == 0 { first } else { format!("{first} (and {others} more)") };
    Said::Fails(share(fields.len() - 1 - others, fields.len()), why)
}

fn grounded(found: ground::Grounding<'_>, what: &str, quote: Quote) -> Said {
    let Some(first) = found.missing.first() else { return Said::Holds };
    let others = found.missing.len() - 1;
    let more = if others == 0 { String::new() } else { format!(" (and {others} more)") };
    let why = format!("the {what} {} does not stand in the input{more}", quote.text(first));
    Said::Fails(share(found.claims - found.missing.len(), found.claims), why)
}

/// A part as a share of the whole.
pub(crate) fn share(part: usize, whole: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counts within a text are far below 2^53")]
    let (part, whole) = (part as f64, whole as f64);
    part / whole
}
