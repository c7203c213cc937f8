//! From files in their shape to what the request path reads.

mod batch;
mod budget;
mod cache;
mod cascade;
mod checks;
mod house;
mod intent;
mod judge;
mod prompts;
mod review;
mod route;
mod schemas;
mod store;
mod stream;
mod webhooks;

pub use cascade::{CASCADE_ASKS, CASCADE_CASES_MIN, CASCADE_MODELS_MAX};
pub(crate) use house::House;
pub(crate) use intent::{IntentSources, compile_intent, intent_settings};
pub(crate) use judge::compile as compile_judges;
pub use judge::{JUDGE_SUFFIX, PAIR_SUFFIX};
pub(crate) use store::store_and_teams;
pub(crate) use webhooks::webhooks;
