//! OpenAI's chat completions as a vendor sends them, written by hand and apart from Baton's own codec.

use serde_json::{Value, json};

use crate::FINGERPRINT;
use crate::answer::Answer;

/// Characters a token, as a rule of thumb. Streams send a token at a time, so that token counts are exact.
pub(crate) const CHARS_PER_TOKEN: usize = 4;

/// The form of answer that a request asks for.
#[derive(Clone)]
pub(crate) enum Format {
    Text,
    Json,
    Schema(Value),
}

/// What the simulator reads of a request.
#[derive(Clone)]
pub(crate) struct Prompt {
    pub(crate) model: String,
    /// Text of the last message that a user wrote.
    pub(crate) last_user: String,
    /// Text of all messages, and the schema.
    pub(crate) whole: String,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) max_tokens: Option<usize>,
    pub(crate) format: Format,
    /// The name of the first tool that is offered.
    pub(crate) tool: Option<String>,
    pub(crate) tokens: usize,
}

impl Prompt {
    /// # Errors
    /// What OpenAI would answer 400 to: its message.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let bad_json = |e| format!("We could not parse the JSON body of your request. ({e})");
        let request: Value = serde_json::from_slice(body).map_err(bad_json)?;
        let model = request["model"].as_str().ok_or("you must provide a model parameter")?.to_owned();
        let messages = request["messages"].as_array().filter(|m| !m.is_empty());
        let messages = messages.ok_or("Invalid 'messages': expected an array with at least one message.")?;
        let texts: Vec<String> = messages.iter().map(|m| text_of(&m["content"])).collect();
        let last_user = messages.iter().rposition(|m| m["role"] == "user");
        let format = match request["response_format"]["type"].as_str() {
            Some("json_schema") => Format::Schema(request["response_format"]["json_schema"]["schema"].clone()),
            Some("json_object") => Format::Json,
            _ => Format::Text,
        };
        let max_tokens = request.get("max_completion_tokens").or(request.get("max_tokens")).and_then(Value::as_u64);
        // Vendors charge for a schema as for text. Of those for one answer it is left out: in their favour.
        let shared = match &format {
            Format::Schema(schema) if schema.pointer("/properties/answers").is_some() => tokens_of(&schema.to_string()),
            _ => 0,
        };
        let tokens = shared + texts.iter().map(|t| tokens_of(t)).sum::<usize>();
        let mut whole = texts.join("\n");
        if let Format::Schema(schema) = &format {
            whole.push_str(&schema.to_string());
        }
        Ok(Self {
            model,
            last_user: last_user.map(|n| texts[n].clone()).unwrap_or_default(),
            whole,
            stream: request["stream"] == true,
            include_usage: request["stream_options"]["include_usage"] == true,
            max_tokens: max_tokens.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            format,
            tool: request["tools"][0]["function"]["name"].as_str().map(str::to_owned),
            tokens,
        })
    }

    /// Where to look for a case: the last user message, then everything.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        [self.last_user.as_str(), self.whole.as_str()].into_iter()
    }
}

/// A message's content: a string, or parts of which some are text.
fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}

fn tokens_of(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN)
}

/// The text in the pieces in which a stream sends it.
pub(crate) fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(CHARS_PER_TOKEN).map(String::from_iter).collect()
}

/// What all bytes of one answer share.
pub(crate) struct Frame<'a> {
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) created: u64,
    pub(crate) prompt: &'a Prompt,
    pub(crate) answer: &'a Answer,
}

impl Frame<'_> {
    /// The body of an answer that is not streamed. Without `finish` it says `null` there.
    pub(crate) fn whole(&self, finish: Option<&str>, usage: bool) -> String {
        let answer = self.answer;
        let silent = answer.refusal.is_some() || !answer.calls.is_empty();
        let content = if silent { Value::Null } else { json!(answer.text) };
        let mut body = json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.prompt.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": answer.refusal, "annotations": []},
                "logprobs": null, "finish_reason": finish,
            }],
            "usage": self.usage(), "service_tier": "default", "system_fingerprint": FINGERPRINT,
        });
        if !answer.calls.is_empty() {
            let calls = answer.calls.iter().map(Call::whole).collect();
            body["choices"][0]["message"]["tool_calls"] = Value::Array(calls);
        }
        if let (false, Some(fields)) = (usage, body.as_object_mut()) {
            fields.shift_remove("usage");
        }
        format!("{body:#}\n")
    }

    /// First event of a stream.
    pub(crate) fn role(&self) -> String {
        let silent = self.answer.refusal.is_some() || !self.answer.calls.is_empty();
        let content = if silent { Value::Null } else { json!("") };
        self.event(&json!({"role": "assistant", "content": content, "refusal": null}), None)
    }

    /// A token.
    pub(crate) fn token(&self, text: &str) -> String {
        let field = if self.answer.refusal.is_some() { "refusal" } else { "content" };
        self.event(&json!({ field: text }), None)
    }

    /// A call of a tool, whole in one event.
    pub(crate) fn call(&self, index: usize, call: &Call) -> String {
        let mut call = call.whole();
        call["index"] = index.into();
        self.event(&json!({ "tool_calls": [call] }), None)
    }

    /// The last event with a choice.
    pub(crate) fn finish(&self) -> String {
        self.event(&json!({}), Some(self.answer.finish))
    }

    /// The event that `include_usage` asks for.
    pub(crate) fn usage_event(&self) -> String {
        let mut chunk = self.chunk(json!([]));
        chunk["usage"] = self.usage();
        sse(&chunk)
    }

    fn event(&self, delta: &Value, finish: Option<&str>) -> String {
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        let mut chunk = self.chunk(json!([choice]));
        if self.prompt.include_usage {
            chunk["usage"] = Value::Null;
        }
        sse(&chunk)
    }

    fn chunk(&self, choices: Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.prompt.model,
            "service_tier": "default", "system_fingerprint": FINGERPRINT, "choices": choices,
        })
    }

    fn usage(&self) -> Value {
        let input = self.prompt.tokens;
        let output = tokens_of(self.answer.said());
        json!({
            "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }
}

/// A call of a tool, without arguments.
pub(crate) struct Call {
    pub(crate) id: &'static str,
    pub(crate) name: String,
}

impl Call {
    fn whole(&self) -> Value {
        json!({"id": self.id, "type": "function", "function": {"name": self.name, "arguments": "{}"}})
    }
}

/// The end of every whole stream.
pub(crate) const DONE: &str = "data: [DONE]\n\n";

pub(crate) fn sse(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// The error envelope for a status, with the words that vendors use.
pub(crate) fn error(status: u16, message: Option<&str>) -> Value {
    let (kind, code, usual) = match status {
        400 => ("invalid_request_error", None, "Invalid request."),
        401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
        402 => (
            "insufficient_quota",
            Some("billing_not_active"),
            "Your account is not active, please check your billing details.",
        ),
        403 => (
            "invalid_request_error",
            Some("unsupported_country_region_territory"),
            "Country, region, or territory not supported.",
        ),
        404 => (
            "invalid_request_error",
            Some("model_not_found"),
            "The model does not exist or you do not have access to it.",
        ),
        413 => (
            "invalid_request_error",
            Some("context_length_exceeded"),
            "This model's maximum context length was exceeded.",
        ),
        429 => ("requests", Some("rate_limit_exceeded"), "Rate limit reached. Please try again later."),
        529 => ("overloaded_error", None, "Overloaded"),
        _ => ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    };
    json!({"error": {"message": message.unwrap_or(usual), "type": kind, "param": null, "code": code}})
}
