//! What a model says to a prompt: the truth, something plausible but wrong, or a form fault.

use serde_json::{Value, json};

use crate::cases::{Cases, sole};
use crate::fault::Fault;
use crate::openai::{Call, Format, Prompt};
use crate::rng::Rng;
use crate::script::Truth;
use crate::wrong::{wrong_form, wrong_output};

/// What is written, before it becomes bytes.
pub(crate) struct Answer {
    /// Empty where the model refuses.
    pub(crate) text: String,
    pub(crate) refusal: Option<&'static str>,
    pub(crate) finish: &'static str,
    /// Instead of a text.
    pub(crate) calls: Vec<Call>,
    pub(crate) truth: Option<Truth>,
}

impl Answer {
    /// What is written, be it an answer or a refusal.
    pub(crate) fn said(&self) -> &str {
        self.refusal.unwrap_or(&self.text)
    }
}

/// Who answers, and how truthfully.
pub(crate) struct Speaker<'a> {
    pub(crate) seed: u64,
    pub(crate) model: &'a str,
    /// Share of wrong answers.
    pub(crate) wrong: f64,
    pub(crate) cases: &'a Cases,
}

impl Speaker<'_> {
    /// The answer to a prompt; depends on nothing else, so that a model repeats itself.
    pub(crate) fn answer(&self, prompt: &Prompt, fault: Option<&Fault>) -> Answer {
        let (output, truth) = self.output(prompt, fault);
        finished(output, fault, prompt, truth)
    }

    /// The output before it is written, with what is true of it.
    pub(crate) fn output(&self, prompt: &Prompt, fault: Option<&Fault>) -> (Value, Option<Truth>) {
        let known = prompt.texts().find_map(|text| self.cases.in_prompt(text, &prompt.whole));
        let Some(known) = known else {
            let mut rng = Rng::of(self.seed, &[self.model, "unknown", &prompt.whole]);
            return (self.unknown(prompt, &mut rng), None);
        };
        // Of the case alone, not of the prompt's wording: another prompt for the same input changes nothing.
        let input = known.case.input.to_string();
        let mut rng = Rng::of(self.seed, &[self.model, "wrong", &input]);
        let lies = rng.uniform() < self.wrong || matches!(fault, Some(Fault::Invented));
        let expected = &known.case.expected;
        let output = match fault {
            Some(Fault::WrongSchema) => wrong_form(expected),
            _ if lies => wrong_output(known, &mut rng),
            _ => expected.clone(),
        };
        let truth = Truth { expected: expected.clone(), wrong: output != *expected };
        (output, Some(truth))
    }

    /// An output for a prompt that no case explains: of the schema if there is one, else one of the labels
    /// that the prompt lists, else a text that says so.
    fn unknown(&self, prompt: &Prompt, rng: &mut Rng) -> Value {
        if let Format::Schema(schema) = &prompt.format {
            return instance(schema, rng, 0);
        }
        let listed = |labels: &&Vec<String>| !labels.is_empty() && labels.iter().all(|l| prompt.whole.contains(l));
        let labels = self.cases.groups().iter().map(|g| &g.labels).find(listed);
        match labels.and_then(|labels| rng.pick(labels)) {
            Some(label) => json!({ "label": label }),
            None => json!({ "text": "A simulated answer: no case of the scenario's truth files has this input." }),
        }
    }
}

pub(crate) fn finished(output: Value, fault: Option<&Fault>, prompt: &Prompt, truth: Option<Truth>) -> Answer {
    let plain = sole(&output, "label").or(sole(&output, "text"));
    let text = match (plain, &prompt.format) {
        (Some(plain), Format::Text) => plain.to_owned(),
        _ => output.to_string(),
    };
    let mut answer = Answer { text, refusal: None, finish: "stop", calls: Vec::new(), truth };
    match fault {
        Some(Fault::Length) => {
            answer.text = first_chars(&answer.text, answer.text.chars().count() / 2).to_owned();
            answer.finish = "length";
        }
        Some(Fault::Empty) => answer.text.clear(),
        Some(Fault::Refusal) => {
            answer.text.clear();
            answer.refusal = Some("I'm sorry, but I can't help with that.");
        }
        Some(Fault::Fenced) => {
            let kind = if answer.text.starts_with('{') { "json" } else { "" };
            answer.text = format!("Here is the answer:\n\n```{kind}\n{}\n```\n\nLet me know.", answer.text);
        }
        Some(Fault::DuplicateToolCalls) => {
            let name = prompt.tool.as_deref().unwrap_or("lookup");
            let call = || Call { id: "call_simulated", name: name.to_owned() };
            answer.text.clear();
            answer.calls = vec![call(), call()];
            answer.finish = "tool_calls";
        }
        Some(Fault::HugeChunk { bytes }) => answer.text = "x".repeat(*bytes),
        _ => {}
    }
    let room = prompt.max_tokens.unwrap_or(usize::MAX).saturating_mul(crate::openai::CHARS_PER_TOKEN);
    if answer.text.chars().count() > room {
        answer.text = first_chars(&answer.text, room).to_owned();
        answer.finish = "length";
    }
    answer
}

fn first_chars(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}

/// A value that a JSON Schema permits, for the keywords that structured output allows.
fn instance(schema: &Value, rng: &mut Rng, depth: usize) -> Value {
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(value) = schema.get("enum").and_then(Value::as_array).and_then(|values| rng.pick(values)) {
        return value.clone();
    }
    if let Some(first) = schema.get("anyOf").and_then(|any| any.get(0)) {
        return instance(first, rng, depth + 1);
    }
    let kind = &schema["type"];
    match kind.as_str().or_else(|| kind.get(0)?.as_str()) {
        // Deeper than any sensible schema: a reference to itself ends here.
        _ if depth > 16 => Value::Null,
        Some("string") => "simulated".into(),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(0.into()),
        Some("boolean") => false.into(),
        Some("array") => {
            let items = schema["minItems"].as_u64().unwrap_or(0).min(100);
            (0..items).map(|_| instance(&schema["items"], rng, depth + 1)).collect()
        }
        Some("object") => {
            let fields = schema["properties"].as_object().into_iter().flatten();
            fields.map(|(key, field)| (key.clone(), instance(field, rng, depth + 1))).collect()
        }
        _ => Value::Null,
    }
}
