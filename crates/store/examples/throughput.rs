//! How fast the journal takes records, and how fast they become rows.
//!
//! `cargo run --release -p baton-store --example throughput`

#![expect(clippy::print_stdout, reason = "its output is the point")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use baton_config::{Durability, StoreSpec};
use baton_core::{
    AttemptKind, AttemptOutcome, AttemptRecord, ExecutionId, IntentName, ModelId, NanoUsd, Record, Status, TeamId,
    Usage, Via,
};
use baton_store::{Entry, Journal, JournalOptions, Opened, ReportQuery, Store};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const RECORDS: u64 = 200_000;
const CALLERS: usize = 256;

fn attempt(model: &str, kind: AttemptKind, outcome: AttemptOutcome) -> AttemptRecord {
    AttemptRecord {
        model: ModelId::new(model),
        key: None,
        kind,
        outcome,
        start_us: 3,
        queued_us: 0,
        duration_us: 1000,
        first_token_us: None,
        usage: Some(Usage { input_tokens: 312, output_tokens: 3, ..Usage::default() }),
        cost: Some(NanoUsd(32_700)),
        error: None,
        response: None,
        checks: Vec::new(),
        judged: None,
        batch: None,
        simulated: true,
    }
}

/// About 1.5 kB of JSON: `local` abstained, a model answered.
fn record(number: u64) -> Record {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    let opened = Opened {
        execution: ExecutionId::new(1_700_000_000_000 + number / 30, random),
        team: TeamId::new("support"),
        key: None,
        partition: vec![Some("acme".into())],
        intent: Some(IntentName::new("classify-ticket")),
        started_at_us: 1_700_000_000_000_000 + 33 * number.cast_signed(),
        deadline_us: 2_000_000,
        reserved: NanoUsd(500),
        stream: false,
        simulated: true,
        subject: None,
    };
    let ticket = "I was charged twice for the March invoice, and the refund that was promised has not come. ".repeat(4);
    Record {
        status: Status::Succeeded,
        via: Some(Via::Model),
        model: Some(ModelId::new("openai/gpt-4o-mini")),
        version: "3f9a1234".into(),
        answer_hash: "ab".repeat(32),
        lineage: "cd".repeat(32),
        duration_us: 412_000 + number % 1000,
        error: None,
        attempts: vec![
            attempt("local", AttemptKind::Primary, AttemptOutcome::Abstained),
            attempt("openai/gpt-4o-mini", AttemptKind::Fallback, AttemptOutcome::Passed),
        ],
        input: Some(json!({ "ticket": ticket })),
        output: Some(json!({ "label": "billing" })),
        ..opened.interrupted()
    }
}

/// Every caller waits for each acknowledgement; returns the longest wait.
async fn append_all(journal: &Journal, entries: Arc<Vec<Entry>>, count: usize) -> Outcome<Duration> {
    let callers = (0..CALLERS).map(|caller| {
        let (journal, entries) = (journal.clone(), entries.clone());
        tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            for entry in entries[..count].iter().skip(caller).step_by(CALLERS) {
                let started = Instant::now();
                journal.append(entry)?.await?;
                worst = worst.max(started.elapsed());
            }
            Ok::<_, baton_store::JournalError>(worst)
        })
    });
    let mut worst = Duration::ZERO;
    for caller in callers.collect::<Vec<_>>() {
        worst = worst.max(caller.await??);
    }
    Ok(worst)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let entries: Arc<Vec<Entry>> = Arc::new((0..RECORDS).map(|n| Entry::Finished(Box::new(record(n)))).collect());
    let dir = tempfile::TempDir::new()?;
    for (durability, count) in [(Durability::Machine, entries.len() / 10), (Durability::Process, entries.len())] {
        let options = JournalOptions { durability, ..JournalOptions::default() };
        let (journal, _) = Journal::open(&dir.path().join(format!("{durability:?}/journal")), options)?;
        let started = Instant::now();
        let worst = append_all(&journal, entries.clone(), count).await?;
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{durability:?}: {:.0} appends a second by {CALLERS} callers, worst wait {worst:?}",
            count as f64 / seconds
        );
        journal.close().await;
    }

    let spec = StoreSpec { dir: dir.path().join("Process"), durability: Durability::Process };
    let started = Instant::now();
    let store = Store::open(&spec).await?;
    println!("ingestion: {:.0} records a second", RECORDS as f64 / started.elapsed().as_secs_f64());
    let started = Instant::now();
    let report = store.report(ReportQuery { until_us: i64::MAX, ..ReportQuery::default() }).await?;
    println!("report over {} calls: {:?}", report.total.calls.calls, started.elapsed());
    let bytes = std::fs::metadata(spec.dir.join("records.db"))?.len();
    println!("records.db: {} bytes a record", bytes / RECORDS);
    store.close().await;
    Ok(())
}
