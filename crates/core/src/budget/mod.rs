//! What may be used: calls and tokens a minute, money a day; by key, team and intent.
//!
//! Amounts are reserved before they are used and settled when it is known what was used, so that
//! calls at the same time cannot overrun a limit together. A reservation holds for every account
//! of a call or for none.

mod purse;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::day::DAY_US;
use crate::{IntentName, KeyId, Moment, NanoUsd, TeamId};
use purse::Purse;
use window::Window;

/// What only running calls stand in the way of may be free as soon as one of them ends.
const RESERVED_RETRY: Duration = Duration::from_secs(1);

/// What may be used. What is `None` is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allowance {
    /// Calls in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls_per_minute: Option<u64>,
    /// Tokens, read and written, in any 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Money in a day, which begins at 00:00 UTC; written as decimal text.
    #[serde(skip_serializing_if = "Option::is_none", with = "crate::money::optional_decimal")]
    pub usd_per_day: Option<NanoUsd>,
}

impl Allowance {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

/// Whom an allowance is given to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// One key.
    Key(KeyId),
    /// All keys of a team.
    Team(TeamId),
    /// An intent, whoever calls it.
    Intent(IntentName),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key {id}"),
            Self::Team(team) => write!(f, "team `{team}`"),
            Self::Intent(intent) => write!(f, "intent `{intent}`"),
        }
    }
}

/// An account and what it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Whose.
    pub account: Account,
    /// What it may use.
    pub allowance: Allowance,
}

/// When something is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Monotonic: what minutes are measured with.
    pub now: Moment,
    /// Wall clock, Unix microseconds: which day it counts for. Of an execution that is its start.
    pub unix_us: i64,
}

/// The most that an attempt may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Tokens, read and written.
    pub tokens: u64,
    /// Money; `None` where the price is not known.
    pub cost: Option<NanoUsd>,
}

/// What an account used of what it may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Calls of the last minute.
    pub calls: u64,
    /// Tokens of the last minute, those included that are held; counted where they are limited.
    pub tokens: u64,
    /// Money of the day.
    pub spent: NanoUsd,
    /// Money that running attempts hold.
    pub reserved: NanoUsd,
}

/// What an attempt used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Tokens, read and written.
    pub tokens: u64,
    /// Money, as its record says.
    pub cost: NanoUsd,
}

/// The limit that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many calls a minute.
    Calls(u64),
    /// So many tokens a minute.
    Tokens(u64),
    /// So much money a day.
    Money(NanoUsd),
    /// So much money a day, and the price is not known.
    UnknownPrice(NanoUsd),
}

/// Nothing was reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whose limit.
    pub account: Account,
    /// Which.
    pub limit: Limit,
    /// When it may fit; `None` where it never will.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let account = &self.account;
        match (self.limit, self.retry_after) {
            (Limit::Calls(limit), _) => write!(f, "{account} may make {limit} calls a minute"),
            (Limit::Tokens(limit), Some(_)) => {
                write!(f, "{account} may use {limit} tokens a minute, and what is left does not cover this one")
            }
            (Limit::Tokens(limit), None) => {
                write!(f, "{account} may use {limit} tokens a minute, and this one alone may use more")
            }
            (Limit::Money(limit), Some(_)) => {
                write!(f, "{account} may spend {limit} USD a day (UTC), and what is left does not cover this one")
            }
            (Limit::Money(limit), None) => {
                write!(f, "{account} may spend {limit} USD a day (UTC), and this one alone may cost more")
            }
            (Limit::UnknownPrice(limit), _) => write!(
                f,
                "{account} may spend {limit} USD a day (UTC), and this model's price is not known: give it one under \
                 [models] in baton.toml"
            ),
        }
    }
}

/// Amounts that are held for one attempt until they are settled.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "settle it, or it is held for the rest of its day"]
pub struct Reservation {
    quotas: Arc<[Quota]>,
    second: u64,
    day: i64,
    held: Used,
}

/// What every account used and holds. Bounded by the accounts that were active since yesterday.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    books: BTreeMap<Account, Book>,
    /// The latest second and day seen.
    second: u64,
    day: i64,
}

#[derive(Clone, Debug, Default)]
struct Book {
    calls: Window,
    tokens: Window,
    purse: Purse,
}

impl Ledger {
    /// Counts one call for all of the accounts, or for none.
    ///
    /// # Errors
    /// The limit that will stand in the way for longest.
    pub fn call(&mut self, quotas: &[Quota], at: At) -> Result<(), Refusal> {
        let limited = |quota: &Quota| quota.allowance.calls_per_minute;
        if !quotas.iter().any(|quota| limited(quota).is_some()) {
            return Ok(());
        }
        let (second, _) = self.advance(at);
        let mut refused = None;
        for quota in quotas {
            let Some(limit) = limited(quota) else { continue };
            let wait = self.book(&quota.account).calls.wait(at.now, 1, limit);
            refuse(&mut refused, quota, Limit::Calls(limit), wait);
        }
        refused.map_or(Ok(()), Err)?;
        for quota in quotas.iter().filter(|quota| limited(quota).is_some()) {
            self.book(&quota.account).calls.add(second, 1);
        }
        Ok(())
    }

