//! Many executions on the same lanes, in random worlds: [`Watch`] must have nothing to say of any
//! decision, and after each of them the places in use are those of calls that somebody knows.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::watch::{Ledger, Watch};
use crate::{
    Admission, BreakerState, Candidate, Claimant, Commit, Decision, Disposition, Event, Exec, LaneId, Lanes, ModelId,
    Moment, Observation, Policy, SharedCall, StreamLimits, TeamId, Unproven, Verdict,
};

const LANES: u32 = 4;
const START: Moment = Moment::from_micros(100_000_000);
const NEVER: Moment = Moment::from_micros(u64::MAX);

/// What an attempt does at some time after its start.
#[derive(Clone, Copy, Debug)]
enum Act {
    Progress(u32, u64),
    Answer(Verdict),
    /// It is held, whether it is verified, and who is to be asked.
    Hold(bool, Option<usize>),
    Fail(Disposition),
}

impl Act {
    fn of(self, attempt: usize) -> Event {
        match self {
            Act::Progress(chunks, bytes) => Event::Progress { attempt, chunks, bytes, read: bytes },
            Act::Answer(verdict) => Event::Answered { attempt, verdict },
            Act::Hold(verified, ask) => Event::Held { attempt, give: attempt, verified, ask },
            Act::Fail(disposition) => Event::Failed { attempt, disposition },
        }
    }

    /// Where answers are judged, or nothing is given unproven, none is held.
    fn under(self, unproven: Unproven) -> Self {
        match self {
            Act::Hold(verified, _) if unproven != Unproven::Pass => {
                Act::Answer(if verified { Verdict::Pass } else { Verdict::Undecided })
            }
            act => act,
        }
    }
}

/// How an execution ends that does not end by itself.
#[derive(Clone, Copy, Debug)]
enum Leaves {
    /// Its last reader goes, then.
    Reader(Duration),
    /// Its driver has a fault, after so many decisions.
    Driver(usize),
}

/// How an attempt ends that goes on alone: how long after that, as what, and whether with its first token.
#[derive(Clone, Copy, Debug)]
struct Lone {
    after: Duration,
    failed: Option<Disposition>,
    token: bool,
}

/// Other bounds of a lane, from some time after the start on: places, and how many may wait.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    after: Duration,
    lane: LaneId,
    ceiling: u32,
    queue_max: usize,
}

/// One execution of a world.
#[derive(Clone, Debug)]
struct Call {
    policy: Policy,
    candidates: Arc<[Candidate]>,
    /// What the n-th attempt does; from the first again where there are more attempts.
    scripts: Vec<Vec<(Duration, Act)>>,
    /// When the n-th attempt begins to share which call with others, or goes alone again: likewise.
    shares: Vec<Vec<(Duration, Option<SharedCall>)>>,
    /// What comes at a time after the start, whoever runs: duplicates, foreign attempts, plain wakes.
    noise: Vec<(Duration, Event)>,
    /// What the judge says of the n-th attempt's answer, and after how long: likewise.
    verdicts: Vec<Option<(Duration, Verdict)>>,
    leaves: Option<Leaves>,
    /// How the n-th attempt ends that goes on alone, if it does before its time is up: likewise.
    alone: Vec<Option<Lone>>,
    /// By how much its driver is late, in turn; and how long a commit takes to be performed.
    late: Vec<Duration>,
    commit_takes: Duration,
}

/// So many calls that ended alike before the start: how long before, how, after how long.
#[derive(Clone, Copy, Debug)]
struct History {
    lane: LaneId,
    calls: usize,
    ago: Duration,
    failed: Option<Disposition>,
    elapsed: Duration,
}

fn micros(max_ms: u64) -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => Just(Duration::ZERO),
        4 => (0..=max_ms * 1000).prop_map(Duration::from_micros),
        4 => (0..=max_ms.min(300)).prop_map(Duration::from_millis),
    ]
}

