//! What the ledger promises, example by example and over random worlds.

use proptest::prelude::*;

use super::*;
use crate::test_config;

const DAY: i64 = DAY_US;

fn quota(account: Account, allowance: Allowance) -> Quota {
    Quota { account, allowance }
}

fn team(allowance: Allowance) -> Arc<[Quota]> {
    Arc::from([quota(Account::Team("support".into()), allowance)])
}

fn money(nano: i64) -> Allowance {
    Allowance { usd_per_day: Some(NanoUsd(nano)), ..Allowance::default() }
}

fn at(ms: u64) -> At {
    At { now: Moment::from_micros(ms * 1000), unix_us: 20 * DAY + i64::try_from(ms).unwrap() * 1000 }
}

fn need(tokens: u64, nano: i64) -> Need {
    Need { tokens, cost: Some(NanoUsd(nano)) }
}

fn used(tokens: u64, nano: i64) -> Used {
    Used { tokens, cost: NanoUsd(nano) }
}

#[test]
fn calls_slide_over_a_minute() {
    let (mut ledger, quotas) =
        (Ledger::default(), team(Allowance { calls_per_minute: Some(2), ..Allowance::default() }));
    ledger.call(&quotas, at(300)).unwrap();
    ledger.call(&quotas, at(40_000)).unwrap();
    let refused = ledger.call(&quotas, at(41_000)).unwrap_err();
    // The first was in second 0, which counts until second 61 begins.
    assert_eq!((refused.limit, refused.retry_after), (Limit::Calls(2), Some(Duration::from_secs(20))));
    assert_eq!(refused.to_string(), "team `support` may make 2 calls a minute");
    assert!(ledger.call(&quotas, at(60_999)).is_err());
    ledger.call(&quotas, at(61_000)).unwrap();
    assert!(ledger.call(&quotas, at(61_000)).is_err(), "the second one still counts");
}

#[test]
fn all_accounts_or_none() {
    let calls = |n| Allowance { calls_per_minute: Some(n), ..Allowance::default() };
    let (a, b) = (quota(Account::Team("a".into()), calls(5)), quota(Account::Intent("i".into()), calls(1)));
    let mut ledger = Ledger::default();
    ledger.call(&[a.clone(), b.clone()], at(0)).unwrap();
    for _ in 0..10 {
        assert_eq!(ledger.call(&[a.clone(), b.clone()], at(1)).unwrap_err().account, b.account);
    }
    for _ in 0..4 {
        ledger.call(std::slice::from_ref(&a), at(2)).unwrap();
    }
    assert!(ledger.call(&[a], at(3)).is_err());
}

#[test]
fn money_is_held_and_given_back() {
    let (mut ledger, quotas) = (Ledger::default(), team(money(100)));
    let first = ledger.reserve(&quotas, need(0, 60), at(0)).unwrap();
    let refused = ledger.reserve(&quotas, need(0, 60), at(0)).unwrap_err();
    assert_eq!(refused.retry_after, Some(RESERVED_RETRY), "only a running call stands in the way");
    ledger.settle(first, used(0, 40));
    assert_eq!(ledger.spent(&quotas[0].account, at(0).unix_us), (NanoUsd(40), NanoUsd(0)));
    let second = ledger.reserve(&quotas, need(0, 60), at(0)).unwrap();
    ledger.settle(second, used(0, 60));
    let refused = ledger.reserve(&quotas, need(0, 1), at(3000)).unwrap_err();
    assert_eq!(refused.retry_after, Some(Duration::from_secs(24 * 3600 - 3)), "until midnight");
    let told = "team `support` may spend 0.0000001 USD a day (UTC), and what is left does not cover this one";
    assert_eq!(refused.to_string(), told);
    let refused = ledger.reserve(&quotas, need(0, 101), at(0)).unwrap_err();
    assert_eq!(refused.retry_after, None, "never");
    let next = At { unix_us: 21 * DAY, ..at(5000) };
    let third = ledger.reserve(&quotas, need(0, 100), next).unwrap();
    ledger.settle(third, used(0, 100));
}

