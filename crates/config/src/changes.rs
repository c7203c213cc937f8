//! What differs between two versions of the configuration.

use std::collections::BTreeSet;
use std::fmt;

use baton_core::IntentName;
use serde_json::{Value, json};

use crate::Snapshot;
use crate::hash::hash;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Intents that were not there before.
    pub added: Vec<IntentName>,
    /// Intents that are another version now.
    pub changed: Vec<IntentName>,
    /// Intents that are gone.
    pub removed: Vec<IntentName>,
    /// Sections of `baton.toml` that say something else.
    pub sections: Vec<String>,
    /// Providers that are reached in another way, by another key for example. Files do not tell:
    /// whoever reads the keys does.
    pub providers: Vec<String>,
}

impl Changes {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// In a line: `added sort; changed write; [teams] of baton.toml`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |intents: &[IntentName]| intents.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let sections: Vec<String> = self.sections.iter().map(|name| format!("[{name}]")).collect();
        let parts = [
            ("added", names(&self.added)),
            ("changed", names(&self.changed)),
            ("removed", names(&self.removed)),
            ("baton.toml:", sections.join(", ")),
            ("providers:", self.providers.join(", ")),
        ];
        let told: Vec<String> =
            parts.iter().filter(|(_, of)| !of.is_empty()).map(|(what, of)| format!("{what} {of}")).collect();
        f.write_str(if told.is_empty() { "nothing changed".to_owned() } else { told.join("; ") }.as_str())
    }
}

impl Snapshot {
    /// What differs from an older one, as far as the files tell.
    #[must_use]
    pub fn changes_since(&self, old: &Self) -> Changes {
        let mut changes = Changes::default();
        for (name, plan) in &self.intents {
            match old.intents.get(name) {
                None => changes.added.push(name.clone()),
                Some(before) if before.hashes.policy != plan.hashes.policy => changes.changed.push(name.clone()),
                Some(_) => {}
            }
        }
        changes.removed = old.intents.keys().filter(|name| !self.intents.contains_key(*name)).cloned().collect();
        let sections: BTreeSet<&String> = self.settings.keys().chain(old.settings.keys()).collect();
        let differs = |name: &&&String| self.settings.get(**name) != old.settings.get(**name);
        changes.sections = sections.iter().filter(differs).map(|name| (*name).clone()).collect();
        changes
    }

    /// Which version of the configuration this is: blake3 over `baton.toml`'s settings and the
    /// intents' policy hashes; 64 hexadecimal digits. Of keys only the place is in it.
    #[must_use]
    pub fn hash(&self) -> String {
        let intents = self.intents.iter().map(|(name, plan)| (name.to_string(), Value::from(&*plan.hashes.policy)));
        let intents: serde_json::Map<String, Value> = intents.collect();
        hash("baton-configuration-1", &json!([self.settings, intents]))
    }
}