fn disposition() -> impl Strategy<Value = Disposition> {
    use Disposition::{
        Abstained, BadAnswer, CallersFault, Cancelled, HardDown, Limited, OverBudget, RateLimited, Slow, TooLong,
        Transient,
    };
    prop_oneof![
        1 => Just(Slow),
        4 => proptest::sample::select(vec![HardDown, TooLong, BadAnswer, Abstained, OverBudget, Limited]),
        2 => proptest::sample::select(vec![CallersFault, CallersFault, Cancelled]),
        6 => Just(Transient),
        3 => proptest::option::of(micros(1500)).prop_map(|retry_after| RateLimited { retry_after }),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    proptest::sample::select(vec![Verdict::Pass, Verdict::Pass, Verdict::Fail, Verdict::Undecided])
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = verdict();
    prop_oneof![
        3 => (0..6_u32, 0..600_u64).prop_map(|(chunks, bytes)| Act::Progress(chunks, bytes)),
        3 => verdict.prop_map(Act::Answer),
        2 => (any::<bool>(), proptest::option::weighted(0.8, 0..LANES as usize)).prop_map(|(v, ask)| Act::Hold(v, ask)),
        2 => disposition().prop_map(Act::Fail),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        1 => Just(Event::Woke),
        4 => (0..6_usize, act()).prop_map(|(attempt, act)| act.of(attempt)),
        1 => (0..6_usize, verdict()).prop_map(|(attempt, verdict)| Event::Judged { attempt, verdict }),
    ]
}

/// What streams run into, as into anything else.
fn limits() -> impl Strategy<Value = StreamLimits> {
    let usual = (Just(400), Just(300), Just(10), Just(600));
    let any = (1..900_u64, 1..900_u64, 0..40_u32, 1..1500_u64);
    let all = prop_oneof![usual.boxed(), any.boxed()];
    all.prop_map(|(first_token, idle, bytes_per_second_min, grace)| StreamLimits {
        first_token: Duration::from_millis(first_token),
        idle: Duration::from_millis(idle),
        total: Duration::from_secs(60),
        bytes_per_second_min,
        grace: Duration::from_millis(grace),
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let commit = prop_oneof![
        1 => Just(Commit::AtVerdict),
        1 => (1..5_u32, 1..500_u64).prop_map(|(chunks, bytes)| Commit::After { chunks, bytes }),
    ];
    let judge = (0..LANES).prop_map(|lane| (Unproven::Judge, Some(LaneId(lane))));
    let unproven = prop_oneof![Just((Unproven::Pass, None)), Just((Unproven::Fail, None)), judge];
    let hedges = proptest::sample::select(vec![0.0, 0.2, 1.0, 1.0]);
    let times = (micros(3000), micros(4000), micros(3000));
    (times, 0..4_u32, (commit, any::<bool>(), limits()), unproven, hedges, 0..3_u32).prop_map(
        |((begins, time, more), retries, (commit, streams, paced), (unproven, judge), hedge_share, team)| {
            let started = START + begins;
            let limits = streams || commit != Commit::AtVerdict;
            Policy {
                started,
                deadline: started + time,
                stream_end: started + time + more,
                retries,
                commit,
                unproven,
                judge,
                stream: limits.then_some(paced),
                hedge_share,
                who: Claimant { team: TeamId::new(&format!("team-{team}")), share: 1 + team },
            }
        },
    )
}

/// The first lanes are keys of one model.
fn candidates() -> impl Strategy<Value = Arc<[Candidate]>> {
    let candidate = |lane: u32, keys: u32| {
        (1..3000_u64).prop_map(move |timeout| Candidate {
            model: ModelId::new(&format!("model/{}", (lane + 1).max(keys))),
            lane: LaneId(lane),
            key: (lane < keys).then_some(lane + 1),
            timeout: Duration::from_millis(timeout),
            price: None,
        })
    };
    let lanes = proptest::sample::subsequence((0..LANES).collect::<Vec<_>>(), 0..=LANES as usize).prop_shuffle();
    let keys = prop_oneof![3 => Just(2), 1 => 0..=LANES];
    let all = (lanes, keys);
    all.prop_flat_map(move |(lanes, keys)| lanes.into_iter().map(|lane| candidate(lane, keys)).collect::<Vec<_>>())
        .prop_map(Arc::from)
}

fn call() -> impl Strategy<Value = Call> {
    let script = proptest::collection::vec((micros(2500), act()), 0..4);
    let late = prop_oneof![3 => Just(Duration::ZERO), 1 => micros(50)];
    let leaves = prop_oneof![micros(3000).prop_map(Leaves::Reader), (0..10_usize).prop_map(Leaves::Driver)];
    let ends = prop_oneof![Just(None), disposition().prop_map(Some)];
    let lone = (micros(2500), ends, any::<bool>()).prop_map(|(after, failed, token)| Lone { after, failed, token });
    // Few calls, so that many share them.
    let share = (micros(1500), proptest::option::weighted(0.8, (0..3_u64).prop_map(SharedCall)));
    let shares = proptest::collection::vec(proptest::collection::vec(share, 0..3), 1..4);
    let runs = (
        (proptest::collection::vec(script, 1..5), shares),
        proptest::collection::vec((micros(4000), event()), 0..3),
        proptest::collection::vec(proptest::option::weighted(0.8, (micros(1500), verdict())), 1..4),
        proptest::option::weighted(0.25, leaves),
        proptest::collection::vec(proptest::option::of(lone), 1..3),
        proptest::collection::vec(late, 1..4),
        prop_oneof![2 => Just(Duration::ZERO), 1 => micros(800)],
    );
    (policy(), candidates(), runs).prop_map(|(policy, candidates, runs)| {
        let ((mut scripts, shares), noise, verdicts, leaves, alone, late, commit_takes) = runs;
        let acts = scripts.iter_mut().flatten();
        acts.for_each(|(_, act): &mut (Duration, Act)| *act = act.under(policy.unproven));
        let noise: Vec<(Duration, Event)> = noise
            .into_iter()
            .filter(|(_, event)| policy.unproven == Unproven::Pass || !matches!(event, Event::Held { .. }))
            .collect();
        Call { policy, candidates, scripts, shares, noise, verdicts, leaves, alone, late, commit_takes }
    })
}

fn histories() -> impl Strategy<Value = Vec<History>> {
    let ends = prop_oneof![3 => Just(None), 2 => disposition().prop_map(Some)];
    let history = (0..LANES, 1..12_usize, micros(9000), ends, micros(900))
        .prop_map(|(lane, calls, ago, failed, elapsed)| History { lane: LaneId(lane), calls, ago, failed, elapsed });
    // Some are down, and due for a probe.
    let down = (0..LANES, 5000..9000_u64).prop_map(|(lane, ago)| History {
        lane: LaneId(lane),
        calls: 8,
        ago: Duration::from_millis(ago),
        failed: Some(Disposition::Transient),
        elapsed: Duration::ZERO,
    });
    // Of some it is known how fast they are: a call that takes longer is hedged.
    let known = (0..LANES, micros(100)).prop_map(|(lane, elapsed)| History {
        lane: LaneId(lane),
        calls: 8,
        ago: elapsed,
        failed: None,
        elapsed,
    });
    proptest::collection::vec(prop_oneof![2 => history, 1 => down, 2 => known], 0..8)
}

/// Places and waiters of each lane at first, and what becomes of them.
fn bounds() -> impl Strategy<Value = (Vec<(u32, usize)>, Vec<Bounds>)> {
    let change = (micros(3000), 0..LANES, 1..4_u32, 0..6_usize).prop_map(|(after, lane, ceiling, queue_max)| Bounds {
        after,
        lane: LaneId(lane),
        ceiling,
        queue_max,
    });
    let first = proptest::collection::vec((1..4_u32, 0..6_usize), LANES as usize);
    (first, proptest::collection::vec(change, 0..3))
}

/// An execution and who watches it.
struct Driven {
    call: Call,
    exec: Exec,
    watch: Watch,
    /// When it looks by itself, and not before when.
    wakes: Moment,
    blocked: Moment,
    events: Vec<(Moment, Event)>,
    /// Who is to share which call then.
    shares: Vec<(Moment, usize, Option<SharedCall>)>,
    decisions: usize,
    over: bool,
}

impl Driven {
    fn new(call: &Call, seed: u64) -> Self {
        let started = call.policy.started;
        let leaves = match call.leaves {
            Some(Leaves::Reader(after)) => Some((started + after, Event::Abandoned)),
            _ => None,
        };
        Self {
            exec: Exec::new(call.policy.clone(), call.candidates.clone(), seed),
            watch: Watch::new(&call.policy, &call.candidates),
            wakes: started,
            blocked: started,
            events: call.noise.iter().map(|(at, event)| (started + *at, *event)).chain(leaves).collect(),
            shares: Vec::new(),
            decisions: 0,
            over: false,
            call: call.clone(),
        }
    }

    fn next(&self) -> Option<(Moment, usize)> {
        self.events.iter().enumerate().map(|(n, (at, _))| (*at, n)).min()
    }

    /// What its attempts share by now.
    fn share(&mut self, now: Moment) {
        let due = |share: &mut (Moment, usize, Option<SharedCall>)| share.0 <= now;
        let mut shares: Vec<_> = self.shares.extract_if(.., due).collect();
        shares.sort_by_key(|(at, ..)| *at);
        for (_, attempt, call) in shares {
            self.watch.shares(attempt, call);
            self.exec.shares(attempt, call);
        }
    }

    /// When it does something next.
    fn due(&self) -> Moment {
        let next = self.next().map_or(self.wakes, |(at, _)| at.min(self.wakes));
        let late = self.call.late[self.decisions % self.call.late.len()];
        if self.over { NEVER } else { (next + late).max(self.blocked) }
    }
}

/// The driver of all of them.
struct World {
    lanes: Ledger,
    /// Calls and waiters that each lane may have; and for as long as there are more than that, how many
    /// there were when its bounds were lowered.
    may: Vec<(usize, usize)>,
    most: Vec<(usize, usize)>,
    bounds: Vec<Bounds>,
    calls: Vec<Driven>,
    /// Attempts that go on alone: until when, where, since when, how they end.
    alone: Vec<(Moment, LaneId, Moment, Lone)>,
    now: Moment,
    log: Vec<(usize, Moment, Event, Decision)>,
}

impl World {
    fn new(calls: &[Call], (first, changes): AllBounds<'_>, histories: &[History]) -> Self {
        let mut lanes = Lanes::new(LANES as usize);
        let mut histories = histories.to_vec();
        histories.sort_by_key(|history| std::cmp::Reverse(history.ago));
        for history in &histories {
            let (at, who) = (START - history.ago, Claimant { team: TeamId::new("before"), share: 1 });
            for _ in 0..history.calls {
                if matches!(lanes.admit(history.lane, at, &who, false), Admission::Refused { .. }) {
                    continue;
                }
                // It paid for hedges, and may have been retried: others have more of these, fewer of those.
                lanes.called(history.lane, 0.2);
                let _ = history.failed.is_some() && lanes.take_retry(history.lane, at);
                let elapsed = history.elapsed.min(history.ago);
                lanes.observe(history.lane, at + elapsed, &seen(history.failed, elapsed));
            }
        }
        let shadow = lanes.clone();
        for (lane, bounds) in (0..LANES).zip(first) {
            lanes.set_bounds(LaneId(lane), START, *bounds);
        }
        let calls = calls.iter().enumerate().map(|(n, call)| Driven::new(call, n as u64)).collect();
        let lanes = Ledger { real: lanes, shadow };
        let may: Vec<_> = first.iter().map(|(ceiling, queue_max)| (*ceiling as usize, *queue_max)).collect();
        let bounds = changes.to_vec();
        Self { lanes, most: may.clone(), may, bounds, calls, alone: Vec::new(), now: START, log: Vec::new() }
    }

    fn run(&mut self) -> Result<(), String> {
        for _ in 0..20_000 {
            self.wake();
            let next = self.calls.iter().enumerate().map(|(n, call)| (call.due(), n)).min();
            let alone = self.alone.iter().enumerate().map(|(n, (until, ..))| (*until, n)).min();
            let bounds = self.bounds.iter().enumerate().map(|(n, bounds)| (START + bounds.after, n)).min();
            match (next, alone) {
                (Some((due, _)), _) if bounds.is_some_and(|(at, _)| at <= due && due < NEVER) => {
                    let (at, n) = bounds.unwrap();
                    self.now = self.now.max(at);
                    let bounds = self.bounds.remove(n);
                    self.change(bounds);
                }
                (next, Some((at, n))) if next.is_none_or(|(due, _)| at <= due) => {
                    self.now = self.now.max(at);
                    let lone = self.alone.remove(n);
                    self.lone(lone);
                }
                (Some((at, n)), _) if at < NEVER => {
                    self.now = self.now.max(at);
                    self.turn(n).map_err(|broken| format!("call {n} at {:?}: {broken}", self.now))?;
                }
                _ => return self.over(),
            }
            self.holds()?;
        }
        Err("it never ends".into())
    }

    fn change(&mut self, Bounds { lane, ceiling, queue_max, .. }: Bounds) {
        self.lanes.real.set_bounds(lane, self.now, (ceiling, queue_max));
        let gate = self.lanes.real.get(lane).gate();
        self.most[lane.0 as usize] = (gate.limiter().in_flight() as usize, gate.waiting());
        self.may[lane.0 as usize] = (ceiling as usize, queue_max);
    }

    /// An attempt ended that went on alone.
    fn lone(&mut self, (_, lane, began, Lone { failed, token, .. }): (Moment, LaneId, Moment, Lone)) {
        let elapsed = self.now - began;
        if token {
            self.lanes.real.progress(lane, self.now, began);
            self.lanes.shadow.progress(lane, self.now, began);
        }
        self.lanes.observe(lane, self.now, &seen(failed, elapsed));
    }

    /// Who is woken looks again at once.
    fn wake(&mut self) {
        for ticket in self.lanes.real.take_woken() {
            let woken = self.calls.iter_mut().filter(|call| !call.over);
            let woken = woken.filter(|call| call.watch.queued.is_some_and(|(_, own)| own == ticket));
            woken.for_each(|call| call.wakes = Moment::default());
        }
    }

    /// One execution does what is due.
    fn turn(&mut self, n: usize) -> Result<(), String> {
        let now = self.now;
        let call = &mut self.calls[n];
        let next = call.next().filter(|(at, _)| *at <= now);
        let mut event = next.map_or(Event::Woke, |(_, next)| call.events.remove(next).1);
        // Each event, retry and candidate costs a bounded number of decisions, or it is a busy loop.
        for _ in 0..60 {
            if matches!(call.call.leaves, Some(Leaves::Driver(after)) if call.decisions >= after) {
                call.watch.broke(now, &call.exec, &mut self.lanes);
                call.exec.give_back(now, &mut self.lanes.real);
                return self.after(n);
            }
            call.decisions += 1;
            call.share(now);
            call.watch.event(now, event, &call.exec, &mut self.lanes);
            let decision = call.exec.step(now, event, &mut self.lanes.real);
            self.log.push((n, now, event, decision.clone()));
            call.watch.decision(now, &decision, &call.exec, &mut self.lanes)?;
            event = Event::Woke;
            match decision {
                Decision::Start(attempt) => {
                    let script = &call.call.scripts[attempt.number % call.call.scripts.len()];
                    call.events.extend(script.iter().map(|(at, act)| (now + *at, act.of(attempt.number))));
                    let shares = &call.call.shares[attempt.number % call.call.shares.len()];
                    call.shares.extend(shares.iter().map(|(at, of)| (now + *at, attempt.number, *of)));
                }
                Decision::Detach { attempt, candidate, began, until, .. } => {
                    let lone = call.call.alone[attempt % call.call.alone.len()];
                    let slow = Lone { after: until - now, failed: Some(Disposition::Slow), token: false };
                    let lone = lone.filter(|lone| now + lone.after < until).unwrap_or(slow);
                    self.alone.push((now + lone.after, call.call.candidates[candidate].lane, began, lone));
                }
                Decision::Judge { attempt, .. } => {
                    let said = call.call.verdicts[attempt % call.call.verdicts.len()];
                    let said = said.map(|(after, verdict)| (now + after, Event::Judged { attempt, verdict }));
                    call.events.extend(said);
                }
                Decision::Commit(_) if !call.call.commit_takes.is_zero() => {
                    (call.wakes, call.blocked) = (now, now + call.call.commit_takes);
                    return Ok(());
                }
                Decision::Wait(until) => {
                    call.wakes = until;
                    return Ok(());
                }
                Decision::Done(_) => return self.after(n),
                Decision::Skip { .. } | Decision::Queue { .. } | Decision::Cancel { .. } | Decision::Commit(_) => {}
            }
        }
        Err("it decides and decides".into())
    }

    /// Whatever comes after the end changes nothing.
    fn after(&mut self, n: usize) -> Result<(), String> {
        let call = &mut self.calls[n];
        call.over = true;
        let before = format!("{:?}", self.lanes.real);
        let answered = Event::Answered { attempt: 0, verdict: Verdict::Pass };
        for event in [Event::Woke, answered, Event::Abandoned, Event::Woke] {
            let decision = call.exec.step(self.now, event, &mut self.lanes.real);
            if decision != Decision::Wait(NEVER) {
                return Err(format!("{decision:?} after the end"));
            }
        }
        call.exec.give_back(self.now, &mut self.lanes.real);
        if before == format!("{:?}", self.lanes.real) { Ok(()) } else { Err("the lanes learn after the end".into()) }
    }

    /// Lanes know what happened to them, each end once; nobody waits beside a free place, or at a lane
    /// that is down.
    fn holds(&mut self) -> Result<(), String> {
        for lane in (0..LANES).map(LaneId) {
            let (known, gate) = (self.lanes.real.get(lane), self.lanes.real.get(lane).gate());
            let shadow = self.lanes.shadow.get(lane);
            let (breaker, expected) = (&known.breaker, &shadow.breaker);
            if breaker != expected {
                return Err(format!("{lane:?} is {breaker:?} instead of {expected:?}"));
            }
            let figures = |lane: &crate::Lane| (lane.answers(self.now), lane.first_tokens(self.now));
            if figures(known) != figures(shadow) {
                return Err(format!("{lane:?} learnt {:?} instead of {:?}", figures(known), figures(shadow)));
            }
            let running: Vec<_> =
                self.calls.iter().flat_map(|call| &call.watch.running).filter(|f| f.lane == lane).collect();
            let alone = self.alone.iter().filter(|(_, of, ..)| *of == lane).count();
            let tickets = self.calls.iter().filter_map(|call| call.watch.queued.map(|queued| (call, queued)));
            let tickets: Vec<_> = tickets.filter(|(call, (c, _))| call.call.candidates[*c].lane == lane).collect();
            let granted = tickets.iter().filter(|(_, (_, ticket))| gate.is_granted(*ticket)).count();
            let waiting =
                tickets.iter().filter(|(call, (_, ticket))| gate.waits(*ticket, &call.call.policy.who.team)).count();
            let in_use = (gate.limiter().in_flight() as usize, gate.waiting());
            let expected = (running.len() + alone + granted, waiting);
            if in_use != expected {
                return Err(format!("{lane:?} has {in_use:?} calls and waiters instead of {expected:?}"));
            }
            let probes = running.iter().filter(|flight| flight.probes).count() + alone;
            let (may, before) = (self.may[lane.0 as usize], self.most[lane.0 as usize]);
            let most = (may.0.max(before.0), may.1.max(before.1));
            if in_use.0 > most.0 + probes || in_use.1 > most.1 {
                return Err(format!("{lane:?} has {in_use:?} calls and waiters of {most:?}, and {probes} probes"));
            }
            self.most[lane.0 as usize] = (before.0.min(in_use.0), before.1.min(in_use.1));
            let closed = self.lanes.real.breaker(lane) == BreakerState::Closed;
            let free = closed && self.lanes.real.held(lane, self.now).is_none() && gate.limiter().has_room();
            // A pause that ends just now is noticed by those who wait, this instant.
            let wakes = tickets.iter().any(|(call, _)| call.wakes <= self.now);
            if in_use.1 > 0 && (!closed || (free && !wakes)) {
                return Err(format!("{} wait at {lane:?}, which is free or down", in_use.1));
            }
        }
        Ok(())
    }

    /// After the end nothing is in use, and nobody waits.
    fn over(&self) -> Result<(), String> {
        for lane in (0..LANES).map(LaneId) {
            let gate = self.lanes.real.get(lane).gate();
            let left = (gate.limiter().in_flight(), gate.waiting());
            if left != (0, 0) {
                return Err(format!("{lane:?} keeps {left:?}"));
            }
        }
        Ok(())
    }
}

fn seen(failed: Option<Disposition>, elapsed: Duration) -> Observation {
    Observation {
        failed,
        elapsed,
        budget: elapsed,
        stream: true,
        first_token: Some(elapsed / 2),
        breach: None,
        call: None,
    }
}

type AllBounds<'a> = (&'a [(u32, usize)], &'a [Bounds]);

fn run(calls: &[Call], bounds: AllBounds<'_>, histories: &[History]) -> Result<World, TestCaseError> {
    let mut world = World::new(calls, bounds, histories);
    let result = world.run();
    let Err(broken) = result else { return Ok(world) };
    let log: Vec<String> = world.log.iter().map(|line| format!("{line:?}")).collect();
    Err(TestCaseError::fail(format!("{broken}\n{}", log.join("\n"))))
}

proptest! {
    #![proptest_config(crate::test_config(1000))]

    #[test]
    fn every_decision_holds_in_a_world_of_one(call in call(), histories in histories()) {
        let (calls, bounds) = ([call], [(2, 5); LANES as usize]);
        let world = run(&calls, (&bounds, &[]), &histories)?;
        prop_assert_eq!(world.log, run(&calls, (&bounds, &[]), &histories)?.log);
    }
}

proptest! {
    #![proptest_config(crate::test_config(300))]

    #[test]
    fn every_decision_holds_where_many_share_their_lanes(
        calls in proptest::collection::vec(call(), 2..25),
        (first, changes) in bounds(),
        histories in histories(),
    ) {
        run(&calls, (&first, &changes), &histories)?;
    }
}