#[test]
fn what_is_spare_grows_with_the_day() {
    let (mut ledger, quotas) = (Ledger::default(), team(money(1000)));
    let spare = |ledger: &Ledger, hours: i64| ledger.spare(&quotas, 20 * DAY + hours * DAY / 24);
    assert_eq!([0, 12, 24].map(|hours| spare(&ledger, hours).unwrap()), [100, 550, 100].map(NanoUsd));
    let held = ledger.reserve(&quotas, need(0, 300), At { unix_us: 20 * DAY, ..at(0) }).unwrap();
    assert_eq!((spare(&ledger, 0), spare(&ledger, 12)), (Some(NanoUsd(-200)), Some(NanoUsd(250))));
    ledger.settle(held, used(0, 50));
    assert_eq!(spare(&ledger, 12), Some(NanoUsd(500)));
    assert_eq!(ledger.spare(&team(Allowance::default()), 20 * DAY), None);
}

#[test]
fn without_a_price_nothing_is_spent_where_money_is_limited() {
    let mut ledger = Ledger::default();
    let unknown = Need { tokens: 0, cost: None };
    let refused = ledger.reserve(&team(money(100)), unknown, at(0)).unwrap_err();
    assert_eq!((refused.limit, refused.retry_after), (Limit::UnknownPrice(NanoUsd(100)), None));
    let unlimited = ledger.reserve(&team(Allowance::default()), unknown, at(0)).unwrap();
    ledger.settle(unlimited, used(7, 0));
}

#[test]
fn a_limit_that_comes_later_finds_what_was_spent() {
    let mut ledger = Ledger::default();
    let open = team(Allowance::default());
    let held = ledger.reserve(&open, need(0, 70), at(0)).unwrap();
    ledger.settle(held, used(0, 70));
    ledger.restore(&open[0].account, at(0).unix_us, NanoUsd(20));
    assert!(ledger.reserve(&team(money(100)), need(0, 11), at(1)).is_err());
    let held = ledger.reserve(&team(money(100)), need(0, 10), at(1)).unwrap();
    ledger.settle(held, used(0, 10));
}

#[test]
fn tokens_settle_in_the_minute_in_which_they_were_reserved() {
    let quotas = team(Allowance { tokens_per_minute: Some(100), ..Allowance::default() });
    let mut ledger = Ledger::default();
    let held = ledger.reserve(&quotas, need(90, 0), at(0)).unwrap();
    assert!(ledger.reserve(&quotas, need(11, 0), at(10)).is_err());
    ledger.settle(held, used(20, 0));
    let held = ledger.reserve(&quotas, need(80, 0), at(59_000)).unwrap();
    // More than was thought: the rest waits longer, and nothing is forgotten.
    ledger.settle(held, used(130, 0));
    let refused = ledger.reserve(&quotas, need(10, 0), at(62_000)).unwrap_err();
    assert_eq!(refused.retry_after, Some(Duration::from_secs(58)));
    assert_eq!(ledger.reserve(&quotas, need(101, 0), at(62_000)).unwrap_err().retry_after, None);
    let held = ledger.reserve(&quotas, need(100, 0), at(120_000)).unwrap();
    // So long that its minute is over: nothing to give back, and nothing goes wrong.
    ledger.call(&quotas, at(500_000)).unwrap();
    ledger.settle(held, used(5, 0));
    let held = ledger.reserve(&quotas, need(100, 0), at(500_000)).unwrap();
    ledger.settle(held, used(100, 0));
}

#[test]
fn a_clock_that_steps_back_opens_nothing() {
    let (mut ledger, quotas) = (Ledger::default(), team(money(100)));
    let account = &quotas[0].account;
    let on = |day: i64, ms: u64| At { unix_us: day * DAY + 5, ..at(ms) };
    for (ms, (day, fits)) in
        [(10, true), (11, true), (10, false), (11, false), (9, false), (3, false), (12, true)].into_iter().enumerate()
    {
        let reserved = ledger.reserve(&quotas, need(0, 100), on(day, ms as u64));
        assert_eq!(reserved.is_ok(), fits, "day {day}");
        if let Ok(held) = reserved {
            ledger.settle(held, used(0, 100));
        }
    }
    assert_eq!(ledger.spent(account, 12 * DAY), (NanoUsd(100), NanoUsd(0)));
    assert_eq!(ledger.spent(account, 11 * DAY), (NanoUsd(100), NanoUsd(0)));
}

