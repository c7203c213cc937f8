//! What a team or an intent may use.

use baton_core::Allowance;

use crate::diagnostics::Sink;
use crate::document::Document;
use crate::files::BudgetFile;

/// The allowance of a section; an amount that is none is reported, and not limited.
pub(crate) fn allowance(document: &Document, section: &str, file: &BudgetFile, sink: &mut Sink) -> Allowance {
    let usd_per_day = file.usd_per_day.and_then(|usd| {
        // The shortest decimal that is this number: what was written, never in powers of ten.
        let parsed = usd.to_string().parse();
        let wrong = |error: baton_core::ParseUsdError| {
            let help = "write dollars with at most nine digits after the point, as in `20` or `0.5`";
            sink.error(document.at(&format!("{section}/usd_per_day")), error.to_string(), help);
        };
        parsed.map_err(wrong).ok()
    });
    Allowance { calls_per_minute: file.calls_per_minute, tokens_per_minute: file.tokens_per_minute, usd_per_day }
}
