//! Callers: a closed loop, in which each calls again when it is answered, and an open one, which
//! calls at its rate whatever comes back.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use baton_stats::SplitMix64;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::TEAMS;
use crate::client::{Client, Ending, Outcome};

/// One call.
#[derive(Clone)]
pub(super) struct Called {
    /// Index among [`TEAMS`].
    pub(super) team: usize,
    pub(super) outcome: Outcome,
}

impl Called {
    /// Whether it was turned away for want of a place.
    pub(super) fn refused(&self) -> bool {
        matches!(&self.outcome.ending, Ending::Error(code) if code == "queue_full" || code == "deadline_unreachable")
    }
}

/// So many callers for so long, half of each team.
pub(super) async fn closed(clients: &[Client], to: SocketAddr, callers: usize, lasts: Duration) -> Result<Vec<Called>> {
    let ends = Instant::now() + lasts;
    let mut all = JoinSet::new();
    for caller in 0..callers {
        let (team, client) = (caller % clients.len(), clients[caller % clients.len()].clone());
        all.spawn(async move {
            let mut called = Vec::new();
            while Instant::now() < ends {
                let outcome = client.execute(to, &call(caller * 1_000_000 + called.len())).await;
                called.push(Called { team, outcome });
            }
            called
        });
    }
    Ok(all.join_all().await.concat())
}

/// So many calls a second for so long, with exponential gaps.
pub(super) async fn open(
    clients: &[Client],
    to: SocketAddr,
    (rate, lasts): (f64, Duration),
    seed: u64,
) -> Result<Vec<Called>> {
    let (began, mut rng) = (Instant::now(), SplitMix64::new(seed));
    let (mut at, mut all) = (Duration::ZERO, JoinSet::new());
    for number in 0.. {
        at += Duration::from_secs_f64(-(1.0 - rng.next_f64()).ln() / rate);
        if at >= lasts {
            break;
        }
        let team = usize::from(rng.next_f64() >= TEAMS[0].1);
        let client = clients[team].clone();
        let input = usize::try_from(seed)? * 1_000_000_000 + number;
        sleep_until(began + at).await;
        all.spawn(async move { Called { team, outcome: client.execute(to, &call(input)).await } });
    }
    Ok(all.join_all().await)
}

fn call(number: usize) -> Value {
    json!({ "intent": "reply", "input": format!("Ticket {number}: the export stops.") })
}