    /// Holds what an attempt needs at most, for all of the accounts or for none. Money is kept
    /// count of for every account, limited or not; tokens where they are limited.
    ///
    /// # Errors
    /// The limit that will stand in the way for longest.
    pub fn reserve(&mut self, quotas: &Arc<[Quota]>, need: Need, at: At) -> Result<Reservation, Refusal> {
        let (second, day) = self.advance(at);
        let mut refused = None;
        for quota in quotas.iter() {
            let book = self.book(&quota.account);
            if let Some(limit) = quota.allowance.tokens_per_minute {
                let wait = book.tokens.wait(at.now, need.tokens, limit);
                refuse(&mut refused, quota, Limit::Tokens(limit), wait);
            }
            match (quota.allowance.usd_per_day, need.cost) {
                (Some(limit), None) => {
                    refuse(&mut refused, quota, Limit::UnknownPrice(limit), Wait::Never);
                }
                (Some(limit), Some(cost)) => {
                    refuse(&mut refused, quota, Limit::Money(limit), book.purse.wait((day, at.unix_us), cost, limit));
                }
                (None, _) => {}
            }
        }
        refused.map_or(Ok(()), Err)?;
        let held = Used { tokens: need.tokens, cost: need.cost.unwrap_or_default() };
        for quota in quotas.iter() {
            let book = self.book(&quota.account);
            if quota.allowance.tokens_per_minute.is_some() {
                book.tokens.add(second, held.tokens);
            }
            book.purse.day(day).reserved += held.cost;
        }
        Ok(Reservation { quotas: Arc::clone(quotas), second, day, held })
    }

    /// Gives back what was held, and charges what was used. Tokens count in the minute in which they
    /// were reserved, money on the day for which it was.
    pub fn settle(&mut self, reservation: Reservation, used: Used) {
        let Reservation { quotas, second, day, held } = reservation;
        for quota in quotas.iter() {
            let Some(book) = self.books.get_mut(&quota.account) else { continue };
            if quota.allowance.tokens_per_minute.is_some() {
                book.tokens.change(second, held.tokens, used.tokens);
            }
            book.purse.settle(day, held.cost, used.cost);
        }
    }

    /// Adds what was spent before this ledger began.
    pub fn restore(&mut self, account: &Account, unix_us: i64, spent: NanoUsd) {
        let day = self.day_of(unix_us);
        self.book(account).purse.day(day).spent += spent;
    }

    /// What an account spent on the day of this wall clock (Unix microseconds), and what it holds.
    #[must_use]
    pub fn spent(&self, account: &Account, unix_us: i64) -> (NanoUsd, NanoUsd) {
        self.books.get(account).map(|book| book.purse.look(unix_us.div_euclid(DAY_US))).unwrap_or_default()
    }

    /// What an account used by now.
    pub fn look(&mut self, account: &Account, at: At) -> Standing {
        let (spent, reserved) = self.spent(account, at.unix_us);
        let second = self.second.max(window::second(at.now));
        let Some(book) = self.books.get_mut(account) else { return Standing::default() };
        Standing { calls: book.calls.sum(second), tokens: book.tokens.sum(second), spent, reserved }
    }

    fn book(&mut self, account: &Account) -> &mut Book {
        if !self.books.contains_key(account) {
            self.books.insert(account.clone(), Book::default());
        }
        self.books.entry(account.clone()).or_default()
    }

    /// The second and the day to count in. Seconds never go back. A new day drops idle accounts.
    fn advance(&mut self, at: At) -> (u64, i64) {
        self.second = self.second.max(window::second(at.now));
        let (second, latest) = (self.second, self.day);
        let day = self.day_of(at.unix_us);
        if self.day > latest {
            self.books.retain(|_, book| {
                let idle = book.calls.sum(second) == 0 && book.tokens.sum(second) == 0;
                !idle || book.purse.is_kept(day - 1)
            });
        }
        (second, day)
    }

    /// The day that a wall clock counts for. Books are kept of the latest day and of the one before
    /// it: what is longer ago goes on the latest's, so that no clock that is set back has money to
    /// spend anew.
    fn day_of(&mut self, unix_us: i64) -> i64 {
        let day = unix_us.div_euclid(DAY_US);
        self.day = self.day.max(day);
        if day.saturating_add(1) < self.day { self.day } else { day }
    }
}

/// How long until an amount fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Wait {
    None,
    For(Duration),
    Never,
}

/// Keeps the refusal with the longest wait.
fn refuse(refused: &mut Option<Refusal>, quota: &Quota, limit: Limit, wait: Wait) {
    let retry_after = match wait {
        Wait::None => return,
        Wait::For(after) => Some(after),
        Wait::Never => None,
    };
    let longer = refused.as_ref().is_none_or(|other| match (other.retry_after, retry_after) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(other), Some(this)) => this > other,
    });
    if longer {
        *refused = Some(Refusal { account: quota.account.clone(), limit, retry_after });
    }
}
