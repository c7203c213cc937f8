//! One pass of all receipts through the helpdesk's extract-receipt intent: a simulated primary that says
//! what it is told to, a simulated second candidate that is always right, and what the records say of it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use baton_core::{AttemptKind, AttemptOutcome, AttemptRecord, CheckResult, Status};
use baton_engine::Call;
use baton_sim::{Behaviour, MemoryTransport, Scenario, Share, Sim};
use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use super::receipts::{Fields, Receipt};
use crate::ground::Ground;

const INTENT: &str = "extract-receipt";
/// The intent as the example has it; its cases are left out.
const FILES: [&str; 4] = ["intent.toml", "prompt.md", "input.schema.json", "output.schema.json"];
/// The two aliases that the intent names, each behind a simulator of its own.
const HOUSE: &str = r#"
[models.gpt-4]
id = "primary/gpt-4"

[models.claude-3-haiku]
id = "second/claude-3-haiku"

[providers.primary]
kind = "simulated"
scenario = "scenario.toml"

[providers.second]
kind = "simulated"
scenario = "scenario.toml"
"#;

/// What the primary said about one receipt, and what became of it.
pub(crate) struct Told {
    /// The primary's own words, as they were on the wire.
    pub(crate) said: Fields,
    /// What the caller got; `None` for an error.
    pub(crate) given: Option<Fields>,
    attempts: Vec<AttemptRecord>,
}

impl Told {
    /// What a check said of the primary's answer; `None` where it passed.
    pub(crate) fn failed(&self, check: &str) -> Option<&CheckResult> {
        self.attempts.first()?.checks.iter().find(|result| result.check == check && !result.passed)
    }

    /// Whether the primary's answer was not given.
    pub(crate) fn blocked(&self) -> bool {
        self.attempts.first().is_none_or(|attempt| attempt.outcome != AttemptOutcome::Passed)
    }

    /// Whether the record has the primary's bad answer, and then the second candidate as its fallback.
    pub(crate) fn fell_back(&self) -> bool {
        matches!(self.attempts.as_slice(), [first, second]
            if first.outcome == AttemptOutcome::BadAnswer
            && second.kind == AttemptKind::Fallback
            && second.model.as_str() == "second/claude-3-haiku")
    }
}

/// A simulator that answers each receipt with what it is told; of what that leaves, a share is wrong in the
/// simulator's own way.
///
/// # Errors
/// A share outside of 0 to 1.
pub(crate) fn simulator<'a>(
    model: &str,
    (receipts, said): (&'a [Receipt], impl Iterator<Item = &'a Fields>),
    (wrong, seed): (f64, u64),
) -> anyhow::Result<Sim> {
    let wrong = Share::new(wrong).map_err(anyhow::Error::msg)?;
    let cases = receipts.iter().zip(said).map(|(receipt, said)| (input(receipt), said.output()));
    let scenario = Scenario::default().model(model, Behaviour { wrong, ..Behaviour::default() })?.cases(cases)?;
    Ok(Sim::new(scenario, seed))
}

/// Runs every receipt, one at a time, and reads each record back from SQLite.
///
/// # Errors
/// What is no answer and no refusal of one: the measure itself is wrong then.
pub(crate) async fn run(receipts: &[Receipt], primary: &Sim) -> anyhow::Result<(Vec<Told>, u64)> {
    let truth = receipts.iter().map(|receipt| &receipt.fields);
    let second = simulator("claude-3-haiku", (receipts, truth), (0.0, 0))?;
    let heard = Arc::new(Heard { inner: primary.transport(), last: Mutex::default() });
    let transports: Vec<(&str, Arc<dyn Transport>)> =
        vec![("primary", heard.clone()), ("second", Arc::new(second.transport()))];
    let ground = Ground::open(&folder()?, transports).await?;
    let mut calls = Vec::new();
    for receipt in receipts {
        let mut call = Call::intent(INTENT, input(receipt));
        // Two texts of the set are there twice; both are asked.
        call.config.cache_ttl = Some(0);
        let (id, given) = match ground.engine.execute(call).await {
            Ok(delivered) => (delivered.answer.execution_id, Some(delivered.answer.output.clone())),
            Err(error) => (error.execution, None),
        };
        let said = heard.take().with_context(|| format!("receipt {}: the primary said nothing", receipt.id))?;
        calls.push((id, said, given));
    }
    ground.engine.store().flush().await?;
    let mut told = Vec::new();
    for (id, said, given) in calls {
        let record = ground.record(id).await?;
        anyhow::ensure!((record.status == Status::Succeeded) == given.is_some(), "{id}: its record says otherwise");
        let given = given.map(serde_json::from_value).transpose()?;
        told.push(Told { said, given, attempts: record.attempts });
    }
    Ok((told, ground.close().await?))
}

fn input(receipt: &Receipt) -> Value {
    json!({ "text": receipt.text })
}

fn folder() -> anyhow::Result<Vec<(String, String)>> {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/helpdesk/intents/extract-receipt");
    let mut files = vec![
        ("baton.toml".to_owned(), HOUSE.to_owned()),
        ("scenario.toml".to_owned(), "# The simulators are made in code.\n[models]\n".to_owned()),
    ];
    for file in FILES {
        let content = std::fs::read_to_string(format!("{example}/{file}")).with_context(|| file.to_owned())?;
        files.push((format!("intents/{INTENT}/{file}"), content));
    }
    Ok(files)
}

/// The primary's transport, which keeps what passed through it last.
struct Heard {
    inner: MemoryTransport,
    last: Mutex<Bytes>,
}

impl Transport for Heard {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(async move {
            let HttpResponse { status, headers, body } = self.inner.send(request).await?;
            let pieces: Vec<Bytes> = body.try_collect().await?;
            let whole = Bytes::from(pieces.concat());
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = whole.clone();
            Ok(HttpResponse { status, headers, body: stream::once(async { Ok(whole) }).boxed() })
        })
    }
}

impl Heard {
    fn take(&self) -> anyhow::Result<Fields> {
        let body = std::mem::take(&mut *self.last.lock().unwrap_or_else(PoisonError::into_inner));
        let body: Value = serde_json::from_slice(&body)?;
        let content = body["choices"][0]["message"]["content"].as_str().context("no content")?;
        Ok(serde_json::from_str(content)?)
    }
}
