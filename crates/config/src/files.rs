//! The shapes of the files. Their comments become the JSON Schemas that editors show.

use std::collections::BTreeMap;

use baton_core::Unproven as CoreUnproven;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::batch_file::BatchFile;
use crate::cache_file::CacheFile;
use crate::check_file::CheckFile;
use crate::price_file::PriceFile;
use crate::privacy_file::PrivacyFile;
use crate::review_file::{CriterionFile, JudgeFile, ReviewFile};
use crate::route_file::{RouteFile, RoutingFile};
use crate::webhooks::Topic;

/// `intents/NAME/intent.toml`: the policy of one intent.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "intent.toml", extend("required" = ["models"]))]
pub(crate) struct IntentFile {
    /// Candidates: `provider/model`, an alias of baton.toml, or `local`, the built-in model that
    /// learns from the cases. Asked in this order.
    // Required by the schema; the default lets the rest be looked at where it is wrong.
    #[serde(default)]
    #[schemars(length(min = 1, max = 32))]
    pub(crate) models: Vec<String>,
    /// How candidates are ranked. `cheapest`, `fastest` and `cascade` behave as `ordered`, and say so, until there
    /// is evidence.
    #[serde(default)]
    pub(crate) route: RouteFile,
    /// The terms of the ranking, where it is not `ordered`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) routing: Option<RoutingFile>,
    /// What happens when no candidate gave an acceptable answer.
    #[serde(default)]
    pub(crate) on_exhausted: OnExhaustedFile,
    /// How many cases are shown to the model as examples, chosen once.
    #[serde(default)]
    #[schemars(range(max = 64))]
    pub(crate) examples: usize,
    /// Streams may be given before their gate checks have passed.
    #[serde(default)]
    pub(crate) stream_unverified: bool,
    /// Makes the intent a classification: each label with what it means, in the order shown to the
    /// model.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) labels: Map<String, Value>,
    /// Parameters of the model call.
    #[serde(default)]
    pub(crate) params: ParamsFile,
    /// What is promised.
    #[serde(default)]
    pub(crate) objective: ObjectiveFile,
    /// Retries on the same model.
    #[serde(default)]
    pub(crate) retry: RetryFile,
    /// Asking a second model where the first takes unusually long.
    #[serde(default)]
    pub(crate) hedge: HedgeFile,
    /// What streams must keep to.
    #[serde(default)]
    pub(crate) stream: StreamFile,
    /// The cache of whole answers.
    #[serde(default)]
    pub(crate) cache: CacheFile,
    /// Calls of the same scope that come close together share one call of the model. Off unless it stands
    /// there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<BatchFile>,
    /// What the intent may use, whoever calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) budget: Option<BudgetFile>,
    /// What is asked of every answer besides its form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub(crate) checks: Vec<CheckFile>,
    /// What people judge answers by, one failure mode each: the buttons of a review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 9))]
    pub(crate) criteria: Vec<CriterionFile>,
    /// The built-in model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) local: Option<LocalFile>,
    /// Another model that says of sampled answers whether they meet the criteria, or that answers itself, as
    /// a second opinion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judge: Option<JudgeFile>,
    /// Which answers people are asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) review: Option<ReviewFile>,
    /// What may be stored.
    #[serde(default)]
    pub(crate) privacy: PrivacyFile,
}

/// `"error"`: the typed error. `"stale"`: a remembered answer past its time, labelled; else the
/// error. `{ default = … }`: this output, labelled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnExhaustedFile {
    #[default]
    Error,
    Stale,
    Default(Map<String, Value>),
}

/// `[params]`: by the names of OpenAI's API.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ParamsFile {
    /// How much the choice of words varies.
    #[schemars(range(min = 0, max = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    /// Only the likeliest words that together have this probability.
    #[schemars(range(min = 0, max = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    /// The most tokens of an answer; one that runs into it is truncated and does not pass.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    /// Texts at which the model stops.
    #[schemars(length(max = 16))]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<String>,
    /// For repeatable sampling, where the provider has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    /// -2 to 2: against words that were often used.
    #[schemars(range(min = -2, max = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    frequency_penalty: Option<f64>,
    /// -2 to 2: against words that were used.
    #[schemars(range(min = -2, max = 2))]
    #[serde(skip_serializing_if = "Option::is_none")]
    presence_penalty: Option<f64>,
    /// How long a reasoning model thinks: `low`, `medium`, `high`, or what its provider knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<String>,
}

