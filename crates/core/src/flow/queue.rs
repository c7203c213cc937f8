//! Who is next: those who wait for a place at a lane, in turn by team.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996, section 2) where each grant is a packet
//! of length one: the team with the lowest start tag is next, and its tag rises by one over its
//! share. A team's tag is given to its first waiter only, so those who leave cost their team nothing.

use std::collections::{BTreeMap, VecDeque};

use crate::{Moment, TeamId};

/// One grant to a team of share 1, in tags.
const COST: u64 = 1 << 20;
/// How many times what is free a team may hold; see [`may_hold_more`].
const FREE_TIMES: u64 = 8;

/// One waiter. The numbers rise with time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Whether a team that holds `own` of `most` places, of which `all` are taken, may take one more:
/// dynamic thresholds (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet
/// Switches", 1998). A team may hold eight times what is free, times its share. So one alone fills
/// eight ninths, and there is room for whoever comes next; two that push get the same.
#[must_use]
pub fn may_hold_more(own: usize, all: usize, most: usize, share: u32) -> bool {
    let free = most.saturating_sub(all) as u64;
    (own as u64) < free.saturating_mul(FREE_TIMES).saturating_mul(u64::from(share.max(1)))
}

/// Those who wait, at most `bound`.
#[derive(Clone, Debug)]
pub struct FairQueue {
    teams: BTreeMap<TeamId, Line>,
    bound: usize,
    waiting: usize,
    /// The start tag of the last grant.
    virtual_time: u64,
}

/// One team's waiters, in the order in which they came.
#[derive(Clone, Debug, Default)]
struct Line {
    waiters: VecDeque<(Ticket, Moment)>,
    /// The tag of the first waiter, or of the next to come.
    start: u64,
    cost: u64,
}

impl FairQueue {
    /// An empty queue for at most `bound` waiters.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self { teams: BTreeMap::new(), bound, waiting: 0, virtual_time: 0 }
    }

    /// Another bound; those who wait stay.
    pub fn set_bound(&mut self, bound: usize) {
        self.bound = bound;
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Whether there is room for one more of this team.
    #[must_use]
    pub fn has_room(&self, team: &TeamId, share: u32) -> bool {
        let own = self.teams.get(team).map_or(0, |line| line.waiters.len());
        may_hold_more(own, self.waiting, self.bound, share)
    }

    /// How many are granted before one of this team that comes now.
    #[must_use]
    pub fn ahead(&self, team: &TeamId, share: u32) -> usize {
        let own = self.teams.get(team);
        let start = own.map_or(0, |line| line.start).max(self.virtual_time);
        let in_line = own.map_or(0, |line| line.waiters.len());
        let tag = start.saturating_add(cost(share).saturating_mul(in_line as u64));
        let before = |line: &Line| {
            let turns = tag.checked_sub(line.start).map_or(0, |lead| lead / line.cost + 1);
            line.waiters.len().min(usize::try_from(turns).unwrap_or(usize::MAX))
        };
        in_line + self.teams.iter().filter(|(other, _)| *other != team).map(|(_, line)| before(line)).sum::<usize>()
    }

    /// Takes a place in the line; `false` where there is no room.
    pub fn join(&mut self, ticket: Ticket, team: &TeamId, share: u32, expires: Moment) -> bool {
        if !self.has_room(team, share) {
            return false;
        }
        self.line(team, share).waiters.push_back((ticket, expires));
        self.waiting += 1;
        true
    }

    /// Leaves the line; `false` where it was not in it.
    pub fn leave(&mut self, ticket: Ticket, team: &TeamId) -> bool {
        let Some(line) = self.teams.get_mut(team) else { return false };
        let Ok(at) = line.waiters.binary_search_by_key(&ticket, |(waiter, _)| *waiter) else { return false };
        line.waiters.remove(at);
        self.waiting -= 1;
        true
    }

    /// Whether it is in the line.
    #[must_use]
    pub fn contains(&self, ticket: Ticket, team: &TeamId) -> bool {
        let line = self.teams.get(team);
        line.is_some_and(|line| line.waiters.binary_search_by_key(&ticket, |(waiter, _)| *waiter).is_ok())
    }

    /// Everybody who waits.
    pub fn iter(&self) -> impl Iterator<Item = Ticket> {
        self.teams.values().flat_map(|line| &line.waiters).map(|(ticket, _)| *ticket)
    }

    /// The next to be granted; those whose time is over are dropped.
    pub fn next(&mut self, now: Moment) -> Option<Ticket> {
        for line in self.teams.values_mut() {
            while line.waiters.front().is_some_and(|(_, expires)| *expires <= now) {
                line.waiters.pop_front();
                self.waiting -= 1;
            }
        }
        let waiting = self.teams.values_mut().filter(|line| !line.waiters.is_empty());
        let line = waiting.min_by_key(|line| (line.start, line.waiters.front().map(|(ticket, _)| *ticket)))?;
        let (ticket, _) = line.waiters.pop_front()?;
        self.waiting -= 1;
        self.virtual_time = line.start;
        line.start = line.start.saturating_add(line.cost);
        self.forget();
        Some(ticket)
    }

    /// Counts a grant that was made without waiting.
    pub fn granted(&mut self, team: &TeamId, share: u32) {
        let line = self.line(team, share);
        let start = line.start;
        line.start = start.saturating_add(line.cost);
        self.virtual_time = start;
        self.forget();
    }

    /// Everybody who waits goes, in the order in which they came.
    pub fn clear(&mut self) -> Vec<Ticket> {
        let mut all: Vec<Ticket> =
            self.teams.values_mut().flat_map(|line| line.waiters.drain(..)).map(|(ticket, _)| ticket).collect();
        all.sort_unstable();
        self.waiting = 0;
        all
    }

    /// The team's line. One that was empty does not get what it did not use.
    fn line(&mut self, team: &TeamId, share: u32) -> &mut Line {
        let line = self.teams.entry(team.clone()).or_default();
        if line.waiters.is_empty() {
            line.start = line.start.max(self.virtual_time);
        }
        line.cost = cost(share);
        line
    }

    /// A team that nobody waits for, and that is not ahead, is as one that never came.
    fn forget(&mut self) {
        let virtual_time = self.virtual_time;
        self.teams.retain(|_, line| !line.waiters.is_empty() || line.start > virtual_time);
    }
}

