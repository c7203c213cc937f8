//! What keys, teams and intents may use: the one ledger of a process, and how it stands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_config::{Plan, Snapshot};
use baton_core::{
    Account, Allowance, At, ErrorCode, Failure, KeyId, Ledger, NanoUsd, Need, Quota, Refusal, Reservation, Standing,
    Used,
};
use baton_store::Spend;

use crate::call::Caller;

/// How an account that is limited stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetState {
    /// Whose.
    pub account: Account,
    /// What it may use.
    pub allowance: Allowance,
    /// What it used.
    pub standing: Standing,
    /// Calls and attempts that it was refused, since the start.
    pub refused: u64,
}

impl BudgetState {
    /// The share of the day's money that is spent; `None` where money is not limited. What providers
    /// report over an attempt's reservation may take it over 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    pub fn spent_share(&self) -> Option<f64> {
        let limit = self.allowance.usd_per_day?;
        Some(if limit.0 == 0 { 1.0 } else { self.standing.spent.0 as f64 / limit.0 as f64 })
    }
}

/// Who pays for a call, and what each may use. All of them count money, limited or not.
pub(crate) fn quotas(snapshot: &Snapshot, caller: &Caller, plan: Option<&Plan>) -> Arc<[Quota]> {
    let key = caller.key.as_ref().map(|key| (Account::Key(key.id.clone()), key.allowance));
    let of_team = snapshot.teams.get(&caller.team).map(|team| team.allowance).unwrap_or_default();
    let intent = plan.map(|plan| (Account::Intent(plan.name.clone()), plan.allowance));
    let all = [key, Some((Account::Team(caller.team.clone()), of_team)), intent].into_iter().flatten();
    all.map(|(account, allowance)| Quota { account, allowance }).collect()
}

/// See the module.
pub(crate) struct Budgets(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    ledger: Ledger,
    /// Of limited keys that called. Bounded by the keys that there are.
    keys: BTreeMap<KeyId, Allowance>,
    /// Bounded by the accounts that are limited.
    refused: BTreeMap<Account, u64>,
}

impl Budgets {
    /// Begins with what was spent before.
    pub(crate) fn after(spends: &[Spend]) -> Self {
        let mut inner = Inner::default();
        for Spend { account, day_us, cost } in spends {
            inner.ledger.restore(account, *day_us, *cost);
        }
        Self(Mutex::new(inner))
    }

    /// Counts a call.
    pub(crate) fn call(&self, quotas: &[Quota], at: At) -> Result<(), Failure> {
        let mut inner = self.lock();
        for quota in quotas {
            if let (Account::Key(id), false) = (&quota.account, quota.allowance.is_unlimited()) {
                inner.keys.insert(id.clone(), quota.allowance);
            }
        }
        inner.ledger.call(quotas, at).map_err(|refusal| {
            inner.count(&refusal);
            let retry_after_ms = refusal.retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
            Failure { retry_after_ms, ..Failure::new(ErrorCode::RateLimit, refusal.to_string()) }
        })
    }

    /// Holds what an attempt may use at most.
    pub(crate) fn reserve(&self, quotas: &Arc<[Quota]>, need: Need, at: At) -> Result<Reservation, Refusal> {
        let mut inner = self.lock();
        let reserved = inner.ledger.reserve(quotas, need, at);
        if let Err(refusal) = &reserved {
            inner.count(refusal);
        }
        reserved
    }

    /// Holds what is owed anyway, whatever limits say.
    pub(crate) fn hold(&self, quotas: &[Quota], cost: NanoUsd, at: At) -> Option<Reservation> {
        let unlimited = |quota: &Quota| Quota { allowance: Allowance::default(), ..quota.clone() };
        let quotas: Arc<[Quota]> = quotas.iter().map(unlimited).collect();
        self.lock().ledger.reserve(&quotas, Need { tokens: 0, cost: Some(cost) }, at).ok()
    }

    /// Gives back what an attempt held, and charges what it used.
    pub(crate) fn settle(&self, reservation: Reservation, used: Used) {
        self.lock().ledger.settle(reservation, used);
    }

    /// What these accounts have left for this time of the day; `None` where nobody's money is limited.
    pub(crate) fn spare(&self, quotas: &[Quota], unix_us: i64) -> Option<NanoUsd> {
        let limited = quotas.iter().any(|quota| quota.allowance.usd_per_day.is_some());
        if limited { self.lock().ledger.spare(quotas, unix_us) } else { None }
    }

    /// How everybody who is limited stands: teams and intents as configured, keys that called.
    pub(crate) fn states(&self, snapshot: &Snapshot, at: At) -> Vec<BudgetState> {
        let teams = snapshot.teams.iter().map(|(name, team)| (Account::Team(name.clone()), team.allowance));
        let intents = snapshot.intents.values().map(|plan| (Account::Intent(plan.name.clone()), plan.allowance));
        let mut inner = self.lock();
        let keys: Vec<_> = inner.keys.iter().map(|(id, allowance)| (Account::Key(id.clone()), *allowance)).collect();
        let limited = teams.chain(intents).chain(keys).filter(|(_, allowance)| !allowance.is_unlimited());
        let state = |(account, allowance): (Account, Allowance)| {
            let standing = inner.ledger.look(&account, at);
            let refused = inner.refused.get(&account).copied().unwrap_or_default();
            BudgetState { account, allowance, standing, refused }
        };
        limited.map(state).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn count(&mut self, refusal: &Refusal) {
        *self.refused.entry(refusal.account.clone()).or_default() += 1;
    }
}
