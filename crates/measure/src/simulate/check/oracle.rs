//! What a model said, read from the bytes on the wire by other code than Baton's.

use serde_json::Value;

use crate::simulate::tap::Exchange;

/// What arrived of an answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) text: String,
    pub(super) refused: bool,
    /// Why the model stopped; `None` where it never said so.
    pub(super) finish: Option<String>,
    /// (input, output) tokens, where reported.
    pub(super) usage: Option<(u64, u64)>,
    /// Nothing in it was broken, cut off or an error.
    pub(super) sound: bool,
}

pub(super) fn read(exchange: &Exchange) -> Said {
    if exchange.status != Some(200) {
        return Said::default();
    }
    let text = String::from_utf8_lossy(&exchange.body);
    if exchange.events { stream(&text) } else { whole(&text, exchange) }
}

fn whole(text: &str, exchange: &Exchange) -> Said {
    let Ok(body) = serde_json::from_str::<Value>(text) else { return Said::default() };
    let choice = &body["choices"][0];
    let message = &choice["message"];
    Said {
        text: message["content"].as_str().unwrap_or_default().to_owned(),
        refused: message["refusal"].is_string(),
        // A whole body is whole, whatever it says.
        finish: Some(choice["finish_reason"].as_str().unwrap_or("stop").to_owned()),
        usage: usage(&body),
        sound: message.is_object() && exchange.length.is_none_or(|length| length == exchange.body.len()),
    }
}

fn stream(text: &str) -> Said {
    let mut said = Said { sound: true, ..Said::default() };
    for event in text.split("\n\n") {
        let Some(data) = event.strip_prefix("data: ") else {
            said.sound &= event.is_empty() || event.starts_with(':');
            continue;
        };
        if data == "[DONE]" {
            break;
        }
        let Ok(chunk) = serde_json::from_str::<Value>(data) else {
            said.sound = false;
            continue;
        };
        said.sound &= chunk["error"].is_null();
        let choice = &chunk["choices"][0];
        said.text.push_str(choice["delta"]["content"].as_str().unwrap_or_default());
        said.refused |= choice["delta"]["refusal"].is_string();
        said.usage = usage(&chunk).or(said.usage);
        if let Some(finish) = choice["finish_reason"].as_str() {
            said.finish = Some(finish.to_owned());
        }
    }
    said
}

fn usage(body: &Value) -> Option<(u64, u64)> {
    Some((body["usage"]["prompt_tokens"].as_u64()?, body["usage"]["completion_tokens"].as_u64()?))
}

/// Whether every word and number of `value` stands in `source`, letter by letter.
pub(super) fn stands_in(value: &str, source: &str) -> bool {
    let words = |text: &str| {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_lowercase).collect::<Vec<_>>()
    };
    let known = words(source);
    words(value).iter().all(|word| known.contains(word))
}
