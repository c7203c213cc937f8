//! The body of `POST /v1/execute`.

use std::collections::BTreeMap;

use baton_core::{CallConfig, ErrorCode, Failure, IntentName, NAME_CHARS_MAX};
use baton_engine::{Call, Caller, Target};
use baton_wire::Tool;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::schemas::CallConfigSchema;

/// Fields of the contract that this version does not have.
const LATER: [&str; 3] = ["messages", "batch", "idempotencyKey"];

const METADATA_MAX: usize = 32;
const METADATA_KEY_CHARS_MAX: usize = 64;
const METADATA_VALUE_CHARS_MAX: usize = 512;
const TOOLS_MAX: usize = 128;

/// One call of an intent.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExecuteRequest {
    /// The intent: the name of its folder.
    #[schema(examples("classify-ticket"))]
    intent: String,
    /// What it is asked about, as the intent's input schema says.
    #[schema(value_type = Value)]
    input: Value,
    /// Limits of this call, within the intent's and the key's.
    #[serde(default)]
    #[schema(value_type = CallConfigSchema)]
    config: CallConfig,
    /// Whether to answer with server-sent events.
    #[serde(default)]
    pub(crate) stream: bool,
    /// Groups calls; at most 256 characters.
    #[serde(default)]
    #[schema(max_length = 256)]
    session: Option<String>,
    /// For partitions and reports: at most 32 entries, keys of at most 64 and values of at most 512
    /// characters.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    /// Whom the call is about, for deletion; at most 256 characters.
    #[serde(default)]
    #[schema(max_length = 256)]
    subject: Option<String>,
    /// Tools that the model may ask for; running them is the caller's business. At most 128.
    #[serde(default)]
    tools: Vec<ToolSpec>,
    /// `auto`, `none`, `required`, or a named tool, in OpenAI's shape.
    #[serde(default)]
    #[schema(value_type = Option<Value>)]
    tool_choice: Option<Value>,
}

/// A tool in OpenAI's shape.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Tool)]
pub(crate) struct ToolSpec {
    /// What kind of tool; there is only `function`.
    r#type: ToolKind,
    /// The function.
    function: FunctionSpec,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ToolKind {
    Function,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = Function)]
pub(crate) struct FunctionSpec {
    /// Its name.
    name: String,
    /// What it does.
    description: Option<String>,
    /// JSON Schema of its arguments.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Value,
    /// What else the provider understands, for example `strict`.
    #[serde(flatten)]
    #[schema(ignore)]
    extra: Map<String, Value>,
}

/// A feature of the contract that is asked for before it exists is named, not called unknown.
pub(crate) fn explain(failure: Failure) -> Failure {
    let field = LATER.iter().find(|field| failure.message.starts_with(&format!("unknown field `{field}`")));
    match field {
        Some(field) => not_yet(&format!("`{field}`")).at(format!("/{field}")),
        None => failure,
    }
}

/// `unsupported_feature` for something that the contract has and this version does not.
pub(crate) fn not_yet(feature: &str) -> Failure {
    Failure::new(ErrorCode::UnsupportedFeature, format!("{feature} is not supported by this version"))
}

impl ExecuteRequest {
    /// The call; everything that can be judged without the intent's plan is judged here.
    ///
    /// # Errors
    /// `input_invalid` with the field.
    pub(crate) fn into_call(self, caller: Caller, received: Instant) -> Result<Call, Failure> {
        check_metadata(&self.metadata)?;
        check_name("/session", self.session.as_deref())?;
        check_name("/subject", self.subject.as_deref())?;
        if self.tools.len() > TOOLS_MAX {
            return Err(too_long("/tools", TOOLS_MAX, "tools"));
        }
        let tool = |spec: ToolSpec| {
            let ToolKind::Function = spec.r#type;
            let FunctionSpec { name, description, parameters, extra } = spec.function;
            // Unknown fields stand where they stood.
            let extra = (!extra.is_empty()).then(|| ("function".to_owned(), Value::Object(extra)));
            Tool { name, description, parameters, extra: extra.into_iter().collect() }
        };
        let target = Target::Intent { name: IntentName::new(&self.intent), input: self.input };
        Ok(Call {
            caller,
            config: self.config,
            stream: self.stream,
            tools: self.tools.into_iter().map(tool).collect(),
            tool_choice: self.tool_choice,
            metadata: self.metadata,
            session: self.session,
            subject: self.subject,
            received,
            ..Call::of(target)
        })
    }
}

pub(crate) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<(), Failure> {
    if metadata.len() > METADATA_MAX {
        return Err(too_long("/metadata", METADATA_MAX, "entries"));
    }
    for (key, value) in metadata {
        if key.chars().count() > METADATA_KEY_CHARS_MAX {
            return Err(too_long("/metadata", METADATA_KEY_CHARS_MAX, "characters in a key"));
        }
        if value.chars().count() > METADATA_VALUE_CHARS_MAX {
            return Err(too_long(&format!("/metadata/{key}"), METADATA_VALUE_CHARS_MAX, "characters"));
        }
    }
    Ok(())
}

pub(crate) fn check_name(param: &str, name: Option<&str>) -> Result<(), Failure> {
    match name {
        Some(name) if name.chars().count() > NAME_CHARS_MAX => Err(too_long(param, NAME_CHARS_MAX, "characters")),
        _ => Ok(()),
    }
}

fn too_long(param: &str, max: usize, what: &str) -> Failure {
    Failure::new(ErrorCode::InputInvalid, format!("{param}: at most {max} {what}")).at(param)
}
