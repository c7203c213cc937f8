//! Random candidates, histories, policies and worlds: [`Watch`] must have nothing to say.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::watch::Watch;
use crate::{
    Admission, Candidate, Commit, Decision, Disposition, Event, Exec, LaneId, Lanes, ModelId, Moment, Policy, Unproven,
    Verdict,
};

const START: Moment = Moment::from_micros(100_000_000);
const LANES: u32 = 4;

/// What an attempt does at some time after its start.
#[derive(Clone, Copy, Debug)]
enum Act {
    Progress(u32, u64),
    Answer(Verdict),
    Fail(Disposition),
}

impl Act {
    fn of(self, attempt: usize) -> Event {
        match self {
            Act::Progress(chunks, bytes) => Event::Progress { attempt, chunks, bytes },
            Act::Answer(verdict) => Event::Answered { attempt, verdict },
            Act::Fail(disposition) => Event::Failed { attempt, disposition },
        }
    }
}

/// A call of another execution on a lane.
#[derive(Clone, Copy, Debug)]
struct Stranger {
    lane: LaneId,
    begins: Moment,
    takes: Duration,
    failed: Option<Disposition>,
}

#[derive(Clone, Debug)]
struct World {
    policy: Policy,
    candidates: Vec<Candidate>,
    seed: u64,
    strangers: Vec<Stranger>,
    /// What the n-th attempt does; from the first again where there are more attempts.
    scripts: Vec<Vec<(Duration, Act)>>,
    /// What comes at a time after the start, whoever runs: wakes, duplicates, foreign attempts.
    noise: Vec<(Duration, Event)>,
    abandoned: Option<Duration>,
    /// By how much the driver is late, event for event; in turn.
    late: Vec<Duration>,
}

fn micros(max_ms: u64) -> impl Strategy<Value = Duration> {
    prop_oneof![
        1 => Just(Duration::ZERO),
        4 => (0..=max_ms * 1000).prop_map(Duration::from_micros),
        4 => (0..=max_ms.min(300)).prop_map(Duration::from_millis),
    ]
}

