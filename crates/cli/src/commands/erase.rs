//! `baton erase`: a person is erased, from the folder's store or by the server that has it.

use baton_config::Snapshot;
use baton_core::{NAME_CHARS_MAX, SubjectHash};
use baton_engine::Erasure;
use baton_store::{Erased, Store};
use clap::Args;
use serde_json::json;

use super::review::Remote;
use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, callers_team, control_and_snapshot, opening, unix_us};

/// Erase a person: what calls about them left in records, caches, feedback, labels and jobs.
///
/// The name is the `subject` of those calls. Inputs, outputs, metadata, sessions and the name itself go;
/// times, tokens, costs, models and verdicts stay, so that reports and budgets stay true. It cannot be undone.
/// Cases that were exported to files, traces that were sent elsewhere and backups are yours to look through.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton erase ann@example.org
  baton erase ann@example.org --dry-run
  baton erase ann@example.org --team support
  baton erase ann@example.org --server http://127.0.0.1:7700 --key-env BATON_KEY")]
pub(crate) struct Erase {
    /// The `subject` of the calls
    subject: String,
    /// The team whose calls they are; with --server the key says it
    #[arg(long, default_value = "default")]
    team: String,
    /// Count what there is of them, also beside a server, and change nothing
    #[arg(long, conflicts_with = "server")]
    dry_run: bool,
    /// Have a server do it, which has the folder while it runs
    #[arg(long, value_name = "URL", conflicts_with = "team")]
    server: Option<String>,
    /// The environment variable that holds the server's key, which needs the permission admin
    #[arg(long, value_name = "NAME", requires = "server")]
    key_env: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    folder: Folder,
}

impl Erase {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        if self.subject.is_empty() || self.subject.chars().count() > NAME_CHARS_MAX {
            return Err(Exit::usage(format!("a subject has 1 to {NAME_CHARS_MAX} characters")));
        }
        let erasure = match &self.server {
            Some(url) => Remote::new(url, self.key_env.as_deref())?.erase(&self.subject).await?,
            None if self.dry_run => self.count().await?,
            None => self.here().await?,
        };
        if self.json {
            let mut document = json!(erasure);
            if let Some(fields) = document.as_object_mut().filter(|_| self.dry_run) {
                fields.remove("erasedAtMs");
            }
            say!("{document}");
        } else {
            print(&erasure);
            if self.dry_run {
                tell!("nothing was changed; what people said of them would go too");
            }
        }
        Ok(())
    }

    async fn count(&self) -> Result<Erasure, Exit> {
        let (store, snapshot) = control_and_snapshot(&self.folder).await?;
        let erased = self.erased(&snapshot)?;
        let counts = store.about(&erased).await;
        store.close().await;
        Ok(Erasure::stored(0, &counts.map_err(|error| Exit::outside(error.to_string()))?))
    }

    /// Nothing runs on the folder: what there is of them is in its store.
    async fn here(&self) -> Result<Erasure, Exit> {
        let snapshot = self.folder.snapshot()?;
        let erased = self.erased(&snapshot)?;
        let in_use = "have it do so with --server URL, or stop it";
        let store = Store::open(&snapshot.store).await.map_err(|error| opening(&error, in_use))?;
        let at_us = erased.at_us;
        let done = store.erase(erased).await;
        store.close().await;
        Ok(Erasure::stored(at_us, &done.map_err(|error| Exit::outside(error.to_string()))?))
    }

    fn erased(&self, snapshot: &Snapshot) -> Result<Erased, Exit> {
        let team = callers_team(&self.team, snapshot)?;
        Ok(Erased { subject: SubjectHash::of(&team, &self.subject), team, at_us: unix_us(), by: None })
    }
}

fn print(erasure: &Erasure) {
    if erasure.is_empty() {
        return tell!("there is nothing about them");
    }
    for (count, what) in [
        (erasure.records, "records, whose figures stay"),
        (erasure.cache_entries, "answers of the exact cache"),
        (erasure.semantic_entries, "entries of the semantic cache"),
        (erasure.repeats, "answers kept for calls that are made again"),
        (erasure.feedback, "corrections, final outputs and comments of feedback"),
        (erasure.labels, "corrections and comments of labels"),
        (erasure.job_items, "items of jobs"),
    ] {
        if count > 0 {
            say!("{count:>8} {what}");
        }
    }
    tell!("cases that were exported to files, traces that were sent elsewhere and backups are yours to look through");
}
