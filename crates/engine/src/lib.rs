//! **Baton as a library**: [`Orchestrator::execute`].
//!
//! One path for every call: resolve, admit, recall, route, attempt ⇄ check, record, answer,
//! remember. One task for each execution writes an event log; callers read it through cursors.

mod assemble;
mod batch;
mod budgets;
mod call;
mod cascade;
mod clock;
mod close;
mod connect;
mod desk;
mod drift;
mod drive;
mod engine;
mod erase;
mod execution;
mod flights;
mod flying;
mod intent;
mod jobs;
mod judge;
mod lane_ids;
mod learn;
mod live;
mod local;
mod log;
mod orchestrator;
mod outcome;
mod places;
mod probe;
mod recall;
mod reload;
mod repeats;
mod resolve;
mod review;
mod rollout;
mod route;
mod routing;
mod run;
mod semantic;
mod tasks;
mod tools;

pub use budgets::BudgetState;
pub use call::{Call, Caller, CallerKey, Target};
pub use connect::Connect;
pub use desk::{
    Agreement, Content, CriterionView, Desk, IntentReviews, ItemFilter, LabelView, ReviewStats, ReviewView,
    ReviewerStats, Verdict, check_output, check_words, kept_comment,
};
pub use drift::{DriftEvent, DriftStanding, DriftState, Explained, drift_standings};
pub use engine::Observer;
pub use erase::Erasure;
pub use execution::Execution;
pub use jobs::{AsItem, BatchView, HandIn, ItemResult, JOB_ITEMS_MAX, JobInput, JobView, Jobs, Terms, Within, of_line};
pub use learn::{InForce, RollBackError, release, roll_back};
pub use log::{Cursor, Delivered, LogEvent};
pub use orchestrator::{BuildError, Builder, ExecuteError, LaneState, Orchestrator};
pub use reload::{Configuration, Refused};
pub use repeats::idempotency;
pub use rollout::{
    RolloutAsked, RolloutError, RolloutEvent, RolloutFigures, RolloutInForce, RolloutStanding, promote_rollout,
    release_rollout, rollout_standings, start_rollout, stop_rollout,
};
pub use semantic::{SemanticState, check_embeddings};
