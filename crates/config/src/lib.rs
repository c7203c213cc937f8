//! Configuration: `baton.toml` and intent folders, compiled once into a [`Snapshot`].
//!
//! [`load`] reads a folder and gives everything that is in effect, or everything that is wrong with
//! it: each mistake with file, line, column and what to do. Nothing is started, and nothing but the
//! folder is read.

mod batch_file;
mod cache_file;
mod cases;
mod changes;
mod check;
mod check_file;
mod compile;
mod diagnostics;
mod document;
mod effective;
mod expression;
mod files;
mod hash;
mod json;
mod load;
mod plan;
mod price_file;
mod privacy_file;
mod prompt;
mod review_file;
mod route_file;
mod schema;
mod secrets;
mod sections;
mod structure;
mod suggest;
mod units;
mod webhooks;

pub use cases::share_of;
pub use changes::Changes;
pub use check::{CheckKind, CheckSpec, LANGUAGES, LengthUnit, LetterCase, Markup};
pub use compile::{CASCADE_ASKS, CASCADE_CASES_MIN, CASCADE_MODELS_MAX, JUDGE_SUFFIX, PAIR_SUFFIX};
pub use diagnostics::{Diagnostic, Level, Report};
pub use effective::{Effective, Origin};
pub use expression::Expression;
pub use json::canonical;
pub use load::{Given, INTENT_NAMES, Loaded, is_intent_name, load, sources};
pub use plan::{
    BatchSpec, CacheSpec, Cascade, Case, Criterion, Durability, Embedding, Hashes, IntentKind, JOBS_DEFAULT, JudgeSpec,
    LocalSpec, ModelSpec, Objective, OnExhausted, Plan, Privacy, ProviderSpec, ReviewSpec, RightTogether, Route,
    Secret, SemanticSpec, ServerSpec, Share, Snapshot, StoreContent, StoreSpec, Team,
};
pub use prompt::{Prompt, PromptRole};
pub use schema::{Schema, SchemaViolation};
pub use units::duration as parse_duration;
pub use webhooks::{Topic, WebhookSpec};

/// The JSON Schema of `intent.toml`, for editors.
#[must_use]
pub fn json_schema_intent() -> serde_json::Value {
    structure::json_schema::<files::IntentFile>()
}

/// The JSON Schema of `baton.toml`, for editors.
#[must_use]
pub fn json_schema_baton() -> serde_json::Value {
    structure::json_schema::<files::BatonFile>()
}