/// `[objective]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ObjectiveFile {
    /// Milliseconds to the answer; the ceiling of a call's `maxLatencyMs` too.
    #[schemars(range(min = 1, max = 600_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_ms: Option<u64>,
    /// Share of passed answers that a reviewer would pass.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub(crate) quality: f64,
    /// With which confidence.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    pub(crate) confidence: f64,
    /// What happens to answers while there are too few labels to know: `pass` gives them, marked
    /// unverified; `judge` asks the `[judge]` first, where there is time; `fail` does not give them.
    pub(crate) unproven: UnprovenFile,
}

impl Default for ObjectiveFile {
    fn default() -> Self {
        Self { latency_ms: None, quality: 0.95, confidence: 0.9, unproven: UnprovenFile::Pass }
    }
}

/// What happens to answers without evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum UnprovenFile {
    #[default]
    Pass,
    Judge,
    Fail,
}

impl From<UnprovenFile> for CoreUnproven {
    fn from(file: UnprovenFile) -> Self {
        match file {
            UnprovenFile::Pass => Self::Pass,
            UnprovenFile::Judge => Self::Judge,
            UnprovenFile::Fail => Self::Fail,
        }
    }
}

/// `[retry]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RetryFile {
    /// The most retries of one execution; the ceiling of a call's `retries` too.
    #[schemars(range(max = 20))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<u32>,
}

/// `[hedge]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct HedgeFile {
    /// The most hedges, as a share of recent calls; 0 switches them off.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(crate) max_share: f64,
}

impl Default for HedgeFile {
    fn default() -> Self {
        Self { max_share: 0.05 }
    }
}

/// `[stream]`: what a streamed answer must keep to. Before its text is released a breach is a slow
/// attempt, and the next candidate is asked; after it the stream ends with `stream_interrupted`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StreamFile {
    /// The longest from an attempt's start to its first token: `30s`.
    pub(crate) first_token: String,
    /// The longest from one piece to the next: `20s`. Comments that keep a connection alive are no
    /// pieces.
    pub(crate) idle: String,
    /// The longest from the call to the stream's end: `10m`. Its deadline too, where that is longer.
    pub(crate) total: String,
    /// The least that a model writes, in bytes a second; 0 is no floor.
    #[schemars(range(max = 1_000_000))]
    pub(crate) min_bytes_per_second: u32,
    /// The floor is asked of each stretch of this length, from the first token on: `30s`.
    pub(crate) grace: String,
}

impl Default for StreamFile {
    fn default() -> Self {
        Self {
            first_token: "30s".into(),
            idle: "20s".into(),
            total: "10m".into(),
            min_bytes_per_second: 4,
            grace: "30s".into(),
        }
    }
}

/// `[budget]`. What is absent is not limited.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BudgetFile {
    /// Calls in any 60 seconds; more are refused with `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls_per_minute: Option<u64>,
    /// Tokens, read and written, in any 60 seconds. A model that may need more than is left is not
    /// asked; where no other is left, the error is `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Dollars a day, which begins at 00:00 UTC. A model that may cost more than is left, or whose
    /// price is not known, is not asked; where no other is left, the error is `budget_exhausted`.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usd_per_day: Option<f64>,
}

/// `[local]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LocalFile {
    /// The confidence below which `local` abstains; 0 forces an answer. If absent, the lowest whose
    /// leave-one-out precision on the cases reaches `objective.quality`.
    #[schemars(range(min = 0, max = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cut: Option<f64>,
}

/// `baton.toml`: what the intents share. Optional, as is everything in it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "baton.toml")]
pub(crate) struct BatonFile {
    /// Names that stand for models.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) models: BTreeMap<String, ModelFile>,
    /// Providers with special needs. Those that are built in need no entry.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) providers: BTreeMap<String, ProviderFile>,
    /// Teams, to which keys belong.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) teams: BTreeMap<String, TeamFile>,
    /// Where records go.
    pub(crate) store: StoreFile,
    /// How much the server takes on.
    pub(crate) server: ServerFile,
    /// Who is told when something should be looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub(crate) webhooks: Vec<WebhookFile>,
}

