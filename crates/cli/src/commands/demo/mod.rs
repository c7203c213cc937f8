//! `baton demo`: the same traffic twice, a plain client beside Baton.

mod example;
mod plain;
mod switch;
mod table;
mod traffic;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use baton_engine::{Call, Orchestrator};
use baton_sim::Sim;
use baton_store::{ReportQuery, Store};
use clap::Args;
use futures_util::StreamExt as _;
use serde_json::Value;

use crate::exit::{Exit, say, tell};
use crate::setup::Folder;
use crate::transports::scenarios;
use plain::Plain;
use table::{Side, Tally};
use traffic::{Phase, phases};

/// Calls in the air at once.
const AT_ONCE: usize = 10;

/// The same traffic twice: a plain client with retries beside Baton.
///
/// The models are simulated, the code is real: the same engine, codecs and journal that serve. The
/// primary dies, then it invents values; the table says what each side gave. In the end it is asked
/// whether the cheaper model may take over. Needs no keys and leaves nothing behind.
#[derive(Args)]
pub(crate) struct Demo {
    /// End with one line of JSON on standard output, everything else on standard error
    #[arg(long)]
    pub(super) json: bool,
    /// Another seed, other traffic
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// Both sides of the demonstration.
struct Stage {
    baton: Orchestrator,
    plain: Plain,
    /// Each side has models of its own, so that neither disturbs the other's.
    sims: [Sim; 2],
    json: bool,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let example = example::unpack()?;
        let ended = self.play(&example).await;
        let _left = std::fs::remove_dir_all(&example);
        ended
    }

    async fn play(&self, example: &std::path::Path) -> Result<(), Exit> {
        let folder = Folder { dir: example.to_owned() };
        let snapshot = folder.snapshot()?;
        let store = Store::open(&snapshot.store).await.map_err(|error| Exit::outside(error.to_string()))?;
        let (spec, scenario) = scenarios(&snapshot)?.pop().ok_or_else(|| Exit::outside("no simulator"))?;
        let sims = [(); 2].map(|()| Sim::new(scenario.clone(), spec.seed));
        let plan = phases(&snapshot, self.seed);
        let plain = Plain::new(&snapshot, Arc::new(sims[0].transport()))?;
        let baton = Orchestrator::builder(snapshot, store.clone())
            .transport("sim", Arc::new(sims[1].transport()))
            .build()
            .map_err(|error| Exit::outside(error.to_string()))?;
        let stage = Stage { baton, plain, sims, json: self.json };

        stage.print("simulated models, real code");
        stage.print("left: a plain client of gpt-4 with 2 retries      right: Baton over local, gpt-4, claude-3-haiku");
        let mut tally = Tally::default();
        for phase in plan {
            stage.play(phase, &mut tally).await?;
        }
        stage.baton.idle().await;
        store.flush().await.map_err(|error| Exit::outside(error.to_string()))?;
        let report = store
            .report(ReportQuery { until_us: i64::MAX, ..ReportQuery::default() })
            .await
            .map_err(|error| Exit::outside(error.to_string()))?;
        tally.records = report.total.calls.calls;
        stage.print(&tally.table());
        stage.print(
            "\n── gpt-4 retires: may claude-3-haiku take the tickets? Both are asked those that people labelled",
        );
        let switch = switch::switch(&folder).await?;
        stage.print(&switch);
        stage.print(CLOSING);
        if self.json {
            let mut document = tally.json();
            document["switch"] = switch.into();
            say!("{document}");
        }
        store.close().await;
        Ok(())
    }
}

const CLOSING: &str = "
Every figure above is of simulated models; the code that answered is the one that serves.
Your own intent, in three commands:
  baton init classify-ticket
  baton run classify-ticket --input '{\"text\":\"I was charged twice\"}'
  baton serve";

impl Stage {
    fn print(&self, line: &str) {
        if self.json { tell!("{line}") } else { say!("{line}") }
    }

    /// Waits until each breaker would let its probe through.
    async fn recovered(&self) {
        let wait = self.baton.lanes().iter().filter_map(|lane| lane.open_for).max().unwrap_or_default();
        if !wait.is_zero() {
            self.print(&format!("   gpt-4 is back; its breaker lets one probe through in {:.0} s", wait.as_secs_f64()));
            tokio::time::sleep(wait).await;
        }
    }

    /// Plays one phase; lines appear in the order of the traffic.
    async fn play(&self, phase: Phase, tally: &mut Tally) -> Result<(), Exit> {
        self.print(&format!("\n── {}", phase.title));
        for (model, behaviour) in phase.behaviours {
            for sim in &self.sims {
                sim.set(model, behaviour.clone()).map_err(|error| Exit::outside(error.to_string()))?;
            }
        }
        if phase.recovered {
            self.recovered().await;
        }
        let calls = phase.calls.into_iter().map(|(intent, input)| async move {
            let (plain, baton) = tokio::join!(self.ask_plain(&intent, &input), self.ask_baton(&intent, &input));
            (intent, input, plain, baton)
        });
        let mut ended = futures_util::stream::iter(calls).buffered(AT_ONCE);
        while let Some((intent, input, mut plain, mut baton)) = ended.next().await {
            let truth = self.sims[1].expected(&input);
            plain.judge(truth.as_ref());
            baton.judge(truth.as_ref());
            self.print(&table::line(&intent, &plain, &baton));
            tally.add(&intent, &plain, &baton);
        }
        Ok(())
    }

    async fn ask_plain(&self, intent: &str, input: &Value) -> Side {
        let started = Instant::now();
        let answer = self.plain.ask(intent, input).await;
        Side { ms: started.elapsed().as_secs_f64() * 1000.0, ..answer }
    }

    async fn ask_baton(&self, intent: &str, input: &Value) -> Side {
        let started = Instant::now();
        let ended = self.baton.execute(Call::intent(intent, input.clone())).await;
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        match ended {
            Ok(delivered) => Side::of_answer(&delivered.answer, ms),
            Err(error) => Side { ms, error: Some(error.failure.code.as_str().to_owned()), ..Side::default() },
        }
    }
}
