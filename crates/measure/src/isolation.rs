//! `measure isolation`: two teams and two partitions ask the same, interleaved; does anything cross?
//!
//! Two intents. `sort` answers labels, so that its semantic cache opens. `stamp` answers each call of the
//! model with a number of its own: whose call an answer came from is seen in the answer itself, whatever
//! records say of it. The engine and its caches are the real ones, on the paused clock; the models are a
//! script in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use baton_config::{Given, load};
use baton_core::{CallConfig, ExecutionId, Record, Scope, Via};
use baton_engine::{Call, ExecuteError, Orchestrator};
use baton_stats::SplitMix64;
use baton_store::Store;
use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::report::{Report, line, progress, table};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Calls in all, over both intents and all scopes
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1000..=1_000_000))]
    calls: u64,
    /// What the traffic follows from
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

const TEAMS: [&str; 2] = ["east", "west"];
const CUSTOMERS: [&str; 2] = ["one", "two"];
/// Calls that are in the air together.
const TOGETHER: usize = 8;
/// Of a kind of answer that could cross, so many must have been given, or nothing was shown.
const GIVEN_MIN: u64 = 100;

const POLICY: &str =
    "models = [\"sim/m\"]\n[cache]\nttl = \"1h\"\npartition = [\"metadata.customer\"]\nsemantic_error_max = 0.05\n";
const LABELS: &str = "[labels]\nbilling = \"money\"\nbug = \"broken\"\n";
const SCHEMA: &str =
    r#"{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}"#;

const MONEY: [&str; 4] =
    ["I was charged twice for", "please refund", "the bill is wrong about", "what does it cost to keep"];
const BROKEN: [&str; 4] =
    ["the app crashes when I open", "an error appears about", "nothing loads after", "it freezes with"];
const THINGS: [&str; 16] = [
    "my order",
    "the gym plan",
    "our report",
    "that upload",
    "the calendar",
    "my photos",
    "the table",
    "her seat",
    "the export",
    "a backup",
    "the old folder",
    "his licence",
    "the new phone",
    "our team",
    "the dashboard",
    "my password",
];
const WHENS: [&str; 12] = [
    "today",
    "yesterday",
    "last week",
    "again",
    "this morning",
    "since Monday",
    "at night",
    "on the train",
    "in March",
    "as always",
    "for months",
    "just now",
];

fn ticket(n: usize) -> String {
    let what = if n % 2 == 0 { MONEY } else { BROKEN };
    format!("{} {} {}", what[n / 2 % 4], THINGS[n / 8 % 16], WHENS[n / 128 % 12])
}

/// Answers `sort` with the label, and `stamp` with the next number.
#[derive(Default)]
struct Models(AtomicU64);

impl Transport for Models {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        let asked = String::from_utf8_lossy(&request.body).into_owned();
        let said = if asked.contains("STAMP") {
            json!({ "n": self.0.fetch_add(1, Ordering::Relaxed) }).to_string()
        } else if MONEY.iter().any(|money| asked.contains(money)) {
            "billing".to_owned()
        } else {
            "bug".to_owned()
        };
        let body = json!({
            "id": "1", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": said } }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12 },
        });
        Box::pin(async move {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            let body = futures_util::stream::once(async move { Ok(Bytes::from(body.to_string())) });
            Ok(HttpResponse { status: StatusCode::OK, headers, body: Box::pin(body) })
        })
    }
}

pub(crate) fn run(arguments: Arguments) -> Result<Report> {
    line(&format!(
        "{} calls by {} teams and {} customers, the same inputs from all, {TOGETHER} at a time. The engine and its\n\
         caches are the real ones; models and clock are simulated\n",
        arguments.calls,
        TEAMS.len(),
        CUSTOMERS.len()
    ));
    let records = crate::paused::run(async || traffic(&arguments).await)?;
    let mut report = Report::new("isolation");
    judge(&mut report, &records, arguments.calls);
    report.figure("simulated", true);
    Ok(report)
}

