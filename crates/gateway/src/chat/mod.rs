//! `POST /v1/chat/completions`: OpenAI's surface, for raw models and for `intent:NAME`.

mod answer;
mod events;
mod intent;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use baton_config::Plan;
use baton_core::{ErrorCode, Failure, IntentName};
use baton_engine::{Call, Caller, Target};
use baton_wire::{ChatRequest, openai};
use serde_json::Value;
use tokio::time::Instant;

use crate::error::{OpenAiErrorBody, Problem};
use crate::execute::{Received, check_name, idempotency, receive};
use crate::state::Gateway;
use crate::{headers, json, stream};

/// Before the name of an intent, where a model is named.
const INTENT: &str = "intent:";

/// Answers as OpenAI's chat completions do.
///
/// `model` is `provider/model` or an alias (raw: no cache, no checks), or `intent:NAME`: then the
/// one user message is the input, parsed as JSON where the intent's input schema wants an object.
/// What Baton knows besides is in the headers and in `baton`. `Idempotency-Key` as of `/v1/execute`.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "openai",
    params(("Idempotency-Key" = Option<String>, Header, description = "As of /v1/execute", max_length = 255)),
    request_body(content = Object, description = "As OpenAI's API defines it; unknown fields go to the provider"),
    responses(
        (status = 200, description = "A chat completion with `baton`; or a stream of chunks", content(
            (Object = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = "default", description = "An error in OpenAI's envelope", body = OpenAiErrorBody),
    )
)]
pub(crate) async fn completions(State(gateway): State<Gateway>, request: Request) -> Response {
    respond(&gateway, request).await.unwrap_or_else(Problem::into_openai)
}

async fn respond(gateway: &Gateway, request: Request) -> Result<Response, Problem> {
    let Received { parts, caller, body, at } = receive(gateway, request).await?;
    let idempotency = idempotency(&parts, &body)?;
    let chat = decode(&body, gateway.options().max_json_depth)?;
    drop(body);
    let usage = openai::include_usage(&chat);
    let Asked { call, plan } = ask(gateway, chat, caller, at)?;
    let call = Call { trace: headers::trace(&parts.headers), idempotency, ..call };
    // Others may have begun while the body arrived.
    gateway.room(&call.caller.team)?;
    if call.stream {
        let opened = stream::open(gateway, call).await?;
        let writer = events::Writer::new(opened.execution, plan, usage);
        return Ok(opened.respond(writer));
    }
    let delivered = gateway.orchestrator().execute(call).await?;
    headers::respond(&delivered.answer, &answer::completion(&delivered, plan.as_deref()))
}

fn decode(body: &[u8], depth_max: usize) -> Result<ChatRequest, Failure> {
    json::bound(body, depth_max)?;
    openai::decode_request(body).map_err(|error| {
        let code = match (error.code.as_deref(), error.param.as_deref()) {
            (Some("invalid_json"), _) => ErrorCode::InvalidJson,
            (_, Some("/n")) => ErrorCode::UnsupportedFeature,
            _ => ErrorCode::InputInvalid,
        };
        Failure { param: error.param, ..Failure::new(code, error.message) }
    })
}

/// A call, and the plan of its intent, where it is of one.
struct Asked {
    call: Call,
    plan: Option<Arc<Plan>>,
}

fn ask(gateway: &Gateway, chat: ChatRequest, caller: Caller, received: Instant) -> Result<Asked, Failure> {
    let user = chat.extra.get("user").and_then(Value::as_str).map(str::to_owned);
    check_name("user", user.as_deref())?;
    let (stream, subject) = (chat.stream, user);
    let Some(name) = chat.model.strip_prefix(INTENT) else {
        caller.may_call_models()?;
        let call = Call::of(Target::Model(Box::new(chat)));
        return Ok(Asked { call: Call { caller, stream, subject, received, ..call }, plan: None });
    };
    let name = IntentName::new(name);
    let plan = gateway.orchestrator().snapshot().intents.get(&name).map(Arc::clone);
    let call = intent::call(name, plan.as_deref(), chat, gateway.options().max_json_depth)?;
    Ok(Asked { call: Call { caller, stream, subject, received, ..call }, plan })
}
