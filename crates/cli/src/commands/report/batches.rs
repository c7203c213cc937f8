//! What sharing calls of models saved.

use baton_core::IntentName;
use baton_store::{BatchTally, Report as Figures};
use serde_json::{Value, json};

use crate::exit::say;

fn of(figures: &Figures) -> impl Iterator<Item = (&IntentName, &BatchTally)> {
    let batching = figures.intents.iter().filter(|(_, tally)| tally.calls.batch != BatchTally::default());
    batching.filter_map(|(intent, tally)| Some((intent.as_ref()?, &tally.calls.batch)))
}

pub(super) fn json(figures: &Figures) -> Value {
    let row = |(intent, tally): (&IntentName, &BatchTally)| {
        json!({
            "intent": intent, "shared": tally.shared, "calls": tally.calls, "again": tally.again, "apart": tally.apart,
            "calls_saved": tally.calls_saved(), "tokens_saved": tally.tokens_saved, "saved_usd": tally.saved.to_string(),
        })
    };
    of(figures).map(row).collect()
}

pub(super) fn print(figures: &Figures) {
    for (n, (intent, tally)) in of(figures).enumerate() {
        if n == 0 {
            say!("\nbatches (tokens and money are estimated)");
        }
        let BatchTally { shared, calls, again, apart, tokens_saved, saved } = tally;
        say!(
            "  {intent}: {shared} in {calls} shared calls, {again} of them asked again alone, {apart} kept apart; \
             saved {} calls, {tokens_saved} tokens, {saved} USD",
            tally.calls_saved()
        );
    }
}
