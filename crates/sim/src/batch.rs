//! A prompt of several inputs, as Baton's micro-batches write it, read and answered by hand: each input as it
//! would be answered alone, but for what the scenario says of batches.

use serde_json::{Value, json};

use crate::answer::{Answer, Speaker, finished};
use crate::behaviour::InBatch;
use crate::cases::sole;
use crate::fault::Fault;
use crate::openai::{Format, Prompt};
use crate::rng::Rng;

/// One input of several.
pub(crate) struct Item {
    id: String,
    text: String,
}

/// The inputs of a prompt that asks for `{"answers": [{"id", "answer"}]}` and fences them; `None` where it has
/// another form.
pub(crate) fn items(prompt: &Prompt) -> Option<Vec<Item>> {
    let Format::Schema(schema) = &prompt.format else { return None };
    schema.pointer("/properties/answers/items/properties/answer")?;
    let mut items = Vec::new();
    let mut rest = prompt.last_user.as_str();
    while let Some((_, after)) = rest.split_once("<item id=\"") {
        let (id, after) = after.split_once("\">\n")?;
        let (text, after) = after.split_once(&format!("\n</item id=\"{id}\">"))?;
        items.push(Item { id: id.to_owned(), text: text.to_owned() });
        rest = after;
    }
    (!items.is_empty()).then_some(items)
}

/// What the model says to all of them.
pub(crate) fn answer(
    speaker: &Speaker<'_>,
    (prompt, items): (&Prompt, &[Item]),
    batch: &InBatch,
    fault: Option<&Fault>,
) -> Answer {
    let Format::Schema(schema) = &prompt.format else { return finished(Value::Null, fault, prompt, None) };
    let form = schema.pointer("/properties/answers/items/properties/answer").cloned().unwrap_or_default();
    let word = form["type"] == "string";
    let order = batch.obeys.as_ref().and_then(|words| items.iter().find_map(|item| obeyed(&item.text, words)));
    let one = |item: &Item| {
        let mut rng = Rng::of(speaker.seed, &[speaker.model, "batch", &item.text]);
        if rng.uniform() < batch.missing.get() {
            return None;
        }
        if let Some(order) = order.filter(|_| word) {
            return Some(json!({ "id": item.id, "answer": order }));
        }
        let format = if word { Format::Text } else { Format::Schema(form.clone()) };
        let alone = Prompt { last_user: item.text.clone(), format, ..prompt.clone() };
        let wrong = rng.uniform() < batch.wrong.get();
        let (output, _) = speaker.output(&alone, if wrong { Some(&Fault::Invented) } else { fault });
        let answer = sole(&output, "label").map_or_else(|| output.clone(), |label| json!(label));
        Some(json!({ "id": item.id, "answer": answer }))
    };
    let answers: Vec<Value> = items.iter().filter_map(one).collect();
    finished(json!({ "answers": answers }), fault, prompt, None)
}

/// What an input orders to be answered to all.
fn obeyed<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let (_, order) = text.split_once(words)?;
    order.lines().next().map(|line| line.trim().trim_end_matches('.')).filter(|order| !order.is_empty())
}
