//! `baton rollout`: a candidate model takes over from the present one, by steps of the live traffic.

use baton_config::{Plan, Snapshot};
use baton_core::{ModelId, RolloutBasis, RolloutStage, Strategy, TeamId};
use baton_engine::{
    RolloutAsked, RolloutError, RolloutFigures, RolloutStanding, promote_rollout, release_rollout, rollout_standings,
    start_rollout, stop_rollout,
};
use baton_store::Store;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::exit::{Exit, say, tell};
use crate::lab::plan_of;
use crate::setup::{Folder, control_and_snapshot, date, plain_table, unix_us};

/// Let a model take over from another by steps of the live traffic, undone where it is worse.
///
/// A lot decides call by call which of the two is asked before the other; a running server follows within
/// seconds. It steps up once the candidate is shown to be so little worse that the whole intent loses no
/// more than the margin, promotes it in the end, and rolls it back at once where it is shown to be worse:
/// by answers that come in time and pass the checks, by people's labels, by the judge. It looks every two
/// seconds; that it promotes a model that is worse by the margin has a probability of at most 5 %.
/// No file is written: `promote` prints what to write.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton rollout start classify-ticket --to claude-3-haiku
  baton rollout start classify-ticket --from gpt-4 --to claude-3-haiku --margin .05 --steps 5,25,50
  baton rollout status classify-ticket
  baton rollout stop classify-ticket           roll it back, and keep it so
  baton rollout promote classify-ticket        what to write in intent.toml
  baton rollout release classify-ticket        the intent's own route is in force again")]
pub(crate) struct Rollout {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Begin: the candidate gets the first share of the calls
    Start(Start),
    /// What is known of both models, and what the next step waits for
    Status {
        /// Only this intent; all where not given
        intent: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        folder: Folder,
    },
    /// Roll the candidate back, and keep it so until `release`, or `start --again`
    Stop(Whose),
    /// Print what to write in the intent's file; --anyway promotes one that still runs
    Promote {
        /// Promote it though it is not shown to be good enough
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        whose: Whose,
    },
    /// Forget a rollout that is over: the intent's own route is in force
    Release(Whose),
}

#[derive(Args)]
struct Start {
    /// The candidate: a model of the intent, by its name there
    #[arg(long, value_name = "MODEL")]
    to: String,
    /// Whom it takes over from; the first model that is asked, `local` aside, where not given
    #[arg(long, value_name = "MODEL")]
    from: Option<String>,
    /// How much worse still counts as equal, as a share of the answers
    #[arg(long, default_value_t = 0.02)]
    margin: f64,
    /// The candidate's shares in turn, in per cent of the calls
    #[arg(long, value_name = "PERCENT,...", value_delimiter = ',', default_value = "5,25,50")]
    steps: Vec<f64>,
    /// What says how good answers are; the judge where the intent has one, else labels
    #[arg(long, value_name = "WORD")]
    quality: Option<Quality>,
    /// Try one again that was rolled back
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    whose: Whose,
}

#[derive(Clone, Copy, ValueEnum)]
enum Quality {
    /// People's labels of answers that were drawn for review
    Labels,
    /// The judge's scores of answers that were drawn for it
    Judge,
}

#[derive(Args)]
struct Whose {
    /// The intent
    intent: String,
    /// The team whose calls it is about
    #[arg(long, default_value = "default")]
    team: String,
    /// Who does it, for the record
    #[arg(long, default_value = "operator", env = "USER")]
    by: String,
    #[command(flatten)]
    folder: Folder,
}

fn refused(error: RolloutError) -> Exit {
    match error {
        RolloutError::Wrong(message) => Exit::usage(message),
        RolloutError::Conflict(message) => Exit::failed(message),
        RolloutError::Store(error) => Exit::outside(error.to_string()),
    }
}

impl Rollout {
    pub(crate) fn json(&self) -> bool {
        matches!(self.command, Command::Status { json: true, .. })
    }

    pub(crate) async fn run(self) -> Result<(), Exit> {
        match self.command {
            Command::Start(start) => start.run().await,
            Command::Status { intent, json, folder } => status(intent.as_deref(), json, &folder).await,
            Command::Stop(whose) => {
                let (store, snapshot) = control_and_snapshot(&whose.folder).await?;
                let (team, plan) = (TeamId::new(&whose.team), plan_of(&snapshot, &whose.intent)?);
                let state = stop_rollout(&store, (&team, plan), (&whose.by, unix_us())).await.map_err(refused)?;
                say!("{} is asked before {} again, within seconds, and stays", state.from, state.to);
                Ok(())
            }
            Command::Promote { anyway, whose } => promote(anyway, &whose).await,
            Command::Release(whose) => {
                let (store, snapshot) = control_and_snapshot(&whose.folder).await?;
                let (team, plan) = (TeamId::new(&whose.team), plan_of(&snapshot, &whose.intent)?);
                release_rollout(&store, (&team, plan), (&whose.by, unix_us())).await.map_err(refused)?;
                say!("{}: its own route is in force, within seconds", plan.name);
                Ok(())
            }
        }
    }
}

