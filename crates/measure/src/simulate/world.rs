//! A random world: models, intents, teams and a journal, compiled from files as a user's would be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use baton_config::{Given, ModelSpec, Plan, Snapshot, Team, load};
use baton_core::{IntentName, ModelId, TeamId};
use baton_sim::{Scenario, Sim};

use crate::simulate::budgets::{self, Keys};
use crate::simulate::cascades;
use crate::simulate::dice::Dice;
use crate::simulate::intents::{self, Folder};
use crate::simulate::journal::JournalPlan;
use crate::simulate::judges;
use crate::simulate::models;
use crate::simulate::places::Places;

/// Teams of every world; the third is always there, so that some share inputs and nothing else.
pub(crate) const TEAMS: [&str; 3] = ["north", "south", "east"];

/// What a seed's traffic meets.
pub(crate) struct World {
    /// By name.
    pub(crate) folders: BTreeMap<String, Folder>,
    /// As compiled.
    pub(crate) plans: BTreeMap<IntentName, Arc<Plan>>,
    /// As compiled.
    pub(crate) teams: BTreeMap<TeamId, Team>,
    /// That calls are made with.
    pub(crate) keys: Keys,
    /// As compiled.
    pub(crate) models: Vec<ModelSpec>,
    /// As compiled.
    pub(crate) aliases: BTreeMap<String, ModelId>,
    /// The models that answer.
    pub(crate) sim: Sim,
    /// How the journal behaves.
    pub(crate) journal: JournalPlan,
    /// How many calls are taken on.
    pub(crate) places: Places,
}

/// The world of a seed, and the configuration to start an engine with. Files are written to `dir`.
pub(crate) fn build(seed: u64, dir: &Path) -> anyhow::Result<(World, Snapshot)> {
    let mut dice = Dice::new(seed, 1);
    let names: Vec<String> = (0..dice.between(2, 4)).map(|n| format!("m{n}")).collect();
    let mut folders: Vec<Folder> =
        (0..dice.between(1, 3)).map(|n| intents::folder(&mut dice, n as usize, &names)).collect();
    // A stream of its own: what else there is in a world stays as it was.
    let places = Places::random(&mut Dice::new(seed, 3));
    let mut toml = places.toml();
    let mut scenario = Scenario::default();
    for name in &names {
        write!(toml, "[models.{name}]\nid = \"sim/{name}\"\n")?;
        if dice.chance(0.8) {
            let (input, output) = (dice.between(1, 30_000), dice.between(1, 60_000));
            let cents = |n: u64| format!("{}.{:03} USD/M", n / 1000, n % 1000);
            writeln!(toml, "price = {{ input = {:?}, output = {:?} }}", cents(input), cents(output))?;
        }
        if dice.chance(0.3) {
            writeln!(toml, "timeout = \"{}ms\"", dice.magnitude(100, 5000))?;
        }
        scenario = scenario.model(name, models::behaviour(&mut dice))?;
    }
    let mut purse = Dice::new(seed, 4);
    let limited = budgets::limited(&mut purse);
    if limited {
        toml = budgets::teams(&mut purse, &toml);
        folders.iter_mut().for_each(|folder| folder.policy().push_str(&budgets::intent(&mut purse)));
    }
    let mut similar = Dice::new(seed, 5);
    folders.iter_mut().filter(|_| similar.chance(0.5)).for_each(Folder::remember_similar);
    for folder in &folders {
        scenario = scenario.cases(folder.cases.iter().cloned())?;
    }
    // Last, and of a stream of its own, too.
    if let Some(bench) = judges::random(&mut Dice::new(seed, 5), &mut folders) {
        toml.push_str(&bench.toml);
        scenario = scenario.cases(bench.cases)?.model(judges::JUDGE, bench.behaviour)?;
    }
    let mut turns = Dice::new(seed, 6);
    cascades::random(&mut turns, &mut folders);
    for (file, key) in places.files() {
        std::fs::write(dir.join(file), key)?;
    }
    let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
    let compiled = |folders: &[Folder]| {
        write_files(dir, &toml, folders).context("cannot write the intents' folders")?;
        let loaded = load(dir, &given);
        loaded.map_err(|report| anyhow::anyhow!("the world of seed {seed} is refused:\n{report}"))
    };
    let mut snapshot = compiled(&folders)?.snapshot;
    if snapshot.intents.values().any(|plan| plan.route.cascade.is_some()) {
        cascades::evidence(&mut turns, &mut folders, &snapshot);
        snapshot = compiled(&folders)?.snapshot;
    }
    let world = World {
        folders: folders.into_iter().map(|folder| (folder.name.clone(), folder)).collect(),
        plans: snapshot.intents.clone(),
        teams: snapshot.teams.clone(),
        keys: Keys::random(&mut purse, limited),
        models: snapshot.models.clone(),
        aliases: snapshot.aliases.clone(),
        sim: Sim::new(scenario, seed),
        journal: JournalPlan::random(&mut dice),
        places,
    };
    Ok((world, snapshot))
}

fn write_files(dir: &Path, toml: &str, folders: &[Folder]) -> std::io::Result<()> {
    std::fs::write(dir.join("baton.toml"), toml)?;
    // Its place is taken by the scenario in memory.
    std::fs::write(dir.join("scenario.toml"), "models = {}\n")?;
    for folder in folders {
        let own = dir.join("intents").join(&folder.name);
        std::fs::create_dir_all(&own)?;
        for (file, text) in &folder.files {
            std::fs::write(own.join(file), text)?;
        }
    }
    Ok(())
}
