//! Rollouts, a line for each that decides who is asked first.

use baton_core::{IntentName, TeamId};
use baton_engine::RolloutStanding;

use crate::commands::rollout;
use crate::exit::say;

/// Those of a team or an intent, where one is named.
pub(super) fn of(
    mut all: Vec<RolloutStanding>,
    (team, intent): (Option<&TeamId>, Option<&IntentName>),
) -> Vec<RolloutStanding> {
    all.retain(|standing| {
        standing.share.is_some()
            && team.is_none_or(|team| standing.team == *team)
            && intent.is_none_or(|intent| standing.intent == *intent)
    });
    all
}

pub(super) fn print(standings: &[RolloutStanding]) {
    if !standings.is_empty() {
        say!("");
    }
    for standing in standings {
        say!("{}", rollout::line(standing));
    }
}
