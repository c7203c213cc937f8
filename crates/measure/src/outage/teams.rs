//! A team whose deadlines no model can keep, or whose limits of streams none can, beside another
//! that shares the model with it.

use std::time::Duration;

use anyhow::Result;
use baton_core::{AttemptOutcome, BreakerState};
use baton_engine::Call;
use baton_sim::{Behaviour, Latency};

use crate::paused::{self, House, MAIN, Traffic};
use crate::report::{Report, line};

/// What the hasty team gives each call, and what a model takes.
const HASTE: Duration = Duration::from_millis(50);
const TAKES_MS: f64 = 200.0;

pub(super) fn measure(report: &mut Report, seed: u64) -> Result<()> {
    line(
        "\nA team that gives each call 50 ms shares a model that takes 200 ms with a team that gives it two seconds.\n",
    );
    let model = Behaviour { first_token_ms: Latency::Fixed { ms: TAKES_MS }, ..Behaviour::default() };
    let mut table = crate::report::table(&["asked for", "hasty, timed out", "calm, by the primary", "breaker"]);
    for stream in [false, true] {
        let traffic = Traffic { calls: 2000, every: Duration::from_millis(50), seed };
        let (all, breaker) = paused::run(async || {
            let house = House::open(model.clone(), model.clone(), "[hedge]\nmax_share = 0.0\n", seed)?;
            let call = |number: usize| {
                let (team, deadline) = if hasty(number) { ("hasty", HASTE) } else { ("calm", Duration::from_secs(2)) };
                let mut call: Call = paused::call(number, stream, deadline);
                call.caller.team = team.into();
                call
            };
            let all = house.send(&traffic, call).await?;
            let lanes = house.orchestrator.lanes();
            let main = lanes.into_iter().find(|lane| lane.model.as_str() == MAIN).map(|lane| lane.breaker);
            Ok((all, main))
        })?;
        let (late, calm): (Vec<_>, Vec<_>) = all.iter().enumerate().partition(|(number, _)| hasty(*number));
        let slow = late.iter().filter(|(_, took)| !took.answered()).count();
        let by_main = |attempt: &baton_core::AttemptRecord| {
            attempt.outcome == AttemptOutcome::Passed && attempt.model.as_str() == MAIN
        };
        let well = calm.iter().filter(|(_, took)| took.record.attempts.iter().any(by_main)).count();
        let form = if stream { "a stream" } else { "an answer" };
        let closed = breaker == Some(BreakerState::Closed);
        let state = if closed { "closed" } else { "open" };
        table.add_row([form, &format!("{slow} of {}", late.len()), &format!("{well} of {}", calm.len()), state]);
        report.bar(
            format!(
                "{form}: {slow} calls of 50 ms time out, and all {} of the other team are answered by the primary",
                calm.len()
            ),
            closed && slow == late.len() && well == calm.len(),
        );
    }
    line(&table.to_string());
    Ok(())
}

/// Three of four calls.
fn hasty(number: usize) -> bool {
    !number.is_multiple_of(4)
}
