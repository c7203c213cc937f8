//! Configuration: `baton.toml` and intent folders, compiled once into a [`Snapshot`].

mod plan;
mod prompt;
mod schema;

pub use plan::{
    CacheSpec, Case, CheckKind, CheckSpec, Durability, Hashes, IntentKind, LengthUnit, LocalSpec, ModelSpec, Objective,
    OnExhausted, Plan, Privacy, ProviderSpec, Route, Secret, Share, Snapshot, StoreSpec, Team,
};
pub use prompt::{Prompt, PromptRole};
pub use schema::{Schema, SchemaViolation};
