//! From an assertion and an answer to a grade.

use serde_json::Value;

use super::tools::{call_f1, function_call, tools_call};
use super::{Assertion, Facts, Grade, Kind};
use crate::ask::{share, text_of};
use crate::kinds::same;
use crate::parse::objects_in;
use crate::text::html::is_html;
use crate::text::ngrams::{bleu, gleu, rouge};
use crate::text::xml::{contains_xml, is_xml};
use crate::text::{contains_sql, distance_within, is_sql};

/// The thresholds that promptfoo documents where none is given.
const LEVENSHTEIN: f64 = 5.0;
const BLEU: f64 = 0.5;
const ROUGE: f64 = 0.75;
/// Distances are looked for up to this one.
const DISTANCE_MAX: f64 = 10_000.0;

/// What is found before `not` turns it around: whether it holds and, for what is graded, how much.
struct Found {
    holds: bool,
    score: Option<f64>,
    why: String,
}

impl Found {
    fn plain(result: Result<(), String>) -> Self {
        Self { holds: result.is_ok(), score: None, why: result.err().unwrap_or_default() }
    }

    fn is(holds: bool, why: impl Into<String>) -> Self {
        Self { holds, score: None, why: why.into() }
    }

    fn graded(what: &str, score: f64, threshold: f64) -> Self {
        Self { holds: score >= threshold, score: Some(score), why: format!("{what} is {score:.3}, below {threshold}") }
    }
}

impl Assertion {
    /// Grades an answer.
    ///
    /// # Errors
    /// What would have to be known of the answer and is not, such as its latency.
    pub fn grade(&self, facts: &Facts<'_>) -> Result<Grade, String> {
        let mut grade = match &self.kind {
            Kind::Set(assertions) => set(assertions, self.threshold, facts)?,
            _ => self.turned(self.found(facts)?),
        };
        // What weighs nothing is for information only.
        if self.weight == 0.0 {
            (grade.pass, grade.reason) = (true, String::new());
        }
        Ok(grade)
    }

    fn turned(&self, found: Found) -> Grade {
        let pass = found.holds != self.not;
        let score = match found.score {
            // promptfoo does not turn this one around.
            Some(score) if matches!(self.kind, Kind::ToolCallF1(_)) => score,
            Some(score) if self.not => 1.0 - score,
            Some(score) => score,
            None => f64::from(u8::from(pass)),
        };
        let reason = match (pass, self.not) {
            (true, _) => String::new(),
            (false, true) => "what must not hold does".into(),
            (false, false) => found.why,
        };
        Grade { pass, score, reason }
    }

    fn found(&self, facts: &Facts<'_>) -> Result<Found, String> {
        let text = text_of(facts.output);
        let text = text.as_ref();
        let or = |default: f64| self.threshold.unwrap_or(default);
        let known =
            |fact: Option<f64>, what: &str| fact.ok_or_else(|| format!("the {what} of this answer is not known"));
        Ok(match &self.kind {
            // Graded by its parts.
            Kind::Set(_) => Found::is(true, ""),
            Kind::Equals(wanted) => Found::is(equals(wanted, text), "it is not the value"),
            Kind::Contains { parts, any, fold } => contains(parts, *any, *fold, text),
            Kind::StartsWith(start) => Found::is(text.starts_with(start), format!("it does not begin with {start:?}")),
            Kind::Regex(regex) => Found::is(regex.is_match(text), format!("it does not match {}", regex.as_str())),
            Kind::IsJson(schema) => Found::plain(match serde_json::from_str::<Value>(text) {
                Err(_) => Err("it is not JSON".into()),
                Ok(value) => schema.as_ref().map_or(Ok(()), |s| s.validate(&value).map_err(|why| why.to_string())),
            }),
            Kind::ContainsJson(schema) => {
                let fits = |object: &Value| schema.as_ref().is_none_or(|schema| schema.validate(object).is_ok());
                Found::is(objects_in(text).iter().any(fits), "it has no JSON object as wanted")
            }
            Kind::IsXml(elements) => Found::plain(is_xml(text, elements)),
            Kind::ContainsXml(elements) => Found::is(contains_xml(text, elements), "it has no XML as wanted"),
            Kind::IsHtml => Found::plain(is_html(text).map_err(str::to_owned)),
            Kind::ContainsHtml(marks) => Found::is(marks.found_in(text), "it has no HTML"),
            Kind::IsSql(dialect) => Found::plain(is_sql(text, *dialect)),
            Kind::ContainsSql(dialect) => Found::is(contains_sql(text, *dialect), "it has no SQL"),
            Kind::IsRefusal(refusals) => {
                Found::is(!facts.output.is_string() || refusals.declines(text), "it does not decline to answer")
            }
            Kind::ToolsCall if text.contains("MCP Tool Error") => Found::is(false, "the tool of MCP failed"),
            Kind::ToolsCall if text.contains("MCP Tool Result") => Found::is(true, ""),
            Kind::ToolsCall => Found::plain(tools_call(facts.output, facts.tools)),
            Kind::FunctionCall => Found::plain(function_call(facts.output, facts.tools)),
            Kind::ToolCallF1(names) => Found::graded("F1 of the tools", call_f1(facts.output, names), or(1.0)),
            Kind::Levenshtein(like) => levenshtein(text, like, or(LEVENSHTEIN)),
            Kind::Rouge(like) => Found::graded("ROUGE-N", rouge(text, like), or(ROUGE)),
            Kind::Bleu(references) => Found::graded("BLEU", bleu(text, references), or(BLEU)),
            Kind::Gleu(references) => Found::graded("GLEU", gleu(text, references), or(BLEU)),
            Kind::WordCount { min, max } => words(text, *min, *max),
            Kind::FinishReason(wanted) => {
                let is = facts.finish_reason.is_some_and(|reason| reason.eq_ignore_ascii_case(wanted));
                Found::is(is, format!("it did not end with {wanted}"))
            }
            Kind::Guardrails => Found::is(!facts.flagged, "the provider's guardrails took offence"),
            Kind::Latency(most) => {
                let latency = known(facts.latency_ms, "latency")?;
                Found::is(latency <= *most, format!("it took {latency} ms, more than {most}"))
            }
            Kind::Cost(most) => {
                let cost = known(facts.cost_usd, "cost")?;
                Found::is(cost <= *most, format!("it cost {cost} dollars, more than {most}"))
            }
            Kind::Perplexity => {
                let perplexity = (-mean(facts.logprobs)?).exp();
                let holds = self.threshold.map_or(!self.not, |most| perplexity <= most);
                Found::is(holds, format!("its perplexity is {perplexity:.3}"))
            }
            Kind::PerplexityScore => {
                let score = 1.0 / (1.0 + (-mean(facts.logprobs)?).exp());
                let found = Found::graded("the perplexity score", score, or(0.0));
                let holds = self.threshold.map_or(!self.not, |_| found.holds);
                Found { holds, ..found }
            }
        })
    }
}

