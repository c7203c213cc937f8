//! The thread that copies the journal into SQLite: reads what was acknowledged, writes it in
//! batches, and lets segments go once their rows are durable.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_core::{ExecutionId, Record};
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};

use super::control::Control;
use super::erase;
use super::jobs::Jobs;
use super::prune::{self, Retention};
use super::records;
use super::rows::{self, Batch};
use super::semantic::Semantic;
use crate::digest::Digest;
use crate::entry::Kind;
use crate::journal::{Raw, Reader};
use crate::{Entry, Erased, StoreError};

/// Bytes of the journal that one batch holds, about.
const BATCH_BYTES: usize = 8 << 20;

/// Entries that one batch holds at most.
const BATCH_ENTRIES: usize = 2048;

/// How long a few entries wait for more to be written with.
const LINGER: Duration = Duration::from_millis(100);

/// How long the database is left alone after it failed.
const PAUSE: Duration = Duration::from_secs(1);

/// What the thread is asked to do.
enum Command {
    /// Ingest all there is now.
    CatchUp(oneshot::Sender<Result<(), StoreError>>),
    /// The same, and lets go what is only left over: segments that are ingested, the database's log.
    Settle(oneshot::Sender<Result<(), StoreError>>),
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

/// The databases beside `records.db` that hold what records lead to.
pub(crate) struct Others {
    pub(crate) control: Control,
    pub(crate) semantic: Semantic,
    pub(crate) jobs: Jobs,
}

/// The handle of the thread; it ends when the handle is dropped.
pub(crate) struct Ingest {
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<Progress>,
}

impl Ingest {
    pub(crate) fn start(
        dir: &Path,
        reader: Reader,
        writer: SqliteConnection,
        others: Others,
    ) -> Result<Self, StoreError> {
        let failed = |error: std::io::Error| StoreError::Database {
            action: "start the ingesting thread",
            message: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (commands, receiver) = mpsc::channel(64);
        let progress = watch::Sender::new(Progress { sequence: reader.after(), reader: reader.clone(), error: None });
        let handle = Self { commands, progress: progress.subscribe() };
        let before = reader.clone();
        let dir = dir.to_owned();
        let worker =
            Worker { dir, reader, writer, others, progress, pending: Vec::new(), digests: VecDeque::new(), before };
        let spawned = std::thread::Builder::new().name("baton-ingest".into());
        spawned.spawn(move || runtime.block_on(worker.run(receiver))).map_err(failed)?;
        Ok(handle)
    }

    /// A reader at what is not ingested yet.
    pub(crate) fn position(&self) -> Reader {
        self.progress.borrow().reader.clone()
    }

    /// The last sequence in the database, and why ingestion does not go on, while it does not.
    pub(crate) fn state(&self) -> (u64, Option<StoreError>) {
        let progress = self.progress.borrow();
        (progress.sequence, progress.error.clone())
    }

    /// Waits until this sequence, which is in the journal, is ingested, or says why it cannot be.
    pub(crate) async fn reach(&self, sequence: u64) -> Result<(), StoreError> {
        if self.progress.borrow().sequence >= sequence {
            return Ok(());
        }
        let (answer, receiver) = oneshot::channel();
        self.commands.send(Command::CatchUp(answer)).await.map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
    }

    /// Ingests all there is, and lets go what is only left over.
    pub(crate) async fn settle(&self) -> Result<(), StoreError> {
        let (answer, receiver) = oneshot::channel();
        self.commands.send(Command::Settle(answer)).await.map_err(|_| StoreError::Closed)?;
        receiver.await.map_err(|_| StoreError::Closed)?
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

/// What a batch leaves behind, as far as is known.
enum Left {
    More,
    /// Less than fills a batch.
    Little,
    Nothing,
}

struct Worker {
    /// Where `records.db` is.
    dir: PathBuf,
    reader: Reader,
    writer: SqliteConnection,
    others: Others,
    progress: watch::Sender<Progress>,
    /// Read, and not written yet.
    pending: Vec<Raw>,
    /// Of entries from the first pending one on; not of all.
    digests: VecDeque<(u64, Box<Digest>)>,
    /// Where `pending` was read from.
    before: Reader,
}

impl Worker {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut written = self.reader.written();
        loop {
            // What came meanwhile and is little waits for more: a page that many rows share is then written once.
            let left = self.ingest().await;
            let (failing, little) = (left.is_err(), matches!(left, Ok(Left::Little)));
            let command = tokio::select! {
                biased;
                command = commands.recv() => command,
                () = tokio::time::sleep(PAUSE), if failing => continue,
                () = tokio::time::sleep(LINGER), if little => continue,
                changed = written.changed(), if !failing && !little => match changed {
                    Ok(()) => match tokio::time::timeout(LINGER, commands.recv()).await {
                        Ok(command) => command,
                        Err(_) => continue,
                    },
                    Err(_) => None,
                },
            };
            // Who no longer waits for an answer need not be told.
            match command {
                Some(Command::CatchUp(answer)) => drop(answer.send(self.catch_up().await)),
                Some(Command::Settle(answer)) => drop(answer.send(self.settle().await)),
                Some(Command::Prune(retention, now_us, answer)) => {
                    drop(answer.send(self.prune(&retention, now_us).await));
                }
                Some(Command::Close(answer)) => {
                    self.close().await;
                    let _ = answer.send(());
                    return;
                }
                None => return,
            }
        }
    }

    /// Ingests all there is, or says why it cannot.
    async fn catch_up(&mut self) -> Result<(), StoreError> {
        while let Left::Little = self.ingest().await? {}
        Ok(())
    }

    async fn settle(&mut self) -> Result<(), StoreError> {
        self.catch_up().await?;
        erase::checkpoint(&mut self.writer).await;
        Ok(())
    }

    /// Ingests as long as there are whole batches.
    async fn ingest(&mut self) -> Result<Left, StoreError> {
        let result = loop {
            match self.step().await {
                Ok(Left::More) => {}
                rests => break rests,
            }
        };
        if let Err(error) = &result {
            tracing::error!(%error, "ingestion failed; the journal keeps what is not ingested");
            if let Ok(writer) = records::connect_writer(&self.dir).await {
                self.writer = writer;
            }
        }
        self.progress.send_if_modified(|progress| {
            let modified = progress.error.is_some() || result.is_err();
            progress.error = result.as_ref().err().cloned();
            modified
        });
        result
    }

    /// One batch.
    async fn step(&mut self) -> Result<Left, StoreError> {
        if self.pending.is_empty() {
            let number = self.reader.number();
            self.before = self.reader.clone();
            self.pending = self.reader.next(BATCH_BYTES)?;
            if self.reader.number() != number {
                // Every entry of the segments before this one is in the database.
                rows::sync(&mut self.writer).await?;
                self.reader.release(self.progress.borrow().sequence)?;
            }
        }
        if self.pending.is_empty() {
            return Ok(Left::Nothing);
        }
        // Some left over belong to entries that are not read yet.
        if self.digests.len() < BATCH_ENTRIES {
            self.digests.append(&mut self.reader.take_digests());
        }
        if let Some((sequence, erased)) = self.erased_next() {
            erase::erase(&mut self.writer, &self.others, (sequence, &erased)).await?;
            self.written(1, sequence);
            return Ok(Left::More);
        }
        // What was recorded before a person was erased is in the database before they are.
        let until = self.pending.iter().skip(1).position(|raw| raw.kind == Kind::Erased as u8);
        let count = until.map_or(self.pending.len(), |others| others + 1).min(BATCH_ENTRIES);
        let bytes: usize = self.pending[..count].iter().map(|raw| raw.payload.len()).sum();
        let batch = Batch::new(&self.pending[..count], &mut self.digests);
        for feedback in &batch.feedback {
            self.others.control.add_feedback(feedback).await?;
        }
        self.others.control.add_reviews(&batch.reviews).await?;
        batch.write(&mut self.writer).await?;
        self.written(count, batch.last);
        if until.is_some() {
            return Ok(Left::More);
        }
        Ok(if count < BATCH_ENTRIES / 2 && bytes < BATCH_BYTES / 2 { Left::Little } else { Left::More })
    }

    /// The first pending entry, where it is that a person was erased. One that cannot be read is kept as any.
    fn erased_next(&self) -> Option<(u64, Erased)> {
        let raw = self.pending.first().filter(|raw| raw.kind == Kind::Erased as u8)?;
        match raw.entry() {
            Ok(Entry::Erased(erased)) => Some((raw.sequence, erased)),
            _ => None,
        }
    }

    /// So many of the pending entries are in the databases.
    fn written(&mut self, count: usize, last: u64) {
        self.pending.drain(..count);
        let reader = if self.pending.is_empty() { &self.reader } else { &self.before };
        self.progress.send_replace(Progress { sequence: last, reader: reader.clone(), error: None });
    }

    /// Deletes a few records, lets ingestion go on, and so on.
    async fn prune(&mut self, retention: &Retention, now_us: i64) -> Result<u64, StoreError> {
        let mut pruned = 0;
        let mut last = prune::Whose::default();
        while let Some(whose) = prune::next(&mut self.writer, &last).await? {
            let cutoff_us = retention.cutoff_us(&whose.1, now_us);
            loop {
                let old = prune::some_old(&mut self.writer, &whose, cutoff_us).await?;
                if old.is_empty() {
                    break;
                }
                self.others.control.forget_content(&old).await?;
                prune::delete(&mut self.writer, &old).await?;
                pruned += old.len() as u64;
                self.catch_up().await?;
            }
            last = whose;
        }
        prune::forget_repeats(&mut self.writer, now_us).await?;
        prune::forget_erasures(&mut self.writer, retention.cutoff_us("", now_us)).await?;
        prune::coarsen(&mut self.writer, now_us).await?;
        Ok(pruned)
    }

    async fn close(mut self) {
        // Its error is logged, and the next start goes on from there.
        let _ = self.catch_up().await;
        let closed = match rows::sync(&mut self.writer).await {
            Ok(()) => self.writer.close().await.map_err(StoreError::database("close records.db")),
            Err(error) => Err(error),
        };
        if let Err(error) = closed {
            tracing::error!(%error, "the journal keeps what is not ingested");
        }
    }
}