#[test]
fn what_began_before_midnight_is_charged_to_its_day() {
    let (mut ledger, quotas) = (Ledger::default(), team(money(100)));
    let held = ledger.reserve(&quotas, need(0, 80), at(0)).unwrap();
    let tomorrow = At { unix_us: 21 * DAY, ..at(10) };
    let other = ledger.reserve(&quotas, need(0, 100), tomorrow).unwrap();
    ledger.settle(held, used(0, 30));
    ledger.settle(other, used(0, 50));
    let account = &quotas[0].account;
    assert_eq!(ledger.spent(account, 20 * DAY), (NanoUsd(30), NanoUsd(0)));
    assert_eq!(ledger.spent(account, 21 * DAY), (NanoUsd(50), NanoUsd(0)));
}

#[test]
fn idle_accounts_go_with_a_new_day() {
    let mut ledger = Ledger::default();
    for n in 0..100 {
        let quotas: Arc<[Quota]> = Arc::from([quota(Account::Team(n.to_string().as_str().into()), money(100))]);
        let held = ledger.reserve(&quotas, need(0, 1), at(n)).unwrap();
        ledger.settle(held, used(0, 1));
    }
    assert_eq!(ledger.books.len(), 100);
    for (day, left) in [(21, 101), (22, 1)] {
        let held = ledger.reserve(&team(money(100)), need(0, 1), At { unix_us: day * DAY, ..at(400_000) }).unwrap();
        ledger.settle(held, used(0, 1));
        assert_eq!(ledger.books.len(), left, "on day {day}");
    }
}

/// What a world of callers does: whose call it is, what it reserves, what it uses of it in tenths.
#[derive(Clone, Debug)]
enum Act {
    Begin {
        who: usize,
        tokens: u64,
        nano: i64,
    },
    /// The open attempt at this place ends, having used so many tenths of what it held.
    End {
        place: usize,
        tenths: u64,
    },
    Call {
        who: usize,
    },
    /// Time passes, and the wall clock may jump (in days, either way).
    Pass {
        ms: u64,
        days: i64,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..6_usize, 0..60_u64, 0..60_i64).prop_map(|(who, tokens, nano)| Act::Begin { who, tokens, nano }),
        4 => (0..50_usize, 0..=10_u64).prop_map(|(place, tenths)| Act::End { place, tenths }),
        2 => (0..6_usize).prop_map(|who| Act::Call { who }),
        2 => (0..30_000_u64, prop_oneof![8 => Just(0), 1 => -2..=2_i64]).prop_map(|(ms, days)| Act::Pass { ms, days }),
    ];
    proptest::collection::vec(act, 1..300)
}

/// Two keys of each of two teams, and two intents: who calls decides which three accounts it is on.
fn quotas_of(who: usize) -> Arc<[Quota]> {
    let allowance = |calls, tokens, nano| Allowance {
        calls_per_minute: Some(calls),
        tokens_per_minute: Some(tokens),
        usd_per_day: Some(NanoUsd(nano)),
    };
    Arc::from([
        quota(Account::Key(format!("k{who}").as_str().into()), allowance(5, 120, 300)),
        quota(Account::Team(format!("t{}", who % 2).as_str().into()), allowance(8, 200, 500)),
        quota(Account::Intent(format!("i{}", who % 3).as_str().into()), allowance(6, 150, 400)),
    ])
}

