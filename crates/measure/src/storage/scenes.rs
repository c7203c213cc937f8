//! The failures themselves.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use baton_store::JournalOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};

use super::ground::Ground;
use super::{Row, Small};
use crate::client::Ending;

/// Small enough to be filled by some calls.
const BOUND: u64 = 1 << 20;
/// Of an input, so that records have a size.
const INPUT: usize = 8 << 10;
/// More calls than fill it.
const CALLS_MAX: usize = 4000;

fn full() -> Ending {
    Ending::Error("journal_full".into())
}

/// Somebody else's transaction on `records.db`: nothing is taken over while it lasts.
async fn hold(ground: &Ground) -> Result<SqliteConnection> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(ground.place.join(".baton/records.db"));
    let mut other = options.connect().await.context("open records.db")?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await?;
    Ok(other)
}

async fn let_go(mut other: SqliteConnection) -> Result<()> {
    sqlx::query("ROLLBACK").execute(&mut other).await?;
    Ok(())
}

pub(super) async fn store_down() -> Result<Row> {
    let mut row = Row::new("the store is down", "answers go on; records wait in the journal");
    let folder = tempfile::tempdir()?;
    let mut ground = Ground::open(folder.path(), JournalOptions::default()).await?;
    ground.answers(&mut row, 2).await;
    let other = hold(&ground).await?;
    ground.answers(&mut row, 20).await;
    ground.shows(&mut row, 200, ("store", "failing"), ("store_failing", 1)).await?;
    ground.answers(&mut row, 20).await;
    row.got = "40 answers of 40 calls meanwhile".into();
    let_go(other).await?;
    ground.shows(&mut row, 200, ("store", "ok"), ("store_failing", 0)).await?;
    ground.answers(&mut row, 2).await;
    ground.close(&mut row).await?;
    Ok(row)
}

pub(super) async fn journal_full() -> Result<Row> {
    let policy = "from 80 % on records lose inputs and outputs, from 95 % on calls are refused and no model is asked";
    let mut row = Row::new("the journal is at its bound", policy);
    let folder = tempfile::tempdir()?;
    let journal = JournalOptions { bytes_max: BOUND, segment_bytes: BOUND / 8, ..JournalOptions::default() };
    let mut ground = Ground::open(folder.path(), journal).await?;
    ground.answers(&mut row, 2).await;
    let other = hold(&ground).await?;
    let (mut answers, mut dropping) = (0, false);
    let mut last = Ending::Answer;
    for _ in 0..CALLS_MAX {
        last = ground.call(&mut row, INPUT).await;
        if last != Ending::Answer {
            break;
        }
        answers += 1;
        if !dropping && ground.ready().await?.1["journal"]["state"] == "dropping_content" {
            dropping = true;
            ground.shows(&mut row, 200, ("journal", "dropping_content"), ("journal_dropping_content", 1)).await?;
            ground.tells(&mut row, "journal.dropping_content").await?;
        }
    }
    row.must(dropping, || "content was never dropped".into());
    row.must(last == full(), || format!("at the bound a call got {last:?}"));
    ground.shows(&mut row, 503, ("journal", "refusing"), ("journal_refusing", 1)).await?;
    ground.tells(&mut row, "journal.refusing").await?;
    let before = ground.asked();
    for _ in 0..20 {
        let ending = ground.call(&mut row, 100).await;
        row.must(ending == full(), || format!("past the bound a call got {ending:?}"));
    }
    row.must(ground.asked() == before, || "a model was asked past the bound".into());
    row.got = format!("{answers} answers, then 21 times journal_full, no model asked");
    let_go(other).await?;
    ground.shows(&mut row, 200, ("journal", "ok"), ("journal_refusing", 0)).await?;
    ground.tells(&mut row, "journal.recovered").await?;
    ground.answers(&mut row, 4).await;
    ground.close(&mut row).await?;
    Ok(row)
}

pub(super) async fn disk_full() -> Result<Row> {
    let policy = "no answer without its record: calls are refused until it can be written again";
    let mut row = Row::new("the disk is full", policy);
    let small = Small::mount(16).await?;
    let mut ground = Ground::open(small.path(), JournalOptions::default()).await?;
    ground.answers(&mut row, 4).await;
    let filler = small.path().join("filler");
    fill(&filler)?;
    // What is left of the last page may hold a few records more.
    let (mut answers, mut refused) = (0, 0);
    for _ in 0..CALLS_MAX {
        match ground.call(&mut row, INPUT).await {
            Ending::Answer => answers += 1,
            ending => {
                refused += 1;
                row.must(ending == full(), || format!("with a full disk a call got {ending:?}"));
            }
        }
        if refused == 20 {
            break;
        }
    }
    row.must(refused == 20, || format!("{answers} calls were answered on a full disk"));
    ground.shows(&mut row, 503, ("journal", "refusing"), ("journal_refusing", 1)).await?;
    ground.tells(&mut row, "journal.refusing").await?;
    row.got = format!("{answers} answers, then journal_full");
    std::fs::remove_file(&filler)?;
    ground.shows(&mut row, 200, ("journal", "ok"), ("journal_refusing", 0)).await?;
    ground.tells(&mut row, "journal.recovered").await?;
    ground.shows(&mut row, 200, ("store", "ok"), ("store_failing", 0)).await?;
    ground.answers(&mut row, 10).await;
    ground.close(&mut row).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(row)
}

/// Writes until nothing more fits.
fn fill(path: &std::path::Path) -> Result<()> {
    let mut file = std::fs::File::create(path)?;
    let mut page = vec![0; 1 << 20];
    while page.len() > 1 {
        if file.write_all(&page).is_err() {
            page.truncate(page.len() / 2);
        }
    }
    Ok(())
}
