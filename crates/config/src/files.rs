//! The shapes of the files. Their comments become the JSON Schemas that editors show.

use std::collections::BTreeMap;

use baton_core::Unproven as CoreUnproven;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::check_file::CheckFile;

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
    /// How candidates are ranked. All but `ordered` behave as `ordered`, and say so, until there is
    /// evidence.
    #[serde(default)]
    pub(crate) route: RouteFile,
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
    /// Another model that says of sampled answers whether they meet the criteria.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) judge: Option<JudgeFile>,
    /// Which answers people are asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) review: Option<ReviewFile>,
    /// What may be stored.
    #[serde(default)]
    pub(crate) privacy: PrivacyFile,
}

/// How candidates are ranked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RouteFile {
    #[default]
    Ordered,
    Cheapest,
    Fastest,
    Weighted,
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
    /// unverified; `fail` does not.
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
    Fail,
}

impl From<UnprovenFile> for CoreUnproven {
    fn from(file: UnprovenFile) -> Self {
        match file {
            UnprovenFile::Pass => Self::Pass,
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

/// `[cache]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CacheFile {
    /// How long an answer is remembered: `30s`, `1h`, `7d`. The ceiling of a call's `cacheTTL` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<String>,
    /// Calls that differ in one of these never share an answer: `metadata.customer`.
    #[schemars(length(max = 16))]
    pub(crate) partition: Vec<String>,
}

/// One `[[criteria]]` entry.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CriterionFile {
    /// Its name in labels and figures: small letters, digits and hyphens.
    pub(crate) id: String,
    /// A question about an answer; "yes" means that the answer passes.
    #[schemars(length(min = 1, max = 1000))]
    pub(crate) ask: String,
    /// How to decide, with examples: shown beside the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 10_000))]
    pub(crate) guideline: Option<String>,
}

/// `[judge]`: a model that is asked each of the `[[criteria]]`, of a sample of the answers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JudgeFile {
    /// Who judges: `provider/model` or an alias, of another family than the judged where possible.
    pub(crate) model: String,
    /// Dollars a day; sets how many answers are drawn. All that `rate_max` allows if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub(crate) usd_per_day: Option<f64>,
    /// The largest share of answers that is drawn, whatever the money allows.
    #[serde(default = "JudgeFile::rate_default")]
    #[schemars(range(min = 0, max = 1))]
    pub(crate) rate_max: f64,
    /// Milliseconds that one judgement may take.
    #[serde(default = "JudgeFile::latency_default")]
    #[schemars(range(min = 1, max = 600_000))]
    pub(crate) latency_ms: u64,
    /// Asks the provider for log-probabilities: a verdict becomes a probability. Not every provider
    /// has them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) logprobs: bool,
}

impl JudgeFile {
    fn rate_default() -> f64 {
        1.0
    }

    fn latency_default() -> u64 {
        30_000
    }
}

/// `[review]`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewFile {
    /// Roughly how many answers a day people are asked about. With recent traffic it sets the
    /// probability with which an answer is drawn; 0 draws none.
    #[schemars(range(min = 0, max = 100_000))]
    pub(crate) per_day: f64,
    /// Share of them that two people label, neither seeing what the other says.
    #[serde(default = "ReviewFile::double_default")]
    #[schemars(range(min = 0, max = 1))]
    pub(crate) double: f64,
    /// Share of the drawing that is uniform; the rest goes to answers whose quality is least certain.
    /// Below 0.3 intervals become wide.
    #[serde(default = "ReviewFile::floor_default")]
    #[schemars(range(min = 0.1, max = 1))]
    pub(crate) floor: f64,
    /// Who decides where two labels disagree; if absent, anybody who gave neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub(crate) adjudicator: Option<String>,
}

impl ReviewFile {
    fn double_default() -> f64 {
        0.15
    }

    fn floor_default() -> f64 {
        0.7
    }
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

/// `[privacy]`. Governs journal, cache and traces too.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PrivacyFile {
    /// `full`: inputs and outputs are stored. `none`: they are not.
    pub(crate) store: StoreContentFile,
    /// How long records are kept: `30d`.
    pub(crate) keep: String,
}

impl Default for PrivacyFile {
    fn default() -> Self {
        Self { store: StoreContentFile::Full, keep: "30d".into() }
    }
}

/// What is stored of inputs and outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum StoreContentFile {
    #[default]
    Full,
    None,
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
    /// What its tokens cost, instead of the built-in price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) price: Option<PriceFile>,
    /// The longest that one attempt may take, `60s` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<String>,
}

/// Dollars for a million tokens: `0.10 USD/M`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceFile {
    /// Of the input.
    pub(crate) input: String,
    /// Of the output.
    pub(crate) output: String,
    /// Of input that the provider read from its cache; as other input if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cached: Option<String>,
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
}

impl Default for TeamFile {
    fn default() -> Self {
        Self { intents: None, share: 1 }
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