proptest! {
    #![proptest_config(test_config(60))]

    /// Whatever order attempts begin and end in, no account ever holds and spends more than its
    /// limit, in any 60 seconds or on any day, and what it spent is the sum of what was used.
    #[test]
    fn never_over_a_limit(acts in acts()) {
        let mut ledger = Ledger::default();
        let mut open: Vec<(usize, Need, Reservation)> = Vec::new();
        let (mut ms, mut day) = (0_u64, 20_i64);
        // What the world knows: calls by time, tokens by time, money by day; for each account.
        let mut calls: BTreeMap<Account, Vec<u64>> = BTreeMap::new();
        let mut spent: BTreeMap<(Account, i64), i64> = BTreeMap::new();
        for act in acts {
            let at = At { now: Moment::from_micros(ms * 1000), unix_us: day * DAY + 1 };
            match act {
                Act::Pass { ms: more, days } => {
                    ms += more;
                    day += days;
                }
                Act::Call { who } => {
                    let quotas = quotas_of(who);
                    if ledger.call(&quotas, at).is_ok() {
                        for quota in quotas.iter() {
                            let times = calls.entry(quota.account.clone()).or_default();
                            times.push(ms);
                            let within = times.iter().filter(|then| ms - **then < 60_000).count() as u64;
                            prop_assert!(within <= quota.allowance.calls_per_minute.unwrap());
                        }
                    }
                }
                Act::Begin { who, tokens, nano } => {
                    if let Ok(held) = ledger.reserve(&quotas_of(who), need(tokens, nano), at) {
                        open.push((who, need(tokens, nano), held));
                    }
                }
                Act::End { place, tenths } if !open.is_empty() => {
                    let (who, need, held) = open.swap_remove(place % open.len());
                    let cost = need.cost.unwrap().0 * i64::try_from(tenths).unwrap() / 10;
                    let (their_day, kept) = (held.day, held.day + 1 >= ledger.day);
                    ledger.settle(held, used(need.tokens * tenths / 10, cost));
                    for quota in quotas_of(who).iter().filter(|_| kept) {
                        *spent.entry((quota.account.clone(), their_day)).or_default() += cost;
                    }
                }
                Act::End { .. } => {}
            }
            for quota in (0..6).flat_map(|who| quotas_of(who).to_vec()) {
                let limit = quota.allowance.usd_per_day.unwrap();
                for day in [ledger.day - 1, ledger.day] {
                    let (is, reserved) = ledger.spent(&quota.account, day * DAY);
                    prop_assert!(is + reserved <= limit, "{}: {is} spent, {reserved} reserved", quota.account);
                    let holds = open.iter().filter(|(who, _, held)| {
                        held.day == day && quotas_of(*who).iter().any(|other| other.account == quota.account)
                    });
                    prop_assert_eq!(reserved, holds.map(|(_, need, _)| need.cost.unwrap()).sum::<NanoUsd>());
                    let sum = spent.get(&(quota.account.clone(), day)).copied().unwrap_or_default();
                    prop_assert_eq!(is, NanoUsd(sum));
                }
            }
        }
    }

    /// Tokens used in any 60 seconds, counted when they were reserved, stay within the limit.
    #[test]
    fn never_more_tokens_than_a_minute_has(steps in proptest::collection::vec((0..9_000_u64, 1..80_u64, 0..=10_u64), 1..200)) {
        let quotas = team(Allowance { tokens_per_minute: Some(200), ..Allowance::default() });
        let (mut ledger, mut ms) = (Ledger::default(), 0);
        let mut uses: Vec<(u64, u64)> = Vec::new();
        for (pass, tokens, tenths) in steps {
            ms += pass;
            match ledger.reserve(&quotas, need(tokens, 0), at(ms)) {
                Ok(held) => {
                    let actual = tokens * tenths / 10;
                    ledger.settle(held, used(actual, 0));
                    uses.push((ms, actual));
                    let within: u64 = uses.iter().filter(|(then, _)| ms - then < 60_000).map(|(_, used)| used).sum();
                    prop_assert!(within <= 200);
                }
                Err(refused) => {
                    // What it says is true: at that time it fits.
                    let after = u64::try_from(refused.retry_after.unwrap().as_millis()).unwrap();
                    let mut later = ledger.clone();
                    let held = later.reserve(&quotas, need(tokens, 0), at(ms + after + 1));
                    prop_assert!(held.is_ok());
                    later.settle(held.unwrap(), Used::default());
                }
            }
        }
    }
}
