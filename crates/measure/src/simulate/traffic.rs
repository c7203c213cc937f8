//! Random traffic: who calls what when, within which limits, and who leaves before the end.

use std::time::Duration;

use baton_config::Plan;
use baton_core::{CallConfig, ExecutionId, IntentName, SERVER_CEILINGS, TeamId};
use baton_engine::{Call, Caller, CallerKey, Execution, LogEvent, Orchestrator, Target};
use baton_wire::{ChatRequest, Message, Role};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::simulate::dice::Dice;
use crate::simulate::intents::{Folder, text_field};
use crate::simulate::world::{TEAMS, World};

/// One call, planned.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// Milliseconds since the beginning.
    pub(crate) arrives_ms: u64,
    /// The intent; `None` asks a model itself.
    pub(crate) intent: Option<String>,
    pub(crate) input: Value,
    pub(crate) team: &'static str,
    pub(crate) key: Option<CallerKey>,
    /// The intents that the key may call; `None` is all.
    pub(crate) allowed: Option<Vec<String>>,
    pub(crate) config: CallConfig,
    pub(crate) stream: bool,
    pub(crate) metadata: Vec<(&'static str, String)>,
    /// The client leaves so long after it came.
    pub(crate) leaves_ms: Option<u64>,
    /// The client takes so long for each event.
    pub(crate) reads_ms: u64,
}

/// What became of it, as the client saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) id: ExecutionId,
    pub(crate) ask: Ask,
    /// With microseconds since the beginning.
    pub(crate) events: Vec<(u64, LogEvent)>,
    /// When the client left, if it did before the end.
    pub(crate) left_us: Option<u64>,
    /// The log ended without a last event.
    pub(crate) dropped: bool,
}

impl Seen {
    pub(crate) fn arrived_us(&self) -> u64 {
        self.ask.arrives_ms * 1000
    }

    /// The last event, if it is an `End` or an `Error`.
    pub(crate) fn last(&self) -> Option<&(u64, LogEvent)> {
        self.events.last().filter(|(_, event)| matches!(event, LogEvent::End(_) | LogEvent::Error(_)))
    }
}

/// So many calls, in order of arrival.
pub(crate) fn plan(seed: u64, world: &World, calls: usize) -> Vec<Ask> {
    let mut dice = Dice::new(seed, 2);
    let folders: Vec<&Folder> = world.folders.values().collect();
    let mut asks: Vec<Ask> = Vec::with_capacity(calls);
    let mut now_ms = 0;
    while asks.len() < calls {
        now_ms += match dice.between(0, 9) {
            0..=2 => 0,
            3..=5 => dice.between(0, 30),
            6..=8 => dice.magnitude(10, 800),
            _ => dice.magnitude(100, 8000),
        };
        // The same question again, from here or elsewhere, is what caches and flights are for.
        let again = asks.len().checked_sub(1 + dice.between(0, 5) as usize).filter(|_| dice.chance(0.45));
        let mut ask = ask(&mut dice, now_ms, &folders, world);
        if let Some(earlier) = again.map(|n| asks[n].clone()) {
            (ask.intent, ask.input) = (earlier.intent, earlier.input);
            if dice.chance(0.6) {
                (ask.team, ask.metadata) = (earlier.team, earlier.metadata);
            }
            ask.config = if dice.chance(0.5) { earlier.config } else { config(&mut dice, plan_of(world, &ask.intent)) };
        }
        ask.key = world.keys.of(ask.team, ask.arrives_ms).cloned();
        asks.push(ask);
    }
    asks
}

fn plan_of<'a>(world: &'a World, intent: &Option<String>) -> Option<&'a Plan> {
    world.plans.get(&IntentName::new(intent.as_ref()?)).map(|plan| &**plan)
}

fn ask(dice: &mut Dice, arrives_ms: u64, folders: &[&Folder], world: &World) -> Ask {
    let folder = *dice.pick(folders);
    let intent = match dice.between(0, 99) {
        0 => Some("no-such-intent".to_owned()),
        1..=4 => None,
        _ => Some(folder.name.clone()),
    };
    let input = if intent.is_none() { raw(dice, folder, world) } else { input(dice, folder) };
    let mut metadata = Vec::new();
    for (field, values) in [("customer", ["a", "b"]), ("region", ["eu", "us"])] {
        if dice.chance(0.7) {
            metadata.push((field, (*dice.pick(&values)).to_owned()));
        }
    }
    let config = config(dice, plan_of(world, &intent));
    let patience = config.max_latency_ms.unwrap_or(3000).max(2);
    Ask {
        arrives_ms,
        intent,
        input,
        team: TEAMS[dice.between(0, 2) as usize],
        key: None,
        allowed: dice.chance(0.02).then(|| vec!["other-intent".to_owned()]),
        config,
        stream: dice.chance(0.45),
        metadata,
        leaves_ms: dice.chance(0.12).then(|| dice.between(0, patience)),
        reads_ms: if dice.chance(0.05) { dice.between(1, 100) } else { 0 },
    }
}

/// The name of a model, and what to say to it.
fn raw(dice: &mut Dice, folder: &Folder, world: &World) -> Value {
    let known: Vec<&String> = world.aliases.keys().collect();
    let model = if dice.chance(0.1) { "sim/none".to_owned() } else { (*dice.pick(&known)).clone() };
    json!({ "model": model, "text": input(dice, folder)[text_field(folder.kind)] })
}

