//! The thread that copies the journal into SQLite: reads what was acknowledged, writes it in
//! batches, and lets segments go once their rows are durable.

use std::time::Duration;

use baton_core::{ExecutionId, Record};
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};

use super::control::Control;
use super::prune::{self, Retention};
use super::rows::{self, Batch};
use crate::journal::{Raw, Reader};
use crate::{Entry, StoreError};

/// Bytes of the journal that one batch holds, about.
const BATCH_BYTES: usize = 1 << 20;

/// Entries that one batch holds at most.
const BATCH_ENTRIES: usize = 512;

/// How long a few entries wait for more to be written with.
const LINGER: Duration = Duration::from_millis(20);

/// Entries that are worth a batch without waiting.
const WORTHWHILE: u64 = 128;

/// How long the database is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What the thread is asked to do.
enum Command {
    /// Go on without waiting for more.
    Hurry,
    Prune(Retention, i64, oneshot::Sender<Result<u64, StoreError>>),
    Close(oneshot::Sender<()>),
}

/// Where ingestion stands.
#[derive(Clone)]
struct Progress {
    /// The last sequence in the database.
    sequence: u64,
    /// Reads on from there.
    reader: Reader,
    /// Why it does not go on, while it does not.
    error: Option<StoreError>,
}

/// The handle of the thread; it ends when the handle is dropped.
pub(crate) struct Ingest {
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<Progress>,
}

impl Ingest {
    pub(crate) fn start(reader: Reader, writer: SqliteConnection, control: Control) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Database {
            action: "start the ingesting thread",
            message: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (commands, receiver) = mpsc::channel(64);
        let progress = watch::Sender::new(Progress { sequence: reader.after(), reader: reader.clone(), error: None });
        let handle = Self { commands, progress: progress.subscribe() };
        let worker = Worker { segment: reader.number(), reader, writer, control, progress, pending: Vec::new() };
        let spawned = std::thread::Builder::new().name("baton-ingest".into());
        spawned.spawn(move || runtime.block_on(worker.run(receiver))).map_err(failed)?;
        Ok(handle)
    }

    /// A reader at what is not ingested yet.
    pub(crate) fn position(&self) -> Reader {
        self.progress.borrow().reader.clone()
    }

    /// Waits until this sequence is ingested, or ingestion fails.
    pub(crate) async fn reach(&self, sequence: u64) -> Result<(), StoreError> {
        let mut progress = self.progress.clone();
        if progress.borrow().sequence < sequence {
            self.commands.send(Command::Hurry).await.map_err(|_| StoreError::Closed)?;
        }
        let reached = progress.wait_for(|progress| progress.sequence >= sequence || progress.error.is_some()).await;
        let progress = reached.map_err(|_| StoreError::Closed)?;
        match &progress.error {
            Some(error) if progress.sequence < sequence => Err(error.clone()),
            _ => Ok(()),
        }
    }

    pub(crate) async fn prune(&self, retention: Retention, now_us: i64) -> Result<u64, StoreError> {
        let (answer, receiver) = oneshot::channel();
        let sent = self.commands.send(Command::Prune(retention, now_us, answer)).await;
        sent.map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Ends the thread after its batch.
    pub(crate) async fn close(&self) {
        let (answer, receiver) = oneshot::channel();
        if self.commands.send(Command::Close(answer)).await.is_ok() {
            // An error means that it has ended already.
            let _ = receiver.await;
        }
    }
}

/// The record of an execution that is not ingested yet, if the journal has it behind `reader`.
pub(crate) fn find(mut reader: Reader, id: ExecutionId) -> Result<Option<Record>, StoreError> {
    // Cheaper than parsing: a record's JSON starts with its execution.
    let start = format!("{{\"execution\":\"{id}\"");
    loop {
        let entries = reader.next(BATCH_BYTES)?;
        if entries.is_empty() {
            return Ok(None);
        }
        for raw in entries.iter().filter(|raw| raw.payload.starts_with(start.as_bytes())) {
            if let Entry::Finished(record) = raw.entry()? {
                return Ok(Some(*record));
            }
        }
    }
}

struct Worker {
    reader: Reader,
    writer: SqliteConnection,
    control: Control,
    progress: watch::Sender<Progress>,
    /// Read, and not written yet.
    pending: Vec<Raw>,
    /// The segment that is being read.
    segment: u64,
}

impl Worker {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut written = self.reader.written();
        let mut hurry = true;
        loop {
            self.catch_up(hurry).await;
            hurry = false;
            let failing = self.progress.borrow().error.is_some();
            let behind = failing || *written.borrow_and_update() > self.progress.borrow().sequence;
            let patience = if failing { PAUSE } else { LINGER };
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Hurry) => hurry = true,
                    Some(Command::Prune(retention, now_us, answer)) => {
                        // Who no longer waits need not be told.
                        let _ = answer.send(self.prune(&retention, now_us).await);
                    }
                    Some(Command::Close(answer)) => {
                        self.close().await;
                        let _ = answer.send(());
                        return;
                    }
                    None => return self.close().await,
                },
                () = tokio::time::sleep(patience), if behind => hurry = true,
                changed = written.changed(), if !failing => if changed.is_err() { return self.close().await },
            }
        }
    }

    /// Ingests what there is, where it is worth it.
    async fn catch_up(&mut self, hurry: bool) {
        let behind = *self.reader.written().borrow() - self.progress.borrow().sequence;
        if !hurry && behind < WORTHWHILE {
            return;
        }
        loop {
            let done = self.step().await;
            match &done {
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "ingestion failed; the journal keeps what is not ingested"),
            }
            let (reader, sequence) = (self.reader.clone(), self.progress.borrow().sequence);
            let error = done.as_ref().err().cloned();
            if error.is_some() || self.progress.borrow().error.is_some() {
                self.progress.send_replace(Progress { sequence, reader, error });
            }
            if !matches!(done, Ok(true)) {
                return;
            }
        }
    }

    /// One batch. False where there is nothing left.
    async fn step(&mut self) -> Result<bool, StoreError> {
        if self.pending.is_empty() {
            self.pending = self.reader.next(BATCH_BYTES)?;
        }
        if self.reader.number() != self.segment && self.ingested_to_segment_start() {
            rows::sync(&mut self.writer).await?;
            self.reader.release(self.progress.borrow().sequence)?;
            self.segment = self.reader.number();
        }
        if self.pending.is_empty() {
            return Ok(false);
        }
        let entries = &self.pending[..self.pending.len().min(BATCH_ENTRIES)];
        let batch = Batch::new(entries);
        for feedback in &batch.feedback {
            self.control.add_feedback(feedback).await?;
        }
        batch.write(&mut self.writer).await?;
        self.pending.drain(..entries.len());
        let reader = self.reader.clone();
        self.progress.send_replace(Progress { sequence: batch.last, reader, error: None });
        Ok(true)
    }
}
