//! The places of one lane: who has one, who waits, and how long.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{FairQueue, Limiter, Signal, Ticket};
use crate::{Moment, TeamId};

/// Who asks: the team, and its share against others'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimant {
    /// Whose call it is.
    pub team: TeamId,
    /// Its weight, at least 1.
    pub share: u32,
}

/// A [`Limiter`] and the [`FairQueue`] in front of it.
///
/// A place is taken by [`Gate::begin`] or granted to a waiter; it is given back exactly once, by
/// [`Gate::end`] or, where it was granted and not used, by [`Gate::leave`].
#[derive(Clone, Debug)]
pub struct Gate {
    limiter: Limiter,
    queue: FairQueue,
    /// Granted to waiters that have not come for it yet. These count as in the air.
    granted: BTreeSet<Ticket>,
    /// How long a served call holds its place, on average.
    service: Option<Duration>,
}

impl Gate {
    /// At most `ceiling` calls at a time, at most `bound` waiters.
    #[must_use]
    pub fn new(ceiling: u32, bound: usize) -> Self {
        Self { limiter: Limiter::new(ceiling), queue: FairQueue::new(bound), granted: BTreeSet::new(), service: None }
    }

    /// The limit and what is in the air.
    #[must_use]
    pub fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// A configuration with other bounds. What was learnt, and who waits, stays.
    pub fn set_bounds(&mut self, ceiling: u32, bound: usize) {
        self.limiter.set_ceiling(ceiling);
        self.queue.set_bound(bound);
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether a call would begin without waiting: nobody is overtaken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.is_empty() && self.limiter.has_room()
    }

    /// How long one that comes now would wait: those before it, at the rate at which places come
    /// free (Little's law). `None` where nothing was served yet.
    #[must_use]
    pub fn predicted_wait(&self, who: &Claimant) -> Option<Duration> {
        if self.has_room() {
            return Some(Duration::ZERO);
        }
        let (limit, in_flight) = (self.limiter.limit(), self.limiter.in_flight());
        let turns = self.queue.ahead(&who.team, who.share) + 1 + in_flight.saturating_sub(limit) as usize;
        #[expect(clippy::cast_precision_loss, reason = "a number of waiters")]
        let turns = turns as f64;
        self.service.map(|service| service.mul_f64(turns / f64::from(limit)))
    }

    /// Takes a place without waiting; `false` where there is none. A probe asks for none: it is the
    /// only call of its lane.
    pub fn begin(&mut self, now: Moment, who: &Claimant, probe: bool) -> bool {
        if !probe && !self.has_room() {
            return false;
        }
        self.queue.granted(&who.team, who.share);
        self.limiter.begin(now);
        true
    }

    /// Waits for a place, until `expires`; `false` where the queue is full for this team.
    pub fn join(&mut self, ticket: Ticket, who: &Claimant, expires: Moment) -> bool {
        self.queue.join(ticket, &who.team, who.share, expires)
    }

    /// Whether it still waits in the line.
    #[must_use]
    pub fn waits(&self, ticket: Ticket, team: &TeamId) -> bool {
        self.queue.contains(ticket, team)
    }

    /// Whether a place was granted that nobody came for yet.
    #[must_use]
    pub fn is_granted(&self, ticket: Ticket) -> bool {
        self.granted.contains(&ticket)
    }

    /// Lets everybody who waits look at the lane again; they go on waiting.
    pub fn rouse(&self, woken: &mut Vec<Ticket>) {
        woken.extend(self.queue.iter());
    }

    /// Whether the place was granted; it is the caller's now.
    pub fn take(&mut self, ticket: Ticket) -> bool {
        self.granted.remove(&ticket)
    }

    /// Waits no longer; a place that was granted in the meantime goes to the next.
    pub fn leave(&mut self, now: Moment, ticket: Ticket, team: &TeamId) {
        if self.granted.remove(&ticket) {
            self.limiter.end(now, now, Signal::Nothing);
        } else {
            self.queue.leave(ticket, team);
        }
    }

    /// A call's first token arrived.
    pub fn first_token(&mut self, now: Moment, started: Moment) {
        self.limiter.first_token(now, started);
    }

    /// A call that began at `started` ends, and its place is free.
    pub fn end(&mut self, now: Moment, started: Moment, signal: Signal) {
        if signal == Signal::Served {
            let held = now - started;
            self.service = Some(self.service.map_or(held, |service| (service * 15 + held) / 16));
        }
        self.limiter.end(now, started, signal);
    }

    /// Grants what is free to those who are next, and adds them to `woken`.
    pub fn grant(&mut self, now: Moment, woken: &mut Vec<Ticket>) {
        while self.limiter.has_room() {
            let Some(ticket) = self.queue.next(now) else { return };
            self.limiter.begin(now);
            self.granted.insert(ticket);
            woken.push(ticket);
        }
    }

