//! `baton run`: one call from the command line.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use baton_core::{CallConfig, ErrorType, Failure};
use baton_engine::{Call, Delivered, LogEvent, Orchestrator};
use baton_wire::Delta;
use clap::Args;
use serde_json::{Value, json};

use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, Recording, orchestrator};
use crate::transports::Fixtures;

/// Answer one input, and say who answered and why.
///
/// Prints the output to standard output and the rest to standard error; with --json the whole answer.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton run classify-ticket --input '{\"ticket\":\"I was charged twice\"}'
  baton run extract-receipt --input @receipt.json --json
  cat mail.json | baton run draft-reply --input - --stream
  baton run classify-ticket --input '…' --config '{\"maxLatencyMs\":500}'")]
pub(crate) struct Run {
    /// The intent: a folder's name under intents/
    intent: String,
    /// The input as JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: String,
    /// The call's own limits as JSON: primaryModel, fallbackModel, models, cacheTTL, maxLatencyMs, retries
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// Print the text as it arrives
    #[arg(long, conflicts_with = "json")]
    stream: bool,
    /// Print the whole answer as one JSON document
    #[arg(long)]
    pub(super) json: bool,
    /// Keep no record of this call
    #[arg(long)]
    no_record: bool,
    #[command(flatten)]
    fixtures: Fixtures,
    #[command(flatten)]
    folder: Folder,
}

/// What to do where another process writes to the store.
const IN_USE: &str = "send the call to it (POST /v1/execute), or add --no-record to answer here without a record";
/// What is mostly meant by an input that is not JSON.
pub(super) const TEXT_HINT: &str = "a text is written in quotes: --input '\"some text\"'";

impl Run {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let input = parse("--input", &read(&self.input)?).map_err(|exit| exit.with_hint(TEXT_HINT))?;
        let config: CallConfig = match &self.config {
            None => CallConfig::default(),
            Some(text) => serde_json::from_value(parse("--config", text)?)
                .map_err(|error| Exit::usage(format!("--config: {error}")))?,
        };
        let recording = if self.no_record { Recording::Memory } else { Recording::Store { in_use: IN_USE } };
        let (baton, _) = orchestrator(&self.folder, recording, &self.fixtures, None).await?;
        // A rollout holds here too, and what is known of the models.
        baton.learn_routing().await.map_err(|error| Exit::outside(error.to_string()))?;
        let call = Call { config, stream: self.stream, ..Call::intent(&self.intent, input) };
        let ended = self.answer(&baton, call).await;
        if let Err(error) = baton.keep().await {
            tell!("what the semantic cache learnt could not be kept: {error}");
        }
        baton.store().clone().close().await;
        match ended {
            Ok(delivered) => self.print(&delivered),
            Err((execution, failure)) => self.fail(&execution, &failure),
        }
    }

    async fn answer(&self, baton: &Orchestrator, call: Call) -> Result<std::sync::Arc<Delivered>, (String, Failure)> {
        let mut execution = baton.start(call);
        let id = execution.id.to_string();
        loop {
            match execution.events.next().await {
                Some(LogEvent::Delta(Delta::Text(text))) if self.stream => {
                    let mut out = std::io::stdout();
                    let _closed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
                }
                Some(LogEvent::End(delivered)) => return Ok(delivered),
                Some(LogEvent::Error(failure)) => return Err((id, (*failure).clone())),
                Some(LogEvent::Start { .. } | LogEvent::Delta(_)) => {}
                None => return Err((id, Failure::new(baton_core::ErrorCode::Internal, "the execution ended early"))),
            }
        }
    }

    fn print(&self, delivered: &Delivered) -> Result<(), Exit> {
        let answer = &delivered.answer;
        if self.json {
            say!("{}", serde_json::to_string(answer).map_err(|error| Exit::outside(error.to_string()))?);
            return Ok(());
        }
        match answer.output.get("text").or_else(|| answer.output.get("label")).and_then(Value::as_str) {
            _ if self.stream => say!(),
            Some(text) => say!("{text}"),
            None => say!("{}", serde_json::to_string_pretty(&answer.output).unwrap_or_default()),
        }
        let model = answer.model.as_ref().map_or("nobody", |model| model.as_str());
        let simulated = if answer.simulated { " (simulated)" } else { "" };
        let cost = answer.cost_usd.as_ref().map_or("unknown".into(), |usd| format!("{usd} USD"));
        tell!("");
        tell!("answered by  {model}{simulated}, via {}", answer.via.as_str());
        tell!("because      {}", answer.reason.as_deref().unwrap_or("-"));
        tell!("took         {} ms, of which Baton {} ms", answer.latency.total_ms, answer.latency.overhead_ms);
        tell!("cost         {cost}");
        match (answer.quality.score, answer.quality.needed) {
            (Some(score), _) => tell!("quality      {score}"),
            (None, needed) => tell!(
                "quality      not known yet: {} labels of the {} needed",
                answer.quality.labels,
                needed.unwrap_or_default()
            ),
        }
        if !answer.repairs.is_empty() {
            tell!("repaired     {}", answer.repairs.join(", "));
        }
        tell!("execution    {}", answer.execution_id);
        Ok(())
    }

    fn fail(&self, execution: &str, failure: &Failure) -> Result<(), Exit> {
        let mut error = json!({
            "type": failure.code.error_type(), "code": failure.code, "message": failure.message,
            "executionId": execution,
        });
        if let Some(param) = &failure.param {
            error["param"] = json!(param);
        }
        if let Some(ms) = failure.retry_after_ms {
            error["retryAfterMs"] = json!(ms);
        }
        let message = format!("{failure}\nexecution {execution}");
        let exit = match failure.code.error_type() {
            ErrorType::InvalidRequest | ErrorType::NotFound | ErrorType::TooLarge => Exit::usage(message),
            ErrorType::Quality | ErrorType::UpstreamRejected => Exit::failed(message),
            _ => Exit::outside(message),
        };
        Err(exit.with_document(json!({ "error": error })))
    }
}

pub(super) fn read(input: &str) -> Result<String, Exit> {
    if input == "-" {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Exit::usage(format!("--input -: standard input could not be read: {error}")))?;
        return Ok(text);
    }
    match input.strip_prefix('@') {
        None => Ok(input.to_owned()),
        Some(file) => std::fs::read_to_string(PathBuf::from(file))
            .map_err(|error| Exit::usage(format!("--input @{file}: {error}"))),
    }
}

pub(super) fn parse(flag: &str, text: &str) -> Result<Value, Exit> {
    serde_json::from_str(text).map_err(|error| Exit::usage(format!("{flag} is not JSON: {error}")))
}