impl Start {
    async fn run(self) -> Result<(), Exit> {
        let Whose { intent, team, by, folder } = self.whose;
        let (store, snapshot) = control_and_snapshot(&folder).await?;
        let (team, plan) = (TeamId::new(&team), plan_of(&snapshot, &intent)?);
        let basis = self.quality.map(|by| match by {
            Quality::Labels => RolloutBasis::Labels,
            Quality::Judge => RolloutBasis::Judge,
        });
        let steps = self.steps.iter().map(|percent| percent / 100.0).collect();
        let asked = RolloutAsked { from: self.from, to: self.to, margin: self.margin, steps, basis, again: self.again };
        let state = start_rollout(&store, &snapshot, (&team, plan), &asked, (&by, unix_us())).await;
        let state = state.map_err(refused)?;
        let share = state.share().unwrap_or_default();
        say!(
            "{}: {} is asked before {} in {} of the calls of team {team}, within seconds of a running server",
            plan.name,
            state.to,
            state.from,
            percent(share)
        );
        if let Some(missing) = missing(plan, state.basis) {
            tell!("{missing}");
        }
        tell!("`baton rollout status {}` says what is known; a roll-back comes by itself", plan.name);
        Ok(())
    }
}

/// Why no step will ever come.
fn missing(plan: &Plan, basis: RolloutBasis) -> Option<String> {
    let gathers = match basis {
        RolloutBasis::Labels => plan.review.is_some(),
        RolloutBasis::Judge => plan.judge.is_some(),
    };
    (!gathers).then(|| {
        format!(
            "nothing gathers a word on the quality of `{}`: it stays at its first share, and only failures can roll it back. \
             Add [review], so that people label a sample of the answers, or [judge]",
            plan.name
        )
    })
}

async fn promote(anyway: bool, whose: &Whose) -> Result<(), Exit> {
    let (store, snapshot) = control_and_snapshot(&whose.folder).await?;
    let (team, plan) = (TeamId::new(&whose.team), plan_of(&snapshot, &whose.intent)?);
    let mut standing = of(&store, &snapshot, Some(&whose.intent)).await?;
    standing.retain(|standing| standing.team == team);
    let Some(standing) = standing.pop() else {
        return Err(Exit::failed(format!("there is no rollout of `{}` for team {team}", plan.name)));
    };
    let mut state = standing.state.clone();
    if matches!(state.stage, RolloutStage::Running { .. }) {
        if !anyway {
            print(&standing, &snapshot);
            return Err(Exit::failed("it still runs: it is promoted by itself once that is shown, or now by --anyway"));
        }
        state = promote_rollout(&store, (&team, plan), (&whose.by, unix_us())).await.map_err(refused)?;
    }
    if state.stage != RolloutStage::Promoted {
        print(&standing, &snapshot);
        return Err(Exit::failed(format!("{} is not promoted: nothing to write", state.to)));
    }
    say!(
        "{} is asked before {}. So that the file says the same:\n{}",
        state.to,
        state.from,
        written(&snapshot, plan, &state.to, &state.from)
    );
    Ok(())
}

/// What makes the intent's file say the same.
fn written(snapshot: &Snapshot, plan: &Plan, to: &ModelId, from: &ModelId) -> String {
    let name = |id: &ModelId| {
        let alias = snapshot.aliases.iter().find(|(_, named)| *named == id).map(|(alias, _)| alias.clone());
        alias.unwrap_or_else(|| id.to_string())
    };
    let file = format!("intents/{}/intent.toml", plan.name);
    match plan.route.strategy {
        Strategy::Ordered => {
            let mut order: Vec<&ModelId> = plan.candidates.iter().map(|other| &other.id).collect();
            let place = |order: &[&ModelId], id: &ModelId| order.iter().position(|other| *other == id);
            if let (Some(one), Some(other)) = (place(&order, to), place(&order, from))
                && one > other
            {
                order.swap(one, other);
            }
            let models: Vec<String> = order.iter().map(|id| format!("{:?}", name(id))).collect();
            format!("  # {file}\n  models = [{}]\nthen `baton rollout release {}`", models.join(", "), plan.name)
        }
        Strategy::Weighted => {
            let weight = |id: &ModelId| {
                let place = plan.candidates.iter().position(|other| other.id == *id);
                place.and_then(|place| plan.route.weights.get(place)).copied().unwrap_or_default()
            };
            let (to_name, from_name) = (name(to), name(from));
            let sum = weight(to) + weight(from);
            format!(
                "  # {file}\n  [routing.weights]\n  {to_name:?} = {sum}\n  {from_name:?} = 0\nthen `baton rollout release {}`",
                plan.name
            )
        }
        Strategy::Cheapest | Strategy::Fastest | Strategy::Cascade => format!(
            "  nothing: `{}` ranks them by what is known. `baton rollout release {}` lets it",
            plan.route.strategy.as_str(),
            plan.name
        ),
    }
}

