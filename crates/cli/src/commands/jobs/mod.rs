//! `baton jobs`: many inputs, answered in time.

mod work;

use std::io::BufRead as _;
use std::sync::Arc;

use baton_config::Snapshot;
use baton_core::{Failure, IntentName};
use baton_engine::{Caller, JobInput, JobView, Jobs, Terms, Within, of_line};
use baton_store::{JournalError, Store, StoreError};
use clap::{Args, Subcommand};

use crate::exit::{Exit, say, tell};
use crate::setup::{Folder, callers_team, control_and_snapshot, plain_table, unix_us};
use crate::transports::Fixtures;

/// Answer many inputs: hand in a job, follow it, read its results.
///
/// A job is kept in the store. The server that serves the folder works on it; where none does, `submit`
/// works on it here, and `work` goes on after it was stopped. No item is answered twice.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton jobs submit classify-ticket --input tickets.jsonl     a line is {\"input\": …, \"id\": \"…\"}
  baton jobs submit classify-ticket --input tickets.jsonl --within 24h
  baton jobs list
  baton jobs results ID > answers.jsonl
  baton jobs work                                             go on with what was stopped
  baton jobs cancel ID")]
pub(crate) struct JobsCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Hand in a job, and work on it where no server does
    Submit(Submit),
    /// List jobs, the latest first
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Say how far a job is
    Show {
        /// Its id
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Print its results so far, in the order of its items: JSONL
    Results {
        /// Its id
        id: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Begin no more of its items
    Cancel {
        /// Its id
        id: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Delete it with its inputs and results
    Delete {
        /// Its id
        id: String,
        #[command(flatten)]
        whose: Whose,
    },
    /// Work on every job that is not over, where no server does
    Work {
        #[command(flatten)]
        fixtures: Fixtures,
        #[command(flatten)]
        folder: Folder,
    },
}

/// Whose jobs, and where they are.
#[derive(Args)]
struct Whose {
    /// The team whose job it is
    #[arg(long, default_value = "default")]
    team: String,
    #[command(flatten)]
    folder: Folder,
}

#[derive(Args)]
struct Submit {
    /// The intent: a folder's name under intents/
    intent: String,
    /// JSONL with an item in each line, or - for standard input: {"input": …}, and where wanted id, metadata, subject
    #[arg(long, value_name = "FILE|-")]
    input: String,
    /// It may take a day: through the provider's batch API where there is one, at the price of batches
    #[arg(long, value_name = "24h")]
    within: Option<String>,
    /// Groups its calls
    #[arg(long)]
    session: Option<String>,
    /// Names the job: handed in again under the same name, it is the same one
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// Leave it to a server, or to `baton jobs work`
    #[arg(long)]
    detach: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    fixtures: Fixtures,
    #[command(flatten)]
    whose: Whose,
}

impl JobsCommand {
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::Submit(submit) => submit.json,
            Command::List { json, .. } | Command::Show { json, .. } => *json,
            _ => false,
        }
    }

    pub(crate) async fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::Submit(submit) => submit.run().await,
            Command::List { json, whose } => {
                let (jobs, _) = whose.jobs().await?.list(None, 1000).await.map_err(refused)?;
                list(&jobs, json);
                Ok(())
            }
            Command::Show { id, json, whose } => {
                let job = whose.jobs().await?.get(&id).await.map_err(refused)?;
                show(&job, json);
                Ok(())
            }
            Command::Results { id, whose } => {
                let jobs = whose.jobs().await?;
                let mut from = 0;
                loop {
                    let (lines, next) = jobs.results(&id, from, 1000).await.map_err(refused)?;
                    if lines.is_empty() {
                        return Ok(());
                    }
                    lines.iter().for_each(|line| say!("{line}"));
                    from = next;
                }
            }
            Command::Cancel { id, whose } => {
                let job = whose.jobs().await?.cancel(&id).await.map_err(refused)?;
                tell!("{}: {} of {} items were answered", job.status, job.succeeded, job.items);
                Ok(())
            }
            Command::Delete { id, whose } => {
                whose.jobs().await?.delete(&id).await.map_err(refused)?;
                tell!("deleted {id}");
                Ok(())
            }
            Command::Work { fixtures, folder } => {
                let snapshot = folder.snapshot()?;
                let store = Store::open(&snapshot.store).await.map_err(|error| match error {
                    StoreError::Journal(JournalError::Locked { .. }) => {
                        Exit::outside("a process has this folder, as a rule `baton serve`, and works on its jobs")
                    }
                    error => Exit::outside(error.to_string()),
                })?;
                work::until_over(&folder, store, &fixtures, None).await.map(drop)
            }
        }
    }
}

impl Whose {
    async fn jobs(&self) -> Result<Jobs, Exit> {
        let (store, snapshot) = control_and_snapshot(&self.folder).await?;
        self.of(store, Arc::new(snapshot))
    }

    fn of(&self, store: Store, snapshot: Arc<Snapshot>) -> Result<Jobs, Exit> {
        let caller = Caller::of_team(&callers_team(&self.team, &snapshot)?, &snapshot);
        Ok(Jobs::new(store, snapshot, caller, unix_us()))
    }
}

