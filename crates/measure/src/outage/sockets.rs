//! The same over real sockets, for the milliseconds: `baton serve` before `baton sim`, whose primary
//! accepts calls and answers none for a while.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use baton_core::Record;
use serde_json::json;
use tokio::task::JoinSet;

use super::Seen;
use crate::children::{baton, profile};
use crate::client::{Client, Ending};
use crate::house::{self, LABELS};
use crate::paused::{MAIN, Took};
use crate::report::{Report, line, progress};

const BEFORE: Duration = Duration::from_secs(4);
/// Two periods of a breaker whose first probe failed, and a bit.
const AFTER: Duration = Duration::from_secs(22);
const EVERY: Duration = Duration::from_millis(50);

pub(super) async fn measure(report: &mut Report, lasts: Duration) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let baton = baton().await?;
    let (from, to) = (BEFORE.as_millis(), (BEFORE + lasts).as_millis());
    let model = "first_token_ms = { p50 = 60, p99 = 150 }";
    let scenario = format!(
        "[models.main]\n{model}\n[[models.main.phases]]\nfrom_ms = {from}\nto_ms = {to}\n\
         faults = [{{ kind = \"hang\", share = 1.0 }}]\n[models.spare]\n{model}\n"
    );
    let sim = house::sim(&baton, folder.path(), &scenario, 7).await?;
    let place = folder.path().join("house");
    house::write(&place.join("baton.toml"), &house::provider("sim", sim.address))?;
    let models = house::models(&[MAIN.to_owned(), "sim/spare".to_owned()]);
    house::write(&place.join("intents/sort/intent.toml"), &format!("{models}{LABELS}"))?;
    let server = house::serve(&baton, &place, folder.path()).await?;
    let (client, address, began) = (Client::new(), server.address, Instant::now());
    progress(&format!("over sockets, {} s", (BEFORE + lasts + AFTER).as_secs()));
    let (mut calls, mut ticks) = (JoinSet::new(), tokio::time::interval(EVERY));
    while began.elapsed() < BEFORE + lasts + AFTER {
        ticks.tick().await;
        let (client, number) = (client.clone(), calls.len());
        let config = json!({ "maxLatencyMs": 2000 });
        let input = format!("Ticket {number}: the export stops.");
        let call = json!({ "intent": "sort", "input": input, "stream": number % 2 == 0, "config": config });
        calls.spawn(async move { client.execute(address, &call).await });
    }
    let outcomes = calls.join_all().await;
    let answered = outcomes.iter().filter(|outcome| outcome.ending == Ending::Answer).count();
    server.stop().await?;
    sim.stop().await?;
    let mut records: Vec<Record> = crate::records::read(&place).await?.records.into_values().flatten().collect();
    records.sort_by_key(|record| record.started_at_us);
    let first = records.first().context("no call was recorded")?.started_at_us;
    let took = |record: Record| Took {
        at: Duration::from_micros(u64::try_from(record.started_at_us - first).unwrap_or_default()),
        first: Duration::from_micros(record.duration_us),
        record,
    };
    let all: Vec<Took> = records.into_iter().map(took).collect();
    // Its phases count from the first call that the model was asked, which is a moment later.
    let seen = Seen::of_window(&all, BEFORE, BEFORE + lasts);
    line(&format!(
        "\nOver real sockets, baton built as {}: accepted and never answered for {} s.\n",
        profile(),
        lasts.as_secs()
    ));
    let mut table = crate::report::table(&super::COLUMNS);
    table.add_row(seen.row("over sockets, unary and streams"));
    line(&table.to_string());
    seen.judge(report, "over sockets");
    report.figure("sockets_lost_p99_ms", (seen.lost_ms * 1000.0).round() / 1000.0);
    report.bar(format!("over sockets: {answered} of {} calls answered", outcomes.len()), answered == outcomes.len());
    Ok(())
}