fn input(dice: &mut Dice, folder: &Folder) -> Value {
    let field = text_field(folder.kind);
    match dice.between(0, 19) {
        0 => json!({ field: format!("Nobody ever said this: {}", dice.between(0, 9)) }),
        1 => dice.pick(&[json!({}), json!({ "other": 1 }), json!({ field: 7 }), json!("text"), json!(null)]).clone(),
        2 => {
            let mut input = dice.pick(&folder.cases).0.clone();
            input["language"] = json!(dice.pick(&["en", "de"]));
            input
        }
        // A few are asked often.
        3..=12 => folder.cases[dice.between(0, 2) as usize].0.clone(),
        _ => dice.pick(&folder.cases).0.clone(),
    }
}

/// Limits that mostly are within the ceilings.
fn config(dice: &mut Dice, plan: Option<&Plan>) -> CallConfig {
    let ceilings = plan.map_or(&SERVER_CEILINGS, |plan| &plan.ceilings);
    let mut config = CallConfig::default();
    if dice.chance(0.85) {
        let most = ceilings.latency.as_millis().min(5000) as u64;
        config.max_latency_ms = Some(if dice.chance(0.01) { 0 } else { dice.magnitude(20.min(most), most) });
    }
    if dice.chance(0.02) {
        config.max_latency_ms = Some(ceilings.latency.as_millis() as u64 + 1);
    }
    if dice.chance(0.4) {
        let over = u64::from(dice.chance(0.03));
        config.retries = Some((dice.between(0, u64::from(ceilings.retries)) + over) as u32);
    }
    if dice.chance(0.5) {
        let asked = *dice.pick(&[0, 1, 2, 10, 60, 100_000]);
        config.cache_ttl = Some(if dice.chance(0.03) { asked } else { asked.min(ceilings.ttl.as_secs()) });
    }
    let candidates: Vec<&str> = plan.iter().flat_map(|plan| plan.candidates.iter()).map(|c| c.id.as_str()).collect();
    if candidates.is_empty() {
        return config;
    }
    // Out of a folder's own names, or one that is not among them.
    let name = |dice: &mut Dice| {
        let full = if dice.chance(0.02) { "sim/none".to_owned() } else { (*dice.pick(&candidates)).to_owned() };
        if dice.chance(0.5) { full.trim_start_matches("sim/").to_owned() } else { full }
    };
    match dice.between(0, 9) {
        0 | 1 => config.primary_model = Some(name(dice)),
        2 => (config.primary_model, config.fallback_model) = (Some(name(dice)), Some(name(dice))),
        3 => config.models = Some((0..dice.between(0, 3)).map(|_| name(dice)).collect()),
        _ => {}
    }
    config
}

/// The call of an ask, received now.
fn call(ask: &Ask) -> Call {
    let target = match &ask.intent {
        Some(name) => Target::Intent { name: IntentName::new(name), input: ask.input.clone() },
        None => Target::Model(Box::new(ChatRequest {
            model: ask.input["model"].as_str().unwrap_or_default().to_owned(),
            messages: vec![Message::text(Role::User, ask.input["text"].as_str().unwrap_or("hello"))],
            ..ChatRequest::default()
        })),
    };
    let allowed = ask.allowed.as_ref().map(|names| names.iter().map(|name| IntentName::new(name)).collect());
    Call {
        caller: Caller { team: TeamId::new(ask.team), intents: allowed, key: ask.key.clone() },
        config: ask.config.clone(),
        stream: ask.stream,
        metadata: ask.metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..Call::of(target)
    }
}

/// Makes the calls when they are due; returns what all clients saw, in the same order.
pub(crate) async fn run(orchestrator: &Orchestrator, asks: Vec<Ask>, origin: Instant) -> Vec<Seen> {
    let mut clients = Vec::with_capacity(asks.len());
    for ask in asks {
        sleep_until(origin + Duration::from_millis(ask.arrives_ms)).await;
        let execution = orchestrator.start(call(&ask));
        clients.push(tokio::spawn(read(execution, ask, origin)));
    }
    let mut seen = Vec::with_capacity(clients.len());
    for client in clients {
        if let Ok(one) = client.await {
            seen.push(one);
        }
    }
    seen
}

async fn read(execution: Execution, ask: Ask, origin: Instant) -> Seen {
    let Execution { id, mut events } = execution;
    let mut seen = Seen { id, ask, events: Vec::new(), left_us: None, dropped: false };
    let now_us = || origin.elapsed().as_micros() as u64;
    let leaves = seen.ask.leaves_ms.map(|after| origin + Duration::from_millis(seen.ask.arrives_ms + after));
    loop {
        let event = tokio::select! {
            biased;
            event = events.next() => event,
            () = sleep_until(leaves.unwrap_or(origin)), if leaves.is_some() => {
                seen.left_us = Some(now_us());
                return seen;
            }
        };
        match event {
            Some(event) => seen.events.push((now_us(), event)),
            None => {
                seen.dropped = seen.last().is_none();
                return seen;
            }
        }
        if seen.ask.reads_ms > 0 {
            sleep(Duration::from_millis(seen.ask.reads_ms)).await;
        }
    }
}
