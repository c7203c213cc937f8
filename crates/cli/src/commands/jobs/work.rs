//! Working on jobs in this process, for as long as there are any.

use std::time::Duration;

use baton_core::JobId;
use baton_engine::{Caller, JobView, Jobs};
use baton_store::{Job, Store};

use super::refused;
use crate::exit::{Exit, tell};
use crate::setup::{Folder, orchestrator_over, unix_us, usable};
use crate::signals;
use crate::transports::{Fixtures, Transports};

/// How often it is said how far they are.
const TELL: Duration = Duration::from_millis(500);

/// Works until this job is over, or all are; Ctrl-C stops, and what is in the air still gets its result.
/// How the job stands then.
pub(super) async fn until_over(
    folder: &Folder,
    store: Store,
    fixtures: &Fixtures,
    one: Option<JobId>,
) -> Result<Option<JobView>, Exit> {
    let (snapshot, transports) = (folder.told_snapshot()?, Transports::new(fixtures)?);
    usable(&snapshot, &transports)?;
    let baton = orchestrator_over(snapshot, store.clone(), transports, None)?;
    let worker = baton.clone();
    let working = tokio::spawn(async move { worker.work().await });
    let mut told = String::new();
    let over = loop {
        let open = store.open_jobs().await.map_err(|error| Exit::outside(error.to_string()))?;
        let ours: Vec<&Job> = open.iter().filter(|job| one.is_none_or(|id| job.id == id)).collect();
        if ours.is_empty() {
            break true;
        }
        let line = ours.iter().map(|job| progress(job)).collect::<Vec<_>>().join("; ");
        if line != told {
            tell!("{line}");
            told = line;
        }
        tokio::select! {
            () = tokio::time::sleep(TELL) => {}
            () = signals::stop() => break false,
        }
    };
    baton.stop_work();
    if !over {
        tell!("stopping: what was asked still gets its result; `baton jobs work` goes on");
        tokio::spawn(signals::again());
    }
    if let Err(error) = working.await {
        tell!("working on jobs ended early: {error}");
    }
    if let Err(error) = baton.keep().await {
        tell!("what the semantic cache learnt could not be kept: {error}");
    }
    let view = match one {
        Some(id) => Some(view(&baton, id).await?),
        None => None,
    };
    store.close().await;
    Ok(view)
}

async fn view(baton: &baton_engine::Orchestrator, id: JobId) -> Result<JobView, Exit> {
    let all = baton.store().jobs(None, None, 1000).await.map_err(|error| Exit::outside(error.to_string()))?;
    let team = all.into_iter().find(|job| job.id == id).map(|job| job.team);
    let team = team.ok_or_else(|| Exit::failed(format!("job {id} was deleted meanwhile")))?;
    let caller = Caller { team, ..Caller::default() };
    let jobs = Jobs::new(baton.store().clone(), baton.snapshot(), caller, unix_us());
    jobs.get(&id.to_string()).await.map_err(refused)
}

fn progress(job: &Job) -> String {
    let failed = if job.failed > 0 { format!(", {} failed", job.failed) } else { String::new() };
    let waits = job.waits.as_ref().map(|why| format!("; waits: {why}")).unwrap_or_default();
    format!("{} {}: {} of {} answered{failed}{waits}", job.intent, job.id, job.succeeded, job.items)
}
