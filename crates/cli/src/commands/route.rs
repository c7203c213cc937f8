//! `baton route`: who would be asked, and why.

use baton_config::Plan;
use baton_core::{IntentName, ModelId, RouteCandidate, RouteRecord, RouteStanding, TeamId, Unproven};
use baton_engine::{Call, Caller, Orchestrator};
use clap::{Args, Subcommand};
use serde_json::json;

use super::in_turn;
use super::run::{TEXT_HINT, parse, read};
use crate::exit::{Exit, say};
use crate::setup::{Folder, control_and_snapshot, plain_table, unix_us};
use crate::transports::{Fixtures, Transports};

/// Who would be asked first, and why.
///
/// Ranks the candidates of a call by what the store knows of them; nobody is asked. Latencies, breakers
/// and sessions belong to the process that answers calls: `GET /v1/executions/ID` has the ranking of a
/// call that was made.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton route explain classify-ticket --input '{\"ticket\":\"I was charged twice\"}'
  baton route explain classify-ticket --input @ticket.json --json")]
pub(crate) struct Route {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Rank the candidates of a call
    Explain(Explain),
}

#[derive(Args)]
struct Explain {
    /// The intent: a folder's name under intents/
    intent: String,
    /// The input as JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: String,
    /// Whose call it would be: evidence is of one team
    #[arg(long, default_value = "default")]
    team: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    folder: Folder,
}

impl Route {
    pub(crate) fn json(&self) -> bool {
        let Command::Explain(explain) = &self.command;
        explain.json
    }

    pub(crate) async fn run(self) -> Result<(), Exit> {
        let Command::Explain(explain) = self.command;
        let input = parse("--input", &read(&explain.input)?).map_err(|exit| exit.with_hint(TEXT_HINT))?;
        let (store, snapshot) = control_and_snapshot(&explain.folder).await?;
        let transports = Transports::new(&Fixtures::default())?;
        transports.prepare(&snapshot)?;
        let plan = snapshot.plan(&IntentName::new(&explain.intent));
        let opinion = plan.and_then(|plan| opinion_in_path(plan));
        let turns = plan.and_then(|plan| in_turn::described(plan, unix_us()));
        let builder = Orchestrator::builder(snapshot, store).connect(transports.connect()).without_keys();
        let baton = builder.build().map_err(|error| Exit::usage(error.to_string()))?;
        baton.learn_routing().await.map_err(|error| Exit::outside(error.to_string()))?;
        let caller = Caller { team: TeamId::new(&explain.team), ..Caller::default() };
        let call = Call { caller, ..Call::intent(&explain.intent, input) };
        let ranked = baton.explain(&call).map_err(|failure| Exit::usage(failure.to_string()))?;
        if explain.json {
            say!(
                "{}",
                json!({ "intent": explain.intent, "team": explain.team, "why": ranked.to_string(), "route": ranked,
                    "secondOpinion": opinion, "inTurn": turns })
            );
        } else {
            print(&ranked);
            if let Some(model) = opinion {
                say!("an answer that nothing is proven of waits for the second opinion of {model}");
            }
            if let Some(turns) = turns {
                say!("\n{}", turns.join("\n"));
            }
        }
        Ok(())
    }
}

/// Who is asked the same before an answer is given.
fn opinion_in_path(plan: &Plan) -> Option<ModelId> {
    plan.second_opinion().filter(|_| plan.unproven == Unproven::Judge).cloned()
}

fn print(ranked: &RouteRecord) {
    let mut table = plain_table();
    table.set_header(["asked", "model", "quality", "at least", "outcomes", "cost USD", "first with", "stands"]);
    for (place, candidate) in ranked.candidates.iter().enumerate() {
        let quality = candidate.quality;
        let number = |value: Option<f64>| value.map_or("not known".to_owned(), |value| format!("{value:.3}"));
        table.add_row([
            (place + 1).to_string(),
            candidate.model.to_string(),
            number(quality.map(|quality| quality.mean)),
            number(quality.map(|quality| quality.lower)),
            quality.map_or("-".to_owned(), |quality| format!("{:.0}", quality.outcomes)),
            candidate.cost.map_or("not known".to_owned(), |cost| cost.to_string()),
            format!("{:.1} %", candidate.propensity * 100.0),
            stands(candidate).to_owned(),
        ]);
    }
    say!("{table}\n\nroute `{}`, quality of at least {:.3}: {ranked}", ranked.strategy.as_str(), ranked.asked());
}

fn stands(candidate: &RouteCandidate) -> &'static str {
    match candidate.standing {
        _ if candidate.over_pace => "over what the day's budget has by now",
        RouteStanding::Above => "good enough",
        RouteStanding::Undecided => "too little is known",
        RouteStanding::Below => "too bad",
    }
}
