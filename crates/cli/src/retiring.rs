//! Models that come to their end, as `baton check` tells them.

use baton_config::{Diagnostic, Snapshot};
use baton_core::Day;
use baton_gateway::retiring;
use baton_telemetry::Retiring;

const HELP: &str = "try its successor with `baton compare` before you change; the date is of the price data \
                    (`baton prices list`): what the vendor says counts";

/// One for each that intents use and that is near its end.
pub(crate) fn warnings(snapshot: &Snapshot, today: Day) -> Vec<Diagnostic> {
    let warning = |retiring: &Retiring| Diagnostic::warning(retiring.model.as_str(), retiring.says(today), HELP);
    retiring(snapshot, today).iter().map(warning).collect()
}
