//! What `execute` is called with.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_config::Snapshot;
use baton_core::{
    Allowance, CallConfig, ErrorCode, ExecutionId, Failure, Idempotency, IntentName, KeyId, Moment, SubjectHash,
    TeamId, TraceParent,
};
use baton_store::KeyInfo;
use baton_wire::{ChatRequest, Tool};
use serde_json::Value;
use tokio::time::Instant;

use crate::jobs::AsItem;

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Target {
    /// A declared task.
    Intent {
        /// Its name.
        name: IntentName,
        /// Its input, as its schema says.
        input: Value,
    },
    /// A model itself: no cache, no gate; recorded as everything is.
    Model(Box<ChatRequest>),
}

/// Who calls, as the key says. A library user is team `default` with everything allowed.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The team: the outer part of the scope.
    pub team: TeamId,
    /// The intents that the key and the team may call; `None` is all.
    pub intents: Option<Arc<[IntentName]>>,
    /// The key that it called with; `None` where keys are not used.
    pub key: Option<CallerKey>,
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerKey {
    /// Its id.
    pub id: KeyId,
    /// What it may use, besides what its team may.
    pub allowance: Allowance,
}

impl Default for Caller {
    fn default() -> Self {
        Self { team: TeamId::new("default"), intents: None, key: None }
    }
}

impl Caller {
    /// Who has this key: it may call what it and its team may.
    #[must_use]
    pub fn of(key: &KeyInfo, snapshot: &Snapshot) -> Self {
        let Self { team, intents: of_team, .. } = Self::of_team(&key.team, snapshot);
        let own = CallerKey { id: KeyId::new(&key.id), allowance: key.allowance };
        let intents = match (key.intents.as_deref(), of_team) {
            (None, of_team) => of_team,
            (Some(own), None) => Some(own.into()),
            (Some(own), Some(of_team)) => Some(own.iter().filter(|name| of_team.contains(name)).cloned().collect()),
        };
        Self { team, intents, key: Some(own) }
    }

    /// A team, without a key.
    #[must_use]
    pub fn of_team(team: &TeamId, snapshot: &Snapshot) -> Self {
        let intents = snapshot.teams.get(team).and_then(|team| team.intents.as_deref()).map(Arc::from);
        Self { team: team.clone(), intents, key: None }
    }

    pub(crate) fn may_call(&self, intent: &IntentName) -> Result<(), Failure> {
        if self.intents.as_ref().is_none_or(|allowed| allowed.contains(intent)) {
            return Ok(());
        }
        let message = format!("this key may not call `{intent}`: use one that may, or have the intent added to it");
        Err(Failure::new(ErrorCode::IntentNotAllowed, message).at("/intent"))
    }

    /// Who is limited to intents may not go around them to the models.
    ///
    /// # Errors
    /// `intent_not_allowed`.
    pub fn may_call_models(&self) -> Result<(), Failure> {
        if self.intents.is_none() {
            return Ok(());
        }
        let message = "this key is limited to intents: name one as `intent:NAME`, or use a key without that limit";
        Err(Failure::new(ErrorCode::IntentNotAllowed, message).at("model"))
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked for.
    pub target: Target,
    /// Who asks.
    pub caller: Caller,
    /// The call's own limits.
    pub config: CallConfig,
    /// Whether pieces are wanted as they arrive.
    pub stream: bool,
    /// Tools that the model may ask for.
    pub tools: Vec<Tool>,
    /// Which tool must be used, as the caller wrote it.
    pub tool_choice: Option<Value>,
    /// For partitions and reports.
    pub metadata: BTreeMap<String, String>,
    /// For grouping.
    pub session: Option<String>,
    /// Whom it is about, for deletion.
    pub subject: Option<String>,
    /// The execution that this one judges.
    pub parent: Option<ExecutionId>,
    /// The trace that the caller began.
    pub trace: Option<TraceParent>,
    /// What makes this call, made again, the same call: it is given the same execution again
    /// ([`crate::idempotency`]).
    pub idempotency: Option<Idempotency>,
    /// What makes it the execution of a job's item.
    pub item: Option<AsItem>,
    /// When the request was fully read; the deadline runs from here.
    pub received: Instant,
    /// When what it says was first said, where it passes on what another call or a job said before: an
    /// erasure since then is about it too.
    pub said: Option<Moment>,
}

impl Call {
    /// A call of an intent, with nothing else said.
    #[must_use]
    pub fn intent(name: &str, input: Value) -> Self {
        Self::of(Target::Intent { name: IntentName::new(name), input })
    }

    /// A call of what is named, with nothing else said.
    #[must_use]
    pub fn of(target: Target) -> Self {
        Self {
            target,
            caller: Caller::default(),
            config: CallConfig::default(),
            stream: false,
            tools: Vec::new(),
            tool_choice: None,
            metadata: BTreeMap::new(),
            session: None,
            subject: None,
            parent: None,
            trace: None,
            idempotency: None,
            item: None,
            received: Instant::now(),
            said: None,
        }
    }

    pub(crate) fn subject_hash(&self) -> Option<SubjectHash> {
        self.subject.as_ref().map(|subject| SubjectHash::of(&self.caller.team, subject))
    }
}
