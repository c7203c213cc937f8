//! What configuration compiles to: immutable, shared, validated. The request path reads only this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_core::{
    Allowance, Ceilings, IntentName, ModelId, NanoUsd, Prices, Strategy, StreamLimits, TeamId, Unproven, Usage,
};
use serde_json::{Map, Value};

use crate::{CheckSpec, Prompt, Schema, WebhookSpec};

/// Everything that the configuration says, compiled.
pub struct Snapshot {
    /// By name.
    pub intents: BTreeMap<IntentName, Arc<Plan>>,
    /// Every model that an intent or an alias names.
    pub models: Vec<ModelSpec>,
    /// Names that stand for models.
    pub aliases: BTreeMap<String, ModelId>,
    /// By name: those of `baton.toml`, and the built-in rows that models refer to.
    pub providers: BTreeMap<String, ProviderSpec>,
    /// By name.
    pub teams: BTreeMap<TeamId, Team>,
    /// Where records go.
    pub store: StoreSpec,
    /// How much the server takes on.
    pub server: ServerSpec,
    /// Who is told when something should be looked at.
    pub webhooks: Vec<WebhookSpec>,
    /// `baton.toml` as it is in effect, overrides and defaults in it, by section: what tells two
    /// versions apart. Of secrets it has the places only.
    pub settings: Map<String, Value>,
}

/// `[server]`: bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSpec {
    /// Executions at a time.
    pub max_running: usize,
    /// Calls that wait for a place at one lane.
    pub queue_max: usize,
}

/// A model that can be called.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// `provider/model`, or `local`. Each intent's `local` is another: its spec appears once for each
    /// intent that uses it.
    pub id: ModelId,
    /// Its place in [`Snapshot::models`]. What is learnt of a model outlives a snapshot: the engine
    /// gives each place its lane.
    pub place: usize,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// What its tokens cost, where known.
    pub price: Option<Prices>,
}

/// How a provider is reached.
#[derive(Clone, Debug)]
pub struct ProviderSpec {
    /// Its name: the part of a model id before the slash.
    pub name: String,
    /// `openai`, `anthropic`, `mistral`, …: a vendor row; `openai-compatible`; `simulated`.
    pub kind: String,
    /// Where, if it is not the vendor's own address.
    pub base_url: Option<String>,
    /// Its keys, each a lane of its own; none is the vendor's own variable.
    pub api_keys: Vec<Secret>,
    /// The most calls at a time to one of its models with one key.
    pub max_concurrency: u32,
    /// For `simulated`: the scenario file, absolute.
    pub scenario: Option<std::path::PathBuf>,
    /// For `simulated`: the seed.
    pub seed: u64,
}

/// Where a secret is; never the secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// In this environment variable.
    Env(String),
    /// In this file.
    File(std::path::PathBuf),
}

/// A team of `baton.toml`.
#[derive(Clone, Debug)]
pub struct Team {
    /// The intents that it may call; `None` is all.
    pub intents: Option<Vec<IntentName>>,
    /// What all of its keys together may use.
    pub allowance: Allowance,
    /// Its weight where teams compete, at least 1.
    pub share: u32,
    /// Jobs that are not over.
    pub jobs: u32,
}

/// Jobs of a team that are not over, where nothing else is said.
pub const JOBS_DEFAULT: u32 = 16;

/// Where records go.
#[derive(Clone, Debug)]
pub struct StoreSpec {
    /// The folder of the SQLite files and the journal.
    pub dir: std::path::PathBuf,
    /// When an append is acknowledged.
    pub durability: Durability,
}

/// What an acknowledged record survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of the process (fdatasync each second).
    Process,
    /// The loss of power (fdatasync before the acknowledgement).
    Machine,
}