impl Submit {
    async fn run(self) -> Result<(), Exit> {
        let within = match self.within.as_deref() {
            None => None,
            Some("24h") => Some(Within::Day),
            Some(other) => return Err(Exit::usage(format!("--within {other}: there is only 24h"))),
        };
        let snapshot = Arc::new(self.whose.folder.snapshot()?);
        // Beside a server the job is its to work on.
        let (store, here) = match Store::open(&snapshot.store).await {
            Ok(store) => (store, true),
            Err(StoreError::Journal(JournalError::Locked { .. })) => {
                let store = Store::open_read(&snapshot.store).await;
                (store.map_err(|error| Exit::outside(error.to_string()))?, false)
            }
            Err(error) => return Err(Exit::outside(error.to_string())),
        };
        let jobs = self.whose.of(store.clone(), snapshot)?;
        let terms = Terms { session: self.session.clone(), within, ..Terms::default() };
        let handed_in = self.hand_in(&jobs, terms).await;
        let job = match handed_in {
            Ok(job) => job,
            Err(exit) => {
                store.close().await;
                return Err(exit);
            }
        };
        tell!("job {}: {} items", job.id, job.items);
        if !here {
            store.close().await;
            tell!("the server that has this folder works on it: baton jobs show {}", job.id);
            show(&job, self.json);
            return Ok(());
        }
        if self.detach {
            store.close().await;
            tell!("it waits for a server, or for `baton jobs work`");
            show(&job, self.json);
            return Ok(());
        }
        let job = work::until_over(&self.whose.folder, store, &self.fixtures, Some(job.id)).await?.unwrap_or(job);
        show(&job, self.json);
        if job.failed > 0 {
            return Err(Exit::failed(format!(
                "{} of {} items have no answer: `baton jobs results {}` says why",
                job.failed, job.items, job.id
            )));
        }
        Ok(())
    }

    async fn hand_in(&self, jobs: &Jobs, terms: Terms) -> Result<JobView, Exit> {
        let intent = IntentName::new(&self.intent);
        let outside = |error: std::io::Error| Exit::usage(format!("--input {}: {error}", self.input));
        let reader: Box<dyn std::io::BufRead> = if self.input == "-" {
            Box::new(std::io::BufReader::new(std::io::stdin()))
        } else {
            Box::new(std::io::BufReader::new(std::fs::File::open(&self.input).map_err(outside)?))
        };
        let mut handing_in = jobs.hand_in(&intent, terms, self.key.as_deref()).await.map_err(refused)?;
        for (n, line) in reader.lines().enumerate() {
            let line = line.map_err(outside);
            let taken = match line {
                Ok(line) if line.trim().is_empty() => continue,
                Ok(line) => match serde_json::from_str::<JobInput>(&line) {
                    Ok(item) => handing_in.add(item).await.map_err(refused),
                    Err(error) => Err(Exit::usage(format!("{error}; a line is {{\"input\": …}}"))),
                },
                Err(exit) => Err(exit),
            };
            if let Err(exit) = taken {
                handing_in.abandon().await.map_err(refused)?;
                return Err(Exit::usage(format!("{} {}", self.input, of_line(n + 1, exit.message()))));
            }
        }
        handing_in.finish().await.map_err(refused)
    }
}

pub(super) fn refused(failure: Failure) -> Exit {
    Exit::usage(failure.message)
}

fn list(jobs: &[JobView], json: bool) {
    if json {
        return say!("{}", serde_json::to_string(jobs).unwrap_or_default());
    }
    if jobs.is_empty() {
        return tell!("no jobs: hand one in with `baton jobs submit INTENT --input FILE.jsonl`");
    }
    let mut table = plain_table();
    table.set_header(["id", "intent", "status", "items", "answered", "failed", "cost USD", "waits for"]);
    for job in jobs {
        let cost = job.cost_usd.clone().unwrap_or_else(|| "unknown".into());
        let numbers = [job.items, job.succeeded, job.failed].map(|number| number.to_string());
        let [items, succeeded, failed] = numbers;
        let waits = job.waits.clone().unwrap_or_default();
        let (id, intent) = (job.id.to_string(), job.intent.to_string());
        table.add_row([id, intent, job.status.to_owned(), items, succeeded, failed, cost, waits]);
    }
    say!("{table}");
}

fn show(job: &JobView, json: bool) {
    if json {
        return say!("{}", serde_json::to_string(job).unwrap_or_default());
    }
    say!("{} {}: {} of {} items answered, {} failed", job.id, job.status, job.succeeded, job.items, job.failed);
    say!("cost      {}", job.cost_usd.as_ref().map_or("unknown".into(), |usd| format!("{usd} USD")));
    if let Some(waits) = &job.waits {
        say!("waits for {waits}");
    }
    for batch in &job.batches {
        let (id, told) = (batch.batch.as_deref().unwrap_or("-"), batch.told.as_deref().unwrap_or("-"));
        say!("batch     {} {id} {}: {told}", batch.model, batch.status);
    }
}
