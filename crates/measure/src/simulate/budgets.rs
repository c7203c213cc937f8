//! Random budgets: of teams and intents, written into their files, and of the keys that teams call with.

use std::fmt::Write as _;

use baton_core::{Allowance, KeyId, NanoUsd};
use baton_engine::CallerKey;

use crate::simulate::dice::Dice;
use crate::simulate::world::TEAMS;

/// Keys of each team.
const KEYS: u64 = 2;

/// The keys of a world: with what each may use.
pub(crate) struct Keys(Vec<(&'static str, CallerKey)>);

/// In half of the worlds nobody is limited.
pub(crate) fn limited(dice: &mut Dice) -> bool {
    dice.chance(0.5)
}

/// A random allowance: from what stops nearly everything to what stops nothing.
fn allowance(dice: &mut Dice) -> Allowance {
    let (money, calls, tokens) = (dice.chance(0.4), dice.chance(0.3), dice.chance(0.3));
    Allowance {
        usd_per_day: money.then(|| NanoUsd(dice.magnitude(100_000, 1_000_000_000).cast_signed())),
        calls_per_minute: calls.then(|| dice.magnitude(3, 200)),
        tokens_per_minute: tokens.then(|| dice.magnitude(1000, 200_000)),
    }
}

/// As it is written in a file.
fn lines(allowance: &Allowance) -> String {
    let mut toml = String::new();
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(toml, "{name} = {value}");
        }
    };
    line("usd_per_day", allowance.usd_per_day.map(|usd| usd.to_string()));
    line("calls_per_minute", allowance.calls_per_minute.map(|calls| calls.to_string()));
    line("tokens_per_minute", allowance.tokens_per_minute.map(|tokens| tokens.to_string()));
    toml
}

/// A `baton.toml` whose teams are limited, the last one aside.
pub(crate) fn teams(dice: &mut Dice, toml: &str) -> String {
    let limited = |toml: String, team: &&str| {
        let section = format!("[teams.{team}]\n");
        let with = format!("{section}{}", lines(&allowance(dice)));
        toml.replace(&section, &with)
    };
    TEAMS[..2].iter().fold(toml.to_owned(), limited)
}

/// The `[budget]` of an intent, where it has one.
pub(crate) fn intent(dice: &mut Dice) -> String {
    if dice.chance(0.5) { format!("[budget]\n{}", lines(&allowance(dice))) } else { String::new() }
}

impl Keys {
    pub(crate) fn random(dice: &mut Dice, limited: bool) -> Self {
        let key = |(team, n): (&'static str, u64)| {
            let allowance = if limited && dice.chance(0.5) { allowance(dice) } else { Allowance::default() };
            (team, CallerKey { id: KeyId::new(&format!("{team}-{n}")), allowance })
        };
        Self(TEAMS.iter().flat_map(|team| (0..KEYS).map(|n| (*team, n))).map(key).collect())
    }

    /// The key of a team that this call is made with: which one follows from when it arrives.
    pub(crate) fn of(&self, team: &str, arrives_ms: u64) -> Option<&CallerKey> {
        let mut own = self.0.iter().filter(|(of, _)| *of == team).map(|(_, key)| key);
        own.nth((arrives_ms % KEYS) as usize)
    }

    /// All of them.
    pub(crate) fn all(&self) -> impl Iterator<Item = &CallerKey> {
        self.0.iter().map(|(_, key)| key)
    }
}