/// How rollouts stand; of one intent where it is named.
pub(super) async fn of(store: &Store, snapshot: &Snapshot, intent: Option<&str>) -> Result<Vec<RolloutStanding>, Exit> {
    let mut all =
        rollout_standings(store, snapshot, unix_us()).await.map_err(|error| Exit::outside(error.to_string()))?;
    all.retain(|standing| intent.is_none_or(|intent| standing.intent.as_str() == intent));
    Ok(all)
}

async fn status(intent: Option<&str>, as_json: bool, folder: &Folder) -> Result<(), Exit> {
    let (store, snapshot) = control_and_snapshot(folder).await?;
    if let Some(intent) = intent {
        plan_of(&snapshot, intent)?;
    }
    let all = of(&store, &snapshot, intent).await?;
    if as_json {
        say!("{}", json!(all));
        return Ok(());
    }
    if all.is_empty() {
        tell!("there is no rollout: `baton rollout start INTENT --to MODEL` begins one");
    }
    for standing in &all {
        print(standing, &snapshot);
    }
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.4}", share * 100.0).trim_end_matches('0').trim_end_matches('.').to_owned() + " %"
}

/// One rollout in a line.
pub(super) fn line(standing: &RolloutStanding) -> String {
    let RolloutStanding { intent, team, state, .. } = standing;
    let stands = match (state.stage, standing.share) {
        (RolloutStage::Running { step }, Some(share)) => {
            format!("has {} of the calls (step {} of {})", percent(share), step + 1, state.steps.len())
        }
        (RolloutStage::Promoted, _) => format!("was promoted: it is asked before {}", state.from),
        (RolloutStage::RolledBack, _) => format!("was rolled back: {} is asked before it", state.from),
        _ => "was released: the intent's own route is in force".to_owned(),
    };
    format!("{intent} of team {team}, rollout of {} in place of {}: {stands}", state.to, state.from)
}

fn print(standing: &RolloutStanding, snapshot: &Snapshot) {
    let (kind, at_us, by, why) = &standing.last;
    say!("{}", line(standing));
    say!("last: {}, {}, by {by}: {why}", kind.replace('_', " "), date(*at_us));
    let mut table = plain_table();
    table.set_header(["", "present", "candidate", "difference, in points", "the next step needs"]);
    for figures in &standing.figures {
        table.add_row([
            figures.of.to_owned(),
            figures.from.to_string(),
            figures.to.to_string(),
            difference(figures),
            needs(figures, standing),
        ]);
    }
    say!("{table}");
    if let Some((share, least)) = standing.next {
        let to = if share < 1.0 { format!("{} of the calls", percent(share)) } else { "promotion".to_owned() };
        say!("next: {to}, once it is shown to be worse by less than {:.1} points", least * 100.0);
    }
    for model in [&standing.state.from, &standing.state.to] {
        let plan = snapshot.plan(&standing.intent);
        if plan.is_some_and(|plan| plan.candidates.iter().all(|other| other.id != *model)) {
            tell!("{model} is no model of `{}` any more: this rollout changes nothing", standing.intent);
        }
    }
    if let Some(missing) = snapshot.plan(&standing.intent).and_then(|plan| missing(plan, standing.state.basis)) {
        tell!("{missing}");
    }
    if standing.file_agrees {
        say!("the intent's file says the same: `baton rollout release {}` ends it", standing.intent);
    }
}

fn difference(figures: &RolloutFigures) -> String {
    match figures.difference {
        None => "needs 10 outcomes of each".to_owned(),
        Some((value, lower, upper)) => {
            format!("{:+.1} ({:+.1} to {:+.1})", value * 100.0, lower * 100.0, upper * 100.0)
        }
    }
}

fn needs(figures: &RolloutFigures, standing: &RolloutStanding) -> String {
    match figures.needs_more {
        _ if standing.next.is_none() => "-".to_owned(),
        _ if !figures.decides => "does not wait for it".to_owned(),
        Some(0) => "no more".to_owned(),
        Some(more) => format!("about {more} more, if they are equal"),
        None => "10 of each, to say how many more".to_owned(),
    }
}