    /// Sends everybody who waits away, as the lane does not answer.
    pub fn disperse(&mut self, woken: &mut Vec<Ticket>) {
        woken.extend(self.queue.clear());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn who(team: &str) -> Claimant {
        Claimant { team: TeamId::new(team), share: 1 }
    }

    fn at(ms: u64) -> Moment {
        Moment::from_micros(ms * 1000)
    }

    #[test]
    fn the_wait_is_predicted_from_how_long_places_are_held() {
        let mut gate = Gate::new(2, 100);
        let full = |gate: &mut Gate| while gate.begin(at(0), &who("a"), false) {};
        assert_eq!(gate.predicted_wait(&who("a")), Some(Duration::ZERO));
        full(&mut gate);
        assert_eq!(gate.predicted_wait(&who("a")), None, "nothing was served yet");
        gate.end(at(100), at(0), Signal::Served);
        full(&mut gate);
        for waiting in 0..4 {
            let predicted = Duration::from_millis(50 * (waiting + 1));
            assert_eq!(gate.predicted_wait(&who("a")), Some(predicted), "{waiting} wait");
            assert!(gate.join(Ticket(waiting), &who("a"), at(9999)));
        }
        let other = gate.predicted_wait(&who("b"));
        assert!(other < Some(Duration::from_millis(150)), "another team takes turns with them: {other:?}");
    }

    #[derive(Clone, Debug)]
    enum Happens {
        Ask(usize, bool),
        Take(usize),
        Leave(usize),
        End(usize, Signal),
        Disperse,
        Pass(u64),
    }

    fn happens() -> impl Strategy<Value = Happens> {
        let signal = proptest::sample::select(vec![Signal::Served, Signal::Served, Signal::Refused, Signal::Nothing]);
        prop_oneof![
            8 => (0..3_usize, proptest::bool::weighted(0.02)).prop_map(|(team, probe)| Happens::Ask(team, probe)),
            4 => (0..20_usize).prop_map(Happens::Take),
            2 => (0..20_usize).prop_map(Happens::Leave),
            6 => (0..20_usize, signal).prop_map(|(nth, signal)| Happens::End(nth, signal)),
            1 => Just(Happens::Disperse),
            4 => (1..3000_u64).prop_map(Happens::Pass),
        ]
    }

    /// What the callers of a gate know.
    #[derive(Default)]
    struct Callers {
        air: Vec<Moment>,
        waiting: Vec<(Ticket, usize)>,
        /// Granted or dispersed, and not yet come.
        woken: BTreeSet<Ticket>,
        asked: u64,
    }

    fn one(gate: &mut Gate, callers: &mut Callers, now: Moment, happens: Happens) {
        let team = |n: usize| TeamId::new(["a", "b", "c"][n]);
        let mut woken = Vec::new();
        match happens {
            Happens::Ask(of, probe) => {
                let who = Claimant { team: team(of), share: 1 };
                callers.asked += 1;
                if gate.begin(now, &who, probe) {
                    callers.air.push(now);
                } else if gate.join(Ticket(callers.asked), &who, now + Duration::from_secs(4)) {
                    callers.waiting.push((Ticket(callers.asked), of));
                }
            }
            Happens::Take(nth) if nth < callers.waiting.len() => {
                let (ticket, _) = callers.waiting[nth];
                if gate.take(ticket) {
                    callers.waiting.remove(nth);
                    callers.air.push(now);
                }
            }
            Happens::Leave(nth) if nth < callers.waiting.len() => {
                let (ticket, of) = callers.waiting.remove(nth);
                gate.leave(now, ticket, &team(of));
            }
            Happens::End(nth, signal) if nth < callers.air.len() => {
                let started = callers.air.remove(nth);
                gate.end(now, started, signal);
            }
            Happens::Disperse => gate.disperse(&mut woken),
            _ => return,
        }
        gate.grant(now, &mut woken);
        callers.woken.extend(woken);
    }

    proptest! {
        #![proptest_config(crate::test_config(500))]

        /// At every step the places in use are the calls in the air and those granted to waiters
        /// that have not come yet; none is lost, and none is kept while somebody waits.
        #[test]
        fn no_place_is_lost(history in proptest::collection::vec(happens(), 0..200)) {
            let (mut gate, mut callers, mut now) = (Gate::new(6, 12), Callers::default(), at(0));
            for happens in history {
                if let Happens::Pass(ms) = happens {
                    now = now + Duration::from_millis(ms);
                } else {
                    one(&mut gate, &mut callers, now, happens);
                    prop_assert!(gate.queue.is_empty() || !gate.limiter.has_room(), "somebody waits beside a free place");
                }
                let known: BTreeSet<Ticket> = callers.waiting.iter().map(|(ticket, _)| *ticket).collect();
                prop_assert!(gate.granted.is_subset(&known) && gate.granted.is_subset(&callers.woken));
                prop_assert_eq!(gate.limiter.in_flight() as usize, callers.air.len() + gate.granted.len());
            }
            for (ticket, of) in std::mem::take(&mut callers.waiting) {
                gate.leave(now, ticket, &TeamId::new(["a", "b", "c"][of]));
            }
            callers.air.iter().for_each(|started| gate.end(now, *started, Signal::Served));
            prop_assert_eq!((gate.limiter.in_flight(), gate.waiting()), (0, 0));
        }
    }
}
