//! Models that intents use, and that their vendors turn off.

use baton_core::{Day, IntentName, ModelId};

/// Days before a model's end from which it is told of, and when again.
pub(super) const STAGES_DAYS: [i64; 4] = [90, 30, 7, 0];

/// A model whose end is known of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retiring {
    /// Which.
    pub model: ModelId,
    /// Who uses it.
    pub intents: Vec<IntentName>,
    /// The day from which on it may be turned off; `None` where its vendor advises against it and names no day.
    pub on: Option<Day>,
}

impl Retiring {
    /// How many stages of its end are reached.
    fn reached(&self, today: Day) -> usize {
        let left = |on: Day| STAGES_DAYS.iter().filter(|days| on.since(today) <= **days).count();
        self.on.map_or(1, left)
    }

    /// Whether it is near enough to be told of.
    #[must_use]
    pub fn is_near(&self, today: Day) -> bool {
        self.reached(today) > 0
    }

    /// As one tells it.
    #[must_use]
    pub fn says(&self, today: Day) -> String {
        let model = &self.model;
        let intents: Vec<&str> = self.intents.iter().map(IntentName::as_str).collect();
        let used = format!("used by {}", intents.join(", "));
        match self.on.map(|on| (on, on.since(today))) {
            None => format!("`{model}`, {used}, is deprecated by its vendor"),
            Some((on, days)) if days > 0 => {
                format!("`{model}`, {used}, is to be turned off on {on} or later: in {days} days")
            }
            Some((on, _)) => format!("`{model}`, {used}, was to be turned off on {on} or later"),
        }
    }

    /// Whether a stage is reached that was not told, and so which event that is.
    pub(super) fn event(&self, told: &mut usize, today: Day) -> Option<&'static str> {
        let reached = self.reached(today);
        if std::mem::replace(told, reached) >= reached {
            return None;
        }
        Some(match self.on {
            None => "model.deprecated",
            Some(on) if on > today => "model.retiring",
            Some(_) => "model.retired",
        })
    }
}
