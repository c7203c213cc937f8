//! Where the queue is: in this folder's store, or at a server.

use std::sync::Arc;

use baton_config::Snapshot;
use baton_core::{ExecutionId, Failure, IntentName};
use baton_engine::{Desk, ItemFilter, ReviewStats, ReviewView, Verdict};
use baton_store::{ReviewAct, Reviewer, Store};

use super::remote::Remote;
use super::{Whose, intent_name};
use crate::exit::Exit;
use crate::setup::{control_and_snapshot, unix_us};

/// Items of one page of an export.
pub(super) const PAGE: usize = 200;

/// See the module.
pub(super) struct Place {
    pub(super) reviewer: String,
    pub(super) intent: Option<IntentName>,
    at: At,
}

enum At {
    Folder { store: Store, snapshot: Arc<Snapshot>, reviewer: Reviewer },
    Server(Box<Remote>),
}

/// What is done with an item besides labelling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Skip,
    Release,
}

impl Place {
    pub(super) async fn open(whose: Whose, intent: Option<&str>) -> Result<Self, Exit> {
        let name = whose.name().unwrap_or("local").to_owned();
        let at = match whose.server {
            Some(url) => At::Server(Box::new(Remote::new(&url, whose.key_env.as_deref())?)),
            None => {
                let (store, snapshot) = control_and_snapshot(&whose.folder).await?;
                if let Some(intent) = intent_name(intent).filter(|intent| !snapshot.intents.contains_key(intent)) {
                    let known: Vec<&str> = snapshot.intents.keys().map(IntentName::as_str).collect();
                    let message = format!("there is no intent `{intent}`; there are: {}", known.join(", "));
                    return Err(Exit::usage(message));
                }
                let reviewer = Reviewer { name: name.clone(), team: whose.team.as_str().into(), intents: None };
                At::Folder { store, snapshot: Arc::new(snapshot), reviewer }
            }
        };
        Ok(Self { reviewer: name, intent: intent_name(intent), at })
    }

    fn desk(store: &Store, snapshot: &Arc<Snapshot>, reviewer: &Reviewer) -> Result<Desk, Exit> {
        Desk::new(store.clone(), Arc::clone(snapshot), reviewer.clone(), unix_us()).map_err(told)
    }

    pub(super) async fn next(&self) -> Result<Option<ReviewView>, Exit> {
        match &self.at {
            At::Folder { store, snapshot, reviewer } => {
                Self::desk(store, snapshot, reviewer)?.next(self.intent.as_ref()).await.map_err(told)
            }
            At::Server(remote) => remote.next(&self.reviewer, self.intent.as_ref()).await,
        }
    }

    pub(super) async fn label(&self, id: ExecutionId, verdict: Verdict) -> Result<(), Exit> {
        match &self.at {
            At::Folder { store, snapshot, reviewer } => {
                Self::desk(store, snapshot, reviewer)?.label(id, verdict).await.map(drop).map_err(told)
            }
            At::Server(remote) => remote.label(&self.reviewer, id, &verdict).await,
        }
    }

    pub(super) async fn pass(&self, id: ExecutionId, pass: Pass) -> Result<(), Exit> {
        match &self.at {
            At::Folder { store, snapshot, reviewer } => {
                let act = match pass {
                    Pass::Skip => ReviewAct::Skip,
                    Pass::Release => ReviewAct::Release,
                };
                Self::desk(store, snapshot, reviewer)?.act(id, act).await.map(drop).map_err(told)
            }
            At::Server(remote) => remote.pass(&self.reviewer, id, pass).await,
        }
    }

    pub(super) async fn undo(&self) -> Result<ReviewView, Exit> {
        match &self.at {
            At::Folder { store, snapshot, reviewer } => {
                Self::desk(store, snapshot, reviewer)?.undo().await.map_err(told)
            }
            At::Server(remote) => remote.undo(&self.reviewer).await,
        }
    }

    pub(super) async fn stats(&self) -> Result<ReviewStats, Exit> {
        match &self.at {
            At::Folder { store, snapshot, reviewer } => {
                Self::desk(store, snapshot, reviewer)?.stats(self.intent.as_ref()).await.map_err(told)
            }
            At::Server(remote) => remote.stats(self.intent.as_ref()).await,
        }
    }

    /// A page of lines, and where the next one begins, if there may be one.
    pub(super) async fn export(&self, before: Option<ExecutionId>) -> Result<(String, Option<ExecutionId>), Exit> {
        match &self.at {
            At::Folder { store, snapshot, reviewer } => {
                let intent = self.intent.clone();
                let filter = ItemFilter { intent, before, labels_min: 1, limit: PAGE, ..ItemFilter::default() };
                let views = Self::desk(store, snapshot, reviewer)?.export(&filter).await.map_err(told)?;
                let mut lines = String::new();
                for view in &views {
                    lines += &serde_json::to_string(view).map_err(|error| Exit::outside(error.to_string()))?;
                    lines.push('\n');
                }
                Ok((lines, views.last().filter(|_| views.len() == PAGE).map(|view| view.execution_id)))
            }
            At::Server(remote) => remote.export(&self.reviewer, self.intent.as_ref(), before).await,
        }
    }

    pub(super) async fn import(&self, jsonl: &str) -> Result<usize, Exit> {
        match &self.at {
            At::Folder { store, snapshot, reviewer } => {
                Self::desk(store, snapshot, reviewer)?.import(jsonl).await.map_err(told)
            }
            At::Server(remote) => remote.import(jsonl).await,
        }
    }
}

/// A failure as the end of a command.
fn told(failure: Failure) -> Exit {
    match failure.code.error_type() {
        baton_core::ErrorType::Internal => Exit::outside(failure.message),
        baton_core::ErrorType::Conflict => Exit::failed(failure.message),
        _ => Exit::usage(failure.message),
    }
}
