//! Core's wire types as OpenAPI describes them. Core does not know OpenAPI; a test holds the two
//! together field by field.
#![allow(dead_code, reason = "only their schemas are used")]

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Limits of one call. Each may tighten what the intent allows, never loosen it.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CallConfig)]
pub(crate) struct CallConfigSchema {
    /// The model to ask first: a candidate of the intent.
    pub(crate) primary_model: Option<String>,
    /// The model to ask when the first fails.
    pub(crate) fallback_model: Option<String>,
    /// All models to ask, in order. Instead of the two above.
    pub(crate) models: Option<Vec<String>>,
    /// Seconds for which a remembered answer may be given; 0 asks for a fresh one.
    #[serde(rename = "cacheTTL")]
    pub(crate) cache_ttl: Option<u64>,
    /// Milliseconds to the answer.
    pub(crate) max_latency_ms: Option<u64>,
    /// Retries on the same model, over the whole execution.
    pub(crate) retries: Option<u32>,
    /// The share of answers to similar inputs that may differ from the model's; 0 asks for none of them.
    pub(crate) semantic_error_max: Option<f64>,
}

/// One of many inputs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Item)]
pub(crate) struct ItemSchema {
    /// What is asked, as the intent's input schema says.
    pub(crate) input: Value,
    /// The caller's own name for it, said again with its result; at most 256 characters.
    #[schema(max_length = 256)]
    pub(crate) id: Option<String>,
    /// Besides those of all items.
    #[schema(required = false)]
    pub(crate) metadata: std::collections::BTreeMap<String, String>,
    /// Whom it is about, for deletion; at most 256 characters.
    #[schema(max_length = 256)]
    pub(crate) subject: Option<String>,
}

/// What came of one of many inputs: `answer` or `error`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ItemResult)]
pub(crate) struct ResultSchema {
    /// Its place among them, from 0.
    pub(crate) place: u32,
    /// Its caller's own name for it.
    #[schema(nullable = false)]
    pub(crate) id: Option<String>,
    /// `succeeded` or `failed`; `erased` where whom it was about was.
    pub(crate) status: String,
    /// When they were, Unix milliseconds.
    #[schema(nullable = false)]
    pub(crate) erased_at_ms: Option<i64>,
    /// What it was answered.
    #[schema(nullable = false)]
    pub(crate) answer: Option<AnswerSchema>,
    /// Why it was not: as the body of an error.
    #[schema(value_type = Option<Object>, nullable = false)]
    pub(crate) error: Option<Value>,
}

/// Many inputs, and how far they are answered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Job)]
pub(crate) struct JobSchema {
    #[schema(format = "uuid")]
    pub(crate) id: String,
    pub(crate) intent: String,
    /// `running`, `done` or `cancelled`.
    pub(crate) status: String,
    /// Unix milliseconds.
    pub(crate) created_at_ms: i64,
    /// Unix milliseconds; absent while it is running.
    #[schema(nullable = false)]
    pub(crate) ended_at_ms: Option<i64>,
    /// How many items it has.
    pub(crate) items: u32,
    /// Those that were answered.
    pub(crate) succeeded: u32,
    /// Those that ended in an error.
    pub(crate) failed: u32,
    /// Those that have no result yet; of a cancelled job, those that get none.
    pub(crate) waiting: u32,
    /// Dollars of all its executions; `null` where one is not known.
    #[schema(required = true)]
    pub(crate) cost_usd: Option<String>,
    /// Why none of its items is begun at present, as a limit that is reached; it goes on by itself.
    #[schema(nullable = false)]
    pub(crate) waits: Option<String>,
    /// How long it may take, where that was said.
    #[schema(nullable = false)]
    pub(crate) within: Option<String>,
    /// What it has at providers; absent where it has nothing.
    #[schema(required = false)]
    pub(crate) batches: Vec<ProviderBatchSchema>,
}

/// What a job has at a provider.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ProviderBatch)]
pub(crate) struct ProviderBatchSchema {
    pub(crate) model: String,
    /// The provider's id of it, once it has it.
    #[schema(nullable = false)]
    pub(crate) batch: Option<String>,
    /// `begun`, `handed_in` or `over`.
    pub(crate) status: String,
    /// What the provider said of it last.
    #[schema(nullable = false)]
    pub(crate) told: Option<String>,
}

