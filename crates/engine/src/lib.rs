//! **Baton as a library**: [`Orchestrator::execute`].
//!
//! One path for every call: resolve, admit, recall, route, attempt ⇄ check, record, answer,
//! remember. One task for each execution writes an event log; callers read it through cursors.

mod assemble;
mod call;
mod clock;
mod close;
mod connect;
mod drive;
mod engine;
mod flights;
mod flying;
mod intent;
mod judge;
mod lane_ids;
mod learn;
mod live;
mod log;
mod orchestrator;
mod outcome;
mod places;
mod probe;
mod recall;
mod reload;
mod resolve;
mod review;
mod route;
mod run;
mod tasks;
mod tools;

pub use call::{Call, Caller, Target};
pub use connect::Connect;
pub use engine::Observer;
pub use learn::{InForce, RollBackError, release, roll_back};
pub use log::{Cursor, Delivered, LogEvent};
pub use orchestrator::{BuildError, Builder, ExecuteError, Execution, LaneState, Orchestrator};
pub use reload::{Configuration, Refused};