/// An intent, compiled.
pub struct Plan {
    /// The folder's name.
    pub name: IntentName,
    /// What it produces.
    pub kind: IntentKind,
    /// The three hashes.
    pub hashes: Hashes,
    /// In the order written.
    pub candidates: Arc<[ModelSpec]>,
    /// What calls may ask for.
    pub ceilings: Ceilings,
    /// How candidates are ranked.
    pub route: Route,
    /// The prompt.
    pub prompt: Prompt,
    /// What inputs look like, where declared.
    pub input_schema: Option<Schema>,
    /// What outputs look like: declared, or made from the labels; `None` for generation.
    pub output_schema: Option<Schema>,
    /// Parameters of the model call, by their OpenAI names.
    pub params: Map<String, Value>,
    /// Few-shot examples, chosen from the examples share, as rendered into each call.
    pub examples: Vec<Case>,
    /// What is promised.
    pub objective: Objective,
    /// What happens to answers without evidence.
    pub unproven: Unproven,
    /// What happens when nobody answered.
    pub on_exhausted: OnExhausted,
    /// Checks besides parsing and schema.
    pub checks: Vec<CheckSpec>,
    /// What people and judges are asked about an answer, in the order written.
    pub criteria: Vec<Criterion>,
    /// Who judges a sample of the answers; its own plan is the intent `NAME.judge`.
    pub judge: Option<JudgeSpec>,
    /// Which answers people are asked about; `None` where none are.
    pub review: Option<ReviewSpec>,
    /// What is remembered, for whom.
    pub cache: CacheSpec,
    /// How calls share one call of the model; `None` where they do not.
    pub batch: Option<BatchSpec>,
    /// What it may use, whoever calls it.
    pub allowance: Allowance,
    /// The built-in model.
    pub local: LocalSpec,
    /// What may be stored.
    pub privacy: Privacy,
    /// Whether streams may be given before their checks.
    pub stream_unverified: bool,
    /// What streams must keep to.
    pub stream: StreamLimits,
    /// The most hedges, as a share of recent calls, in [0, 1].
    pub hedge_share: f64,
    /// All cases, with their shares.
    pub cases: Vec<Case>,
}

/// What an intent produces.
#[derive(Clone, Debug, PartialEq)]
pub enum IntentKind {
    /// `{label}`, one of these (name, description), in the order written.
    Classification(Vec<(String, String)>),
    /// The schema's fields.
    Extraction,
    /// `{text}`.
    Generation,
}

/// What an intent's answers, policy and evidence depend on: blake3, hexadecimal, 64 digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashes {
    /// Prompt, schemas, examples, parameters: the cache key.
    pub answer: String,
    /// Everything, for audit. Its first eight digits are the version on the wire.
    pub policy: String,
    /// Intent name, labels or output schema, and criteria: carries evidence.
    pub lineage: String,
}

/// How candidates are ranked, and by which terms.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// How.
    pub strategy: Strategy,
    /// How often each candidate is asked first, in proportion, in the order of the candidates; for
    /// [`Strategy::Weighted`].
    pub weights: Vec<f64>,
    /// The share of calls that are spread evenly over those that may be good enough.
    pub explore: f64,
    /// The least probability of an answer in time.
    pub in_time: f64,
    /// Whether a session stays with the model that answered it.
    pub sticky: bool,
    /// For [`Strategy::Cascade`].
    pub cascade: Option<Cascade>,
}

impl Route {
    /// When one more model is asked, and by what that is decided, where models are asked in turn.
    #[must_use]
    pub fn in_turn(&self) -> Option<(&Cascade, &RightTogether)> {
        let cascade = self.cascade.as_ref()?;
        Some((cascade, cascade.together.as_ref()?))
    }
}

/// When one more model is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Cascade {
    /// What one more right answer is worth, in dollars.
    pub right_usd: f64,
    /// At most so many models are asked for one answer.
    pub asks: u32,
    /// Who is right together, where that is known.
    pub together: Option<RightTogether>,
}

/// Who was right on the same cases.
#[derive(Clone, Debug, PartialEq)]
pub struct RightTogether {
    /// Whose answers were compared: candidates whose price is known.
    pub models: Vec<ModelId>,
    /// The tokens of an answer of each, on average.
    pub usage: Vec<Usage>,
    /// Whether each was right, and of how many cases that holds.
    pub rows: Vec<(Vec<bool>, u32)>,
}

/// What is promised.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Share of passed answers that a reviewer would pass.
    pub quality: f64,
    /// With which confidence.
    pub confidence: f64,
}

/// What happens when nobody answered.
#[derive(Clone, Debug, PartialEq)]
pub enum OnExhausted {
    /// The typed error.
    Error,
    /// A remembered answer older than its time to live, labelled; else the error.
    Stale,
    /// This output, labelled.
    Default(Value),
}