fn set(assertions: &[Assertion], threshold: Option<f64>, facts: &Facts<'_>) -> Result<Grade, String> {
    let (mut sum, mut weights, mut reason) = (0.0, 0.0, None);
    for assertion in assertions {
        let grade = assertion.grade(facts)?;
        sum += grade.score * assertion.weight;
        weights += assertion.weight;
        if !grade.pass {
            reason = Some(grade.reason);
        }
    }
    let score = if weights > 0.0 { sum / weights } else { 0.0 };
    let pass = threshold.map_or(reason.is_none(), |threshold| score >= threshold);
    let reason = if pass { String::new() } else { reason.unwrap_or_else(|| format!("the score is {score:.3}")) };
    Ok(Grade { pass, score, reason })
}

fn equals(wanted: &Value, text: &str) -> bool {
    match wanted {
        Value::Object(_) | Value::Array(_) | Value::Null => {
            serde_json::from_str(text).is_ok_and(|given: Value| same(wanted, &given))
        }
        plain => javascript_text(plain) == text,
    }
}

/// As JavaScript turns a value into text: 1.0 is `1`.
pub(crate) fn javascript_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
        }
        other => other.to_string(),
    }
}

fn contains(parts: &[String], any: bool, fold: bool, text: &str) -> Found {
    let lower;
    let text = if fold {
        lower = text.to_lowercase();
        lower.as_str()
    } else {
        text
    };
    let has = |part: &&String| if fold { text.contains(&part.to_lowercase()) } else { text.contains(part.as_str()) };
    if any {
        return Found::is(parts.iter().any(|part| has(&part)), format!("it contains none of {}", parts.join(", ")));
    }
    let missing = parts.iter().find(|part| !has(part));
    Found::is(missing.is_none(), format!("it does not contain {:?}", missing.map(String::as_str).unwrap_or_default()))
}

fn levenshtein(text: &str, like: &str, threshold: f64) -> Found {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 to 10,000")]
    let max = threshold.clamp(0.0, DISTANCE_MAX) as usize;
    let near = threshold >= 0.0 && distance_within(text, like, max).is_some();
    Found::is(near, format!("it is more than {threshold} changes from {like:?}"))
}

fn words(text: &str, min: Option<f64>, max: Option<f64>) -> Found {
    let count = share(text.split_whitespace().count(), 1);
    let holds = min.is_none_or(|min| count >= min) && max.is_none_or(|max| count <= max);
    Found::is(holds, format!("it has {count} words"))
}

fn mean(logprobs: &[f64]) -> Result<f64, String> {
    if logprobs.is_empty() {
        return Err("the probabilities of this answer's tokens are not known".into());
    }
    Ok(logprobs.iter().sum::<f64>() / share(logprobs.len(), 1))
}
