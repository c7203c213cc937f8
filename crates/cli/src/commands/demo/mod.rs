//! `baton demo`: the same traffic twice, a plain client beside Baton.

mod costs;
mod example;
mod labels;
mod line;
mod plain;
mod switch;
mod table;
mod traffic;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use baton_core::ErrorCode;
use baton_engine::{Call, Orchestrator};
use baton_sim::Sim;
use baton_store::{ReportQuery, Store};
use clap::Args;
use futures_util::StreamExt as _;
use serde_json::Value;

use crate::exit::{Exit, say, tell};
use crate::setup::Folder;
use crate::transports::scenarios;
use line::Side;
use plain::Plain;
use table::Tally;
use traffic::{Phase, phases};

/// Calls in the air at once.
const AT_ONCE: usize = 16;

/// What callers saw of one phase.
#[derive(Default)]
struct PhaseSeen {
    calls: usize,
    /// Wrong answers: Baton's, and the plain client's.
    wrong: [usize; 2],
    /// Of Baton.
    fell_back: usize,
    errors: usize,
}

/// The same traffic twice: a plain client with retries beside Baton.
///
/// The models are simulated, the code is real: the same engine, codecs and journal that serve. The
/// primary dies, then it invents values. A simulated reviewer labels answers, the gate opens, and bad ones
/// stop. It is asked whether the cheaper model may take over, and the tables say what each side gave and
/// what it cost. Needs no keys, takes about 40 seconds and leaves nothing behind.
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
        let example = example::unpack(self.seed)?;
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
        let reviewed = labels::phases(&snapshot).ok_or_else(|| Exit::outside("there is nothing to label"))?;
        let plain = Plain::new(&snapshot, Arc::new(sims[0].transport()))?;
        let baton = Orchestrator::builder(snapshot, store.clone())
            .transport("sim", Arc::new(sims[1].transport()))
            .build()
            .map_err(|error| Exit::outside(error.to_string()))?;
        let stage = Stage { baton, plain, sims, json: self.json };

        stage.print(OPENING);
        let mut tally = Tally::default();
        for phase in plan {
            stage.play(phase, &mut tally).await?;
        }
        let (labels, seen) = stage.label(reviewed, &mut tally).await?;
        stage.print("\n── gpt-4 retires: may claude-3-haiku take the tickets? Both get those that people labelled");
        let (switch, right) = switch::switch(&folder).await?;
        stage.print(&line::wrapped(&switch, "   "));
        stage.baton.idle().await;
        store.flush().await.map_err(|error| Exit::outside(error.to_string()))?;
        let report = store
            .report(ReportQuery { until_us: i64::MAX, ..ReportQuery::default() })
            .await
            .map_err(|error| Exit::outside(error.to_string()))?;
        tally.records = report.total.calls.calls;
        stage.print(&tally.table());
        let costs = costs::costs(&tally, &stage.baton.snapshot(), &right);
        stage.print(&format!("\n{}", costs::table(&tally, &costs)));
        stage.print(CLOSING);
        if self.json {
            let mut document = tally.json(&costs);
            document["labels"] = labels::json(labels, &seen);
            document["switch"] = switch.into();
            say!("{document}");
        }
        store.close().await;
        Ok(())
    }
}

const OPENING: &str = "\
simulated models, real code: the engine, codecs, journal, review queue and calibration that serve
left: a plain client, 2 retries │ right: Baton, who answered and why that is trusted (✗: wrong)";

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

    /// Receipts; what a reviewer says of the answers; receipts again. How many labels there were.
    async fn label(&self, [before, after]: [Phase; 2], tally: &mut Tally) -> Result<(usize, [PhaseSeen; 2]), Exit> {
        let first = self.play(before, tally).await?;
        self.print("\n   Ana, a simulated reviewer who knows the truth, labels what was drawn for review:");
        let print = |line: &str| self.print(line);
        let reviewing = labels::Reviewing { baton: &self.baton, truth: &self.sims[1], print: &print };
        let labels = reviewing.label().await?;
        let gate = reviewing.gate();
        let seen = [first, self.play(after, tally).await?];
        self.print(&format!("\n{}", labels::told(labels, &gate, &seen)));
        Ok((labels, seen))
    }

    /// Plays one phase; lines appear in the order of the traffic.
    async fn play(&self, phase: Phase, tally: &mut Tally) -> Result<PhaseSeen, Exit> {
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
            let plain = self.ask_plain(phase.plain, &intent, &input);
            let (plain, baton) = tokio::join!(plain, self.ask_baton(&intent, &input));
            (intent, input, plain, baton)
        });
        // The first alone after an outage: it is the breaker's probe.
        let mut calls: Vec<_> = calls.collect();
        let alone = if phase.recovered { calls.drain(..1.min(calls.len())).collect() } else { Vec::new() };
        let probing = futures_util::stream::iter(alone).buffered(1);
        let mut ended = std::pin::pin!(probing.chain(futures_util::stream::iter(calls).buffered(AT_ONCE)));
        let mut seen = PhaseSeen::default();
        while let Some((intent, input, mut plain, mut baton)) = ended.next().await {
            let truth = self.sims[1].expected(&input);
            plain.judge(truth.as_ref());
            baton.judge(truth.as_ref());
            if seen.calls < phase.shown {
                self.print(&line::line(&intent, &plain, &baton));
            }
            tally.add(&intent, &plain, &baton);
            seen.calls += 1;
            seen.wrong = [seen.wrong[0] + usize::from(baton.wrong), seen.wrong[1] + usize::from(plain.wrong)];
            seen.fell_back += usize::from(baton.fell_back);
            seen.errors += usize::from(baton.error.is_some());
        }
        if let Some(more) = seen.calls.checked_sub(phase.shown).filter(|more| *more > 0) {
            self.print(&format!("   … and {more} more"));
        }
        Ok(seen)
    }

    async fn ask_plain(&self, model: &str, intent: &str, input: &Value) -> Side {
        let started = Instant::now();
        let answer = self.plain.ask(model, intent, input).await;
        Side { ms: started.elapsed().as_secs_f64() * 1000.0, ..answer }
    }

    async fn ask_baton(&self, intent: &str, input: &Value) -> Side {
        let started = Instant::now();
        let ended = self.baton.execute(Call::intent(intent, input.clone())).await;
        let ms = started.elapsed().as_secs_f64() * 1000.0;
        match ended {
            Ok(delivered) => {
                let snapshot = self.baton.snapshot();
                let plan = snapshot.plan(&intent.into()).map(|plan| &**plan);
                Side::of_answer(&delivered.answer, plan, ms)
            }
            Err(error) => {
                let code = error.failure.code;
                let why = match code {
                    ErrorCode::NoAcceptableAnswer => "held back: every model's answer failed a check".to_owned(),
                    code => format!("no answer: {}", code.as_str()),
                };
                Side { ms, why, error: Some(code.as_str().to_owned()), ..Side::default() }
            }
        }
    }
}