/// One `[[criteria]]` entry: one failure mode, asked of people and of judges alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Criterion {
    /// Its name in labels and figures.
    pub id: String,
    /// The question; "yes" means that the answer passes.
    pub ask: String,
    /// How to decide.
    pub guideline: Option<String>,
}

impl Plan {
    /// Whose second opinion judges its answers, where one does.
    #[must_use]
    pub fn second_opinion(&self) -> Option<&ModelId> {
        self.judge.as_ref().filter(|judge| judge.second_opinion).map(|judge| &judge.model)
    }
}

/// `[judge]`.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeSpec {
    /// Who judges.
    pub model: ModelId,
    /// Whether it answers the intent's own question, to be held against the answer that is judged.
    pub second_opinion: bool,
    /// Money a day; `None` where it is not limited.
    pub usd_per_day: Option<NanoUsd>,
    /// What a first judgement is reckoned to cost, before one has shown it.
    pub usd_first: Option<NanoUsd>,
    /// The largest share of answers that is drawn, in [0, 1].
    pub rate_max: f64,
}

/// `[review]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReviewSpec {
    /// Answers a day, about.
    pub per_day: f64,
    /// Share of them that two people label, in [0, 1].
    pub double: f64,
    /// Share of the drawing that is uniform, in (0, 1].
    pub floor: f64,
    /// Who decides where two labels disagree; `None` is anybody who gave neither.
    pub adjudicator: Option<String>,
}

/// The caches of an intent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CacheSpec {
    /// Dotted paths into the call (`metadata.customer`) whose values part the cache.
    pub partition: Vec<String>,
    /// Answers to similar inputs; `None` where they are not wanted.
    pub semantic: Option<SemanticSpec>,
}

/// The semantic cache of an intent.
#[derive(Clone, Debug, PartialEq)]
pub struct SemanticSpec {
    /// The share of its answers that may differ from the model's, in (0, 0.2].
    pub error_max: f64,
    /// What tells which inputs are similar.
    pub embedding: Embedding,
    /// JSON pointers into the input whose values must be the same; they are not embedded.
    pub slots: Vec<String>,
}

/// `[batch]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchSpec {
    /// The most inputs of one call, at least 2.
    pub max_items: usize,
    /// The longest that an input waits for others.
    pub max_wait: Duration,
    /// The share of batched answers that are asked for alone, too, in [0, 1].
    pub audit: f64,
}

/// What turns an input into a vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Embedding {
    /// In this process: `hashed`, `wordllama` or `minilm`.
    Local(&'static str),
    /// A provider's model.
    Remote(ModelSpec),
}

impl Embedding {
    /// As it is written, or where an alias is written what that stands for.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Local(name) => name,
            Self::Remote(model) => model.id.as_str(),
        }
    }
}

/// `[local]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LocalSpec {
    /// Overrides the cut; 0 forces an answer.
    pub cut: Option<f64>,
}

/// What may be stored of inputs and outputs. Governs journal, cache and traces too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// What is stored of inputs and outputs.
    pub store: StoreContent,
    /// How long records are kept.
    pub keep: Duration,
}

/// How much of inputs and outputs is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreContent {
    /// All of it.
    Full,
    /// What is left when personal data that can be told by its form is replaced.
    Redacted,
    /// None of it.
    Nothing,
}

/// One line of `cases.jsonl`.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The input, with the defaults of its schema.
    pub input: Value,
    /// The expected output.
    pub expected: Value,
    /// What it is used for.
    pub share: Share,
}

/// Cases are split by the hash of their input, so that nothing is tested on what it learnt from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Few-shot examples and `local`.
    Examples,
    /// Offline evaluation.
    Evaluation,
    /// Calibration.
    Calibration,
}

impl Snapshot {
    /// An intent's plan.
    #[must_use]
    pub fn plan(&self, name: &IntentName) -> Option<&Arc<Plan>> {
        self.intents.get(name)
    }

    /// A model by `provider/model` or alias. `None` for `local`, which belongs to its intents.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&ModelSpec> {
        let id = self.aliases.get(name).map_or(name, ModelId::as_str);
        self.models.iter().find(|spec| spec.id.as_str() == id && id != "local")
    }
}
