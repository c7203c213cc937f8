//! `[store]` and `[teams]` of `baton.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use baton_core::{IntentName, TeamId};

use super::budget;
use crate::diagnostics::Sink;
use crate::document::Document;
use crate::files::{BatonFile, DurabilityFile};
use crate::json::child;
use crate::plan::{Durability, StoreSpec, Team};
use crate::suggest::did_you_mean;

/// The store and the teams; `None` for a store that cannot be, which is reported.
pub(crate) fn store_and_teams(
    dir: &Path,
    document: &Document,
    file: &BatonFile,
    intents: &[String],
    sink: &mut Sink,
) -> (Option<StoreSpec>, BTreeMap<TeamId, Team>) {
    let durability = match file.store.durability {
        DurabilityFile::Process => Durability::Process,
        DurabilityFile::Machine => Durability::Machine,
    };
    let store = folder(document, &file.store.url, sink).map(|path| StoreSpec { dir: dir.join(path), durability });
    let mut teams = BTreeMap::new();
    for (name, team) in &file.teams {
        for (n, intent) in team.intents.iter().flatten().enumerate() {
            if !intents.contains(intent) {
                let at = document.at(&format!("{}/intents/{n}", child("/teams", name)));
                let near = did_you_mean(intent, intents.iter().map(String::as_str));
                sink.error(at, format!("there is no intent `{intent}`"), format!("{near}name a folder of intents/"));
            }
        }
        let named = team.intents.as_ref().map(|all| all.iter().map(|i| IntentName::new(i)).collect());
        let allowance = budget::allowance(document, &child("/teams", name), &team.budget(), sink);
        teams.insert(TeamId::new(name), Team { intents: named, allowance, share: team.share, jobs: team.jobs });
    }
    (store, teams)
}

/// The path of a `sqlite://` URL.
fn folder<'u>(document: &Document, url: &'u str, sink: &mut Sink) -> Option<&'u str> {
    let at = document.at("/store/url");
    let help = "write `sqlite://` and a folder: `sqlite://.baton`, `sqlite:///var/lib/baton`";
    match url.split_once("://") {
        Some(("sqlite", path)) if !path.is_empty() && !path.contains(['?', '#', '\0']) => return Some(path),
        Some(("sqlite", _)) => sink.error(at, "the store's URL has no plain folder", help),
        Some(("postgres" | "postgresql", _)) => {
            sink.error(at, "the store `postgres://` is not supported by this version", help)
        }
        _ => sink.error(at, "the store's URL is of no kind that is known", help),
    }
    None
}