fn disposition() -> impl Strategy<Value = Disposition> {
    use Disposition::{Abstained, BadAnswer, CallersFault, Cancelled, HardDown, RateLimited, Slow, TooLong, Transient};
    prop_oneof![
        4 => proptest::sample::select(vec![HardDown, Slow, TooLong, BadAnswer, Abstained]),
        1 => proptest::sample::select(vec![CallersFault, Cancelled]),
        6 => Just(Transient),
        3 => proptest::option::of(micros(1500)).prop_map(|retry_after| RateLimited { retry_after }),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let verdict = proptest::sample::select(vec![Verdict::Pass, Verdict::Fail, Verdict::Undecided]);
    prop_oneof![
        3 => (0..6_u32, 0..600_u64).prop_map(|(chunks, bytes)| Act::Progress(chunks, bytes)),
        2 => verdict.prop_map(Act::Answer),
        3 => disposition().prop_map(Act::Fail),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![1 => Just(Event::Woke), 2 => (0..9_usize, act()).prop_map(|(attempt, act)| act.of(attempt))]
}

fn policy() -> impl Strategy<Value = Policy> {
    let commit = prop_oneof![
        1 => Just(Commit::AtVerdict),
        2 => (0..5_u32, 0..500_u64).prop_map(|(chunks, bytes)| Commit::After { chunks, bytes }),
    ];
    let unproven = proptest::sample::select(vec![Unproven::Pass, Unproven::Fail]);
    (micros(4000), micros(4000), 0..4_u32, commit, unproven).prop_map(|(deadline, more, retries, commit, unproven)| {
        let deadline = START + deadline;
        Policy { started: START, deadline, stream_end: deadline + more, retries, commit, unproven }
    })
}

fn candidate() -> impl Strategy<Value = Candidate> {
    (0..LANES, 1..3000_u64).prop_map(|(lane, timeout)| {
        let model = ModelId::new(&format!("model/{lane}"));
        Candidate { model, lane: LaneId(lane), timeout: Duration::from_millis(timeout), price: None }
    })
}

/// Between 40 s before the start and 5 s after it, mostly alike on a lane, so that breakers open.
fn strangers() -> impl Strategy<Value = Vec<Stranger>> {
    let lane = |lane: u32| {
        let end = prop_oneof![2 => Just(None), 3 => disposition().prop_map(Some)];
        let call = (60_000..105_000_u64, micros(3000)).prop_map(|(at, takes)| (at * 1000, takes));
        (end, proptest::collection::vec(call, 0..12)).prop_map(move |(failed, calls)| {
            let stranger =
                |(at, takes)| Stranger { lane: LaneId(lane), begins: Moment::from_micros(at), takes, failed };
            calls.into_iter().map(stranger).collect::<Vec<_>>()
        })
    };
    (0..LANES).map(lane).collect::<Vec<_>>().prop_map(|lanes| lanes.concat())
}

fn world() -> impl Strategy<Value = World> {
    let script = proptest::collection::vec((micros(3000), act()), 0..4);
    let late = prop_oneof![3 => Just(Duration::ZERO), 1 => micros(50)];
    let run = (
        proptest::collection::vec(script, 1..6),
        proptest::collection::vec((micros(5000), event()), 0..6),
        proptest::option::weighted(0.2, micros(5000)),
        proptest::collection::vec(late, 1..4),
    );
    (policy(), proptest::collection::vec(candidate(), 0..5), any::<u64>(), strangers(), run).prop_map(
        |(policy, candidates, seed, strangers, (scripts, noise, abandoned, late))| World {
            policy,
            candidates,
            seed,
            strangers,
            scripts,
            noise,
            abandoned,
            late,
        },
    )
}

/// The driver, and the strangers on its lanes.
struct Drive<'a> {
    world: &'a World,
    watch: Watch<'a>,
    lanes: Lanes,
    /// What strangers are still to do, by their number: begin a call or end it.
    strangers: Vec<(Moment, usize, bool)>,
    /// Whether the stranger of this number was let in.
    admitted: Vec<bool>,
    events: Vec<(Moment, Event)>,
    log: Vec<(Moment, Event, Decision)>,
}

impl<'a> Drive<'a> {
    fn new(world: &'a World) -> Self {
        let lanes = Lanes::new(LANES as usize);
        let calls = world.strangers.iter().enumerate();
        let mut strangers: Vec<_> =
            calls.flat_map(|(i, s)| [(s.begins, i, true), (s.begins + s.takes, i, false)]).collect();
        strangers.sort_by_key(|(at, ..)| *at);
        let admitted = vec![false; world.strangers.len()];
        let abandoned = world.abandoned.iter().map(|at| (START + *at, Event::Abandoned));
        let events = world.noise.iter().map(|(at, event)| (START + *at, *event)).chain(abandoned).collect();
        let watch = Watch::new(&world.policy, &world.candidates, lanes.clone());
        Self { world, watch, lanes, strangers, admitted, events, log: Vec::new() }
    }

    /// Lets the strangers do what they did until now, on the machine's lanes and the observer's.
    fn catch_up(&mut self, now: Moment) {
        let due = self.strangers.partition_point(|(at, ..)| *at <= now);
        for (at, number, begins) in self.strangers.drain(..due) {
            let stranger = self.world.strangers[number];
            for lanes in [&mut self.lanes, &mut self.watch.lanes] {
                if begins {
                    self.admitted[number] = !matches!(lanes.admit(stranger.lane, at), Admission::Refused { .. });
                } else if self.admitted[number] {
                    let times = (stranger.takes, Duration::from_secs(3));
                    lanes.observe(stranger.lane, at, stranger.failed, times);
                }
            }
        }
    }

    fn run(&mut self) -> Result<(), String> {
        let mut exec = Exec::new(self.world.policy.clone(), Arc::from(self.world.candidates.clone()), self.world.seed);
        let (mut now, mut event, mut late) = (START, Event::Woke, Duration::ZERO);
        // Each event, retry and candidate costs a bounded number of steps, or it is a busy loop.
        let enough = 20 + 5 * (self.world.noise.len() + 10 * self.world.candidates.len() + 40);
        for turn in 0..enough {
            self.catch_up(now);
            self.watch.event(now, event);
            let decision = exec.step(now, event, &mut self.lanes);
            self.log.push((now, event, decision.clone()));
            self.watch.decision(now, &decision, late)?;
            event = Event::Woke;
            match decision {
                Decision::Start(attempt) => {
                    let script = &self.world.scripts[attempt.number % self.world.scripts.len()];
                    self.events.extend(script.iter().map(|(at, act)| (now + *at, act.of(attempt.number))));
                }
                Decision::Wait(until) => {
                    let next = self.events.iter().enumerate().min_by_key(|(_, (at, _))| *at);
                    let next = next.filter(|(_, (at, _))| *at <= until).map(|(i, _)| i);
                    let (at, what) = next.map_or((until, Event::Woke), |i| self.events.remove(i));
                    late = self.world.late[turn % self.world.late.len()];
                    (now, event) = (now.max(at) + late, what);
                }
                Decision::Done(_) => return self.after(&mut exec, now),
                Decision::Skip { .. } | Decision::Cancel { .. } | Decision::Commit(_) => {}
            }
        }
        Err("it never ends".into())
    }

    /// Whatever comes after the end changes nothing.
    fn after(&mut self, exec: &mut Exec, now: Moment) -> Result<(), String> {
        self.watch.over(&self.lanes)?;
        let answered = Event::Answered { attempt: 0, verdict: Verdict::Pass };
        for event in [Event::Woke, answered, Event::Abandoned, Event::Woke] {
            let decision = exec.step(now, event, &mut self.lanes);
            if decision != Decision::Wait(Moment::from_micros(u64::MAX)) {
                return Err(format!("{decision:?} after the end"));
            }
        }
        self.watch.over(&self.lanes)
    }
}

proptest! {
    #![proptest_config(crate::test_config(1000))]

    #[test]
    fn every_decision_holds_in_every_world(world in world()) {
        let mut drive = Drive::new(&world);
        if let Err(broken) = drive.run() {
            let log: Vec<String> = drive.log.iter().map(|line| format!("{line:?}")).collect();
            return Err(TestCaseError::fail(format!("{broken}\n{}", log.join("\n"))));
        }
        let mut again = Drive::new(&world);
        prop_assert_eq!(again.run(), Ok(()));
        prop_assert_eq!(drive.log, again.log);
    }
}
