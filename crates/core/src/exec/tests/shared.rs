//! Many executions on the same lanes: whatever they and the models do, places are given back, nobody
//! waits past its deadline or beside a free place, and queues keep their bounds.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::{
    BreakerState, Candidate, Claimant, Commit, Decision, Disposition, Event, Exec, LaneId, Lanes, ModelId, Moment,
    Observation, Policy, StreamLimits, TeamId, Unproven, Verdict,
};

const LANES: usize = 3;
const QUEUE_MAX: usize = 5;
const START: Moment = Moment::from_micros(100_000_000);

/// What streams run into, as into anything else.
const LIMITS: StreamLimits = StreamLimits {
    first_token: Duration::from_millis(200),
    idle: Duration::from_millis(150),
    total: Duration::from_secs(60),
    bytes_per_second_min: 10,
    grace: Duration::from_millis(300),
};

/// One execution of a world.
#[derive(Clone, Debug)]
struct Call {
    begins_ms: u64,
    deadline_ms: u64,
    team: usize,
    order: Vec<usize>,
    stream: bool,
    /// Its last reader leaves then, or (`true`) its driver has a fault.
    ends: Option<(u64, bool)>,
    /// What its attempts do, in turn: after so many ms, an answer or a failure.
    script: Vec<(u64, Option<Disposition>)>,
}

struct Running {
    exec: Exec,
    call: Call,
    wakes: Moment,
    ticket: Option<crate::Ticket>,
    events: Vec<(Moment, Event)>,
    made: usize,
    done: bool,
}

