//! What a measure of real data stands on: a configuration folder in a temporary directory, compiled as
//! any other, and the engine over it. Nothing is switched off: records go to SQLite in that directory.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use baton_config::{Given, Snapshot};
use baton_core::{ExecutionId, Record, TeamId};
use baton_engine::Orchestrator;
use baton_store::{ReportQuery, Store};
use baton_wire::Transport;
use tempfile::TempDir;

/// An engine that runs, and the directory that goes with it.
pub(crate) struct Ground {
    pub(crate) engine: Orchestrator,
    /// What reading the folder took.
    pub(crate) load: Duration,
    /// What building took: training `local`, where an intent names it.
    pub(crate) build: Duration,
    directory: TempDir,
}

impl Ground {
    /// Writes the files (path in the folder, content), loads them, and starts the engine with these
    /// transports (by provider).
    ///
    /// # Errors
    /// Every mistake of the folder with its place; what the disk says.
    pub(crate) async fn open(
        files: &[(String, String)],
        transports: Vec<(&str, Arc<dyn Transport>)>,
    ) -> anyhow::Result<Self> {
        let directory = TempDir::with_prefix("baton-measure-").context("a temporary directory")?;
        for (path, content) in files {
            let path = directory.path().join(path);
            let parent = path.parent().unwrap_or(directory.path());
            std::fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
            std::fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
        }
        let started = Instant::now();
        let snapshot = load(directory.path())?;
        let load = started.elapsed();
        let store = Store::open(&snapshot.store).await?;
        let started = Instant::now();
        let mut builder = Orchestrator::builder(snapshot, store);
        for (provider, transport) in transports {
            builder = builder.transport(provider, transport);
        }
        let engine = builder.build()?;
        Ok(Self { engine, load, build: started.elapsed(), directory })
    }

    /// The record of an execution, from the store.
    ///
    /// # Errors
    /// Where there is none.
    pub(crate) async fn record(&self, id: ExecutionId) -> anyhow::Result<Record> {
        let record = self.engine.store().execution(&TeamId::new("default"), id).await?;
        record.with_context(|| format!("execution {id} has no record"))
    }

    /// Waits for SQLite, ends the engine, removes the directory, and says how many records there were.
    ///
    /// # Errors
    /// What the store says.
    pub(crate) async fn close(self) -> anyhow::Result<u64> {
        self.engine.idle().await;
        let store = self.engine.store().clone();
        store.flush().await?;
        let all = ReportQuery { since_us: 0, until_us: i64::MAX, ..ReportQuery::default() };
        let records = store.report(all).await?.total.calls.calls;
        store.close().await;
        self.directory.close().context("remove the temporary directory")?;
        Ok(records)
    }
}

/// Compiles a folder, with nothing from the environment.
///
/// # Errors
/// Every mistake with its place.
pub(crate) fn load(folder: &Path) -> anyhow::Result<Snapshot> {
    let vendors: Vec<&str> = baton_provider::VENDORS.iter().map(|vendor| vendor.name).collect();
    // The environment is left out, so that nothing but the files decides.
    let given = Given { env: &|_| None, flags: &[], known_providers: &vendors, price: &baton_provider::list_price };
    match baton_config::load(folder, &given) {
        Ok(loaded) => Ok(loaded.snapshot),
        Err(report) => bail!("the folder of this measure is wrong:\n{}", report.render(false)),
    }
}
