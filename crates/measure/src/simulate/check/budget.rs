//! Budgets: nobody spends or uses more than they may, whatever runs at the same time; what the ledger says
//! is what the records add up to; nobody is refused without a limit of theirs.

use std::collections::BTreeMap;
use std::sync::Arc;

use baton_config::Plan;
use baton_core::{Account, Allowance, AttemptOutcome, AttemptRecord, ErrorCode, NanoUsd, Record, Usage};

use super::{Case, Verdict, View, hold};
use crate::simulate::run::{Ran, started_us};

const MINUTE_US: u64 = 60_000_000;
/// Tokens of an answer that are held where a call sets no limit, as docs/configuration.md says.
const OUTPUT_TOKENS: u64 = 4096;

/// What an account used, as the records say.
#[derive(Default)]
struct Used {
    cost: NanoUsd,
    /// What models wrote beyond what they may: nobody could know that before, and it is charged.
    beyond: (NanoUsd, u64),
    /// When each admitted call began.
    calls: Vec<(u64, u64)>,
    /// When each attempt began, with its tokens.
    tokens: Vec<(u64, u64)>,
}

/// Who pays for an execution, and what each may use.
fn payers(ran: &Ran, record: &Record) -> Vec<(Account, Allowance)> {
    let world = &ran.world;
    let team = world.teams.get(&record.team).map(|team| team.allowance).unwrap_or_default();
    let key = record.key.iter().map(|id| {
        let known = world.keys.all().find(|key| key.id == *id).map(|key| key.allowance);
        (Account::Key(id.clone()), known.unwrap_or_default())
    });
    let intent = record.intent.iter().filter_map(|name| {
        let plan = world.plans.get(name)?;
        Some((Account::Intent(name.clone()), plan.allowance))
    });
    key.chain([(Account::Team(record.team.clone()), team)]).chain(intent).collect()
}

pub(super) fn of_seed(view: &View<'_>) -> Verdict {
    let ran = view.ran;
    let mut all: BTreeMap<Account, (Allowance, Used)> = BTreeMap::new();
    for (record, _) in view.records() {
        let plan = record.intent.as_ref().and_then(|name| ran.world.plans.get(name));
        let began = started_us(record);
        // One that was refused before it was admitted is no call.
        let admitted = record.deadline_us > 0;
        for (account, allowance) in payers(ran, record) {
            let (_, used) = all.entry(account).or_insert_with(|| (allowance, Used::default()));
            used.cost += record.cost;
            for (cost, tokens) in record.attempts.iter().map(|attempt| beyond(plan, ran, attempt)) {
                used.beyond = (used.beyond.0 + cost, used.beyond.1 + tokens);
            }
            used.calls.extend(admitted.then_some((began, 1)));
            let made = record.attempts.iter().filter(|a| a.outcome.was_made() && a.model.as_str() != "local");
            used.tokens.extend(made.map(|a| {
                let tokens = a.usage.map_or(0, |usage| usage.input_tokens + usage.output_tokens);
                (began + a.start_us, tokens)
            }));
        }
    }
    for (account, (allowance, used)) in &mut all {
        within(account, allowance, used)?;
        let Some(state) = ran.budgets.iter().find(|state| state.account == *account) else {
            hold!(allowance.is_unlimited() || used.calls.is_empty(), "nothing is known of the budget of {account}");
            continue;
        };
        hold!(state.allowance == *allowance, "{account} may use {:?}, not {allowance:?}", state.allowance);
        let (spent, held) = (state.standing.spent, state.standing.reserved);
        hold!(spent == used.cost, "{account} spent {spent} by the ledger, {} by the records", used.cost);
        hold!(held == NanoUsd(0), "{account} holds {held}, and nothing runs");
    }
    Ok(())
}

/// Money and tokens of what was written over the limit of the call, or over what is held where it has none.
fn beyond(plan: Option<&Arc<Plan>>, ran: &Ran, attempt: &AttemptRecord) -> (NanoUsd, u64) {
    let max = plan.and_then(|plan| plan.params.get("max_tokens")?.as_u64()).unwrap_or(OUTPUT_TOKENS);
    let written = attempt.usage.map_or(0, |usage| usage.output_tokens).saturating_sub(max);
    let model = ran.world.models.iter().find(|model| model.id == attempt.model);
    let usage = Usage { output_tokens: written, ..Usage::default() };
    (model.and_then(|model| model.price.as_ref()).map_or(NanoUsd(0), |price| price.cost_ever(&usage)), written)
}

fn within(account: &Account, allowance: &Allowance, used: &mut Used) -> Verdict {
    if let Some(limit) = allowance.usd_per_day {
        let beyond = used.beyond.0;
        hold!(used.cost <= limit + beyond, "{account} spent {} of {limit}, {beyond} of it beyond", used.cost);
    }
    for (what, limit, uses) in [
        ("calls", allowance.calls_per_minute, &mut used.calls),
        ("tokens", allowance.tokens_per_minute, &mut used.tokens),
    ] {
        let Some(limit) = limit else { continue };
        uses.sort_unstable();
        for (n, (from, _)) in uses.iter().enumerate() {
            let sum: u64 = uses[n..].iter().take_while(|(at, _)| *at < from + MINUTE_US).map(|(_, used)| used).sum();
            let limit = limit + used.beyond.1;
            hold!(sum <= limit, "{account} used {sum} {what} of {limit} in the minute from {}", Ran::at(*from));
        }
    }
    Ok(())
}

/// A refusal is of somebody whose limit it is, and only where nobody else could answer.
pub(super) fn of(view: &View<'_>, case: &Case<'_>) -> Verdict {
    use AttemptOutcome::{Abstained, Limited, NoRoom, NoTime, OverBudget};
    let payers = payers(view.ran, case.record);
    let limited = |of: fn(&Allowance) -> bool| payers.iter().any(|(_, allowance)| of(allowance));
    let attempts = &case.record.attempts;
    for attempt in attempts {
        let allowed = match attempt.outcome {
            OverBudget => limited(|may| may.usd_per_day.is_some()),
            Limited => limited(|may| may.tokens_per_minute.is_some()),
            _ => true,
        };
        hold!(allowed, "{} was not asked, and nobody is limited", attempt.model);
    }
    // One that was passed over for want of time or of a place had its turn after the others.
    let unasked = attempts.iter().all(|a| matches!(a.outcome, OverBudget | Limited | Abstained | NoTime | NoRoom));
    match case.record.error.as_ref().map(|error| error.code) {
        Some(ErrorCode::BudgetExhausted) => {
            let money = attempts.iter().any(|a| a.outcome == OverBudget);
            hold!(unasked && money, "no budget was left, after {attempts:?}");
        }
        Some(ErrorCode::RateLimit) if attempts.is_empty() => {
            hold!(limited(|may| may.calls_per_minute.is_some()), "too many calls, and nobody's are limited");
        }
        Some(ErrorCode::RateLimit) => hold!(unasked, "a rate limit, after {attempts:?}"),
        _ => {}
    }
    Ok(())
}