fn disposition() -> impl Strategy<Value = Option<Disposition>> {
    let limited = proptest::option::of(100..1500_u64)
        .prop_map(|after| Some(Disposition::RateLimited { retry_after: after.map(Duration::from_millis) }));
    prop_oneof![
        6 => Just(None),
        1 => proptest::sample::select(vec![Disposition::Transient, Disposition::HardDown, Disposition::BadAnswer,
            Disposition::CallersFault, Disposition::TooLong, Disposition::Cancelled]).prop_map(Some),
        1 => limited,
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let order = proptest::sample::subsequence((0..LANES).collect::<Vec<_>>(), 1..=LANES).prop_shuffle();
    let script = proptest::collection::vec((1..2500_u64, disposition()), 1..5);
    let ends = proptest::option::weighted(0.2, (0..3000_u64, any::<bool>()));
    (0..4000_u64, 50..4000_u64, 0..3_usize, order, any::<bool>(), ends, script).prop_map(
        |(begins_ms, deadline_ms, team, order, stream, ends, script)| Call {
            begins_ms,
            deadline_ms,
            team,
            order,
            stream,
            ends,
            script,
        },
    )
}

fn ms(ms: u64) -> Moment {
    START + Duration::from_millis(ms)
}

impl Running {
    fn new(call: &Call, seed: u64) -> Self {
        let policy = Policy {
            started: ms(call.begins_ms),
            deadline: ms(call.begins_ms + call.deadline_ms),
            stream_end: ms(call.begins_ms + call.deadline_ms + 2000),
            retries: 2,
            commit: if call.stream { Commit::After { chunks: 1, bytes: 1 } } else { Commit::AtVerdict },
            unproven: Unproven::Pass,
            stream: call.stream.then_some(LIMITS),
            hedge_share: 0.5,
            who: Claimant { team: TeamId::new(&format!("team-{}", call.team)), share: 1 + call.team as u32 },
        };
        let candidate = |lane: &usize| Candidate {
            model: ModelId::new(&format!("model/{lane}")),
            lane: LaneId(u32::try_from(*lane).unwrap()),
            key: None,
            timeout: Duration::from_secs(3),
            price: None,
        };
        let candidates: Arc<[Candidate]> = call.order.iter().map(candidate).collect();
        let exec = Exec::new(policy, candidates, seed);
        let wakes = ms(call.begins_ms);
        Self { exec, call: call.clone(), wakes, ticket: None, events: Vec::new(), made: 0, done: false }
    }

    /// Its next event, and when.
    fn due(&self) -> Moment {
        let next = self.events.iter().map(|(at, _)| *at).min();
        if self.done { Moment::from_micros(u64::MAX) } else { next.map_or(self.wakes, |at| at.min(self.wakes)) }
    }
}

/// The driver of all of them.
struct World {
    lanes: Lanes,
    calls: Vec<Running>,
    /// Attempts that go on alone: until when, since when.
    alone: Vec<(Moment, LaneId, Moment)>,
    now: Moment,
}

impl World {
    fn new(calls: &[Call], ceilings: &[u32]) -> Self {
        let mut lanes = Lanes::new(LANES);
        for (lane, ceiling) in ceilings.iter().enumerate() {
            lanes.set_bounds(LaneId(u32::try_from(lane).unwrap()), START, (*ceiling, QUEUE_MAX));
        }
        let calls = calls.iter().enumerate().map(|(n, call)| Running::new(call, n as u64)).collect();
        Self { lanes, calls, alone: Vec::new(), now: START }
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..20_000 {
            self.wake();
            let next = self.calls.iter().enumerate().map(|(n, call)| (call.due(), n)).min();
            let alone = self.alone.iter().enumerate().map(|(n, (until, ..))| (*until, n)).min();
            match (next, alone) {
                (next, Some((at, n))) if next.is_none_or(|(due, _)| at <= due) => {
                    let (_, lane, began) = self.alone.remove(n);
                    self.now = self.now.max(at);
                    self.lanes.observe(lane, self.now, &seen(self.now - began));
                }
                (Some((at, n)), _) if at < Moment::from_micros(u64::MAX) => self.turn(at, n)?,
                _ => return self.over(),
            }
        }
        Err("it never ends".into())
    }

    /// Who is woken looks again at once.
    fn wake(&mut self) {
        for ticket in self.lanes.take_woken() {
            let woken = self.calls.iter_mut().find(|call| call.ticket == Some(ticket) && !call.done);
            woken.into_iter().for_each(|call| call.wakes = Moment::default());
        }
    }

    /// One execution does what is due.
    fn turn(&mut self, at: Moment, n: usize) -> Result<(), String> {
        let now = at.max(self.now);
        self.now = now;
        let call = &mut self.calls[n];
        if let Some((ends, true)) = call.call.ends
            && now >= ms(call.call.begins_ms + ends)
        {
            call.done = true;
            call.exec.give_back(now, &mut self.lanes);
            return self.holds(now);
        }
        let place = call.events.iter().position(|(at, _)| *at <= now);
        let mut event = place.map_or(Event::Woke, |place| call.events.remove(place).1);
        if let Some((ends, false)) = call.call.ends
            && now >= ms(call.call.begins_ms + ends)
        {
            event = Event::Abandoned;
        }
        loop {
            let decision = call.exec.step(now, event, &mut self.lanes);
            event = Event::Woke;
            match decision {
                Decision::Start(attempt) => {
                    let (takes, failed) = call.call.script[call.made % call.call.script.len()];
                    call.made += 1;
                    let (attempt, after) = (attempt.number, |ms| now + Duration::from_millis(ms));
                    if call.call.stream && failed.is_none() {
                        call.events.push((after(takes / 2), Event::Progress { attempt, chunks: 1, bytes: 9, read: 9 }));
                    }
                    let verdict = Verdict::Pass;
                    let end = failed.map_or(Event::Answered { attempt, verdict }, |disposition| Event::Failed {
                        attempt,
                        disposition,
                    });
                    call.events.push((after(takes), end));
                    call.events.sort_by_key(|(at, _)| *at);
                }
                Decision::Queue { ticket, .. } => call.ticket = Some(ticket),
                Decision::Detach { candidate, began, until, .. } => {
                    let lane = LaneId(u32::try_from(call.call.order[candidate]).unwrap());
                    self.alone.push((until, lane, began));
                }
                Decision::Wait(until) => {
                    let limit = ms(call.call.begins_ms + call.call.deadline_ms + 2000);
                    if until <= now || until > limit {
                        return Err(format!("waits until {until:?} at {now:?}"));
                    }
                    call.wakes = until;
                    break;
                }
                Decision::Done(_) => {
                    call.done = true;
                    break;
                }
                Decision::Skip { .. } | Decision::Cancel { .. } | Decision::Commit(_) => {}
            }
        }
        let late = now > ms(call.call.begins_ms + call.call.deadline_ms) && !call.call.stream;
        if late { Err(format!("it goes on at {now:?}")) } else { self.holds(now) }
    }

    fn holds(&self, now: Moment) -> Result<(), String> {
        for n in 0..LANES {
            let lane = LaneId(u32::try_from(n).unwrap());
            let gate = self.lanes.get(lane).gate();
            if gate.waiting() > QUEUE_MAX {
                return Err(format!("{} wait", gate.waiting()));
            }
            let open = self.lanes.breaker(lane) == BreakerState::Closed && self.lanes.held(lane, now).is_none();
            let free = gate.limiter().has_room() && gate.waiting() > 0;
            // A pause that ends just now is noticed by those who wait, this instant.
            let wakes = self.calls.iter().any(|call| !call.done && call.due() <= now);
            if open && free && !wakes {
                return Err(format!("{} wait beside a free place at {now:?}", gate.waiting()));
            }
        }
        Ok(())
    }

    /// After the end nothing is in use, and nobody waits.
    fn over(&self) -> Result<(), String> {
        for n in 0..LANES {
            let gate = self.lanes.get(LaneId(u32::try_from(n).unwrap())).gate();
            let left = (gate.limiter().in_flight(), gate.waiting());
            if left != (0, 0) {
                return Err(format!("lane {n} keeps {left:?}"));
            }
        }
        let open = self.calls.iter().filter(|call| !call.done).count();
        if open == 0 { Ok(()) } else { Err(format!("{open} never ended")) }
    }
}

fn seen(elapsed: Duration) -> Observation {
    let failed = Some(Disposition::Slow);
    Observation { failed, elapsed, budget: elapsed, stream: false, first_token: None, breach: None }
}

proptest! {
    #![proptest_config(crate::test_config(400))]

    #[test]
    fn places_come_back_and_nobody_waits_for_nothing(
        calls in proptest::collection::vec(call(), 1..40),
        ceilings in proptest::collection::vec(1..4_u32, LANES),
    ) {
        prop_assert_eq!(World::new(&calls, &ceilings).run(), Ok(()));
    }
}
