//! The answer that nearly all calls get, text and a count of tokens, read in fewer instructions than taking
//! a document apart takes. Whatever else may be in it is left to [`super::response`], which also says what is
//! wrong where something is: this says nothing but "not that plain".

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::response::finish_reason;
use super::tree;
use super::usage::Counted;
use crate::{Block, Completion};

/// A field that is not that plain, unless it is `null`.
type Other = Option<IgnoredAny>;

#[derive(Deserialize)]
struct Document {
    id: Option<String>,
    model: Option<String>,
    choices: [Choice; 1],
    usage: Option<Count>,
    error: Other,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    finish_reason: String,
    error: Other,
}

#[derive(Deserialize)]
struct Message {
    content: String,
    refusal: Other,
    tool_calls: Other,
    reasoning: Other,
    reasoning_content: Other,
}

#[derive(Deserialize)]
struct Count {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<Input>,
    completion_tokens_details: Option<Output>,
    prompt_cache_hit_tokens: Other,
    cache_creation: Other,
}

#[derive(Default, Deserialize)]
struct Input {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Output {
    reasoning_tokens: Option<u64>,
}

/// The answer with nothing in [`Completion::extra`]; `None` where it is not that plain, or wrong.
pub(super) fn read(body: &[u8]) -> Option<Completion> {
    let Document { id, model, choices: [choice], usage, error } = tree::read(body).ok()?;
    let Choice { message, finish_reason: finish, error: in_choice } = choice;
    let Message { content, refusal, tool_calls, reasoning, reasoning_content } = message;
    let others = [error, in_choice, refusal, tool_calls, reasoning, reasoning_content];
    if others.iter().any(Option::is_some) {
        return None;
    }
    let usage = match usage {
        None => None,
        Some(count) => Some(count.counted()?.usage()),
    };
    let finish = finish_reason(finish).ok()??;
    let (id, model) = (id.unwrap_or_default(), model.unwrap_or_default());
    Some(Completion { id, model, content: vec![Block::Text(content)], finish, usage, extra: Default::default() })
}

impl Count {
    fn counted(self) -> Option<Counted> {
        let Self { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details, .. } = self;
        let Input { cached_tokens, cache_write_tokens } = prompt_tokens_details.unwrap_or_default();
        let Output { reasoning_tokens } = self.completion_tokens_details.unwrap_or_default();
        let counts = [prompt_tokens, completion_tokens, total_tokens];
        let plain = self.prompt_cache_hit_tokens.is_none() && self.cache_creation.is_none();
        plain.then(|| Counted::plain(counts, [cached_tokens, cache_write_tokens, reasoning_tokens]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::{Map, Value, json};

    use super::super::response::decode_response;
    use super::*;

    /// What the whole reader makes of it, without what is left over.
    fn whole(body: &str) -> Option<Completion> {
        let completion = decode_response(body.as_bytes()).ok()?;
        Some(Completion { extra: Map::new(), ..completion })
    }

    fn answer() -> Value {
        json!({
            "id": "one", "object": "chat.completion", "created": 1, "model": "small", "service_tier": null,
            "choices": [{
                "index": 0, "finish_reason": "stop", "logprobs": null,
                "message": {"role": "assistant", "content": "a \"text\" é", "refusal": null, "annotations": []},
            }],
            "usage": {
                "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 12,
                "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 1},
            },
        })
    }

    #[test]
    fn a_plain_answer_is_read() {
        let completion = read(answer().to_string().as_bytes()).unwrap();
        assert_eq!(Some(&completion), whole(&answer().to_string()).as_ref());
        assert_eq!(completion.text(), "a \"text\" é");
        assert_eq!(completion.usage.map(|usage| (usage.output_tokens, usage.cached_tokens)), Some((5, 3)));
    }

    #[test]
    fn what_is_not_plain_is_left_to_the_whole_reader() {
        let change = |at: &str, value: Value| {
            let mut answer = answer();
            let (parent, name) = at.rsplit_once('/').unwrap();
            answer.pointer_mut(parent).and_then(Value::as_object_mut).unwrap().insert(name.to_owned(), value);
            answer.to_string()
        };
        for (at, value) in [
            ("/error", json!({"message": "no"})),
            ("/choices", json!([])),
            ("/choices/0/error", json!({"message": "no"})),
            ("/choices/0/finish_reason", json!("error")),
            ("/choices/0/finish_reason", json!("")),
            ("/choices/0/message/content", Value::Null),
            ("/choices/0/message/content", json!([{"type": "text", "text": "a"}])),
            ("/choices/0/message/refusal", json!("no")),
            ("/choices/0/message/tool_calls", json!([])),
            ("/choices/0/message/reasoning", json!("because")),
            ("/choices/0/message/reasoning_content", json!("because")),
            ("/usage/prompt_tokens", json!(-1)),
            ("/usage/prompt_cache_hit_tokens", json!(3)),
            ("/usage/cache_creation", json!({"ephemeral_5m_input_tokens": 3})),
        ] {
            assert_eq!(read(change(at, value.clone()).as_bytes()), None, "{at}: {value}");
        }
        let twice = answer().to_string().replacen("\"model\"", "\"model\":\"other\",\"model\"", 1);
        assert_eq!(read(twice.as_bytes()), None);
        assert_eq!(read(&answer().to_string().as_bytes()[1..]), None);
    }

    /// Fields taken out of an answer or given another value, at any place.
    fn changed() -> impl Strategy<Value = Value> {
        let places = [
            "/id",
            "/model",
            "/usage",
            "/usage/prompt_tokens",
            "/usage/total_tokens",
            "/usage/prompt_tokens_details",
            "/usage/prompt_tokens_details/cached_tokens",
            "/usage/completion_tokens_details",
            "/usage/new",
            "/choices/0/message/content",
            "/choices/0/message/role",
            "/choices/0/message/refusal",
            "/choices/0/message/tool_calls",
            "/choices/0/finish_reason",
            "/choices/0/message",
            "/choices",
            "/error",
        ];
        let value = prop_oneof![
            Just(None),
            select(vec![json!(null), json!(3), json!(1.5), json!("stop"), json!("tool_calls"), json!([]), json!({})])
                .prop_map(Some),
        ];
        prop::collection::vec((select(places.to_vec()), value), 0..3).prop_map(|changes| {
            let mut answer = answer();
            for (at, value) in changes {
                let Some((parent, name)) = at.rsplit_once('/') else { continue };
                let Some(parent) = answer.pointer_mut(parent).and_then(Value::as_object_mut) else { continue };
                match value {
                    Some(value) => _ = parent.insert(name.to_owned(), value),
                    None => _ = parent.remove(name),
                }
            }
            answer
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_the_whole_reader_reads(answer in changed()) {
            let body = answer.to_string();
            if let Some(completion) = read(body.as_bytes()) {
                prop_assert_eq!(Some(completion), whole(&body));
            }
        }
    }
}