fn cost(share: u32) -> u64 {
    (COST / u64::from(share.max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const NEVER: Moment = Moment::from_micros(u64::MAX);

    fn team(n: usize) -> TeamId {
        TeamId::new(&format!("team-{n}"))
    }

    /// A queue with these waiters: (team, share).
    fn queue_of(waiters: &[(usize, u32)]) -> FairQueue {
        let mut queue = FairQueue::new(10_000);
        for (n, (of, share)) in waiters.iter().enumerate() {
            assert!(queue.join(Ticket(n as u64), &team(*of), *share, NEVER));
        }
        queue
    }

    fn order(queue: &mut FairQueue) -> Vec<u64> {
        std::iter::from_fn(|| queue.next(Moment::default())).map(|ticket| ticket.0).collect()
    }

    #[test]
    fn teams_take_turns_and_a_team_is_served_in_order() {
        assert_eq!(order(&mut queue_of(&[(0, 1), (0, 1), (0, 1), (1, 1), (1, 1)])), [0, 3, 1, 4, 2]);
        assert_eq!(order(&mut queue_of(&[(0, 2), (0, 2), (0, 2), (0, 2), (1, 1), (1, 1)])), [0, 4, 1, 2, 5, 3]);
    }

    #[test]
    fn who_was_away_gets_no_more_than_a_turn_for_it() {
        let mut queue = FairQueue::new(100);
        (0..1000).for_each(|_| queue.granted(&team(0), 1));
        for n in 0..4 {
            assert!(queue.join(Ticket(n), &team(n as usize % 2), 1, NEVER));
        }
        assert_eq!(order(&mut queue), [1, 0, 3, 2]);
        assert!(queue.teams.len() <= 2);
    }

    #[test]
    fn what_expired_or_left_is_not_granted_and_costs_no_turn() {
        let mut queue = FairQueue::new(100);
        let soon = Moment::from_micros(10);
        for (ticket, of, expires) in [(0, 0, soon), (1, 0, NEVER), (2, 0, NEVER), (3, 0, NEVER), (4, 1, NEVER)] {
            assert!(queue.join(Ticket(ticket), &team(of), 1, expires));
        }
        assert!(queue.leave(Ticket(2), &team(0)) && !queue.leave(Ticket(2), &team(0)));
        assert!(!queue.leave(Ticket(4), &team(0)), "another team's");
        let next: Vec<_> = std::iter::from_fn(|| queue.next(soon)).map(|ticket| ticket.0).collect();
        assert_eq!(next, [1, 4, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn one_team_leaves_room_for_the_next() {
        let mut queue = FairQueue::new(90);
        let mut fill =
            |of: usize, share: u32| (0..200).filter(|n| queue.join(Ticket(*n), &team(of), share, NEVER)).count();
        assert_eq!(fill(0, 1), 80);
        assert_eq!(fill(1, 1), 9, "and has more when those of the first are gone");
        assert_eq!(fill(2, 1), 1, "the last place is for who holds none");
        assert!((0..9).all(|own| may_hold_more(own, 98, 100, 1)) && !may_hold_more(0, 100, 100, 1));
    }

    fn waiters() -> impl Strategy<Value = Vec<(usize, u32)>> {
        let shares = proptest::collection::vec(1..5_u32, 1..5);
        shares.prop_flat_map(|shares| {
            let of = 0..shares.len();
            proptest::collection::vec(of, 1..60).prop_map(move |teams| teams.iter().map(|t| (*t, shares[*t])).collect())
        })
    }

    proptest! {
        #![proptest_config(crate::test_config(500))]

        /// The theorem of the paper (1, section 2.2): while two teams have waiters, what each got
        /// over its share differs by at most one grant of each. Everybody is served, in order.
        #[test]
        fn it_is_fair_within_a_grant_and_starves_nobody(waiters in waiters()) {
            let mut queue = queue_of(&waiters);
            let mut left: BTreeMap<usize, usize> = BTreeMap::new();
            waiters.iter().for_each(|(of, _)| *left.entry(*of).or_default() += 1);
            let mut got: BTreeMap<usize, u32> = left.keys().map(|of| (*of, 0)).collect();
            let share = |of: usize| waiters.iter().find(|(t, _)| *t == of).map_or(1, |(_, share)| *share);
            let mut last: BTreeMap<usize, u64> = BTreeMap::new();
            while let Some(ticket) = queue.next(Moment::default()) {
                let of = waiters[usize::try_from(ticket.0).unwrap()].0;
                prop_assert!(last.insert(of, ticket.0).is_none_or(|before| before < ticket.0), "in order");
                *left.entry(of).or_default() -= 1;
                *got.entry(of).or_default() += 1;
                for (a, b) in got.keys().flat_map(|a| got.keys().map(move |b| (*a, *b))) {
                    if left[&a] > 0 && left[&b] > 0 {
                        let (sa, sb) = (f64::from(share(a)), f64::from(share(b)));
                        let apart = (f64::from(got[&a]) / sa - f64::from(got[&b]) / sb).abs();
                        prop_assert!(apart <= 1.0 / sa + 1.0 / sb + 1e-4, "{apart} between {a} and {b}");
                    }
                }
            }
            prop_assert!(left.values().all(|left| *left == 0));
        }

        /// `ahead` is what is granted before, if nobody comes later.
        #[test]
        fn ahead_counts_those_before(waiters in waiters(), served in 0..20_usize, (of, share) in (0..5_usize, 1..5_u32)) {
            let mut queue = queue_of(&waiters);
            for _ in 0..served {
                queue.next(Moment::default());
            }
            let share = waiters.iter().find(|(t, _)| *t == of).map_or(share, |(_, share)| *share);
            let ahead = queue.ahead(&team(of), share);
            queue.join(Ticket(u64::MAX), &team(of), share, NEVER);
            prop_assert_eq!(order(&mut queue).iter().position(|ticket| *ticket == u64::MAX), Some(ahead));
        }

        /// Never more than the bound, whatever comes and goes; the count is exact.
        #[test]
        fn it_keeps_its_bound(history in proptest::collection::vec((0..4_usize, 0..3_u8, 0..200_u64), 0..200)) {
            let mut queue = FairQueue::new(20);
            for (ticket, (of, what, which)) in history.iter().enumerate() {
                let ticket = ticket as u64;
                let expires = if which % 3 == 0 { Moment::from_micros(ticket + 10) } else { NEVER };
                match what {
                    0 => { queue.leave(Ticket(*which), &team(*of)); }
                    1 => { queue.next(Moment::from_micros(ticket)); }
                    _ => { queue.join(Ticket(ticket), &team(*of), 1, expires); }
                }
                prop_assert!(queue.len() <= 20);
                prop_assert_eq!(queue.len(), queue.teams.values().map(|line| line.waiters.len()).sum::<usize>());
            }
            let left = queue.len();
            prop_assert_eq!(queue.clear().len(), left);
            prop_assert!(queue.is_empty());
        }
    }
}
