//! How many calls the server takes on in a world: places at models, queues, shares, pools of keys.

use std::fmt::Write as _;

use crate::simulate::dice::Dice;
use crate::simulate::world::TEAMS;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Calls at a time to one model with one key.
    pub(crate) ceiling: u32,
    /// Calls that wait for each.
    pub(crate) queue_max: usize,
    /// Statuses that the provider's keys are answered with whatever is asked; `None` for good ones.
    /// Empty where it asks for no key.
    pub(crate) keys: Vec<Option<u16>>,
    shares: Vec<u64>,
}

impl Places {
    pub(crate) fn random(dice: &mut Dice) -> Self {
        let keys = if dice.chance(0.4) { dice.between(2, 4) } else { 0 };
        let dead = |dice: &mut Dice| dice.chance(0.25).then(|| *dice.pick(&[401, 402, 403]));
        Self {
            ceiling: *dice.pick(&[1, 2, 3, 8, 16_384, 16_384]),
            queue_max: *dice.pick(&[0, 1, 3, 20, 1024]),
            keys: (0..keys).map(|_| dead(dice)).collect(),
            shares: TEAMS.iter().map(|_| dice.between(1, 4)).collect(),
        }
    }

    /// Their part of `baton.toml`.
    pub(crate) fn toml(&self) -> String {
        let mut toml = format!("[server]\nqueue_max = {}\n", self.queue_max);
        for (team, share) in TEAMS.iter().zip(&self.shares) {
            let _never = write!(toml, "[teams.{team}]\nshare = {share}\n");
        }
        toml.push_str("[providers.sim]\n");
        if self.keys.is_empty() {
            toml.push_str("kind = \"simulated\"\nscenario = \"scenario.toml\"\n");
        } else {
            let keys: Vec<String> = (1..=self.keys.len()).map(|n| format!("{{ file = \"{n}.key\" }}")).collect();
            let keys = keys.join(", ");
            let _never = write!(
                toml,
                "kind = \"openai-compatible\"\nbase_url = \"http://sim.invalid/v1\"\napi_keys = [{keys}]\n"
            );
        }
        let _never = writeln!(toml, "max_concurrency = {}", self.ceiling);
        toml
    }

    /// The keys' files, with what stands in them.
    pub(crate) fn files(&self) -> impl Iterator<Item = (String, String)> {
        (1..=self.keys.len()).map(|n| (format!("{n}.key"), key(n)))
    }

    /// The number of the key that a request was made with, from 1.
    pub(crate) fn number(&self, key_of_request: &str) -> Option<u32> {
        let place = (1..=self.keys.len()).find(|n| key(*n) == key_of_request)?;
        u32::try_from(place).ok()
    }

    /// What a key is answered with, where it is not good.
    pub(crate) fn refuses(&self, number: Option<u32>) -> Option<u16> {
        *self.keys.get(number? as usize - 1)?
    }
}

fn key(number: usize) -> String {
    format!("sk-simulated-{number}")
}