/// An answer with known latency, cost and quality.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Answer)]
pub(crate) struct AnswerSchema {
    /// For feedback and for looking it up.
    #[schema(format = "uuid")]
    pub(crate) execution_id: String,
    /// The intent; absent for a raw model call.
    #[schema(nullable = false)]
    pub(crate) intent: Option<String>,
    /// The intent's version: the start of its policy hash; absent for a raw model call.
    #[schema(required = false)]
    pub(crate) version: String,
    /// `{label}`, the schema's fields, or `{text}`.
    #[schema(value_type = Object)]
    pub(crate) output: Value,
    /// Tools that the model asks the caller to run, in OpenAI's shape; absent where there are none.
    #[schema(value_type = Vec<Object>, required = false)]
    pub(crate) tool_calls: Vec<Value>,
    /// How good it is known to be.
    pub(crate) quality: QualitySchema,
    /// Where it came from.
    pub(crate) via: ViaSchema,
    /// Who answered; absent for a default answer.
    #[schema(nullable = false)]
    pub(crate) model: Option<String>,
    /// Why this model answered.
    #[schema(nullable = false)]
    pub(crate) reason: Option<String>,
    /// What was repaired before the answer was given; absent where nothing was.
    #[schema(required = false)]
    pub(crate) repairs: Vec<String>,
    /// Tokens of all attempts.
    pub(crate) usage: UsageSchema,
    /// Dollars of all attempts; `null` where a price is unknown.
    #[schema(required = true, examples("0.0000327"))]
    pub(crate) cost_usd: Option<String>,
    /// Where the time went.
    pub(crate) latency: LatencySchema,
    /// What was tried, and what was skipped.
    pub(crate) attempts: Vec<AttemptSchema>,
    /// Whether a simulated model gave the answer.
    pub(crate) simulated: bool,
}

/// Where an answer came from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = Via)]
pub(crate) enum ViaSchema {
    Model,
    CacheExact,
    CacheSemantic,
    Coalesced,
    Stale,
    Default,
}

/// The calibrated probability that an answer is acceptable, or what is needed to know it.
#[derive(Serialize, ToSchema)]
#[schema(as = Quality)]
pub(crate) struct QualitySchema {
    /// `null` without evidence.
    #[schema(required = true)]
    pub(crate) score: Option<f64>,
    /// Its lower confidence bound.
    #[schema(nullable = false)]
    pub(crate) lower: Option<f64>,
    /// What the score rests on; `none` without evidence.
    pub(crate) basis: String,
    /// Human labels behind it.
    pub(crate) labels: u64,
    /// Labels needed before there can be a score.
    #[schema(nullable = false)]
    pub(crate) needed: Option<u64>,
    /// Whether the gate could decide.
    pub(crate) verified: bool,
}

/// Tokens; input includes cached and written, output includes reasoning.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usage)]
pub(crate) struct UsageSchema {
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
    pub(crate) cached_tokens: u64,
    /// Input that the provider wrote to its cache; absent where there is none.
    #[schema(required = false)]
    pub(crate) cache_write_tokens: u64,
    /// The part of it that is kept for an hour; absent where there is none.
    #[serde(rename = "cacheWrite1hTokens")]
    #[schema(required = false)]
    pub(crate) cache_write_1h_tokens: u64,
    /// Absent where there are none.
    #[schema(required = false)]
    pub(crate) reasoning_tokens: u64,
    /// True where the provider reported nothing and the figures were estimated.
    #[schema(required = false)]
    pub(crate) estimated: bool,
}

/// Milliseconds.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Latency)]
pub(crate) struct LatencySchema {
    /// From the request fully read to the answer.
    pub(crate) total_ms: f64,
    /// The part not spent waiting for a model, or for a place at one.
    pub(crate) overhead_ms: f64,
    /// To the first token, where there was one.
    #[schema(nullable = false)]
    pub(crate) first_token_ms: Option<f64>,
}

/// A call of the model that several executions shared.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Batch)]
pub(crate) struct BatchSchema {
    /// Names the call; absent where none was shared.
    #[schema(required = false)]
    pub(crate) id: String,
    /// Inputs of the call.
    pub(crate) items: u32,
    /// Why it was asked for alone.
    #[schema(nullable = false)]
    pub(crate) alone: Option<String>,
    /// Tokens that sharing saved, estimated; below 0 where it was asked for alone, too.
    pub(crate) tokens_saved: i64,
    /// The same in dollars, as a decimal string; absent where the price is not known.
    #[schema(nullable = false)]
    pub(crate) saved_usd: Option<String>,
}

/// One try at one model, or why it was skipped.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Attempt)]
pub(crate) struct AttemptSchema {
    pub(crate) model: String,
    /// With which of the provider's keys, from 1, where it has several.
    #[schema(nullable = false)]
    pub(crate) key: Option<u32>,
    /// `primary`, `retry` or `fallback`.
    pub(crate) kind: String,
    /// `passed`, or why not.
    #[schema(examples("rate_limited"))]
    pub(crate) outcome: String,
    /// Milliseconds that it waited before for a place at the model; absent where it did not.
    #[schema(nullable = false)]
    pub(crate) queued_ms: Option<f64>,
    /// Milliseconds that it took.
    pub(crate) ms: f64,
    /// Milliseconds that its answer waited for a judge, or a second opinion; absent where it did not.
    #[schema(nullable = false)]
    pub(crate) judged_ms: Option<f64>,
    /// The call that it shared with others, or why it did not; absent where its intent does not batch, and where
    /// nobody else asked meanwhile.
    #[schema(nullable = false)]
    pub(crate) batch: Option<BatchSchema>,
    /// What was wrong.
    #[schema(nullable = false)]
    pub(crate) error: Option<String>,
}
