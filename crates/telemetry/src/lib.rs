//! What leaves the system: traces, metrics and evaluation events over OTLP, webhooks, and a line of
//! log for each failed execution.
//!
//! Everything derives from the one final record, off the request's path: [`Tap::observe`] copies the
//! record into a bounded queue, and [`Exporter::run`] does the rest. A collector that is slow or dead
//! costs what it would have been sent, counted in [`Outlets`], and never a call.

mod attributes;
mod export;
mod failures;
mod genai;
mod histogram;
mod house;
mod metrics;
mod monitor;
mod otlp;
mod outlets;
mod settings;
mod sign;
mod spans;
mod time;
mod webhooks;

#[cfg(test)]
mod fixtures;

pub use export::{Exporter, Tap};
pub use failures::Failures;
pub use house::House;
pub use monitor::{BudgetUse, JournalLook, Look, Monitor, Notice, Retiring};
pub use outlets::{Outlet, OutletState, Outlets};
pub use settings::{Protocol, SettingError, Settings, Target};
pub use sign::{SigningKey, WebhookError};
pub use webhooks::{Deliverer, Webhooks, deliver_once, test_notice};
