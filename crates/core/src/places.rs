//! The places of lanes, as an execution asks for them: whether there is room, how long one would
//! wait, and the wait itself.

use std::time::Duration;

use crate::{Admission, BreakerState, Claimant, LaneId, Lanes, Moment, TeamId, Ticket};

impl Lanes {
    /// So many calls at a time and so many waiters, from now on. What was learnt, and who waits, stays.
    pub fn set_bounds(&mut self, lane: LaneId, now: Moment, (ceiling, queue_max): (u32, usize)) {
        self.lane(lane).gate.set_bounds(ceiling, queue_max);
        self.grant(lane, now);
    }

    /// Whether a call would begin without waiting for a place.
    #[must_use]
    pub fn has_room(&self, lane: LaneId) -> bool {
        self.get(lane).gate.has_room()
    }

    /// Until when the lane takes no calls because it asked for that, and is well otherwise.
    #[must_use]
    pub fn held(&self, lane: LaneId, now: Moment) -> Option<Moment> {
        self.get(lane).breaker.held(now)
    }

    /// How long one that comes now would wait; nothing where nothing is known.
    #[must_use]
    pub fn predicted_wait(&self, lane: LaneId, now: Moment, who: &Claimant) -> Duration {
        let held = self.held(lane, now).map_or(Duration::ZERO, |until| until - now);
        held + self.get(lane).gate.predicted_wait(who).unwrap_or_default()
    }

    /// Waits for a place until `expires`; `None` where the queue is full for this team. What is joined
    /// is left by [`Lanes::take`] or by [`Lanes::leave`].
    pub fn join(&mut self, lane: LaneId, now: Moment, who: &Claimant, expires: Moment) -> Option<Ticket> {
        let ticket = Ticket(self.tickets);
        if !self.lane(lane).gate.join(ticket, who, expires) {
            return None;
        }
        self.tickets += 1;
        self.grant(lane, now);
        Some(ticket)
    }

    /// Whether the place was granted; it is the caller's now.
    pub fn take(&mut self, lane: LaneId, ticket: Ticket) -> bool {
        self.lane(lane).gate.take(ticket)
    }

    /// Whether its turn may still come, or came.
    #[must_use]
    pub fn waits(&self, lane: LaneId, ticket: Ticket, team: &TeamId) -> bool {
        let gate = &self.get(lane).gate;
        gate.is_granted(ticket) || gate.waits(ticket, team)
    }

    /// Waits no longer; a place that was granted goes to the next.
    pub fn leave(&mut self, lane: LaneId, now: Moment, ticket: Ticket, team: &TeamId) {
        self.lane(lane).gate.leave(now, ticket, team);
        self.grant(lane, now);
    }

    /// Gives free places to those who are next, where the lane takes calls.
    pub fn grant(&mut self, lane: LaneId, now: Moment) {
        let id = lane;
        let mut woken = std::mem::take(&mut self.woken);
        let lane = self.lane(id);
        if lane.breaker.state() == BreakerState::Closed && lane.breaker.held(now).is_none() {
            lane.gate.grant(now, &mut woken);
        }
        self.woken = woken;
    }

    /// The lanes of one model in the order to ask: who takes calls and has room first, then who is
    /// least busy for what it holds; where they are alike, who `seed` says.
    #[must_use]
    pub fn spread(&self, pool: &[LaneId], now: Moment, seed: u64) -> Vec<usize> {
        let first = usize::try_from(seed % pool.len().max(1) as u64).unwrap_or_default();
        let rank = |place: usize| {
            let (lane, gate) = (pool[place], &self.get(pool[place]).gate);
            let busy = u64::from(gate.limiter().in_flight()) + gate.waiting() as u64;
            let filled = busy * 1000 / u64::from(gate.limiter().limit());
            let turn = (place + pool.len() - first) % pool.len();
            (self.peek(lane, now) != Admission::Allowed, !gate.has_room(), filled, turn)
        };
        let mut order: Vec<usize> = (0..pool.len()).collect();
        order.sort_by_key(|place| rank(*place));
        order
    }

    /// Who should look again; to be told by whoever changed something.
    pub fn take_woken(&mut self) -> Vec<Ticket> {
        std::mem::take(&mut self.woken)
    }

    /// An attempt ended: who waits is granted what is free, is sent away where the lane went down, or
    /// learns that the lane asked for a pause.
    pub(crate) fn after(&mut self, id: LaneId, now: Moment, was_held: bool) {
        let mut woken = std::mem::take(&mut self.woken);
        let lane = self.lane(id);
        if lane.breaker.state() != BreakerState::Closed {
            lane.gate.disperse(&mut woken);
        } else if lane.breaker.held(now).is_some() && !was_held {
            lane.gate.rouse(&mut woken);
        }
        self.woken = woken;
        self.grant(id, now);
    }
}