async fn traffic(arguments: &Arguments) -> Result<Vec<Record>> {
    let folder = tempfile::tempdir()?;
    let put = |path: &str, text: &str| crate::house::write(&folder.path().join(path), text);
    put("baton.toml", "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n")?;
    put("scenario.toml", "models = {}\n")?;
    put("intents/sort/intent.toml", &format!("{POLICY}{LABELS}"))?;
    put("intents/stamp/intent.toml", POLICY)?;
    put("intents/stamp/prompt.md", "STAMP {{ input }}\n")?;
    put("intents/stamp/output.schema.json", SCHEMA)?;
    let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
    let loaded = load(folder.path(), &given);
    let snapshot = loaded.map_err(|report| anyhow::anyhow!("the folder of this measure is wrong:\n{report}"))?;
    let records: Arc<Mutex<Vec<Record>>> = Arc::default();
    let observer = Arc::clone(&records);
    let orchestrator = Orchestrator::builder(snapshot.snapshot, Store::memory())
        .transport("sim", Arc::new(Models::default()))
        .simulated(arguments.seed)
        .on_record(Arc::new(move |record| {
            observer.lock().unwrap_or_else(PoisonError::into_inner).push(record.clone());
        }))
        .build()?;
    let mut dice = SplitMix64::new(arguments.seed);
    let rounds = arguments.calls.div_ceil(TOGETHER as u64);
    for round in 0..rounds {
        if round % (rounds / 5).max(1) == 0 {
            progress(&format!("{} of {} calls", round * TOGETHER as u64, arguments.calls));
        }
        // Old tickets and new ones; the more come up the later it is.
        let upto = 24 + round / 2;
        let left = arguments.calls - round * TOGETHER as u64;
        // A few calls in a row ask the same, in several scopes at once: flights meet.
        let same = dice.below(upto);
        let calls = (0..left.min(TOGETHER as u64)).map(|_| {
            let n = if dice.below(2) == 0 { same } else { dice.below(upto) };
            orchestrator.execute(call(&mut dice, usize::try_from(n).unwrap_or_default()))
        });
        let done: Vec<Result<_, ExecuteError>> = join_all(calls.collect::<Vec<_>>()).await;
        done.into_iter().try_for_each(|done| done.map(drop))?;
    }
    drop(orchestrator);
    Ok(std::mem::take(&mut *records.lock().unwrap_or_else(PoisonError::into_inner)))
}

fn call(dice: &mut SplitMix64, n: usize) -> Call {
    let pick = |dice: &mut SplitMix64, of: [&'static str; 2]| if dice.below(2) == 0 { of[0] } else { of[1] };
    let (team, customer, intent) = (pick(dice, TEAMS), pick(dice, CUSTOMERS), pick(dice, ["sort", "stamp"]));
    let mut call = Call::intent(intent, json!(ticket(n)));
    call.caller.team = team.into();
    call.metadata.insert("customer".into(), customer.into());
    call.config = CallConfig { max_latency_ms: Some(10_000), ..CallConfig::default() };
    call
}

fn scope(record: &Record) -> Scope {
    Scope { team: record.team.clone(), partition: record.partition.clone() }
}

/// A kind of answer that could cross, and how often one did.
#[derive(Default)]
struct Kind {
    given: u64,
    crossed: u64,
}

fn judge(report: &mut Report, records: &[Record], calls: u64) {
    let scopes: HashMap<ExecutionId, Scope> = records.iter().map(|r| (r.execution, scope(r))).collect();
    let number = |record: &Record| record.output.as_ref().and_then(|output| output.get("n")).and_then(Value::as_u64);
    let made = records.iter().filter(|record| record.via == Some(Via::Model));
    let stamps: HashMap<u64, Scope> = made.filter_map(|record| Some((number(record)?, scope(record)))).collect();
    let mut kinds: BTreeMap<&'static str, Kind> = BTreeMap::new();
    for record in records {
        let own = scope(record);
        let mut seen = |name, other: Option<&Scope>| {
            let kind = kinds.entry(name).or_default();
            kind.given += 1;
            kind.crossed += u64::from(other != Some(&own));
        };
        match record.via {
            Some(Via::CacheExact) => seen("exact hits", record.source.and_then(|id| scopes.get(&id))),
            Some(Via::CacheSemantic) => seen("semantic hits", record.source.and_then(|id| scopes.get(&id))),
            Some(Via::Coalesced) => seen("shared flights", record.source.and_then(|id| scopes.get(&id))),
            _ => {}
        }
        if let Some(neighbour) = record.semantic.as_ref().and_then(|look| look.neighbour) {
            seen("neighbours", scopes.get(&neighbour));
        }
        if let Some(number) = number(record) {
            seen("stamped answers", stamps.get(&number));
        }
    }
    let mut table = table(&["", "given", "from another scope"]);
    for (name, kind) in &kinds {
        table.add_row([(*name).to_owned(), kind.given.to_string(), kind.crossed.to_string()]);
        let key = name.replace(' ', "_");
        report.figure(&key, kind.given);
        report.figure(&format!("{key}_crossed"), kind.crossed);
    }
    line(&table.to_string());
    let all = ["exact hits", "semantic hits", "shared flights", "neighbours", "stamped answers"];
    let given = all.iter().map(|name| kinds.get(name).map_or(0, |kind| kind.given)).min().unwrap_or_default();
    let crossed: u64 = kinds.values().map(|kind| kind.crossed).sum();
    report.figure("calls", records.len());
    report.figure("crossed", crossed);
    report.bar(format!("{} calls in 4 scopes are recorded", records.len()), records.len() as u64 == calls);
    report.bar(format!("of each kind at least {given} answers were given (≥ {GIVEN_MIN})"), given >= GIVEN_MIN);
    report.bar(format!("{crossed} crossed a scope (0)"), crossed == 0);
}