/// One `[[webhooks]]` entry: signed as the Standard Webhooks specification says.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WebhookFile {
    /// Where notices are sent: `https://…`.
    pub(crate) url: String,
    /// Where its secret is: `whsec_` and 24 to 64 bytes in base64.
    pub(crate) secret: SecretFile,
    /// What it is told of; everything if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub(crate) events: Option<Vec<Topic>>,
}

/// `[server]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ServerFile {
    /// Executions at a time; more are refused with `queue_full`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_running: u32,
    /// Calls that wait for a place at one model and key; more are refused with `queue_full`. 0:
    /// nobody waits.
    #[schemars(range(max = 1_000_000))]
    pub(crate) queue_max: u32,
}

impl Default for ServerFile {
    fn default() -> Self {
        Self { max_running: 16_384, queue_max: 1024 }
    }
}

/// `[models.NAME]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile {
    /// The model that the name stands for: `provider/model`.
    pub(crate) id: String,
    /// What its tokens cost, instead of the built-in price; see `baton prices`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<PriceFile>,
    /// The longest that one attempt may take, `60s` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<String>,
}

/// `[providers.NAME]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderFile {
    /// A built-in provider's name, `openai-compatible` or `simulated`. Absent where the name itself
    /// is a built-in provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    /// Where it is, up to and with `/v1` or its like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base_url: Option<String>,
    /// Where its key is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<SecretFile>,
    /// Instead of `api_key`, a pool of keys: load is spread over them, and one that is refused is
    /// dropped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub(crate) api_keys: Vec<SecretFile>,
    /// The most calls at a time to one of its models with one key. What it really holds is learnt.
    #[serde(default = "max_concurrency")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) max_concurrency: u32,
    /// For `simulated`: the scenario file, relative to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) scenario: Option<String>,
    /// For `simulated`: the seed; 0 if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seed: Option<u64>,
}

/// As many as the server runs: no bound but what is learnt.
pub(crate) fn max_concurrency() -> u32 {
    ServerFile::default().max_running
}

/// `{ env = "NAME" }` or `{ file = "path" }`; never the secret itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SecretFile {
    /// The environment variable that holds it.
    Env(String),
    /// The file that holds it, relative to this one.
    File(String),
}

/// `[teams.NAME]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TeamFile {
    /// The intents that it may call; all if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intents: Option<Vec<String>>,
    /// Its weight where teams compete for places: 2 gets twice as many as 1.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) share: u32,
    /// Jobs that are not over; more are refused with `queue_full`.
    pub(crate) jobs: u32,
    /// Calls of all its keys in any 60 seconds; more are refused with `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls_per_minute: Option<u64>,
    /// Tokens of all its keys, read and written, in any 60 seconds. A model that may need more than is
    /// left is not asked; where no other is left, the error is `rate_limit`.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Dollars of all its keys a day, which begins at 00:00 UTC. A model that may cost more than is
    /// left, or whose price is not known, is not asked; where no other is left, the error is
    /// `budget_exhausted`.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usd_per_day: Option<f64>,
}

impl TeamFile {
    /// What it may use.
    pub(crate) fn budget(&self) -> BudgetFile {
        let Self { calls_per_minute, tokens_per_minute, usd_per_day, .. } = *self;
        BudgetFile { calls_per_minute, tokens_per_minute, usd_per_day }
    }
}

impl Default for TeamFile {
    fn default() -> Self {
        let (intents, calls_per_minute, tokens_per_minute, usd_per_day) = Default::default();
        Self { intents, share: 1, jobs: crate::JOBS_DEFAULT, calls_per_minute, tokens_per_minute, usd_per_day }
    }
}

/// `[store]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreFile {
    /// `sqlite://FOLDER`, relative to this file. Environment: `BATON_STORE_URL`.
    pub(crate) url: String,
    /// What an acknowledged record survives: `process`, the end of the process; `machine`, the loss
    /// of power. Environment: `BATON_STORE_DURABILITY`.
    pub(crate) durability: DurabilityFile,
}

impl Default for StoreFile {
    fn default() -> Self {
        Self { url: "sqlite://.baton".into(), durability: DurabilityFile::Process }
    }
}

/// What an acknowledged record survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DurabilityFile {
    #[default]
    Process,
    Machine,
}
